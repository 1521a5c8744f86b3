package store

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

func openHere(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(path)
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
	db := openHere(t, filepath.Join(t.TempDir(), "books.sqlite"))
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
	db := openHere(t, filepath.Join(t.TempDir(), "books.sqlite"))
	const open = "INSERT INTO account (id, balance, floor, postings) VALUES ('x', 0, 0, 0)"
	for name, fn := range map[string]func(*sqlite.Conn) error{
		"an error": func(conn *sqlite.Conn) error { return errors.Join(step(conn, open), errOurs) },
		"an error overlooked": func(conn *sqlite.Conn) error {
			_ = errors.Join(step(conn, open), step(conn, "INSERT OR ROLLBACK INTO account SELECT * FROM account"))
			return nil
		},
		"a rollback": func(conn *sqlite.Conn) error { return step(conn, "ROLLBACK") },
		"a dangling reference": func(conn *sqlite.Conn) error {
			return errors.Join(step(conn, "PRAGMA defer_foreign_keys = ON"), step(conn, "INSERT INTO merchant_aside VALUES (77, 'x')"))
		},
		"a refusal overlooked": func(conn *sqlite.Conn) error {
			_ = errors.Join(step(conn, open), step(conn, "UPDATE account SET balance = 5"))
			return nil
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

// Who waits in vain for another program is told that the books do not answer, and has written nothing.
func TestPatienceEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.sqlite")
	db := openHere(t, path)
	other, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := execute(other, "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	conn := <-db.writer
	conn.SetBusyTimeout(time.Millisecond)
	db.writer <- conn
	if err := storetest.Furnish(t.Context(), db.Payment()); !errors.Is(err, payment.ErrAway) {
		t.Errorf("update: %v", err)
	}
	if _, err := storetest.Sell(t.Context(), db.Payment(), 1); !errors.Is(err, payment.ErrAway) {
		t.Errorf("settle: %v", err)
	}
	if err := execute(other, "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := storetest.Furnish(t.Context(), db.Payment()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Two accounts whose ids lead to one number do not meet: the second one takes the next.
func TestAccountNumbersCollide(t *testing.T) {
	db := openHere(t, filepath.Join(t.TempDir(), "books.sqlite"))
	err := db.write(t.Context(), func(conn *sqlite.Conn) error {
		b, err := openBook(conn)
		if err != nil {
			return err
		}
		return errors.Join(b.openAccount(accountNo(payment.OutsideAccount), ledger.Account{ID: "squatter"}),
			b.openAccount(accountNo(payment.OutsideAccount)+1, ledger.Account{ID: "its neighbour"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	books := db.Payment()
	if err := storetest.Furnish(t.Context(), books); err != nil {
		t.Fatal(err)
	}
	if _, err := storetest.Sell(t.Context(), books, 1, 2, 3); err != nil {
		t.Fatal(err)
	}
	parts, err := books.Balances(t.Context(), payment.OutsideAccount)
	if outside := parts[payment.OutsideAccount][0]; err != nil || outside.ID != payment.OutsideAccount || outside.Balance >= 0 || !outside.Unbounded {
		t.Errorf("%+v, %v", outside, err)
	}
	report, err := books.Audit(t.Context())
	if err != nil || len(report.Faults) != 2 || !strings.Contains(report.Faults[0], "neighbour") || !strings.Contains(report.Faults[1], "squatter") {
		t.Errorf("%q, %v", report.Faults, err)
	}
}
