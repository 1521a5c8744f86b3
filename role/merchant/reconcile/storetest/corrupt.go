package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/reconcile"
)

const (
	corruptDays   = 3
	corruptTrades = 14
)

// corruption is what a test knows of its world: each trade, each bill, and what has to be found. It is written
// down as the world is made, and by other rules than reconciliation has.
type corruption struct {
	t      *rapid.T
	trades []Trade
	lines  map[reconcile.Day][]bill.Line
	want   map[reconcile.Content]reconcile.State
	own    map[reconcile.Day]bill.Total
}

// testAnyCorruption makes trades and bills that agree, spoils some, and wants exactly these named: whatever the
// order of the days, however often each comes, and wherever a run is cut off.
func testAnyCorruption(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		books, again, end := open(t)
		defer end()
		c := &corruption{t: rt, lines: map[reconcile.Day][]bill.Line{}, want: map[reconcile.Content]reconcile.State{}, own: map[reconcile.Day]bill.Total{}}
		for n := range rapid.IntRange(0, corruptTrades).Draw(rt, "trades") {
			c.draw(n)
		}
		WriteTrades(t, books.Trades, c.trades...)
		order := rapid.Permutation([]reconcile.Day{FirstDay, FirstDay, FirstDay + 1, FirstDay + 1, FirstDay + 2, FirstDay + 2}).Draw(rt, "order")
		cutOff := rapid.IntRange(0, len(order)).Draw(rt, "cut off")
		for i, day := range order {
			books = c.reconcile(books, again, day, i == cutOff)
		}
		if got := unresolved(t, books.Store); fmt.Sprint(got) != fmt.Sprint(c.want) {
			rt.Fatalf("found\n%v, want\n%v", got, c.want)
		}
		c.checkHistories(list(t, books.Store, true))
	})
}

// cutOff is a store that ends a run after some writes; the last one is done, or not.
type cutOff struct {
	reconcile.Store
	left int
	done bool
}

var errCut = errors.New("storetest: cut off")

func (c *cutOff) write(do func() error) error {
	if c.left--; c.left > 0 {
		return do()
	}
	if c.left == 0 && c.done {
		_ = do() // it happened, and nobody hears of it
	}
	return errCut
}

// Begin implements reconcile.Store.
func (c *cutOff) Begin(ctx context.Context, b reconcile.Bill) (begun reconcile.Bill, err error) {
	err = c.write(func() error {
		begun, err = c.Store.Begin(ctx, b)
		return err
	})
	return begun, err
}

// AddLines implements reconcile.Store. It writes line by line, so that a run can end between any two.
func (c *cutOff) AddLines(ctx context.Context, no int64, after int, lines []bill.Line) error {
	for i := range lines {
		if err := c.write(func() error { return c.Store.AddLines(ctx, no, after+i, lines[i:i+1]) }); err != nil {
			return err
		}
	}
	return nil
}

// Accept implements reconcile.Store.
func (c *cutOff) Accept(ctx context.Context, no, replaced int64, now time.Time) error {
	return c.write(func() error { return c.Store.Accept(ctx, no, replaced, now) })
}

// MarkCompared implements reconcile.Store.
func (c *cutOff) MarkCompared(ctx context.Context, no int64, now time.Time) error {
	return c.write(func() error { return c.Store.MarkCompared(ctx, no, now) })
}

// Update implements reconcile.Store.
func (c *cutOff) Update(ctx context.Context, numbers []openapi.OutTradeNo, decide func([]reconcile.Facts) ([]reconcile.Move, error)) error {
	return c.write(func() error { return c.Store.Update(ctx, numbers, decide) })
}

// reconcile takes the bill of a day in; at first, perhaps, not to the end.
func (c *corruption) reconcile(books Books, again func() Books, day reconcile.Day, cutsOff bool) Books {
	file, now := BillOf(c.t, day, c.lines[day]...), At(day+1, 9*time.Hour)
	if cutsOff {
		cut := &cutOff{Store: books.Store, left: rapid.IntRange(1, 12).Draw(c.t, "after"), done: rapid.Bool().Draw(c.t, "done")}
		if _, err := newReconciler(c.t, cut).Reconcile(context.Background(), day, SourceOf(file), reconcile.Options{}, now); err != nil && !errors.Is(err, errCut) {
			c.t.Fatal(err)
		}
		books = again()
	}
	summary := run(c.t, books.Store, day, file, false)
	if summary.Own != c.own[day] || summary.Billed.Count+summary.BilledRefunds.Count != len(c.lines[day]) {
		c.t.Fatalf("%s: %+v, want own %+v", day, summary, c.own[day])
	}
	return books
}

// checkHistories: each begins with OPEN, says why, and nothing was named that was never there.
func (c *corruption) checkHistories(all []reconcile.Difference) {
	doubled := map[openapi.OutTradeNo]bool{}
	for content := range c.want {
		doubled[content.OutTradeNo] = doubled[content.OutTradeNo] || content.Kind == reconcile.Doubled || content.Kind == reconcile.RefundDoubled
	}
	for _, difference := range all {
		if difference.Steps[0].State != reconcile.Open || difference.Steps[len(difference.Steps)-1].State != difference.State {
			c.t.Fatalf("a history: %+v", difference)
		}
		// Until another day's bill is here a trade is missing there, and its second line seems to be the first.
		_, stands := c.want[difference.Content]
		if passing := difference.Kind == reconcile.MissingThere || doubled[difference.OutTradeNo]; !stands && !passing {
			c.t.Fatalf("named, and not there: %+v", difference)
		}
	}
}

// fates are what can become of a trade. All but the first few are faults.
func fates() map[string]func(*corruption, int, reconcile.Day) {
	return map[string]func(*corruption, int, reconcile.Day){
		"agrees":           func(c *corruption, n int, day reconcile.Day) { c.agree(n, day) },
		"answered late":    (*corruption).answeredLate,
		"answered early":   (*corruption).answeredEarly,
		"never settled":    func(c *corruption, n int, _ reconcile.Day) { c.hold(c.trade(n, merchant.Sent)) },
		"card":             func(c *corruption, n int, day reconcile.Day) { c.hold(c.card(n, day)) },
		"day not known":    (*corruption).dayNotKnown,
		"missing here":     (*corruption).missingHere,
		"missing there":    (*corruption).missingThere,
		"missing at night": (*corruption).missingAtNight,
		"amount":           (*corruption).otherAmount,
		"trade_no":         (*corruption).otherNumber,
		"not settled": func(c *corruption, n int, day reconcile.Day) {
			c.billedAs(reconcile.NotSettled, c.trade(n, merchant.Sent), day)
		},
		"not sent": func(c *corruption, n int, day reconcile.Day) {
			c.billedAs(reconcile.NotSettled, c.trade(n, merchant.Waiting), day)
		},
		"failed": func(c *corruption, n int, day reconcile.Day) {
			c.billedAs(reconcile.FailedHere, c.trade(n, merchant.Failed), day)
		},
		"card billed": func(c *corruption, n int, day reconcile.Day) { c.billedAs(reconcile.MissingHere, c.card(n, day), day) },
		"doubled":     (*corruption).doubled,
		"refunds":     (*corruption).refunds,
	}
}

func (c *corruption) draw(n int) {
	all := fates()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	day := FirstDay + reconcile.Day(rapid.IntRange(0, corruptDays-1).Draw(c.t, "day"))
	all[rapid.SampledFrom(names).Draw(c.t, "fate")](c, n, day)
}

func (c *corruption) amount() money.Fen {
	return money.Fen(rapid.IntRange(1, 1000).Draw(c.t, "amount"))
}

func (c *corruption) trade(n int, state merchant.TradeState) Trade {
	return Trade{Number: fmt.Sprint("T", n), AmountFen: c.amount(), State: state}
}

// settled is a trade that settled at a moment, here.
func (c *corruption) settled(n int, at time.Time) Trade { return settledTrade(n, at, c.amount()) }

func (c *corruption) card(n int, day reconcile.Day) Trade {
	trade := c.settled(n, At(day, 12*time.Hour))
	trade.TradeNo = fmt.Sprintf("CARD%020d", n)
	return trade
}

// hold gives a trade to the merchant; those of the platform count on their day.
func (c *corruption) hold(trade Trade) Trade {
	c.trades = append(c.trades, trade)
	if trade.State == merchant.Settled && trade.TradeNo[0] != 'C' && !trade.Settled.IsZero() {
		for day := FirstDay; day < FirstDay+corruptDays; day++ {
			if from, to := day.Bounds(24 * time.Hour); !trade.Settled.Before(from) && trade.Settled.Before(to) {
				total := c.own[day]
				c.own[day] = bill.Total{Count: total.Count + 1, SumFen: total.SumFen + trade.AmountFen}
			}
		}
	}
	return trade
}

// write puts a line into the bill of a day.
func (c *corruption) write(day reconcile.Day, line bill.Line) bill.Line {
	c.lines[day] = append(c.lines[day], line)
	return line
}

// missingHere is a line for a trade that the merchant does not have.
func (c *corruption) missingHere(n int, day reconcile.Day) {
	c.wantOpen(reconcile.MissingHere, 0, day, c.write(day, lineOf(day, n, c.amount())))
}

// agree has a trade settled and billed.
func (c *corruption) agree(n int, day reconcile.Day) (Trade, bill.Line) {
	trade := c.hold(c.settled(n, At(day, 12*time.Hour)))
	return trade, c.write(day, lineOf(day, n, trade.AmountFen))
}

func (c *corruption) wantOpen(kind reconcile.Kind, ownFen money.Fen, day reconcile.Day, line bill.Line) {
	c.want[reconcile.Content{Kind: kind, OutTradeNo: openapi.OutTradeNo(line.OutTradeNo), RequestNo: line.RequestNo, Day: day, OwnFen: ownFen, BilledFen: line.AmountFen}] = reconcile.Open
}

func (c *corruption) billedAs(kind reconcile.Kind, trade Trade, day reconcile.Day) {
	c.hold(trade)
	line := lineOf(day, 0, trade.AmountFen)
	line.OutTradeNo = trade.Number
	c.wantOpen(kind, 0, day, c.write(day, line))
}

// answeredLate: the answer came after the cut-off, or, after a fault of the line, hours after.
func (c *corruption) answeredLate(n int, day reconcile.Day) {
	after := rapid.SampledFrom([]time.Duration{time.Second, 30 * time.Minute, 5 * time.Hour, 30 * time.Hour}).Draw(c.t, "after")
	trade := c.hold(c.settled(n, At(day+1, after)))
	c.write(day, lineOf(day, n, trade.AmountFen))
}

// answeredEarly: the platform's clock was beyond the cut-off, ours was not.
func (c *corruption) answeredEarly(n int, day reconcile.Day) {
	trade := c.hold(c.settled(n, At(day, -20*time.Second)))
	c.write(day, lineOf(day, n, trade.AmountFen))
}

func (c *corruption) dayNotKnown(n int, day reconcile.Day) {
	trade := c.hold(c.settled(n, time.Time{}))
	if rapid.Bool().Draw(c.t, "billed") {
		c.write(day, lineOf(day, n, trade.AmountFen))
	}
}

func (c *corruption) missing(trade Trade, day reconcile.Day, state reconcile.State) {
	c.want[reconcile.Content{Kind: reconcile.MissingThere, OutTradeNo: openapi.OutTradeNo(trade.Number), Day: day, OwnFen: trade.AmountFen}] = state
}

func (c *corruption) missingThere(n int, day reconcile.Day) {
	c.missing(c.hold(c.settled(n, At(day, 12*time.Hour))), day, reconcile.Open)
}

// missingAtNight opens once the neighbouring bill is here, and that never comes for the first and last cut-off.
func (c *corruption) missingAtNight(n int, day reconcile.Day) {
	at, neighbour := At(day, 10*time.Minute), day-1
	if rapid.Bool().Draw(c.t, "evening") {
		at, neighbour = At(day, 24*time.Hour-10*time.Minute), day+1
	}
	state := reconcile.Open
	if neighbour < FirstDay || neighbour >= FirstDay+corruptDays {
		state = reconcile.Carried
	}
	c.missing(c.hold(c.settled(n, at)), day, state)
}

func (c *corruption) otherAmount(n int, day reconcile.Day) {
	trade := c.hold(c.settled(n, At(day, 12*time.Hour)))
	c.wantOpen(reconcile.Amount, trade.AmountFen, day, c.write(day, lineOf(day, n, trade.AmountFen+c.amount())))
}

func (c *corruption) otherNumber(n int, day reconcile.Day) {
	trade := c.hold(c.settled(n, At(day, 12*time.Hour)))
	line := lineOf(day, n, trade.AmountFen)
	line.TradeNo = NumberOf(1_000_000 + n)
	c.wantOpen(reconcile.TradeNumber, trade.AmountFen, day, c.write(day, line))
}

// doubled: a second line on the same day, or on a later one.
func (c *corruption) doubled(n int, day reconcile.Day) {
	_, line := c.agree(n, day)
	later := reconcile.Day(rapid.IntRange(int(day), int(FirstDay+corruptDays-1)).Draw(c.t, "doubled on"))
	line.AmountFen = c.amount()
	c.wantOpen(reconcile.Doubled, 0, later, c.write(later, line))
}

// refunds of a trade: one that agrees, and one that does not.
func (c *corruption) refunds(n int, day reconcile.Day) {
	trade, line := c.agree(n, day)
	named := money.Fen(rapid.IntRange(1, int(trade.AmountFen)).Draw(c.t, "refund"))
	c.trades[len(c.trades)-1].Refunds = []reconcile.Refund{{Number: fmt.Sprint("R", n), AmountFen: named}}
	later := reconcile.Day(rapid.IntRange(int(day), int(FirstDay+corruptDays-1)).Draw(c.t, "refunded on"))
	line.Kind, line.RequestNo, line.AmountFen = bill.Refund, fmt.Sprint("R", n), named
	switch rapid.SampledFrom([]string{"agrees", "not paid", "missing", "amount", "doubled"}).Draw(c.t, "refund is") {
	case "agrees":
		c.write(later, line)
	case "missing":
		line.RequestNo = "by hand"
		c.wantOpen(reconcile.RefundMissing, 0, later, c.write(later, line))
	case "amount":
		line.AmountFen++
		c.wantOpen(reconcile.RefundAmount, named, later, c.write(later, line))
	case "doubled":
		c.write(day, line)
		c.wantOpen(reconcile.RefundDoubled, 0, later, c.write(later, line))
	}
}
