package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/edge/journal"
	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
)

type merchantCommand struct {
	Collect   merchantCollectCommand   `cmd:"" help:"Take the records of terminals' journals in."`
	Settle    merchantSettleCommand    `cmd:"" help:"Send trades until each has a final answer."`
	Serve     merchantServeCommand     `cmd:"" help:"Take records from terminals over the network, and settle all the time."`
	Gaps      merchantGapsCommand      `cmd:"" help:"Tell which records of which terminals are missing or doubled."`
	List      merchantListCommand      `cmd:"" help:"List trades, open trips, refunds and what stands aside."`
	Statement merchantStatementCommand `cmd:"" help:"Explain what a rider's trips cost, line by line, and what was paid for them."`
	Complete  merchantCompleteCommand  `cmd:"" help:"Complete a trip without entry or exit with its rider's word."`
	RideData  merchantRideDataCommand  `cmd:"" name:"ridedata" help:"Show which rides the platform was told of, which wait, and which it refused."`
	Recount   merchantRecountCommand   `cmd:"" help:"Price a month's unsent trades anew, after its fare tables were changed."`

	Reconcile   merchantReconcileCommand   `cmd:"" help:"Hold the platform's bill of a day against the trades that settled here."`
	Differences merchantDifferencesCommand `cmd:"" help:"List what bills and trades do not agree on, with its history."`
	Resolve     merchantResolveCommand     `cmd:"" help:"Close a difference by a person's word."`
	Unsettled   merchantUnsettledCommand   `cmd:"" help:"List trades that never settled, and why."`
}

// merchantSettings is merchant.json in a merchant's folder, beside merchant.sealed, platform.pub,
// keys.json, merchant.db and the folder fares.
type merchantSettings struct {
	Gateway     string `json:"gateway"`
	AppID       string `json:"app_id"`
	PairWaitMin int    `json:"pair_wait_min"` // how long a metro trade waits for records that come late

	DefaultAfterHours   int `json:"default_after_hours"`   // when a trip without entry or exit is charged its default fare
	CompleteWithinHours int `json:"complete_within_hours"` // how long its rider may complete it
	MaxLateDays         int `json:"max_late_days"`         // a record that comes later stands aside

	DayEnds        string                 `json:"day_ends,omitempty"`         // 日切 of the platform, Beijing time, as 23:00; midnight where it is left out
	CarryWithinMin int                    `json:"carry_within_min,omitempty"` // what settled so near to it may be in the neighbouring bill; an hour
	RideData       *merchant.RideSettings `json:"ride_data,omitempty"`        // how rides are told to the platform; null: they are not
}

// defaultPairWaitMin is longer than most gates are without a network: a trade that is sent before an
// entry in between has come charges the longer trip.
const defaultPairWaitMin = 30

func readMerchant(dir string) (merchantSettings, error) {
	settings := newMerchantSettings()
	return settings, readJSON(filepath.Join(dir, "merchant.json"), &settings)
}

func newMerchantSettings() merchantSettings {
	return merchantSettings{PairWaitMin: defaultPairWaitMin, DefaultAfterHours: int(merchant.DefaultDefaultAfter / time.Hour),
		CompleteWithinHours: int(merchant.DefaultCompleteWithin / time.Hour), MaxLateDays: int(merchant.DefaultMaxLate / (24 * time.Hour))}
}

// config is how the merchant works by its settings.
func (s merchantSettings) config() merchant.Config {
	return merchant.Config{PairWait: time.Duration(s.PairWaitMin) * time.Minute, DefaultAfter: time.Duration(s.DefaultAfterHours) * time.Hour,
		CompleteWithin: time.Duration(s.CompleteWithinHours) * time.Hour, MaxLate: time.Duration(s.MaxLateDays) * 24 * time.Hour}
}

// makeMerchantFolder makes a merchant's key, sealed, and what else it needs to call the gateway.
func makeMerchantFolder(home *city, c *keysAppCommand) ([]byte, error) {
	settings := newMerchantSettings()
	settings.Gateway, settings.AppID = c.Gateway, c.AppID
	settings.RideData = &merchant.RideSettings{Channel: "shuama", CityName: c.CityName, PartnerName: cmp.Or(c.PartnerName, c.Merchant), PartnerID: c.AppID}
	if err := settings.RideData.Check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Out, 0o700); err != nil {
		return nil, err
	}
	sealer, err := c.newSealer(c.Out)
	if err != nil {
		return nil, err
	}
	public, err := makeRSA(filepath.Join(c.Out, "merchant.sealed"), sealer)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"platform.pub", "keys.json"} {
		content, err := os.ReadFile(home.path(name))
		if err != nil {
			return nil, err
		}
		if err := replaceFile(filepath.Join(c.Out, name), content, 0o644); err != nil {
			return nil, err
		}
	}
	return public, errors.Join(makeToken(c.Out), makeBooks(filepath.Join(c.Out, "merchant.db")), makeSampleFares(filepath.Join(c.Out, faresFolder)),
		writeJSON(filepath.Join(c.Out, "merchant.json"), settings))
}

// office is a merchant at work.
type office struct {
	*merchant.Merchant
	db       *store.DB
	tariff   *fare.Tariff
	settings merchantSettings
}

func (o *office) Close() error { return o.db.Close() }

// openOffice opens a merchant's folder. Only settling needs the key, so only settling unseals it.
func openOffice(dir string, settler merchant.Settler) (*office, error) {
	settings, err := readMerchant(dir)
	if err != nil {
		return nil, err
	}
	tariff, err := readTariff(filepath.Join(dir, faresFolder))
	if err != nil {
		return nil, err
	}
	ring, err := readKeyRing(filepath.Join(dir, "keys.json"), trust.WindowFast)
	if err != nil {
		return nil, err
	}
	if err := mustExist(filepath.Join(dir, "merchant.db"), "this merchant's records and trades"); err != nil {
		return nil, err
	}
	db, err := store.Open(filepath.Join(dir, "merchant.db"))
	if err != nil {
		return nil, err
	}
	config := settings.config()
	config.Keys, config.Clock, config.Fares = ring, ridecode.DefaultClock(), tariff
	m, err := merchant.New(db.Merchant(), settler, config)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &office{Merchant: m, db: db, tariff: tariff, settings: settings}, nil
}

// notSettling is the Settler of commands that only take in and list.
type notSettling struct{}

func (notSettling) Settle(context.Context, []openapi.Trade) ([]openapi.TradeResult, error) {
	return nil, errors.New("this command does not settle")
}

type merchantCollectCommand struct {
	Dir      string   `arg:"" help:"The merchant's folder." type:"existingdir"`
	Journals []string `arg:"" help:"Journals of terminals." type:"existingfile"`
}

// Help shows how it is used.
func (merchantCollectCommand) Help() string {
	return `A journal may be collected as often as you like: what is there already is not taken twice.

Example:
  shuama merchant collect merchant gate/gate.journal`
}

// Run takes the records in.
func (c *merchantCollectCommand) Run(w *world) error {
	o, err := openOffice(c.Dir, notSettling{})
	if err != nil {
		return err
	}
	defer o.Close()
	counts := map[merchant.Standing]int{}
	for _, path := range c.Journals {
		if err := collectJournal(w, o, path, counts); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	fmt.Fprintf(w.stdout, "%d records taken, %d were here already, %d stand aside.\n",
		counts[merchant.Taken], counts[merchant.AlreadyHad], counts[merchant.SetAside])
	if counts[merchant.SetAside] > 0 {
		fmt.Fprintf(w.stdout, "Why: shuama merchant list %s\n", c.Dir)
	}
	return nil
}

func collectJournal(w *world, o *office, path string, counts map[merchant.Standing]int) error {
	j, err := journal.Open(path)
	if err != nil {
		return err
	}
	defer j.Close()
	var batch [][]byte
	send := func() error {
		answers, err := o.Collect(w.context, batch, w.now().UTC())
		for _, answer := range answers {
			counts[answer.Standing]++
		}
		batch = nil
		return err
	}
	err = j.Replay(0, func(entry journal.Entry) error {
		if entry.Kind == acceptanceKind {
			batch = append(batch, entry.Payload)
		}
		if len(batch) == merchant.MaxBatchRecords {
			return send()
		}
		return nil
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return send()
}

type merchantSettleCommand struct {
	Dir  string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Once bool   `help:"Send what is due now, and stop."`
	sealFlags
}

// Help shows how it is used.
func (merchantSettleCommand) Help() string {
	return `It sends what is due, waits for the next time a trade asks for, and stops when every trade is final.
It may be stopped or killed at any moment and started again.

Example:
  shuama merchant settle merchant`
}

// Run settles.
func (c *merchantSettleCommand) Run(w *world) error {
	client, err := c.client(w)
	if err != nil {
		return err
	}
	settler, cards, err := withCards(w, c.Dir, c.sealFlags, client)
	if err != nil {
		return err
	}
	defer closeCounter(cards)
	o, err := openOffice(c.Dir, settler)
	if err != nil {
		return err
	}
	defer o.Close()
	if _, err := o.Reconsider(w.context, w.now().UTC()); err != nil {
		return err
	}
	for {
		report, err := o.SettleDue(w.context, w.now().UTC())
		if err != nil {
			return err
		}
		printReport(w, report)
		if report.NextDue.IsZero() || c.Once {
			return nil
		}
		if !wait(w, report.NextDue) {
			return nil
		}
	}
}

// wait ends at the moment, or when the command is told to stop.
func wait(w *world, until time.Time) bool {
	timer := time.NewTimer(max(until.Sub(w.now()), time.Second))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.context.Done():
		return false
	}
}

func printReport(w *world, report merchant.Report) {
	fmt.Fprintf(w.stdout, "%d trades sent: %d settled, %d failed, %d to be sent again.\n",
		report.Sent, report.Settled, report.Failed, report.Postponed)
	for _, strange := range report.Strange {
		fmt.Fprintln(w.stderr, "shuama: a result that fits no trade:", strange)
	}
	if report.Fault != nil {
		fmt.Fprintln(w.stderr, "shuama: the gateway:", report.Fault)
	}
	if !report.NextDue.IsZero() {
		fmt.Fprintf(w.stdout, "Next due at %s.\n", report.NextDue.Format(time.RFC3339))
	}
}

// requestTimeout bounds one call of the gateway.
const requestTimeout = 30 * time.Second

func (c *merchantSettleCommand) client(w *world) (*gateway.Client, error) {
	settings, err := readMerchant(c.Dir)
	if err != nil {
		return nil, err
	}
	sealer, err := c.sealer(c.Dir)
	if err != nil {
		return nil, err
	}
	return newClient(w, c.Dir, settings, sealer)
}

func newClient(w *world, dir string, settings merchantSettings, sealer hsm.Sealer) (*gateway.Client, error) {
	private, err := unsealRSA(filepath.Join(dir, "merchant.sealed"), sealer)
	if err != nil {
		return nil, err
	}
	signer, err := openapi.NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(filepath.Join(dir, "platform.pub"))
	if err != nil {
		return nil, err
	}
	platform, err := parseRSAPublic(string(content))
	if err != nil {
		return nil, fmt.Errorf("platform.pub: %w", err)
	}
	return gateway.NewClient(gateway.ClientConfig{URL: settings.Gateway, AppID: openapi.AppID(settings.AppID), Signer: signer,
		PlatformKey: platform, HTTP: &http.Client{Timeout: requestTimeout}, Now: w.now})
}

type merchantListCommand struct {
	Dir string `arg:"" help:"The merchant's folder." type:"existingdir"`
}

// Help shows how it is used.
func (merchantListCommand) Help() string {
	return "Example:\n  shuama merchant list merchant"
}

// Run lists everything that a person may ask about.
func (c *merchantListCommand) Run(w *world) error {
	o, err := openOffice(c.Dir, notSettling{})
	if err != nil {
		return err
	}
	defer o.Close()
	for _, state := range []merchant.TradeState{merchant.Waiting, merchant.Sent, merchant.Settled, merchant.Failed, merchant.Free, merchant.Aside} {
		if err := listTrades(w, o, state); err != nil {
			return err
		}
	}
	return errors.Join(listOpen(w, o), listRefunds(w, o), listAside(w, o))
}

func listTrades(w *world, o *office, state merchant.TradeState) error {
	for trade, err := range o.Trades(w.context, state) {
		if err != nil {
			return err
		}
		fmt.Fprintf(w.stdout, "%-8s %s  %s yuan  %s  %s%s\n", state, trade.OutTradeNo, trade.AmountFen.Yuan(), trade.Subject, trade.TradeNo, trade.Reason)
	}
	return nil
}

func listOpen(w *world, o *office) error {
	for tap, err := range o.OpenTrips(w.context) {
		if err != nil {
			return err
		}
		fmt.Fprintf(w.stdout, "OPEN     %s  %s of %s at %s %s, %s\n", tap.Record, tap.Kind, tap.Rider.UserID, plain(tap.Line), plain(tap.Station), tap.At.Format(time.RFC3339))
	}
	return nil
}

func listRefunds(w *world, o *office) error {
	for refund, err := range o.Refunds(w.context) {
		if err != nil {
			return err
		}
		fmt.Fprintf(w.stdout, "REFUND   %s  %s yuan of %s (%s)  %s\n", refund.Number, refund.AmountFen.Yuan(), refund.OutTradeNo, refund.TradeState, refund.Reason)
	}
	return nil
}

func listAside(w *world, o *office) error {
	for item, err := range o.SetAside(w.context) {
		if err != nil {
			return err
		}
		fmt.Fprintf(w.stdout, "ASIDE    %s%v  %s\n", item.OutTradeNo, item.Records, item.Reason)
	}
	return nil
}
