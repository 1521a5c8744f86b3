package payment_test

import (
	"errors"
	"testing"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/role/payment"
)

// closeDay lets this accounting day end, and closes it.
func (s *scene) closeDay(t *testing.T) ledger.Day {
	t.Helper()
	day := payment.DefaultPolicy().DayOf(s.Now())
	s.Pass(24 * time.Hour)
	if err := s.Payment.CloseDay(t.Context(), day, s.Now()); err != nil {
		t.Fatal(err)
	}
	return day
}

func (s *scene) statement(t *testing.T, day ledger.Day) payment.Statement {
	t.Helper()
	statement, err := s.Payment.Statement(t.Context(), s.Payee.Account, day)
	if err != nil {
		t.Fatal(err)
	}
	return statement
}

// billOf adds up a day's bill.
func (s *scene) billOf(t *testing.T, day ledger.Day) (trades, refunds payment.Total) {
	t.Helper()
	err := s.Payment.EachBillLine(t.Context(), day, func(app payment.AppID, merchant ledger.AccountID, line bill.Line) error {
		if app != s.Payee.App || merchant != s.Payee.Account || line.OutTradeNo == "" || line.TradeNo == "" || payment.DefaultPolicy().DayOf(line.At) != day {
			t.Errorf("%+v", line)
		}
		total := &trades
		if line.Kind == bill.Refund {
			total = &refunds
		}
		total.Count++
		total.SumFen += line.AmountFen
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return trades, refunds
}

// Days follow on each other to the fen: what one leaves the next begins with, the bill's lines are the
// statement's sums, and what is paid out is paid once.
func TestDays(t *testing.T) {
	s := newDivided(t, 10_00, payment.DefaultPolicy())
	refunded := s.ride(t)
	s.mustSettle(t, refunded, s.ride(t), s.ride(t))
	first := s.closeDay(t)
	want := payment.Statement{Merchant: s.Payee.Account, Day: first, Rides: payment.Total{Count: 3, SumFen: 6_00}, ClosingFen: 6_00}
	if got := s.statement(t, first); got != want {
		t.Errorf("first day: %+v", got)
	}
	if _, err := s.refund(t, refunded, "a", 50); err != nil {
		t.Fatal(err)
	}
	s.mustSettle(t, s.ride(t))
	for range 2 {
		if paid, err := s.Payment.Payout(t.Context(), s.Payee, first, s.Now()); err != nil || paid != 6_00 {
			t.Errorf("paid out: %s %v", paid, err)
		}
	}
	second := s.closeDay(t)
	want = payment.Statement{Merchant: s.Payee.Account, Day: second, OpeningFen: 6_00, Rides: payment.Total{Count: 1, SumFen: 2_00},
		Refunds: payment.Total{Count: 1, SumFen: 50}, Payouts: payment.Total{Count: 1, SumFen: 6_00}, ClosingFen: 1_50}
	if got := s.statement(t, second); got != want {
		t.Errorf("second day: %+v", got)
	}
	for day, want := range map[ledger.Day][2]payment.Total{first: {{Count: 3, SumFen: 6_00}, {}}, second: {{Count: 1, SumFen: 2_00}, {Count: 1, SumFen: 50}}} {
		if trades, refunds := s.billOf(t, day); trades != want[0] || refunds != want[1] {
			t.Errorf("bill of %s: %+v %+v", day, trades, refunds)
		}
	}
	third := s.closeDay(t) // nothing moved
	if got := s.statement(t, third); got.OpeningFen != 1_50 || got.ClosingFen != 1_50 {
		t.Errorf("third day: %+v", got)
	}
	if _, err := s.Payment.Payout(t.Context(), s.Payee, second, s.Now()); !errors.Is(err, payment.ErrNotLastDay) {
		t.Errorf("a day before the last: %v", err)
	}
	if paid, err := s.Payment.Payout(t.Context(), s.Payee, first, s.Now()); err != nil || paid != 6_00 {
		t.Errorf("what was paid is told again: %s %v", paid, err)
	}
	if paid, err := s.Payment.Payout(t.Context(), s.Payee, third, s.Now()); err != nil || paid != 1_50 {
		t.Errorf("the last day: %s %v", paid, err)
	}
	s.balances(t, map[ledger.AccountID]money.Fen{s.Payee.Account: 0, payment.SettledAccount(s.Payee.Account): 0})
	s.Audit()
}

// Nothing is posted on a day that is closed, and a day is closed when it is over.
func TestClosedDays(t *testing.T) {
	s := newDivided(t, 10_00, payment.DefaultPolicy())
	day := payment.DefaultPolicy().DayOf(s.Now())
	late := s.ride(t)
	if err := s.Payment.CloseDay(t.Context(), day, s.Now()); !errors.Is(err, payment.ErrDayNotOver) {
		t.Errorf("before it is over: %v", err)
	}
	if _, err := s.Payment.Statement(t.Context(), s.Payee.Account, day); !errors.Is(err, payment.ErrDayNotClosed) {
		t.Errorf("a statement of an open day: %v", err)
	}
	if _, err := s.Payment.Payout(t.Context(), s.Payee, day, s.Now()); !errors.Is(err, payment.ErrDayNotClosed) {
		t.Errorf("a payout of an open day: %v", err)
	}
	s.Pass(24 * time.Hour)
	for range 2 {
		if err := s.Payment.CloseDay(t.Context(), day, s.Now()); err != nil {
			t.Fatal(err)
		}
	}
	s.Pass(-24 * time.Hour) // a server whose clock is behind
	result := s.mustSettle(t, late)[0]
	if on, _, _, _ := result.TradeNo.Parse(); on != day.Next() {
		t.Errorf("settled on %s, which is closed", on)
	}
	s.Pass(3 * 24 * time.Hour)
	last := day.Next().Next()
	if err := s.Payment.CloseDay(t.Context(), last, s.Now()); err != nil { // nobody closed the one before: it is closed with it
		t.Fatal(err)
	}
	if got := s.statement(t, day.Next()); got.Rides.Count != 1 || got.ClosingFen != 2_00 {
		t.Errorf("the day that nobody closed: %+v", got)
	}
	if got := s.statement(t, last); got.Rides.Count != 0 || got.OpeningFen != 2_00 || got.ClosingFen != 2_00 {
		t.Errorf("the last day: %+v", got)
	}
	before := day.Previous()
	if err := s.Payment.CloseDay(t.Context(), before, s.Now()); err != nil {
		t.Errorf("a day before the books were opened: %v", err)
	}
	if closed, err := s.Payment.DayClosed(t.Context(), before); err != nil || closed {
		t.Errorf("it counts as closed: %v", err)
	}
}

// The cut-off is the institution's: with one at 23:00 in Beijing, the last hour belongs to the next day.
func TestCutOff(t *testing.T) {
	policy := payment.DefaultPolicy()
	policy.DayEnds = 23 * time.Hour
	for at, want := range map[string]ledger.Day{"2026-11-21T14:59:59Z": 20261121, "2026-11-21T15:00:00Z": 20261122, "2026-11-21T16:00:00Z": 20261122} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := policy.DayOf(now); got != want {
			t.Errorf("%s is on %s", at, got)
		}
	}
}
