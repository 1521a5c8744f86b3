package payment

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// ScanSource is where a scan is known from.
type ScanSource string

// The sources.
const (
	FromRecord ScanSource = "record" // of a settled trade: rider and gate have signed it
	FromEvent  ScanSource = "event"  // a merchant tells of a scan (document 2 §4.2.5)
	FromOrder  ScanSource = "order"  // a merchant tells of a ride
)

// Scan is one code that a gate took from a rider (刷码), as risk rules see it.
type Scan struct {
	Ref     string // names it among all of the rider
	Ride    string // that it belongs to: a trade_no, or app/type/biz_no
	Source  ScanSource
	At      time.Time // by the gate's clock, whole seconds
	App     AppID
	Station string `json:",omitempty"`
	Place   Place
}

// riskBack is how long before a scan another one may stand that has to do with it: nobody travels longer than this
// between two places on Earth, and no window is wider.
const riskBack = 24 * time.Hour

// riskScansMax is how many scans of a rider are looked at together. Who has more is found by how many they are.
const riskScansMax = 500

// find is every finding that a set of a rider's scans proves: at most one for each rule and day, on the day of the
// scan that made it so, and apart for what records prove and what merchants tell. It is a pure function of the set:
// more scans never make a finding go away, so the order in which they come does not matter. fresh, where it is not
// nil, tells which scans a finding must rest on.
func (p Policy) find(scans []Scan, fresh func(Scan) bool) (findings []Finding) {
	scans = slices.SortedFunc(slices.Values(scans), func(a, b Scan) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Ref, b.Ref)) })
	seen := map[string]bool{}
	for i := range scans {
		for _, rule := range p.rules() {
			f := Finding{Rule: rule.name, Proven: rule.proven, When: scans[i].At, at: dayBegins(scans[i].At)}
			f.key = keyOf(f.Rule, f.Proven)
			name := nameOfFinding(f.entry(""))
			if seen[name] {
				continue
			}
			if f.Why, f.Evidence, seen[name] = rule.find(scans[:i+1], fresh); seen[name] {
				findings = append(findings, f)
			}
		}
	}
	return findings
}

// scanRule looks at the last of some scans, in the light of those before it.
type scanRule struct {
	name   RiskRule
	proven bool // by records alone
	find   func(until []Scan, fresh func(Scan) bool) (why string, evidence []string, found bool)
}

func (p Policy) rules() []scanRule {
	return []scanRule{
		{RuleVelocity, true, func(until []Scan, fresh func(Scan) bool) (string, []string, bool) {
			return p.Risk.Velocity.find(FromRecord, p.Risk.Velocity.Rides, until, fresh)
		}},
		{RuleVelocity, false, func(until []Scan, fresh func(Scan) bool) (string, []string, bool) {
			return p.Risk.Velocity.find(FromEvent, p.Risk.Velocity.Scans, until, fresh)
		}},
		{RuleTravel, true, func(until []Scan, fresh func(Scan) bool) (string, []string, bool) {
			return p.findTravel(true, until, fresh)
		}},
		{RuleTravel, false, func(until []Scan, fresh func(Scan) bool) (string, []string, bool) {
			return p.findTravel(false, until, fresh)
		}},
	}
}

func keyOf(rule RiskRule, proven bool) string {
	if proven {
		return string(rule) + "/proven"
	}
	return string(rule) + "/told"
}

func dayBegins(at time.Time) time.Time {
	year, month, day := at.In(beijing()).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, beijing()).UTC()
}

// find counts the rides of a source in the window that ends with the last scan: more than most are a finding.
func (v VelocityPolicy) find(source ScanSource, most int, until []Scan, fresh func(Scan) bool) (why string, evidence []string, found bool) {
	last := until[len(until)-1]
	if last.Source != source || most <= 0 {
		return "", nil, false
	}
	rides, isFresh := map[string]bool{}, fresh == nil
	for _, s := range slices.Backward(until) {
		if last.At.Sub(s.At) >= v.Window {
			break
		}
		if s.Source == source {
			rides[s.Ride] = true
			evidence, isFresh = append(evidence, s.Ref), isFresh || fresh(s)
		}
	}
	what := map[ScanSource]string{FromRecord: "settled rides", FromEvent: "scans that merchants tell of"}[source]
	return fmt.Sprintf("%d %s within %s, more than %d", len(rides), what, v.Window, most), firstFew(evidence), len(rides) > most && isFresh
}

const evidenceMax = 32 // names with one finding: the rest is in the books

func firstFew(refs []string) []string {
	slices.Reverse(refs)
	return refs[:min(len(refs), evidenceMax)]
}

// findTravel holds the last scan against those before it, from the earliest on: two that records prove, or two of
// which a merchant tells.
func (p Policy) findTravel(proven bool, until []Scan, fresh func(Scan) bool) (why string, evidence []string, found bool) {
	last := until[len(until)-1]
	for _, earlier := range until[:len(until)-1] {
		if last.At.Sub(earlier.At) > riskBack || fresh != nil && !fresh(earlier) && !fresh(last) ||
			proven != (earlier.Source == FromRecord && last.Source == FromRecord) {
			continue
		}
		if why, impossible := p.impossible(earlier, last); impossible {
			return why, []string{earlier.Ref, last.Ref}, true
		}
	}
	return "", nil, false
}

// impossible tells whether nobody gets from a to b, the later one, in the time between: their clocks may each be off
// by what ClockPolicy tolerates, either way.
func (p Policy) impossible(a, b Scan) (why string, is bool) {
	t := p.Risk.Travel
	between := b.At.Sub(a.At)
	most := between + 2*time.Duration(p.Clock.FutureSec)*time.Second + t.Slack
	switch {
	case a.Place.Known && b.Place.Known:
		km := a.Place.kmTo(b.Place)
		return fmt.Sprintf("two scans %.0f km apart within %s, where the way takes %s at least", km, between, t.takes(km).Round(time.Second)), t.KmPerHour > 0 && t.takes(km) > most
	case a.Place.City != "" && b.Place.City != "":
		return fmt.Sprintf("scans in two cities, %s and %s, within %s", a.Place.City, b.Place.City, between), a.Place.City != b.Place.City && most < t.CityWithin
	}
	return fmt.Sprintf("scans at stations of two merchants within %s", between), a.App != b.App && a.Station != "" && b.Station != "" && most < t.AppsWithin
}

// takes is the least time for a way: by the fastest train, and from some distance on by plane.
func (t TravelPolicy) takes(km float64) time.Duration {
	hours := km / float64(max(1, t.KmPerHour))
	if t.FlyKmPerHour > t.KmPerHour && km > float64(t.FlyAboveKm) {
		hours = max(float64(t.FlyAboveKm)/float64(max(1, t.KmPerHour)), km/float64(t.FlyKmPerHour))
	}
	return time.Duration(min(hours, 48) * float64(time.Hour))
}

// Place is where a gate stands, as far as it is known.
type Place struct {
	City      string  `json:",omitempty"` // as CityOf names it
	Known     bool    `json:",omitempty"` // the coordinates are
	Longitude float64 `json:",omitempty"` // degrees
	Latitude  float64 `json:",omitempty"` // degrees
}

// kmTo is the way along the Earth, taken as a sphere: off by less than one in a hundred, which Slack covers.
func (p Place) kmTo(other Place) float64 {
	const earthKm, degree = 6371, math.Pi / 180
	north, east := (other.Latitude-p.Latitude)*degree, (other.Longitude-p.Longitude)*degree
	h := math.Pow(math.Sin(north/2), 2) + math.Cos(p.Latitude*degree)*math.Cos(other.Latitude*degree)*math.Pow(math.Sin(east/2), 2)
	return 2 * earthKm * math.Asin(math.Sqrt(min(1, h)))
}

// entry is a scan for the books.
func (s Scan) entry(user ridecode.UserID) RiskEntry {
	body, err := json.Marshal(s)
	if err != nil {
		panic("payment: internal error: a scan cannot be written: " + err.Error())
	}
	return RiskEntry{User: user, Kind: RiskScan, At: s.At, Key: s.Ref, Body: body}
}

func scansOf(state State, user ridecode.UserID) (scans []Scan) {
	for _, entry := range state.Risk[user] {
		var s Scan
		if entry.Kind == RiskScan && json.Unmarshal(entry.Body, &s) == nil {
			scans = append(scans, s)
		}
	}
	return scans
}

// countRides counts the settled rides among scans.
func countRides(scans []Scan) int {
	rides := map[string]bool{}
	for _, s := range scans {
		if s.Source == FromRecord {
			rides[s.Ride] = true
		}
	}
	return len(rides)
}
