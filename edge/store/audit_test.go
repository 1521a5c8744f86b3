package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/role/payment/storetest"
)

// soldBooks makes a closed file with a few sales in it: transfers 1 to 17 are top-ups, 18 to 23 are
// the sales 0 to 5, whose users are the accounts of the same numbers.
func soldBooks(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "books.sqlite")
	db := open(t, path)
	if err := storetest.Furnish(t.Context(), db.Payment()); err != nil {
		t.Fatal(err)
	}
	if err := storetest.Sell(t.Context(), db.Payment(), 0, 1, 2, 3, 4, 5); err != nil {
		t.Fatal(err)
	}
	auditClean(t, db.Payment())
	closeAll(t, db)
	return path
}

const (
	someUser = "(SELECT no FROM account WHERE id = 'user:2088000000000002')"
	someRide = "(SELECT no FROM transfer WHERE reference LIKE '%2' AND code = 2)"
	aTopUp   = "(SELECT no FROM transfer WHERE id = 'topup:first-2')"
)

// Each line is what somebody with a screwdriver does, and what the audit says of it.
var corruptions = []struct{ sql, fault string }{
	{"UPDATE posting SET amount = amount + 1 WHERE no = 2 * " + someRide, "The sum of all postings is 1 fen and not 0."},
	{"UPDATE posting SET amount = amount + 1 WHERE no = 2 * " + someRide, `Transfer "ride:2026080600000000000000000002": its two postings are not there`},
	{"UPDATE posting SET amount = amount - 1 WHERE no = 2 * " + someRide + " - 1", `number 2 of account "user:2088000000000002": it is not what its transfer says.`},
	{"UPDATE posting SET amount = 9223372036854775807 WHERE no = 2 * " + someRide, `posting 3 makes a balance that does not fit.`},
	{"UPDATE posting SET balance = balance + 1 WHERE no = 2 * " + someRide, `Account "merchant:metro": posting 3 says a balance of 601 fen after it, and its postings sum to 600 fen.`},
	{"UPDATE posting SET number = 9 WHERE no = 2 * " + someRide, `Account "merchant:metro": posting 4 follows posting 2.`},
	{"UPDATE posting SET previous = 1 WHERE no = 2 * " + someRide, `Account "merchant:metro": posting 3 does not lead back to the one before it.`},
	{"UPDATE posting SET account = 999 WHERE no = 2 * " + someRide, "stands in account number 999, which does not exist."},
	{"UPDATE posting SET account = " + someUser + " WHERE no = 2 * " + someRide, "it is not what its transfer says."},
	{"DELETE FROM posting WHERE no = 2 * " + someRide, `Transfer "ride:2026080600000000000000000002": its two postings are not there with minus and plus its amount.`},
	{"INSERT INTO posting (no, account, number, amount, balance) VALUES (999, 1, 99, 1, 1)", "Posting 999, number 99 of account \"outside\": it is not what its transfer says."},
	{"UPDATE transfer SET amount = amount + 1 WHERE no = " + someRide, `Transfer "ride:2026080600000000000000000002": its two postings are not there`},
	{"UPDATE transfer SET amount = amount + 1 WHERE no = " + someRide, `Trade "order-2" of app "2021000000000001": its amount is 200 fen paid by USER, and its transfers move 201 fen from the user, 0 fen from the guarantee and 0 fen of debt.`},
	{"UPDATE transfer SET credit = " + someUser + " WHERE no = " + someRide, "it is not what its transfer says."},
	{"UPDATE transfer SET reference = '' WHERE no = " + someRide, `Trade "order-2" of app "2021000000000001": its amount is 200 fen paid by USER, and its transfers move 0 fen`},
	{"UPDATE transfer SET reference = '' WHERE no = " + someRide, `Transfer "ride:2026080600000000000000000002": the trade that it is for does not exist.`},
	{"UPDATE transfer SET code = 3 WHERE no = " + someRide, "and its transfers move 0 fen from the user, 200 fen from the guarantee and 0 fen of debt."},
	{"UPDATE transfer SET reference = '' WHERE no = " + aTopUp, `Top-up "first-2": it has not exactly one transfer, of its amount to its account.`},
	{"UPDATE transfer SET reference = '' WHERE no = " + aTopUp, `Transfer "topup:first-2": the top-up that it is for does not exist.`},
	{"DELETE FROM transfer WHERE no = " + someRide, `Trade "order-2" of app "2021000000000001": its amount is 200 fen`},
	{"DELETE FROM transfer WHERE no = " + someRide, `number 2 of account "user:2088000000000002": it is not what its transfer says.`},
	{"UPDATE account SET balance = balance + 1 WHERE no = " + someUser, `Account "user:2088000000000002": its balance is 999801 fen, and its postings sum to 999800 fen.`},
	{"UPDATE account SET postings = postings + 1 WHERE no = " + someUser, `Account "user:2088000000000002": it counts 3 postings, and the last one is number 2.`},
	{"UPDATE account SET last = 1 WHERE no = " + someUser, `Account "user:2088000000000002": its row does not lead to its last posting.`},
	{"UPDATE account SET floor = balance + 1 WHERE no = " + someUser, `Account "user:2088000000000002": its balance of 999800 fen is below its floor of 999801 fen.`},
	{"UPDATE account SET floor = balance + 1 WHERE no = " + someUser, "The file is damaged: CHECK constraint failed in account."},
	{"DELETE FROM account WHERE no = " + someUser, "which does not exist."},
	{"UPDATE trade SET amount = amount + 1 WHERE out_trade_no = 'order-2'", `Trade "order-2" of app "2021000000000001": its amount is 201 fen`},
	{"UPDATE trade SET payer = 'GUARANTEE' WHERE out_trade_no = 'order-2'", `its amount is 200 fen paid by GUARANTEE, and its transfers move 200 fen from the user`},
	{"UPDATE trade SET subject = 'x' WHERE out_trade_no = 'order-2'", `Trade "order-2" of app "2021000000000001": its content is not what its digest was made of.`},
	{"UPDATE trade SET records = x'00000002aa' WHERE out_trade_no = 'order-2'", `Trade "order-2" of app "2021000000000001": its content is not what its digest was made of.`},
	{"UPDATE trade SET digest = zeroblob(32) WHERE out_trade_no = 'order-2'", `Trade "order-2" of app "2021000000000001": its content is not what its digest was made of.`},
	{"UPDATE trade SET out_trade_no = 'order-9' WHERE out_trade_no = 'order-2'", `Trade "order-9" of app "2021000000000001": its content is not what its digest was made of.`},
	{"UPDATE trade SET trade_no = replace(trade_no, '2026', '2027') WHERE out_trade_no = 'order-2'", `Transfer "ride:2026080600000000000000000002": the trade that it is for does not exist.`},
	{"DELETE FROM trade WHERE out_trade_no = 'order-2'", `Transfer "ride:2026080600000000000000000002": the trade that it is for does not exist.`},
	{"DELETE FROM trade WHERE out_trade_no = 'order-2'", "A row of used_code (rowid 0) names a row of trade that does not exist."},
	{"DELETE FROM used_code WHERE trade = 3", `Trade "order-2" of app "2021000000000001": not all of its codes are there, but 0.`},
	{"UPDATE used_code SET place = 1 WHERE trade = 3", `Trade "order-2" of app "2021000000000001": not all of its codes are there, but 1.`},
	{`CREATE TABLE copy AS SELECT * FROM used_code; INSERT INTO copy SELECT code, 1, 1 FROM used_code WHERE trade = 3;
		DROP TABLE used_code; ALTER TABLE copy RENAME TO used_code`, "it has paid for 2 trades."},
	{"DELETE FROM top_up WHERE id = 'first-2'", `Transfer "topup:first-2": the top-up that it is for does not exist.`},
	{"UPDATE top_up SET amount = amount + 1 WHERE id = 'first-2'", `Top-up "first-2": it has not exactly one transfer, of its amount to its account.`},
	{"UPDATE top_up SET account = 1 WHERE id = 'first-2'", `Top-up "first-2": it has not exactly one transfer, of its amount to its account.`},
	{"INSERT INTO top_up VALUES ('never', 1, 5, 0)", `Top-up "never": it has not exactly one transfer, of its amount to its account.`},
	{"CREATE TRIGGER leak AFTER INSERT ON transfer BEGIN DELETE FROM used_code; END", "The trigger leak is not ours."},
	{"ALTER TABLE trade ADD COLUMN note TEXT", "The table trade is not as it was made."},
}

func TestAuditFindsCorruption(t *testing.T) {
	for _, corruption := range corruptions {
		t.Run("", func(t *testing.T) {
			path := soldBooks(t)
			conn := raw(t, path)
			without(t, conn, corruption.sql)
			closeAll(t, conn)
			faults := auditFaults(t, path)
			if !strings.Contains(strings.Join(faults, "\n"), corruption.fault) {
				t.Errorf("%s\nwant %s\ngot\n%s", corruption.sql, corruption.fault, strings.Join(faults, "\n"))
			}
		})
	}
}

// without runs sql with everything that forbids it out of the way, and puts the triggers back, so that
// only what sql did is left to find.
func without(t *testing.T, conn *sqlite.Conn, sql string) {
	t.Helper()
	script(t, conn, "PRAGMA ignore_check_constraints = ON")
	triggers := dropTriggers(t, conn)
	script(t, conn, sql)
	for _, trigger := range triggers {
		script(t, conn, trigger)
	}
}

func dropTriggers(t *testing.T, conn *sqlite.Conn) (triggers []string) {
	t.Helper()
	var drop strings.Builder
	err := sqlitex.ExecuteTransient(conn, "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name IN "+
		"('account', 'transfer', 'posting', 'trade', 'used_code', 'top_up')", &sqlitex.ExecOptions{
		ResultFunc: func(stmt *sqlite.Stmt) error {
			drop.WriteString("DROP TRIGGER " + stmt.ColumnText(0) + ";")
			triggers = append(triggers, stmt.ColumnText(1))
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	script(t, conn, drop.String())
	return triggers
}

func auditFaults(t *testing.T, path string) []string {
	t.Helper()
	db := open(t, path)
	defer closeAll(t, db)
	report, err := db.Payment().Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report.Faults
}

// Without taking triggers away, the same hands get nothing done.
func TestTablesDefendThemselves(t *testing.T) {
	path := soldBooks(t)
	conn := raw(t, path)
	for _, pragma := range []string{"PRAGMA foreign_keys = ON", "PRAGMA recursive_triggers = ON"} {
		if err := sqlitex.ExecuteTransient(conn, pragma, nil); err != nil { // a script is a transaction: too late there
			t.Fatal(err)
		}
	}
	for _, sql := range []string{
		"UPDATE posting SET amount = amount + 1", "DELETE FROM posting", "UPDATE transfer SET amount = amount + 1", "DELETE FROM transfer",
		"UPDATE account SET balance = balance + 1", "UPDATE account SET postings = postings + 1", "UPDATE account SET last = 1",
		"UPDATE account SET floor = -1000000", "UPDATE account SET unbounded = 1", "UPDATE account SET id = id || 'x'", "DELETE FROM account",
		"UPDATE account SET balance = 1000000, postings = 1, last = 2 * " + aTopUp + " WHERE no = " + someUser, // back to before the ride
		"UPDATE trade SET amount = 1", "DELETE FROM trade", "UPDATE used_code SET trade = 1", "DELETE FROM used_code",
		"UPDATE top_up SET amount = 1", "DELETE FROM top_up",
		"INSERT INTO account (id, balance, floor, unbounded, postings) VALUES ('rich', 5, 0, 0, 0)",
		"INSERT INTO posting (no, account, number, amount, balance, previous) SELECT 999, no, postings + 1, 5, balance + 5, last FROM account WHERE no = 1",
		"INSERT INTO posting (account, number, amount, balance, previous) SELECT no, postings + 1, 5, balance + 5, last FROM account WHERE no = 1",
		"INSERT OR REPLACE INTO posting SELECT no, account, number, amount + 1, balance, previous FROM posting WHERE no = 3",
		"INSERT OR REPLACE INTO used_code SELECT code, 1, 1 FROM used_code WHERE trade = 2",
		"INSERT OR REPLACE INTO account SELECT no, id, 0, -5, unbounded, 0, NULL FROM account WHERE no = " + someUser,
		"INSERT INTO used_code SELECT code, 1, 1 FROM used_code WHERE trade = 2",
		"INSERT INTO used_code VALUES (zeroblob(31), 1, 1)", "INSERT INTO used_code VALUES (zeroblob(32), 999, 0)",
		"INSERT INTO transfer SELECT NULL, 'a copy', debit, credit, amount, code, at, reference, debit_number, debit_balance, credit_number, credit_balance FROM transfer WHERE no = 3",
		"INSERT INTO transfer VALUES (NULL, 'nowhere', 998, 999, 5, 9, 0, '', 1, -5, 1, 5)",
		"INSERT INTO transfer VALUES (NULL, 'to itself', 1, 1, 5, 9, 0, '', 1, -5, 1, 5)",
		"INSERT INTO transfer VALUES (NULL, 'in text', 1, 2, 'five', 9, 0, '', 1, -5, 1, 5)",
	} {
		if err := sqlitex.ExecuteTransient(conn, sql, nil); err == nil {
			t.Errorf("%s: done", sql)
		}
	}
	closeAll(t, conn)
	if faults := auditFaults(t, path); len(faults) > 0 {
		t.Errorf("%q", faults)
	}
}

// A page that the disk lost is found, whichever it is.
func TestLostPages(t *testing.T) {
	const pageSize = 4096
	path := soldBooks(t)
	whole := readFile(t, path)
	for at := 0; at < len(whole); at += pageSize {
		damaged := append([]byte{}, whole...)
		clear(damaged[at : at+pageSize])
		copied := filepath.Join(t.TempDir(), "books.sqlite")
		writeFile(t, copied, damaged)
		if faultsOrError(t, copied) == 0 {
			t.Errorf("page %d is lost, and nothing was found", at/pageSize+1)
		}
		if err := os.Remove(copied); err != nil {
			t.Fatal(err)
		}
	}
}

// faultsOrError counts an error of opening or of the audit as one fault.
func faultsOrError(t *testing.T, path string) int {
	t.Helper()
	db, err := store.Open(path)
	if err != nil {
		return 1
	}
	defer closeAll(t, db)
	report, err := db.Payment().Audit(t.Context())
	if err != nil {
		return 1
	}
	return len(report.Faults)
}
