package storetest

import (
	"strings"
	"testing"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/role/payment"
)

func testAuditCounts(t *testing.T, open Open) {
	store, _ := furnished(t, open, 2)
	broke := newSale(3, userID(1))
	broke.amount = plenty + 1_000 // over the credit line, but not over the fund
	if err := topUp(t.Context(), store, topUpOf("more", fund, plenty)); err != nil {
		t.Fatal(err)
	}
	settled, err := settle(t.Context(), store, newSale(1, userID(0)), newSale(2, userID(1)), broke)
	if err != nil || len(settled) != 3 {
		t.Fatal(settled, err)
	}
	sameTrade(t, view(t, store, needOf([]sale{broke})), broke.trade(payment.PaidByGuarantee))
	report := auditClean(t, store)
	got := [...]int{report.Accounts, report.Transfers, report.Postings, report.Trades, report.Codes}
	if want := [...]int{4 + 2 + 1, 1 + 2 + 1 + 2 + 2, 2 * 8, 3, 3}; got != want {
		t.Errorf("accounts, transfers, postings, trades, codes: %d, want %d", got, want)
	}
	for _, account := range report.Balances {
		need := payment.Need{Accounts: []ledger.AccountID{account.ID}}
		if shown := view(t, store, need).Accounts[account.ID]; shown != account {
			t.Errorf("audit says %+v, view says %+v", account, shown)
		}
	}
}

// What no constraint of one row can see, the audit must. Each decision here is wrong in such a way.
func testAuditFinds(t *testing.T, open Open) {
	for _, wrong := range []wrongDecision{
		{"order-101", func(c *payment.Changes) { c.Trades[1].Content.Subject = "another" }},
		{"order-101", func(c *payment.Changes) {
			c.Trades[1].Content.AmountFen++
			c.Trades[1].Digest = c.Trades[1].Content.Digest()
		}},
		{"order-101", func(c *payment.Changes) { c.Entries[1].Transfer.Reference = "" }},
		{"order-101", func(c *payment.Changes) { c.Entries[1].Transfer.Code = codePlain }},
		{"order-101", func(c *payment.Changes) { c.Trades[1].Payer = payment.PaidByGuarantee }},
		{"order-100", func(c *payment.Changes) { c.Entries[1].Transfer.Reference = string(tradeNo(100)) }},
		{"ride:" + string(tradeNo(101)), func(c *payment.Changes) { c.Trades = c.Trades[:1] }},
		{"another", func(c *payment.Changes) { c.TopUps[0].AmountFen++ }},
		{"another", func(c *payment.Changes) { c.TopUps[0].Account = payment.UserAccount(userID(1)) }},
		{"another", func(c *payment.Changes) { c.Entries[2].Transfer.Code = codePlain }},
		{"topup:another", func(c *payment.Changes) { c.TopUps = nil }},
	} {
		t.Run("", func(t *testing.T) {
			store, reopen := furnished(t, open, 2)
			if err := decideWrong(t.Context(), store, wrong.spoil); err != nil {
				auditClean(t, store) // a store may be stricter: then nothing of it is there
				return
			}
			for range 2 {
				report, err := store.Audit(t.Context())
				if err != nil || !strings.Contains(strings.Join(report.Faults, "\n"), wrong.name) {
					t.Errorf("no fault names %s: %q, %v", wrong.name, report.Faults, err)
				}
				store = reopen()
			}
		})
	}
}
