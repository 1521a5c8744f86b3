package main

import (
	"fmt"
	"strings"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/role/payment"
)

type auditCommand struct {
	Dir   string `arg:"" help:"The city's folder." type:"existingdir"`
	Users bool   `help:"Show the balances of users too."`
	bookFlags
}

// Help shows how it is used.
func (auditCommand) Help() string {
	return `It reads every row of the books, and proves that postings sum to zero, that every balance is what its
postings say, that each number stands for its content, each code has paid for one trade and each record is in
one, that what merchants have in parts is what was paid into them, and that what left one bucket has arrived in
another. Exit status: 0 proven, 1 something does not add up.

Examples:
  shuama audit city
  shuama audit city --database postgres://shuama@10.0.0.5/shuama`
}

// Run proves the books.
func (c *auditCommand) Run(w *world) error {
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error {
		report, err := b.Audit(w.context)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprint(w.stdout, auditText(report, c.Users)); err != nil {
			return err
		}
		if len(report.Faults) > 0 {
			return refusal{}
		}
		return nil
	})
}

// auditText shows the books for people: the accounts, those of users as one sum unless they are few or
// asked for, then what was proven.
func auditText(report payment.AuditReport, users bool) string {
	const few = 20
	var text strings.Builder
	counts, sums := map[string]int{}, map[string]ledger.Account{}
	for _, account := range report.Balances {
		kind, _, _ := strings.Cut(string(account.ID), ":")
		counts[kind]++
		sum := sums[kind]
		sum.Balance += account.Balance
		sums[kind] = sum
	}
	for _, account := range report.Balances {
		if kind, _, _ := strings.Cut(string(account.ID), ":"); users || counts[kind] <= few {
			fmt.Fprintf(&text, "  %-28s %14s%s\n", account.ID, account.Balance.Yuan(), floorText(account))
		}
	}
	for _, kind := range []string{"user", "debt", "merchant", "settled"} {
		if !users && counts[kind] > few {
			fmt.Fprintf(&text, "  %-28s %14s\n", fmt.Sprintf("%s: %d accounts", kind, counts[kind]), sums[kind].Balance.Yuan())
		}
	}
	fmt.Fprintf(&text, "  %d transfers, %d postings that sum to %s, %d trades, %d codes paid, %d other documents\n",
		report.Transfers, report.Postings, report.SumFen.Yuan(), report.Trades, report.Codes, report.Documents)
	fmt.Fprintf(&text, "  %d numbers taken, %d of them for what was never settled; %d buckets, %s under way between them\n",
		report.Claims, report.Orphans, report.Buckets, report.UnderWay.Yuan())
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
