// Package storetest holds a reconcile.Store (对账与差错) to its word, and reconciliation over it: one suite for
// every implementation.
//
// It knows nothing of any database. Its trades are written through merchant.Store, its bills are real files.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
	"github.com/shuama/shuama/role/merchant/reconcile"
)

// Books is an empty store under test, with the merchant's trades beside it.
type Books struct {
	Store  reconcile.Store
	Trades merchant.Store
}

// Open makes empty books. again ends them, as far as that can be done in one process, and opens the same file
// again; the books must not be used after it. end ends whatever is open.
type Open = func(t testing.TB) (books Books, again func() Books, end func())

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"Bills", testBills},
		{"Settled", testSettled},
		{"Facts", testFacts},
		{"Moves", testMoves},
		{"DecideError", testDecideError},
		{"Refused", testRefused},
		{"Replaced", testReplaced},
		{"Carried", testCarried},
		{"SettledSince", testSettledSince},
		{"ByPerson", testByPerson},
		{"Days", testDays},
		{"UnbilledRefunds", testUnbilledRefunds},
		{"AnyCorruption", testAnyCorruption},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// App is whose bills these are.
const App = "2021000000000001"

// FirstDay is the first day of the tests.
const FirstDay reconcile.Day = 20783 // 2026-11-26

// At is a moment of an accounting day that ends at midnight.
func At(day reconcile.Day, after time.Duration) time.Time {
	from, _ := day.Bounds(24 * time.Hour)
	return from.Add(after)
}

// Trade is one that a merchant has.
type Trade struct {
	Number    string
	AmountFen money.Fen
	State     merchant.TradeState
	TradeNo   string
	Settled   time.Time
	Refunds   []reconcile.Refund
}

// WriteTrades writes trades as a merchant makes them: each of a record of its own.
func WriteTrades(t testing.TB, store merchant.Store, trades ...Trade) {
	t.Helper()
	var made, moved, refunded merchant.Changes
	for _, trade := range trades {
		raw := []byte("record of " + trade.Number)
		tap := merchant.Tap{Record: record.Identify(raw), Rider: merchant.Rider{UserID: "2088000000000001", CardType: ridecode.PlainCardType, CardNo: "1"},
			Kind: record.Single, At: At(FirstDay, time.Hour), Line: "19"}
		made.Records = append(made.Records, merchant.StoredRecord{ID: tap.Record, Bytes: raw, Received: tap.At})
		made.Taps = append(made.Taps, tap)
		made.Trades = append(made.Trades, merchant.Trade{OutTradeNo: openapi.OutTradeNo(trade.Number), Trip: merchant.Trip{Start: tap}, Held: []record.ID{tap.Record},
			OrderTime: tap.At, Subject: "bus", AmountFen: trade.AmountFen, BizContext: "{}", Lines: []fare.Line{{Kind: fare.Base, Why: "flat", AmountFen: trade.AmountFen}},
			Progress: merchant.Progress{State: merchant.Waiting, NextTry: tap.At}})
		if trade.State != merchant.Waiting {
			moved.Progress = append(moved.Progress, progressOf(trade))
		}
		for _, refund := range trade.Refunds {
			refunded.Refunds = append(refunded.Refunds, merchant.Refund{Number: refund.Number, OutTradeNo: openapi.OutTradeNo(trade.Number), AmountFen: refund.AmountFen,
				Reason: "too much", Named: tap.At})
		}
	}
	for _, changes := range []merchant.Changes{made, moved, refunded} {
		if err := write(store, changes); err != nil {
			t.Fatal(err)
		}
	}
}

func progressOf(trade Trade) merchant.TradeProgress {
	return merchant.TradeProgress{OutTradeNo: openapi.OutTradeNo(trade.Number), Progress: merchant.Progress{State: trade.State, Attempts: 1, NextTry: At(FirstDay, 0),
		TradeNo: openapi.TradeNo(trade.TradeNo), Settled: trade.Settled, Reason: "asked"}}
}

func write(store merchant.Store, changes merchant.Changes) error {
	return store.Update(context.Background(), merchant.Need{}, func(merchant.State) (merchant.Changes, error) { return changes, nil })
}

// BillOf is a bill's file, as the platform writes it.
func BillOf(t failing, day reconcile.Day, lines ...bill.Line) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := bill.NewWriter(&out, bill.Head{App: App, Merchant: "merchant:transit", Date: day.String()})
	for _, line := range lines {
		err = errors.Join(err, w.Write(line))
	}
	_, closing := w.Close()
	if err := errors.Join(err, closing); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// SourceOf reads a file from memory.
func SourceOf(file []byte) reconcile.Source {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(file)), nil }
}

// NumberOf is the trade_no of the n-th trade.
func NumberOf(n int) string { return fmt.Sprintf("20261126%020d", n) }

func lineOf(day reconcile.Day, n int, amountFen money.Fen) bill.Line {
	return bill.Line{Kind: bill.Trade, TradeNo: NumberOf(n), OutTradeNo: fmt.Sprint("T", n), Subject: "bus", At: At(day, time.Hour), AmountFen: amountFen}
}

func settledTrade(n int, at time.Time, amountFen money.Fen) Trade {
	return Trade{Number: fmt.Sprint("T", n), AmountFen: amountFen, State: merchant.Settled, TradeNo: NumberOf(n), Settled: at}
}

func newReconciler(t failing, store reconcile.Store) *reconcile.Reconciler {
	t.Helper()
	r, err := reconcile.New(store, reconcile.Config{App: App})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run takes a bill in, and wants its sums to prove themselves.
func run(t failing, store reconcile.Store, day reconcile.Day, file []byte, replace bool) reconcile.Summary {
	t.Helper()
	summary, err := newReconciler(t, store).Reconcile(context.Background(), day, SourceOf(file), reconcile.Options{Replace: replace}, At(day+1, 9*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if !summary.AddsUp() {
		t.Fatalf("the sums do not prove themselves: %+v", summary)
	}
	return summary
}

// unresolved are the differences that stand.
func unresolved(t testing.TB, store reconcile.Store) map[reconcile.Content]reconcile.State {
	t.Helper()
	found := map[reconcile.Content]reconcile.State{}
	for _, difference := range list(t, store, false) {
		found[difference.Content] = difference.State
	}
	return found
}

func list(t testing.TB, store reconcile.Store, all bool) (found []reconcile.Difference) {
	t.Helper()
	for difference, err := range newReconciler(t, store).Differences(context.Background(), all) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, difference)
	}
	return found
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n%+v, want\n%+v", what, got, want)
	}
}

// failing is what testing.TB and rapid.T have in common.
type failing interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}
