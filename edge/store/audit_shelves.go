package store

import (
	"iter"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// shelves is every row there is. What is in no order of its numbers is sorted by SQLite, in a temporary file
// where it is much.
func (a *auditor) shelves() payment.Shelves {
	return payment.Shelves{
		Free:      a.book.nextDocument,
		Accounts:  shelf(a, "SELECT "+accountColumns+", no FROM account NOT INDEXED ORDER BY id", a.readAccount),
		Claims:    shelf(a, "SELECT no, scope, digest, id FROM claim NOT INDEXED ORDER BY id", a.readClaim),
		Trades:    shelf(a, "SELECT "+tradeColumns+" FROM trade NOT INDEXED ORDER BY id", a.readTrade),
		Codes:     shelf(a, "SELECT code, trade FROM used_code NOT INDEXED ORDER BY trade", a.readCode),
		Documents: shelf(a, "SELECT "+documentColumns+" FROM document NOT INDEXED ORDER BY id", readDocument),
		Transfers: shelf(a, `SELECT t.no, ifnull(d.id, 'number ' || t.debit), ifnull(c.id, 'number ' || t.credit), t.amount, t.code, t.day, t.at,
			debit, debit_posting, credit, credit_posting FROM transfer AS t NOT INDEXED LEFT JOIN account AS d ON d.no = t.debit LEFT JOIN account AS c ON c.no = t.credit ORDER BY t.no`, a.readTransfer),
	}
}

// shelf is the rows of a query, each read when it is asked for.
func shelf[T any](a *auditor, query string, read func(*sqlite.Stmt) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		stmt, _, err := a.book.conn.PrepareTransient(query)
		if err != nil {
			yield(none, err)
			return
		}
		defer stmt.Finalize()
		for {
			found, err := stmt.Step()
			if err != nil {
				yield(none, err)
				return
			}
			if !found || !yield(read(stmt), nil) {
				return
			}
		}
	}
}

// readTransfer also notes which postings of its accounts it is.
func (a *auditor) readTransfer(stmt *sqlite.Stmt) ledger.Transfer {
	for _, column := range []int{7, 9} {
		no, number := stmt.ColumnInt64(column), stmt.ColumnInt64(column+1)
		noted := a.noted[no]
		a.noted[no] = numbering{noted.count + 1, noted.sum + uint64(number), noted.squares + uint64(number)*uint64(number)}
	}
	return readTransfer(stmt)
}

// numbering is numbers in any order: those from 1 to count, each once, have these sums.
type numbering struct{ count, sum, squares uint64 }

func (n numbering) complete() bool {
	var sum, squares uint64
	for i := uint64(1); i <= n.count; i++ {
		sum, squares = sum+i, squares+i*i
	}
	return n.sum == sum && n.squares == squares
}

// readAccount also sees whether the account is found where it is looked for, and its postings are numbered one
// by one: transfers were read before it.
func (a *auditor) readAccount(stmt *sqlite.Stmt) ledger.Account {
	account, no := readAccount(stmt), stmt.ColumnInt64(4)
	if !a.noted[no].complete() {
		a.Fault("Account %q: its postings are not numbered from 1, one by one.", account.ID)
	}
	if no == accountNo(account.ID) {
		return account
	}
	if _, found, exists, err := a.book.findAccount(account.ID); err != nil || !exists || found != no {
		a.Fault("Account %q: it has a number where nobody looks for it.", account.ID)
	}
	return account
}

func (a *auditor) readClaim(stmt *sqlite.Stmt) payment.Claim {
	claim := payment.Claim{Number: payment.Number{No: stmt.ColumnText(0), Scope: stmt.ColumnText(1)}, ID: ledger.DocumentID(stmt.ColumnInt64(3))}
	if size := stmt.ColumnLen(2); size != len(claim.Digest) {
		a.Fault("Number %q of %q: its digest is %d bytes.", claim.Number.No, claim.Number.Scope, size)
	}
	stmt.ColumnBytes(2, claim.Digest[:])
	return claim
}

func (a *auditor) readTrade(stmt *sqlite.Stmt) payment.StoredTrade {
	trade := readTrade(stmt)
	if size := stmt.ColumnLen(9); size%len(ridecode.ID{}) != 0 {
		a.Fault("Trade %q of app %q: its codes are %d bytes.", trade.Key.OutTradeNo, trade.Key.App, size)
	}
	return trade
}

func (a *auditor) readCode(stmt *sqlite.Stmt) payment.UsedCode {
	code := payment.UsedCode{Trade: ledger.DocumentID(stmt.ColumnInt64(1))}
	if size := stmt.ColumnLen(0); size != len(code.Code) {
		a.Fault("A code that was used up by document %d is %d bytes.", code.Trade, size)
	}
	stmt.ColumnBytes(0, code.Code[:])
	return code
}
