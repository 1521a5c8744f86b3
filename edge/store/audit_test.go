package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/role/payment/storetest"
)

// soldBooks makes a closed file with a few sales in it: what storetest.Furnish makes, which is document 1,
// and the sales 0 to 5, which are the trades 2 to 7.
func soldBooks(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "books.sqlite")
	db := open(t, path)
	if err := storetest.Furnish(t.Context(), db.Payment()); err != nil {
		t.Fatal(err)
	}
	if _, err := storetest.Sell(t.Context(), db.Payment(), 0, 1, 2, 3, 4, 5); err != nil {
		t.Fatal(err)
	}
	auditClean(t, db.Payment())
	closeAll(t, db)
	return path
}

const (
	theUser  = "id = 'user:2088000000000002'"
	theTrade = "out_trade_no = 'order-2'"
	theClaim = "no = 'order-2'"
	theCode  = "trade = 4"
	theRide  = "no = 4 * 256"
	theFill  = "no = 256 + 2" // of the user
	ofTrade  = `trade "order-2" of app "2021000000000001": `
	unpaid   = ofTrade + "2.00 yuan were paid by USER, and its transfers say something else."
	ofUser   = `Bucket 0, account "user:2088000000000002": it has `
)

// numberOf is the number of an account.
func numberOf(id string) string { return "(SELECT no FROM account WHERE id = '" + id + "')" }

// Each line is what somebody with a screwdriver does, and what the audit says of it.
var corruptions = []struct{ sql, fault string }{
	{"UPDATE transfer SET amount = amount + 1 WHERE " + theRide, unpaid},
	{"UPDATE transfer SET amount = amount + 1 WHERE " + theRide, ofUser + "999999800 fen from 2 postings, and its transfers say 999999799 fen from 2."},
	{"UPDATE transfer SET amount = 9223372036854775807 WHERE " + theRide, `account "merchant:metro": a balance does not fit into an amount.`},
	{"UPDATE transfer SET amount = 'much' WHERE " + theRide, "non-INTEGER value in transfer.amount"},
	{"UPDATE transfer SET credit = 77 WHERE " + theRide, `account "number 77": transfers touch it, and it does not exist.`},
	{"UPDATE transfer SET credit = " + numberOf("guarantee") + " WHERE " + theRide, unpaid},
	{"UPDATE transfer SET debit = " + numberOf("outside") + " WHERE " + theRide, unpaid},
	{"UPDATE transfer SET code = 3 WHERE " + theRide, unpaid},
	{"UPDATE transfer SET at = at + 1 WHERE " + theRide, unpaid},
	{"UPDATE transfer SET day = day + 1 WHERE " + theRide, unpaid},
	{"UPDATE transfer SET no = no + 1 WHERE " + theRide, unpaid},
	{"UPDATE transfer SET no = 999999 * 256 WHERE " + theRide, "number 999999: 0 claims, 0 codes and 1 transfers belong to nothing."},
	{"UPDATE transfer SET no = 999999 * 256 WHERE " + theRide, "number 999999: it is not a number that was given out."},
	{"UPDATE transfer SET no = 5 WHERE " + theRide, "number 0: it is not a number that was given out."},
	{"UPDATE transfer SET no = -no WHERE " + theRide, "number -4: it is not a number that was given out."},
	{"UPDATE transfer SET no = 9223372036854775807 WHERE " + theRide, "it is not a number that was given out."},
	{"DELETE FROM transfer WHERE " + theRide, unpaid},
	{"DELETE FROM transfer WHERE " + theRide, `Account "user:2088000000000002": what it calls its newest transfer is not its last posting.`},
	{"UPDATE transfer SET debit_posting = 3 WHERE " + theRide, `Account "user:2088000000000002": its postings are not numbered from 1, one by one.`},
	{"UPDATE transfer SET debit_posting = 3 - debit_posting WHERE debit = " + numberOf("user:2088000000000002"), `Account "user:2088000000000002": its postings are not numbered from 1, one by one.`},
	{"UPDATE transfer SET credit_posting = credit_posting - 1 WHERE " + theRide, `Account "merchant:metro": its postings are not numbered from 1, one by one.`},
	{"INSERT INTO transfer (no, debit, debit_posting, credit, credit_posting, amount, code, day, at) SELECT no + 1, debit, 3, credit, 7, amount, code, day, at FROM transfer WHERE " + theRide, unpaid},
	{"INSERT INTO transfer (no, debit, debit_posting, credit, credit_posting, amount, code, day, at) SELECT 256 + 200, debit, 17, credit, 3, amount, 9, day, at FROM transfer WHERE " + theFill, `document "first-0": its transfer 16 is none of it.`},
	{"UPDATE transfer SET code = 2 WHERE " + theFill, `document "first-0": its transfer 2 is none of it.`},
	{"UPDATE transfer SET at = at + 1 WHERE " + theFill, `document "first-0": its transfer 2 is none of it.`},
	{"UPDATE transfer SET day = day + 1 WHERE " + theFill, `document "first-0": its transfer 2 is none of it.`},
	{"DELETE FROM transfer WHERE " + theFill, `document "first-0": its transfer 2 is none of it.`},
	{"UPDATE account SET balance = balance + 1 WHERE " + theUser, ofUser + "999999801 fen from 2 postings, and its transfers say 999999800 fen from 2."},
	{"UPDATE account SET balance = balance + 1 WHERE " + theUser, "The sum of all balances is 1 fen and not 0."},
	{"UPDATE account SET balance = 'rich' WHERE " + theUser, "non-INTEGER value in account.balance"},
	{"UPDATE account SET postings = postings + 1 WHERE " + theUser, ofUser + "999999800 fen from 3 postings, and its transfers say 999999800 fen from 2."},
	{"UPDATE account SET last = 256 WHERE " + theUser, `Account "user:2088000000000002": what it calls its newest transfer is not its last posting.`},
	{"UPDATE account SET last = 256 + 2 WHERE " + theUser, `Account "user:2088000000000002": what it calls its newest transfer is not its last posting.`},
	{"UPDATE account SET last = NULL WHERE " + theUser, `Account "user:2088000000000002": what it calls its newest transfer is not its last posting.`},
	{"UPDATE account SET last = 256 WHERE id = 'claims'", `Account "claims": what it calls its newest transfer is not its last posting.`},
	{"UPDATE account SET floor = balance + 1 WHERE " + theUser, "its balance of 999999800 fen is below its floor of 999999801 fen."},
	{"UPDATE account SET floor = balance + 1 WHERE " + theUser, "The file is damaged: CHECK constraint failed in account."},
	{"UPDATE account SET no = 77 WHERE id = 'claims'", `Account "claims": it has a number where nobody looks for it.`},
	{"UPDATE account SET id = 'user:9' WHERE " + theUser, unpaid},
	{"DELETE FROM account WHERE " + theUser, `": transfers touch it, and it does not exist.`},
	{"INSERT INTO account VALUES (77, 'rich', 5, 0, 0, NULL)", `account "rich": it has 5 fen from 0 postings, and its transfers say 0 fen from 0.`},
	{"UPDATE account SET balance = balance + 5 WHERE id = 'transit'", "Between buckets lie 5 fen, and 0 fen are under way."},
	{"INSERT INTO under_way VALUES (1, 1, 'guarantee', 5, 9, 'x')", "Between buckets lie 0 fen, and 5 fen are under way."},
	{"UPDATE trade SET amount = amount + 1 WHERE " + theTrade, ofTrade + "its content says something else than its row."},
	{"UPDATE trade SET user_id = '2088000000000003' WHERE " + theTrade, ofTrade + "its content says something else than its row."},
	{"UPDATE trade SET merchant = 'merchant:other' WHERE " + theTrade, unpaid},
	{"UPDATE trade SET payer = 'GUARANTEE' WHERE " + theTrade, ofTrade + "2.00 yuan were paid by GUARANTEE, and its transfers say something else."},
	{"UPDATE trade SET payer = 'nobody' WHERE " + theTrade, ofTrade + "2.00 yuan were paid by nobody, and its transfers say something else."},
	{"UPDATE trade SET day = day + 1 WHERE " + theTrade, unpaid},
	{"UPDATE trade SET settled_at = settled_at + 1 WHERE " + theTrade, unpaid},
	{"UPDATE trade SET content = content || x'00' WHERE " + theTrade, ofTrade + "its content says something else than its row."},
	{"UPDATE trade SET content = x'07' WHERE " + theTrade, ofTrade + "its content says something else than its row."},
	{"UPDATE trade SET content = x'' WHERE " + theTrade, ofTrade + "its content says something else than its row."},
	{"UPDATE trade SET content = substr(content, 1, length(content) - 1) || x'ff' WHERE " + theTrade, ofTrade + "its number was not claimed for its content."},
	{"UPDATE trade SET out_trade_no = 'order-9' WHERE " + theTrade, `trade "order-9" of app "2021000000000001": its content says something else than its row.`},
	{"UPDATE trade SET app = 'x' WHERE " + theTrade, `trade "order-2" of app "x": its number was not claimed for its content.`},
	{"UPDATE trade SET codes = codes || codes WHERE " + theTrade, ofTrade + "of its 2 codes, 1 are used up by it."},
	{"UPDATE trade SET codes = substr(codes, 1, 31) WHERE " + theTrade, `Trade "order-2" of app "2021000000000001": its codes are 31 bytes.`},
	{"UPDATE trade SET codes = x'' WHERE " + theTrade, ofTrade + "of its 0 codes, 1 are used up by it."},
	{"UPDATE trade SET id = id + 500000 WHERE " + theTrade, ofTrade + "it is not a number that was given out."},
	{"UPDATE trade SET id = 9223372036854775807 WHERE " + theTrade, ofTrade + "it is not a number that was given out."},
	{"DELETE FROM trade WHERE " + theTrade, "1 claims, 1 codes and 1 transfers belong to nothing."},
	{"UPDATE claim SET digest = zeroblob(32) WHERE " + theClaim, ofTrade + "its number was not claimed for its content."},
	{"UPDATE claim SET digest = zeroblob(31) WHERE " + theClaim, `Number "order-2" of "2021000000000001": its digest is 31 bytes.`},
	{"UPDATE claim SET scope = 'x' WHERE " + theClaim, ofTrade + "its number was not claimed for its content."},
	{"UPDATE claim SET no = 'x' WHERE " + theClaim, ofTrade + "its number was not claimed for its content."},
	{"UPDATE claim SET id = id + 1000 WHERE " + theClaim, ofTrade + "its number was not claimed for its content."},
	{"DELETE FROM claim WHERE " + theClaim, ofTrade + "its number was not claimed for its content."},
	{"INSERT INTO claim SELECT 'y', scope, digest, id FROM claim WHERE " + theClaim, ofTrade + "its number was not claimed for its content."},
	{"INSERT INTO claim SELECT 'y', scope, digest, 99 FROM claim WHERE " + theClaim, "number 99: it is not a number that was given out."},
	{"INSERT INTO claim SELECT 'y', scope, digest, 1 << 62 FROM claim WHERE " + theClaim, "number 4611686018427387904: it is not a number that was given out."},
	{"DELETE FROM used_code WHERE " + theCode, ofTrade + "of its 1 codes, 0 are used up by it."},
	{"UPDATE used_code SET trade = trade + 1000 WHERE " + theCode, "0 claims, 1 codes and 0 transfers belong to nothing."},
	{"UPDATE used_code SET trade = 1 WHERE " + theCode, `document "first-0": 1 codes are used up by it, and it is no trade.`},
	{"UPDATE used_code SET code = zeroblob(32) WHERE " + theCode, ofTrade + "of its 1 codes, 1 are used up by it."},
	{"UPDATE used_code SET code = zeroblob(31) WHERE " + theCode, "A code that was used up by document 4 is 31 bytes."},
	{"INSERT INTO used_code VALUES (zeroblob(32), 4)", ofTrade + "of its 1 codes, 2 are used up by it."},
	{"DELETE FROM document", "transfers belong to nothing."},
	{"UPDATE document SET amount = amount + 1", `document "first-0": it is of 10000000.01 yuan, and moved 10000000.00 yuan.`},
	{"UPDATE document SET at = at + 1", `document "first-0": its transfer 0 is none of it.`},
	{"UPDATE document SET id = id + 500000", `document "first-0": it is of 10000000.00 yuan, and moved 0.00 yuan.`},
	{"INSERT INTO document VALUES (5, 'never', NULL, 0, 0, x'')", "1 trades and 1 documents have it."},
	{"INSERT INTO document VALUES (99, 'never', NULL, 0, 0, x'')", `document "never": it is not a number that was given out.`},
	{"UPDATE book SET next_document = 2", "it is not a number that was given out."},
	{"UPDATE book SET next_posted = next_posted + 1", "1 notices are there, and 2 were not taken."},
	{"UPDATE book SET taken_posted = taken_posted + 1", "1 notices are there, and 0 were not taken."},
	{"DELETE FROM book", "The counts of the books are gone."},
	{"DELETE FROM posted", "0 notices are there, and 1 were not taken."},
	{"UPDATE posted SET trades = '[2,3'", "Notice 1: it cannot be read."},
	{"UPDATE posted SET trades = NULL", "Notice 1: it cannot be read."},
	{"UPDATE posted SET notices = '[]'", "Notice 1: it cannot be read."},
	{"UPDATE posted SET trades = '[2,1]'", "Notice 1: it tells of trade 1, which does not exist."},
	{"INSERT INTO document VALUES (1000, 'x', 99, 0, 0, x'')", `Document "x": it is about a trade that does not exist.`},
	{"UPDATE posted SET seq = seq + 1", "1 notices are there, and 1 were not taken."},
	{"CREATE TRIGGER leak AFTER INSERT ON transfer BEGIN DELETE FROM used_code; END", "The trigger leak is not ours."},
	{"ALTER TABLE trade ADD COLUMN note TEXT", "The table trade is not as it was made."},
	{"DROP INDEX transfer_day", "The index transfer_day is missing."},
	{"DROP VIEW posting", "The view posting is missing."},
	{`CREATE TABLE copy AS SELECT * FROM used_code; INSERT INTO copy SELECT code, 3 FROM used_code WHERE ` + theCode + `;
		DROP TABLE used_code; ALTER TABLE copy RENAME TO used_code`, "The table used_code is not as it was made."},
	{`PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'WHERE about IS NOT NULL', 'WHERE about > 7') WHERE name = 'document_about'`,
		"The index document_about is not as it was made."},
}

func TestAuditFindsCorruption(t *testing.T) {
	whole := soldBooks(t)
	for _, corruption := range corruptions {
		t.Run("", func(t *testing.T) {
			path := copyOf(t, whole)
			conn := raw(t, path)
			without(t, conn, corruption.sql)
			closeAll(t, conn)
			faults := strings.Join(auditFaults(t, path), "\n")
			if !strings.Contains(faults, corruption.fault) {
				t.Errorf("%s\nwant %s\ngot\n%s", corruption.sql, corruption.fault, faults)
			}
		})
	}
}

func copyOf(t *testing.T, path string) (copied string) {
	t.Helper()
	copied = filepath.Join(t.TempDir(), "books.sqlite")
	writeFile(t, copied, readFile(t, path))
	return copied
}

// without runs sql with everything that forbids it out of the way, and puts the triggers back, so that
// only what sql did is left to find.
func without(t *testing.T, conn *sqlite.Conn, sql string) {
	t.Helper()
	for _, pragma := range []string{"ignore_check_constraints = ON", "foreign_keys = OFF"} {
		if err := sqlitex.ExecuteTransient(conn, "PRAGMA "+pragma, nil); err != nil {
			t.Fatal(err)
		}
	}
	triggers := dropTriggers(t, conn)
	loosely(t, conn, sql)
	for _, trigger := range triggers {
		script(t, conn, trigger)
	}
}

// loosely runs sql. What a strict table does not take for its type is written as if it were not strict.
func loosely(t *testing.T, conn *sqlite.Conn, sql string) {
	t.Helper()
	err := sqlitex.ExecuteScript(conn, sql, nil)
	if err == nil {
		return
	}
	if !strings.Contains(err.Error(), "cannot store") {
		t.Fatalf("%s: %v", sql, err)
	}
	change := "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '%s', '%s') WHERE type = 'table'; PRAGMA writable_schema = RESET"
	script(t, conn, fmt.Sprintf(change, ") STRICT", ") /*STRICT*/"))
	script(t, conn, sql)
	script(t, conn, fmt.Sprintf(change, ") /*STRICT*/", ") STRICT"))
}

func dropTriggers(t *testing.T, conn *sqlite.Conn) (triggers []string) {
	t.Helper()
	var drop strings.Builder
	err := sqlitex.ExecuteTransient(conn, "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name NOT LIKE 'merchant%'", &sqlitex.ExecOptions{
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

// A trigger that is gone, or says something else, is found, whichever it is.
func TestAuditMissesTriggers(t *testing.T) {
	whole := soldBooks(t)
	conn := raw(t, whole)
	triggers := dropTriggers(t, conn)
	for _, trigger := range triggers {
		script(t, conn, trigger)
	}
	closeAll(t, conn)
	if len(triggers) < 15 {
		t.Fatalf("only %d triggers", len(triggers))
	}
	for _, trigger := range triggers {
		name := strings.Fields(trigger)[2]
		for sql, fault := range map[string]string{
			"DROP TRIGGER " + name: "The trigger " + name + " is missing.",
			"DROP TRIGGER " + name + "; CREATE TRIGGER " + name + " AFTER UPDATE ON rider BEGIN SELECT 1; END": "The trigger " + name + " is not as it was made.",
		} {
			path := copyOf(t, whole)
			conn := raw(t, path)
			script(t, conn, sql)
			closeAll(t, conn)
			if faults := auditFaults(t, path); len(faults) != 1 || faults[0] != fault {
				t.Errorf("%s: %q", sql, faults)
			}
		}
	}
}

// An operator may index for himself.
func TestAuditTakesForeignIndexes(t *testing.T) {
	path := soldBooks(t)
	conn := raw(t, path)
	script(t, conn, "CREATE INDEX extra ON trade (settled_at); ANALYZE")
	closeAll(t, conn)
	if faults := auditFaults(t, path); len(faults) > 0 {
		t.Errorf("%q", faults)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	path := soldBooks(t)
	conn := raw(t, path)
	without(t, conn, `WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 1599)
		INSERT INTO document SELECT i, 'order ' || i, NULL, 0, 0, x'' FROM n`)
	closeAll(t, conn)
	if faults := auditFaults(t, path); len(faults) != 1001 || faults[1000] != "There are 500 more faults." {
		t.Errorf("%d faults, the last one %q", len(faults), faults[len(faults)-1])
	}
}

// forbidden is what the tables refuse to everybody who leaves the triggers alone.
var forbidden = []string{
	"UPDATE transfer SET amount = amount + 1", "DELETE FROM transfer", "UPDATE transfer SET no = no + 1 WHERE " + theRide,
	"UPDATE account SET balance = balance + 1", "UPDATE account SET postings = postings + 1", "UPDATE account SET last = 256", "UPDATE account SET balance = 0, postings = 0, last = NULL",
	"UPDATE account SET floor = balance + 1 WHERE " + theUser, "UPDATE account SET floor = NULL", "UPDATE account SET floor = -5 WHERE floor IS NULL",
	"UPDATE account SET id = id || 'x'", "UPDATE account SET no = no + 1 WHERE id = 'claims'", "DELETE FROM account",
	"UPDATE account SET balance = balance + 200, postings = postings + 1, last = 4 * 256 WHERE " + theUser,        // the ride, the wrong way round
	"UPDATE account SET balance = balance - 200, postings = postings + 1, last = 4 * 256 WHERE " + theUser,        // the ride once more
	"UPDATE account SET balance = balance + 1000000000, postings = postings + 1, last = 256 + 2 WHERE " + theUser, // what came before it once more
	"UPDATE account SET balance = 1000000000, postings = 1, last = 256 + 2 WHERE " + theUser,                      // back to before the ride
	"UPDATE account SET balance = balance + 200, postings = postings + 1, last = 4 * 256 WHERE id = 'guarantee'",
	"UPDATE claim SET id = 1", "DELETE FROM claim", "UPDATE trade SET amount = 1", "DELETE FROM trade", "UPDATE used_code SET trade = 1", "DELETE FROM used_code",
	"UPDATE document SET amount = 1", "DELETE FROM document",
	"DELETE FROM book", "INSERT INTO book VALUES (2, 1, 1, 0, 0)", "UPDATE book SET next_document = 1", "UPDATE book SET next_posted = 1", "UPDATE book SET taken_posted = -1",
	"UPDATE book SET open_day = -1", "UPDATE book SET taken_posted = next_posted", "INSERT OR REPLACE INTO book VALUES (1, 1, 1, 0, 0)",
	"INSERT INTO account VALUES (77, 'rich', 5, 0, 0, NULL)", "INSERT INTO account VALUES (77, 'used', 0, 0, 1, NULL)", "INSERT INTO account VALUES (77, 'moved', 0, 0, 0, 256)",
	"INSERT INTO account VALUES (77, '', 0, 0, 0, NULL)", "INSERT INTO account VALUES (77, 'merchant:metro', 0, 0, 0, NULL)", "INSERT INTO account VALUES (77, 'high', 0, 5, 0, NULL)",
	"INSERT OR REPLACE INTO account SELECT no, id, 0, -5, 0, NULL FROM account WHERE " + theUser,
	"INSERT OR REPLACE INTO used_code SELECT code, 3 FROM used_code WHERE " + theCode, "INSERT INTO used_code SELECT code, 3 FROM used_code WHERE " + theCode,
	"INSERT OR REPLACE INTO claim SELECT no, scope, zeroblob(32), id FROM claim", "INSERT INTO claim SELECT no, scope, zeroblob(32), id FROM claim",
	"INSERT OR REPLACE INTO trade SELECT * FROM trade", "INSERT INTO trade SELECT * FROM trade",
	"INSERT INTO used_code VALUES (zeroblob(31), 1)", "INSERT INTO claim VALUES ('x', 'y', zeroblob(31), 1)", "INSERT INTO claim VALUES ('x', '', zeroblob(32), 1)",
	"INSERT INTO document VALUES (99, 'first-0', NULL, 0, 0, x'')", "INSERT INTO document VALUES (1, 'x', NULL, 0, 0, x'')", "INSERT INTO document VALUES (99, 'x', NULL, -1, 0, x'')",
	copyTrade("codes", "x''"), copyTrade("codes", "zeroblob(33)"), copyTrade("amount", "0"), copyTrade("amount", "'five'"), copyTrade("payer", "'NOBODY'"), copyTrade("out_trade_no", "''"),
	transferOf("777 * 256", numberOf("user:2088000000000002"), "77", "5"), transferOf("777 * 256", "77", numberOf("merchant:metro"), "5"),
	transferOf("777 * 256", numberOf("merchant:metro"), numberOf("merchant:metro"), "5"), transferOf("777 * 256", numberOf("claims"), numberOf("merchant:metro"), "5"),
	transferOf("777 * 256", numberOf("user:2088000000000002"), numberOf("merchant:metro"), "9000000000"), transferOf("777 * 256", numberOf("outside"), numberOf("merchant:metro"), "0"),
	transferOf("777 * 256", numberOf("outside"), numberOf("merchant:metro"), "-5"), transferOf("777 * 256", numberOf("outside"), numberOf("merchant:metro"), "'five'"),
	transferOf("777 * 256", numberOf("outside"), numberOf("merchant:metro"), "9223372036854775807"), transferOf("255", numberOf("outside"), numberOf("merchant:metro"), "5"),
	transferOf("4 * 256", numberOf("outside"), numberOf("merchant:metro"), "5"),
	"INSERT INTO transfer SELECT 777 * 256, debit, debit_posting, credit, credit_posting, amount, code, day, at FROM transfer WHERE " + theRide,
}

func transferOf(no, debit, credit, amount string) string {
	next := "ifnull((SELECT postings + 1 FROM account WHERE no = %s), 1)"
	return fmt.Sprintf("INSERT INTO transfer (no, debit, debit_posting, credit, credit_posting, amount, code, day, at) VALUES (%s, %s, "+next+", %s, "+next+", %s, 9, 20260806, 1786075200123456)",
		no, debit, debit, credit, credit, amount)
}

// copyTrade copies a trade under another number, with something changed.
func copyTrade(column, value string) string {
	columns := "id, app, out_trade_no, user_id, merchant, amount, payer, day, settled_at, codes, content"
	values := strings.Replace(strings.Replace(columns, "id,", "id + 1000,", 1), " "+column, " "+value, 1)
	return "INSERT INTO trade (" + columns + ") SELECT " + values + " FROM trade WHERE " + theTrade
}

// Without taking triggers away, the same hands get nothing done.
func TestTablesDefendThemselves(t *testing.T) {
	path := soldBooks(t)
	conn := carefulRaw(t, path)
	for _, sql := range forbidden {
		if err := sqlitex.ExecuteTransient(conn, sql, nil); err == nil {
			t.Errorf("%s: done", sql)
		} else if code := sqlite.ErrCode(err).ToPrimary(); code != sqlite.ResultConstraint {
			t.Errorf("%s: %v", sql, err)
		}
	}
	closeAll(t, conn)
	if faults := auditFaults(t, path); len(faults) > 0 {
		t.Errorf("%q", faults)
	}
}

// What is refused above is refused for its reason: the same, right, is taken, and a transfer moves its
// accounts.
func TestTablesTakeWhatIsRight(t *testing.T) {
	path := soldBooks(t)
	conn := carefulRaw(t, path)
	for _, sql := range []string{
		transferOf("777 * 256", numberOf("user:2088000000000002"), numberOf("merchant:metro"), "5"),
		"INSERT INTO document VALUES (777, 'right', NULL, 5, 1786075200123456, x'')",
		"INSERT INTO account VALUES (77, 'other', 0, 0, 0, NULL)", "UPDATE account SET floor = -7 WHERE " + theUser,
		"UPDATE book SET next_document = 778, open_day = 20260806",
	} {
		if err := sqlitex.ExecuteTransient(conn, sql, nil); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	closeAll(t, conn)
	if faults := auditFaults(t, path); len(faults) != 1 || !strings.Contains(faults[0], `"other": it has a number where nobody looks`) {
		t.Errorf("%q", faults)
	}
}

// carefulRaw is a connection of another program that minds references, and triggers of what it replaces.
func carefulRaw(t *testing.T, path string) *sqlite.Conn {
	t.Helper()
	conn := raw(t, path)
	for _, pragma := range []string{"foreign_keys", "recursive_triggers"} {
		if err := sqlitex.ExecuteTransient(conn, "PRAGMA "+pragma+" = ON", nil); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

// A page that the disk lost, or that came back otherwise, is found, whichever it is.
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
