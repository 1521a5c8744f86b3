package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
)

// compareAll compares a bill, and before it what a run that was killed has left.
func (r *Reconciler) compareAll(ctx context.Context, taken Bill, now time.Time) (Summary, error) {
	bills, err := r.store.Bills(ctx)
	if err != nil {
		return Summary{}, err
	}
	for _, b := range bills {
		if b.counts() && !b.Compared && b.No != taken.No {
			if _, err := r.compare(ctx, b, bills, now); err != nil {
				return Summary{}, err
			}
		}
	}
	return r.compare(ctx, taken, bills, now)
}

// compare looks at every number that a bill or its day touches, and at what is not resolved.
func (r *Reconciler) compare(ctx context.Context, b Bill, bills []Bill, now time.Time) (Summary, error) {
	run := &comparison{Reconciler: r, calendar: r.calendar(bills), bill: b, now: now, sums: newSummary(b, r.config.DayEnds)}
	if err := run.billed(ctx, b, run.sums.addBilled); err != nil {
		return Summary{}, err
	}
	for _, old := range bills {
		if old.Replaced == b.No {
			if err := run.billed(ctx, old, nil); err != nil {
				return Summary{}, err
			}
		}
	}
	if err := run.settled(ctx); err != nil {
		return Summary{}, err
	}
	if err := run.unresolved(ctx); err != nil {
		return Summary{}, err
	}
	if err := r.store.MarkCompared(ctx, b.No, now); err != nil {
		return Summary{}, err
	}
	return run.conclude(ctx)
}

func (r *Reconciler) calendar(bills []Bill) Calendar {
	calendar := Calendar{DayEnds: r.config.DayEnds, CarryWithin: r.config.CarryWithin, Billed: map[Day]bool{}}
	for _, b := range bills {
		calendar.Billed[b.Day] = calendar.Billed[b.Day] || b.counts()
	}
	return calendar
}

// comparison is one bill being compared.
type comparison struct {
	*Reconciler
	calendar Calendar
	bill     Bill
	now      time.Time
	sums     *Summary
}

// billed goes through the lines of a bill. A number that stands twice is looked at, and counted, with its first
// line.
func (c *comparison) billed(ctx context.Context, b Bill, count func(Facts) error) error {
	total := b.Totals.Trades.Count + b.Totals.Refunds.Count
	for after := 0; after < total; {
		numbers, err := c.store.Billed(ctx, b.No, after, pageSize)
		if err != nil {
			return err
		}
		if len(numbers) == 0 {
			return fmt.Errorf("%w: bill %d has lost lines", ErrMoved, b.No)
		}
		if err := c.look(ctx, unique(numbers), func(f Facts) error {
			if count == nil || f.firstLineOn(b.Day) <= after {
				return nil
			}
			return count(f)
		}); err != nil {
			return err
		}
		after += len(numbers)
		c.config.Progress(total+after, 2*total)
	}
	return nil
}

func unique(numbers []openapi.OutTradeNo) (once []openapi.OutTradeNo) {
	seen := make(map[openapi.OutTradeNo]bool, len(numbers))
	for _, number := range numbers {
		if !seen[number] {
			seen[number], once = true, append(once, number)
		}
	}
	return once
}

func (f Facts) firstLineOn(day Day) int {
	for _, line := range f.Lines {
		if line.Day == day {
			return line.No
		}
	}
	return 0
}

// settled goes through the trades that settled here on the day; those that the bill has are counted already.
func (c *comparison) settled(ctx context.Context) error {
	from, to := c.bill.Day.Bounds(c.config.DayEnds)
	for after := (Mark{}); ; {
		page, err := c.store.Settled(ctx, from, to, after, pageSize)
		if err != nil || len(page) == 0 {
			return err
		}
		numbers := make([]openapi.OutTradeNo, len(page))
		for i := range page {
			numbers[i] = page[i].OutTradeNo
		}
		if err := c.look(ctx, numbers, func(f Facts) error {
			if f.hasLineOn(c.bill.Day) {
				return nil
			}
			return c.sums.addUnbilled(f)
		}); err != nil {
			return err
		}
		after = page[len(page)-1]
	}
}

// unresolved goes through the differences of all days that are not resolved.
func (c *comparison) unresolved(ctx context.Context) error {
	for after := int64(0); ; {
		page, err := c.store.Differences(ctx, false, after, pageSize)
		if err != nil || len(page) == 0 {
			return err
		}
		var numbers []openapi.OutTradeNo
		for i := range page {
			numbers = append(numbers, page[i].OutTradeNo)
		}
		if err := c.look(ctx, unique(numbers), func(Facts) error { return nil }); err != nil {
			return err
		}
		after = page[len(page)-1].No
	}
}

// look decides about some numbers, and counts what was decided on. The store is written to only where there is
// something to write: nearly all trades agree.
func (c *comparison) look(ctx context.Context, numbers []openapi.OutTradeNo, count func(Facts) error) error {
	facts, err := c.store.View(ctx, numbers)
	if err != nil {
		return err
	}
	if len(c.decide(facts)) > 0 {
		err := c.store.Update(ctx, numbers, func(fresh []Facts) ([]Move, error) {
			facts = fresh
			return c.decide(fresh), nil
		})
		if err != nil {
			return err
		}
	}
	for _, f := range facts {
		if err := count(f); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) decide(facts []Facts) (moves []Move) {
	for _, f := range facts {
		moves = append(moves, Decide(f, c.calendar, c.now)...)
	}
	return moves
}

// conclude counts the day once more, by another way, and what is not resolved.
func (c *comparison) conclude(ctx context.Context) (Summary, error) {
	from, to := c.bill.Day.Bounds(c.config.DayEnds)
	own, err := c.store.SettledTotal(ctx, from, to)
	if err != nil {
		return Summary{}, err
	}
	c.sums.Own = own
	err = c.eachUnresolved(ctx, func(d Difference) { c.sums.addUnresolved(d) })
	return *c.sums, err
}

func (c *comparison) eachUnresolved(ctx context.Context, visit func(Difference)) error {
	for difference, err := range c.Differences(ctx, false) {
		if err != nil {
			return err
		}
		visit(difference)
	}
	return nil
}
