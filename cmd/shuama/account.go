package main

import (
	"fmt"
	"strings"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/payment"
)

type accountCommand struct {
	Open  accountOpenCommand  `cmd:"" help:"Open a user's account."`
	TopUp accountTopUpCommand `cmd:"" name:"top-up" help:"Bring money from outside to a user or into the guarantee fund."`
	Audit accountAuditCommand `cmd:"" help:"Prove the books, and show every balance."`
}

type accountOpenCommand struct {
	Dir    string `arg:"" help:"The city's folder." type:"existingdir"`
	User   string `arg:"" help:"The user's number: 16 characters."`
	Credit string `help:"The credit line, in yuan." default:"0"`
}

// Help shows how it is used.
func (accountOpenCommand) Help() string {
	return "Example:\n  shuama account open city 2088000011112222 --credit 20"
}

// Run opens the account; again does nothing.
func (c *accountOpenCommand) Run(w *world) error {
	credit, err := money.ParseYuan(c.Credit)
	if err != nil {
		return fmt.Errorf("--credit: %w", err)
	}
	user, err := parseUser(c.User)
	if err != nil {
		return err
	}
	return withBooks(w, c.Dir, func(b *books) error { return b.OpenUser(w.context, user, credit) })
}

type accountTopUpCommand struct {
	Dir     string `arg:"" help:"The city's folder." type:"existingdir"`
	Account string `arg:"" help:"A user's number, or guarantee for the guarantee fund."`
	Amount  string `arg:"" help:"In yuan."`
	Number  string `help:"The order's number: the same number again does nothing." required:"" placeholder:"NO"`
}

// Help shows how it is used.
func (accountTopUpCommand) Help() string {
	return "Examples:\n  shuama account top-up city 2088000011112222 50 --number 1\n  shuama account top-up city guarantee 100000 --number 2"
}

// Run tops up.
func (c *accountTopUpCommand) Run(w *world) error {
	amountFen, err := money.ParseYuan(c.Amount)
	if err != nil {
		return err
	}
	account := payment.UserAccount(ridecode.UserID(c.Account))
	if c.Account == string(payment.GuaranteeAccount) {
		account = payment.GuaranteeAccount
	}
	return withBooks(w, c.Dir, func(b *books) error {
		return b.TopUp(w.context, payment.TopUp{ID: payment.TopUpID(c.Number), Account: account, AmountFen: amountFen, At: w.now().UTC()})
	})
}

type accountAuditCommand struct {
	Dir string `arg:"" help:"The city's folder." type:"existingdir"`
}

// Help shows how it is used.
func (accountAuditCommand) Help() string {
	return `It proves that postings sum to zero, that every balance is what its postings say, and that each
code paid for one trade. Exit status: 0 proven, 1 something does not add up.

Example:
  shuama account audit city`
}

// Run proves the books.
func (c *accountAuditCommand) Run(w *world) error {
	return withBooks(w, c.Dir, func(b *books) error {
		report, err := b.Audit(w.context)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprint(w.stdout, auditText(report)); err != nil {
			return err
		}
		if len(report.Faults) > 0 {
			return refusal{}
		}
		return nil
	})
}

func withBooks(w *world, dir string, do func(*books) error) error {
	home, err := openCity(dir)
	if err != nil {
		return err
	}
	b, err := home.openBooks(w.context, trust.WindowSmall)
	if err != nil {
		return err
	}
	defer b.Close()
	return do(b)
}

// auditText shows the books for people: every account, then what was proven.
func auditText(report payment.AuditReport) string {
	var text strings.Builder
	for _, account := range report.Balances {
		fmt.Fprintf(&text, "  %-28s %14s%s\n", account.ID, account.Balance.Yuan(), floorText(account))
	}
	fmt.Fprintf(&text, "  %d accounts, %d transfers, %d postings that sum to %s, %d trades, %d codes paid\n",
		report.Accounts, report.Transfers, report.Postings, report.SumFen.Yuan(), report.Trades, report.Codes)
	for _, fault := range report.Faults {
		fmt.Fprintf(&text, "  FAULT: %s\n", fault)
	}
	if len(report.Faults) == 0 {
		text.WriteString("  Every balance is proven by its postings.\n")
	}
	return text.String()
}

func floorText(account ledger.Account) string {
	if account.Unbounded || account.Floor == 0 {
		return ""
	}
	return fmt.Sprintf("  (credit line %s)", (-account.Floor).Yuan())
}
