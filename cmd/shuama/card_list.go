package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/cardissuer"
)

type cardShowCommand struct{ cardArgs }

// Help shows how it is used.
func (cardShowCommand) Help() string {
	return "Example:\n  shuama card show merchant GJ310000 3100000001"
}

// Run shows.
func (c *cardShowCommand) Run(w *world) error {
	return c.change(w, func(at *counter) (cardissuer.Card, error) { return at.Card(w.context, c.key()) })
}

type cardListCommand struct {
	Dir  string `arg:"" help:"The merchant's folder." type:"existingdir"`
	User string `help:"Only this user's." placeholder:"USER"`
	Type string `help:"Only of this type." placeholder:"TYPE"`
	sealFlags
}

// Help shows how it is used.
func (cardListCommand) Help() string {
	return "Examples:\n  shuama card list merchant\n  shuama card list merchant --user 2088000011112222"
}

// Run lists.
func (c *cardListCommand) Run(w *world) error {
	const page = 500
	return atCounter(w, c.Dir, c.sealFlags, func(at *counter) error {
		query := cardissuer.Query{Type: ridecode.CardType(c.Type), User: ridecode.UserID(c.User), Limit: page}
		for {
			cards, err := at.Find(w.context, query)
			if err != nil {
				return err
			}
			for _, card := range cards {
				if err := printCard(w, at, card); err != nil {
					return err
				}
				query.After = card.Key
			}
			if len(cards) < page {
				return nil
			}
		}
	})
}

type cardHistoryCommand struct{ cardArgs }

// Help shows how it is used.
func (cardHistoryCommand) Help() string {
	return "Example:\n  shuama card history merchant GJ310000 3100000001"
}

// Run lists what happened, with the balance after it.
func (c *cardHistoryCommand) Run(w *world) error {
	const page = 500
	return atCounter(w, c.Dir, c.sealFlags, func(at *counter) error {
		if _, err := at.Card(w.context, c.key()); err != nil {
			return err
		}
		for after := int64(0); ; {
			entries, err := at.History(w.context, c.key(), after, page)
			if err != nil || len(entries) == 0 {
				return err
			}
			for _, entry := range entries {
				after = int64(entry.ID)
				line := fmt.Sprintf("%s  %-8s %8s yuan  balance %8s  %s  %s", entry.At.In(openapi.Beijing()).Format(time.DateTime), entry.Kind,
					entry.AmountFen.Yuan(), entry.NetFen.Yuan(), entry.Number, plain(entry.Text))
				fmt.Fprintln(w.stdout, strings.TrimRight(line, " "))
			}
		}
	})
}

type cardPushCommand struct {
	Dir  string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Once bool   `help:"Send what is due now, and stop." `
	sealFlags
}

// Help shows how it is used.
func (cardPushCommand) Help() string {
	return `Each card's newest state is sent until the platform has taken it (virtualcard.send, document 2 §4.2.4). It stops
when the platform knows all; a serving merchant (shuama merchant serve) does this all the time.

Examples:
  shuama card push merchant
  shuama card push merchant --once`
}

// Run sends.
func (c *cardPushCommand) Run(w *world) error {
	client, err := (&merchantSettleCommand{Dir: c.Dir, sealFlags: c.sealFlags}).client(w)
	if err != nil {
		return err
	}
	return atCounter(w, c.Dir, c.sealFlags, func(at *counter) error {
		for {
			report, err := at.Push(w.context, platformCards{client}, w.now().UTC())
			if err != nil {
				return err
			}
			left, err := at.Waiting(w.context)
			if err != nil {
				return err
			}
			c.print(w, report, left)
			if len(left) == 0 || c.Once || !wait(w, left[0].Sent.NextTry) {
				return nil
			}
		}
	})
}

func (c *cardPushCommand) print(w *world, report cardissuer.Pushed, left []cardissuer.Card) {
	fmt.Fprintf(w.stdout, "%d cards sent: %d taken, %d refused.\n", report.Sent, report.Taken, report.Refused)
	if report.Fault != nil {
		fmt.Fprintln(w.stderr, "shuama: the gateway:", report.Fault)
	}
	for _, card := range left {
		fmt.Fprintf(w.stdout, "%s %s waits, and is sent again at %s: %s\n", card.Key.Type, card.Key.No, card.Sent.NextTry.Format(time.RFC3339), card.Sent.Reason)
	}
}

type cardAuditCommand struct {
	Dir string `arg:"" help:"The merchant's folder." type:"existingdir"`
	sealFlags
}

// Help shows how it is used.
func (cardAuditCommand) Help() string {
	return "Exit status 1 says that the book does not prove itself.\n\nExample:\n  shuama card audit merchant"
}

// Run counts the book again.
func (c *cardAuditCommand) Run(w *world) error {
	return atCounter(w, c.Dir, c.sealFlags, func(at *counter) error {
		r, err := at.Audit(w.context)
		if err != nil {
			return err
		}
		fmt.Fprintf(w.stdout, "%d cards, %d requests, %d transfers; the postings sum to zero.\n", r.Cards, r.Entries, r.Transfers)
		fmt.Fprintf(w.stdout, "paid in %s = on cards %s - owed %s + rides %s (yuan)\n", r.PaidInFen.Yuan(), r.HeldFen.Yuan(), r.OwedFen.Yuan(), r.RidesFen.Yuan())
		for _, fault := range r.Faults {
			fmt.Fprintln(w.stderr, "shuama: the book:", fault)
		}
		if len(r.Faults) > 0 {
			return refusal{}
		}
		return nil
	})
}
