package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
)

// sentWorld is metroWorld with its metro trade sent.
func sentWorld(t *testing.T, store merchant.Store) merchant.Trade {
	world := metroWorld()
	write(t, store, world)
	write(t, store, merchant.Changes{Progress: []merchant.TradeProgress{progressOf(world.Trades[0], merchant.Sent, Morning())}})
	return world.Trades[0]
}

func refundOf(trade merchant.Trade, number string, fen money.Fen) merchant.Refund {
	return merchant.Refund{Number: number, OutTradeNo: trade.OutTradeNo, AmountFen: fen, Reason: "too much'", Named: Morning().Add(time.Microsecond), TradeState: merchant.Sent}
}

func testRefunds(t *testing.T, open Open) {
	store, again, end := open(t)
	defer end()
	trade := sentWorld(t, store)
	want := []merchant.Refund{refundOf(trade, "R_b", 50), refundOf(trade, "R_a", 149)}
	for _, refund := range want {
		write(t, store, merchant.Changes{Refunds: []merchant.Refund{refund}})
	}
	store = again()
	got := inPages(t, func(after merchant.Refund) ([]merchant.Refund, error) {
		return store.Refunds(t.Context(), after.Number, 1)
	})
	same(t, "refunds", got, want)
	if state := view(t, store, merchant.Need{Trades: []openapi.OutTradeNo{trade.OutTradeNo}}); state.Trades[trade.OutTradeNo].RefundFen != 199 {
		t.Errorf("%+v", state.Trades)
	}
	for name, wrong := range map[string]merchant.Refund{
		"more than was taken": refundOf(trade, "R_c", 2), "a number twice": refundOf(trade, "R_a", 1), "of nothing": refundOf(trade, "R_c", 0),
		"less than nothing": refundOf(trade, "R_c", -1), "of no trade": refundOf(merchant.Trade{OutTradeNo: "none"}, "R_c", 1),
		"of what was not sent": refundOf(merchant.Trade{OutTradeNo: "bus"}, "R_c", 1),
	} {
		if err := tryWrite(store, merchant.Changes{Refunds: []merchant.Refund{wrong}}); err == nil {
			t.Errorf("a refund, %s, was written", name)
		}
	}
}

// testTradeForms: trips with one end, claimed ends, companions, free trips, and trades that hold a part
// of their trip come back as they were.
func testTradeForms(t *testing.T, open Open) {
	store, again, end := open(t)
	defer end()
	entry, exit := tapOf(1, record.Entry, riderOf(1), Morning()), tapOf(2, record.Exit, riderOf(1), Morning().Add(time.Hour))
	alone, bus := tapOf(3, record.Exit, riderOf(1), Morning().Add(2*time.Hour)), tapOf(4, record.Single, riderOf(1), Morning())
	claim := merchant.Claim{Station: "站'9", Line: "9", At: Morning().Add(time.Hour), Made: Morning().Add(3 * time.Hour)}
	half := tradeOf("half", Morning(), entry, exit)
	half.Held = []record.ID{exit.Record}
	claimed := tradeOf("claimed", Morning(), alone)
	claimed.Trip = merchant.Trip{End: alone, Claim: claim}
	unclaimed := tradeOf("unclaimed", Morning(), entry)
	free := tradeOf("free", time.Time{}, bus)
	free.Trip.Companion, free.AmountFen, free.State, free.Lines = true, 0, merchant.Free, []fare.Line{{Kind: fare.Base, Why: "shuttle"}}
	changes := merchant.Changes{
		Records: []merchant.StoredRecord{storedRecord(1), storedRecord(2), storedRecord(3), storedRecord(4)}, Taps: []merchant.Tap{entry, exit, alone, bus},
		Claims: []merchant.TapClaim{{Record: alone.Record, Claim: claim}, {Record: entry.Record, Claim: claim}}, Trades: []merchant.Trade{half, claimed, free, unclaimed},
	}
	write(t, store, changes)
	store = again()
	for _, want := range changes.Trades {
		if want.NextTry.IsZero() {
			want.NextTry = time.UnixMicro(want.NextTry.UnixMicro()).UTC()
		}
		same(t, string(want.OutTradeNo), view(t, store, merchant.Need{Trades: []openapi.OutTradeNo{want.OutTradeNo}}).Trades[want.OutTradeNo], want)
	}
	window := merchant.Window{Rider: riderOf(1), From: alone.At, To: alone.At}
	same(t, "a claimed tap", view(t, store, merchant.Need{Windows: []merchant.Window{window}}).Windows[riderOf(1)], []merchant.WindowTap{{Tap: alone, Trade: "claimed", Claim: claim}})
	window.TapsOnly = true
	if state := view(t, store, merchant.Need{Windows: []merchant.Window{window}}); len(state.Trades) != 0 || len(state.Windows[riderOf(1)]) != 1 {
		t.Errorf("taps only: %+v", state)
	}
	before := snapshot(t, store)
	for name, wrong := range map[string]merchant.Changes{
		"a second claim":     {Claims: []merchant.TapClaim{{Record: alone.Record, Claim: claim}}},
		"a claim of nothing": {Claims: []merchant.TapClaim{{Record: record.ID{1}, Claim: claim}}},
		"sending a free one": {Progress: []merchant.TradeProgress{progressOf(free, merchant.Sent, Morning())}},
	} {
		if err := tryWrite(store, wrong); err == nil {
			t.Errorf("%s was written", name)
		}
		same(t, "after "+name, snapshot(t, store), before)
	}
}

// testTradeRefusals: trades that could not be explained are not kept.
func testTradeRefusals(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	write(t, store, metroWorld())
	tap := metroWorld().Taps[2]
	for name, spoil := range map[string]func(*merchant.Trade){
		"lines that do not add up": func(trade *merchant.Trade) { trade.Lines[0].AmountFen++ },
		"nothing held":             func(trade *merchant.Trade) { trade.Held = nil },
		"no trip":                  func(trade *merchant.Trade) { trade.Trip = merchant.Trip{} },
		"nothing to pay":           func(trade *merchant.Trade) { trade.AmountFen, trade.Lines = 0, nil },
		"a free one that costs":    func(trade *merchant.Trade) { trade.State = merchant.Free },
		"a tap that is held":       func(trade *merchant.Trade) { trade.Held = []record.ID{metroWorld().Taps[0].Record} },
	} {
		trade := tradeOf("x", Morning(), tap)
		spoil(&trade)
		if err := tryWrite(store, merchant.Changes{Trades: []merchant.Trade{trade}}); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

func testSums(t *testing.T, open Open) {
	store, again, end := open(t)
	defer end()
	other := riderOf(1)
	other.CardNo = "12"
	write(t, store, merchant.Changes{Sums: []merchant.DaySums{
		{Rider: riderOf(1), First: 10, Last: 12, Days: map[fare.Day]fare.Sums{10: {"a": 5, "b": 0}, 12: {"a": 7}}},
		{Rider: other, First: 10, Last: 10, Days: map[fare.Day]fare.Sums{10: {"a": 1000}}},
	}})
	sums := func(from, before fare.Day) fare.Sums {
		window := merchant.Window{Rider: riderOf(1), From: Morning(), To: Morning(), SumsFrom: from, SumsBefore: before}
		return view(t, store, merchant.Need{Windows: []merchant.Window{window}}).Sums[riderOf(1)]
	}
	same(t, "all", sums(10, 13), fare.Sums{"a": 12, "b": 0})
	same(t, "not the last", sums(10, 12), fare.Sums{"a": 5, "b": 0})
	same(t, "none", sums(13, 20), fare.Sums(nil))
	write(t, store, merchant.Changes{Sums: []merchant.DaySums{{Rider: riderOf(1), First: 11, Last: 12, Days: map[fare.Day]fare.Sums{11: {"a": 1}}}}})
	store = again()
	same(t, "replaced", sums(10, 13), fare.Sums{"a": 6, "b": 0})
}

// testOpenDue: open taps come oldest first, until they are held, or left open.
func testOpenDue(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	var changes merchant.Changes
	for i := range 4 {
		changes.Records = append(changes.Records, storedRecord(i))
		changes.Taps = append(changes.Taps, tapOf(i, []record.Kind{record.Exit, record.Entry, record.Single, record.Entry}[i], riderOf(i), Morning().Add(-time.Duration(i)*time.Hour)))
	}
	write(t, store, changes)
	due := func(until time.Time, count int) (places []int) {
		for _, tap := range view(t, store, merchant.Need{OpenDue: merchant.OpenTaps{Until: until, Count: count}}).OpenDue {
			for i := range changes.Taps {
				if changes.Taps[i] == tap {
					places = append(places, i)
				}
			}
		}
		return places
	}
	same(t, "all", due(Morning(), 9), []int{3, 1, 0})
	same(t, "two", due(Morning(), 2), []int{3, 1})
	same(t, "until", due(Morning().Add(-time.Hour), 9), []int{3, 1})
	same(t, "none", due(Morning(), 0), []int(nil))
	for range 2 {
		write(t, store, merchant.Changes{LeftOpen: []record.ID{changes.Taps[3].Record}})
	}
	same(t, "one is left", due(Morning(), 9), []int{1, 0})
	write(t, store, merchant.Changes{Trades: []merchant.Trade{tradeOf("a", Morning(), changes.Taps[1]), tradeOf("b", Morning(), changes.Taps[3])}})
	same(t, "one is held", due(Morning(), 9), []int{0})
	if err := tryWrite(store, merchant.Changes{LeftOpen: []record.ID{changes.Taps[1].Record}}); err == nil {
		t.Error("a tap that a trade holds was left open")
	}
	write(t, store, merchant.Changes{Withdrawn: []openapi.OutTradeNo{"a", "b"}})
	same(t, "both are free again", due(Morning(), 9), []int{3, 1, 0})
	taps, err := store.OpenTaps(t.Context(), record.ID{}, 9)
	if err != nil || len(taps) != 3 {
		t.Errorf("open: %+v, %v", taps, err)
	}
}

func testRiders(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	riders := []merchant.Rider{riderOf(1), {UserID: UserID(1), CardType: ridecode.PlainCardType, CardNo: "12"}, {UserID: UserID(1), CardType: "GJ310000", CardNo: "1"}, riderOf(2), riderOf(3)}
	var changes merchant.Changes
	for i, rider := range riders {
		for j := range 3 {
			number := 10*i + j
			changes.Records, changes.Taps = append(changes.Records, storedRecord(number)), append(changes.Taps, tapOf(number, record.Single, rider, Morning().Add(time.Duration(j)*time.Hour)))
		}
	}
	write(t, store, changes)
	for _, count := range []int{1, 2, 5, 9} {
		got := inPages(t, func(after merchant.Rider) ([]merchant.Rider, error) { return store.Riders(t.Context(), after, count) })
		same(t, fmt.Sprint("riders, ", count), got, riders)
	}
}

// placeOf is a place in a chain that a store knows nothing of.
func placeAt(number int, posID string, seq uint64) merchant.FiledPlace {
	place := record.Place{POSID: posID, Link: record.Link{Seq: seq}, ID: record.StatementID{byte(number), 9}}
	return merchant.FiledPlace{Record: storedRecord(number).ID, Place: place}
}

// testChainBooks: what is kept of record chains is there again, and two who write at once do not both.
func testChainBooks(t *testing.T, open Open) {
	store, again, end := open(t)
	defer end()
	for i := range 6 {
		write(t, store, merchant.Changes{Records: []merchant.StoredRecord{storedRecord(i)}})
	}
	first := merchant.ChainChanges{FiledAfter: storedRecord(3).ID, Filed: []merchant.FiledPlace{placeAt(0, "g", 5), placeAt(1, "h'", 1), placeAt(3, "g", 6)}}
	saveChains(t, store, first, nil)
	saveChains(t, store, first, merchant.ErrMoved)
	saveChains(t, store, merchant.ChainChanges{FiledBefore: storedRecord(3).ID, FiledAfter: storedRecord(5).ID, Filed: []merchant.FiledPlace{placeAt(5, "g", 5)}}, nil)
	store = again()
	filed, chains, err := store.Chains(t.Context())
	if err != nil || filed != storedRecord(5).ID {
		t.Fatalf("filed %s, %v", filed, err)
	}
	same(t, "chains", chains, []merchant.SavedChain{{POSID: "g", Filed: 3}, {POSID: "h'", Filed: 1}})
	records, err := store.FiledRecords(t.Context(), "g", 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "filed records", records, []merchant.StoredRecord{storedRecord(3), storedRecord(5)})

	after := chains[0]
	after.Followed, after.Unverified, after.Key, after.State, after.Fault = 3, 1, bytes.Repeat([]byte{1}, 32), []byte("state"), "fault"
	saveChains(t, store, merchant.ChainChanges{Before: chains[0], After: after, Followed: []int{1, 3}}, nil)
	saveChains(t, store, merchant.ChainChanges{Before: chains[0], After: after}, merchant.ErrMoved)
	_, chains, err = store.Chains(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "a followed chain", chains[0], after)
	wantKept(t, store, map[uint64]record.StatementID{5: {0, 9}}, map[record.StatementID]uint64{{0, 9}: 5, {5, 9}: 5})

	begun := after
	begun.Followed, begun.Unverified, begun.Key, begun.Fault = 0, 0, nil, ""
	saveChains(t, store, merchant.ChainChanges{Before: after, After: begun, Begun: true}, nil)
	wantKept(t, store, map[uint64]record.StatementID{}, map[record.StatementID]uint64{})
	if err := store.SaveChains(t.Context(), merchant.ChainChanges{Before: begun, After: merchant.SavedChain{POSID: "g", Followed: 4}}); err == nil {
		t.Error("a chain was followed further than its file")
	}
}

func saveChains(t *testing.T, store merchant.Store, changes merchant.ChainChanges, want error) {
	t.Helper()
	if err := store.SaveChains(t.Context(), changes); !errors.Is(err, want) || want == nil && err != nil {
		t.Fatalf("%v, want %v", err, want)
	}
}

func wantKept(t *testing.T, store merchant.Store, bySeq map[uint64]record.StatementID, seqOf map[record.StatementID]uint64) {
	t.Helper()
	gotBySeq, gotSeqOf, err := store.KeptPlaces(t.Context(), "g", []uint64{5, 6, 7}, []record.StatementID{{0, 9}, {3, 9}, {5, 9}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "statements by number", gotBySeq, bySeq)
	same(t, "numbers by statement", gotSeqOf, seqOf)
}
