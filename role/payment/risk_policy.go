package payment

import "time"

// RiskPolicy says what riders are held to (风控策略, document 1 §5.5), beside DebtPolicy and DoublesPolicy.
type RiskPolicy struct {
	New      NewRiderPolicy
	Velocity VelocityPolicy
	Travel   TravelPolicy
	Hold     time.Duration // so long a finding counts
}

// NewRiderPolicy bounds grants until so many rides were settled; 0 bounds none.
type NewRiderPolicy struct {
	Rides  int
	Bounds Bounds
}

// VelocityPolicy bounds how often one rides within any Window.
type VelocityPolicy struct {
	Window time.Duration
	Rides  int // more settled rides than these are a finding; 0: none are
	Scans  int // more scans than these, as merchants tell of them (document 2 §4.2.5); 0: none are
	Then   FindingPolicy
}

// TravelPolicy says between which places nobody gets in which time.
type TravelPolicy struct {
	KmPerHour    int           // of the fastest train; 0: distances are not looked at
	FlyAboveKm   int           // further than this one may have flown
	FlyKmPerHour int           // then, for the whole way
	Slack        time.Duration // is given beside the tolerance of both gates' clocks
	CityWithin   time.Duration // without coordinates: two cities within this are a finding; 0: none are
	AppsWithin   time.Duration // without cities either: two merchants' stations; 0: one city's bus and metro may be two
	Then         FindingPolicy
}

// FindingPolicy says what follows from findings of a rule.
type FindingPolicy struct {
	Bounds    Bounds
	DenyAfter int // so many that records prove put the rider on the deny list; 0 never does
}

// DefaultRisk leaves honest riders alone: a new one has 15 yuan for a ride, which few cost.
func DefaultRisk() RiskPolicy {
	return RiskPolicy{
		New:      NewRiderPolicy{Rides: 3, Bounds: Bounds{LimitFen: 15_00, ValidSec: 300, Lasts: 3 * 24 * time.Hour}},
		Velocity: VelocityPolicy{Window: time.Hour, Rides: 12, Scans: 30, Then: FindingPolicy{Bounds: Bounds{LimitFen: 10_00, ValidSec: 120, Lasts: 24 * time.Hour}}},
		Travel: TravelPolicy{KmPerHour: 350, FlyAboveKm: 200, FlyKmPerHour: 1000, Slack: time.Minute, CityWithin: 10 * time.Minute,
			Then: FindingPolicy{Bounds: Bounds{LimitFen: 10_00, ValidSec: 120, Lasts: 24 * time.Hour}, DenyAfter: 2}},
		Hold: 30 * 24 * time.Hour,
	}
}
