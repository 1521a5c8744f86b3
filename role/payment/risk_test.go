package payment_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

// watched is books with one rider, whose scans risk rules look at.
type watched struct {
	*payment.Payment
	books *storetest.Memory
	now   time.Time
}

// fataler is a test, or a run of one.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

func newWatched(t *testing.T, f fataler, policy payment.Policy) watched {
	f.Helper()
	books := storetest.NewMemory(1)
	w := watched{payment.New(books, nil, nil, policy), books, time.Date(2026, 11, 26, 2, 0, 0, 0, time.UTC)}
	if err := errors.Join(w.OpenHouse(t.Context(), w.now), w.OpenUser(t.Context(), ming, 0)); err != nil {
		f.Fatal(err)
	}
	return w
}

func (w watched) tell(t *testing.T, f fataler, scans ...payment.Scan) {
	f.Helper()
	var all []payment.RiderScan
	for _, s := range scans {
		all = append(all, payment.RiderScan{User: ming, Scan: s})
	}
	if err := w.WatchScans(t.Context(), all, w.now); err != nil {
		f.Fatal(err)
	}
}

func (w watched) standing(t *testing.T, f fataler) payment.Standing {
	f.Helper()
	s, err := w.Standing(t.Context(), ming, w.now)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// names are the findings as rule, source and day.
func names(findings []payment.Finding) (all []string) {
	for _, f := range findings {
		all = append(all, fmt.Sprint(f.Rule, " ", f.Proven, " ", f.When.In(time.FixedZone("", 8*60*60)).Format(time.DateOnly)))
	}
	slices.Sort(all)
	return all
}

func beijingStation() payment.Place {
	return payment.Place{City: "1101", Known: true, Longitude: 116.397, Latitude: 39.909}
}

func shanghaiStation() payment.Place {
	return payment.Place{City: "3101", Known: true, Longitude: 121.473, Latitude: 31.23}
}

// scan is a record's, so long after two in the morning.
func scan(n int, after time.Duration, place payment.Place) payment.Scan {
	trade := fmt.Sprintf("trade-%03d", n)
	return payment.Scan{Ref: trade + "/0", Ride: trade, Source: payment.FromRecord, At: time.Date(2026, 11, 26, 2, 0, 0, 0, time.UTC).Add(after),
		App: "app", Station: place.City, Place: place}
}

func told(s payment.Scan, source payment.ScanSource) payment.Scan {
	s.Source, s.Ref, s.Ride = source, "told/"+s.Ref, "told/"+s.Ride
	return s
}

func byApp(s payment.Scan, app payment.AppID) payment.Scan {
	s.App = app
	return s
}

// Each rule at its edge: what is found, and what is left alone.
func TestRiskRules(t *testing.T) {
	cityOnly := func(p payment.Place) payment.Place { return payment.Place{City: p.City} }
	here, there, nowhere := beijingStation(), shanghaiStation(), payment.Place{}
	near := here
	near.Latitude += 0.09 // 10 km
	bare := func(s payment.Scan) payment.Scan { s.Station = "站"; return s }
	policy := payment.DefaultPolicy()
	policy.Risk.Travel.AppsWithin = 5 * time.Minute
	var busy []payment.Scan
	for n := range 13 {
		busy = append(busy, scan(n, time.Duration(n)*299*time.Second, here)) // the thirteenth after 59 min 48 s
	}
	var busyTold []payment.Scan
	for n := range 31 {
		busyTold = append(busyTold, told(scan(n, time.Duration(n)*time.Minute, here), payment.FromEvent))
	}
	twoTaps := scan(12, time.Minute, here)
	twoTaps.Ride = busy[0].Ride // the metro's second tap is no second ride
	const travel, velocity = "impossible true 2026-11-26", "velocity true 2026-11-26"
	for name, c := range map[string]struct {
		scans []payment.Scan
		want  []string
	}{
		"nothing":                                {nil, nil},
		"two cities at once":                     {[]payment.Scan{scan(0, 0, here), scan(1, 0, there)}, []string{travel}},
		"two cities within an hour":              {[]payment.Scan{scan(0, 0, here), scan(1, time.Hour, there)}, []string{travel}},
		"by plane":                               {[]payment.Scan{scan(0, 0, here), scan(1, 70*time.Minute, there)}, nil},
		"ten km, within what clocks may be off":  {[]payment.Scan{scan(0, 0, here), scan(1, 4*time.Second, near)}, nil},
		"ten km at once":                         {[]payment.Scan{scan(0, 0, here), scan(1, 0, near)}, []string{travel}},
		"one place":                              {[]payment.Scan{scan(0, 0, here), scan(1, 0, here)}, nil},
		"two cities without coordinates":         {[]payment.Scan{scan(0, 0, cityOnly(here)), scan(1, 8*time.Minute, cityOnly(there))}, []string{travel}},
		"the same, a quarter of an hour later":   {[]payment.Scan{scan(0, 0, cityOnly(here)), scan(1, 15*time.Minute, cityOnly(there))}, nil},
		"one city without coordinates":           {[]payment.Scan{scan(0, 0, cityOnly(here)), scan(1, 0, cityOnly(here))}, nil},
		"two merchants of whom nothing is known": {[]payment.Scan{bare(scan(0, 0, nowhere)), bare(byApp(scan(1, time.Minute, nowhere), "other"))}, []string{travel}},
		"one merchant of whom nothing is known":  {[]payment.Scan{bare(scan(0, 0, nowhere)), bare(scan(1, time.Minute, nowhere))}, nil},
		"only told":                              {[]payment.Scan{scan(0, 0, here), told(scan(1, 0, there), payment.FromEvent)}, []string{"impossible false 2026-11-26"}},
		"more than a day apart":                  {[]payment.Scan{scan(0, 0, here), scan(1, 25*time.Hour, there)}, nil},
		"thirteen rides in an hour":              {busy, []string{velocity}},
		"twelve":                                 {busy[:12], nil},
		"twelve with a second tap":               {append(slices.Clone(busy[:12]), twoTaps), nil},
		"thirteen with an hour between the ends": {append(slices.Clone(busy[:12]), scan(12, time.Hour, here)), nil},
		"thirty-one scans that are told":         {busyTold, []string{"velocity false 2026-11-26"}},
		"thirty":                                 {busyTold[1:], nil},
		"after midnight in Beijing":              {[]payment.Scan{scan(0, 14*time.Hour-time.Second, here), scan(1, 14*time.Hour, there)}, []string{"impossible true 2026-11-27"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatched(t, t, policy)
			w.tell(t, t, c.scans...)
			s := w.standing(t, t)
			if got := names(s.Findings); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			for _, f := range s.Findings {
				if f.Why == "" || len(f.Evidence) < 2 || f.No < 1 || strings.Contains(f.Why, string(ming)) {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// A new rider's grant grows with his rides; what only merchants tell makes nobody a known rider.
func TestNewRider(t *testing.T) {
	w := newWatched(t, t, payment.DefaultPolicy())
	bounds := payment.DefaultRisk().New.Bounds
	for n := range 3 {
		if s := w.standing(t, t); s.Outcome != payment.RiskLimit || s.Bounds != bounds || s.Reasons[0].Rule != payment.RuleNew {
			t.Errorf("after %d rides: %+v", n, s)
		}
		s := scan(n, time.Duration(n)*time.Hour, beijingStation())
		w.tell(t, t, s, s, told(s, payment.FromEvent))
	}
	if s := w.standing(t, t); s.Outcome != payment.RiskNothing || s.Bounds != (payment.Bounds{}) {
		t.Errorf("after three rides: %+v", s)
	}
}

// The strictest reason wins and all are told; an appeal ends one at once, and what is found later counts anew.
func TestAppeal(t *testing.T) {
	policy := payment.DefaultPolicy()
	policy.Risk.Travel.Then.DenyAfter = 1
	w := newWatched(t, t, policy)
	w.tell(t, t, told(scan(0, 0, beijingStation()), payment.FromEvent), told(scan(1, 0, shanghaiStation()), payment.FromEvent))
	if s := w.standing(t, t); s.Outcome != payment.RiskLimit || len(s.Reasons) != 2 || s.Bounds.LimitFen != 10_00 {
		t.Errorf("what merchants tell: %+v", s)
	}
	w.tell(t, t, scan(2, time.Hour, beijingStation()), scan(3, time.Hour, shanghaiStation()))
	s := w.standing(t, t)
	if s.Outcome != payment.RiskDeny || len(s.Findings) != 2 || s.Reasons[0].Rule != payment.RuleTravel || !strings.Contains(s.Why(), "new-rider") {
		t.Errorf("what records prove: %+v", s)
	}
	if denied, err := w.Denied(t.Context(), w.now); err != nil || len(denied) != 1 || denied[0].User != ming || !slices.Contains(denied[0].Rules, payment.RuleTravel) {
		t.Errorf("denied: %+v %v", denied, err)
	}
	if may, _ := w.MayRide(t.Context(), ming, w.now); may {
		t.Error("a denied rider may ride")
	}
	if posted, err := w.books.Posted(t.Context(), 0, 10); err != nil || len(posted) != 1 || posted[0].Notices[0].Kind != payment.RiderDenied || posted[0].Notices[0].User != ming {
		t.Errorf("posted: %+v %v", posted, err)
	}
	first := payment.Appeal{Who: "support-7", Reason: "gate clock", At: w.now}
	for _, appeal := range []payment.Appeal{first, {Who: "somebody else", Reason: "again", At: w.now.Add(time.Hour)}} {
		for no := range 2 {
			if err := w.AppealFinding(t.Context(), ming, no+1, appeal); err != nil {
				t.Fatal(err)
			}
		}
	}
	s = w.standing(t, t)
	if s.Outcome != payment.RiskLimit || len(s.Reasons) != 1 || s.Findings[1].Appeal == nil || *s.Findings[1].Appeal != first {
		t.Errorf("after the appeal: %+v", s)
	}
	w.tell(t, t, scan(2, time.Hour, beijingStation()), scan(3, time.Hour, shanghaiStation())) // told again
	w.tell(t, t, scan(4, 3*time.Hour, beijingStation()))
	if s := w.standing(t, t); len(s.Findings) != 2 {
		t.Errorf("what was set aside came back: %q", names(s.Findings))
	}
	w.tell(t, t, scan(5, 3*time.Hour, shanghaiStation()))
	if s := w.standing(t, t); s.Outcome != payment.RiskDeny || len(s.Findings) != 3 || s.Findings[2].Appeal != nil || s.Findings[2].No != 3 {
		t.Errorf("a new one: %+v", s)
	}
	w.now = w.now.Add(31 * 24 * time.Hour)
	if s := w.standing(t, t); s.Outcome != payment.RiskNothing {
		t.Errorf("a month later: %+v", s)
	}
	for _, err := range []error{w.AppealFinding(t.Context(), ming, 9, first), w.AppealDoubles(t.Context(), ming, first)} {
		if !errors.Is(err, payment.ErrNoFinding) {
			t.Error(err)
		}
	}
	if err := w.AppealFinding(t.Context(), ming, 1, payment.Appeal{Who: "x", At: w.now}); !errors.Is(err, payment.ErrAppealWords) {
		t.Error(err)
	}
	if err := w.AppealFinding(t.Context(), hong(), 1, first); !errors.Is(err, payment.ErrNoAccount) {
		t.Error(err)
	}
}

func hong() ridecode.UserID { return "2088000011113333" }

// What is found does not depend on the order in which scans come, on how many come together, or on how often.
func TestRiskOrder(t *testing.T) {
	policy := payment.DefaultPolicy()
	policy.Risk.Velocity.Rides, policy.Risk.Velocity.Scans = 3, 3
	places := []payment.Place{beijingStation(), shanghaiStation(), {City: "1101"}, {City: "3101"}, {}}
	rapid.Check(t, func(r *rapid.T) {
		var scans []payment.Scan
		for n := range rapid.IntRange(1, 14).Draw(r, "scans") {
			s := scan(n, time.Duration(rapid.IntRange(0, 30*60).Draw(r, "minute"))*time.Minute, rapid.SampledFrom(places).Draw(r, "place"))
			if source := rapid.SampledFrom([]payment.ScanSource{payment.FromRecord, payment.FromRecord, payment.FromEvent, payment.FromOrder}).Draw(r, "source"); source != payment.FromRecord {
				s = told(s, source)
			}
			scans = append(scans, s)
		}
		once := newWatched(t, r, policy)
		once.tell(t, r, scans...)
		want := names(once.standing(t, r).Findings)
		again := newWatched(t, r, policy)
		rest := rapid.Permutation(slices.Concat(scans, scans)).Draw(r, "order")
		for len(rest) > 0 {
			count := rapid.IntRange(1, len(rest)).Draw(r, "together")
			again.tell(t, r, rest[:count]...)
			rest = rest[count:]
		}
		if got := names(again.standing(t, r).Findings); !slices.Equal(got, want) {
			r.Fatalf("%q at once, and %q in this order", want, got)
		}
	})
}

// An honest rider is never accused: he takes trains, and planes for long ways; the clock of each gate is off by what the
// policy allows; each scan may be told twice over, and late.
func TestHonestRider(t *testing.T) {
	policy := payment.DefaultPolicy()
	drift := int(policy.Clock.FutureSec)
	rapid.Check(t, func(r *rapid.T) {
		at, place := time.Duration(0), beijingStation()
		var scans []payment.Scan
		for n := range rapid.IntRange(1, 25).Draw(r, "rides") {
			km := rapid.SampledFrom([]float64{0, 1, 5, 30, 150, 190, 400, 2000}).Draw(r, "km")
			place = moved(place, km, rapid.Float64Range(0, 2*math.Pi).Draw(r, "direction"))
			hours := km / 350
			if km > 200 {
				hours = max(200./350, km/900)
			}
			way := time.Duration(hours * 1.02 * float64(time.Hour))      // moved is off by that much
			at += max(way.Round(time.Second)+time.Second, 6*time.Minute) // nobody rides more often
			s := scan(n, at+time.Duration(rapid.IntRange(-drift, drift).Draw(r, "drift"))*time.Second, place)
			scans = append(scans, s, s)
			if rapid.Bool().Draw(r, "told too") {
				scans = append(scans, told(s, payment.FromEvent), told(told(s, payment.FromOrder), payment.FromOrder))
			}
		}
		w := newWatched(t, r, policy)
		for part := range slices.Chunk(rapid.Permutation(scans).Draw(r, "order"), 5) {
			w.tell(t, r, part...)
		}
		if s := w.standing(t, r); len(s.Findings) > 0 {
			r.Fatalf("%+v", s.Findings)
		}
	})
}

// moved is a place so far away, within the latitudes where people live.
func moved(p payment.Place, km, direction float64) payment.Place {
	north := km / 111.2 * math.Cos(direction)
	if p.Latitude+north > 50 || p.Latitude+north < 18 {
		north = -north
	}
	p.Longitude += km / 111.2 * math.Sin(direction) / math.Cos(p.Latitude*math.Pi/180) / 1.3
	p.Latitude += north / 1.3
	return p
}

// Trades are looked at as they are settled: once each, also those that are settled under a low number when higher ones
// were looked at, and on days that end meanwhile.
func TestWatchTrades(t *testing.T) {
	policy := payment.DefaultPolicy()
	policy.Risk.Travel.Then.DenyAfter = 1
	s := newDivided(t, 1000_00, policy)
	var places payment.Stations
	var err error
	if places, err = payment.ParseStations("stations.csv", []byte("app_id,station,adcode,longitude,latitude\n,天安门东,110101,116.397,39.909\n,人民广场,310101,121.473,31.23\n")); err != nil {
		t.Fatal(err)
	}
	gates := map[string]record.TerminalInfo{}
	for id, station := range map[string]string{"north": "天安门东", "south": "人民广场"} {
		gates[id] = record.TerminalInfo{POSID: id, Kind: record.Single, Line: "1", Station: station}
	}
	north, south := s.Gate(gates["north"], 200), s.Gate(gates["south"], 200)
	look := func(want int) {
		t.Helper()
		if seen, err := s.Payment.WatchTrades(t.Context(), places, 1000, s.Now()); err != nil || seen != want {
			t.Errorf("%d trades looked at, want %d: %v", seen, want, err)
		}
	}
	look(0)
	s.Pass(time.Minute)
	s.mustSettle(t, s.tradeOf(ming, north.Tap(s.phone).Record))
	look(1)
	look(0)
	s.Pass(time.Minute)
	s.mustSettle(t, s.tradeOf(ming, south.Tap(s.phone).Record))
	look(1)
	standing, err := s.Payment.Standing(t.Context(), ming, s.Now())
	if err != nil || standing.Outcome != payment.RiskDeny || len(standing.Findings) != 1 || !standing.Findings[0].Proven {
		t.Errorf("%+v %v", standing, err)
	}
	s.Pass(24 * time.Hour)
	if err := s.Payment.CloseDay(t.Context(), policy.DayOf(s.Now()).Previous(), s.Now()); err != nil {
		t.Fatal(err)
	}
	look(2) // the day is over: once more from its beginning
	look(0)
	if again, err := s.Payment.Standing(t.Context(), ming, s.Now()); err != nil || len(again.Findings) != 1 {
		t.Errorf("%+v %v", again, err)
	}
	s.Audit()
}

// A double code is set aside with who did it, and debts say what to do.
func TestStandingReasons(t *testing.T) {
	policy := payment.DefaultPolicy()
	policy.Doubles.DenyAfter = 1
	s := newDivided(t, 100_00, policy)
	s.settle(t, s.shared(t, "a", "b")...)
	standing, err := s.Payment.Standing(t.Context(), ming, s.Now())
	if err != nil || standing.Outcome != payment.RiskDeny || standing.Reasons[0].Rule != payment.RuleDoubles || standing.Next() == "" {
		t.Errorf("%+v %v", standing, err)
	}
	if err := s.Payment.AppealDoubles(t.Context(), ming, payment.Appeal{Who: "support-7", Reason: "gates side by side", At: s.Now()}); err != nil {
		t.Fatal(err)
	}
	if standing, err := s.Payment.Standing(t.Context(), ming, s.Now()); err != nil || standing.Outcome != payment.RiskLimit || len(standing.Pardons) != 1 ||
		standing.Pardons[0].Doubles != 1 || standing.Pardons[0].Who != "support-7" || standing.Pardons[0].Reason != "gates side by side" || !standing.Pardons[0].At.Equal(s.Now()) {
		t.Errorf("%+v %v", standing, err)
	}
	poor := s.Rider(hong(), 0, 0)
	s.mustSettle(t, s.rideOf(t, hong(), poor))
	standing, err = s.Payment.Standing(t.Context(), hong(), s.Now())
	if err != nil || standing.Outcome != payment.RiskNoGrant || standing.Reasons[0].Rule != payment.RuleDebt || !strings.Contains(standing.Why(), money.Fen(200).String()) {
		t.Errorf("%+v %v", standing, err)
	}
}

const stationsHead = "app_id,station,adcode,longitude,latitude\n"

func TestParseStations(t *testing.T) {
	stations, err := payment.ParseStations("stations.csv", []byte(stationsHead+"app,213,330100,120.2,30.3\n,213,,1,2\napp,,310000,,\n"))
	if err != nil || stations.Count() != 3 {
		t.Fatal(err)
	}
	for name, want := range map[[2]string]payment.Place{
		{"app", "213"}: {City: "3301", Known: true, Longitude: 120.2, Latitude: 30.3}, {"other", "213"}: {Known: true, Longitude: 1, Latitude: 2},
		{"app", "9"}: {City: "3100"}, {"other", "9"}: {}, {"app", ""}: {City: "3100"}, {"other", ""}: {},
	} {
		if got := stations.Place(payment.AppID(name[0]), name[1]); got != want {
			t.Errorf("%q: %+v, want %+v", name, got, want)
		}
	}
	for text, want := range map[string]string{
		"":                                      "empty",
		"station,app_id\n":                      "adcode",
		stationsHead + "a,b,c":                  "line 2",
		stationsHead + ",,,1,2\n":               "line 2, column \"app_id\"",
		stationsHead + "a,b,12345,1,2\n":        "line 2, column \"adcode\"",
		stationsHead + "a,b,330000,1,2\n":       "line 2, column \"adcode\"",
		stationsHead + "a,b,,181,2\n":           "line 2, column \"longitude\"",
		stationsHead + "a,b,,1,NaN\n":           "line 2, column \"latitude\"",
		stationsHead + "a,b,,1,\n":              "line 2, column \"latitude\"",
		stationsHead + "a,b,,1e1,2\n":           "line 2, column \"longitude\"",
		stationsHead + "a,b,,1,2\na,b,,1,2\n":   "line 3, column \"station\"",
		stationsHead + "a,\"b\x01\",,1,2\n":     "line 2, column \"station\"",
		stationsHead + "a,b\"c,,1,2\n":          "line 2",
		stationsHead + "a,b,,1,2\n\"a,b,,1,2\n": "line 3",
	} {
		if _, err := payment.ParseStations("stations.csv", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What is taken is bounded, and every place of it is on Earth.
func FuzzStations(f *testing.F) {
	for _, seed := range []string{"", stationsHead, stationsHead + "app,213,330100,120.2,30.3\n,x,,-180,90\napp,,310000,,\n", stationsHead + "\"a,b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		stations, err := payment.ParseStations("stations.csv", []byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "stations.csv") || stations.Count() != 0 {
				t.Errorf("%v, and %d stations", err, stations.Count())
			}
			return
		}
		for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
			fields := strings.Split(line, ",")
			if p := stations.Place(payment.AppID(fields[0]), fields[min(1, len(fields)-1)]); math.Abs(p.Longitude) > 180 || math.Abs(p.Latitude) > 90 {
				t.Errorf("%+v", p)
			}
		}
	})
}
