package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment"
)

const riskyRider = "2088000011112222"

// prepareRisk makes gates in two cities, a rider, and a policy that one ride satisfies and one finding denies by.
func prepareRisk(f *following) {
	f.t.Helper()
	f.shuama("keys terminal city "+followedApp+" north --out files-north", "keys terminal city "+followedApp+" south --out files-south",
		"account open city "+riskyRider, "account top-up city "+riskyRider+" 50 --number 1")
	stations := "app_id,station,adcode,longitude,latitude\n,天安门东,110101,116.397,39.909\n,人民广场,310101,121.473,31.230\n"
	if err := os.WriteFile(f.path("city/stations.csv"), []byte(stations), 0o600); err != nil {
		f.t.Fatal(err)
	}
	err := changeCity(f.path("city"), func(home *city) error {
		if err := json.Unmarshal([]byte(`{"new_rider":{"rides":1,"limit":"5.00"},"impossible":{"deny_after":1}}`), &home.settings.Payment.Risk); err != nil {
			return err
		}
		return home.save()
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// ride lets the rider pass a gate, and his merchant settle it.
func (f *following) ride(wallet, gate, station string) {
	f.t.Helper()
	code := strings.TrimSpace(f.shuama("wallet show " + wallet + " --hex"))
	var said bytes.Buffer
	w := &world{context: f.t.Context(), stdin: strings.NewReader(code + "\n"), stdout: &said, stderr: &said, now: time.Now}
	if status := run(w, f.args("terminal "+gate+" --line 19 --amount 2.00 --station "+station)); status != exitAccepted {
		f.t.Fatalf("gate %s: %d %s", gate, status, said.String())
	}
	f.shuama("merchant collect merchant "+f.path(gate+"/gate.journal"), "merchant settle merchant --once")
}

func (f *following) standing() (s standingJSON) {
	f.t.Helper()
	if err := json.Unmarshal([]byte(f.shuama("risk show city "+riskyRider+" --json")), &s); err != nil {
		f.t.Fatal(err)
	}
	return s
}

// refused runs a command that cannot do what it is asked.
func (f *following) refused(command string) string {
	f.t.Helper()
	var text bytes.Buffer
	w := &world{context: f.t.Context(), stdin: strings.NewReader(""), stdout: &text, stderr: &text, now: time.Now}
	if status := run(w, f.args(command)); status == exitAccepted {
		f.t.Errorf("shuama %s went well: %s", command, text.String())
	}
	return text.String()
}

// A new rider's grant is small and grows; who is at two ends of the country at once is denied, by the deny list too; an
// appeal lets him ride at once, on a server that runs all the while.
func TestServeWatchesRisk(t *testing.T) {
	f := newFollowing(t, prepareRisk)
	fetch := "wallet fetch city " + riskyRider + " --out "
	if out := f.shuama(fetch + f.path("phone-1")); !strings.Contains(out, "5.00 yuan a trade") {
		t.Errorf("a new rider: %s", out)
	}
	f.ride(f.path("phone-1"), "files-north", "天安门东")
	f.until("the rider to be known", func() bool { return f.standing().Outcome == string(payment.RiskNothing) })
	if out := f.shuama(fetch + f.path("phone-2")); strings.Contains(out, "Risk rules") {
		t.Errorf("a known rider: %s", out)
	}
	f.ride(f.path("phone-2"), "files-south", "人民广场")
	f.until("the rider to be denied", func() bool { return f.standing().Outcome == string(payment.RiskDeny) })
	s := f.standing()
	if len(s.Findings) != 1 || !s.Findings[0].Proven || len(s.Findings[0].Evidence) != 2 || !strings.Contains(s.Findings[0].Why, "km apart") {
		t.Errorf("%+v", s)
	}
	if out := f.refused(fetch + f.path("phone-3")); !strings.Contains(out, "What to do: support") || !strings.Contains(out, "km apart") {
		t.Errorf("a denied rider: %s", out)
	}
	listed := func() bool {
		list, err := gateway.Ask(t.Context(), f.client("merchant.sealed"), openapi.DenyListQuery(), openapi.DenyListRequest{PageIndex: 1, PageSize: 100})
		return err == nil && slices.Contains(list.Users, riskyRider)
	}
	f.until("the gates to learn of it", listed)
	if out := f.shuama("risk list city"); !strings.Contains(out, riskyRider+"  deny") {
		t.Errorf("list: %s", out)
	}
	if out := f.shuama("risk appeal city " + riskyRider + " --finding 1 --reason drill --by support-7"); !strings.Contains(out, "Now: nothing") {
		t.Errorf("appeal: %s", out)
	}
	f.shuama(fetch + f.path("phone-4"))
	f.until("the gates to forget him", func() bool { return !listed() })
	if s := f.standing(); s.Findings[0].Appeal == nil || s.Findings[0].Appeal.By != "support-7" {
		t.Errorf("the finding is gone, or who set it aside: %+v", s)
	}
}

// What a merchant tells alone limits a rider, and denies him nothing; told again it is one finding.
func TestServeWatchesRideData(t *testing.T) {
	f := newFollowing(t, prepareRisk)
	at := time.Now().Truncate(time.Second)
	event := func(no, station string) openapi.RideInfo {
		return openapi.RideInfo{Type: "event", BizNo: no, Subject: "进站", BizTime: at, AssetName: "ALIPAY", PartnerName: "地铁", PartnerID: "2088", LineName: "1", VehicleID: "1", VehicleType: "METRO", CityName: "城", Adcode: "110101",
			Start: openapi.RideStop{StationName: station, TerminalID: "t"}, CardType: "ANT00001", CardNo: "1"}
	}
	request := openapi.DataSendRequest{SceneCode: "vehicle_order", OpCode: "data_save", Channel: "t", Version: "1", TargetID: riskyRider, TargetIDType: "ALIPAY_USER_ID",
		Rides: []openapi.RideInfo{event("1", "天安门东"), event("2", "人民广场")}}
	for range 2 {
		if _, err := gateway.Ask(t.Context(), f.client("merchant.sealed"), openapi.DataSend(), request); err != nil {
			t.Fatal(err)
		}
	}
	if s := f.standing(); s.Outcome != string(payment.RiskLimit) || len(s.Findings) != 1 || s.Findings[0].Proven {
		t.Errorf("%+v", s)
	}
}

// Settings are taken as a whole or not at all, and every fault names its field.
func TestRiskSettings(t *testing.T) {
	policy := payment.DefaultRisk()
	var s riskSettings
	text := `{"new_rider":{"rides":0},"velocity":{"window_min":30,"rides":5,"limit":"3.00","valid_sec":60,"hours":2},"impossible":{"km_per_hour":120,"apps_within_min":3},"hold_hours":24}`
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	if err := s.apply(&policy); err != nil {
		t.Fatal(err)
	}
	v := policy.Velocity
	if policy.New.Rides != 0 || v.Window != 30*time.Minute || v.Rides != 5 || v.Scans != payment.DefaultRisk().Velocity.Scans || policy.Hold != 24*time.Hour ||
		v.Then.Bounds != (payment.Bounds{LimitFen: 3_00, ValidSec: 60, Lasts: 2 * time.Hour}) || policy.Travel.KmPerHour != 120 || policy.Travel.AppsWithin != 3*time.Minute {
		t.Errorf("%+v", policy)
	}
	for text, want := range map[string]string{
		`{"new_rides":{}}`:                   "new_rides",
		`{"velocity":{"window_min":0}}`:      "velocity.window_min: 0 is not 1 to 1440",
		`{"velocity":{"window_min":1441}}`:   "velocity.window_min",
		`{"velocity":{"valid_sec":-1}}`:      "velocity.valid_sec",
		`{"impossible":{"limit":"0"}}`:       "impossible.limit",
		`{"impossible":{"deny_after":-1}}`:   "impossible.deny_after",
		`{"new_rider":{"limit":"1.001"}}`:    "new_rider.limit",
		`{"hold_hours":0}`:                   "hold_hours",
		`{"hold_hours":1.5}`:                 "hold_hours",
		`{"velocity":{"rides":99999999999}}`: "velocity.rides",
	} {
		var s riskSettings
		if err := json.Unmarshal([]byte(text), &s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// What is taken leaves a policy that rules can work with.
func FuzzRiskSettings(f *testing.F) {
	f.Add(`{"new_rider":{"rides":3,"limit":"15.00","valid_sec":300,"hours":72},"hold_hours":720}`)
	f.Add(`{"velocity":{"window_min":60,"rides":12,"scans":30,"deny_after":0},"impossible":{"km_per_hour":350,"slack_sec":60}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var s riskSettings
		if json.Unmarshal([]byte(text), &s) != nil {
			return
		}
		p := payment.DefaultRisk()
		if err := s.apply(&p); err != nil || p.Velocity.Window <= 0 || p.Velocity.Window > 24*time.Hour || p.Hold <= 0 || p.New.Rides < 0 || p.New.Bounds.LimitFen <= 0 ||
			p.Travel.Slack < 0 || p.Travel.KmPerHour < 0 || p.Travel.Then.DenyAfter < 0 {
			t.Errorf("%v %+v", err, p)
		}
	})
}

func TestForgottenDoubles(t *testing.T) {
	s := payment.Standing{User: "2088000011112222", Outcome: payment.RiskNothing,
		Pardons: []payment.Pardon{{Doubles: 3, Appeal: payment.Appeal{Who: "support-7", Reason: "gates side by side", At: time.Unix(0, 0).UTC()}}}}
	var text strings.Builder
	if err := printStanding(&text, s); err != nil || !strings.Contains(text.String(), "3 double codes forgotten by support-7 at 1970-01-01T00:00:00Z: gates side by side\n") {
		t.Errorf("%v %s", err, text.String())
	}
	if shown := shownStanding(s); len(shown.Pardons) != 1 || shown.Pardons[0].Count != 3 || shown.Pardons[0].Appeal.By != "support-7" {
		t.Errorf("%+v", shown)
	}
}
