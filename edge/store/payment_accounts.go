package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
)

// accountNo is where an account is looked for first. It never changes for books that stand. Where another one
// has the number, the next free one is taken; no account is ever removed, so the way there stays.
func accountNo(id ledger.AccountID) int64 {
	sum := sha256.Sum256([]byte(id))
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 2) // so far from the end that there always is a next one
}

// accountColumns is what readAccount reads, in this order.
const accountColumns = "id, balance, floor, postings"

func readAccount(stmt *sqlite.Stmt) ledger.Account {
	return ledger.Account{ID: ledger.AccountID(stmt.ColumnText(0)), Balance: money.Fen(stmt.ColumnInt64(1)), Floor: money.Fen(stmt.ColumnInt64(2)),
		Unbounded: stmt.ColumnIsNull(2), Postings: stmt.ColumnInt64(3)}
}

// findAccount looks for an account; where it does not exist, no is the number that it would get.
func (b *book) findAccount(id ledger.AccountID) (account ledger.Account, no int64, exists bool, err error) {
	stmt, err := b.conn.Prepare("SELECT " + accountColumns + " FROM account WHERE no = ?")
	if err != nil {
		return ledger.Account{}, 0, false, err
	}
	for no = accountNo(id); ; no++ {
		stmt.BindInt64(1, no)
		taken, err := stmt.Step()
		if err != nil || !taken {
			return ledger.Account{}, no, false, err
		}
		account = readAccount(stmt)
		if err := stmt.Reset(); err != nil || account.ID == id {
			return account, no, true, err
		}
	}
}

// accountRow is where an account stands, and how many postings it has by now.
type accountRow struct{ no, postings int64 }

func (b *book) loadAccounts(ids []ledger.AccountID, into map[ledger.AccountID]ledger.Account) error {
	for _, id := range ids {
		account, no, exists, err := b.findAccount(id)
		if err != nil {
			return err
		}
		if exists {
			into[id], b.rows[id] = account, &accountRow{no, account.Postings}
		}
	}
	return nil
}

// row is that of an account that has to be there.
func (b *book) row(id ledger.AccountID) (*accountRow, error) {
	if row, known := b.rows[id]; known {
		return row, nil
	}
	account, no, exists, err := b.findAccount(id)
	if err == nil && !exists {
		err = fmt.Errorf("%w: account %q does not exist", ErrInconsistent, id)
	}
	b.rows[id] = &accountRow{no, account.Postings}
	return b.rows[id], err
}

func (b *book) openAccounts(opened []ledger.Account) error {
	for _, account := range opened {
		_, no, _, err := b.findAccount(account.ID)
		if err == nil {
			err = b.openAccount(no, account)
		}
		if err != nil {
			return fmt.Errorf("open account %q: %w", account.ID, err)
		}
		b.rows[account.ID] = &accountRow{no: no}
	}
	return nil
}

func (b *book) openAccount(no int64, account ledger.Account) error {
	return insert(b.conn, "INSERT OR ROLLBACK INTO account (no, id, balance, floor, postings) VALUES (?, ?, ?, ?, ?)", []ledger.Account{account},
		func(stmt *sqlite.Stmt, account ledger.Account) {
			stmt.BindInt64(1, no)
			stmt.BindText(2, string(account.ID))
			stmt.BindInt64(3, int64(account.Balance))
			bindFloor(stmt, 4, account)
			stmt.BindInt64(5, account.Postings)
		})
}

func bindFloor(stmt *sqlite.Stmt, param int, account ledger.Account) {
	if account.Unbounded {
		stmt.BindNull(param)
		return
	}
	stmt.BindInt64(param, int64(account.Floor))
}

func (b *book) changeTerms(terms []ledger.Account) error {
	return change(b.conn, "UPDATE OR ROLLBACK account SET floor = ?2 WHERE id = ?1 AND floor IS NOT NULL", terms, func(stmt *sqlite.Stmt, account ledger.Account) {
		stmt.BindText(1, string(account.ID))
		bindFloor(stmt, 2, account)
	})
}
