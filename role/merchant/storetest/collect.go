package storetest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
)

func collect(t testing.TB, m *merchant.Merchant, now time.Time, batch ...[]byte) []merchant.Answer {
	t.Helper()
	answers, err := m.Collect(context.Background(), batch, now)
	if err != nil {
		t.Fatal(err)
	}
	if len(answers) != len(batch) {
		t.Fatalf("%d answers to %d records", len(answers), len(batch))
	}
	for i, answer := range answers {
		if answer.Record != record.Identify(batch[i]) {
			t.Fatalf("answer %d is about another record", i)
		}
	}
	return answers
}

func standings(answers []merchant.Answer) (all []merchant.Standing) {
	for _, answer := range answers {
		all = append(all, answer.Standing)
	}
	return all
}

func all[T any](t testing.TB, items iter.Seq2[T, error]) (got []T) {
	t.Helper()
	for item, err := range items {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, item)
	}
	return got
}

func trades(t testing.TB, m *merchant.Merchant, state merchant.TradeState) []merchant.Trade {
	t.Helper()
	return all(t, m.Trades(context.Background(), state))
}

func testBus(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city := NewCity(t)
	m := city.Merchant(t, store, NewBank(nil), nil)
	first, second := city.Bus(t, 1, Morning()), city.Bus(t, 2, Morning())
	old := city.Record(t, Ride{Phone: 3, Kind: record.Single, At: Morning().Add(time.Second), Subject: "000001", RecordID: "_20180903153902_00018772"})
	same(t, "answers", standings(collect(t, m, Morning(), first, second, first)), []merchant.Standing{merchant.Taken, merchant.Taken, merchant.AlreadyHad})
	same(t, "answers", standings(collect(t, m, Morning(), old, second)), []merchant.Standing{merchant.Taken, merchant.AlreadyHad})
	waiting := trades(t, m, merchant.Waiting)
	if len(waiting) != 3 {
		t.Fatalf("%d trades, want 3", len(waiting))
	}
	for _, trade := range waiting {
		if trade.Trip.Start.Rider.UserID == UserID(3) {
			checkOldTrade(t, trade)
			continue
		}
		if trade.AmountFen != 200 || trade.Subject != "公交-19-3241-08:30" || trade.BizContext != `{"line":"19","start_pos_id":"3241"}` ||
			!strings.HasPrefix(string(trade.OutTradeNo), "19_3241_20260302083000_") || trade.FareReason() != "2.00 line 19, flat" ||
			trade.SellerLogin != "bus@example.com" || !trade.OrderTime.Equal(Morning()) {
			t.Errorf("trade %+v", trade)
		}
	}
}

// A record of 2018 has neither terminal nor line; its line is the subject.
func checkOldTrade(t *testing.T, trade merchant.Trade) {
	if trade.AmountFen != 150 || trade.Subject != "公交-000001-08:30" || !strings.HasPrefix(string(trade.OutTradeNo), "000001_20260302083001_") {
		t.Errorf("trade %+v", trade)
	}
}

func testMetro(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city := NewCity(t)
	m := city.Merchant(t, store, NewBank(nil), func(c *merchant.Config) { c.PairWait = time.Minute })
	entry := city.Metro(t, 1, record.Entry, Morning(), "松江大学城")
	exit := city.Metro(t, 1, record.Exit, Morning().Add(40*time.Minute), "杨高中路")
	other := city.Metro(t, 2, record.Exit, Morning().Add(40*time.Minute), "杨高中路")
	collect(t, m, Morning(), exit, other)
	if got := trades(t, m, merchant.Waiting); len(got) != 0 || len(all(t, m.OpenTrips(t.Context()))) != 2 {
		t.Fatalf("exits alone made %d trades", len(got))
	}
	collect(t, m, Morning().Add(time.Hour), entry)
	waiting, openTaps := trades(t, m, merchant.Waiting), all(t, m.OpenTrips(t.Context()))
	if len(waiting) != 1 || len(openTaps) != 1 || openTaps[0].Rider.UserID != UserID(2) {
		t.Fatalf("%d trades and %d open taps, want 1 and 1", len(waiting), len(openTaps))
	}
	trade := waiting[0]
	if trade.AmountFen != 600 || trade.Subject != "地铁-松江大学城-杨高中路-09:10" || !trade.OrderTime.Equal(Morning().Add(40*time.Minute)) ||
		trade.BizContext != `{"line":"metro2","start_station":"松江大学城","start_pos_id":"GENTRY","end_station":"杨高中路","end_pos_id":"GEXIT"}` ||
		!trade.NextTry.Equal(Morning().Add(61*time.Minute)) || !strings.HasPrefix(string(trade.OutTradeNo), "metro2_GEXIT_20260302091000_") {
		t.Errorf("trade %+v", trade)
	}
}

// testLongestTrip: entry and exit as far apart as they may be, and a second more; each first, in
// batches of their own.
func testLongestTrip(t *testing.T, open Open) {
	city := NewCity(t)
	for _, tooLong := range []time.Duration{0, time.Second} {
		entry := city.Metro(t, 1, record.Entry, Morning(), "松江大学城")
		exit := city.Metro(t, 1, record.Exit, Morning().Add(merchant.DefaultMaxTrip+tooLong), "杨高中路")
		for _, order := range [][2][]byte{{entry, exit}, {exit, entry}} {
			store, _, end := open(t)
			m := city.Merchant(t, store, NewBank(nil), nil)
			collect(t, m, Morning(), order[0])
			collect(t, m, Morning(), order[1])
			if got := len(trades(t, m, merchant.Waiting)); (got == 1) != (tooLong == 0) {
				t.Errorf("%v too long: %d trades", tooLong, got)
			}
			end()
		}
	}
}

// A second entry between an entry and an exit that are paired already: the exit ends the later one.
func testLateEntry(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city := NewCity(t)
	m := city.Merchant(t, store, NewBank(nil), nil)
	first, late := city.Metro(t, 1, record.Entry, Morning(), "松江大学城"), city.Metro(t, 1, record.Entry, Morning().Add(time.Hour), "Xujiahui")
	collect(t, m, Morning(), first, city.Metro(t, 1, record.Exit, Morning().Add(2*time.Hour), "杨高中路"))
	collect(t, m, Morning(), late)
	waiting, openTaps := trades(t, m, merchant.Waiting), all(t, m.OpenTrips(t.Context()))
	if len(waiting) != 1 || waiting[0].AmountFen != 300 || len(openTaps) != 1 || openTaps[0].Record != record.Identify(first) {
		t.Errorf("trades %+v, open %+v", waiting, openTaps)
	}
}

// The same after the trade was sent: what was sent stands and has paid the shorter trip too. What it took
// too much is kept, for the first entry has no fare and may yet find an exit.
func testLateAfterSent(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city, bank := NewCity(t), NewBank(nil)
	m := city.Merchant(t, store, bank, nil)
	collect(t, m, Morning(), city.Metro(t, 1, record.Entry, Morning(), "松江大学城"), city.Metro(t, 1, record.Exit, Morning().Add(2*time.Hour), "杨高中路"))
	bank.Manner = func() Manner { return LostAnswer }
	if report, err := m.SettleDue(t.Context(), Morning()); err != nil || report.Postponed != 1 {
		t.Fatalf("report %+v, %v", report, err)
	}
	late := city.Metro(t, 1, record.Entry, Morning().Add(time.Hour), "Xujiahui")
	collect(t, m, Morning(), late, city.Metro(t, 1, record.Exit, Morning().Add(3*time.Hour), "杨高中路"))
	sent, free, openTaps := trades(t, m, merchant.Sent), trades(t, m, merchant.Free), all(t, m.OpenTrips(t.Context()))
	if len(sent) != 1 || sent[0].AmountFen != 600 || len(openTaps) != 1 || openTaps[0].Kind != record.Exit || len(trades(t, m, merchant.Waiting)) != 0 {
		t.Errorf("sent %+v, open %+v", sent, openTaps)
	}
	if len(free) != 1 || !slices.Equal(free[0].Held, []record.ID{record.Identify(late)}) ||
		free[0].FareReason() != "3.00 Xujiahui to 杨高中路; -3.00 paid with trade "+string(sent[0].OutTradeNo) {
		t.Errorf("free %+v", free)
	}
	statement := stateOf(t, m, 1)
	if statement.FaresFen != 300 || statement.PaidFen != 600 || statement.HeldFen != 300 || statement.Difference() != 0 || len(all(t, m.Refunds(t.Context()))) != 0 {
		t.Errorf("statement %+v", statement)
	}
}

// stateOf is the statement of a phone over all days of the tests.
func stateOf(t testing.TB, m *merchant.Merchant, phone int) merchant.Statement {
	t.Helper()
	first, err := fare.ParseDay("2026-02-01")
	if err != nil {
		t.Fatal(err)
	}
	statement, err := m.Statement(context.Background(), merchant.Rider{UserID: UserID(phone), CardType: ridecode.PlainCardType, CardNo: ridecode.CardNo(UserID(phone))}, first, first+120, Morning().AddDate(0, 2, 0))
	if err != nil {
		t.Fatal(err)
	}
	return statement
}

func testSetAside(t *testing.T, open Open) {
	store, again, end := open(t)
	defer end()
	city := NewCity(t)
	good := city.Bus(t, 1, Morning())
	tampered := bytes.Clone(good)
	tampered[60]++ // in the grant
	cases := []struct {
		record []byte
		reason string
	}{
		{nil, "record header"},
		{[]byte("junk"), "record version"},
		{bytes.Repeat([]byte{1}, 70_000), "longer than 12 bits can count"},
		{good[:len(good)-1], "record length"},
		{tampered, "institution_signature"},
		{withTerminal(t, good, `{"pos_id":"1"}`), "pos_param type"},
		{withTerminal(t, good, `{"pos_id":"1","type":"JUMP","subject":"","record_id":""}`), "pos_param type"},
		{city.Record(t, Ride{Phone: 1, Kind: record.Single, At: Morning(), ShownSec: 601, Line: "19"}), "1 s too old"},
		{city.Record(t, Ride{Phone: 1, Kind: record.Single, At: Morning(), ShownSec: -1, Line: "19"}), "in the future"},
		{city.Record(t, Ride{Phone: 1, Kind: record.Single, At: Morning().AddDate(0, 0, 41), Line: "19"}), "authorization ended"},
		{city.Record(t, Ride{Phone: 1, Kind: record.Single, At: Morning(), Line: "20"}), `has no line "20"`},
	}
	var batch [][]byte
	for _, c := range cases {
		batch = append(batch, c.record)
	}
	m := city.Merchant(t, store, NewBank(nil), nil)
	answers := collect(t, m, Morning(), batch...)
	for i, c := range cases {
		if answers[i].Standing != merchant.SetAside || !strings.Contains(answers[i].Reason, c.reason) {
			t.Errorf("record %d: %s %q, want set aside with %q", i, answers[i].Standing, answers[i].Reason, c.reason)
		}
	}
	m = city.Merchant(t, again(), NewBank(nil), nil)
	items := all(t, m.SetAside(t.Context()))
	for i, item := range items {
		if item.Reason != answers[i].Reason || item.Records[0] != answers[i].Record {
			t.Errorf("item %d is %+v, want %+v", i, item, answers[i])
		}
	}
	if len(items) != len(cases) || items[len(items)-1].OutTradeNo == "" {
		t.Errorf("%d items stand aside, want %d, the last one a trip", len(items), len(cases))
	}
	if resent := collect(t, m, Morning(), tampered); resent[0].Standing != merchant.AlreadyHad || resent[0].Reason == "" {
		t.Errorf("sent again: %+v", resent[0])
	}
}

// withTerminal is the record with another pos_param.
func withTerminal(t *testing.T, b []byte, posParam string) []byte {
	unverified, err := record.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	fields := unverified.SkipVerification()
	fields.Terminal = []byte(posParam)
	changed, err := fields.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// noKeys is a key list that has not arrived.
type noKeys struct{}

func (noKeys) IssuerKey(ridecode.KeyID) (ridecode.Verifier, bool) { return nil, false }

func testReconsider(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city := NewCity(t)
	oldFares := parseFares(t, fare.Files{"lines.csv": []byte("line,group,fare\nmetro2,metro,matrix\n"), "matrix.csv": []byte("from,杨高中路\n杨高中路,2.00\n")})
	entry, exit := city.Metro(t, 1, record.Entry, Morning(), "松江大学城"), city.Metro(t, 1, record.Exit, Morning().Add(time.Hour), "杨高中路")
	keyless := city.Merchant(t, store, NewBank(nil), func(c *merchant.Config) { c.Keys, c.Fares = noKeys{}, oldFares })
	same(t, "answers", standings(collect(t, keyless, Morning(), entry, []byte("junk"))), []merchant.Standing{merchant.SetAside, merchant.SetAside})
	old := city.Merchant(t, store, NewBank(nil), func(c *merchant.Config) { c.Fares = oldFares })
	collect(t, old, Morning(), exit, city.Bus(t, 2, Morning()))
	reconsider(t, old, merchant.Reconsidered{Records: 1, Still: 3}) // junk, the bus, and the metro trip that is now one
	if got := all(t, old.SetAside(t.Context())); len(got) != 3 {
		t.Errorf("%d items stand aside, want 3", len(got))
	}
	m := city.Merchant(t, store, NewBank(nil), nil)
	reconsider(t, m, merchant.Reconsidered{Trips: 2, Still: 1})
	reconsider(t, m, merchant.Reconsidered{Still: 1})
	if waiting := trades(t, m, merchant.Waiting); len(waiting) != 2 || len(all(t, m.OpenTrips(t.Context()))) != 0 {
		t.Errorf("waiting %+v", waiting)
	}
}

func reconsider(t *testing.T, m *merchant.Merchant, want merchant.Reconsidered) {
	t.Helper()
	got, err := m.Reconsider(t.Context(), Morning())
	if err != nil || got != want {
		t.Errorf("reconsidered %+v, want %+v (%v)", got, want, err)
	}
}

func testBatchBounds(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city := NewCity(t)
	m := city.Merchant(t, store, NewBank(nil), nil)
	good := city.Bus(t, 1, Morning())
	for _, batch := range [][][]byte{
		append(make([][]byte, merchant.MaxBatchRecords), good),
		{good, make([]byte, merchant.MaxBatchBytes)},
	} {
		if _, err := m.Collect(t.Context(), batch, Morning()); err == nil {
			t.Errorf("a batch of %d records was taken", len(batch))
		}
	}
	if len(trades(t, m, merchant.Waiting)) != 0 {
		t.Error("something was taken")
	}
	if answers, err := m.Collect(t.Context(), nil, Morning()); err != nil || len(answers) != 0 {
		t.Error("an empty batch:", answers, err)
	}
}

// rides draws taps of a few riders that lie close together, so that entries and exits meet in every way.
func drawRides(rt *rapid.T) []Ride {
	stations := []string{"松江大学城", "杨高中路", "Xujiahui", "未知"}
	ride := rapid.Custom(func(rt *rapid.T) Ride {
		return Ride{
			Phone: rapid.IntRange(1, 3).Draw(rt, "phone"), Kind: rapid.SampledFrom([]record.Kind{record.Single, record.Entry, record.Exit}).Draw(rt, "kind"),
			At:   Morning().Add(time.Duration(rapid.IntRange(0, 24).Draw(rt, "half hours")) * 30 * time.Minute).Add(time.Duration(rapid.IntRange(0, 1).Draw(rt, "s")) * time.Second),
			Line: rapid.SampledFrom([]string{"19", "no such line"}).Draw(rt, "line"), Station: rapid.SampledFrom(stations).Draw(rt, "station"),
			RecordID: fmt.Sprint(rapid.IntRange(0, 1).Draw(rt, "record")), ShownSec: rapid.SampledFrom([]int64{0, 600, 601}).Draw(rt, "shown"),
		}
	})
	return rapid.SliceOfN(ride, 0, 24).Draw(rt, "rides")
}

// testAnyOrder: records in any order and grouping, doubled and sent again, make the same trades, open
// taps and items aside as all of them at once, and the pairs are those of a plain rule.
func testAnyOrder(t *testing.T, open Open) {
	city := NewCity(t)
	rapid.Check(t, func(rt *rapid.T) {
		var records [][]byte
		rides := drawRides(rt)
		for _, ride := range rides {
			records = append(records, city.Record(t, ride))
		}
		atOnce := pictureAfter(t, open, city, [][][]byte{records})
		batches := drawBatches(rt, records)
		if got := pictureAfter(t, open, city, batches); got != atOnce {
			rt.Fatalf("at once:\n%s\nin %d batches:\n%s", atOnce, len(batches), got)
		}
		if got, want := strings.Count(atOnce, "<metro>"), countPairs(rides, records); got != want && !hasParty(rides) {
			rt.Fatalf("%d metro trips, want %d:\n%s", got, want, atOnce)
		}
	})
}

// drawBatches deals records out in any order, some of them several times, each at least once.
func drawBatches(rt *rapid.T, records [][]byte) [][][]byte {
	if len(records) == 0 {
		return nil
	}
	order := rapid.SliceOfN(rapid.IntRange(0, len(records)-1), 0, 10).Draw(rt, "resent")
	for i := range records {
		order = append(order, i)
	}
	order = rapid.Permutation(order).Draw(rt, "order")
	var batches [][][]byte
	for len(order) > 0 {
		size := rapid.IntRange(1, min(12, len(order))).Draw(rt, "batch")
		var batch [][]byte
		for _, i := range order[:size] {
			batch = append(batch, records[i])
		}
		batches, order = append(batches, batch), order[size:]
	}
	return batches
}

// pictureAfter is what the merchant has after some batches, as text, but for the times of waiting.
func pictureAfter(t *testing.T, open Open, city *City, batches [][][]byte) string {
	store, _, end := open(t)
	defer end()
	m := city.Merchant(t, store, NewBank(nil), nil)
	for i, batch := range batches {
		collect(t, m, Morning().Add(time.Duration(i)*time.Second), batch...)
	}
	var lines []string
	for _, state := range []merchant.TradeState{merchant.Waiting, merchant.Aside, merchant.Free} {
		for _, trade := range trades(t, m, state) {
			kind := "bus"
			if trade.Trip.End.Kind != "" {
				kind = "metro"
			}
			trade.NextTry = time.Time{}
			lines = append(lines, fmt.Sprintf("<%s> %+v", kind, trade))
		}
	}
	for _, tap := range all(t, m.OpenTrips(t.Context())) {
		lines = append(lines, fmt.Sprintf("open %+v", tap))
	}
	for _, item := range all(t, m.SetAside(t.Context())) {
		lines = append(lines, fmt.Sprintf("aside %+v", item))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// hasParty tells whether one code let several people in together: the plain rule knows of no such thing, and
// testCompanions does.
func hasParty(rides []Ride) bool {
	for i, a := range rides {
		for j, b := range rides {
			apart := b.At.Sub(a.At)
			if i != j && a.Kind == record.Entry && b.Kind == record.Entry && a.Phone == b.Phone && a.Line == b.Line && a.Station == b.Station &&
				apart >= 0 && apart <= merchant.DefaultCompanionWait {
				return true
			}
		}
	}
	return false
}

// countPairs counts by the plain rule: an exit makes a trip when the tap of that rider right before it
// is an entry, at most six hours ago. Exits go first within a second.
func countPairs(rides []Ride, records [][]byte) (count int) {
	type tap struct {
		Ride
		id record.ID
	}
	seen := map[record.ID]bool{}
	byRider := map[int][]tap{}
	for i, ride := range rides {
		id := record.Identify(records[i])
		if ride.Kind != record.Single && ride.ShownSec <= 600 && !seen[id] {
			byRider[ride.Phone] = append(byRider[ride.Phone], tap{ride, id})
		}
		seen[id] = true
	}
	for _, taps := range byRider {
		for _, exit := range taps {
			var before []tap
			for _, other := range taps {
				if other.At.Before(exit.At) || other.At.Equal(exit.At) && other.Kind == record.Exit && bytes.Compare(other.id[:], exit.id[:]) < 0 {
					before = append(before, other)
				}
			}
			if exit.Kind != record.Exit || len(before) == 0 {
				continue
			}
			last := slices.MaxFunc(before, func(a, b tap) int {
				if c := a.At.Compare(b.At); c != 0 {
					return c
				}
				return strings.Compare(string(b.Kind), string(a.Kind)) // EXIT before ENTRY
			})
			if last.Kind == record.Entry && exit.At.Sub(last.At) <= merchant.DefaultMaxTrip {
				count++
			}
		}
	}
	return count
}

func numbersOf(trades []merchant.Trade) (numbers []openapi.OutTradeNo) {
	for _, trade := range trades {
		numbers = append(numbers, trade.OutTradeNo)
	}
	slices.Sort(numbers)
	return numbers
}
