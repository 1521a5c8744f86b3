package main

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/merchant/reconcile"
)

type merchantReconcileCommand struct {
	Dir     string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Date    string `help:"The platform's accounting day." placeholder:"2026-11-25" required:""`
	File    string `help:"The bill, .csv or .csv.zip. Without it: it is fetched over the gateway." type:"existingfile"`
	Replace bool   `help:"The platform has issued the bill anew: it takes the place of the one that is here."`
	sealFlags
}

// Help shows how it is used.
func (merchantReconcileCommand) Help() string {
	return `Holds the platform's bill of a day against the merchant's own trades (对账). The bill is proven first by its
totals and its digest, and taken as a whole or not at all; the same one again changes nothing. What settled near
to the cut-off may be in the neighbouring bill, and is carried until that one is here. The day ends at day_ends
of merchant.json, Beijing time, as the platform's does. Rides of prepaid cards are left out: see shuama card audit.
Exit status: 0 all agrees or is carried or resolved, 1 differences are open, 2 the bill is wrong or not there.

Examples:
  shuama merchant reconcile merchant --date 2026-11-25
  shuama merchant reconcile merchant --date 2026-11-25 --file trade-2026-11-25.csv.zip`
}

// Run reconciles a day.
func (c *merchantReconcileCommand) Run(w *world) error {
	day, err := reconcile.ParseDay(c.Date)
	if err != nil {
		return fmt.Errorf("--date: %w", err)
	}
	desk, err := openDesk(w, c.Dir)
	if err != nil {
		return err
	}
	defer desk.Close()
	path := c.File
	if path == "" {
		if path, err = c.fetch(w); err != nil {
			return err
		}
		defer os.Remove(path)
	}
	summary, err := desk.Reconcile(w.context, day, billSource(path), reconcile.Options{Replace: c.Replace}, w.now().UTC())
	switch {
	case errors.Is(err, reconcile.ErrOtherContent):
		return fmt.Errorf("%w with --replace", err)
	case err != nil:
		return err
	}
	return c.print(w, summary)
}

// fetch brings the bill from the platform into a file beside the books.
func (c *merchantReconcileCommand) fetch(w *world) (path string, err error) {
	client, err := (&merchantSettleCommand{Dir: c.Dir, sealFlags: c.sealFlags}).client(w)
	if err != nil {
		return "", err
	}
	c.clear(w)
	file, err := os.CreateTemp(c.Dir, ".bill-*")
	if err != nil {
		return "", err
	}
	err = client.FetchBill(w.context, gateway.Bill{Type: "trade", Date: c.Date}, file)
	if err = errors.Join(err, file.Close()); err != nil {
		os.Remove(file.Name())
		var refusal *openapi.Error
		if errors.As(err, &refusal) && refusal.SubCode == openapi.SubBillNotExist {
			err = fmt.Errorf("there is no bill of %s, or none yet: the platform makes it once the day is closed (%w)", c.Date, err)
		}
		return "", err
	}
	return file.Name(), nil
}

// clear removes what runs that were killed have left; another run's file may be younger than a day.
func (c *merchantReconcileCommand) clear(w *world) {
	left, _ := filepath.Glob(filepath.Join(c.Dir, ".bill-*"))
	for _, path := range left {
		if info, err := os.Stat(path); err == nil && w.now().Sub(info.ModTime()) > 24*time.Hour {
			os.Remove(path)
		}
	}
}

// billSource reads a bill from a file, which may be a zip of one.
func billSource(path string) reconcile.Source {
	return func() (io.ReadCloser, error) {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		magic := make([]byte, 4)
		if _, err := io.ReadFull(file, magic); err == nil && string(magic) == "PK\x03\x04" {
			return unzipBill(file)
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		return file, nil
	}
}

// unzipped is the only file of a zip, open.
type unzipped struct {
	io.ReadCloser
	file *os.File
}

// Close closes both.
func (u unzipped) Close() error { return errors.Join(u.ReadCloser.Close(), u.file.Close()) }

func unzipBill(file *os.File) (io.ReadCloser, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	archive, err := zip.NewReader(file, info.Size())
	if err == nil && len(archive.File) != 1 {
		err = fmt.Errorf("%d files are in it, not one", len(archive.File))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the bill's zip: %w", err), file.Close())
	}
	inside, err := archive.File[0].Open()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the bill's zip: %w", err), file.Close())
	}
	return unzipped{inside, file}, nil
}

// desk is reconciliation over a merchant's books.
type desk struct {
	*reconcile.Reconciler
	db *store.DB
}

// Close closes the books.
func (d *desk) Close() error { return d.db.Close() }

func openDesk(w *world, dir string) (*desk, error) {
	settings, err := readMerchant(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "merchant.db")
	if err := mustExist(path, "this merchant's records and trades"); err != nil {
		return nil, err
	}
	db, err := store.Open(path)
	if err != nil {
		return nil, err
	}
	reconciler, err := settings.desk(w, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &desk{reconciler, db}, nil
}

// desk is how a merchant reconciles.
func (s *merchantSettings) desk(w *world, db *store.DB) (*reconcile.Reconciler, error) {
	config := reconcile.Config{App: openapi.AppID(s.AppID), Progress: newLineProgress(w), CarryWithin: time.Duration(s.CarryWithinMin) * time.Minute}
	if s.DayEnds != "" {
		var err error
		if config.DayEnds, err = parseTimeOfDay(s.DayEnds); err != nil {
			return nil, fmt.Errorf("merchant.json: day_ends: %w", err)
		}
	}
	return reconcile.New(db.Reconcile(), config)
}

func newLineProgress(w *world) func(done, total int) {
	told := w.now()
	return func(done, total int) {
		if now := w.now(); now.Sub(told) >= progressEvery && total > 0 {
			told = now
			fmt.Fprintf(w.stderr, "%d%% so far\n", 100*done/total)
		}
	}
}

// print shows the two equations of a day, and what is left to do.
func (c *merchantReconcileCommand) print(w *world, s reconcile.Summary) error {
	how := ""
	if s.Known {
		how = ", which was here already"
	} else if s.Replaces {
		how = ", which replaces an earlier one"
	}
	fmt.Fprintf(w.stdout, "%s, bill %x%s\n", s.Day, s.Digest[:6], how)
	row := func(sign, what string, total bill.Total) {
		fmt.Fprintf(w.stdout, "%2s %-44s %8d %16s\n", sign, what, total.Count, total.SumFen.Yuan())
	}
	row("", "settled here on that day", s.Own)
	row("+", "in the bill, settled here on another day", s.OtherDay)
	row("-", "settled here, in the bill of another day", s.OtherBill)
	printKinds(s, false, row)
	row("=", "trades in the bill", s.Billed)
	row("", "refunds named here, in the bill", s.OwnRefunds)
	printKinds(s, true, row)
	row("=", "refunds in the bill", s.BilledRefunds)
	if !s.AddsUp() {
		trades, refunds := s.Unexplained()
		return fmt.Errorf("the sums do not add up: %d trades of %s and %d refunds of %s are unexplained: trades changed meanwhile, run it again", trades.Count, trades.SumFen, refunds.Count, refunds.SumFen)
	}
	fmt.Fprintln(w.stdout, "Adds up.")
	fmt.Fprintf(w.stdout, "Of all days: %d open (%s), %d carried (%s).\n", s.Open.Count, s.Open.SumFen, s.Carried.Count, s.Carried.SumFen)
	if s.Open.Count == 0 {
		return nil
	}
	fmt.Fprintf(w.stdout, "Next: shuama merchant differences %s\n", c.Dir)
	return refusal{}
}

func printKinds(s reconcile.Summary, refunds bool, row func(string, string, bill.Total)) {
	for _, kind := range reconcile.Kinds() {
		if total := s.Differences[kind]; kind.AboutRefunds() == refunds && total.Count > 0 {
			row("+", string(kind), total)
		}
	}
}

type merchantDifferencesCommand struct {
	Dir  string `arg:"" help:"The merchant's folder." type:"existingdir"`
	All  bool   `help:"Those that are resolved, too."`
	JSON bool   `help:"Write one JSON object a difference." name:"json"`
}

// Help shows how it is used.
func (merchantDifferencesCommand) Help() string {
	return `What merchant and bills do not agree on (差错), with its history. Nothing of it is ever changed.

Example:
  shuama merchant differences merchant --all`
}

// Run lists.
func (c *merchantDifferencesCommand) Run(w *world) error {
	desk, err := openDesk(w, c.Dir)
	if err != nil {
		return err
	}
	defer desk.Close()
	count := 0
	for difference, err := range desk.Differences(w.context, c.All) {
		if err != nil {
			return err
		}
		count++
		if err := c.print(w, difference); err != nil {
			return err
		}
	}
	if count == 0 && !c.JSON {
		fmt.Fprintln(w.stdout, "No differences.")
	}
	return nil
}

// differenceJSON is one difference; amounts are fen.
type differenceJSON struct {
	Number     int64           `json:"number"`
	Kind       reconcile.Kind  `json:"kind"`
	State      reconcile.State `json:"state"`
	Date       string          `json:"date"`
	OutTradeNo string          `json:"out_trade_no"`
	RequestNo  string          `json:"out_request_no,omitempty"`
	OwnFen     money.Fen       `json:"own_fen"`
	BilledFen  money.Fen       `json:"billed_fen"`
	History    []stepJSON      `json:"history"`
}

type stepJSON struct {
	At     string          `json:"at"`
	State  reconcile.State `json:"state"`
	Person string          `json:"person,omitempty"`
	Reason string          `json:"reason"`
}

func (c *merchantDifferencesCommand) print(w *world, d reconcile.Difference) error {
	if !c.JSON {
		printDifference(w, d)
		return nil
	}
	out := differenceJSON{Number: d.No, Kind: d.Kind, State: d.State, Date: d.Day.String(), OutTradeNo: string(d.OutTradeNo), RequestNo: d.RequestNo, OwnFen: d.OwnFen, BilledFen: d.BilledFen}
	for _, step := range d.Steps {
		out.History = append(out.History, stepJSON{step.At.Format(time.RFC3339), step.State, step.Person, step.Reason})
	}
	content, err := json.Marshal(out)
	if err == nil {
		_, err = fmt.Fprintf(w.stdout, "%s\n", content)
	}
	return err
}

func printDifference(w *world, d reconcile.Difference) {
	fmt.Fprintf(w.stdout, "%d  %s  %s of %s  %s %s  here %s, billed %s\n", d.No, d.State, d.Kind, d.Day, plain(string(d.OutTradeNo)), plain(d.RequestNo), d.OwnFen.Yuan(), d.BilledFen.Yuan())
	for _, step := range d.Steps {
		by := ""
		if step.Person != "" {
			by = " by " + plain(step.Person)
		}
		fmt.Fprintf(w.stdout, "   %s  %s%s: %s\n", openapi.FormatTime(step.At), step.State, by, plain(step.Reason))
	}
}

type merchantResolveCommand struct {
	Dir    string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Number int64  `arg:"" help:"The difference, as merchant differences shows it."`
	Reason string `help:"What cleared it up; it stays in the history." required:""`
	By     string `help:"Who says so." default:"office"`
}

// Help shows how it is used.
func (merchantResolveCommand) Help() string {
	return `Closes a difference by a person's word. No money moves; the sums of its day go on to name it.

Example:
  shuama merchant resolve merchant 7 --reason "the platform has paid it on 2026-11-27, letter 311" --by "Li"`
}

// Run resolves.
func (c *merchantResolveCommand) Run(w *world) error {
	desk, err := openDesk(w, c.Dir)
	if err != nil {
		return err
	}
	defer desk.Close()
	difference, err := desk.Resolve(w.context, c.Number, c.By, c.Reason, w.now().UTC())
	if errors.Is(err, reconcile.ErrUnknown) {
		return fmt.Errorf("%w: shuama merchant differences %s --all lists them", err, c.Dir)
	}
	if err != nil {
		return err
	}
	printDifference(w, difference)
	return nil
}
