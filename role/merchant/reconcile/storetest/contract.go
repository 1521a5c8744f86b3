package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/reconcile"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantMoved(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.Is(err, reconcile.ErrMoved) {
		t.Errorf("%s: %v, want ErrMoved", what, err)
	}
}

func bills(t testing.TB, store reconcile.Store) []reconcile.Bill {
	t.Helper()
	all, err := store.Bills(context.Background())
	must(t, err)
	return all
}

// keep takes a bill in by hand.
func keep(t testing.TB, store reconcile.Store, b reconcile.Bill, replaced int64, lines ...bill.Line) reconcile.Bill {
	t.Helper()
	for _, line := range lines {
		total := &b.Totals.Trades
		if line.Kind == bill.Refund {
			total = &b.Totals.Refunds
		}
		total.Count, total.SumFen = total.Count+1, total.SumFen+line.AmountFen
	}
	begun, err := store.Begin(t.Context(), b)
	must(t, err)
	must(t, store.AddLines(t.Context(), begun.No, 0, lines))
	must(t, store.Accept(t.Context(), begun.No, replaced, At(b.Day+1, 0)))
	return begun
}

// testBills: a bill counts once it is whole, and until it is replaced.
func testBills(t *testing.T, open Open) {
	books, again, end := open(t)
	defer end()
	begun := reconcile.Bill{Day: FirstDay, Digest: [32]byte{1}, Begun: At(FirstDay+1, time.Microsecond), Totals: bill.Totals{Trades: bill.Total{Count: 2, SumFen: 5}, Refunds: bill.Total{Count: 1, SumFen: 3}}}
	got, err := books.Store.Begin(t.Context(), begun)
	must(t, err)
	begun.No = got.No
	same(t, "begun", got, begun)
	lines := []bill.Line{lineOf(FirstDay, 1, 2), lineOf(FirstDay, 2, 3), lineOf(FirstDay, 1, 3)}
	lines[2].Kind, lines[2].RequestNo = bill.Refund, "R'1"
	must(t, books.Store.AddLines(t.Context(), got.No, 0, lines[:1]))
	wantMoved(t, "the same lines again", books.Store.AddLines(t.Context(), got.No, 0, lines[:1]))
	if err := books.Store.Accept(t.Context(), got.No, 0, At(FirstDay+1, 0)); err == nil {
		t.Error("a bill that is not whole was accepted")
	}
	books = again()
	begun.Lines = 1
	got, err = books.Store.Begin(t.Context(), reconcile.Bill{Day: FirstDay, Digest: [32]byte{1}, Begun: At(FirstDay+9, 0), Totals: begun.Totals})
	must(t, err)
	same(t, "begun again", got, begun)
	facts, err := books.Store.View(t.Context(), []openapi.OutTradeNo{"T1"})
	must(t, err)
	same(t, "lines that do not count", facts, []reconcile.Facts{{OutTradeNo: "T1"}})
	must(t, books.Store.AddLines(t.Context(), got.No, 1, lines[1:]))
	if err := books.Store.AddLines(t.Context(), got.No, 3, lines[:1]); err == nil {
		t.Error("a line more than the totals say")
	}
	wantMoved(t, "in place of none", books.Store.Accept(t.Context(), got.No, 7, At(FirstDay+1, 0)))
	must(t, books.Store.Accept(t.Context(), got.No, 0, At(FirstDay+1, 0)))
	wantMoved(t, "accepted twice", books.Store.Accept(t.Context(), got.No, got.No, At(FirstDay+1, 0)))
	must(t, books.Store.MarkCompared(t.Context(), got.No, At(FirstDay+1, 0)))
	second := keep(t, books.Store, reconcile.Bill{Day: FirstDay, Digest: [32]byte{2}, Begun: begun.Begun}, got.No, lines[0])
	books = again()
	begun.Lines, begun.Accepted, begun.Compared, begun.Replaced = 3, true, true, second.No
	second.Lines, second.Accepted = 1, true
	same(t, "all bills", bills(t, books.Store), []reconcile.Bill{begun, second})
	numbers, err := books.Store.Billed(t.Context(), begun.No, 1, 9)
	must(t, err)
	same(t, "lines of a bill that was replaced", numbers, []openapi.OutTradeNo{"T2", "T1"})
	facts, err = books.Store.View(t.Context(), []openapi.OutTradeNo{"T2", "T1"})
	must(t, err)
	same(t, "lines that count", facts, []reconcile.Facts{{OutTradeNo: "T2"}, {OutTradeNo: "T1", Lines: []reconcile.Line{
		{Day: FirstDay, No: 1, Kind: bill.Trade, TradeNo: NumberOf(1), At: lines[0].At, AmountFen: 2}}}})
}

// testSettled: trades come in the order in which they settled, from one instant on and before another.
func testSettled(t *testing.T, open Open) {
	books, _, end := open(t)
	defer end()
	noon := At(FirstDay, 12*time.Hour)
	card := settledTrade(9, noon, 100)
	card.TradeNo = "CARD00000000000000000007"
	before := settledTrade(8, time.Time{}, 100) // settled before the time was kept
	waiting := Trade{Number: "W", AmountFen: 1, State: merchant.Waiting}
	WriteTrades(t, books.Trades, settledTrade(2, noon, 2), settledTrade(1, noon, 1), settledTrade(3, noon.Add(time.Microsecond), 4), settledTrade(4, noon.Add(-1), 8), card, before, waiting)
	for _, count := range []int{1, 2, 9} {
		var numbers []openapi.OutTradeNo
		for after := (reconcile.Mark{}); ; {
			page, err := books.Store.Settled(t.Context(), noon, noon.Add(time.Second), after, count)
			must(t, err)
			if len(page) == 0 {
				break
			}
			for _, mark := range page {
				numbers, after = append(numbers, mark.OutTradeNo), mark
			}
		}
		same(t, "settled", numbers, []openapi.OutTradeNo{"T2", "T1", "T3"})
	}
	for _, c := range []struct {
		from, to time.Time
		want     bill.Total
	}{{noon, noon.Add(time.Microsecond), bill.Total{Count: 2, SumFen: 3}}, {noon, noon.Add(time.Second), bill.Total{Count: 3, SumFen: 7}},
		{noon.Add(time.Hour), noon.Add(2 * time.Hour), bill.Total{}}} {
		got, err := books.Store.SettledTotal(t.Context(), c.from, c.to)
		must(t, err)
		same(t, "total", got, c.want)
	}
}

func testFacts(t *testing.T, open Open) {
	books, again, end := open(t)
	defer end()
	trade := settledTrade(1, At(FirstDay, time.Hour), 500)
	trade.Refunds = []reconcile.Refund{{Number: "R2", AmountFen: 100}, {Number: "R1", AmountFen: 50}}
	WriteTrades(t, books.Trades, trade, Trade{Number: "T2", AmountFen: 7, State: merchant.Failed})
	books = again()
	facts, err := books.Store.View(t.Context(), []openapi.OutTradeNo{"none", "T2", "T1"})
	must(t, err)
	same(t, "facts", facts, []reconcile.Facts{{OutTradeNo: "none"}, {OutTradeNo: "T2", Trade: reconcile.Trade{State: merchant.Failed, AmountFen: 7}},
		{OutTradeNo: "T1", Trade: reconcile.Trade{State: merchant.Settled, TradeNo: openapi.TradeNo(NumberOf(1)), AmountFen: 500, Settled: At(FirstDay, time.Hour)}, Refunds: trade.Refunds}})
}

func move(t testing.TB, store reconcile.Store, moves ...reconcile.Move) error {
	return store.Update(context.Background(), []openapi.OutTradeNo{"T1"}, func([]reconcile.Facts) ([]reconcile.Move, error) { return moves, nil })
}

// testMoves: a history is only added to, and its last step is how the difference stands.
func testMoves(t *testing.T, open Open) {
	books, again, end := open(t)
	defer end()
	content := reconcile.Content{Kind: reconcile.MissingThere, OutTradeNo: "T1", Day: FirstDay, OwnFen: 200}
	step := func(state reconcile.State, person string) reconcile.Step {
		return reconcile.Step{At: At(FirstDay, time.Microsecond), State: state, Person: person, Reason: "why'"}
	}
	other := content
	other.Place, other.OutTradeNo = 1, "T2"
	must(t, move(t, books.Store, reconcile.Move{Content: content, Step: step(reconcile.Open, "")}, reconcile.Move{Content: content, Step: step(reconcile.Carried, "")}))
	must(t, move(t, books.Store, reconcile.Move{Content: other, Step: step(reconcile.Open, "")}))
	must(t, move(t, books.Store, reconcile.Move{Content: content, Step: step(reconcile.Resolved, "Li 李")}))
	books = again()
	found := list(t, books.Store, true)
	want := []reconcile.Difference{
		{No: found[0].No, Content: content, State: reconcile.Resolved, Steps: []reconcile.Step{step(reconcile.Open, ""), step(reconcile.Carried, ""), step(reconcile.Resolved, "Li 李")}},
		{No: found[1].No, Content: other, State: reconcile.Open, Steps: []reconcile.Step{step(reconcile.Open, "")}}}
	same(t, "all", found, want)
	same(t, "unresolved", list(t, books.Store, false), want[1:])
	page, err := books.Store.Differences(t.Context(), true, found[0].No, 1)
	must(t, err)
	same(t, "a page", page, want[1:])
	facts, err := books.Store.View(t.Context(), []openapi.OutTradeNo{"T1"})
	must(t, err)
	want[0].Steps = want[0].Steps[2:]
	same(t, "found before", facts, []reconcile.Facts{{OutTradeNo: "T1", Differences: want[:1]}})
	for name, wrong := range map[string]reconcile.Move{
		"a step to where it is":   {Content: other, Step: step(reconcile.Open, "")},
		"no reason":               {Content: other, Step: reconcile.Step{At: At(FirstDay, 0), State: reconcile.Carried}},
		"no state":                {Content: other, Step: reconcile.Step{At: At(FirstDay, 0), Reason: "x"}},
		"a person who opens":      {Content: content, Step: step(reconcile.Open, "Li")},
		"an amount below nothing": {Content: reconcile.Content{Kind: reconcile.Amount, OutTradeNo: "T3", OwnFen: -1}, Step: step(reconcile.Open, "")},
	} {
		if err := move(t, books.Store, wrong); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	same(t, "after all that", list(t, books.Store, true), found)
}

func testDecideError(t *testing.T, open Open) {
	books, _, end := open(t)
	defer end()
	stop := errors.New("stop")
	err := books.Store.Update(t.Context(), []openapi.OutTradeNo{"T1"}, func([]reconcile.Facts) ([]reconcile.Move, error) {
		return []reconcile.Move{{Content: reconcile.Content{Kind: reconcile.Amount, OutTradeNo: "T1"}, Step: reconcile.Step{State: reconcile.Open, Reason: "x"}}}, stop
	})
	if !errors.Is(err, stop) || len(list(t, books.Store, true)) != 0 {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := books.Store.Update(ctx, nil, func([]reconcile.Facts) ([]reconcile.Move, error) { return nil, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
}

// testRefused: a bill that is not whole, not ours or not the day's leaves nothing behind.
func testRefused(t *testing.T, open Open) {
	books, _, end := open(t)
	defer end()
	file := BillOf(t, FirstDay, lineOf(FirstDay, 1, 200), lineOf(FirstDay, 2, 300))
	changed := append([]byte(nil), file...)
	changed[len(changed)/2] ^= 1
	r := newReconciler(t, books.Store)
	try := func(file []byte, day reconcile.Day) error {
		_, err := r.Reconcile(t.Context(), day, SourceOf(file), reconcile.Options{}, At(FirstDay+1, 0))
		return err
	}
	var wrong *bill.LineError
	if err := try(changed, FirstDay); !errors.As(err, &wrong) {
		t.Errorf("changed: %v", err)
	}
	if err := try(file[:len(file)-70], FirstDay); !errors.As(err, &wrong) {
		t.Errorf("cut off: %v", err)
	}
	if err := try(file, FirstDay+1); !errors.Is(err, reconcile.ErrOtherDay) {
		t.Errorf("another day: %v", err)
	}
	others, err := reconcile.New(books.Store, reconcile.Config{App: "2021000000000002"})
	must(t, err)
	if _, err := others.Reconcile(t.Context(), FirstDay, SourceOf(file), reconcile.Options{}, At(FirstDay+1, 0)); !errors.Is(err, reconcile.ErrNotOurs) {
		t.Errorf("another app: %v", err)
	}
	if len(bills(t, books.Store)) != 0 || len(list(t, books.Store, true)) != 0 {
		t.Error("something was left behind")
	}
}

// testReplaced: another bill of a day is refused, unless it replaces; the history says so.
func testReplaced(t *testing.T, open Open) {
	books, _, end := open(t)
	defer end()
	WriteTrades(t, books.Trades, settledTrade(1, At(FirstDay, 12*time.Hour), 200), settledTrade(2, At(FirstDay, 12*time.Hour), 300))
	first := BillOf(t, FirstDay, lineOf(FirstDay, 1, 200), lineOf(FirstDay, 3, 900))
	second := BillOf(t, FirstDay, lineOf(FirstDay, 1, 250), lineOf(FirstDay, 2, 300))
	run(t, books.Store, FirstDay, first, false)
	if summary := run(t, books.Store, FirstDay, first, false); !summary.Known || summary.Replaces {
		t.Errorf("%+v", summary)
	}
	_, err := newReconciler(t, books.Store).Reconcile(t.Context(), FirstDay, SourceOf(second), reconcile.Options{}, At(FirstDay+1, 0))
	if !errors.Is(err, reconcile.ErrOtherContent) || len(bills(t, books.Store)) != 1 {
		t.Errorf("another content: %v", err)
	}
	if summary := run(t, books.Store, FirstDay, second, true); summary.Known || !summary.Replaces {
		t.Errorf("%+v", summary)
	}
	same(t, "unresolved", unresolved(t, books.Store), map[reconcile.Content]reconcile.State{
		{Kind: reconcile.Amount, OutTradeNo: "T1", Day: FirstDay, OwnFen: 200, BilledFen: 250}: reconcile.Open})
	run(t, books.Store, FirstDay, first, true)
	states := map[reconcile.Kind][]reconcile.State{}
	for _, difference := range list(t, books.Store, true) {
		for _, step := range difference.Steps {
			states[difference.Kind] = append(states[difference.Kind], step.State)
		}
	}
	same(t, "histories", states, map[reconcile.Kind][]reconcile.State{
		reconcile.Amount: {reconcile.Open, reconcile.Resolved}, reconcile.MissingHere: {reconcile.Open, reconcile.Resolved, reconcile.Open},
		reconcile.MissingThere: {reconcile.Open, reconcile.Resolved, reconcile.Open}})
}

// testCarried: what settled near to the cut-off waits for the neighbouring bill, and is closed by it, or opens.
func testCarried(t *testing.T, open Open) {
	books, again, end := open(t)
	defer end()
	night := At(FirstDay, 24*time.Hour-time.Minute)
	WriteTrades(t, books.Trades, settledTrade(1, night, 200), settledTrade(2, night, 300), settledTrade(3, At(FirstDay, 12*time.Hour), 400))
	summary := run(t, books.Store, FirstDay, BillOf(t, FirstDay), false)
	same(t, "carried", []bill.Total{summary.Own, summary.Open, summary.Carried}, []bill.Total{{Count: 3, SumFen: 900}, {Count: 1, SumFen: 400}, {Count: 2, SumFen: 500}})
	books = again()
	summary = run(t, books.Store, FirstDay+1, BillOf(t, FirstDay+1, lineOf(FirstDay+1, 1, 200)), false)
	same(t, "closed", []bill.Total{summary.OtherDay, summary.Open, summary.Carried}, []bill.Total{{Count: 1, SumFen: 200}, {Count: 2, SumFen: 700}, {}})
	var states []reconcile.State
	for _, difference := range list(t, books.Store, true) {
		for _, step := range difference.Steps {
			states = append(states, step.State)
		}
	}
	same(t, "histories", states, []reconcile.State{reconcile.Open, reconcile.Open, reconcile.Carried, reconcile.Resolved, reconcile.Open, reconcile.Carried, reconcile.Open})
	summary = run(t, books.Store, FirstDay, BillOf(t, FirstDay), false)
	same(t, "the first day again", summary.OtherBill, bill.Total{Count: 1, SumFen: 200})
}

// testSettledSince: a trade that was billed before its answer came is no difference once it has.
func testSettledSince(t *testing.T, open Open) {
	books, _, end := open(t)
	defer end()
	WriteTrades(t, books.Trades, Trade{Number: "T1", AmountFen: 200, State: merchant.Sent})
	file := BillOf(t, FirstDay, lineOf(FirstDay, 1, 200))
	if summary := run(t, books.Store, FirstDay, file, false); summary.Open.Count != 1 {
		t.Errorf("%+v", summary)
	}
	must(t, write(books.Trades, merchant.Changes{Progress: []merchant.TradeProgress{progressOf(settledTrade(1, At(FirstDay+1, 10*time.Hour), 200))}}))
	summary := run(t, books.Store, FirstDay+1, BillOf(t, FirstDay+1), false)
	same(t, "the next day", []bill.Total{summary.Own, summary.OtherBill, summary.Open}, []bill.Total{{Count: 1, SumFen: 200}, {Count: 1, SumFen: 200}, {}})
	if steps := list(t, books.Store, true)[0].Steps; len(steps) != 2 || steps[1].State != reconcile.Resolved || steps[1].Person != "" {
		t.Errorf("%+v", steps)
	}
}

// testByPerson: what a person has resolved stays so.
func testByPerson(t *testing.T, open Open) {
	books, _, end := open(t)
	defer end()
	file := BillOf(t, FirstDay, lineOf(FirstDay, 1, 200))
	run(t, books.Store, FirstDay, file, false)
	r, no := newReconciler(t, books.Store), list(t, books.Store, false)[0].No
	for _, reason := range []string{"", " ", "a\nb", "\xff", string(make([]byte, 300))} {
		if _, err := r.Resolve(t.Context(), no, "Li", reason, At(FirstDay+1, 0)); err == nil {
			t.Errorf("%q is a reason", reason)
		}
	}
	if _, err := r.Resolve(t.Context(), no+1, "Li", "x", At(FirstDay+1, 0)); !errors.Is(err, reconcile.ErrUnknown) {
		t.Errorf("%v", err)
	}
	resolved, err := r.Resolve(t.Context(), no, "Li", "paid by hand", At(FirstDay+1, 0))
	must(t, err)
	if resolved.State != reconcile.Resolved || len(resolved.Steps) != 2 || resolved.Steps[1].Person != "Li" || resolved.Steps[1].Reason != "paid by hand" {
		t.Errorf("%+v", resolved)
	}
	if _, err := r.Resolve(t.Context(), no, "Li", "again", At(FirstDay+1, 0)); !errors.Is(err, reconcile.ErrResolved) {
		t.Errorf("%v", err)
	}
	summary := run(t, books.Store, FirstDay, file, false)
	if summary.Open.Count != 0 || summary.Differences[reconcile.MissingHere] != (bill.Total{Count: 1, SumFen: 200}) {
		t.Errorf("%+v", summary)
	}
	same(t, "the history", list(t, books.Store, true), []reconcile.Difference{resolved})
}

// testDays: where the platform's day ends at another time, the merchant's does too.
func testDays(t *testing.T, open Open) {
	books, _, end := open(t)
	defer end()
	WriteTrades(t, books.Trades, settledTrade(1, At(FirstDay, 22*time.Hour), 200), settledTrade(2, At(FirstDay, 23*time.Hour), 300), settledTrade(3, At(FirstDay-1, 23*time.Hour), 500))
	r, err := reconcile.New(books.Store, reconcile.Config{App: App, DayEnds: 23 * time.Hour})
	must(t, err)
	file := BillOf(t, FirstDay, lineOf(FirstDay, 1, 200), lineOf(FirstDay, 3, 500))
	summary, err := r.Reconcile(t.Context(), FirstDay, SourceOf(file), reconcile.Options{}, At(FirstDay+1, 0))
	must(t, err)
	if !summary.AddsUp() || summary.Own != (bill.Total{Count: 2, SumFen: money.Fen(700)}) || summary.Open.Count+summary.Carried.Count != 0 {
		t.Errorf("%+v", summary)
	}
}

// testUnbilledRefunds: a refund is owed until a bill that counts has it. Those of trades that never settled, and of
// prepaid cards, are nothing that the platform gives back.
func testUnbilledRefunds(t *testing.T, open Open) {
	books, again, end := open(t)
	defer end()
	trade := func(n int, refunds ...string) Trade {
		made := settledTrade(n, At(FirstDay, time.Hour), 500)
		for _, number := range refunds {
			made.Refunds = append(made.Refunds, reconcile.Refund{Number: number, AmountFen: 50})
		}
		return made
	}
	card, failed := trade(3, "C1"), trade(4, "F1")
	card.TradeNo = "CARD00000000000000000007"
	failed.State, failed.TradeNo, failed.Settled = merchant.Failed, "", time.Time{}
	WriteTrades(t, books.Trades, trade(1, "R2", "R1"), trade(2, "R3"), card, failed)
	unbilled := func() (numbers []string) {
		t.Helper()
		for after := ""; ; after = numbers[len(numbers)-1] {
			page, err := books.Store.UnbilledRefunds(t.Context(), after, 1)
			must(t, err)
			if len(page) == 0 {
				return numbers
			}
			numbers = append(numbers, page[0].Number)
		}
	}
	same(t, "named", unbilled(), []string{"R2", "R1", "R3"})
	line := lineOf(FirstDay, 1, 50)
	line.Kind, line.RequestNo = bill.Refund, "R1"
	other := lineOf(FirstDay, 2, 50) // another trade's refund of the same number is another one
	other.Kind, other.RequestNo = bill.Refund, "R2"
	first := keep(t, books.Store, reconcile.Bill{Day: FirstDay, Digest: [32]byte{1}, Begun: At(FirstDay+1, 0)}, 0, line, other)
	books = again()
	same(t, "one is billed", unbilled(), []string{"R2", "R3"})
	keep(t, books.Store, reconcile.Bill{Day: FirstDay, Digest: [32]byte{2}, Begun: At(FirstDay+1, 0)}, first.No, lineOf(FirstDay, 1, 500))
	same(t, "its bill was replaced", unbilled(), []string{"R2", "R1", "R3"})
	r, count := newReconciler(t, books.Store), 0
	for refund, err := range r.UnbilledRefunds(t.Context()) {
		must(t, err)
		if count++; refund.AmountFen != 50 || !refund.Named.Equal(At(FirstDay, time.Hour)) || refund.TradeState != merchant.Settled || refund.Reason != "too much" {
			t.Errorf("%+v", refund)
		}
	}
	same(t, "listed", count, 3)
}
