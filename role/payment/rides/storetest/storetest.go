// Package storetest holds a rides.Store (刷码乘车数据) to its word: one suite for every implementation.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment/rides"
)

// Open makes an empty store that lives as long as t. reopen ends it, as far as that can be done in one
// process, and opens the same one again; store must not be used after it.
type Open = func(t *testing.T) (store rides.Store, reopen func() rides.Store)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"Nothing", testNothing},
		{"RoundTrip", testRoundTrip},
		{"Again", testAgain},
		{"Conflict", testConflict},
		{"KeysAreExact", testKeysAreExact},
		{"Targets", testTargets},
		{"OneOfMany", testOneOfMany},
		{"BigBatch", testBigBatch},
		{"ContextEnded", testContextEnded},
		{"OfRider", testOfRider},
		{"Texts", testTexts},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

var start = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// sample is a ride with something in every field.
func sample(no int) rides.Ride {
	amount := money.Fen(200)
	stop := openapi.RideStop{StationName: "龙翔桥", StationID: "213", TerminalID: "t1", TerminalSerialNo: "77", TerminalTime: start, LBS: "106.72,26.57"}
	return rides.Ride{App: "app1", Scene: "vechile_order", Channel: "hzcard", Version: "2.0", Target: "2088000000000001", TargetType: "ALIPAY_USER_ID",
		Received: start.Add(3 * time.Second), Info: openapi.RideInfo{Type: "order", BizNo: fmt.Sprintf("no%d", no), AmountFen: &amount, Subject: "公交-000 路", BizTime: start.Add(time.Duration(no) * time.Minute),
			AssetName: "ALIPAY", CityName: "杭州", Adcode: "330100", LineName: "64 路公交", LineID: "3213", Start: stop, End: stop, VehicleID: "v", VehicleType: "BUS",
			PlateNumber: "A1", CardNo: "c", DiscountType: "91discount", CardType: "T0420100", CardRecord: "000201", DriverID: "d", DriverName: "张三",
			PartnerName: "杭州市民卡", PartnerID: "2088xxxxxxxxx"}}
}

func add(t testing.TB, store rides.Store, batch ...rides.Ride) {
	t.Helper()
	if err := store.Add(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, store rides.Store, key rides.Key) (rides.Ride, bool) {
	t.Helper()
	ride, exists, err := store.Find(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return ride, exists
}

func ofTarget(t testing.TB, store rides.Store, app rides.AppID, target string, limit int) []rides.Ride {
	t.Helper()
	found, err := store.OfTarget(t.Context(), app, target, limit)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func testNothing(t *testing.T, open Open) {
	store, _ := open(t)
	add(t, store)
	if ride, exists := get(t, store, sample(1).Key()); exists || !reflect.DeepEqual(ride, rides.Ride{}) {
		t.Errorf("%+v", ride)
	}
	if found := ofTarget(t, store, "app1", "2088000000000001", 10); len(found) != 0 {
		t.Errorf("%+v", found)
	}
}

func testRoundTrip(t *testing.T, open Open) {
	store, reopen := open(t)
	full, bare := sample(1), sample(2)
	bare.Info = openapi.RideInfo{Type: "event", BizNo: "b", Subject: "s", BizTime: start, AssetName: "OUTSIDE CARD", CityName: "c", LineName: "l",
		Start: openapi.RideStop{StationName: "x"}, VehicleType: "METRO", VehicleID: "v", PartnerName: "p", PartnerID: "i"}
	bare.TargetType = ""
	add(t, store, full, bare)
	for range 2 {
		for _, want := range []rides.Ride{full, bare} {
			if got, exists := get(t, store, want.Key()); !exists || !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		}
		store = reopen()
	}
}

// Told again it is one ride, and when it came first stays.
func testAgain(t *testing.T, open Open) {
	store, _ := open(t)
	add(t, store, sample(1))
	again := sample(1)
	again.Received = again.Received.Add(time.Hour)
	add(t, store, again, sample(2))
	if got, _ := get(t, store, again.Key()); !reflect.DeepEqual(got, sample(1)) {
		t.Errorf("got %+v", got)
	}
	if found := ofTarget(t, store, "app1", "2088000000000001", 10); len(found) != 2 {
		t.Errorf("%d rides", len(found))
	}
}

// One number with two contents: nothing of the batch is kept.
func testConflict(t *testing.T, open Open) {
	store, _ := open(t)
	add(t, store, sample(1))
	other := sample(1)
	other.Info.Subject = "another"
	err := store.Add(t.Context(), []rides.Ride{sample(2), other, sample(3)})
	var conflict *rides.ConflictError
	if !errors.As(err, &conflict) || conflict.Key != other.Key() {
		t.Errorf("%v", err)
	}
	for no := 2; no <= 3; no++ {
		if _, exists := get(t, store, sample(no).Key()); exists {
			t.Errorf("ride %d is kept", no)
		}
	}
	if got, _ := get(t, store, other.Key()); got.Info.Subject != sample(1).Info.Subject {
		t.Error("what was told first is gone")
	}
	for name, change := range map[string]func(*rides.Ride){"target": func(r *rides.Ride) { r.Target = "2088000000000002" }, "channel": func(r *rides.Ride) { r.Channel = "x" }} {
		other := sample(1)
		change(&other)
		if err := store.Add(t.Context(), []rides.Ride{other}); !errors.As(err, &conflict) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

func testKeysAreExact(t *testing.T, open Open) {
	store, _ := open(t)
	add(t, store, sample(1))
	event, stranger := sample(1), sample(1)
	event.Info.Type, event.Info.Subject = "event", "another"
	stranger.App, stranger.Info.Subject = "app2", "another"
	add(t, store, event, stranger)
	for _, want := range []rides.Ride{sample(1), event, stranger} {
		if got, exists := get(t, store, want.Key()); !exists || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: %+v", want.Key(), got)
		}
	}
	for _, key := range []rides.Key{{App: "app1", Type: "order", BizNo: "NO1"}, {App: "app1", Type: "order", BizNo: "no1\x00"}, {App: "app3", Type: "order", BizNo: "no1"}} {
		if _, exists := get(t, store, key); exists {
			t.Errorf("%q is taken for another", key)
		}
	}
}

// The newest first, of one app.
func testTargets(t *testing.T, open Open) {
	store, _ := open(t)
	for _, no := range []int{3, 1, 2} {
		mine, other := sample(no), sample(no+10)
		other.App = "app2"
		add(t, store, mine, other)
	}
	found := ofTarget(t, store, "app1", "2088000000000001", 2)
	if len(found) != 2 || found[0].Info.BizNo != "no3" || found[1].Info.BizNo != "no2" {
		t.Errorf("found %+v", found)
	}
	if found := ofTarget(t, store, "app1", "2088000000000002", 2); len(found) != 0 {
		t.Errorf("another's: %+v", found)
	}
}

// Of many who tell one number with contents of their own, one is taken.
func testOneOfMany(t *testing.T, open Open) {
	store, _ := open(t)
	var mutex sync.Mutex
	taken, refused := 0, 0
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			ride := sample(1)
			ride.Info.Subject = fmt.Sprint(i)
			err := store.Add(t.Context(), []rides.Ride{ride})
			var conflict *rides.ConflictError
			mutex.Lock()
			defer mutex.Unlock()
			switch {
			case err == nil:
				taken++
			case errors.As(err, &conflict):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if taken != 1 || refused != 7 {
		t.Errorf("%d taken, %d refused", taken, refused)
	}
}

func testBigBatch(t *testing.T, open Open) {
	store, _ := open(t)
	batch := make([]rides.Ride, openapi.MaxRides)
	for i := range batch {
		batch[i] = sample(i)
	}
	add(t, store, batch...)
	add(t, store, batch...)
	if found := ofTarget(t, store, "app1", "2088000000000001", 1000); len(found) != len(batch) {
		t.Errorf("%d rides", len(found))
	}
}

func testContextEnded(t *testing.T, open Open) {
	store, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Add(ctx, []rides.Ride{sample(1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("add: %v", err)
	}
	if _, _, err := store.Find(ctx, sample(1).Key()); !errors.Is(err, context.Canceled) {
		t.Errorf("find: %v", err)
	}
	if _, exists := get(t, store, sample(1).Key()); exists {
		t.Error("kept all the same")
	}
}
