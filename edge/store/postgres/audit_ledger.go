package postgres

import (
	"fmt"
	"math/big"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
)

// tally is what an account's postings say, counted anew.
type tally struct {
	account ledger.Account // as its row says
	sum     money.Fen
	number  int64
}

// posting is one row of that table.
type posting struct {
	account, number, transfer int64
	amount, balance           money.Fen
}

// examineAccounts proves each account by its postings, and that all postings together are nothing.
func (a *auditor) examineAccounts() error {
	tallies, byNo, err := a.loadAccounts()
	if err != nil {
		return err
	}
	total, err := a.countPostings(byNo)
	if err != nil {
		return err
	}
	for _, t := range tallies {
		a.examineAccount(t)
	}
	if total.Sign() != 0 {
		a.fault("The sum of all postings is %s fen and not 0.", total)
	}
	a.report.SumFen = money.Fen(total.Int64())
	return nil
}

func (a *auditor) loadAccounts() (tallies []*tally, byNo map[int64]*tally, err error) {
	byNo = make(map[int64]*tally, a.report.Accounts)
	var no int64
	var account ledger.Account
	err = a.rows("SELECT no, id, balance, floor, unbounded, postings FROM shuama.account ORDER BY id",
		[]any{&no, &account.ID, &account.Balance, &account.Floor, &account.Unbounded, &account.Postings}, func() error {
			a.report.Balances = append(a.report.Balances, account)
			t := &tally{account: account}
			tallies, byNo[no] = append(tallies, t), t
			return nil
		})
	return tallies, byNo, err
}

// countPostings runs through the postings of one account after the other. The total is exact however
// large: sums that wrap could cancel a theft out.
func (a *auditor) countPostings(byNo map[int64]*tally) (*big.Int, error) {
	total, amount := new(big.Int), new(big.Int)
	var p posting
	err := a.rows("SELECT account, number, transfer, amount, balance FROM shuama.posting ORDER BY account, number, transfer",
		[]any{&p.account, &p.number, &p.transfer, &p.amount, &p.balance}, func() error {
			total.Add(total, amount.SetInt64(int64(p.amount)))
			t := byNo[p.account]
			if t == nil {
				a.fault("Posting %d of transfer %d stands in account number %d, which does not exist.", p.number, p.transfer, p.account)
				return nil
			}
			a.countPosting(t, &p)
			return nil
		})
	return total, err
}

func (a *auditor) countPosting(t *tally, p *posting) {
	sum, err := t.sum.Add(p.amount)
	if err != nil {
		a.fault("Account %q: posting %d makes a balance that does not fit.", t.account.ID, p.number)
	}
	if p.number != t.number+1 {
		a.fault("Account %q: posting %d follows posting %d.", t.account.ID, p.number, t.number)
	}
	if p.balance != sum {
		a.fault("Account %q: posting %d says a balance of %d fen after it, and its postings sum to %d fen.", t.account.ID, p.number, p.balance, sum)
	}
	t.sum, t.number = sum, p.number
}

func (a *auditor) examineAccount(t *tally) {
	account := t.account
	if account.Balance != t.sum {
		a.fault("Account %q: its balance is %d fen, and its postings sum to %d fen.", account.ID, account.Balance, t.sum)
	}
	if account.Postings != t.number {
		a.fault("Account %q: it counts %d postings, and the last one is number %d.", account.ID, account.Postings, t.number)
	}
	if !account.Unbounded && account.Balance < account.Floor {
		a.fault("Account %q: its balance of %d fen is below its floor of %d fen.", account.ID, account.Balance, account.Floor)
	}
}

// examineLegs: every posting is of a transfer, and says what the transfer says of it.
func (a *auditor) examineLegs() error {
	var account string
	var number, transfer int64
	return a.faultRows(`SELECT coalesce(a.id, ''), p.number, p.transfer FROM shuama.posting AS p
		LEFT JOIN shuama.account AS a ON a.no = p.account LEFT JOIN shuama.transfer AS t ON t.no = p.transfer
		WHERE CASE p.account
			WHEN t.debit THEN p.amount = -t.amount AND p.number = t.debit_number AND p.balance = t.debit_balance
			WHEN t.credit THEN p.amount = t.amount AND p.number = t.credit_number AND p.balance = t.credit_balance
		END IS NOT TRUE`, []any{&account, &number, &transfer}, func() string {
		return fmt.Sprintf("Posting of transfer %d, number %d of account %q: it is not what its transfer says.", transfer, number, account)
	})
}

// examineTransfers: every transfer has both its postings, and no third.
func (a *auditor) examineTransfers() error {
	var id string
	return a.faultRows(`SELECT t.id FROM shuama.transfer AS t LEFT JOIN shuama.posting AS p ON p.transfer = t.no
		GROUP BY t.no, t.id, t.amount
		HAVING count(p.transfer) <> 2 OR min(p.amount) IS DISTINCT FROM -t.amount OR max(p.amount) IS DISTINCT FROM t.amount`,
		[]any{&id}, func() string {
			return fmt.Sprintf("Transfer %q: its two postings are not there with minus and plus its amount.", id)
		})
}
