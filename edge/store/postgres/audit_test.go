package postgres

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/shuama/shuama/role/payment/storetest"
)

// soldBooks makes books with a few sales in them: what storetest.Furnish makes, and the sales 0 to 5.
func soldBooks(t *testing.T, url string) {
	t.Helper()
	books := openURL(t, url).Payment()
	if err := storetest.Furnish(t.Context(), books); err != nil {
		t.Fatal(err)
	}
	if _, err := storetest.Sell(t.Context(), books, 0, 1, 2, 3, 4, 5); err != nil {
		t.Fatal(err)
	}
	auditClean(t, books)
}

const (
	theUser  = "id = 'user:2088000000000002'"
	theTrade = "out_trade_no = 'order-2'"
	theClaim = "no = 'order-2'"
	theRide  = "debit = 'user:2088000000000002' AND code = 2"
	theFill  = "key = 'first-0' AND bucket = (SELECT bucket FROM shuama.account WHERE " + theUser + ")"
	theCode  = "(bucket, trade) = (SELECT bucket, id FROM shuama.trade WHERE " + theTrade + ")"
	ofTrade  = `trade "order-2" of app "2021000000000001": `
	unpaid   = ofTrade + "2.00 yuan were paid by USER, and its transfers say something else."
)

// Each line is what a superuser with a screwdriver does, the triggers out of the way, and what the audit
// says of it.
var corruptions = []struct{ sql, fault string }{
	{"UPDATE shuama.transfer SET amount = amount + 1 WHERE " + theRide, unpaid},
	{"UPDATE shuama.transfer SET amount = amount + 1 WHERE " + theRide, `account "user:2088000000000002": it has 999999800 fen from 2 postings, and its transfers say 999999799 fen from 2.`},
	{"UPDATE shuama.transfer SET amount = 9223372036854775807 WHERE " + theRide, unpaid},
	{"UPDATE shuama.transfer SET credit = 'merchant:other' WHERE " + theRide, `account "merchant:other": transfers touch it, and it does not exist.`},
	{"UPDATE shuama.transfer SET credit = 'guarantee' WHERE " + theRide, unpaid},
	{"UPDATE shuama.transfer SET debit = 'outside' WHERE " + theRide, unpaid},
	{"UPDATE shuama.transfer SET code = 3 WHERE " + theRide, unpaid},
	{"UPDATE shuama.transfer SET at = at + 1 WHERE " + theRide, unpaid},
	{"UPDATE shuama.transfer SET leg = 1 WHERE " + theRide, unpaid},
	{"UPDATE shuama.transfer SET document = 999999 WHERE " + theRide, "number 999999: 0 claims, 0 codes and 1 transfers belong to nothing."},
	{"UPDATE shuama.transfer SET document = 999999 WHERE " + theRide, "number 999999: it is not a number that was given out."},
	{"UPDATE shuama.transfer SET bucket = 77 WHERE " + theRide, "Rows of transfer are in bucket 77, which does not exist."},
	{"UPDATE shuama.transfer SET bucket = -1 WHERE " + theRide, "A row of transfer is in bucket -1, which does not exist."},
	{"DELETE FROM shuama.transfer WHERE " + theRide, unpaid},
	{"INSERT INTO shuama.transfer SELECT bucket, day, document, 1, code, debit, credit, amount, at FROM shuama.transfer WHERE " + theRide, unpaid},
	{"INSERT INTO shuama.transfer SELECT bucket, day, document, 200, 9, debit, credit, amount, at FROM shuama.transfer WHERE code = 1 AND leg = 0 AND document = 1", `document "first-0": its transfer`},
	{"UPDATE shuama.account SET balance = balance + 1 WHERE " + theUser, `account "user:2088000000000002": it has 999999801 fen from 2 postings, and its transfers say 999999800 fen from 2.`},
	{"UPDATE shuama.account SET balance = balance + 1 WHERE " + theUser, "The sum of all balances is 1 fen and not 0."},
	{"UPDATE shuama.account SET postings = postings + 1 WHERE " + theUser, "from 3 postings, and its transfers say 999999800 fen from 2."},
	{"ALTER TABLE shuama.account DROP CONSTRAINT account_check; UPDATE shuama.account SET floor = balance + 1 WHERE " + theUser,
		"its balance of 999999800 fen is below its floor of 999999801 fen."},
	{"ALTER TABLE shuama.account DROP CONSTRAINT account_check; UPDATE shuama.account SET floor = balance + 1 WHERE " + theUser +
		"; ALTER TABLE shuama.account ADD CONSTRAINT account_check CHECK (unbounded OR balance >= floor) NOT VALID",
		"The table account is damaged: 1 rows break its constraint account_check."},
	{"DELETE FROM shuama.account WHERE " + theUser, `account "user:2088000000000002": transfers touch it, and it does not exist.`},
	{"ALTER TABLE shuama.account DROP CONSTRAINT account_pkey; INSERT INTO shuama.account SELECT * FROM shuama.account WHERE " + theUser, "and its transfers say 0 fen from 0."},
	{"UPDATE shuama.account SET balance = balance + 5 WHERE id = 'transit' AND bucket = 0", "Between buckets lie 5 fen, and 0 fen are under way."},
	{"INSERT INTO shuama.under_way VALUES (0, 1, 1, 'guarantee', 5, 9, 'x')", "Between buckets lie 0 fen, and 5 fen are under way."},
	{"INSERT INTO shuama.under_way VALUES (99, 1, 1, 'guarantee', 5, 9, 'x')", "What left with document 1 is under way from a bucket that does not exist."},
	{"UPDATE shuama.trade SET amount = amount + 1 WHERE " + theTrade, ofTrade + "its content says something else than its row."},
	{"UPDATE shuama.trade SET user_id = '2088000000000003' WHERE " + theTrade, ofTrade + "its content says something else than its row."},
	{"UPDATE shuama.trade SET merchant = 'merchant:other' WHERE " + theTrade, unpaid},
	{"UPDATE shuama.trade SET payer = 2 WHERE " + theTrade, ofTrade + "2.00 yuan were paid by GUARANTEE, and its transfers say something else."},
	{"UPDATE shuama.trade SET day = day + 1 WHERE " + theTrade, unpaid},
	{"UPDATE shuama.trade SET settled_at = settled_at + 1 WHERE " + theTrade, unpaid},
	{"UPDATE shuama.trade SET content = content || '\\x00' WHERE " + theTrade, ofTrade + "its number was not claimed for its content."},
	{"UPDATE shuama.trade SET content = '' WHERE " + theTrade, ofTrade + "its content says something else than its row."},
	{"UPDATE shuama.trade SET content = substring(content FOR 50) WHERE " + theTrade, ofTrade + "its content says something else than its row."},
	{"UPDATE shuama.trade SET out_trade_no = 'order-9' WHERE " + theTrade, `trade "order-9" of app "2021000000000001": its number was not claimed for its content.`},
	{"UPDATE shuama.trade SET app = 'x' WHERE " + theTrade, `trade "order-2" of app "x": its number was not claimed for its content.`},
	{"UPDATE shuama.trade SET id = id + 500000 WHERE " + theTrade, "it is not a number that was given out."},
	{"DELETE FROM shuama.trade WHERE " + theTrade, "1 claims, 1 codes and 1 transfers belong to nothing."},
	{"ALTER TABLE shuama.trade DROP CONSTRAINT trade_pkey; INSERT INTO shuama.trade SELECT * FROM shuama.trade WHERE " + theTrade, ofTrade + "2 trades and 0 documents have it."},
	{"UPDATE shuama.claim SET digest = decode(repeat('00', 32), 'hex') WHERE " + theClaim, ofTrade + "its number was not claimed for its content."},
	{"UPDATE shuama.claim SET scope = 'x' WHERE " + theClaim, ofTrade + "its number was not claimed for its content."},
	{"UPDATE shuama.claim SET id = id + 1000 WHERE " + theClaim, ofTrade + "its number was not claimed for its content."},
	{"UPDATE shuama.claim SET bucket = 7 - bucket WHERE " + theClaim, ofTrade + "its number was not claimed for its content."},
	{"DELETE FROM shuama.claim WHERE " + theClaim, ofTrade + "its number was not claimed for its content."},
	{"INSERT INTO shuama.claim SELECT 0, 'x', 'y', digest, bucket, id FROM shuama.claim WHERE " + theClaim, ofTrade + "its number was not claimed for its content."},
	{"DELETE FROM shuama.used_code WHERE " + theCode, ofTrade + "of its 1 codes, 0 are used up by it."},
	{"UPDATE shuama.used_code SET trade = trade + 1000 WHERE " + theCode, ofTrade + "of its 1 codes, 0 are used up by it."},
	{"UPDATE shuama.used_code SET code = decode(repeat('07', 32), 'hex') WHERE " + theCode, ofTrade + "of its 1 codes, 1 are used up by it."},
	{"UPDATE shuama.trade SET codes = codes || codes WHERE " + theTrade, ofTrade + "of its 2 codes, 1 are used up by it."},
	{"INSERT INTO shuama.used_code SELECT bucket, decode(repeat('07', 32), 'hex'), id FROM shuama.trade WHERE " + theTrade, ofTrade + "of its 1 codes, 2 are used up by it."},
	{"ALTER TABLE shuama.used_code DROP CONSTRAINT used_code_pkey; INSERT INTO shuama.used_code SELECT bucket, code, trade + 1000 FROM shuama.used_code WHERE " + theCode, "0 claims, 1 codes and 0 transfers belong to nothing."},
	{"DELETE FROM shuama.document WHERE " + theFill, "transfers belong to nothing."},
	{"UPDATE shuama.document SET amount = amount + 1 WHERE " + theFill, `document "first-0": it is of 10000000.01 yuan, and moved 10000000.00 yuan.`},
	{"UPDATE shuama.document SET id = id + 500000 WHERE " + theFill, `document "first-0": it is of 10000000.00 yuan, and moved 0.00 yuan.`},
	{"ALTER TABLE shuama.document DROP CONSTRAINT document_bucket_id_key; INSERT INTO shuama.document SELECT bucket, 'never', 1, NULL, 5, 0, '' FROM shuama.account WHERE " + theUser, "0 trades and 2 documents have it."},
	{"UPDATE shuama.bucket SET next_document = 2", "it is not a number that was given out."},
	{"DELETE FROM shuama.posted", "0 notices are there, and 1 were not taken."},
	{"INSERT INTO shuama.bucket VALUES (99, 1, 1, 0, 0)", "Bucket 99 does not exist, and has a row."},
	{"CREATE TRIGGER leak AFTER INSERT ON shuama.transfer EXECUTE FUNCTION shuama.append_only()", "The trigger leak is not ours."},
	{"DROP TRIGGER trade_stands ON shuama.trade", "The trigger trade_stands is missing."},
	{"DROP TRIGGER transfer_posts ON shuama.transfer", "The trigger transfer_posts is missing."},
	{"ALTER TABLE shuama.trade DISABLE TRIGGER trade_stands", "The trigger trade_stands is not as it was made."},
	{"CREATE RULE hush AS ON INSERT TO shuama.document DO INSTEAD NOTHING", "The rule hush is not ours."},
	{"CREATE OR REPLACE FUNCTION shuama.append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'", "The function append_only is not as it was made."},
	{"ALTER TABLE shuama.trade ADD COLUMN note text", "The table trade is not as it was made."},
	{"ALTER TABLE shuama.trade ENABLE ROW LEVEL SECURITY", "The table trade is not as it was made."},
	{"GRANT DELETE ON shuama.trade TO CURRENT_USER", "The table trade is not as it was made."},
	{"ALTER TABLE shuama.claim DROP CONSTRAINT claim_pkey", "The constraint claim_pkey is missing."},
	{"GRANT INSERT ON shuama.transfer_20260806 TO CURRENT_USER", "The table transfer_20260806 is not as it was made."},
	{"DROP TRIGGER transfer_remains ON shuama.transfer_20260806", "The table transfer_20260806 is not as it was made."},
	{"ALTER TABLE shuama.transfer_20260806 DISABLE TRIGGER transfer_stands", "The table transfer_20260806 is not as it was made."},
	{"CREATE TRIGGER leak AFTER INSERT ON shuama.transfer_20260806 EXECUTE FUNCTION shuama.append_only()", "The table transfer_20260806 is not as it was made."},
	{"ALTER TABLE shuama.transfer_20260806 RENAME TO transfer_20260807", "The table transfer_20260807 is not as it was made."},
	{"ALTER TABLE shuama.transfer DETACH PARTITION shuama.transfer_20260806", unpaid},
}

func TestAuditFindsCorruption(t *testing.T) {
	c := commonCluster(t)
	name := c.emptyBooks(t)
	soldBooks(t, c.URL(name))
	conn := c.connect(t, name)
	script(t, conn, "CREATE INDEX extra ON shuama.trade (settled_at)") // an operator may: it is not ours, and no fault
	if faults := faultsAfter(t, conn, "SELECT 1"); len(faults) > 0 {
		t.Fatalf("before anything was done: %s", lines(faults))
	}
	for _, corruption := range corruptions {
		faults := faultsAfter(t, conn, corruption.sql)
		if !strings.Contains(lines(faults), corruption.fault) {
			t.Errorf("%s\nwant %s\ngot\n%s", corruption.sql, corruption.fault, lines(faults))
		}
	}
}

// faultsAfter does sql without the triggers, examines what the transaction sees, and takes it back.
func faultsAfter(t *testing.T, conn *pgx.Conn, sql string) []string {
	t.Helper()
	script(t, conn, "BEGIN")
	script(t, conn, "SET LOCAL session_replication_role = replica")
	script(t, conn, sql)
	a := auditor{ctx: t.Context(), conn: conn}
	if err := a.examineAll(DefaultLayout().Buckets); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
	faults := a.Report().Faults
	script(t, conn, "ROLLBACK")
	return faults
}

// The same, through the store, with what was really stored.
func TestAuditOfDamage(t *testing.T) {
	c := commonCluster(t)
	name := c.emptyBooks(t)
	soldBooks(t, c.URL(name))
	books := openURL(t, c.URL(name)).Payment()
	conn := c.connect(t, name)
	script(t, conn, "SET session_replication_role = replica; UPDATE shuama.trade SET payer = 2 WHERE "+theTrade)
	report, err := books.Audit(t.Context())
	if err != nil || len(report.Faults) != 1 || !strings.Contains(report.Faults[0], ofTrade+"2.00 yuan were paid by GUARANTEE") {
		t.Errorf("%q, %v", report.Faults, err)
	}
	script(t, conn, "INSERT INTO shuama.document SELECT 0, 'order ' || i, i, NULL, 5, 0, '' FROM generate_series(100000, 101500) AS i")
	report, err = books.Audit(t.Context())
	if err != nil || len(report.Faults) != 1001 || !strings.HasSuffix(report.Faults[1000], "more faults.") {
		t.Errorf("%d faults, %v", len(report.Faults), err)
	}
}

// forbidden is what the tables refuse to everybody who leaves the triggers alone.
var forbidden = []string{
	"UPDATE shuama.transfer SET amount = amount + 1", "DELETE FROM shuama.transfer", "TRUNCATE shuama.transfer",
	"UPDATE shuama.transfer_20260806 SET amount = amount + 1", "DELETE FROM shuama.transfer_20260806", "TRUNCATE shuama.transfer_20260806",
	"UPDATE shuama.account SET balance = balance + 1", "UPDATE shuama.account SET postings = postings + 1",
	"UPDATE shuama.account SET floor = balance + 1 WHERE NOT unbounded", "UPDATE shuama.account SET unbounded = true", "UPDATE shuama.account SET id = id || 'x'",
	"DELETE FROM shuama.account", "TRUNCATE shuama.account",
	"UPDATE shuama.claim SET id = 1", "DELETE FROM shuama.claim", "TRUNCATE shuama.claim",
	"UPDATE shuama.trade SET amount = 1", "DELETE FROM shuama.trade", "TRUNCATE shuama.trade",
	"UPDATE shuama.used_code SET trade = 1", "DELETE FROM shuama.used_code", "TRUNCATE shuama.used_code",
	"UPDATE shuama.document SET amount = 1", "DELETE FROM shuama.document", "TRUNCATE shuama.document",
	"UPDATE shuama.books SET buckets = 4", "DELETE FROM shuama.books", "DELETE FROM shuama.bucket",
	"INSERT INTO shuama.account (bucket, id, balance, floor, unbounded) VALUES (0, 'rich', 5, 0, false)",
	"INSERT INTO shuama.account (bucket, id, floor, unbounded, postings) VALUES (0, 'used', 0, false, 1)",
	"INSERT INTO shuama.claim SELECT key_bucket, scope, no, decode(repeat('00', 32), 'hex'), bucket, id FROM shuama.claim WHERE " + theClaim,
	"INSERT INTO shuama.used_code SELECT bucket, code, trade + 1 FROM shuama.used_code WHERE " + theCode,
	"INSERT INTO shuama.used_code VALUES (0, decode(repeat('00', 31), 'hex'), 1)",
	"INSERT INTO shuama.trade SELECT * FROM shuama.trade WHERE " + theTrade,
	copyTrade("codes", "''"), copyTrade("codes", "decode(repeat('00', 33), 'hex')"), copyTrade("amount", "0"), copyTrade("payer", "3"),
	transferOf("'user:2088000000000002'", "'nobody'", "5"), transferOf("'nobody'", "'merchant:metro'", "5"),
	transferOf("'merchant:metro'", "'merchant:metro'", "5"), transferOf("'user:2088000000000002'", "'merchant:metro'", "9000000000"),
	transferOf("'user:2088000000000002'", "'merchant:metro'", "0"), transferOf("'user:2088000000000002'", "'merchant:metro'", "-5"),
	transferOf("'outside'", "'merchant:metro'", "9223372036854775807"),
}

func transferOf(debit, credit, amount string) string {
	return fmt.Sprintf(`INSERT INTO shuama.transfer (bucket, day, document, leg, code, debit, credit, amount, at)
		SELECT bucket, 20260806, 777, 0, 9, %s, %s, %s, 0 FROM shuama.account WHERE %s`, debit, credit, amount, theUser)
}

// copyTrade copies a trade under another number, with something changed.
func copyTrade(column, value string) string {
	columns := "bucket, id, app, out_trade_no, user_id, merchant, amount, payer, day, settled_at, codes, content"
	values := strings.Replace(strings.Replace(columns, "id,", "id + 1000,", 1), " "+column, " "+value, 1)
	return "INSERT INTO shuama.trade (" + columns + ") SELECT " + values + " FROM shuama.trade WHERE " + theTrade
}

// Triggers hold a superuser; grants hold the owner too, before any trigger.
func TestTablesDefendThemselves(t *testing.T) {
	c := commonCluster(t)
	admin := c.connect(t, "postgres")
	script(t, admin, "CREATE ROLE keeper LOGIN PASSWORD 'x'")
	script(t, admin, "CREATE DATABASE kept OWNER keeper TEMPLATE template0")
	owner := c.URLOf("keeper", "x", "kept")
	soldBooks(t, owner)
	for _, url := range []string{owner, c.URL("kept")} {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range forbidden {
			_, err := conn.Exec(t.Context(), sql)
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code[:2] == "42" && refused.Code != "42501" {
				t.Errorf("%s: %v", sql, err)
			}
			if strings.HasPrefix(sql, "DELETE") && url == owner && !strings.Contains(fmt.Sprint(err), "permission denied") {
				t.Errorf("the owner: %s: %v", sql, err)
			}
		}
		if _, err := conn.Exec(t.Context(), "INSERT INTO shuama.transfer_20260806 SELECT bucket, day, 778, 0, 9, debit, credit, 5, 0 FROM shuama.transfer WHERE "+theRide); url == owner && err == nil {
			t.Error("the owner writes into a day's part by itself")
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if report, err := openURL(t, owner).Payment().Audit(t.Context()); err != nil || !strings.Contains(lines(report.Faults), "number 778") {
		t.Errorf("what a superuser wrote past the trigger is not found: %s, %v", lines(report.Faults), err)
	}
}

// What is refused above is refused for its reason: the same transfer, right, is taken, and moves its
// accounts.
func TestTablesTakeWhatIsRight(t *testing.T) {
	c := commonCluster(t)
	name := c.emptyBooks(t)
	soldBooks(t, c.URL(name))
	conn := c.connect(t, name)
	script(t, conn, transferOf("'user:2088000000000002'", "'merchant:metro'", "5"))
	script(t, conn, "INSERT INTO shuama.document SELECT bucket, 'right', 777, NULL, 5, 0, '' FROM shuama.account WHERE "+theUser)
	script(t, conn, "UPDATE shuama.bucket SET next_document = 778")
	auditClean(t, openURL(t, c.URL(name)).Payment())
}
