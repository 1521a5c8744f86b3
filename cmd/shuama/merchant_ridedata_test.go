package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
)

// merchant runs a command of the merchant over its folder.
func (f *following) merchant(command string, args ...string) string {
	f.t.Helper()
	var out bytes.Buffer
	w := &world{context: f.t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &out, now: time.Now}
	if status := run(w, append([]string{"merchant", command, f.path("merchant")}, args...)); status != exitAccepted {
		f.t.Fatalf("shuama merchant %s: status %d: %s", command, status, out.String())
	}
	return out.String()
}

// tapOnce lets a rider through a gate, and gives the number of the scan that will be told.
func (f *following) tapOnce(user string) string {
	f.t.Helper()
	f.shuama("keys terminal city "+followedApp+" bus --out files-gate", "account open city "+user, "account top-up city "+user+" 50 --number 1",
		"wallet fetch city "+user+" --out files-phone")
	var out bytes.Buffer
	w := &world{context: f.t.Context(), stdin: strings.NewReader(f.shuama("wallet show files-phone --hex")), stdout: &out, stderr: &out, now: time.Now}
	if status := run(w, f.args("terminal files-gate --line 19 --amount 2.00")); status != exitAccepted {
		f.t.Fatal(out.String())
	}
	f.merchant("collect", f.path("files-gate/gate.journal"))
	db, err := store.Open(f.path("merchant/merchant.db"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	stored, err := db.Merchant().Records(f.t.Context(), record.ID{}, 9)
	if err != nil || len(stored) != 1 {
		f.t.Fatal(stored, err)
	}
	return stored[0].ID.String()
}

// What the platform refuses stands aside with its words, the order goes on without it, and --retry sends it again.
func TestRideDataAside(t *testing.T) {
	f := newFollowing(t)
	number := f.tapOnce("2088000011112222")
	f.until("the server to know the gate", func() bool { return strings.Contains(f.log.String(), "the city has changed") })
	taken := openapi.RideInfo{Type: "event", BizNo: number, Subject: "s", BizTime: time.Now().Truncate(time.Second), AssetName: "ALIPAY", CityName: "杭州", LineName: "l",
		Start: openapi.RideStop{StationName: "x"}, VehicleID: "v", VehicleType: "BUS", PartnerName: "p", PartnerID: "1"}
	if err := f.client("merchant.sealed").SendRides(t.Context(), openapi.DataSendRequest{SceneCode: "vechile_order", OpCode: "data_save", Channel: "c", Version: "2.0",
		TargetID: "2088000011112222", Rides: []openapi.RideInfo{taken}}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	w := &world{context: ctx, stdin: strings.NewReader(""), stdout: io.Discard, stderr: &f.log, now: time.Now}
	go func() { ended <- run(w, []string{"merchant", "serve", f.path("merchant"), "--listen", "127.0.0.1:0"}) }()
	f.until("the order, and the scan aside", func() bool {
		return strings.HasPrefix(f.merchant("ridedata"), "Told: 0 scans, 1 orders, the last at ")
	})
	out := f.merchant("ridedata")
	if !strings.Contains(out, "Waiting: 0. Standing aside: 1.\nASIDE    event "+number+"  2088000011112222") || !strings.Contains(out, "内容不同") {
		t.Errorf("%s", out)
	}
	stop()
	if status := <-ended; status != exitAccepted {
		t.Errorf("merchant serve ended with %d: %s", status, f.log.String())
	}
	if out := f.merchant("ridedata", "--retry", number); out != number+" waits again.\n" {
		t.Errorf("%s", out)
	}
	if out := f.merchant("ridedata", "--json"); !strings.Contains(out, `"waiting_count": 1`) || !strings.Contains(out, `"biz_no": "`+number) {
		t.Errorf("%s", out)
	}
}
