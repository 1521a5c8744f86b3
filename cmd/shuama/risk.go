package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/role/payment"
)

type riskCommand struct {
	Show   riskShowCommand   `cmd:"" help:"Show what was found of a rider, what follows now, and why."`
	List   riskListCommand   `cmd:"" help:"List the riders of whom something was found."`
	Appeal riskAppealCommand `cmd:"" help:"Set a finding aside: what follows from it ends at once."`
	Look   riskLookCommand   `cmd:"" help:"Look at what was settled since the last look, as shuama serve does by itself."`
}

type riskShowCommand struct {
	Dir  string `arg:"" help:"The city's folder." type:"existingdir"`
	User string `arg:"" help:"The user's number."`
	JSON bool   `help:"As JSON." name:"json"`
	bookFlags
}

// Help shows how it is used.
func (riskShowCommand) Help() string {
	return `Findings stay for ever, also those that were set aside. Evidence is named as TRADE_NO/RECORD for a record of a
settled trade, and as APP/TYPE/BIZ_NO/SIDE for what a merchant has told (document 2 §4.2.5).

Examples:
  shuama risk show city 2088000011112222
  shuama risk show city 2088000011112222 --json`
}

// Run shows.
func (c *riskShowCommand) Run(w *world) error {
	user, err := parseUser(c.User)
	if err != nil {
		return err
	}
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error {
		s, err := b.Standing(w.context, user, w.now().UTC())
		if err != nil {
			return err
		}
		if !s.Exists {
			return payment.ErrNoAccount
		}
		if c.JSON {
			return json.NewEncoder(w.stdout).Encode(shownStanding(s))
		}
		return printStanding(w.stdout, s)
	})
}

// standingJSON is a standing as --json has it. Amounts are fen.
type standingJSON struct {
	User     string        `json:"user"`
	Outcome  string        `json:"outcome"` // nothing, limit, no grant, deny
	LimitFen int64         `json:"limit_fen,omitempty"`
	ValidSec int           `json:"valid_sec,omitempty"`
	LastsSec int64         `json:"lasts_sec,omitempty"`
	Reasons  []reasonJSON  `json:"reasons"`
	Findings []findingJSON `json:"findings"`
	Pardons  []pardonJSON  `json:"forgotten_doubles,omitempty"`
}

type pardonJSON struct {
	Count  int        `json:"count"`
	Appeal appealJSON `json:"appeal"`
}

type reasonJSON struct {
	Rule    string `json:"rule"`
	Outcome string `json:"outcome"`
	Why     string `json:"why"`
	Next    string `json:"next"`
}

type findingJSON struct {
	Finding  int         `json:"finding"`
	Rule     string      `json:"rule"`
	Why      string      `json:"why"`
	When     time.Time   `json:"when"`
	Found    time.Time   `json:"found"`
	Proven   bool        `json:"proven"` // by records alone
	Evidence []string    `json:"evidence"`
	Appeal   *appealJSON `json:"appeal,omitempty"`
}

type appealJSON struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

func shownStanding(s payment.Standing) standingJSON {
	out := standingJSON{User: string(s.User), Outcome: string(s.Outcome), LimitFen: int64(s.Bounds.LimitFen), ValidSec: int(s.Bounds.ValidSec),
		LastsSec: int64(s.Bounds.Lasts / time.Second), Reasons: []reasonJSON{}, Findings: []findingJSON{}}
	for _, r := range s.Reasons {
		out.Reasons = append(out.Reasons, reasonJSON{string(r.Rule), string(r.Outcome), r.Why, r.Next})
	}
	for _, f := range s.Findings {
		shown := findingJSON{Finding: f.No, Rule: string(f.Rule), Why: f.Why, When: f.When, Found: f.Found, Proven: f.Proven, Evidence: f.Evidence}
		if f.Appeal != nil {
			shown.Appeal = &appealJSON{f.Appeal.Who, f.Appeal.Reason, f.Appeal.At}
		}
		out.Findings = append(out.Findings, shown)
	}
	for _, p := range s.Pardons {
		out.Pardons = append(out.Pardons, pardonJSON{p.Doubles, appealJSON{p.Who, p.Reason, p.At}})
	}
	return out
}

func printStanding(out io.Writer, s payment.Standing) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s%s\n", s.User, s.Outcome, boundsText(s.Bounds))
	for _, r := range s.Reasons {
		fmt.Fprintf(&text, "  %s, %s: %s\n    what lifts it: %s\n", r.Rule, r.Outcome, r.Why, r.Next)
	}
	for _, f := range s.Findings {
		fmt.Fprintf(&text, "finding %d, %s, %s: %s\n  evidence: %s\n", f.No, f.Rule, f.When.Format(time.RFC3339), f.Why, strings.Join(f.Evidence, " "))
		if f.Appeal != nil {
			fmt.Fprintf(&text, "  set aside by %s at %s: %s\n", f.Appeal.Who, f.Appeal.At.Format(time.RFC3339), f.Appeal.Reason)
		}
	}
	for _, p := range s.Pardons {
		fmt.Fprintf(&text, "%d double codes forgotten by %s at %s: %s\n", p.Doubles, p.Who, p.At.Format(time.RFC3339), p.Reason)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func boundsText(b payment.Bounds) (text string) {
	if b.LimitFen > 0 {
		text += fmt.Sprintf(", at most %s a trade", b.LimitFen)
	}
	if b.ValidSec > 0 {
		text += fmt.Sprintf(", codes good for %d s", b.ValidSec)
	}
	if b.Lasts > 0 {
		text += fmt.Sprintf(", a grant for %g h", b.Lasts.Hours())
	}
	return text
}

type riskListCommand struct {
	Dir  string `arg:"" help:"The city's folder." type:"existingdir"`
	JSON bool   `help:"As JSON, a line for each rider." name:"json"`
	bookFlags
}

// Help shows how it is used.
func (riskListCommand) Help() string {
	return `New riders are not listed, nor those who only owe: see shuama account denied for everybody on the deny list.

Examples:
  shuama risk list city
  shuama risk list city --json`
}

// Run lists.
func (c *riskListCommand) Run(w *world) error {
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error {
		count := 0
		err := b.EachStanding(w.context, w.now().UTC(), func(s payment.Standing) error {
			count++
			if c.JSON {
				return json.NewEncoder(w.stdout).Encode(shownStanding(s))
			}
			line := fmt.Sprintf("%s  %s%s, %d findings: %s", s.User, s.Outcome, boundsText(s.Bounds), len(s.Findings), s.Why())
			_, err := fmt.Fprintln(w.stdout, strings.TrimSuffix(line, ": "))
			return err
		})
		if err == nil && !c.JSON {
			_, err = fmt.Fprintf(w.stdout, "Of %d riders something was found.\n", count)
		}
		return err
	})
}

type riskAppealCommand struct {
	Dir     string   `arg:"" help:"The city's folder." type:"existingdir"`
	User    string   `arg:"" help:"The user's number."`
	Finding []string `help:"The finding's number, as shuama risk show has it; doubles forgets double codes." required:"" placeholder:"N"`
	Reason  string   `help:"Why: it is kept." required:"" placeholder:"TEXT"`
	By      string   `help:"Who decides: it is kept." required:"" env:"USER" placeholder:"NAME"`
	bookFlags
}

// Help shows how it is used.
func (riskAppealCommand) Help() string {
	return `The finding stays in the books, with who has set it aside, when and why; it counts no more. What is found later
counts anew. Debts are paid and not appealed; shuama account unblock lifts a block. Gates learn of it from the next
deny list or trust bundle.

Examples:
  shuama risk appeal city 2088000011112222 --finding 1 --reason "gate clock was wrong" --by support-7
  shuama risk appeal city 2088000011112222 --finding doubles --reason "one phone, two gates side by side" --by support-7`
}

// Run sets findings aside.
func (c *riskAppealCommand) Run(w *world) error {
	user, err := parseUser(c.User)
	if err != nil {
		return err
	}
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error {
		for _, name := range c.Finding {
			if err := c.appeal(w, b, name); err != nil {
				return fmt.Errorf("--finding %s: %w", name, err)
			}
		}
		s, err := b.Standing(w.context, user, w.now().UTC())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w.stdout, "Done. Now: %s%s. Next, for gates: shuama trust publish %s\n", s.Outcome, boundsText(s.Bounds), c.Dir)
		return err
	})
}

func (c *riskAppealCommand) appeal(w *world, b *books, name string) error {
	user, err := parseUser(c.User)
	if err != nil {
		return err
	}
	appeal := payment.Appeal{Who: c.By, Reason: c.Reason, At: w.now().UTC()}
	if name == string(payment.RuleDoubles) {
		return b.AppealDoubles(w.context, user, appeal)
	}
	no, err := strconv.Atoi(name)
	if err != nil || no < 1 {
		return errors.New("neither a number from 1 nor doubles")
	}
	return b.AppealFinding(w.context, user, no, appeal)
}

type riskLookCommand struct {
	Dir      string `arg:"" help:"The city's folder." type:"existingdir"`
	Stations string `help:"Where stations are, as CSV. Without it: stations.csv in the city's folder, if it is there." placeholder:"FILE" type:"existingfile"`
	bookFlags
}

// Help shows how it is used.
func (riskLookCommand) Help() string {
	return `It may run beside a server, and as often as one likes: nothing is found twice.

Examples:
  shuama risk look city
  shuama risk look city --stations stations.csv`
}

// Run looks until there is nothing new, and tells how far it is.
func (c *riskLookCommand) Run(w *world) error {
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) (err error) {
		if c.Stations != "" {
			if b.places, err = readStations(c.Stations, true); err != nil {
				return fmt.Errorf("--stations: %w", err)
			}
		}
		total := 0
		for {
			seen, err := b.WatchTrades(w.context, b.places, riskMost, w.now().UTC())
			if total += seen; err != nil {
				return err
			}
			if seen == 0 {
				_, err := fmt.Fprintf(w.stdout, "%d trades looked at, with %d lines about stations.\n", total, b.places.Count())
				return err
			}
			fmt.Fprintf(w.stderr, "%d trades looked at so far\n", total)
		}
	})
}
