package store

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
)

func openHere(t *testing.T) *DB {
	t.Helper()
	db, err := Open(filepath.Join(t.TempDir(), "books.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// A killed process does not show what a power cut would: that every connection synchronises, and
// minds the references, is seen here.
func TestEveryConnectionIsConfigured(t *testing.T) {
	db := openHere(t)
	check := func(wantQueryOnly int64) func(*sqlite.Conn) error {
		return func(conn *sqlite.Conn) error {
			want := map[string]int64{"synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1, "fullfsync": 1,
				"checkpoint_fullfsync": 1, "trusted_schema": 0, "query_only": wantQueryOnly, "application_id": applicationID,
				"user_version": int64(len(migrations()))}
			for pragma, value := range want {
				if got, err := queryInt(conn, "PRAGMA "+pragma); err != nil || got != value {
					t.Errorf("%s = %d, %v; want %d", pragma, got, err, value)
				}
			}
			return nil
		}
	}
	if err := errors.Join(db.write(t.Context(), check(0)), db.read(t.Context(), check(1))); err != nil {
		t.Fatal(err)
	}
}

var errOurs = errors.New("ours")

// Whatever fn leaves behind, the next transaction starts clean.
func TestTransactionsEnd(t *testing.T) {
	db := openHere(t)
	const open = "INSERT INTO account (id, balance, floor, unbounded, postings) VALUES ('x', 0, 0, 0, 0)"
	for name, fn := range map[string]func(*sqlite.Conn) error{
		"an error": func(conn *sqlite.Conn) error { return errors.Join(step(conn, open), errOurs) },
		"an error overlooked": func(conn *sqlite.Conn) error {
			_ = errors.Join(step(conn, open), step(conn, "INSERT OR ROLLBACK INTO account SELECT * FROM account"))
			return nil
		},
		"a rollback": func(conn *sqlite.Conn) error { return step(conn, "ROLLBACK") },
		"a dangling reference": func(conn *sqlite.Conn) error {
			return step(conn, "INSERT INTO used_code VALUES (zeroblob(32), 77, 0)")
		},
		"a query in the middle": func(conn *sqlite.Conn) error {
			stmt, err := conn.Prepare("SELECT name FROM sqlite_schema")
			if err == nil {
				_, err = stmt.Step()
			}
			return errors.Join(err, errOurs)
		},
	} {
		for way, transaction := range map[string]func(context.Context, func(*sqlite.Conn) error) error{"write": db.write, "read": db.read} {
			err := transaction(t.Context(), fn)
			if err == nil && way == "write" {
				t.Errorf("%s in a %s was acknowledged", name, way)
			}
		}
	}
	err := db.write(t.Context(), func(conn *sqlite.Conn) error {
		if count, err := queryInt(conn, "SELECT count(*) FROM account"); err != nil || count != 0 {
			t.Errorf("%d rows are left, %v", count, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	db := openHere(t)
	err := db.write(t.Context(), func(conn *sqlite.Conn) error {
		return errors.Join(
			step(conn, "INSERT INTO account (id, balance, floor, unbounded, postings) VALUES ('outside', 0, 0, 1, 0)"),
			step(conn, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
				INSERT INTO top_up (id, account, amount, at) SELECT 'order ' || i, 1, 1, 0 FROM n`))
	})
	if err != nil {
		t.Fatal(err)
	}
	report, err := db.Payment().Audit(t.Context())
	if err != nil || len(report.Faults) != faultsMax+1 || !strings.HasPrefix(report.Faults[faultsMax], "There are 500 more") {
		t.Errorf("%d faults, %v", len(report.Faults), err)
	}
}
