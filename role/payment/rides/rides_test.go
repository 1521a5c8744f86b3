package rides_test

import (
	"context"
	"errors"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
)

// seen is a Store that remembers what it was given; edge/store has the real ones.
type seen struct{ batches [][]rides.Ride }

func (s *seen) Add(_ context.Context, batch []rides.Ride) error {
	s.batches = append(s.batches, batch)
	return nil
}

func (*seen) Find(context.Context, rides.Key) (rides.Ride, bool, error) {
	return rides.Ride{}, false, nil
}

func (*seen) OfTarget(context.Context, rides.AppID, string, int) ([]rides.Ride, error) {
	return nil, nil
}

func (*seen) OfRider(context.Context, ridecode.UserID, rides.Place, int) ([]rides.Ride, rides.Place, error) {
	return nil, rides.Place{}, nil
}

func (*seen) Texts(context.Context, int64, int) ([]rides.Text, error) { return nil, nil }

var now = time.Date(2026, 11, 21, 8, 0, 0, 5e8, time.UTC)

func ride(number, subject string) rides.Ride {
	return rides.Ride{App: "app1", Target: "2088000000000001", Info: openapi.RideInfo{Type: "event", BizNo: number, Subject: subject}}
}

func TestKeep(t *testing.T) {
	store := &seen{}
	register := rides.New(store)
	if err := register.Keep(t.Context(), []rides.Ride{ride("1", "a"), ride("2", "b"), ride("1", "a")}, now); err != nil {
		t.Fatal(err)
	}
	if kept := store.batches[0]; len(kept) != 2 || !kept[0].Received.Equal(now.Truncate(time.Second)) {
		t.Errorf("kept %+v", kept)
	}
	var conflict *rides.ConflictError
	if err := register.Keep(t.Context(), []rides.Ride{ride("1", "a"), ride("1", "b")}, now); !errors.As(err, &conflict) || len(store.batches) != 1 {
		t.Errorf("two contents under one number: %v", err)
	}
}

// Whatever differs in what was told makes another digest, and when it came does not.
func TestDigest(t *testing.T) {
	two := money.Fen(2)
	first := ride("1", "a").Digest()
	received := ride("1", "a")
	received.Received = now
	if received.Digest() != first {
		t.Error("the time of receipt counts")
	}
	for i, change := range []func(*rides.Ride){
		func(r *rides.Ride) { r.App = "app2" }, func(r *rides.Ride) { r.Scene = "x" }, func(r *rides.Ride) { r.Channel = "x" }, func(r *rides.Ride) { r.Version = "x" },
		func(r *rides.Ride) { r.Target = "x" }, func(r *rides.Ride) { r.TargetType = "x" }, func(r *rides.Ride) { r.Info.AmountFen = &two },
		func(r *rides.Ride) { r.Info.End.LBS = "1,1" }, func(r *rides.Ride) { r.Info.BizTime = now }, func(r *rides.Ride) { r.Info.PartnerID = "x" },
		func(r *rides.Ride) { r.Scene, r.Channel = "", "x" },
	} {
		other := ride("1", "a")
		change(&other)
		if other.Digest() == first {
			t.Errorf("change %d makes the same digest", i)
		}
	}
}

// A rider hears of an order, once and in words that fit one message; of a scan he does not, nor does anybody of what
// is told for several.
func TestAnnounced(t *testing.T) {
	two, none := money.Fen(200), money.Fen(0)
	order := ride("1", "a")
	order.Info = openapi.RideInfo{Type: "order", BizNo: "1", AmountFen: &two, AssetName: "ALIPAY", BizTime: now, LineName: "地铁2号线", PartnerName: "申通",
		Start: openapi.RideStop{StationName: "徐家汇"}, End: openapi.RideStop{StationName: "一个名字长得谁也记不住的车站"}}
	for i, c := range []struct {
		change func(*rides.Ride)
		state  payment.RideState
		text   string
	}{
		{func(*rides.Ride) {}, payment.RidePaid, "【刷码】您11月21日16:00乘坐地铁2号线 徐家汇至一个名字长得谁也记不住…，票款2.00元。"},
		{func(r *rides.Ride) { r.Info.AssetName = "OUTSIDE CARD" }, payment.RidePaidOutside, "【刷码】您11月21日16:00乘坐地铁2号线 徐家汇至一个名字长得谁也记不住…，票款2.00元。"},
		{func(r *rides.Ride) { r.Info.AmountFen, r.Info.End = &none, openapi.RideStop{} }, payment.RideFree, "【刷码】您11月21日16:00乘坐地铁2号线，免费。"},
		{func(r *rides.Ride) { r.Info.AmountFen, r.Info.End = nil, openapi.RideStop{} }, payment.RideUnpaid, "【刷码】您11月21日16:00乘坐地铁2号线，未扣款。"},
		{func(r *rides.Ride) { r.Info.Type = "event" }, payment.RideScanned, ""},
		{func(r *rides.Ride) { r.Target = "2088000000000001,2088000000000002" }, payment.RidePaid, ""},
		{func(r *rides.Ride) { r.TargetType = "BINDING_MOBILE_NO" }, payment.RidePaid, ""},
		{func(r *rides.Ride) { r.TargetType = "ALIPAY_USER_ID" }, payment.RidePaid, "【刷码】您11月21日16:00乘坐地铁2号线 徐家汇至一个名字长得谁也记不住…，票款2.00元。"},
	} {
		r := order
		c.change(&r)
		if r.Text() != c.text || r.State() != c.state || r.IsAnnounced() != (c.text != "") || utf8.RuneCountInString(r.Text()) > 70 {
			t.Errorf("%d: %s %q", i, r.State(), r.Text())
		}
	}
	d := order.Delivery(7)
	if d.ID != "ride-7" || d.To != payment.ToRider || d.Notice.User != "2088000000000001" || d.Notice.AmountFen != two || d.Notice.Ride.App != "app1" || !d.Notice.At.Equal(now) {
		t.Errorf("%+v", d)
	}
}
