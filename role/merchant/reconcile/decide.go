package reconcile

import (
	"fmt"
	"strings"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/role/merchant"
)

// Calendar is what deciding needs to know of days.
type Calendar struct {
	DayEnds     time.Duration
	CarryWithin time.Duration
	Billed      map[Day]bool // the days of which a bill counts
}

// finding is a difference as the facts have it now.
type finding struct {
	Content
	State  State
	Reason string
}

// Decide compares what is found about a trade with what was found before, and gives the steps in between. It is
// a pure function, and after its moves it has none.
func Decide(facts Facts, calendar Calendar, now time.Time) (moves []Move) {
	known, found := map[Content]Difference{}, map[Content]bool{}
	for _, difference := range facts.Differences {
		known[difference.Content] = difference
	}
	for _, finding := range calendar.find(facts) {
		found[finding.Content] = true
		before, is := known[finding.Content]
		moves = append(moves, finding.moves(before, is, now)...)
	}
	for _, difference := range facts.Differences {
		if !found[difference.Content] && difference.State != Resolved {
			moves = append(moves, Move{difference.Content, Step{At: now, State: Resolved, Reason: difference.whyGone(facts)}})
		}
	}
	return moves
}

// moves are the steps to a finding from how the difference stands. What a person has resolved stays so.
func (f finding) moves(before Difference, known bool, now time.Time) (moves []Move) {
	state := before.State
	if known && state == Resolved && before.Steps[len(before.Steps)-1].Person != "" {
		return nil
	}
	if !known || state == Resolved {
		state = Open
		moves = append(moves, Move{f.Content, Step{At: now, State: Open, Reason: f.reasonFound()}})
	}
	if state != f.State {
		moves = append(moves, Move{f.Content, Step{At: now, State: f.State, Reason: f.Reason}})
	}
	return moves
}

// reasonFound is the first line of a history. A carried difference has its reason in the second one.
func (f finding) reasonFound() string {
	if f.State == Carried {
		return fmt.Sprintf("settled here, and not in the bill of %s", f.Day)
	}
	return f.Reason
}

func (d Difference) whyGone(facts Facts) string {
	trades, _ := partLines(facts.Lines)
	switch {
	case d.Kind == MissingThere && len(trades) > 0:
		return fmt.Sprintf("the bill of %s has it", trades[0].Day)
	case d.Kind == MissingThere:
		return "the days are bounded otherwise now"
	case !facts.hasLineOn(d.Day):
		return fmt.Sprintf("the bill of %s was replaced, and does not have it any more", d.Day)
	case (d.Kind == MissingHere || d.Kind == NotSettled) && facts.Trade.State == merchant.Settled:
		return "it is settled here since"
	case d.Kind == MissingHere || d.Kind == NotSettled:
		return fmt.Sprintf("here it is %s now", facts.Trade.State)
	}
	return "another bill, or what is known here since, has cleared it up"
}

func (f Facts) hasLineOn(day Day) bool {
	for _, line := range f.Lines {
		if line.Day == day {
			return true
		}
	}
	return false
}

// find is the heart of it: how merchant and bills differ about one number.
func (c Calendar) find(f Facts) (found []finding) {
	trades, refunds := partLines(f.Lines)
	for i, line := range trades {
		content := Content{Kind: Doubled, OutTradeNo: f.OutTradeNo, Day: line.Day, Place: placeOnDay(trades[:i], line.Day), BilledFen: line.AmountFen}
		if i > 0 {
			found = append(found, finding{content, Open, fmt.Sprintf("the bill of %s has it already", trades[0].Day)})
			continue
		}
		found = append(found, f.Trade.against(line, content)...)
	}
	if len(trades) == 0 && f.Trade.byPlatform() && !f.Trade.Settled.IsZero() {
		found = append(found, c.findMissing(f)...)
	}
	return append(found, findRefunds(f, refunds)...)
}

// partLines parts trades from refunds.
func partLines(lines []Line) (trades, refunds []Line) {
	for _, line := range lines {
		if line.Kind == bill.Refund {
			refunds = append(refunds, line)
		} else {
			trades = append(trades, line)
		}
	}
	return trades, refunds
}

// placeOnDay counts lines of a day, without the first of all, which is not doubled.
func placeOnDay(before []Line, day Day) (place int) {
	for i := 1; i < len(before); i++ {
		if before[i].Day == day {
			place++
		}
	}
	return place
}

// byPlatform tells whether the payment institution has settled a trade.
func (t Trade) byPlatform() bool {
	return t.State == merchant.Settled && !strings.HasPrefix(string(t.TradeNo), cardTradeNo)
}

// against holds a trade against the first line that bills it.
func (t Trade) against(line Line, content Content) (found []finding) {
	find := func(kind Kind, ownFen money.Fen, why string) {
		content.Kind, content.OwnFen = kind, ownFen
		found = append(found, finding{content, Open, why})
	}
	switch {
	case t.State == "":
		find(MissingHere, 0, "billed, and no trade here has this number")
	case t.State == merchant.Failed:
		find(FailedHere, 0, "billed, and here it has failed for good")
	case t.State != merchant.Settled:
		find(NotSettled, 0, fmt.Sprintf("billed, and here it is %s", t.State))
	case !t.byPlatform():
		find(MissingHere, 0, "billed, and here it was taken from a prepaid card")
	case t.AmountFen != line.AmountFen:
		find(Amount, t.AmountFen, fmt.Sprintf("here %s, billed %s", t.AmountFen, line.AmountFen))
	}
	if t.byPlatform() && string(t.TradeNo) != line.TradeNo {
		content.BilledFen = line.AmountFen
		find(TradeNumber, t.AmountFen, fmt.Sprintf("here trade_no %.64s, billed %.64s", t.TradeNo, line.TradeNo))
	}
	return found
}

// findMissing is about a trade that settled here and that no bill has. Near to the cut-off it may be in the
// bill of the neighbouring day.
func (c Calendar) findMissing(f Facts) []finding {
	day := DayOf(f.Trade.Settled, c.DayEnds)
	if !c.Billed[day] {
		return nil
	}
	content := Content{Kind: MissingThere, OutTradeNo: f.OutTradeNo, Day: day, OwnFen: f.Trade.AmountFen}
	neighbour, near := c.neighbour(f.Trade.Settled, day)
	switch {
	case !near:
		return []finding{{content, Open, fmt.Sprintf("settled here, and not in the bill of %s", day)}}
	case !c.Billed[neighbour]:
		return []finding{{content, Carried, fmt.Sprintf("settled here near to the cut-off: the bill of %s may have it", neighbour)}}
	}
	return []finding{{content, Open, fmt.Sprintf("neither in the bill of %s nor in that of %s", day, neighbour)}}
}

// neighbour is the day whose cut-off is near.
func (c Calendar) neighbour(settled time.Time, day Day) (Day, bool) {
	from, to := day.Bounds(c.DayEnds)
	switch {
	case settled.Sub(from) < c.CarryWithin:
		return day - 1, true
	case to.Sub(settled) <= c.CarryWithin:
		return day + 1, true
	}
	return 0, false
}

// findRefunds holds the refunds that bills tell of against those that were named here. Whether one that was
// named is paid, the bills alone tell.
func findRefunds(f Facts, lines []Line) (found []finding) {
	first := map[string]Day{}
	places := map[Content]int{}
	for _, line := range lines {
		content := Content{OutTradeNo: f.OutTradeNo, RequestNo: line.RequestNo, Day: line.Day, BilledFen: line.AmountFen}
		own, named := f.refund(line.RequestNo)
		day, again := first[line.RequestNo]
		if !again {
			first[line.RequestNo] = line.Day
		}
		why := ""
		switch {
		case again:
			content.Kind, why = RefundDoubled, fmt.Sprintf("the bill of %s has this refund already", day)
			alike := Content{Kind: RefundDoubled, RequestNo: line.RequestNo, Day: line.Day}
			content.Place = places[alike]
			places[alike]++
		case !named:
			content.Kind, why = RefundMissing, "a refund is billed that was not named here"
		case own.AmountFen != line.AmountFen:
			content.Kind, content.OwnFen, why = RefundAmount, own.AmountFen, fmt.Sprintf("here %s, billed %s", own.AmountFen, line.AmountFen)
		default:
			continue
		}
		found = append(found, finding{content, Open, why})
	}
	return found
}

func (f Facts) refund(number string) (Refund, bool) {
	for _, refund := range f.Refunds {
		if refund.Number == number {
			return refund, true
		}
	}
	return Refund{}, false
}
