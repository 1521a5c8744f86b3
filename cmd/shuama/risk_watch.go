package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
)

const (
	stationsFile = "stations.csv"
	riskPause    = 2 * time.Second
	riskMost     = 2000 // trades of a bucket that are looked at between two pauses
)

// readStations reads a station table; where it need not be there, none is an empty one.
func readStations(path string, must bool) (payment.Stations, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return payment.Stations{}, nil
	}
	if err != nil {
		return payment.Stations{}, err
	}
	return payment.ParseStations(filepath.Base(path), content)
}

// watchRisk looks at what is settled, beside the settlement.
func (c *city) watchRisk(ctx context.Context, w *world, b *books, logger *slog.Logger) {
	for ctx.Err() == nil {
		if _, err := b.WatchTrades(ctx, b.places, riskMost, w.now().UTC()); err != nil {
			told(ctx, logger, "", err)
		}
		pause(ctx, riskPause)
	}
}

// riskOfGrants is codeissuer.Risk over the books.
type riskOfGrants struct{ books *books }

// GrantBounds gives what risk rules allow. Who has no account is left to codeissuer.Qualifier.
func (r riskOfGrants) GrantBounds(ctx context.Context, user ridecode.UserID, now time.Time) (codeissuer.Terms, error) {
	s, err := r.books.Standing(ctx, user, now)
	switch {
	case err != nil:
		return codeissuer.Terms{}, err
	case s.Exists && (s.Outcome == payment.RiskDeny || s.Outcome == payment.RiskNoGrant):
		return codeissuer.Terms{}, &codeissuer.NotQualified{Why: s.Why(), Next: s.Next()}
	}
	return codeissuer.Terms{Lasts: s.Bounds.Lasts, ValidSec: s.Bounds.ValidSec, LimitFen: s.Bounds.LimitFen}, nil
}

// watchedRides is the register of rides that risk rules look at. A merchant is answered once both have what he tells:
// after an error he sends it again, and nothing is counted twice.
type watchedRides struct{ books *books }

// Keep implements gateway.Rides.
func (r watchedRides) Keep(ctx context.Context, batch []rides.Ride, now time.Time) error {
	if err := r.books.rides.Keep(ctx, batch, now); err != nil {
		return err
	}
	var scans []payment.RiderScan
	for _, ride := range batch {
		scans = append(scans, scansOfRide(ride, r.books.places)...)
	}
	return r.books.WatchScans(ctx, scans, now)
}

// scansOfRide is the scans that a merchant tells of: where a ride begins, and where it ends. Targets of another kind than
// users are nobody whom the books know.
func scansOfRide(ride rides.Ride, places payment.Places) (scans []payment.RiderScan) {
	name := string(ride.App) + "/" + ride.Info.Type + "/" + ride.Info.BizNo
	for i, stop := range []openapi.RideStop{ride.Info.Start, ride.Info.End} {
		at := stop.TerminalTime
		if at.IsZero() && i == 0 && ride.Info.Type == "event" {
			at = ride.Info.BizTime
		}
		if at.IsZero() {
			continue
		}
		scan := payment.Scan{Ref: name + "/" + []string{"start", "end"}[i], Ride: name, Source: payment.FromOrder, At: at.UTC(), App: payment.AppID(ride.App)}
		if ride.Info.Type == "event" {
			scan.Source = payment.FromEvent
		}
		scan.Station, scan.Place = stationOf(ride, stop, places)
		for _, user := range ride.Users() {
			scans = append(scans, payment.RiderScan{User: user, Scan: scan})
		}
	}
	return scans
}

// stationOf is what the table says of a stop, and else what the merchant says of it.
func stationOf(ride rides.Ride, stop openapi.RideStop, places payment.Places) (station string, place payment.Place) {
	for _, name := range []string{stop.StationID, stop.StationName} {
		if name == "" || place.Known {
			continue
		}
		if station == "" {
			station = name
		}
		if found := places.Place(payment.AppID(ride.App), name); found.Known || place.City == "" {
			place = found
		}
	}
	if !place.Known {
		place = place.At(stop.LBS)
	}
	if place.City == "" {
		place.City = payment.CityOf(ride.Info.Adcode)
	}
	return station, place
}
