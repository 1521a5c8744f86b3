package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
)

// A serving city brings an order to the riders' wallets, signed and once, and keeps its text; a scan it only keeps, and
// what the merchant repeats is nothing new.
func TestServeTellsRiders(t *testing.T) {
	f := newFollowing(t)
	forms := make(chan url.Values, 10)
	wallets := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err == nil {
			forms <- r.PostForm
		}
		_, _ = io.WriteString(w, "success")
	}))
	t.Cleanup(wallets.Close)
	f.shuama("app notify city --riders --url " + wallets.URL)
	two, at := money.Fen(2_00), time.Now().UTC().Truncate(time.Second)
	order := openapi.RideInfo{Type: "order", BizNo: "R1", AmountFen: &two, Subject: "s", BizTime: at, AssetName: "ALIPAY", CityName: "杭州", LineName: "19 路",
		Start: openapi.RideStop{StationName: "龙翔桥"}, VehicleID: "v", VehicleType: "BUS", PartnerName: "杭州公交", PartnerID: "1"}
	scan := order
	scan.Type, scan.AmountFen = "event", nil
	message := openapi.DataSendRequest{SceneCode: "vechile_order", OpCode: "data_save", Channel: "c", Version: "2.0", TargetID: "2088000011112222", Rides: []openapi.RideInfo{scan, order}}
	client := f.client("merchant.sealed")
	time.Sleep(2 * time.Second) // until the server has read where wallets are
	for range 2 {
		if err := client.SendRides(t.Context(), message); err != nil {
			t.Fatal(err)
		}
	}
	form := <-forms
	text, err := os.ReadFile(f.path("merchant/platform.pub"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := parseRSAPublic(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := openapi.VerifyNotification(form, key); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"notify_type": "transit_ride_told", "buyer_id": "2088000011112222", "biz_no": "R1", "amount": "2.00", "line_name": "19 路",
		"start_station_name": "龙翔桥", "partner_name": "杭州公交", "merchant_app_id": followedApp, "ride_status": "PAID", "biz_time": openapi.FormatTime(at)} {
		if got := form.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if out := f.shuama("sms list city"); strings.Count(out, "2088000011112222") != 1 || !strings.Contains(out, "乘坐19 路，票款2.00元。\n1 texts wait.") {
		t.Errorf("%s", out)
	}
	if out := f.shuama("sms list city --json"); !strings.Contains(out, `"no":1,"rider":"2088000011112222","text":"【刷码】您`) || bytes.Count([]byte(out), []byte("\n")) != 1 {
		t.Errorf("%s", out)
	}
	select {
	case again := <-forms:
		t.Errorf("told again: %v", again)
	case <-time.After(3 * time.Second):
	}
}
