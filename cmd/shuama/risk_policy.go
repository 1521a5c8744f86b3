package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/payment"
)

// riskSettings is payment.risk in city.json; what is left out is as payment.DefaultRisk has it.
type riskSettings struct {
	New       *newSettings      `json:"new_rider,omitempty"`
	Velocity  *velocitySettings `json:"velocity,omitempty"`
	Travel    *travelSettings   `json:"impossible,omitempty"`
	HoldHours *int              `json:"hold_hours,omitempty"` // so long a finding counts
}

// boundSettings is what a grant may still allow.
type boundSettings struct {
	Limit    string `json:"limit,omitempty"`     // yuan of one trade
	ValidSec *int   `json:"valid_sec,omitempty"` // of a shown code
	Hours    *int   `json:"hours,omitempty"`     // of the grant
}

type newSettings struct {
	Rides *int `json:"rides,omitempty"` // settled, until which a rider is new; 0: none is
	boundSettings
}

type velocitySettings struct {
	WindowMin *int `json:"window_min,omitempty"`
	Rides     *int `json:"rides,omitempty"`      // more within the window are a finding; 0: none are
	Scans     *int `json:"scans,omitempty"`      // the same for scans that merchants tell of
	DenyAfter *int `json:"deny_after,omitempty"` // so many findings deny; 0 never
	boundSettings
}

type travelSettings struct {
	KmPerHour     *int `json:"km_per_hour,omitempty"` // of the fastest train; 0: distances are not looked at
	FlyAboveKm    *int `json:"fly_above_km,omitempty"`
	FlyKmPerHour  *int `json:"fly_km_per_hour,omitempty"`
	SlackSec      *int `json:"slack_sec,omitempty"`
	CityWithinMin *int `json:"city_within_min,omitempty"`
	AppsWithinMin *int `json:"apps_within_min,omitempty"`
	DenyAfter     *int `json:"deny_after,omitempty"`
	boundSettings
}

// UnmarshalJSON takes no name that it does not know: a threshold that was spelled wrong would guard nothing.
func (s *riskSettings) UnmarshalJSON(b []byte) error {
	type plain riskSettings
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode((*plain)(s)); err != nil {
		return fmt.Errorf("payment: risk: %w", err)
	}
	var policy payment.RiskPolicy
	return s.apply(&policy)
}

// threshold is a number of the settings, its bounds, and where it goes.
type threshold struct {
	name        string
	value       *int
	least, most int
	set         func(int)
}

func count(to *int) func(int) { return func(n int) { *to = n } }

func span(to *time.Duration, unit time.Duration) func(int) {
	return func(n int) { *to = time.Duration(n) * unit }
}

// apply writes what is set into a policy.
func (s riskSettings) apply(p *payment.RiskPolicy) error {
	all := []threshold{{"hold_hours", s.HoldHours, 1, 24 * 3650, span(&p.Hold, time.Hour)}}
	if s.New != nil {
		all = append(all, threshold{"new_rider.rides", s.New.Rides, 0, 1000, count(&p.New.Rides)})
	}
	if v := s.Velocity; v != nil {
		all = append(all, threshold{"velocity.window_min", v.WindowMin, 1, 24 * 60, span(&p.Velocity.Window, time.Minute)},
			threshold{"velocity.rides", v.Rides, 0, 400, count(&p.Velocity.Rides)}, threshold{"velocity.scans", v.Scans, 0, 400, count(&p.Velocity.Scans)},
			threshold{"velocity.deny_after", v.DenyAfter, 0, 1000, count(&p.Velocity.Then.DenyAfter)})
	}
	if t := s.Travel; t != nil {
		all = append(all, threshold{"impossible.km_per_hour", t.KmPerHour, 0, 2000, count(&p.Travel.KmPerHour)},
			threshold{"impossible.fly_above_km", t.FlyAboveKm, 0, 20_000, count(&p.Travel.FlyAboveKm)},
			threshold{"impossible.fly_km_per_hour", t.FlyKmPerHour, 0, 5000, count(&p.Travel.FlyKmPerHour)},
			threshold{"impossible.slack_sec", t.SlackSec, 0, 86_400, span(&p.Travel.Slack, time.Second)},
			threshold{"impossible.city_within_min", t.CityWithinMin, 0, 1440, span(&p.Travel.CityWithin, time.Minute)},
			threshold{"impossible.apps_within_min", t.AppsWithinMin, 0, 1440, span(&p.Travel.AppsWithin, time.Minute)},
			threshold{"impossible.deny_after", t.DenyAfter, 0, 1000, count(&p.Travel.Then.DenyAfter)})
	}
	return errors.Join(applyThresholds(all), s.applyBounds(p))
}

func applyThresholds(all []threshold) error {
	for _, t := range all {
		if t.value == nil {
			continue
		}
		if *t.value < t.least || *t.value > t.most {
			return fmt.Errorf("city.json: payment: risk: %s: %d is not %d to %d", t.name, *t.value, t.least, t.most)
		}
		t.set(*t.value)
	}
	return nil
}

func (s riskSettings) applyBounds(p *payment.RiskPolicy) error {
	var err error
	if s.New != nil {
		err = s.New.boundSettings.apply("new_rider", &p.New.Bounds)
	}
	if s.Velocity != nil && err == nil {
		err = s.Velocity.boundSettings.apply("velocity", &p.Velocity.Then.Bounds)
	}
	if s.Travel != nil && err == nil {
		err = s.Travel.boundSettings.apply("impossible", &p.Travel.Then.Bounds)
	}
	return err
}

func (s boundSettings) apply(name string, b *payment.Bounds) error {
	if s.Limit != "" {
		fen, err := money.ParseYuan(s.Limit)
		if err != nil || fen <= 0 {
			return fmt.Errorf("city.json: payment: risk: %s.limit: not an amount in yuan above 0, as 15.00", name)
		}
		b.LimitFen = fen
	}
	return applyThresholds([]threshold{{name + ".valid_sec", s.ValidSec, 1, 3600, func(n int) { b.ValidSec = uint16(n) }},
		{name + ".hours", s.Hours, 1, 24 * 365, span(&b.Lasts, time.Hour)}})
}
