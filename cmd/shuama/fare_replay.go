package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
)

type fareReplayCommand struct {
	Dir   string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Fares string `arg:"" help:"The other fare tables: a folder, or a GTFS feed." type:"path"`
	Month string `help:"The month whose trips are priced again." placeholder:"2026-07" required:""`
	Top   int    `help:"How many of the most affected riders are told singly." default:"10"`
	JSON  bool   `help:"Write the report as JSON." name:"json"`
}

// Help shows how it is used.
func (fareReplayCommand) Help() string {
	return `Nothing is written, and nothing is charged. Riders are told under pseudonyms, which stay the same for this
merchant (pseudonym.key). Both sides are reckoned from the same taps, so the difference is the tables' alone.

Example:
  shuama fare replay merchant new-fares --month 2026-07`
}

// Run replays.
func (c *fareReplayCommand) Run(w *world) error {
	first, err := fare.ParseDay(c.Month + "-01")
	if err != nil {
		return fmt.Errorf("--month %q: not a month like 2026-07", c.Month)
	}
	other, err := readTariff(c.Fares)
	if err != nil {
		return err
	}
	pseudonym, err := newPseudonyms(c.Dir)
	if err != nil {
		return err
	}
	o, err := openOffice(c.Dir, notSettling{})
	if err != nil {
		return err
	}
	defer o.Close()
	report, err := o.Replay(w.context, other, merchant.ReplayOptions{First: first, Last: first.LastOfMonth(), Top: c.Top, Pseudonym: pseudonym, Progress: newProgress(w)})
	if err != nil {
		return err
	}
	if c.JSON {
		return printReplayJSON(w.stdout, report)
	}
	printReplay(w.stdout, report)
	return nil
}

// progressEvery is how often a long run says how far it is.
const progressEvery = 2 * time.Second

func newProgress(w *world) func(riders, trips int) {
	told := w.now()
	return func(riders, trips int) {
		if now := w.now(); now.Sub(told) >= progressEvery {
			told = now
			fmt.Fprintf(w.stderr, "%d riders, %d trips so far\n", riders, trips)
		}
	}
}

// newPseudonyms names riders by a keyed hash: the same each time, and nobody without the key can tell who
// it is by trying all user numbers.
func newPseudonyms(dir string) (func(merchant.Rider) string, error) {
	path := filepath.Join(dir, "pseudonym.key")
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = []byte(rand.Text() + "\n")
		err = replaceFile(path, key, 0o600)
	}
	if err != nil {
		return nil, err
	}
	if len(strings.TrimSpace(string(key))) < 16 {
		return nil, fmt.Errorf("%s: too short for a key: take the file away, and a new one is made", path)
	}
	return func(rider merchant.Rider) string {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s\n%s\n%s", rider.UserID, rider.CardType, rider.CardNo)
		return "rider-" + hex.EncodeToString(mac.Sum(nil)[:6])
	}, nil
}

func printReplay(out io.Writer, r merchant.Replay) {
	fmt.Fprintf(out, "%s to %s: %d trips of %d riders\n", r.First, r.Last, r.Trips, r.Riders)
	fmt.Fprintf(out, "  now  %s yuan\n  then %s yuan (%s)\n", r.OldFen.Yuan(), r.NewFen.Yuan(), change(r.OldFen, r.NewFen))
	fmt.Fprintf(out, "  %d riders pay more, %s yuan in all; %d pay less, %s yuan in all; %d pay the same\n",
		r.More.Riders, r.More.AmountFen.Yuan(), r.Less.Riders, r.Less.AmountFen.Yuan(), r.Riders-r.More.Riders-r.Less.Riders)
	fmt.Fprintln(out, "\nRiders by what changes for them, yuan:")
	for _, b := range r.Distribution {
		if b.Riders > 0 {
			fmt.Fprintf(out, "  %-22s %8d\n", bucketName(b), b.Riders)
		}
	}
	if len(r.Most) > 0 {
		fmt.Fprintln(out, "\nMost affected:")
	}
	for _, a := range r.Most {
		fmt.Fprintf(out, "  %-20s %4d trips  %10s -> %10s  %s\n", a.Pseudonym, a.Trips, a.OldFen.Yuan(), a.NewFen.Yuan(), change(a.OldFen, a.NewFen))
	}
	fmt.Fprintln(out, "\nBy line:")
	for _, l := range r.Lines {
		fmt.Fprintf(out, "  %-20s %8d trips  %12s -> %12s  %s\n", l.Line, l.Trips, l.OldFen.Yuan(), l.NewFen.Yuan(), change(l.OldFen, l.NewFen))
	}
	printUnpriced(out, "Trips that the other tables cannot price", r.OnlyOld)
	printUnpriced(out, "Trips that only the other tables can price", r.OnlyNew)
	if r.Neither > 0 {
		fmt.Fprintf(out, "\n%d trips have no fare with either\n", r.Neither)
	}
}

func printUnpriced(out io.Writer, title string, reasons []merchant.Unpriced) {
	const shown = 10
	if len(reasons) > 0 {
		fmt.Fprintf(out, "\n%s:\n", title)
	}
	for i, reason := range reasons {
		if i == shown {
			fmt.Fprintf(out, "  and %d reasons more\n", len(reasons)-shown)
			return
		}
		fmt.Fprintf(out, "  %8d  %s\n", reason.Trips, reason.Why)
	}
}

func bucketName(b merchant.Bucket) string {
	const wide = money.Fen(1_000_000_000)
	switch {
	case b.FromFen == 0 && b.UntilFen == 1:
		return "the same"
	case b.FromFen < -wide:
		return "less than " + b.UntilFen.Yuan()
	case b.UntilFen > wide:
		return signed(b.FromFen) + " and more"
	}
	return signed(b.FromFen) + " to " + signed(b.UntilFen-1)
}

func signed(fen money.Fen) string {
	if fen > 0 {
		return "+" + fen.Yuan()
	}
	return fen.Yuan()
}

// change is a difference with its part of the old sum in tenths of a percent, rounded towards zero.
func change(before, after money.Fen) string {
	text := signed(after - before)
	if before > 0 {
		tenths := (after - before) * 1000 / before
		sign := ""
		if tenths < 0 {
			sign, tenths = "-", -tenths
		}
		text += fmt.Sprintf(", %s%d.%d %%", sign, tenths/10, tenths%10)
	}
	return text
}

// replayJSON is the report for programs; amounts are fen.
type replayJSON struct {
	First        string         `json:"first_day"`
	Last         string         `json:"last_day"`
	Riders       int            `json:"riders"`
	Trips        int            `json:"trips"`
	OldFen       money.Fen      `json:"old_fen"`
	NewFen       money.Fen      `json:"new_fen"`
	More         sideJSON       `json:"pay_more"`
	Less         sideJSON       `json:"pay_less"`
	Distribution []bucketJSON   `json:"distribution"`
	Most         []affectedJSON `json:"most_affected"`
	Lines        []affectedJSON `json:"lines"`
	OnlyOld      []unpricedJSON `json:"only_old"`
	OnlyNew      []unpricedJSON `json:"only_new"`
	Neither      int            `json:"neither"`
}

type sideJSON struct {
	Riders    int       `json:"riders"`
	AmountFen money.Fen `json:"fen"`
}

type bucketJSON struct {
	From   *money.Fen `json:"from_fen"` // null: no bound
	Until  *money.Fen `json:"until_fen"`
	Riders int        `json:"riders"`
}

type affectedJSON struct {
	Name   string    `json:"name"`
	Trips  int       `json:"trips"`
	OldFen money.Fen `json:"old_fen"`
	NewFen money.Fen `json:"new_fen"`
}

type unpricedJSON struct {
	Why   string `json:"why"`
	Trips int    `json:"trips"`
}

func printReplayJSON(out io.Writer, r merchant.Replay) error {
	report := replayJSON{First: r.First.String(), Last: r.Last.String(), Riders: r.Riders, Trips: r.Trips, OldFen: r.OldFen, NewFen: r.NewFen,
		More: sideJSON{r.More.Riders, r.More.AmountFen}, Less: sideJSON{r.Less.Riders, r.Less.AmountFen}, Neither: r.Neither,
		Most: []affectedJSON{}, Lines: []affectedJSON{}, OnlyOld: []unpricedJSON{}, OnlyNew: []unpricedJSON{}}
	for _, b := range r.Distribution {
		report.Distribution = append(report.Distribution, bucketJSON{From: bound(b.FromFen), Until: bound(b.UntilFen), Riders: b.Riders})
	}
	for _, a := range r.Most {
		report.Most = append(report.Most, affectedJSON{a.Pseudonym, a.Trips, a.OldFen, a.NewFen})
	}
	for _, l := range r.Lines {
		report.Lines = append(report.Lines, affectedJSON{l.Line, l.Trips, l.OldFen, l.NewFen})
	}
	for _, u := range r.OnlyOld {
		report.OnlyOld = append(report.OnlyOld, unpricedJSON{u.Why, u.Trips})
	}
	for _, u := range r.OnlyNew {
		report.OnlyNew = append(report.OnlyNew, unpricedJSON{u.Why, u.Trips})
	}
	content, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", content)
	return err
}

func bound(fen money.Fen) *money.Fen {
	const wide = money.Fen(1_000_000_000)
	if fen < -wide || fen > wide {
		return nil
	}
	return &fen
}
