package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
)

// rich makes a merchant whose fares hang on each other.
func (c *City) rich(t testing.TB, store merchant.Store, settler merchant.Settler) *merchant.Merchant {
	return c.Merchant(t, store, settler, func(config *merchant.Config) { config.Fares = c.Rich })
}

// amounts lists trades of a state as "2.00 公交-19-3241-08:30", sorted.
func amounts(t testing.TB, m *merchant.Merchant, state merchant.TradeState) (all []string) {
	t.Helper()
	for _, trade := range trades(t, m, state) {
		if fare.Sum(trade.Lines) != trade.AmountFen {
			t.Errorf("the lines of %s do not add up: %+v", trade.OutTradeNo, trade.Lines)
		}
		all = append(all, trade.AmountFen.Yuan()+" "+trade.Subject)
	}
	slices.Sort(all)
	return all
}

func wantAmounts(t testing.TB, m *merchant.Merchant, state merchant.TradeState, want ...string) {
	t.Helper()
	if got := amounts(t, m, state); !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", state, got, want)
	}
}

// wantProven wants a phone's statement to add up, and gives it.
func wantProven(t testing.TB, m *merchant.Merchant, phone int) merchant.Statement {
	t.Helper()
	statement := stateOf(t, m, phone)
	if statement.Difference() != 0 {
		t.Errorf("the statement does not add up: %+v", statement)
	}
	return statement
}

func refunds(t testing.TB, m *merchant.Merchant) (fen []money.Fen) {
	t.Helper()
	for _, refund := range all(t, m.Refunds(context.Background())) {
		fen = append(fen, refund.AmountFen)
	}
	return fen
}

func minutes(n int) time.Time { return Morning().Add(time.Duration(n) * time.Minute) }

// A trip without exit waits for two days, is then charged, and the exit that comes even later gives back
// what was too much.
func testDefaultFare(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city, bank := NewCity(t), NewBank(nil)
	bank.Willing = true
	m := city.rich(t, store, bank)
	exit := city.Metro(t, 1, record.Exit, minutes(40), "Xujiahui")
	collect(t, m, Morning(), city.Metro(t, 1, record.Entry, Morning(), "松江大学城"))
	wantAmounts(t, m, merchant.Waiting)
	due := Morning().Add(merchant.DefaultDefaultAfter)
	if report := settle(t, m, due.Add(-time.Second)); report.Sent != 0 || !report.NextDue.Equal(due) {
		t.Errorf("report %+v, want it due at %s", report, due)
	}
	settle(t, m, due)
	wantAmounts(t, m, merchant.Settled, "6.00 地铁-松江大学城-未出站-08:30")
	collect(t, m, due.Add(24*time.Hour), exit)
	wantAmounts(t, m, merchant.Free, "0.00 地铁-松江大学城-Xujiahui-09:10")
	statement := wantProven(t, m, 1)
	if got := refunds(t, m); !slices.Equal(got, []money.Fen{100}) || statement.PaidFen != 500 || statement.FaresFen != 500 {
		t.Errorf("refunds %v, statement %+v", got, statement)
	}
	collect(t, m, due.Add(48*time.Hour), exit)
	if got := refunds(t, m); len(got) != 1 {
		t.Errorf("named again: %v", got)
	}
}

// A tap that no default fare is known for stays open, is asked for once, and is charged when there is one.
func testLeftOpen(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city, bank := NewCity(t), NewBank(nil)
	bank.Willing = true
	files := richFares()
	files["defaults.csv"] = []byte("group,missing,fare\nmetro,entry,8.00\n")
	m := city.Merchant(t, store, bank, func(c *merchant.Config) { c.Fares = parseFares(t, files) })
	collect(t, m, Morning(), city.Metro(t, 1, record.Entry, Morning(), "松江大学城"))
	due := Morning().Add(merchant.DefaultDefaultAfter)
	if report := settle(t, m, Morning()); !report.NextDue.Equal(due) {
		t.Errorf("next due %s, want %s", report.NextDue, due)
	}
	for range 2 {
		if report := settle(t, m, due); report.Sent != 0 || !report.NextDue.IsZero() || len(all(t, m.OpenTrips(t.Context()))) != 1 {
			t.Errorf("%+v", report)
		}
	}
	m = city.rich(t, store, bank)
	march, err := fare.ParseDay("2026-03-01")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Recount(t.Context(), march, due); err != nil || got.Trades != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	settle(t, m, due)
	wantAmounts(t, m, merchant.Settled, "6.00 地铁-松江大学城-未出站-08:30")
	wantProven(t, m, 1)
}

// The exit that comes in time leaves no trace of the default fare.
func testDefaultWithdrawn(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city := NewCity(t)
	m := city.rich(t, store, NewBank(nil))
	first := Morning().Add(merchant.DefaultDefaultAfter + 40*time.Minute)
	collect(t, m, first, city.Metro(t, 1, record.Exit, minutes(40), "Xujiahui"))
	wantAmounts(t, m, merchant.Waiting, "8.00 地铁-未进站-Xujiahui-09:10")
	collect(t, m, first.Add(time.Hour), city.Metro(t, 1, record.Entry, Morning(), "松江大学城"))
	wantAmounts(t, m, merchant.Waiting, "5.00 地铁-松江大学城-Xujiahui-09:10")
	if waiting := trades(t, m, merchant.Waiting); !waiting[0].NextTry.Equal(first.Add(time.Hour)) || len(waiting[0].Held) != 2 {
		t.Errorf("waiting %+v", waiting)
	}
}

// Who forgot to scan out says where he left: the default fare gives way before it is sent.
func testComplete(t *testing.T, open Open) {
	store, again, end := open(t)
	defer end()
	city, bank := NewCity(t), NewBank(nil)
	m := city.rich(t, store, bank)
	entry := city.Metro(t, 1, record.Entry, Morning(), "松江大学城")
	bus := city.Bus(t, 1, minutes(70))
	collect(t, m, Morning(), entry, bus)
	wantAmounts(t, m, merchant.Waiting, "2.00 公交-19-3241-09:40")
	if taps := all(t, m.OpenTrips(t.Context())); len(taps) != 1 || taps[0].Record != record.Identify(entry) {
		t.Errorf("open: %+v", taps)
	}
	id, claim := record.Identify(entry), merchant.Claim{Station: "Xujiahui", At: minutes(40)}
	for name, wrong := range map[string]struct {
		record record.ID
		claim  merchant.Claim
		now    time.Time
		want   string
	}{
		"no record":    {record.ID{1}, claim, minutes(90), "no such record"},
		"a bus":        {record.Identify(bus), claim, minutes(90), "a tap on a bus"},
		"no station":   {id, merchant.Claim{At: minutes(40)}, minutes(90), "a station"},
		"a forgery":    {id, merchant.Claim{Station: "X\x1b[2J", At: minutes(40)}, minutes(90), "printable"},
		"before":       {id, merchant.Claim{Station: "Xujiahui", At: minutes(-1)}, minutes(90), "an exit after it"},
		"after a day":  {id, merchant.Claim{Station: "Xujiahui", At: minutes(361)}, minutes(900), "an exit after it"},
		"the future":   {id, merchant.Claim{Station: "Xujiahui", At: minutes(100)}, minutes(90), "in the future"},
		"too late":     {id, claim, Morning().Add(merchant.DefaultCompleteWithin + time.Second), "longer ago than"},
		"no such fare": {id, merchant.Claim{Station: "Atlantis", At: minutes(40)}, minutes(90), `no station "Atlantis"`},
		"to itself":    {id, merchant.Claim{Station: "松江大学城", At: minutes(40)}, minutes(90), "no fare from"},
	} {
		if _, err := m.Complete(t.Context(), wrong.record, wrong.claim, wrong.now); !errors.Is(err, merchant.ErrNotCompleted) || !strings.Contains(err.Error(), wrong.want) {
			t.Errorf("%s: %v, want %s", name, err, wrong.want)
		}
	}
	for range 2 {
		completed, err := m.Complete(t.Context(), id, claim, minutes(90))
		if err != nil || completed.Fare.AmountFen != 500 || completed.Trade.AmountFen != 500 || completed.Trade.State != merchant.Waiting || completed.RefundFen != 0 {
			t.Fatalf("%+v, %v", completed, err)
		}
		if !completed.Trade.NextTry.Equal(minutes(90)) {
			t.Errorf("due at %s: it need not wait for a record any more", completed.Trade.NextTry)
		}
		// The bus is a transfer now.
		wantAmounts(t, m, merchant.Waiting, "1.00 公交-19-3241-09:40", "5.00 地铁-松江大学城-Xujiahui-08:30")
		m = city.rich(t, again(), bank)
	}
	if _, err := m.Complete(t.Context(), id, merchant.Claim{Station: "杨高中路", At: minutes(40)}, minutes(90)); !errors.Is(err, merchant.ErrNotCompleted) {
		t.Errorf("a second claim: %v", err)
	}
	// What a gate saw counts more than what the rider said.
	collect(t, m, minutes(100), city.Metro(t, 1, record.Exit, minutes(50), "杨高中路"))
	wantAmounts(t, m, merchant.Waiting, "1.00 公交-19-3241-09:40", "6.00 地铁-松江大学城-杨高中路-09:20")
	if _, err := m.Complete(t.Context(), id, claim, minutes(100)); !errors.Is(err, merchant.ErrNotCompleted) || !strings.Contains(err.Error(), "both of its ends") {
		t.Errorf("a claim for a whole trip: %v", err)
	}
	wantProven(t, m, 1)
}

// The same after the default fare was sent: the difference is named, once.
func testCompleteSent(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city, bank := NewCity(t), NewBank(nil)
	bank.Willing = true
	m := city.Merchant(t, store, bank, func(c *merchant.Config) { c.Fares, c.DefaultAfter = city.Rich, 6*time.Hour })
	exit := city.Metro(t, 1, record.Exit, minutes(40), "Xujiahui")
	collect(t, m, minutes(60), exit)
	settle(t, m, minutes(60+6*60))
	wantAmounts(t, m, merchant.Settled, "8.00 地铁-未进站-Xujiahui-09:10")
	for i := range 2 {
		completed, err := m.Complete(t.Context(), record.Identify(exit), merchant.Claim{Station: "杨高中路", At: minutes(5)}, minutes(24*60))
		if want := []money.Fen{500, 0}[i]; err != nil || completed.Fare.AmountFen != 300 || completed.RefundFen != want || completed.Trade.State != merchant.Settled {
			t.Errorf("%+v, %v", completed, err)
		}
	}
	statement := wantProven(t, m, 1)
	if got := refunds(t, m); !slices.Equal(got, []money.Fen{500}) || statement.PaidFen != 300 {
		t.Errorf("refunds %v, %+v", got, statement)
	}
}

// A ride whose record comes after those of its day were sent pays what the day's cap leaves of it.
func testLateUnderCap(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city, bank := NewCity(t), NewBank(nil)
	bank.Willing = true
	m := city.rich(t, store, bank)
	ride := func(from int) [][]byte {
		return [][]byte{city.Metro(t, 1, record.Entry, minutes(from), "松江大学城"), city.Metro(t, 1, record.Exit, minutes(from+40), "杨高中路")}
	}
	collect(t, m, minutes(400), slices.Concat(ride(120), ride(240))...)
	settle(t, m, minutes(500))
	wantAmounts(t, m, merchant.Settled, "3.00 地铁-松江大学城-杨高中路-13:10", "6.00 地铁-松江大学城-杨高中路-11:10")
	collect(t, m, minutes(600), ride(0)...)
	wantAmounts(t, m, merchant.Free, "0.00 地铁-松江大学城-杨高中路-09:10")
	statement := wantProven(t, m, 1)
	if statement.FaresFen != 900 || statement.PaidFen != 900 || len(refunds(t, m)) != 0 {
		t.Errorf("%+v", statement)
	}
	free := trades(t, m, merchant.Free)[0]
	if !strings.Contains(free.FareReason(), "6.00 松江大学城 to 杨高中路; -3.00 paid with trade") {
		t.Errorf("reason %q", free.FareReason())
	}
}

// The month's sums outlive a restart, and a late ride moves the fares behind it.
func testMonth(t *testing.T, open Open) {
	store, again, end := open(t)
	defer end()
	city := NewCity(t)
	m := city.rich(t, store, NewBank(nil))
	day := func(n int) [][]byte {
		at := Morning().AddDate(0, 0, n)
		return [][]byte{city.Metro(t, 1, record.Entry, at, "松江大学城"), city.Metro(t, 1, record.Exit, at.Add(40*time.Minute), "杨高中路")}
	}
	for _, n := range []int{1, 2, 4} {
		collect(t, m, Morning().AddDate(0, 0, n), day(n)...)
		m = city.rich(t, again(), NewBank(nil))
	}
	// 6.00, 6.00, then 80 % of 6.00
	if statement := wantProven(t, m, 1); statement.FaresFen != 6_00+6_00+4_80 {
		t.Errorf("%+v", statement)
	}
	collect(t, m, Morning().AddDate(0, 0, 5), day(3)...)
	if statement := wantProven(t, m, 1); statement.FaresFen != 6_00+6_00+4_80+4_80 || statement.ToPayFen != statement.FaresFen {
		t.Errorf("%+v", statement)
	}
	for n := 5; n < 9; n++ {
		collect(t, m, Morning().AddDate(0, 0, n), day(n)...)
	}
	// 30.00 is the most that a month costs, and April begins anew.
	if statement := wantProven(t, m, 1); statement.FaresFen != 30_00 {
		t.Errorf("%+v", statement)
	}
	collect(t, m, Morning().AddDate(0, 0, 30), day(30)...)
	if statement := wantProven(t, m, 1); statement.FaresFen != 36_00 {
		t.Errorf("%+v", statement)
	}
}

// A table that is written anew changes no ride that was charged: neither refunds nor shortfalls come of it.
func testTableWrittenAnew(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city, bank := NewCity(t), NewBank(nil)
	bank.Willing = true
	old := city.rich(t, store, bank)
	collect(t, old, minutes(30), city.Bus(t, 1, Morning()))
	settle(t, old, minutes(30))
	files := richFares()
	files["lines.csv"] = []byte("line,group,fare\n19,bus,1.00\nmetro2,metro,matrix\n")
	m := city.Merchant(t, store, bank, func(c *merchant.Config) { c.Fares = parseFares(t, files) })
	collect(t, m, minutes(60), city.Bus(t, 1, minutes(40)))
	wantAmounts(t, m, merchant.Waiting, "0.50 公交-19-3241-09:10")
	if statement := wantProven(t, m, 1); statement.FaresFen != 250 || len(refunds(t, m)) != 0 {
		t.Errorf("%+v", statement)
	}
}

// A claim counts all the same: the trip is another one than was charged.
func testClaimUnderNewTable(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city, bank := NewCity(t), NewBank(nil)
	bank.Willing = true
	impatient := func(files fare.Files) *merchant.Merchant {
		return city.Merchant(t, store, bank, func(c *merchant.Config) { c.Fares, c.DefaultAfter = parseFares(t, files), 6*time.Hour })
	}
	entry := city.Metro(t, 1, record.Entry, Morning(), "松江大学城")
	old := impatient(richFares())
	collect(t, old, minutes(30), entry)
	settle(t, old, minutes(6*60))
	files := richFares()
	files["holidays.csv"] = []byte("date,counts_as\n2026-10-01,weekend\n")
	completed, err := impatient(files).Complete(t.Context(), record.Identify(entry), merchant.Claim{Station: "Xujiahui", At: minutes(40)}, minutes(7*60))
	if err != nil || completed.Fare.AmountFen != 500 || completed.RefundFen != 100 {
		t.Errorf("%+v, %v", completed, err)
	}
}

// A month's cap that is put into the table in its middle counts from the first, once it is recounted.
func testRecount(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city, bank := NewCity(t), NewBank(nil)
	bank.Willing = true
	plain := city.Merchant(t, store, bank, nil)
	day := func(n int) [][]byte {
		at := Morning().AddDate(0, 0, n)
		return [][]byte{city.Metro(t, 1, record.Entry, at, "松江大学城"), city.Metro(t, 1, record.Exit, at.Add(40*time.Minute), "杨高中路")}
	}
	collect(t, plain, Morning().AddDate(0, 0, 2), day(1)...)
	settle(t, plain, Morning().AddDate(0, 0, 2))
	collect(t, plain, Morning().AddDate(0, 0, 3), day(2)...)
	collect(t, plain, Morning().AddDate(0, 0, 4), day(3)...)
	m := city.rich(t, store, bank)
	march, err := fare.ParseDay("2026-03-15")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []merchant.Recounted{{Riders: 1, Trades: 2}, {Riders: 1}} {
		if got, err := m.Recount(t.Context(), march, Morning().AddDate(0, 0, 5)); err != nil || got != want {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	wantAmounts(t, m, merchant.Waiting, "4.80 地铁-松江大学城-杨高中路-09:10", "6.00 地铁-松江大学城-杨高中路-09:10")
	collect(t, m, Morning().AddDate(0, 0, 5), day(4)...)
	wantAmounts(t, m, merchant.Waiting, "4.80 地铁-松江大学城-杨高中路-09:10", "4.80 地铁-松江大学城-杨高中路-09:10", "6.00 地铁-松江大学城-杨高中路-09:10")
	wantProven(t, m, 1)
}

func testTooLate(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city := NewCity(t)
	m := city.rich(t, store, NewBank(nil))
	week := Morning().Add(merchant.DefaultMaxLate)
	answers := collect(t, m, week.Add(time.Second), city.Bus(t, 1, Morning()), city.Bus(t, 1, minutes(30)))
	if answers[0].Standing != merchant.SetAside || !strings.Contains(answers[0].Reason, "came 7.0 days after its tap") || answers[1].Standing != merchant.Taken {
		t.Errorf("%+v", answers)
	}
	patient := city.Merchant(t, store, NewBank(nil), func(c *merchant.Config) { c.MaxLate = 30 * 24 * time.Hour })
	reconsider(t, patient, merchant.Reconsidered{Records: 1})
}

// Companions pay in full, and a student's friends are no students.
func testCompanions(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city := NewCity(t)
	m := city.rich(t, store, NewBank(nil))
	batch := [][]byte{city.Bus(t, Students, Morning()), city.Bus(t, Students, Morning().Add(30*time.Second)), city.Bus(t, Students, minutes(30))}
	for i := range 2 {
		at := minutes(120).Add(time.Duration(i) * 20 * time.Second)
		batch = append(batch, city.Metro(t, Students, record.Entry, at, "Xujiahui"), city.Metro(t, Students, record.Exit, at.Add(time.Hour), "杨高中路"))
	}
	collect(t, m, minutes(240), batch...)
	wantAmounts(t, m, merchant.Waiting, "0.50 公交-19-3241-09:00", "1.00 公交-19-3241-08:30", "1.50 地铁-Xujiahui-杨高中路-11:30", "2.00 公交-19-3241-08:30", "3.00 地铁-Xujiahui-杨高中路-11:30")
	wantProven(t, m, Students)
}

func testTurnedRound(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city := NewCity(t)
	m := city.rich(t, store, NewBank(nil))
	collect(t, m, minutes(240), city.Metro(t, 1, record.Entry, Morning(), "Xujiahui"), city.Metro(t, 1, record.Exit, minutes(20), "Xujiahui"),
		city.Metro(t, 2, record.Entry, Morning(), "Xujiahui"), city.Metro(t, 2, record.Exit, minutes(21), "Xujiahui"))
	wantAmounts(t, m, merchant.Waiting, "1.00 地铁-Xujiahui-Xujiahui-08:50", "2.00 地铁-Xujiahui-Xujiahui-08:51")
}

// A gate that stayed shut takes its transfer with it.
func testShutTransfer(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city := NewCity(t)
	m := city.rich(t, store, NewBank(nil))
	first := city.Bus(t, 1, Morning())
	collect(t, m, minutes(60), first, city.Bus(t, 1, minutes(10)))
	wantAmounts(t, m, merchant.Waiting, "1.00 公交-19-3241-08:40", "2.00 公交-19-3241-08:30")
	for range 2 {
		if charged, err := m.Shut(t.Context(), [][]byte{first}, minutes(61)); err != nil || len(charged) != 0 {
			t.Fatal(charged, err)
		}
		wantAmounts(t, m, merchant.Waiting, "2.00 公交-19-3241-08:40")
		wantAmounts(t, m, merchant.Failed, "2.00 公交-19-3241-08:30")
	}
	wantProven(t, m, 1)
}

// A free ride is settled online by not being sent.
func testFreeOnline(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city, bank := NewCity(t), NewBank(nil)
	files := cityFares()
	files["lines.csv"] = []byte("line,group,fare\n19,bus,0.00\n")
	m := city.Merchant(t, store, bank, func(c *merchant.Config) { c.Fares = parseFares(t, files) })
	trade, err := m.SettleNow(t.Context(), city.Bus(t, 1, Morning()), Morning())
	if err != nil || trade.State != merchant.Free || bank.Attempts != 0 {
		t.Errorf("%+v, %v", trade, err)
	}
}

// drawDays draws rides of two riders over four days at the turn of a month, close enough together to
// meet in every way.
func drawDays(rt *rapid.T) []Ride {
	stations := []string{"松江大学城", "杨高中路", "Xujiahui"}
	ride := rapid.Custom(func(rt *rapid.T) Ride {
		at := time.Date(2026, 3, rapid.IntRange(29, 32).Draw(rt, "day"), 0, 0, 0, 0, time.UTC)
		return Ride{
			Phone: rapid.SampledFrom([]int{1, Students}).Draw(rt, "phone"),
			Kind:  rapid.SampledFrom([]record.Kind{record.Single, record.Entry, record.Exit, record.Entry, record.Exit}).Draw(rt, "kind"),
			At:    at.Add(time.Duration(rapid.IntRange(0, 47).Draw(rt, "half hours")) * 30 * time.Minute).Add(time.Duration(rapid.IntRange(0, 1).Draw(rt, "min")) * time.Minute),
			Line:  "19", Station: rapid.SampledFrom(stations).Draw(rt, "station"), RecordID: fmt.Sprint(rapid.IntRange(0, 1).Draw(rt, "record")),
		}
	})
	rides := rapid.SliceOfN(ride, 0, 20).Draw(rt, "rides")
	for i := range rides {
		if rides[i].Kind != record.Single {
			rides[i].Line = "metro2"
		}
	}
	return rides
}

// testAnyOrderMoney: whatever the order, the doubles, the delays, and what was sent in between, the trips
// and their fares are the same, every fen is explained, and what is paid in the end is what the trips cost;
// less only by what was sent with too little before a late record showed it.
func testAnyOrderMoney(t *testing.T, open Open) {
	city := NewCity(t)
	rapid.Check(t, func(rt *rapid.T) {
		var records [][]byte
		for _, ride := range drawDays(rt) {
			records = append(records, city.Record(t, ride))
		}
		begin := time.Date(2026, 4, 2, 0, 0, 0, 0, time.UTC)
		atOnce := run(rt, t, open, city, [][][]byte{records}, begin, runOptions{willing: true})
		got := run(rt, t, open, city, drawBatches(rt, records), begin, runOptions{willing: true, between: true})
		for _, phone := range []int{1, Students} {
			compareStatements(rt, atOnce[phone], got[phone])
		}
	})
}

// testAnyOrderRefused: the same with a bank that refuses some trades for good. What was credited from a trade
// that then took nothing is charged, and all ends explained.
func testAnyOrderRefused(t *testing.T, open Open) {
	city := NewCity(t)
	rapid.Check(t, func(rt *rapid.T) {
		var records [][]byte
		for _, ride := range drawDays(rt) {
			records = append(records, city.Record(t, ride))
		}
		begin := time.Date(2026, 4, 2, 0, 0, 0, 0, time.UTC)
		for phone, got := range run(rt, t, open, city, drawBatches(rt, records), begin, runOptions{between: true}) {
			if got.Difference() != 0 || got.ToPayFen != 0 || got.UnnamedFen != 0 {
				rt.Fatalf("phone %d: %+v", phone, got)
			}
		}
	})
}

func compareStatements(rt *rapid.T, atOnce, got merchant.Statement) {
	if text, want := tripsText(got), tripsText(atOnce); text != want {
		rt.Fatalf("trips\n%s\nwant\n%s", text, want)
	}
	if got.Difference() != 0 || atOnce.Difference() != 0 || got.ToPayFen != 0 || got.UnnamedFen != 0 || atOnce.ShortFen != 0 || atOnce.PaidFen != atOnce.FaresFen {
		rt.Fatalf("at once %+v\nlater %+v", atOnce, got)
	}
	if got.PaidFen-got.HeldFen+got.ShortFen != atOnce.PaidFen || got.ShortFen < 0 {
		rt.Fatalf("paid %s, short %s, and the trips cost %s", got.PaidFen.Yuan(), got.ShortFen.Yuan(), atOnce.FaresFen.Yuan())
	}
}

func tripsText(s merchant.Statement) string {
	var lines []string
	for _, trip := range s.Trips {
		lines = append(lines, fmt.Sprintf("%s %s %s %v %s", trip.Day, trip.Start.Record, trip.End.Record, trip.Companion, fare.OneLine(trip.Fare.Lines)))
	}
	return strings.Join(lines, "\n")
}

// runOptions are how a run goes.
type runOptions struct {
	willing bool // the bank refuses nothing
	between bool // trades are sent now and then between batches
}

// run collects batches until all is settled.
func run(rt *rapid.T, t *testing.T, open Open, city *City, batches [][][]byte, now time.Time, options runOptions) map[int]merchant.Statement {
	store, _, end := open(t)
	defer end()
	bank := NewBank(nil)
	bank.Willing = options.willing
	bank.Now = func() time.Time { return now }
	m := city.rich(t, store, bank)
	for _, batch := range batches {
		collect(t, m, now, batch...)
		if options.between && rapid.Bool().Draw(rt, "settle between") {
			now = earliest(now.Add(time.Duration(rapid.IntRange(0, 30).Draw(rt, "hours"))*time.Hour), lastBatch())
			settle(t, m, now)
		}
	}
	settleAll(rt, t, m, &now)
	if len(bank.Faults) != 0 {
		rt.Fatalf("%q", bank.Faults)
	}
	checkUsedOnce(rt, t, m)
	statements := map[int]merchant.Statement{}
	for _, phone := range []int{1, Students} {
		statements[phone] = stateOf(t, m, phone)
	}
	return statements
}

// lastBatch is when the last batch comes at the latest, so that no record is too late.
func lastBatch() time.Time { return time.Date(2026, 4, 4, 0, 0, 0, 0, time.UTC) }

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// checkUsedOnce: no record pays twice, every trade's lines add up, and no refund is more than its trade.
func checkUsedOnce(rt *rapid.T, t *testing.T, m *merchant.Merchant) {
	used := map[record.ID]bool{}
	for _, state := range []merchant.TradeState{merchant.Settled, merchant.Free} {
		for _, trade := range trades(t, m, state) {
			for _, id := range trade.Held {
				if used[id] {
					rt.Fatalf("record %s is in two trades", id)
				}
				used[id] = true
			}
			if fare.Sum(trade.Lines) != trade.AmountFen || trade.RefundFen > trade.AmountFen || (trade.AmountFen == 0) != (state == merchant.Free) {
				rt.Fatalf("%+v", trade)
			}
		}
	}
}
