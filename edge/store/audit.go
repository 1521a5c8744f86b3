package store

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/role/payment"
)

// faultsMax bounds what an audit lists; a file that was overwritten has a fault in every row.
const faultsMax = 1000

// auditor collects what is found in one snapshot.
type auditor struct {
	conn   *sqlite.Conn
	report payment.AuditReport
	more   int // faults that are not listed
}

// Audit implements payment.Store. It believes nothing that the tables promise: it reads every row and
// counts again. Time and temporary space grow with the file.
func (s *PaymentStore) Audit(ctx context.Context) (payment.AuditReport, error) {
	var a auditor
	err := s.db.read(ctx, func(conn *sqlite.Conn) error {
		a.conn = conn
		return a.audit()
	})
	if err != nil {
		return payment.AuditReport{}, fmt.Errorf("store: audit: %w", err)
	}
	if a.more > 0 {
		a.report.Faults = append(a.report.Faults, fmt.Sprintf("There are %d more faults.", a.more))
	}
	return a.report, nil
}

func (a *auditor) audit() error {
	for _, examine := range []func() error{
		a.countRows, a.examineFile, a.examineSchema,
		a.examineAccounts, a.examineLegs, a.examineTransfers,
		a.examineTrades, a.examineContents, a.examineCodes, a.examineTopUps,
	} {
		if err := examine(); err != nil {
			return err
		}
	}
	return nil
}

func (a *auditor) fault(format string, args ...any) {
	if len(a.report.Faults) == faultsMax {
		a.more++
		return
	}
	a.report.Faults = append(a.report.Faults, fmt.Sprintf(format, args...))
}

// faultRows runs a query that finds only what is wrong, and words each row.
func (a *auditor) faultRows(query string, word func(*sqlite.Stmt) string) error {
	return a.rows(query, func(stmt *sqlite.Stmt) error {
		a.fault("%s", word(stmt))
		return nil
	})
}

func (a *auditor) rows(query string, row func(*sqlite.Stmt) error) error {
	return each(a.conn, query, []struct{}{{}}, func(*sqlite.Stmt, struct{}) {},
		func(stmt *sqlite.Stmt, _ struct{}) error { return row(stmt) })
}

func (a *auditor) countRows() error {
	return a.rows(`SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM transfer), (SELECT count(*) FROM posting),
		(SELECT count(*) FROM trade), (SELECT count(*) FROM used_code)`, func(stmt *sqlite.Stmt) error {
		a.report.Accounts, a.report.Transfers, a.report.Postings = stmt.ColumnInt(0), stmt.ColumnInt(1), stmt.ColumnInt(2)
		a.report.Trades, a.report.Codes = stmt.ColumnInt(3), stmt.ColumnInt(4)
		return nil
	})
}

// examineFile asks SQLite whether the pages, indexes and constraints hold together.
func (a *auditor) examineFile() error {
	err := a.rows("PRAGMA integrity_check", func(stmt *sqlite.Stmt) error {
		if found := stmt.ColumnText(0); found != "ok" {
			a.fault("The file is damaged: %s.", found)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.faultRows("PRAGMA foreign_key_check", func(stmt *sqlite.Stmt) string {
		return fmt.Sprintf("A row of %s (rowid %d) names a row of %s that does not exist.",
			stmt.ColumnText(0), stmt.ColumnInt64(1), stmt.ColumnText(2))
	})
}

// examineSchema compares the tables and triggers with those of a new file: whoever wants to change
// what is append-only has to remove a trigger first.
func (a *auditor) examineSchema() error {
	wanted, err := newSchema()
	if err != nil {
		return err
	}
	found, err := schemaOf(a.conn)
	if err != nil {
		return err
	}
	for _, object := range wanted {
		switch sql, exists := found.find(object.name); {
		case !exists:
			a.fault("The %s %s is missing.", object.kind, object.name)
		case sql != object.sql:
			a.fault("The %s %s is not as it was made.", object.kind, object.name)
		}
	}
	for _, object := range found {
		if _, known := wanted.find(object.name); !known && object.kind == "trigger" {
			a.fault("The trigger %s is not ours.", object.name)
		}
	}
	return nil
}

// schemaObject is a table, index or trigger.
type schemaObject struct{ kind, name, sql string }

type schemaObjects []schemaObject

func (o schemaObjects) find(name string) (sql string, exists bool) {
	for _, object := range o {
		if object.name == name {
			return object.sql, true
		}
	}
	return "", false
}

func newSchema() (objects schemaObjects, err error) {
	conn, err := sqlite.OpenConn(":memory:", sqlite.OpenReadWrite|sqlite.OpenMemory)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := migrate(conn); err != nil {
		return nil, err
	}
	return schemaOf(conn)
}

func schemaOf(conn *sqlite.Conn) (objects schemaObjects, err error) {
	a := auditor{conn: conn}
	err = a.rows("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name",
		func(stmt *sqlite.Stmt) error {
			objects = append(objects, schemaObject{kind: stmt.ColumnText(0), name: stmt.ColumnText(1), sql: stmt.ColumnText(2)})
			return nil
		})
	return objects, err
}
