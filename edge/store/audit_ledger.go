package store

import (
	"fmt"
	"math/big"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
)

// tally is what an account's postings say, counted anew.
type tally struct {
	account ledger.Account // as its row says
	last    int64          // posting, as its row says; 0 for none
	sum     money.Fen
	number  int64
	newest  int64 // posting
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
	err = a.rows("SELECT no, id, balance, floor, unbounded, postings, last FROM account ORDER BY id", func(stmt *sqlite.Stmt) error {
		account := ledger.Account{ID: ledger.AccountID(stmt.ColumnText(1)), Balance: money.Fen(stmt.ColumnInt64(2)),
			Floor: money.Fen(stmt.ColumnInt64(3)), Unbounded: stmt.ColumnBool(4), Postings: stmt.ColumnInt64(5)}
		a.report.Balances = append(a.report.Balances, account)
		t := &tally{account: account, last: stmt.ColumnInt64(6)}
		tallies, byNo[stmt.ColumnInt64(0)] = append(tallies, t), t
		return nil
	})
	return tallies, byNo, err
}

// countPostings runs through the postings of one account after the other. The total is exact however
// large: sums that wrap could cancel a theft out.
func (a *auditor) countPostings(byNo map[int64]*tally) (*big.Int, error) {
	total, amount := new(big.Int), new(big.Int)
	err := a.rows("SELECT no, account, number, amount, balance, previous FROM posting ORDER BY account, number, no", func(stmt *sqlite.Stmt) error {
		total.Add(total, amount.SetInt64(stmt.ColumnInt64(3)))
		t := byNo[stmt.ColumnInt64(1)]
		if t == nil {
			a.fault("Posting %d stands in account number %d, which does not exist.", stmt.ColumnInt64(0), stmt.ColumnInt64(1))
			return nil
		}
		a.countPosting(t, stmt)
		return nil
	})
	return total, err
}

func (a *auditor) countPosting(t *tally, stmt *sqlite.Stmt) {
	number, balance := stmt.ColumnInt64(2), money.Fen(stmt.ColumnInt64(4))
	sum, err := t.sum.Add(money.Fen(stmt.ColumnInt64(3)))
	if err != nil {
		a.fault("Account %q: posting %d makes a balance that does not fit.", t.account.ID, number)
	}
	if number != t.number+1 {
		a.fault("Account %q: posting %d follows posting %d.", t.account.ID, number, t.number)
	}
	if balance != sum {
		a.fault("Account %q: posting %d says a balance of %d fen after it, and its postings sum to %d fen.", t.account.ID, number, balance, sum)
	}
	if stmt.ColumnInt64(5) != t.newest {
		a.fault("Account %q: posting %d does not lead back to the one before it.", t.account.ID, number)
	}
	t.sum, t.number, t.newest = sum, number, stmt.ColumnInt64(0)
}

func (a *auditor) examineAccount(t *tally) {
	account := t.account
	if account.Balance != t.sum {
		a.fault("Account %q: its balance is %d fen, and its postings sum to %d fen.", account.ID, account.Balance, t.sum)
	}
	if account.Postings != t.number {
		a.fault("Account %q: it counts %d postings, and the last one is number %d.", account.ID, account.Postings, t.number)
	}
	if t.last != t.newest {
		a.fault("Account %q: its row does not lead to its last posting.", account.ID)
	}
	if !account.Unbounded && account.Balance < account.Floor {
		a.fault("Account %q: its balance of %d fen is below its floor of %d fen.", account.ID, account.Balance, account.Floor)
	}
}

// examineLegs: every posting is of a transfer, and says what the transfer says of it.
func (a *auditor) examineLegs() error {
	return a.faultRows(`SELECT p.no, account.id, p.number FROM posting AS p
		LEFT JOIN account ON account.no = p.account LEFT JOIN transfer AS t ON t.no = p.transfer
		WHERE CASE p.no % 2
			WHEN 1 THEN p.account = t.debit AND p.amount = -t.amount AND p.number = t.debit_number AND p.balance = t.debit_balance
			ELSE p.account = t.credit AND p.amount = t.amount AND p.number = t.credit_number AND p.balance = t.credit_balance
		END IS NOT 1`, func(stmt *sqlite.Stmt) string {
		return fmt.Sprintf("Posting %d, number %d of account %q: it is not what its transfer says.",
			stmt.ColumnInt64(0), stmt.ColumnInt64(2), stmt.ColumnText(1))
	})
}

// examineTransfers: every transfer has both its postings. There is no room for a third.
func (a *auditor) examineTransfers() error {
	return a.faultRows(`SELECT t.id FROM transfer AS t
		LEFT JOIN posting AS d ON d.no = 2 * t.no - 1 LEFT JOIN posting AS c ON c.no = 2 * t.no
		WHERE d.amount IS NOT -t.amount OR c.amount IS NOT t.amount`, func(stmt *sqlite.Stmt) string {
		return fmt.Sprintf("Transfer %q: its two postings are not there with minus and plus its amount.", stmt.ColumnText(0))
	})
}
