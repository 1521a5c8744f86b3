package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
)

// The store knows nothing of codes, so the records of this file are any bytes.

func storedRecord(number int) merchant.StoredRecord {
	b := fmt.Appendf(nil, "record %d\x00\xff", number)
	return merchant.StoredRecord{ID: record.Identify(b), Bytes: b, Received: Morning().Add(time.Duration(number) * time.Microsecond)}
}

func asideRecord(number int) merchant.StoredRecord {
	stored := storedRecord(number)
	stored.Reason = fmt.Sprintf("reason %d", number)
	return stored
}

func riderOf(number int) merchant.Rider {
	return merchant.Rider{UserID: UserID(number), CardType: ridecode.PlainCardType, CardNo: "1"}
}

func tapOf(number int, kind record.Kind, rider merchant.Rider, at time.Time) merchant.Tap {
	return merchant.Tap{Record: storedRecord(number).ID, Rider: rider, Kind: kind, At: at,
		POSID: "", Line: "19 路\x00'--", Station: fmt.Sprintf("站%d", number), Identity: ridecode.Quad{0, 1, 2, byte(number)}, LimitFen: 3000}
}

func tradeOf(name string, nextTry time.Time, taps ...merchant.Tap) merchant.Trade {
	trip, held := merchant.Trip{Start: taps[0]}, []record.ID{taps[0].Record}
	if len(taps) == 2 {
		trip.End, held = taps[1], append(held, taps[1].Record)
	}
	lines := []fare.Line{{Kind: fare.Base, Why: "flat\"'", Source: fare.Source{File: "lines.csv", Row: 2}, AmountFen: 300}, {Kind: fare.Cap, Why: "day", AmountFen: -100}}
	return merchant.Trade{OutTradeNo: openapi.OutTradeNo(name), Trip: trip, Held: held, OrderTime: trip.Last().At, Subject: "公交-" + name, AmountFen: 200,
		BizContext: `{"line":"19"}`, SellerLogin: "a@b", Lines: lines, Table: "0123", Progress: merchant.Progress{State: merchant.Waiting, NextTry: nextTry}}
}

func asideTrade(name string, taps ...merchant.Tap) merchant.Trade {
	trade := tradeOf(name, time.Time{}, taps...)
	trade.AmountFen, trade.Lines, trade.Table = 0, nil, ""
	trade.Progress = merchant.Progress{State: merchant.Aside, Reason: "no fare"}
	return trade
}

func progressOf(trade merchant.Trade, state merchant.TradeState, nextTry time.Time) merchant.TradeProgress {
	progress := merchant.Progress{State: state, Attempts: trade.Attempts + 1, NextTry: nextTry, Reason: "asked"}
	if state == merchant.Settled {
		progress.TradeNo, progress.Reason = "2026", ""
	}
	return merchant.TradeProgress{OutTradeNo: trade.OutTradeNo, Progress: progress}
}

func write(t testing.TB, store merchant.Store, changes merchant.Changes) {
	t.Helper()
	if err := tryWrite(store, changes); err != nil {
		t.Fatal(err)
	}
}

func tryWrite(store merchant.Store, changes merchant.Changes) error {
	return store.Update(context.Background(), merchant.Need{}, func(merchant.State) (merchant.Changes, error) { return changes, nil })
}

func view(t testing.TB, store merchant.Store, need merchant.Need) merchant.State {
	t.Helper()
	state, err := store.View(context.Background(), need)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func list(t testing.TB, store merchant.Store, state merchant.TradeState) []merchant.Trade {
	t.Helper()
	trades, err := store.Trades(context.Background(), state, "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return trades
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// metroWorld is two taps in a trade, one open tap, a bus trade, and a record aside.
func metroWorld() merchant.Changes {
	entry, exit := tapOf(1, record.Entry, riderOf(1), Morning()), tapOf(2, record.Exit, riderOf(1), Morning().Add(time.Hour))
	open, bus := tapOf(3, record.Entry, riderOf(1), Morning().Add(2*time.Hour)), tapOf(4, record.Single, riderOf(1), Morning())
	return merchant.Changes{
		Records: []merchant.StoredRecord{storedRecord(1), storedRecord(2), storedRecord(3), storedRecord(4), asideRecord(5)},
		Taps:    []merchant.Tap{entry, exit, open, bus},
		Trades:  []merchant.Trade{tradeOf("metro", Morning(), entry, exit), tradeOf("bus", Morning().Add(time.Microsecond), bus)},
	}
}

func testNothing(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	state := view(t, store, merchant.Need{Records: []record.ID{storedRecord(1).ID}, Trades: []openapi.OutTradeNo{"none"},
		Windows: []merchant.Window{{Rider: riderOf(1), From: Morning(), To: Morning()}}, Due: merchant.DueTrades{Until: Morning(), Count: 9}})
	if len(state.Records)+len(state.Trades)+len(state.Windows)+len(state.Due) != 0 {
		t.Errorf("an empty store has %+v", state)
	}
	if trades := list(t, store, merchant.Waiting); len(trades) != 0 {
		t.Error("an empty store lists trades")
	}
}

func testRoundTrip(t *testing.T, open Open) {
	store, again, end := open(t)
	defer end()
	world := metroWorld()
	write(t, store, world)
	for range 2 {
		state := view(t, store, merchant.Need{Records: []record.ID{storedRecord(1).ID, asideRecord(5).ID}, Trades: []openapi.OutTradeNo{"metro", "bus"}})
		same(t, "records", state.Records, map[record.ID]merchant.StoredRecord{storedRecord(1).ID: storedRecord(1), asideRecord(5).ID: asideRecord(5)})
		same(t, "trades", state.Trades, map[openapi.OutTradeNo]merchant.Trade{"metro": world.Trades[0], "bus": world.Trades[1]})
		taps, err := store.OpenTaps(t.Context(), record.ID{}, 9)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "open taps", taps, world.Taps[2:3])
		aside, err := store.AsideRecords(t.Context(), record.ID{}, 9)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "aside", aside, []merchant.StoredRecord{asideRecord(5)})
		store = again()
	}
	write(t, store, merchant.Changes{Withdrawn: []openapi.OutTradeNo{"metro"}})
	if taps, err := store.OpenTaps(t.Context(), record.ID{}, 9); err != nil || len(taps) != 3 {
		t.Errorf("after a withdrawal %d taps are open, want 3 (%v)", len(taps), err)
	}
}

func testDue(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	var changes merchant.Changes
	for i := range 6 {
		tap := tapOf(i, record.Single, riderOf(i), Morning())
		changes.Records, changes.Taps = append(changes.Records, storedRecord(i)), append(changes.Taps, tap)
		trade := tradeOf(fmt.Sprint("t", i), Morning().Add(-time.Duration(i)*time.Second), tap)
		if i == 5 {
			trade = asideTrade("t5", tap)
		}
		changes.Trades = append(changes.Trades, trade)
	}
	write(t, store, changes)
	write(t, store, merchant.Changes{Progress: []merchant.TradeProgress{
		progressOf(changes.Trades[1], merchant.Sent, Morning().Add(-9*time.Second)),
		progressOf(changes.Trades[2], merchant.Sent, Morning().Add(time.Microsecond)),
	}})
	write(t, store, merchant.Changes{Progress: []merchant.TradeProgress{progressOf(changes.Trades[3], merchant.Settled, Morning())}})
	for count, want := range [][]openapi.OutTradeNo{{}, {"t1"}, {"t1", "t4"}, {"t1", "t4", "t0"}, {"t1", "t4", "t0"}} {
		state := view(t, store, merchant.Need{Due: merchant.DueTrades{Until: Morning(), Count: count}})
		got := []openapi.OutTradeNo{}
		for _, trade := range state.Due {
			got = append(got, trade.OutTradeNo)
			if len(state.Records[trade.Trip.Start.Record].Bytes) == 0 {
				t.Errorf("the record of due trade %s is not there", trade.OutTradeNo)
			}
		}
		same(t, fmt.Sprint("due, ", count), got, want)
	}
}

func testWindows(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	other := riderOf(1)
	other.CardNo = "12" // the same user with another card is another rider
	var changes merchant.Changes
	for i := range 5 {
		tap := tapOf(i, record.Entry, riderOf(1), Morning().Add(time.Duration(i)*time.Second))
		changes.Records, changes.Taps = append(changes.Records, storedRecord(i)), append(changes.Taps, tap)
	}
	changes.Records = append(changes.Records, storedRecord(5), storedRecord(6))
	changes.Taps = append(changes.Taps, tapOf(5, record.Entry, other, Morning()), tapOf(6, record.Single, riderOf(1), Morning().Add(1500*time.Millisecond)))
	exit := tapOf(7, record.Exit, riderOf(1), Morning().Add(time.Hour))
	changes.Records, changes.Taps = append(changes.Records, storedRecord(7)), append(changes.Taps, exit)
	changes.Trades = []merchant.Trade{tradeOf("metro", Morning(), changes.Taps[3], exit)}
	write(t, store, changes)
	state := view(t, store, merchant.Need{Windows: []merchant.Window{{Rider: riderOf(1), From: Morning().Add(time.Second), To: Morning().Add(3 * time.Second)}}})
	window := state.Windows[riderOf(1)]
	slices.SortFunc(window, func(a, b merchant.WindowTap) int { return a.At.Compare(b.At) })
	same(t, "window", window, []merchant.WindowTap{{Tap: changes.Taps[1]}, {Tap: changes.Taps[6]}, {Tap: changes.Taps[2]}, {Tap: changes.Taps[3], Trade: "metro"}})
	same(t, "trades of the window", state.Trades, map[openapi.OutTradeNo]merchant.Trade{"metro": changes.Trades[0]})
}

func testPages(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	var changes merchant.Changes
	for i := range 9 {
		changes.Records = append(changes.Records, storedRecord(i), asideRecord(100+i), storedRecord(200+i))
		bus := tapOf(200+i, record.Single, riderOf(i), Morning())
		changes.Taps = append(changes.Taps, tapOf(i, record.Exit, riderOf(i), Morning()), bus)
		changes.Trades = append(changes.Trades, tradeOf(fmt.Sprint("t", i), Morning(), bus))
	}
	write(t, store, changes)
	trades := inPages(t, func(after merchant.Trade) ([]merchant.Trade, error) {
		return store.Trades(t.Context(), merchant.Waiting, after.OutTradeNo, 4)
	})
	same(t, "trades", trades, changes.Trades)
	taps := inPages(t, func(after merchant.Tap) ([]merchant.Tap, error) { return store.OpenTaps(t.Context(), after.Record, 4) })
	aside := inPages(t, func(after merchant.StoredRecord) ([]merchant.StoredRecord, error) {
		return store.AsideRecords(t.Context(), after.ID, 4)
	})
	records := inPages(t, func(after merchant.StoredRecord) ([]merchant.StoredRecord, error) {
		return store.Records(t.Context(), after.ID, 4)
	})
	same(t, "records", records, changes.Records)
	if distinct(taps, func(tap merchant.Tap) record.ID { return tap.Record }) != 9 || distinct(aside, func(r merchant.StoredRecord) record.ID { return r.ID }) != 9 {
		t.Errorf("%d open taps and %d records aside, want 9 of each, each once", len(taps), len(aside))
	}
}

func inPages[T any](t *testing.T, read func(after T) ([]T, error)) (all []T) {
	t.Helper()
	var last T
	for {
		page, err := read(last)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all, last = append(all, page...), page[len(page)-1]
	}
}

// distinct is -1 when one stands twice.
func distinct[T any](items []T, key func(T) record.ID) int {
	seen := map[record.ID]bool{}
	for _, item := range items {
		if seen[key(item)] {
			return -1
		}
		seen[key(item)] = true
	}
	return len(seen)
}

func testDecideError(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	wrong := errors.New("wrong")
	err := store.Update(t.Context(), merchant.Need{}, func(merchant.State) (merchant.Changes, error) { return metroWorld(), wrong })
	if !errors.Is(err, wrong) {
		t.Errorf("decide's error became %v", err)
	}
	if trades := list(t, store, merchant.Waiting); len(trades) != 0 {
		t.Error("something was written")
	}
}

// testRefusals: the store is the last line of defence. Each of these decisions is a mistake that would
// lose a record, take money twice, or change what was sent.
func testRefusals(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	world := metroWorld()
	write(t, store, world)
	sent, settled := world.Trades[0], world.Trades[1]
	write(t, store, merchant.Changes{Progress: []merchant.TradeProgress{progressOf(sent, merchant.Sent, Morning())}})
	write(t, store, merchant.Changes{Progress: []merchant.TradeProgress{progressOf(settled, merchant.Settled, Morning())}})
	other := world.Taps[2]
	before := snapshot(t, store)
	for name, wrong := range map[string]merchant.Changes{
		"a record twice":              {Records: []merchant.StoredRecord{storedRecord(1)}},
		"a tap twice":                 {Taps: []merchant.Tap{world.Taps[0]}},
		"a tap without record":        {Taps: []merchant.Tap{tapOf(77, record.Entry, riderOf(1), Morning())}},
		"a tap of a record aside":     {Taps: []merchant.Tap{tapOf(5, record.Entry, riderOf(1), Morning())}},
		"readmitting a tap":           {Readmit: []record.ID{storedRecord(1).ID}},
		"a number twice":              {Trades: []merchant.Trade{tradeOf("metro", Morning(), other)}},
		"a tap in two trades":         {Trades: []merchant.Trade{tradeOf("second", Morning(), world.Taps[0])}},
		"a trade without tap":         {Trades: []merchant.Trade{tradeOf("second", Morning(), tapOf(77, record.Single, riderOf(1), Morning()))}},
		"withdrawing what was sent":   {Withdrawn: []openapi.OutTradeNo{sent.OutTradeNo}},
		"withdrawing what is not":     {Withdrawn: []openapi.OutTradeNo{"none"}},
		"moving what is not":          {Progress: []merchant.TradeProgress{progressOf(tradeOf("none", Morning(), other), merchant.Sent, Morning())}},
		"moving what is final":        {Progress: []merchant.TradeProgress{progressOf(settled, merchant.Failed, Morning())}},
		"settling twice":              {Progress: []merchant.TradeProgress{progressOf(settled, merchant.Settled, Morning())}},
		"forgetting an attempt":       {Progress: []merchant.TradeProgress{{OutTradeNo: sent.OutTradeNo, Progress: merchant.Progress{State: merchant.Waiting}}}},
		"sending a trip aside":        {Trades: []merchant.Trade{asideTrade("aside", other)}, Progress: []merchant.TradeProgress{progressOf(asideTrade("aside", other), merchant.Sent, Morning())}},
		"a number with a space":       {Trades: []merchant.Trade{tradeOf("a b", Morning(), other)}},
		"a half-wrong decision":       {Records: []merchant.StoredRecord{storedRecord(50)}, Withdrawn: []openapi.OutTradeNo{"none"}},
		"a trade number, not settled": {Trades: []merchant.Trade{tradeOf("x", Morning(), other)}, Progress: []merchant.TradeProgress{{OutTradeNo: "x", Progress: merchant.Progress{State: merchant.Sent, Attempts: 1, TradeNo: "9"}}}},
	} {
		if err := tryWrite(store, wrong); err == nil {
			t.Errorf("%s was written", name)
		}
		same(t, "after "+name, snapshot(t, store), before)
	}
}

// snapshot is all that a store lists.
func snapshot(t testing.TB, store merchant.Store) (all []any) {
	t.Helper()
	for _, state := range []merchant.TradeState{merchant.Waiting, merchant.Sent, merchant.Settled, merchant.Failed, merchant.Aside, merchant.Free} {
		all = append(all, list(t, store, state))
	}
	taps, err := store.OpenTaps(context.Background(), record.ID{}, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	aside, err := store.AsideRecords(context.Background(), record.ID{}, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return append(all, taps, aside)
}

func testContextEnded(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := store.Update(ctx, merchant.Need{}, func(merchant.State) (merchant.Changes, error) { return metroWorld(), nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context gave %v", err)
	}
	if len(list(t, store, merchant.Waiting)) != 0 {
		t.Error("something was written")
	}
}
