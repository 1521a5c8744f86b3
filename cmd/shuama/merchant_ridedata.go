package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/role/merchant"
)

type merchantRideDataCommand struct {
	Dir   string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Retry string `help:"Send what stands aside under this number again." placeholder:"NUMBER"`
	JSON  bool   `help:"Print one JSON object." name:"json"`
}

// Help shows how it is used.
func (merchantRideDataCommand) Help() string {
	return `It shows how much the platform was told, what waits, and what stands aside because the platform refused it, with
the reason. shuama merchant serve sends what waits; what was told is not kept.

Examples:
  shuama merchant ridedata merchant
  shuama merchant ridedata merchant --json
  shuama merchant ridedata merchant --retry 19_3241_20260511083400_0011223344556677`
}

// Run shows the outbox, or lets something wait again.
func (c *merchantRideDataCommand) Run(w *world) (err error) {
	path := filepath.Join(c.Dir, "merchant.db")
	if err := mustExist(path, "this merchant's records and trades"); err != nil {
		return err
	}
	db, err := store.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rides := db.Merchant()
	if c.Retry != "" {
		return c.retry(w, rides)
	}
	counts, err := rides.RideCounts(w.context)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeRideData(w, rides, counts)
	}
	fmt.Fprintf(w.stdout, "Told: %d scans, %d orders%s. Waiting: %d. Standing aside: %d.\n", counts.Events, counts.Orders, lastTold(counts), counts.Waiting, counts.Aside)
	return errors.Join(listRides(w, rides, false), listRides(w, rides, true))
}

func lastTold(counts merchant.RideCounts) string {
	if counts.Last.IsZero() {
		return ""
	}
	return ", the last at " + counts.Last.Format(time.RFC3339)
}

func (c *merchantRideDataCommand) retry(w *world, rides merchant.RideStore) error {
	found, err := rides.RetryRide(w.context, c.Retry, w.now().UTC())
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("--retry %q: nothing stands aside under this number; shuama merchant ridedata %s lists what does", c.Retry, c.Dir)
	}
	fmt.Fprintf(w.stdout, "%s waits again.\n", c.Retry)
	return nil
}

func listRides(w *world, rides merchant.RideStore, aside bool) error {
	for item, err := range merchant.RideItems(w.context, rides, aside) {
		if err != nil {
			return err
		}
		what := "WAITING"
		if aside {
			what = "ASIDE"
		}
		fmt.Fprintf(w.stdout, "%-8s %-5s %s  %s  %s  %s\n", what, item.Info.Type, item.Info.BizNo, item.User, plain(item.Info.Subject), item.Reason)
	}
	return nil
}

// rideLine is an item as --json shows it.
type rideLine struct {
	Type     string    `json:"type"`
	BizNo    string    `json:"biz_no"`
	User     string    `json:"user"`
	Subject  string    `json:"subject"`
	Attempts int       `json:"attempts"`
	NextTry  time.Time `json:"next_try"`
	Reason   string    `json:"reason,omitempty"`
}

func writeRideData(w *world, rides merchant.RideStore, counts merchant.RideCounts) error {
	waiting, err := rideLines(w.context, rides, false)
	if err != nil {
		return err
	}
	aside, err := rideLines(w.context, rides, true)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(w.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		ScansTold  int64      `json:"scans_told"`
		OrdersTold int64      `json:"orders_told"`
		LastTold   time.Time  `json:"last_told,omitzero"`
		Waiting    int        `json:"waiting_count"` // those that were not written down yet too
		Aside      int        `json:"aside_count"`
		WaitList   []rideLine `json:"waiting"`
		AsideList  []rideLine `json:"aside"`
	}{counts.Events, counts.Orders, counts.Last, counts.Waiting, counts.Aside, waiting, aside})
}

func rideLines(ctx context.Context, rides merchant.RideStore, aside bool) ([]rideLine, error) {
	lines := []rideLine{}
	for item, err := range merchant.RideItems(ctx, rides, aside) {
		if err != nil {
			return nil, err
		}
		lines = append(lines, rideLine{item.Info.Type, item.Info.BizNo, string(item.User), item.Info.Subject, item.Attempts, item.NextTry, item.Reason})
	}
	return lines, nil
}

// tellEvery is how often a serving merchant looks for rides to tell of.
const tellEvery = time.Second

// newTeller is nil where the merchant's settings say nothing of ride data: folders from before it.
func newTeller(w *world, settings merchantSettings, db *store.DB, client *gateway.Client, cards *counter) (*merchant.Teller, error) {
	if settings.RideData == nil {
		return nil, nil
	}
	config := merchant.TellerConfig{RideSettings: *settings.RideData}
	if cards != nil {
		config.IsOutside = cardTill{cards.Issuer, w}.Holds
	}
	teller, err := merchant.NewTeller(db.Merchant(), client, config)
	if err != nil {
		return nil, fmt.Errorf("merchant.json: ride_data: %w", err)
	}
	return teller, nil
}

// tellRides goes on until the server stops: a fault of the gateway is the next round's business.
func tellRides(ctx context.Context, w *world, teller *merchant.Teller, logger *slog.Logger) {
	if teller == nil {
		logger.Warn("ride data is not sent: merchant.json has no ride_data, docs/ridedata.md says what belongs there")
		return
	}
	for ctx.Err() == nil {
		report, err := teller.TellDue(ctx, w.now().UTC())
		if report.Told+report.Aside > 0 {
			logger.Info("rides told", "told", report.Told, "aside", report.Aside, "again", report.Postponed)
		}
		if err = errors.Join(err, report.Fault); err != nil && ctx.Err() == nil {
			logger.Error("ride data", "err", err)
		}
		pause(ctx, tellEvery)
	}
}
