package reconcile

import (
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
)

// Summary is a day as merchant and bill have it, and what stands between the two:
//
//	Own + OtherDay - OtherBill + differences = Billed
//	OwnRefunds + differences of refunds      = BilledRefunds
//
// Own and the billed totals are counted apart from what stands between them: the one in the merchant's books, the
// other by the platform.
type Summary struct {
	Day      Day
	Digest   [32]byte
	Known    bool // the bill was here already
	Replaces bool // it took the place of another one

	Own         bill.Total          // settled here on the day, by the platform
	OtherDay    bill.Total          // in the bill, and settled here on another day, or on one that is not known
	OtherBill   bill.Total          // settled here on the day, and in the bill of another one
	Differences map[Kind]bill.Total // of the day, resolved ones too: how many, and by how much the bill is above
	Billed      bill.Total

	OwnRefunds    bill.Total // named here, and first told of by this bill
	BilledRefunds bill.Total

	Open, Carried bill.Total // of all days, not resolved; sums without sign

	ends time.Duration
}

func newSummary(b Bill, ends time.Duration) *Summary {
	return &Summary{Day: b.Day, Digest: b.Digest, Billed: b.Totals.Trades, BilledRefunds: b.Totals.Refunds, Differences: map[Kind]bill.Total{}, ends: ends}
}

// weight is how many lines more a bill has for a difference.
func (k Kind) weight() int {
	switch k {
	case MissingThere:
		return -1
	case Amount, TradeNumber, RefundAmount:
		return 0
	}
	return 1
}

// AboutRefunds tells which of the two equations a kind is part of.
func (k Kind) AboutRefunds() bool {
	return k == RefundMissing || k == RefundAmount || k == RefundDoubled
}

// aboveFen is by how much the bill is above the merchant's books.
func (c Content) aboveFen() money.Fen { return c.BilledFen - c.OwnFen } // both are amounts: no overflow

// Unexplained is what the equations leave: nothing, where every fen is explained.
func (s Summary) Unexplained() (trades, refunds bill.Total) {
	trades = minus(s.Billed, minus(plus(s.Own, s.OtherDay), s.OtherBill))
	refunds = minus(s.BilledRefunds, s.OwnRefunds)
	for kind, total := range s.Differences {
		total.Count *= kind.weight()
		if kind.AboutRefunds() {
			refunds = minus(refunds, total)
		} else {
			trades = minus(trades, total)
		}
	}
	return trades, refunds
}

// AddsUp tells whether they leave nothing.
func (s Summary) AddsUp() bool {
	trades, refunds := s.Unexplained()
	return trades == bill.Total{} && refunds == bill.Total{}
}

func plus(a, b bill.Total) bill.Total {
	return bill.Total{Count: a.Count + b.Count, SumFen: a.SumFen + b.SumFen}
}

func minus(a, b bill.Total) bill.Total {
	return bill.Total{Count: a.Count - b.Count, SumFen: a.SumFen - b.SumFen}
}

func add(total *bill.Total, fen money.Fen) (err error) {
	total.Count++
	total.SumFen, err = total.SumFen.Add(fen)
	return err
}

// addBilled counts a number that the bill has.
func (s *Summary) addBilled(f Facts) error {
	trades, refunds := partLines(f.Lines)
	if err := s.addDifferences(f); err != nil {
		return err
	}
	ownDay := f.Trade.byPlatform() && f.settledOn(s.Day, s.ends)
	firstHere := len(trades) > 0 && trades[0].Day == s.Day
	switch {
	case firstHere && f.Trade.byPlatform() && !ownDay:
		if err := add(&s.OtherDay, f.Trade.AmountFen); err != nil {
			return err
		}
	case !firstHere && len(trades) > 0 && ownDay:
		if err := add(&s.OtherBill, f.Trade.AmountFen); err != nil {
			return err
		}
	}
	return s.addRefunds(f, refunds)
}

// addUnbilled counts a trade that settled here on the day, and that its bill does not have.
func (s *Summary) addUnbilled(f Facts) error {
	if !f.Trade.byPlatform() || !f.settledOn(s.Day, s.ends) {
		return nil
	}
	if trades, _ := partLines(f.Lines); len(trades) > 0 {
		return add(&s.OtherBill, f.Trade.AmountFen)
	}
	return s.addDifferences(f)
}

func (f Facts) settledOn(day Day, ends time.Duration) bool {
	return !f.Trade.Settled.IsZero() && DayOf(f.Trade.Settled, ends) == day
}

// addDifferences counts what differs on the day as the facts have it now: a difference that a person has
// resolved still stands between the sums.
func (s *Summary) addDifferences(f Facts) error {
	calendar := Calendar{DayEnds: s.ends, Billed: map[Day]bool{s.Day: true}}
	for _, found := range calendar.find(f) {
		if found.Day != s.Day {
			continue
		}
		total := s.Differences[found.Kind]
		if err := add(&total, found.aboveFen()); err != nil {
			return err
		}
		s.Differences[found.Kind] = total
	}
	return nil
}

// addRefunds counts the refunds that were named here, where the day is the first that bills them.
func (s *Summary) addRefunds(f Facts, lines []Line) error {
	seen := map[string]bool{}
	for _, line := range lines {
		own, named := f.refund(line.RequestNo)
		if named && !seen[line.RequestNo] && line.Day == s.Day {
			if err := add(&s.OwnRefunds, own.AmountFen); err != nil {
				return err
			}
		}
		seen[line.RequestNo] = true
	}
	return nil
}

func (s *Summary) addUnresolved(d Difference) {
	total := &s.Open
	if d.State == Carried {
		total = &s.Carried
	}
	above := d.aboveFen()
	total.Count, total.SumFen = total.Count+1, total.SumFen+max(above, -above)
}
