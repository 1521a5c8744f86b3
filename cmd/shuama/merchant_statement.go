package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
)

type merchantStatementCommand struct {
	Dir   string `arg:"" help:"The merchant's folder." type:"existingdir"`
	User  string `arg:"" help:"The user's number, or 'all' for the sums of all riders." name:"user"`
	Month string `help:"The month." placeholder:"2026-07" required:""`
	JSON  bool   `help:"Write one JSON object a rider." name:"json"`
}

// Help shows how it is used.
func (merchantStatementCommand) Help() string {
	return `For the rider who asks why: every trip of the month with its fare, line by line, and what was paid. The sums
prove themselves: fares = paid + to pay + open + short + failed - held. Exit status 1: they do not.

Examples:
  shuama merchant statement merchant 2088000011112222 --month 2026-07
  shuama merchant statement merchant all --month 2026-07`
}

// Run explains.
func (c *merchantStatementCommand) Run(w *world) error {
	first, err := fare.ParseDay(c.Month + "-01")
	if err != nil {
		return fmt.Errorf("--month %q: not a month like 2026-07", c.Month)
	}
	user := ridecode.UserID(c.User)
	if c.User != "all" {
		if user, err = parseUser(c.User); err != nil {
			return err
		}
	}
	o, err := openOffice(c.Dir, notSettling{})
	if err != nil {
		return err
	}
	defer o.Close()
	return c.print(w, o, user, first)
}

func (c *merchantStatementCommand) print(w *world, o *office, user ridecode.UserID, first fare.Day) error {
	var sum merchant.Statement
	riders, trips := 0, 0
	for statement, err := range c.statements(w.context, o, user, first, w.now().UTC()) {
		if err != nil {
			return err
		}
		if len(statement.Trips) == 0 {
			continue
		}
		riders, trips = riders+1, trips+len(statement.Trips)
		sum.FaresFen, sum.PaidFen, sum.ToPayFen = sum.FaresFen+statement.FaresFen, sum.PaidFen+statement.PaidFen, sum.ToPayFen+statement.ToPayFen
		sum.ShortFen, sum.FailedFen, sum.HeldFen = sum.ShortFen+statement.ShortFen, sum.FailedFen+statement.FailedFen, sum.HeldFen+statement.HeldFen
		sum.OpenFen += statement.OpenFen
		if err := c.printOne(w, statement); err != nil {
			return err
		}
	}
	if c.User == "all" && !c.JSON {
		fmt.Fprintf(w.stdout, "%d riders, %d trips\n%s", riders, trips, sumsText(sum))
	} else if riders == 0 {
		fmt.Fprintln(w.stdout, "No trips.")
	}
	if sum.Difference() != 0 {
		fmt.Fprintf(w.stdout, "The sums do not add up: %s yuan are unexplained.\n", sum.Difference().Yuan())
		return refusal{}
	}
	return nil
}

// statements are those of one user, whatever card he showed, or of all.
func (c *merchantStatementCommand) statements(ctx context.Context, o *office, user ridecode.UserID, first fare.Day, now time.Time) func(func(merchant.Statement, error) bool) {
	if c.User == "all" {
		return o.Statements(ctx, first, first.LastOfMonth(), now)
	}
	return o.StatementsOf(ctx, user, first, first.LastOfMonth(), now)
}

func sumsText(s merchant.Statement) string {
	return fmt.Sprintf("fares %s = paid %s + to pay %s + open %s + short %s + failed %s - held %s\n",
		s.FaresFen.Yuan(), s.PaidFen.Yuan(), s.ToPayFen.Yuan(), s.OpenFen.Yuan(), s.ShortFen.Yuan(), s.FailedFen.Yuan(), s.HeldFen.Yuan())
}

func (c *merchantStatementCommand) printOne(w *world, s merchant.Statement) error {
	switch {
	case c.JSON:
		return printStatementJSON(w, s)
	case c.User == "all":
		return nil
	}
	fmt.Fprintf(w.stdout, "%s, card %s\n", s.Rider.UserID, s.Rider.CardType)
	for _, trip := range s.Trips {
		fmt.Fprintf(w.stdout, "\n%s\n", tripText(trip))
		if trip.Err != nil {
			fmt.Fprintf(w.stdout, "  no fare is known: %v\n", trip.Err)
			continue
		}
		fmt.Fprint(w.stdout, indent(fare.Text(trip.Fare.Lines)))
	}
	fmt.Fprintf(w.stdout, "\n%s\n", sumsText(s))
	return nil
}

// tripText is where and when, in Beijing time, with the records that an end that is missing is completed by.
func tripText(trip merchant.StatedTrip) string {
	text := ""
	for i, tap := range trip.Taps() {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s %s %s at %s", tap.Kind, plain(tap.Line), plain(tap.Station), tap.At.In(openapi.Beijing()).Format("2006-01-02 15:04:05"))
	}
	if claim := trip.Claim; claim.Station != "" {
		text += fmt.Sprintf(", completed by the rider: %s at %s", claim.Station, claim.At.In(openapi.Beijing()).Format("15:04:05"))
	}
	if len(trip.Taps()) == 1 && !trip.Taps()[0].Kind.IsWhole() {
		text += fmt.Sprintf(" (record %s)", trip.Taps()[0].Record)
	}
	if trip.Companion {
		text += ", a companion"
	}
	return text
}

// plain is a terminal's text without what could move the cursor or turn the writing.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}

// statementJSON is one rider of statement --json; amounts are fen.
type statementJSON struct {
	User      string     `json:"user_id"`
	CardType  string     `json:"card_type"`
	Trips     []tripJSON `json:"trips"`
	FaresFen  money.Fen  `json:"fares_fen"`
	PaidFen   money.Fen  `json:"paid_fen"`
	ToPayFen  money.Fen  `json:"to_pay_fen"`
	OpenFen   money.Fen  `json:"open_fen"`
	ShortFen  money.Fen  `json:"short_fen"`
	FailedFen money.Fen  `json:"failed_fen"`
	HeldFen   money.Fen  `json:"held_fen"`
}

type tripJSON struct {
	Day       string          `json:"day"`
	Records   []string        `json:"records"`
	Line      string          `json:"line"`
	Trip      string          `json:"trip"`
	Companion bool            `json:"companion,omitempty"`
	Fen       money.Fen       `json:"fen"`
	Lines     json.RawMessage `json:"lines,omitempty"`
	Why       string          `json:"unknown,omitempty"`
}

func printStatementJSON(w *world, s merchant.Statement) error {
	out := statementJSON{User: string(s.Rider.UserID), CardType: string(s.Rider.CardType), FaresFen: s.FaresFen, PaidFen: s.PaidFen,
		ToPayFen: s.ToPayFen, OpenFen: s.OpenFen, ShortFen: s.ShortFen, FailedFen: s.FailedFen, HeldFen: s.HeldFen}
	for _, trip := range s.Trips {
		one := tripJSON{Day: trip.Day.String(), Line: trip.Taps()[0].Line, Trip: tripText(trip), Companion: trip.Companion, Fen: trip.Fare.AmountFen,
			Lines: fare.AppendLines(nil, trip.Fare.Lines)}
		if trip.Err != nil {
			one.Lines, one.Why = nil, trip.Err.Error()
		}
		for _, tap := range trip.Taps() {
			one.Records = append(one.Records, tap.Record.String())
		}
		out.Trips = append(out.Trips, one)
	}
	content, err := json.Marshal(out)
	if err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "%s\n", content)
	return nil
}

type merchantCompleteCommand struct {
	Dir     string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Record  string `arg:"" help:"The record that is there, as list and statement show it." placeholder:"HEX"`
	Station string `arg:"" help:"The station of the other end."`
	At      string `help:"When the rider was there, Beijing time." placeholder:"2026-07-01 08:40" required:""`
	Line    string `help:"The line there, where it is another one." placeholder:"LINE"`
}

// Help shows how it is used.
func (merchantCompleteCommand) Help() string {
	return `A trip whose exit or entry no gate has seen is charged its default fare. Its rider may say where it ended
(补登), within complete_within_hours of merchant.json. Where the default fare was sent already, the difference
is named as a refund. Exit status 1: the rules do not allow it.

Example:
  shuama merchant complete merchant 9c12cfdc04c7… 松江大学城 --at "2026-07-01 08:40"`
}

// Run completes.
func (c *merchantCompleteCommand) Run(w *world) error {
	var id record.ID
	if n, err := hex.Decode(id[:], []byte(c.Record)[:min(len(c.Record), 2*len(id))]); err != nil || n != len(id) || len(c.Record) != 2*len(id) {
		return errors.New("RECORD: not 64 digits of hex")
	}
	at, err := parseMoment(c.At)
	if err != nil {
		return fmt.Errorf("--at: %w", err)
	}
	o, err := openOffice(c.Dir, notSettling{})
	if err != nil {
		return err
	}
	defer o.Close()
	completed, err := o.Complete(w.context, id, merchant.Claim{Station: c.Station, Line: c.Line, At: at}, w.now().UTC())
	if errors.Is(err, merchant.ErrNotCompleted) {
		fmt.Fprintln(w.stdout, err)
		return refusal{}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "The trip costs %s yuan:\n%s", completed.Fare.AmountFen.Yuan(), indent(fare.Text(completed.Fare.Lines)))
	if completed.RefundFen > 0 {
		fmt.Fprintf(w.stdout, "%s yuan are named for refund: shuama merchant list %s\n", completed.RefundFen.Yuan(), c.Dir)
	} else if completed.Trade.State == merchant.Waiting {
		fmt.Fprintf(w.stdout, "It is sent at %s.\n", completed.Trade.NextTry.Format(time.RFC3339))
	}
	return nil
}
