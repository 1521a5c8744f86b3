package storetest

import (
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/merchant"
)

func unsettledOf(t *testing.T, m *merchant.Merchant, options merchant.UnsettledOptions, now time.Time) (found []merchant.UnsettledTrade) {
	t.Helper()
	for trade, err := range m.Unsettled(t.Context(), options, now) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, trade)
	}
	return found
}

// testUnsettled: a trade that is answered UNKNOWN for a week is sent again and again, ever less often, and stands
// in the list with its age until the answer is final.
func testUnsettled(t *testing.T, open Open) {
	outcome := openapi.OutcomeUnknown
	answer := settlerFunc(func(trades []openapi.Trade) ([]openapi.TradeResult, error) {
		return []openapi.TradeResult{{Outcome: outcome, OutTradeNo: trades[0].OutTradeNo, TradeNo: "2026"}}, nil
	})
	m := oneBus(t, open, &answer)
	now, last := Morning(), time.Duration(0)
	if found := unsettledOf(t, m, merchant.UnsettledOptions{}, now); len(found) != 1 || found[0].Why() != "waits to be sent" {
		t.Fatalf("%+v", found)
	}
	attempts := 0
	for now.Before(Morning().AddDate(0, 0, 7)) {
		report := settle(t, m, now)
		attempts++
		wait := report.NextDue.Sub(now)
		if report.Postponed != 1 || wait < last || wait > merchant.DefaultRetryMost {
			t.Fatalf("attempt %d: %+v, after a wait of %s", attempts, report, last)
		}
		found := unsettledOf(t, m, merchant.UnsettledOptions{States: []merchant.TradeState{merchant.Sent}, OlderThan: now.Sub(Morning())}, now)
		if len(found) != 1 || found[0].Attempts != attempts || found[0].Age != now.Sub(Morning()) || found[0].Why() != "UNKNOWN" || !found[0].NextTry.Equal(report.NextDue) {
			t.Fatalf("attempt %d: %+v", attempts, found)
		}
		now, last = report.NextDue, wait
	}
	if last != merchant.DefaultRetryMost || attempts < 7*24 {
		t.Errorf("%d attempts, the last after %s", attempts, last)
	}
	checkReasons(t, m, now)
	outcome = openapi.OutcomeSuccess
	settle(t, m, now)
	if found := unsettledOf(t, m, merchant.UnsettledOptions{}, now); len(found) != 0 {
		t.Errorf("settled, and still there: %+v", found)
	}
}

func checkReasons(t *testing.T, m *merchant.Merchant, now time.Time) {
	t.Helper()
	var sums merchant.ReasonSums
	for _, trade := range unsettledOf(t, m, merchant.UnsettledOptions{}, now) {
		if err := sums.Add(trade); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "by reason", sums.Sums(), []merchant.ReasonSum{{State: merchant.Sent, Why: "UNKNOWN", Count: 1, SumFen: 200, Oldest: now.Sub(Morning())}})
	if found := unsettledOf(t, m, merchant.UnsettledOptions{OlderThan: now.Sub(Morning()) + 1}, now); len(found) != 0 {
		t.Errorf("older than it is: %+v", found)
	}
	for _, err := range m.Unsettled(t.Context(), merchant.UnsettledOptions{States: []merchant.TradeState{merchant.Settled}}, now) {
		if err == nil {
			t.Error("SETTLED is listed as not settled")
		}
	}
}

// testSettledAt: when a trade settled is kept, from the time that the caller gave, and an answer that comes again
// does not move it.
func testSettledAt(t *testing.T, open Open) {
	store, again, end := open(t)
	defer end()
	city := NewCity(t)
	bank := settlerFunc(func(trades []openapi.Trade) ([]openapi.TradeResult, error) {
		return []openapi.TradeResult{{Outcome: openapi.OutcomeSuccess, OutTradeNo: trades[0].OutTradeNo, TradeNo: "2026"}}, nil
	})
	m := city.Merchant(t, store, bank, nil)
	collect(t, m, Morning(), city.Bus(t, 1, Morning()))
	at := Morning().Add(time.Minute + time.Nanosecond)
	settle(t, m, at)
	settle(t, m, at.Add(time.Hour))
	m = city.Merchant(t, again(), bank, nil)
	if settled := trades(t, m, merchant.Settled); len(settled) != 1 || !settled[0].Settled.Equal(at.Truncate(time.Microsecond)) {
		t.Errorf("%+v", settled)
	}
}
