package store

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/role/payment"
)

// auditor collects what is found in one snapshot.
type auditor struct {
	*payment.Auditor
	book  *book
	noted map[int64]numbering // of postings, by account
}

// Audit implements payment.Store. It believes nothing that the tables promise: it reads every row of the
// tables themselves, past their indexes, and counts again. Time and temporary space grow with the file;
// memory grows with the accounts alone. While it runs, the log grows and is not cut.
func (s *PaymentStore) Audit(ctx context.Context) (report payment.AuditReport, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		report, err = audit(conn)
		return err
	})
	if err != nil {
		return payment.AuditReport{}, away(fmt.Errorf("store: audit: %w", err))
	}
	return report, nil
}

func audit(conn *sqlite.Conn) (payment.AuditReport, error) {
	b, gone := openBook(conn)
	if gone != nil && !errors.Is(gone, errCountsGone) {
		return payment.AuditReport{}, gone
	}
	departures, err := underWay(conn)
	if err != nil {
		return payment.AuditReport{}, err
	}
	a := &auditor{payment.NewAuditor([][]payment.Departure{departures}), b, make(map[int64]numbering)}
	if gone != nil {
		a.Fault("The counts of the books are gone.")
	}
	return a.audit()
}

func (a *auditor) audit() (payment.AuditReport, error) {
	for _, examine := range []func() error{
		a.examineFile, a.examineSchema, a.examineLast, a.examineAbout, a.examineCounts, a.examinePosted,
		func() error { return a.Bucket(a.shelves()) },
	} {
		if err := examine(); err != nil {
			return payment.AuditReport{}, err
		}
	}
	return a.Report(), nil
}

func (a *auditor) rows(query string, row func(*sqlite.Stmt) error) error {
	return rows(a.book.conn, query, row)
}

// rows runs a query, and row for each row. It is not kept prepared.
func rows(conn *sqlite.Conn, query string, row func(*sqlite.Stmt) error) error {
	stmt, _, err := conn.PrepareTransient(query)
	if err != nil {
		return err
	}
	defer stmt.Finalize()
	return rowsOf(stmt, struct{}{}, func(stmt *sqlite.Stmt, _ struct{}) error { return row(stmt) })
}

// examineFile asks SQLite whether the pages, indexes and constraints hold together.
func (a *auditor) examineFile() error {
	err := a.rows("PRAGMA integrity_check", func(stmt *sqlite.Stmt) error {
		if found := stmt.ColumnText(0); found != "ok" {
			a.Fault("The file is damaged: %s.", found)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.rows("PRAGMA foreign_key_check", func(stmt *sqlite.Stmt) error {
		a.Fault("A row of %s (rowid %d) names a row of %s that does not exist.", stmt.ColumnText(0), stmt.ColumnInt64(1), stmt.ColumnText(2))
		return nil
	})
}

// examineLast: the newest transfer of an account is its last posting.
func (a *auditor) examineLast() error {
	return a.rows(`SELECT a.id FROM account AS a NOT INDEXED LEFT JOIN transfer AS t ON t.no = a.last WHERE CASE WHEN a.last IS NULL THEN a.postings <> 0
		ELSE CASE a.no WHEN t.debit THEN t.debit_posting WHEN t.credit THEN t.credit_posting END IS NOT a.postings END`, func(stmt *sqlite.Stmt) error {
		a.Fault("Account %q: what it calls its newest transfer is not its last posting.", stmt.ColumnText(0))
		return nil
	})
}

// examineAbout: what a document is about was settled.
func (a *auditor) examineAbout() error {
	return a.rows("SELECT key FROM document AS d NOT INDEXED LEFT JOIN trade ON trade.id = d.about WHERE d.about IS NOT NULL AND trade.id IS NULL", func(stmt *sqlite.Stmt) error {
		a.Fault("Document %q: it is about a trade that does not exist.", stmt.ColumnText(0))
		return nil
	})
}

// examineCounts: notices are there until they are taken, and none but those that were given a number.
func (a *auditor) examineCounts() error {
	return a.rows(`SELECT next_posted - 1 - taken_posted, count(seq), count(iif(seq BETWEEN taken_posted + 1 AND next_posted - 1, 1, NULL))
		FROM book LEFT JOIN posted NOT INDEXED GROUP BY one`, func(stmt *sqlite.Stmt) error {
		if waiting, there := stmt.ColumnInt64(0), stmt.ColumnInt64(1); waiting != there || there != stmt.ColumnInt64(2) {
			a.Fault("%d notices are there, and %d were not taken.", there, waiting)
		}
		return nil
	})
}

// examinePosted: a notice can be read, and the trades that it tells of were settled.
func (a *auditor) examinePosted() error {
	err := a.rows("SELECT seq FROM posted NOT INDEXED WHERE (trades IS NULL) = (notices IS NULL) OR NOT json_valid(ifnull(trades, notices))", func(stmt *sqlite.Stmt) error {
		a.Fault("Notice %d: it cannot be read.", stmt.ColumnInt64(0))
		return nil
	})
	if err != nil {
		return err
	}
	return a.rows(`SELECT seq, told.value FROM posted NOT INDEXED, json_each(iif(json_valid(trades), trades, '[]')) AS told
		LEFT JOIN trade ON trade.id = told.value WHERE trade.id IS NULL`, func(stmt *sqlite.Stmt) error {
		a.Fault("Notice %d: it tells of trade %d, which does not exist.", stmt.ColumnInt64(0), stmt.ColumnInt64(1))
		return nil
	})
}
