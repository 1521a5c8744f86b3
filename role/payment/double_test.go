package payment_test

import (
	"testing"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// shared makes one code and lets several gates take it, which do not know of each other.
func (s *scene) shared(t *testing.T, gates ...string) (trades []payment.Trade) {
	t.Helper()
	code, err := s.phone.Present(s.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, posID := range gates {
		gate := s.Gate(record.TerminalInfo{POSID: posID, Kind: record.Single, Line: "19"}, 200)
		accepted := gate.Scan(code)
		if accepted.Verdict != ridecode.Success {
			t.Fatal(accepted.Trace.Reason())
		}
		trades = append(trades, s.tradeOf(ming, accepted.Record))
	}
	return trades
}

// By default the gate that is settled first is paid. Both records are kept, the rider is known for it once for
// each, and after so many he is on the deny list.
func TestFirstGateIsPaid(t *testing.T) {
	policy := payment.DefaultPolicy()
	policy.Doubles.DenyAfter = 2
	s := newDivided(t, 10_00, policy)
	trades := s.shared(t, "a", "b", "c")
	first := s.settle(t, trades...)
	if first[0].Outcome != payment.Settled || first[1].Reason != payment.RecordUsed || first[2].Reason != payment.RecordUsed {
		t.Fatalf("%+v", first)
	}
	for range 3 { // asking again proves nothing new
		if again := s.settle(t, trades...); again[0] != first[0] || again[1] != first[1] || again[2] != first[2] {
			t.Errorf("first %+v, then %+v", first, again)
		}
	}
	evidence, err := s.Payment.Doubles(t.Context(), first[0].TradeNo)
	if err != nil || len(evidence) != 2 {
		t.Fatalf("%d pieces of evidence: %v", len(evidence), err)
	}
	for i, kept := range evidence {
		trade, err := payment.ParseTrade(kept.Trade)
		if err != nil || trade.Digest() != trades[1+i].Digest() || kept.OutTradeNo != trades[1+i].OutTradeNo {
			t.Errorf("evidence %d is not what the gate wrote: %v", i, err)
		}
	}
	denied, err := s.Payment.Denied(t.Context(), s.Now())
	if err != nil || len(denied) != 1 || denied[0].User != ming || denied[0].Doubles != 2 {
		t.Errorf("denied: %+v %v", denied, err)
	}
	if err := s.Payment.Block(t.Context(), ming, ""); err != nil {
		t.Fatal(err)
	}
	if may, _ := s.Payment.MayRide(t.Context(), ming, s.Now()); !may {
		t.Error("who was pardoned may not ride")
	}
	s.balances(t, map[ledger.AccountID]money.Fen{payment.UserAccount(ming): 48_00, s.Payee.Account: 2_00})
	s.Audit()
}

// Where the policy pays both, each gate is paid once for a code, and no third time.
func TestBothGatesArePaid(t *testing.T) {
	policy := payment.DefaultPolicy()
	policy.Doubles.PayBoth = true
	s := newDivided(t, 10_00, policy)
	trades := s.shared(t, "a", "b")
	results := s.mustSettle(t, trades...)
	if again := s.mustSettle(t, trades...); again[0] != results[0] || again[1] != results[1] {
		t.Errorf("first %+v, then %+v", results, again)
	}
	renamed := s.tradeOf(ming, trades[1].Records...) // the second gate's record under another number
	if got := s.settle(t, renamed)[0]; got.Reason != payment.RecordUsed {
		t.Errorf("the second record paid twice: %+v", got)
	}
	both := s.tradeOf(ming, trades[0].Records[0], trades[1].Records[0])
	if got := s.settle(t, both)[0]; got.Reason != payment.RecordUsed {
		t.Errorf("both records in a third trade: %+v", got)
	}
	s.balances(t, map[ledger.AccountID]money.Fen{payment.UserAccount(ming): 46_00, s.Payee.Account: 4_00})
	s.Audit()
}

// One record in two trades is a merchant's mistake: no rider is to blame.
func TestOneRecordTwiceBlamesNobody(t *testing.T) {
	s := newDivided(t, 10_00, payment.DefaultPolicy())
	trade := s.ride(t)
	s.mustSettle(t, trade)
	if got := s.settle(t, s.tradeOf(ming, trade.Records...))[0]; got.Reason != payment.RecordUsed {
		t.Errorf("%+v", got)
	}
	denied, err := s.Payment.Doubles(t.Context(), s.settle(t, trade)[0].TradeNo)
	if err != nil || len(denied) != 0 {
		t.Errorf("evidence of %d: %v", len(denied), err)
	}
}
