package postgres

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/shuama/shuama/role/payment/storetest"
)

// soldBooks makes books with a few sales in them: 17 top-ups, and the sales 0 to 5 to the users of the
// same numbers.
func soldBooks(t *testing.T, url string) {
	t.Helper()
	books := openURL(t, url).Payment()
	if err := storetest.Furnish(t.Context(), books); err != nil {
		t.Fatal(err)
	}
	if err := storetest.Sell(t.Context(), books, 0, 1, 2, 3, 4, 5); err != nil {
		t.Fatal(err)
	}
	auditClean(t, books)
}

const (
	someUser  = "(SELECT no FROM shuama.account WHERE id = 'user:2088000000000002')"
	metro     = "(SELECT no FROM shuama.account WHERE id = 'merchant:metro')"
	someRide  = "(SELECT no FROM shuama.transfer WHERE reference LIKE '%2' AND code = 2)"
	aTopUp    = "(SELECT no FROM shuama.transfer WHERE id = 'topup:first-2')"
	someTrade = "(SELECT no FROM shuama.trade WHERE out_trade_no = 'order-2')"
	rideLeg   = "transfer = " + someRide + " AND account = " + metro
	theRide   = `Transfer "ride:2026080600000000000000000002": `
	theTrade  = `Trade "order-2" of app "2021000000000001": `
	unkept    = "its content is not what its digest was made of."
)

// Each line is what a superuser with a screwdriver does, the triggers out of the way, and what the audit
// says of it.
var corruptions = []struct{ sql, fault string }{
	{"UPDATE shuama.posting SET amount = amount + 1 WHERE " + rideLeg, "The sum of all postings is 1 fen and not 0."},
	{"UPDATE shuama.posting SET amount = amount + 1 WHERE " + rideLeg, theRide + "its two postings are not there"},
	{"UPDATE shuama.posting SET amount = amount - 1 WHERE transfer = " + someRide + " AND account = " + someUser, `number 2 of account "user:2088000000000002": it is not what its transfer says.`},
	{"UPDATE shuama.posting SET amount = 9223372036854775807 WHERE " + rideLeg, "posting 3 makes a balance that does not fit."},
	{"UPDATE shuama.posting SET balance = balance + 1 WHERE " + rideLeg, `Account "merchant:metro": posting 3 says a balance of 601 fen after it, and its postings sum to 600 fen.`},
	{"UPDATE shuama.posting SET number = 9 WHERE " + rideLeg, `Account "merchant:metro": posting 4 follows posting 2.`},
	{"UPDATE shuama.posting SET account = 999 WHERE " + rideLeg, "stands in account number 999, which does not exist."},
	{"UPDATE shuama.posting SET account = " + someUser + " WHERE " + rideLeg, "it is not what its transfer says."},
	{"UPDATE shuama.posting SET transfer = 999999 WHERE " + rideLeg, "it is not what its transfer says."},
	{"DELETE FROM shuama.posting WHERE " + rideLeg, theRide + "its two postings are not there with minus and plus its amount."},
	{"INSERT INTO shuama.posting SELECT account, 99, transfer, amount, balance FROM shuama.posting WHERE " + rideLeg, theRide + "its two postings are not there"},
	{"INSERT INTO shuama.posting VALUES (" + metro + ", 99, 999999, 1, 1)", `Posting of transfer 999999, number 99 of account "merchant:metro": it is not what its transfer says.`},
	{"ALTER TABLE shuama.posting DROP CONSTRAINT posting_pkey; INSERT INTO shuama.posting SELECT * FROM shuama.posting WHERE " + rideLeg, `Account "merchant:metro": posting 3 follows posting 3.`},
	{"ALTER TABLE shuama.posting DROP CONSTRAINT posting_pkey", "The constraint posting_pkey is missing."},
	{"UPDATE shuama.transfer SET amount = amount + 1 WHERE no = " + someRide, theRide + "its two postings are not there"},
	{"UPDATE shuama.transfer SET amount = amount + 1 WHERE no = " + someRide, theTrade + "its amount is 200 fen paid by USER, and its transfers move 201 fen from the user, 0 fen from the guarantee and 0 fen of debt."},
	{"UPDATE shuama.transfer SET credit = " + someUser + " + 1 WHERE no = " + someRide, "it is not what its transfer says."},
	{"UPDATE shuama.transfer SET credit = 998 WHERE no = " + someRide, "A row of transfer (ride:2026080600000000000000000002) names a row of account that does not exist."},
	{"UPDATE shuama.transfer SET reference = '' WHERE no = " + someRide, theTrade + "its amount is 200 fen paid by USER, and its transfers move 0 fen"},
	{"UPDATE shuama.transfer SET reference = '' WHERE no = " + someRide, theRide + "the trade that it is for does not exist."},
	{"UPDATE shuama.transfer SET code = 3 WHERE no = " + someRide, "and its transfers move 0 fen from the user, 200 fen from the guarantee and 0 fen of debt."},
	{"UPDATE shuama.transfer SET reference = '' WHERE no = " + aTopUp, `Top-up "first-2": it has not exactly one transfer, of its amount to its account.`},
	{"UPDATE shuama.transfer SET reference = '' WHERE no = " + aTopUp, `Transfer "topup:first-2": the top-up that it is for does not exist.`},
	{"DELETE FROM shuama.transfer WHERE no = " + someRide, theTrade + "its amount is 200 fen"},
	{"DELETE FROM shuama.transfer WHERE no = " + someRide, `number 2 of account "user:2088000000000002": it is not what its transfer says.`},
	{"UPDATE shuama.account SET balance = balance + 1 WHERE no = " + someUser, `Account "user:2088000000000002": its balance is 999801 fen, and its postings sum to 999800 fen.`},
	{"UPDATE shuama.account SET postings = postings + 1 WHERE no = " + someUser, `Account "user:2088000000000002": it counts 3 postings, and the last one is number 2.`},
	{"ALTER TABLE shuama.account DROP CONSTRAINT account_check; UPDATE shuama.account SET floor = balance + 1 WHERE no = " + someUser,
		`Account "user:2088000000000002": its balance of 999800 fen is below its floor of 999801 fen.`},
	{"ALTER TABLE shuama.account DROP CONSTRAINT account_check; UPDATE shuama.account SET floor = balance + 1 WHERE no = " + someUser + "; ALTER TABLE shuama.account ADD CONSTRAINT account_check CHECK (unbounded OR balance >= floor) NOT VALID",
		"The table account is damaged: 1 rows break its constraint account_check."},
	{"DELETE FROM shuama.account WHERE no = " + someUser, "which does not exist."},
	{"UPDATE shuama.trade SET amount = amount + 1 WHERE no = " + someTrade, theTrade + "its amount is 201 fen"},
	{"UPDATE shuama.trade SET payer = 'GUARANTEE' WHERE no = " + someTrade, "its amount is 200 fen paid by GUARANTEE, and its transfers move 200 fen from the user"},
	{"UPDATE shuama.trade SET subject = 'x' WHERE no = " + someTrade, theTrade + unkept},
	{`UPDATE shuama.trade SET records = '\x00000002aa' WHERE no = ` + someTrade, theTrade + unkept},
	{"UPDATE shuama.trade SET digest = decode(repeat('00', 32), 'hex') WHERE no = " + someTrade, theTrade + unkept},
	{"UPDATE shuama.trade SET out_trade_no = 'order-9' WHERE no = " + someTrade, `Trade "order-9" of app "2021000000000001": ` + unkept},
	{"UPDATE shuama.trade SET trade_no = replace(trade_no, '2026', '2027') WHERE no = " + someTrade, theRide + "the trade that it is for does not exist."},
	{"DELETE FROM shuama.trade WHERE no = " + someTrade, theRide + "the trade that it is for does not exist."},
	{"DELETE FROM shuama.trade WHERE no = " + someTrade, "names a row of trade that does not exist."},
	{"DELETE FROM shuama.used_code WHERE trade = " + someTrade, theTrade + "not all of its codes are there, but 0."},
	{"UPDATE shuama.used_code SET trade = trade + 1 WHERE trade = " + someTrade, theTrade + "not all of its codes are there, but 0."},
	{"UPDATE shuama.used_code SET code = decode(repeat('07', 32), 'hex') WHERE trade = " + someTrade, theTrade + "not all of its codes are there, but 0."},
	{"UPDATE shuama.trade SET codes = codes || codes WHERE no = " + someTrade, theTrade + "not all of its codes are there, but 1."},
	{"INSERT INTO shuama.used_code VALUES (decode(repeat('07', 32), 'hex'), " + someTrade + ")", "Code " + strings.Repeat("07", 32) + ": the trade that it has paid for does not name it."},
	{"ALTER TABLE shuama.used_code DROP CONSTRAINT used_code_pkey; INSERT INTO shuama.used_code SELECT code, trade + 1 FROM shuama.used_code WHERE trade = " + someTrade, "it has paid for 2 trades."},
	{"DELETE FROM shuama.top_up WHERE id = 'first-2'", `Transfer "topup:first-2": the top-up that it is for does not exist.`},
	{"UPDATE shuama.top_up SET amount = amount + 1 WHERE id = 'first-2'", `Top-up "first-2": it has not exactly one transfer, of its amount to its account.`},
	{"UPDATE shuama.top_up SET account = " + metro + " WHERE id = 'first-2'", `Top-up "first-2": it has not exactly one transfer, of its amount to its account.`},
	{"UPDATE shuama.top_up SET account = 999 WHERE id = 'first-2'", "A row of top_up (first-2) names a row of account that does not exist."},
	{"INSERT INTO shuama.top_up VALUES ('never', 1, 5, 0)", `Top-up "never": it has not exactly one transfer, of its amount to its account.`},
	{"CREATE TRIGGER leak AFTER INSERT ON shuama.transfer EXECUTE FUNCTION shuama.append_only()", "The trigger leak is not ours."},
	{"DROP TRIGGER posting_stands ON shuama.posting", "The trigger posting_stands is missing."},
	{"ALTER TABLE shuama.posting DISABLE TRIGGER posting_stands", "The trigger posting_stands is not as it was made."},
	{"CREATE RULE hush AS ON INSERT TO shuama.top_up DO INSTEAD NOTHING", "The rule hush is not ours."},
	{"CREATE OR REPLACE FUNCTION shuama.append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'", "The function append_only is not as it was made."},
	{"ALTER TABLE shuama.trade ADD COLUMN note text", "The table trade is not as it was made."},
	{"ALTER TABLE shuama.trade ENABLE ROW LEVEL SECURITY", "The table trade is not as it was made."},
	{"GRANT DELETE ON shuama.trade TO CURRENT_USER", "The table trade is not as it was made."},
	{"DROP INDEX shuama.extra; ALTER TABLE shuama.trade DROP CONSTRAINT trade_trade_no_key", "The index trade_trade_no_key is missing."},
}

func TestAuditFindsCorruption(t *testing.T) {
	c := commonCluster(t)
	name := c.emptyBooks(t)
	soldBooks(t, c.url(name))
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
	if err := a.examine(); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
	script(t, conn, "ROLLBACK")
	return a.report.Faults
}

// The same, through the store, with what was really stored.
func TestAuditOfDamage(t *testing.T) {
	c := commonCluster(t)
	name := c.emptyBooks(t)
	soldBooks(t, c.url(name))
	books := openURL(t, c.url(name)).Payment()
	conn := c.connect(t, name)
	script(t, conn, "SET session_replication_role = replica; UPDATE shuama.trade SET subject = 'x' WHERE no = "+someTrade)
	report, err := books.Audit(t.Context())
	if err != nil || len(report.Faults) != 1 || report.Faults[0] != theTrade+unkept {
		t.Errorf("%q, %v", report.Faults, err)
	}
	script(t, conn, "INSERT INTO shuama.top_up (id, account, amount, at) SELECT 'order ' || i, 1, 1, 0 FROM generate_series(1, 1500) AS i")
	report, err = books.Audit(t.Context())
	if err != nil || len(report.Faults) != faultsMax+1 || !strings.HasPrefix(report.Faults[faultsMax], "There are 501 more") {
		t.Errorf("%d faults, %v", len(report.Faults), err)
	}
}

// forbidden is what the tables refuse to everybody who leaves the triggers alone.
var forbidden = []string{
	"UPDATE shuama.posting SET amount = amount + 1", "DELETE FROM shuama.posting", "TRUNCATE shuama.posting",
	"UPDATE shuama.transfer SET amount = amount + 1", "DELETE FROM shuama.transfer", "TRUNCATE shuama.transfer",
	"UPDATE shuama.account SET balance = balance + 1", "UPDATE shuama.account SET postings = postings + 1", "UPDATE shuama.account SET floor = -1000000",
	"UPDATE shuama.account SET unbounded = true", "UPDATE shuama.account SET id = id || 'x'", "DELETE FROM shuama.account", "TRUNCATE shuama.account",
	"UPDATE shuama.account SET balance = 1000000, postings = 1 WHERE no = " + someUser, // back to before the ride
	"UPDATE shuama.trade SET amount = 1", "DELETE FROM shuama.trade", "TRUNCATE shuama.trade",
	"UPDATE shuama.used_code SET trade = 1", "DELETE FROM shuama.used_code", "TRUNCATE shuama.used_code",
	"UPDATE shuama.top_up SET amount = 1", "DELETE FROM shuama.top_up", "TRUNCATE shuama.top_up",
	"INSERT INTO shuama.account (id, balance, floor, unbounded, postings) VALUES ('rich', 5, 0, false, 0)",
	"INSERT INTO shuama.account (id, balance, floor, unbounded, postings) VALUES ('used', 0, 0, false, 1)",
	"INSERT INTO shuama.posting SELECT no, postings + 1, 1, 5, balance + 5 FROM shuama.account WHERE no = 1",
	"INSERT INTO shuama.used_code SELECT code, trade + 1 FROM shuama.used_code WHERE trade = " + someTrade,
	"INSERT INTO shuama.used_code VALUES (decode(repeat('00', 32), 'hex'), " + someTrade + ")",
	tradeOf("codes"), tradeOf("decode(repeat('00', 31), 'hex')"), tradeOf("decode('', 'hex')"), tradeOf("decode(repeat('00', 64), 'hex')"),
	"INSERT INTO shuama.top_up VALUES ('nowhere', 99999, 5, 0)",
	transferOf("'a copy', debit, credit, amount, code, at, reference, debit_number, debit_balance, credit_number, credit_balance FROM shuama.transfer WHERE no = " + someRide),
	transferOf("'nowhere', 998, 999, 5, 9, 0, '', 1, -5, 1, 5"),
	transferOf("'to itself', 1, 1, 5, 9, 0, '', 1, -5, 1, 5"),
	transferOf("'ahead', d.no, c.no, 5, 9, 0, '', d.postings + 2, d.balance - 5, c.postings + 1, c.balance + 5" + bothAccounts),
	transferOf("'too much', d.no, c.no, 5, 9, 0, '', d.postings + 1, d.balance - 5, c.postings + 1, c.balance + 6" + bothAccounts),
	transferOf("'overdrawn', d.no, c.no, 9000000, 9, 0, '', d.postings + 1, d.balance - 9000000, c.postings + 1, c.balance + 9000000" + bothAccounts),
	transferOf("'wrapped', d.no, c.no, 9223372036854775807, 9, 0, '', d.postings + 1, d.balance, c.postings + 1, c.balance + 9223372036854775807" + bothAccounts),
	// down and up again: the balance at the end is allowed, the one on the way is not
	transferOf("id, debit, credit, 9000000, 9, 0, '', dn, db, cn, cb FROM (SELECT 'down' AS id, d.no AS debit, c.no AS credit, d.postings + 1 AS dn, d.balance - 9000000 AS db, c.postings + 1 AS cn, c.balance + 9000000 AS cb" +
		bothAccounts + " UNION ALL SELECT 'up', c.no, d.no, c.postings + 2, c.balance, d.postings + 2, d.balance" + bothAccounts + ") AS there_and_back ORDER BY id"),
}

const bothAccounts = " FROM shuama.account AS d, shuama.account AS c WHERE d.no = " + someUser + " AND c.no = " + metro

func transferOf(rest string) string {
	return "INSERT INTO shuama.transfer (id, debit, credit, amount, code, at, reference, debit_number, debit_balance, credit_number, credit_balance) SELECT " + rest
}

// tradeOf copies a trade under other numbers, with these codes.
func tradeOf(codes string) string {
	return `INSERT INTO shuama.trade (app, out_trade_no, trade_no, digest, user_id, order_time, subject, amount, biz_context, card_type, seller_login, codes, records, settled_at, payer)
		SELECT app, 'copy', reverse(trade_no), digest, user_id, order_time, subject, amount, biz_context, card_type, seller_login, ` + codes +
		", records, settled_at, payer FROM shuama.trade WHERE no = " + someTrade
}

// Triggers hold a superuser; grants hold the owner too, before any trigger.
func TestTablesDefendThemselves(t *testing.T) {
	c := commonCluster(t)
	admin := c.connect(t, "postgres")
	script(t, admin, "CREATE ROLE keeper LOGIN PASSWORD 'x'")
	script(t, admin, "CREATE DATABASE kept OWNER keeper TEMPLATE template0")
	owner := c.urlOf("keeper", "x", "kept")
	soldBooks(t, owner)
	for _, url := range []string{owner, c.url("kept")} {
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
			if strings.HasPrefix(sql, "DELETE") && url == owner && !strings.Contains(err.Error(), "permission denied") {
				t.Errorf("the owner: %s: %v", sql, err)
			}
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	auditClean(t, openURL(t, owner).Payment())
}

// What is refused above is refused for its reason: the same transfer, right, is taken.
func TestTablesTakeWhatIsRight(t *testing.T) {
	c := commonCluster(t)
	name := c.emptyBooks(t)
	soldBooks(t, c.url(name))
	script(t, c.connect(t, name), transferOf("'right', d.no, c.no, 5, 9, 0, '', d.postings + 1, d.balance - 5, c.postings + 1, c.balance + 5"+bothAccounts))
	auditClean(t, openURL(t, c.url(name)).Payment())
}
