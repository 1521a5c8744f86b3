package storetest

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant"
)

// Told is one ride as a Platform has first heard of it.
type Told struct {
	User ridecode.UserID
	Info openapi.RideInfo
}

// Platform keeps ride data as the open platform does: a request whole or not at all, a number once. What comes
// again with other content is refused, and is a fault of the merchant.
type Platform struct {
	Manner func() Manner         // Honest, LostRequest or LostAnswer; others are Honest
	Refuse func(biz string) bool // refuses a request that holds such a number; may be nil
	Keep   func(message []byte)  // called with each request's content before it counts; may be nil

	mu       sync.Mutex
	All      []Told // in the order in which they came
	content  map[string]string
	Requests int
	Again    int // rides that came again as they were
	Faults   []string
}

// NewPlatform makes one that knows nothing.
func NewPlatform() *Platform {
	return &Platform{Manner: func() Manner { return Honest }, content: map[string]string{}}
}

// SendRides implements merchant.RideSender.
func (p *Platform) SendRides(_ context.Context, message openapi.DataSendRequest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Requests++
	content := openapi.DataSend().AppendRequest(nil, message)
	read, err := openapi.DataSend().ParseRequest(content)
	if err != nil || !reflect.DeepEqual(read, message) || len(content) > openapi.MaxContentSize {
		p.Faults = append(p.Faults, fmt.Sprintf("%d bytes change on the wire: %v", len(content), err))
		return openapi.Refuse(openapi.SubIllegalParams, "")
	}
	manner := p.Manner()
	if manner == LostRequest {
		return ErrLost
	}
	for _, info := range message.Rides {
		if p.Refuse != nil && p.Refuse(info.BizNo) {
			return openapi.Refuse(openapi.SubFail, info.BizNo)
		}
	}
	if p.Keep != nil {
		p.Keep(content)
	}
	p.Take(message)
	if manner == LostAnswer {
		return ErrLost
	}
	return nil
}

// Take is what happens to a request that arrives.
func (p *Platform) Take(message openapi.DataSendRequest) {
	for _, info := range message.Rides {
		key, content := info.Type+"/"+info.BizNo, message.Channel+message.TargetID+string(openapi.AppendRide(nil, info))
		switch before, known := p.content[key]; {
		case known && before != content:
			p.Faults = append(p.Faults, key+" came with other content")
		case known:
			p.Again++
		default:
			p.content[key] = content
			p.All = append(p.All, Told{ridecode.UserID(message.TargetID), info})
		}
	}
}

// numbers are those of one type.
func (p *Platform) numbers(kind string) map[string]Told {
	numbers := map[string]Told{}
	for _, told := range p.All {
		if told.Info.Type == kind {
			numbers[told.Info.BizNo] = told
		}
	}
	return numbers
}

// RideSettings are the city's.
func RideSettings() merchant.RideSettings {
	return merchant.RideSettings{Channel: "hzcard", CityName: "杭州", Adcode: "330100", PartnerName: "杭州市民卡", PartnerID: "2088000000000100",
		Lines:    map[string]merchant.RideLine{"19": {Name: "19 路公交", ID: "3213"}},
		Stations: map[string]merchant.RideStation{"Xujiahui": {ID: "111", LBS: "121.43,31.19"}}}
}

// Teller tells a platform what a store has; cards of type T0OUTSID are paid outside.
func Teller(t testing.TB, store merchant.Store, sender merchant.RideSender, change func(*merchant.TellerConfig)) *merchant.Teller {
	t.Helper()
	config := merchant.TellerConfig{RideSettings: RideSettings()}
	if change != nil {
		change(&config)
	}
	teller, err := merchant.NewTeller(ridesOf(t, store), sender, config)
	if err != nil {
		t.Fatal(err)
	}
	return teller
}

func ridesOf(t testing.TB, store merchant.Store) merchant.RideStore {
	t.Helper()
	rides, is := store.(merchant.RideStore)
	if !is {
		t.Fatal("the store keeps no ride data")
	}
	return rides
}

func tell(t testing.TB, teller *merchant.Teller, now time.Time) merchant.TellReport {
	t.Helper()
	report, err := teller.TellDue(context.Background(), now)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// testRideData: scans are told at once and orders when they end, with every field that a merchant knows.
func testRideData(t *testing.T, open Open) {
	store, again, end := open(t)
	defer end()
	city, bank, platform := NewCity(t), NewBank(nil), NewPlatform()
	bank.Willing = true
	m, teller := city.Merchant(t, store, bank, nil), Teller(t, store, platform, nil)
	bus, later := city.Bus(t, 1, Morning()), Morning().Add(time.Hour)
	entry, exit := city.Metro(t, 2, record.Entry, Morning(), "Xujiahui"), city.Metro(t, 2, record.Exit, later, "杨高中路")
	collect(t, m, Morning(), bus, entry, exit)
	if report := tell(t, teller, later); report.Told != 3 || len(platform.numbers("order")) != 0 {
		t.Errorf("before anything is settled: %+v", report)
	}
	settle(t, m, later)
	if report := tell(t, teller, later); report.Told != 2 || platform.Requests != 4 {
		t.Errorf("%+v after %d requests", report, platform.Requests)
	}
	if report := tell(t, teller, later.Add(time.Hour)); report != (merchant.TellReport{}) {
		t.Errorf("told again: %+v", report)
	}
	six, two := money.Fen(300), money.Fen(200)
	stop := func(station, pos, serial string, at time.Time) openapi.RideStop {
		return openapi.RideStop{StationName: station, TerminalID: pos, TerminalSerialNo: serial, TerminalTime: at}
	}
	info := openapi.RideInfo{AssetName: "ALIPAY", CityName: "杭州", Adcode: "330100", PartnerName: "杭州市民卡", PartnerID: "2088000000000100", CardType: string(ridecode.PlainCardType)}
	metro := info
	metro.Type, metro.AmountFen, metro.Subject, metro.BizTime, metro.CardNo = "order", &six, "地铁-Xujiahui-杨高中路-09:30", later, string(UserID(2))
	metro.LineName, metro.LineID, metro.VehicleID, metro.VehicleType = "metro2", "metro2", "GEXIT", "METRO"
	metro.Start = stop("Xujiahui", "GENTRY", fmt.Sprint(2, record.Entry, Morning().Unix()), Morning())
	metro.Start.StationID, metro.Start.LBS = "111", "121.43,31.19"
	metro.End = stop("杨高中路", "GEXIT", fmt.Sprint(2, record.Exit, later.Unix()), later)
	scan := info
	scan.Type, scan.BizNo, scan.Subject, scan.BizTime, scan.CardNo = "event", record.Identify(bus).String(), "公交-19-3241-08:30", Morning(), string(UserID(1))
	scan.LineName, scan.LineID, scan.VehicleID, scan.VehicleType = "19 路公交", "3213", "3241", "BUS"
	scan.Start, scan.CardRecord = stop("-", "3241", fmt.Sprint(1, Morning().Unix()), Morning()), hex.EncodeToString(bus)
	order := scan
	order.Type, order.CardRecord, order.AmountFen = "order", "", &two
	for _, trade := range trades(t, m, merchant.Settled) {
		if trade.Trip.Start.Kind == record.Single {
			order.BizNo = string(trade.OutTradeNo)
		} else {
			metro.BizNo = string(trade.OutTradeNo)
		}
	}
	for _, want := range []Told{{UserID(1), scan}, {UserID(1), order}, {UserID(2), metro}} {
		same(t, "told", platform.numbers(want.Info.Type)[want.Info.BizNo], want)
	}
	if left := platform.numbers("event")[record.Identify(exit).String()].Info; left.Start.StationName != "-" || left.End != metro.End || left.Subject != "地铁-出站-杨高中路-09:30" {
		t.Errorf("the exit: %+v", left)
	}
	counts, err := ridesOf(t, again()).RideCounts(t.Context())
	if err != nil || counts != (merchant.RideCounts{Events: 3, Orders: 2, Last: later}) || len(platform.Faults) != 0 {
		t.Errorf("%+v, %v, faults %q", counts, err, platform.Faults)
	}
}

// testRideStates: a failed trade has no amount, a free one has 0.00 and a number of its own, a gate that stayed shut
// makes no order, and what stands aside is told when it is readmitted.
func testRideStates(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	taps, changes := []merchant.Tap{}, merchant.Changes{}
	for i, name := range []string{"failed", "shut", "free", "waiting", "aside"} {
		tap := tapOf(i, record.Single, riderOf(i), Morning())
		taps = append(taps, tap)
		changes.Records, changes.Taps = append(changes.Records, storedRecord(i)), append(changes.Taps, tap)
		trade := tradeOf(name, Morning(), tap)
		switch name {
		case "aside":
			trade = asideTrade(name, tap)
		case "free":
			trade.AmountFen, trade.Lines[1].AmountFen, trade.Progress = 0, -300, merchant.Progress{State: merchant.Free}
		}
		changes.Trades = append(changes.Trades, trade)
	}
	changes.Records = append(changes.Records, asideRecord(9), storedRecord(10))
	changes.Taps = append(changes.Taps, tapOf(10, record.Entry, riderOf(10), Morning()))
	write(t, store, changes)
	failed, shut := progressOf(changes.Trades[0], merchant.Failed, time.Time{}), progressOf(changes.Trades[1], merchant.Failed, time.Time{})
	shut.Attempts = 0
	write(t, store, merchant.Changes{Progress: []merchant.TradeProgress{failed, shut}})
	platform := NewPlatform()
	teller := Teller(t, store, platform, func(c *merchant.TellerConfig) {
		c.IsOutside = func(_ context.Context, cardType ridecode.CardType) (bool, error) {
			return cardType == ridecode.PlainCardType, nil
		}
	})
	tell(t, teller, Morning())
	orders := map[string]Told{}
	for number, told := range platform.numbers("order") {
		orders[orderName(number)] = told
	}
	if len(orders) != 2 || orders["failed"].Info.AmountFen != nil || orders["F_free"].Info.AmountFen == nil || *orders["F_free"].Info.AmountFen != 0 {
		t.Errorf("orders %+v", orders)
	}
	if free := orders["F_free"].Info; free.DiscountType != "CAP" || free.AssetName != "OUTSIDE CARD" {
		t.Errorf("%+v", free)
	}
	readmitted := tapOf(9, record.Single, riderOf(9), Morning())
	write(t, store, merchant.Changes{Readmit: []record.ID{readmitted.Record}, Taps: []merchant.Tap{readmitted}})
	write(t, store, merchant.Changes{Withdrawn: []openapi.OutTradeNo{"aside", "free"}, Trades: []merchant.Trade{tradeOf("free", Morning(), taps[2])}})
	if report := tell(t, teller, Morning()); report.Told != 1 || len(platform.numbers("event")) != 7 || len(platform.Faults) != 0 {
		t.Errorf("%+v, %d scans, faults %q", report, len(platform.numbers("event")), platform.Faults)
	}
}

// testRideFrozen: what is on its way stays as it was written down, whatever the settings say by then.
func testRideFrozen(t *testing.T, open Open) {
	store, again, end := open(t)
	defer end()
	city, platform := NewCity(t), NewPlatform()
	collect(t, city.Merchant(t, store, NewBank(nil), nil), Morning(), city.Bus(t, 1, Morning()))
	platform.Manner = func() Manner { return LostAnswer }
	if report := tell(t, Teller(t, store, platform, nil), Morning()); report.Postponed != 1 || report.Fault == nil {
		t.Errorf("%+v", report)
	}
	store, platform.Manner = again(), func() Manner { return Honest }
	other := Teller(t, store, platform, func(c *merchant.TellerConfig) { c.CityName, c.Channel = "上海", "another" })
	if report := tell(t, other, Morning().Add(9*time.Second)); report.Told != 0 {
		t.Errorf("before it was due: %+v", report)
	}
	if report := tell(t, other, Morning().Add(10*time.Second)); report.Told != 1 || platform.Again != 1 || len(platform.Faults) != 0 {
		t.Errorf("%+v, faults %q", report, platform.Faults)
	}
}

// testRideAside: what the platform refuses stands aside with the reason, holds up nobody, and is told when somebody
// asks for it.
func testRideAside(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	city, platform := NewCity(t), NewPlatform()
	m, teller := city.Merchant(t, store, NewBank(nil), nil), Teller(t, store, platform, nil)
	var poison string
	for i := range 20 {
		raw := city.Bus(t, 1, Morning().Add(time.Duration(i)*time.Minute))
		collect(t, m, Morning(), raw)
		if i == 5 {
			poison = record.Identify(raw).String()
		}
	}
	platform.Refuse = func(number string) bool { return number == poison }
	if report := tell(t, teller, Morning()); report.Told != 19 || report.Aside != 1 || report.Fault != nil || platform.Requests > 11 {
		t.Errorf("%+v after %d requests", report, platform.Requests)
	}
	rides := ridesOf(t, store)
	for item, err := range merchant.RideItems(t.Context(), rides, true) {
		if err != nil || item.Info.BizNo != poison || item.Attempts != 1 || !strings.Contains(item.Reason, poison) {
			t.Errorf("aside: %+v, %v", item, err)
		}
	}
	if found, err := rides.RetryRide(t.Context(), "none", Morning()); found || err != nil {
		t.Error("a number that nobody has is found", err)
	}
	platform.Refuse = nil
	if found, err := rides.RetryRide(t.Context(), poison, Morning()); !found || err != nil {
		t.Error("it is not found", err)
	}
	if report := tell(t, teller, Morning()); report.Told != 1 || len(platform.All) != 20 {
		t.Errorf("%+v", report)
	}
}

// testRideQueue: a rider's rides wait behind each other, other riders' do not; and news are taken once.
func testRideQueue(t *testing.T, open Open) {
	store, _, end := open(t)
	defer end()
	rides, city := ridesOf(t, store), NewCity(t)
	m := city.Merchant(t, store, NewBank(nil), nil)
	collect(t, m, Morning(), city.Bus(t, 1, Morning()), city.Bus(t, 2, Morning()))
	news, err := rides.RideNews(t.Context(), 9)
	if err != nil || len(news.Taps) != 2 {
		t.Fatalf("%+v, %v", news, err)
	}
	item := func(user int, biz string) merchant.RideItem {
		info := openapi.RideInfo{Type: "event", BizNo: biz, Subject: "s", BizTime: Morning(), AssetName: "ALIPAY", CityName: "c", LineName: "l",
			Start: openapi.RideStop{StationName: "x"}, VehicleID: "v", VehicleType: "BUS", PartnerName: "p", PartnerID: "i"}
		return merchant.RideItem{User: UserID(user), Channel: "c", Info: info, RideTry: merchant.RideTry{NextTry: Morning()}}
	}
	for range 2 { // the second time they are taken already
		if err := rides.TakeRides(t.Context(), news, []merchant.RideItem{item(1, "a"), item(2, "b"), item(1, "c")}); err != nil {
			t.Fatal(err)
		}
	}
	due := func(at time.Time, riders int) (numbers []string) {
		items, err := rides.DueRides(t.Context(), at, riders, 9)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			numbers = append(numbers, item.Info.BizNo)
		}
		return numbers
	}
	same(t, "all", due(Morning(), 9), []string{"a", "c", "b"})
	same(t, "one rider", due(Morning(), 1), []string{"a", "c"})
	first, err := rides.Rides(t.Context(), false, 0, 1)
	if err != nil || len(first) != 1 {
		t.Fatal(first, err)
	}
	first[0].Attempts, first[0].NextTry, first[0].Reason = 3, Morning().Add(time.Minute), "lost"
	if err := rides.FileRides(t.Context(), merchant.RideResults{Missed: first, At: Morning()}); err != nil {
		t.Fatal(err)
	}
	same(t, "behind one that waits", due(Morning(), 9), []string{"b"})
	same(t, "later", due(Morning().Add(time.Minute), 9), []string{"b", "a", "c"})
	again, err := rides.Rides(t.Context(), false, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "kept", again, first)
	for range 2 { // what is gone is gone
		if err := rides.FileRides(t.Context(), merchant.RideResults{Told: first, At: Morning()}); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "told", due(Morning(), 9), []string{"b", "c"})
	if counts, err := rides.RideCounts(t.Context()); err != nil || counts != (merchant.RideCounts{Waiting: 2, Events: 1, Last: Morning()}) {
		t.Errorf("%+v, %v", counts, err)
	}
}

// testRideLoss: whatever is lost, doubled or killed, exactly the scans and the orders that ended arrive, each rider's
// in order. A free trip that a late record made another may have been told before.
func testRideLoss(t *testing.T, open Open) {
	city := NewCity(t)
	rapid.Check(t, func(rt *rapid.T) {
		store, again, end := open(t)
		defer end()
		var records [][]byte
		for _, ride := range drawRides(rt) {
			records = append(records, city.Record(t, ride))
		}
		bank, platform, now := NewBank(nil), NewPlatform(), Morning()
		bank.Now = func() time.Time { return now }
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		bank.Manner, platform.Manner = RandomManner(rng), RandomManner(rng)
		m, teller := city.Merchant(t, store, bank, nil), Teller(t, store, platform, nil)
		for _, batch := range drawBatches(rt, records) {
			collect(t, m, now, batch...)
			for _, step := range rapid.SliceOfN(rapid.SampledFrom([]string{"settle", "tell", "stop", "kill"}), 0, 4).Draw(rt, "steps") {
				switch step {
				case "settle":
					settle(t, m, now)
				case "tell":
					tell(t, teller, now)
				case "stop": // everything is sent, and nothing of it is written down
					tellUnwritten(t, store, platform, now)
				case "kill":
					store = again()
					m, teller = city.Merchant(t, store, bank, nil), Teller(t, store, platform, nil)
				}
				now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(rt, "pause")) * time.Second)
			}
		}
		settleAll(rt, t, m, &now)
		tellOn(rt, t, teller, ridesOf(t, store), &now)
		checkTold(rt, t, m, store, platform)
	})
}

// forgetful is a store of a process that dies before it writes down what became of its requests.
type forgetful struct{ merchant.RideStore }

func (forgetful) FileRides(context.Context, merchant.RideResults) error { return context.Canceled }

func tellUnwritten(t testing.TB, store merchant.Store, platform *Platform, now time.Time) {
	teller, err := merchant.NewTeller(forgetful{ridesOf(t, store)}, platform, merchant.TellerConfig{RideSettings: RideSettings()})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = teller.TellDue(context.Background(), now) // it has died
}

func tellOn(ft fatal, t testing.TB, teller *merchant.Teller, rides merchant.RideStore, now *time.Time) {
	for range 1000 {
		tell(t, teller, *now)
		counts, err := rides.RideCounts(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if counts.Waiting == 0 {
			return
		}
		*now = now.Add(time.Hour)
	}
	ft.Fatalf("it is never told")
}

// CheckTold wants a platform to know just what a merchant has.
func CheckTold(t testing.TB, m *merchant.Merchant, store merchant.Store, platform *Platform) {
	checkTold(t, t, m, store, platform)
}

func checkTold(ft fatal, t testing.TB, m *merchant.Merchant, store merchant.Store, platform *Platform) {
	t.Helper()
	if counts, err := ridesOf(t, store).RideCounts(context.Background()); err != nil || counts.Waiting != 0 || counts.Aside != 0 || len(platform.Faults) != 0 {
		ft.Fatalf("%+v, %v, faults %q", counts, err, platform.Faults)
	}
	scans, orders := map[string]bool{}, map[string]bool{}
	for _, record := range tappedRecords(t, store) {
		scans[record.String()] = true
	}
	for _, state := range []merchant.TradeState{merchant.Settled, merchant.Failed, merchant.Free} {
		for _, trade := range trades(t, m, state) {
			number := string(trade.OutTradeNo)
			if state == merchant.Free {
				number = "F_" + number[max(0, len(number)-31):]
			}
			orders[number] = state != merchant.Failed || trade.Attempts > 0
		}
	}
	maps.DeleteFunc(orders, func(_ string, told bool) bool { return !told })
	told := map[string]bool{}
	for number := range platform.numbers("order") {
		number = orderName(number)
		told[number] = orders[number] || !strings.HasPrefix(number, "F_")
	}
	maps.DeleteFunc(told, func(_ string, counts bool) bool { return !counts })
	if got := slices.Sorted(maps.Keys(platform.numbers("event"))); !slices.Equal(got, slices.Sorted(maps.Keys(scans))) {
		ft.Fatalf("%d scans are told of %d", len(got), len(scans))
	}
	if !maps.Equal(told, orders) {
		ft.Fatalf("orders told %v, the merchant has %v", told, orders)
	}
	checkOrder(ft, platform)
}

// orderName is a number without the digest that those of free trips end with.
func orderName(number string) string {
	if strings.HasPrefix(number, "F_") {
		return number[:strings.LastIndexByte(number, '_')]
	}
	return number
}

// checkOrder: no order arrives before the scans that it came of.
func checkOrder(ft fatal, platform *Platform) {
	seen := map[string]bool{}
	scan := func(told Told, stop openapi.RideStop) string {
		return fmt.Sprint(told.User, stop.TerminalID, stop.TerminalSerialNo, stop.TerminalTime)
	}
	for _, told := range platform.All {
		for _, stop := range []openapi.RideStop{told.Info.Start, told.Info.End} {
			switch {
			case stop.TerminalTime.IsZero():
			case told.Info.Type == "event":
				seen[scan(told, stop)] = true
			case !seen[scan(told, stop)]:
				ft.Fatalf("order %s arrives before its scan", told.Info.BizNo)
			}
		}
	}
}

// tappedRecords are those that do not stand aside.
func tappedRecords(t testing.TB, store merchant.Store) (ids []record.ID) {
	t.Helper()
	stored, err := store.Records(context.Background(), record.ID{}, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range stored {
		if one.Reason == "" {
			ids = append(ids, one.ID)
		}
	}
	return ids
}
