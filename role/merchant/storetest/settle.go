package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant"
)

// settlerFunc is one scripted answer.
type settlerFunc func([]openapi.Trade) ([]openapi.TradeResult, error)

func (f settlerFunc) Settle(_ context.Context, trades []openapi.Trade) ([]openapi.TradeResult, error) {
	return f(trades)
}

func settle(t testing.TB, m *merchant.Merchant, now time.Time) merchant.Report {
	t.Helper()
	report, err := m.SettleDue(context.Background(), now)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// oneBus is a store with one trade, and a merchant whose settler is answer.
func oneBus(t *testing.T, open Open, answer *settlerFunc) *merchant.Merchant {
	store, _, end := open(t)
	t.Cleanup(end)
	city := NewCity(t)
	m := city.Merchant(t, store, settlerFunc(func(trades []openapi.Trade) ([]openapi.TradeResult, error) { return (*answer)(trades) }), nil)
	collect(t, m, Morning(), city.Bus(t, 1, Morning()))
	return m
}

// testSettleRules goes through document 2 §4.2.3.2 with one trade each.
func testSettleRules(t *testing.T, open Open) {
	minute := func(n int) time.Time { return Morning().Add(time.Duration(n) * time.Minute) }
	for _, c := range []struct {
		name    string
		result  openapi.TradeResult
		fault   error
		state   merchant.TradeState
		nextTry time.Time
		reason  string
	}{
		{name: "success", result: openapi.TradeResult{Outcome: openapi.OutcomeSuccess, TradeNo: "2015"}, state: merchant.Settled},
		{name: "fail", result: openapi.TradeResult{Outcome: openapi.OutcomeFail, ErrorCode: "RECORD_USED", ErrorMessage: "a\x00b"}, state: merchant.Failed, reason: "FAIL: RECORD_USED: ab"},
		{name: "fail, retry", result: openapi.TradeResult{Outcome: openapi.OutcomeFail, NeedRetry: true}, state: merchant.Sent, nextTry: minute(1), reason: "FAIL"},
		{name: "fail, retry at", result: openapi.TradeResult{Outcome: openapi.OutcomeFail, NeedRetry: true, NextRetry: minute(90)}, state: merchant.Sent, nextTry: minute(90), reason: "FAIL"},
		{name: "fail, retry in the past", result: openapi.TradeResult{Outcome: openapi.OutcomeFail, NeedRetry: true, NextRetry: minute(0)}, state: merchant.Sent, nextTry: minute(1), reason: "FAIL"},
		{name: "fail, retry in a hundred years", result: openapi.TradeResult{Outcome: openapi.OutcomeFail, NeedRetry: true, NextRetry: Morning().AddDate(100, 0, 0)}, state: merchant.Sent, nextTry: Morning().AddDate(0, 0, 7), reason: "FAIL"},
		{name: "unknown", result: openapi.TradeResult{Outcome: openapi.OutcomeUnknown}, state: merchant.Sent, nextTry: minute(1), reason: "UNKNOWN"},
		{name: "lost", fault: ErrLost, state: merchant.Sent, nextTry: minute(1), reason: "not answered: " + ErrLost.Error()},
		{name: "left out", state: merchant.Sent, nextTry: minute(1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := settlerFunc(func(trades []openapi.Trade) ([]openapi.TradeResult, error) {
				if c.result.Outcome == "" {
					return nil, c.fault
				}
				c.result.OutTradeNo = trades[0].OutTradeNo
				return []openapi.TradeResult{c.result}, nil
			})
			m := oneBus(t, open, &answer)
			report := settle(t, m, Morning())
			got := trades(t, m, c.state)
			if len(got) != 1 {
				t.Fatalf("%d trades in %s, report %+v", len(got), c.state, report)
			}
			if got[0].Reason != c.reason || got[0].TradeNo != c.result.TradeNo || got[0].Attempts != 1 {
				t.Errorf("progress %+v", got[0].Progress)
			}
			if !report.NextDue.Equal(c.nextTry) || !errors.Is(report.Fault, c.fault) || report.Sent != 1 || report.Settled+report.Failed+report.Postponed != 1 {
				t.Errorf("report %+v", report)
			}
			if again := settle(t, m, Morning().Add(59*time.Second)); again.Sent != 0 {
				t.Errorf("sent before it was due: %+v", again)
			}
		})
	}
}

// testSettleStrange: results that fit nothing change nothing, and are told.
func testSettleStrange(t *testing.T, open Open) {
	var answer settlerFunc
	m := oneBus(t, open, &answer)
	number := trades(t, m, merchant.Waiting)[0].OutTradeNo
	success := openapi.TradeResult{Outcome: openapi.OutcomeSuccess, OutTradeNo: number, TradeNo: "1"}
	foreign, fail := success, openapi.TradeResult{Outcome: openapi.OutcomeFail, OutTradeNo: number}
	foreign.OutTradeNo = "another\n"
	now := Morning()
	for _, results := range [][]openapi.TradeResult{{foreign}, {success, fail}, {fail, success, fail}} {
		answer = func([]openapi.Trade) ([]openapi.TradeResult, error) { return results, nil }
		report := settle(t, m, now)
		if len(report.Strange) != 1 || report.Postponed != 1 || strings.Contains(report.Strange[0], "\n") {
			t.Errorf("report %+v", report)
		}
		now = report.NextDue
	}
	answer = func([]openapi.Trade) ([]openapi.TradeResult, error) {
		return []openapi.TradeResult{success, success}, nil
	}
	if report := settle(t, m, now); report.Settled != 1 || len(report.Strange) != 0 || !report.NextDue.IsZero() {
		t.Errorf("report %+v", report)
	}
}

// testSettleFault: the waits double up to a bound, and all attempts are the same.
func testSettleFault(t *testing.T, open Open) {
	bank := NewBank(nil)
	bank.Manner = func() Manner { return LostAnswer }
	answer := settlerFunc(func(trades []openapi.Trade) ([]openapi.TradeResult, error) {
		return bank.Settle(t.Context(), trades)
	})
	m := oneBus(t, open, &answer)
	now, waits := Morning(), []time.Duration{}
	for range 9 {
		report := settle(t, m, now)
		waits, now = append(waits, report.NextDue.Sub(now)/time.Minute), report.NextDue
	}
	same(t, "waits, minutes", waits, []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60})
	bank.Manner = func() Manner { return Honest }
	report := settle(t, m, now)
	if report.Settled+report.Failed != 1 || bank.Attempts != 10 || len(bank.Faults) != 0 || len(bank.Moved())+len(bank.Refused()) != 1 {
		t.Errorf("report %+v, attempts %d, faults %q", report, bank.Attempts, bank.Faults)
	}
}

// testSettleRefusedBatch: one trade that the platform cannot read does not hold up the others.
func testSettleRefusedBatch(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city := NewCity(t)
	var poison openapi.OutTradeNo
	requests := 0
	m := city.Merchant(t, store, settlerFunc(func(trades []openapi.Trade) (results []openapi.TradeResult, err error) {
		requests++
		for _, trade := range trades {
			if trade.OutTradeNo == poison {
				return nil, fmt.Errorf("gateway: %w", openapi.Refuse(openapi.SubIllegalParams, ""))
			}
			results = append(results, openapi.TradeResult{Outcome: openapi.OutcomeSuccess, OutTradeNo: trade.OutTradeNo})
		}
		return results, nil
	}), func(c *merchant.Config) { c.SettleBatch = 16 })
	for i := range 20 {
		collect(t, m, Morning(), city.Bus(t, i, Morning()))
	}
	poison = trades(t, m, merchant.Waiting)[5].OutTradeNo
	report := settle(t, m, Morning())
	if report.Sent != 20 || report.Settled != 19 || report.Postponed != 1 || report.Fault != nil || requests > 12 {
		t.Errorf("report %+v after %d requests", report, requests)
	}
	if sent := trades(t, m, merchant.Sent); len(sent) != 1 || sent[0].OutTradeNo != poison || !strings.Contains(sent[0].Reason, "ILLEGAL_PARAMS") {
		t.Errorf("left: %+v", sent)
	}
}

// testSettleBatches: requests are bounded by count and by size, and a fault ends the run.
func testSettleBatches(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city, bank := NewCity(t), NewBank(nil)
	var sizes []int
	settler := settlerFunc(func(trades []openapi.Trade) ([]openapi.TradeResult, error) {
		sizes = append(sizes, len(trades))
		return bank.Settle(t.Context(), trades)
	})
	m := city.Merchant(t, store, settler, nil)
	for i := range 17 {
		collect(t, m, Morning(), city.Bus(t, i, Morning()))
	}
	bank.Manner = func() Manner { return LostRequest }
	if report := settle(t, m, Morning()); report.Sent != 7 || !errors.Is(report.Fault, ErrLost) || !report.NextDue.Equal(Morning()) {
		t.Errorf("report %+v", report)
	}
	bank.Manner, sizes = func() Manner { return Honest }, nil
	if report := settle(t, m, Morning()); report.Sent != 10 || report.Postponed != 0 {
		t.Errorf("report %+v", report)
	}
	same(t, "batches", sizes, []int{7, 3})
	for i := range 150 { // 3.9 KB each, twice that on the wire
		ride := Ride{Phone: i, Kind: record.Single, At: Morning().Add(time.Second), Line: "19", RecordID: fmt.Sprint(i)}
		collect(t, m, Morning(), withTerminal(t, city.Record(t, ride), fmt.Sprintf(`{"pos_id":"1","type":"SINGLE","subject":"","line":"19","record_id":"%d","x":[%q]}`, i, strings.Repeat("x", 3400))))
	}
	big := city.Merchant(t, store, settler, func(c *merchant.Config) { c.SettleBatch = merchant.MaxSettleBatch })
	if report := settle(t, big, Morning().Add(time.Second)); report.Sent != 150 || len(bank.Faults) != 0 || slices.Max(sizes) < 50 {
		t.Errorf("report %+v, batches %v, faults %q", report, sizes, bank.Faults)
	}
}

// testLossyBank: whatever gets lost, each trade ends in exactly one final state, that of the bank.
func testLossyBank(t *testing.T, open Open) {
	city := NewCity(t)
	rapid.Check(t, func(rt *rapid.T) {
		store, _, end := open(t)
		defer end()
		var records [][]byte
		for _, ride := range drawRides(rt) {
			records = append(records, city.Record(t, ride))
		}
		batches := drawBatches(rt, records)
		bank, now := NewBank(nil), Morning()
		bank.Now = func() time.Time { return now }
		bank.Manner = RandomManner(rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)))
		m := city.Merchant(t, store, bank, nil)
		for _, batch := range batches {
			collect(t, m, now, batch...)
			if rapid.Bool().Draw(rt, "settle between") {
				settle(t, m, now)
				now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(rt, "pause")) * time.Second)
			}
		}
		settleAll(rt, t, m, &now)
		checkFinal(rt, t, m, bank)
	})
}

// settleAll goes on until nothing is due any more.
func settleAll(rt *rapid.T, t *testing.T, m *merchant.Merchant, now *time.Time) {
	for range 1000 {
		report := settle(t, m, *now)
		if report.NextDue.IsZero() {
			return
		}
		if report.NextDue.After(*now) {
			*now = report.NextDue
		}
	}
	rt.Fatal("it never ends")
}

type fatal interface{ Fatalf(string, ...any) }

// CheckFinal wants each trade final, exactly once, and as the bank has it.
func CheckFinal(t testing.TB, m *merchant.Merchant, bank *Bank) { checkFinal(t, t, m, bank) }

func checkFinal(ft fatal, t testing.TB, m *merchant.Merchant, bank *Bank) {
	t.Helper()
	if left := len(trades(t, m, merchant.Waiting)) + len(trades(t, m, merchant.Sent)); left != 0 {
		ft.Fatalf("%d trades have no final state", left)
	}
	settled, failed := trades(t, m, merchant.Settled), trades(t, m, merchant.Failed)
	if !slices.Equal(numbersOf(settled), bank.Moved()) || !slices.Equal(numbersOf(failed), bank.Refused()) {
		ft.Fatalf("the merchant has %q settled and %q failed, the bank %q and %q", numbersOf(settled), numbersOf(failed), bank.Moved(), bank.Refused())
	}
	for _, trade := range settled {
		if trade.TradeNo != tradeNoOf(trade.OutTradeNo) {
			ft.Fatalf("trade %q has the number of another", trade.OutTradeNo)
		}
	}
	if len(bank.Faults) != 0 {
		ft.Fatalf("%q", bank.Faults)
	}
}

// testConcurrent: collectors and settlers side by side, all with the same records.
func testConcurrent(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city, bank := NewCity(t), NewBank(nil)
	bank.Manner = RandomManner(rand.New(rand.NewPCG(1, 2)))
	m := city.Merchant(t, store, bank, func(c *merchant.Config) { c.RetryFirst, c.RetryMost = time.Microsecond, time.Microsecond })
	var records [][]byte
	for i := range 30 {
		at := Morning().Add(time.Duration(i) * time.Second)
		records = append(records, city.Bus(t, i, at), city.Metro(t, i, record.Entry, at, "Xujiahui"), city.Metro(t, i, record.Exit, at.Add(time.Hour), "杨高中路"))
	}
	var workers sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() {
			for i := range records {
				from := (i + worker/2*20) % len(records) // in pairs, so that two bring the same at once
				if _, err := m.Collect(t.Context(), records[from:min(from+5, len(records))], Morning()); err != nil {
					t.Error(err)
				}
				if _, err := m.SettleDue(t.Context(), Morning().Add(time.Duration(i)*time.Second)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	for i := range 1000 {
		if report := settle(t, m, Morning().AddDate(0, 0, i+1)); report.NextDue.IsZero() {
			break
		}
	}
	CheckFinal(t, m, bank)
	if got := len(bank.Moved()) + len(bank.Refused()); got != 60 {
		t.Errorf("%d trades, want 60", got)
	}
}
