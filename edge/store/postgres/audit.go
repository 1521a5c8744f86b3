package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/role/payment"
)

// faultsMax bounds what an audit lists; a table that was overwritten has a fault in every row.
const faultsMax = 1000

// auditor collects what is found in one snapshot.
type auditor struct {
	ctx    context.Context
	conn   *pgx.Conn
	report payment.AuditReport
	more   int // faults that are not listed
}

// Audit implements payment.Store. It believes nothing that the tables promise: it reads every row of the
// tables themselves, past their indexes, and counts again. Time and temporary space of the server grow
// with the books; memory here grows with the accounts alone. While it runs, the server keeps old rows.
func (s *PaymentStore) Audit(ctx context.Context) (payment.AuditReport, error) {
	var a auditor
	err := s.db.read(ctx, func(conn *pgx.Conn) error {
		a = auditor{ctx: ctx, conn: conn}
		return a.audit()
	})
	if err != nil {
		return payment.AuditReport{}, fmt.Errorf("postgres: audit: %w", err)
	}
	if a.more > 0 {
		a.report.Faults = append(a.report.Faults, fmt.Sprintf("There are %d more faults.", a.more))
	}
	return a.report, nil
}

// tables is all that is ours, in the order of the references between them.
func tables() []string {
	return []string{"account", "transfer", "posting", "trade", "used_code", "top_up"}
}

func (a *auditor) audit() error {
	if err := a.execute(beginSnapshot); err != nil {
		return err
	}
	if err := a.examine(); err != nil {
		return err
	}
	return a.execute("commit")
}

func (a *auditor) examine() error {
	for _, examine := range []func() error{
		a.readAll, a.examineSchema, a.countRows, a.examineConstraints, a.examineReferences,
		a.examineAccounts, a.examineLegs, a.examineTransfers,
		a.examineTrades, a.examineContents, a.examineCodes, a.examineTopUps,
	} {
		if err := examine(); err != nil {
			return err
		}
	}
	return nil
}

// readAll undoes what configure has set for reading by key. Row security could hide rows: with this
// setting, that is an error. Nothing that an operator set for others, as a limit of time, ends an audit in
// the middle.
func (a *auditor) readAll() error {
	return a.execute("set local enable_seqscan = on", "set local enable_hashjoin = on", "set local enable_mergejoin = on",
		"set local enable_indexscan = off", "set local enable_indexonlyscan = off", "set local enable_bitmapscan = off",
		"set local plan_cache_mode = force_custom_plan", "set local work_mem = '64MB'", "set local row_security = off", "set local statement_timeout = 0")
}

func (a *auditor) execute(statements ...string) error {
	for _, statement := range statements {
		if _, err := a.conn.Exec(a.ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
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

// rows runs a query, and row after each row was read into columns. The rows are not kept prepared: the
// tables may be other ones than they were.
func (a *auditor) rows(query string, columns []any, row func() error) error {
	rows, err := a.conn.Query(a.ctx, query, pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, columns, row)
	return err
}

// faultRows runs a query that finds only what is wrong, and words each row.
func (a *auditor) faultRows(query string, columns []any, word func() string) error {
	return a.rows(query, columns, func() error {
		a.fault("%s", word())
		return nil
	})
}

func (a *auditor) countRows() error {
	r := &a.report
	return a.rows(`SELECT (SELECT count(*) FROM shuama.account), (SELECT count(*) FROM shuama.transfer), (SELECT count(*) FROM shuama.posting),
		(SELECT count(*) FROM shuama.trade), (SELECT count(*) FROM shuama.used_code)`,
		[]any{&r.Accounts, &r.Transfers, &r.Postings, &r.Trades, &r.Codes}, func() error { return nil })
}

//go:embed schema/objects.txt
var wantedObjects string

// schemaObject is a table, an index, a constraint, a trigger, a rule or a function, and what it is.
type schemaObject struct{ kind, name, definition string }

func (o schemaObject) line() string {
	return o.kind + "\t" + o.name + "\t" + strconv.Quote(o.definition) + "\n"
}

// objectsQuery describes what is in the schema, in words that do not change with the version of
// PostgreSQL. An owner who has granted himself more than append has changed the table.
const objectsQuery = `
	SELECT 'table' AS kind, c.relname::text AS name, concat_ws('; ', c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
		(SELECT string_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull, collname, attidentity, attgenerated), ', ' ORDER BY attnum)
			FROM pg_attribute LEFT JOIN pg_collation ON pg_collation.oid = attcollation WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
		(SELECT string_agg(DISTINCT privilege_type, ',' ORDER BY privilege_type) FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) WHERE grantee = c.relowner),
		(SELECT count(*) FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent))) AS definition
	FROM pg_class AS c WHERE c.relnamespace = 'shuama'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname <> 'schema_version'
	UNION ALL SELECT 'index', c.relname::text, concat_ws(' ', replace(pg_get_indexdef(i.indexrelid), 'shuama.', ''), i.indisvalid, i.indisunique, i.indimmediate)
	FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
	WHERE c.relnamespace = 'shuama'::regnamespace AND i.indrelid <> 'shuama.schema_version'::regclass
	UNION ALL SELECT 'constraint', conname::text, concat_ws(' ', conrelid::regclass, pg_get_constraintdef(oid), convalidated)
	FROM pg_constraint WHERE connamespace = 'shuama'::regnamespace AND contype IN ('c', 'p', 'u', 'x', 'f') AND conrelid <> 'shuama.schema_version'::regclass
	UNION ALL SELECT 'trigger', tgname::text, concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled)
	FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid WHERE c.relnamespace = 'shuama'::regnamespace AND NOT tgisinternal
	UNION ALL SELECT 'rule', rulename::text, concat_ws(' ', ev_class::regclass, ev_type, is_instead)
	FROM pg_rewrite JOIN pg_class AS c ON c.oid = ev_class WHERE c.relnamespace = 'shuama'::regnamespace
	UNION ALL SELECT 'function', proname::text, concat_ws(' ', prosecdef, proconfig::text, prosrc)
	FROM pg_proc WHERE pronamespace = 'shuama'::regnamespace
	ORDER BY 1, 2, 3`

func (a *auditor) objects() (objects []schemaObject, err error) {
	var o schemaObject
	err = a.rows(objectsQuery, []any{&o.kind, &o.name, &o.definition}, func() error {
		objects = append(objects, o)
		return nil
	})
	return objects, err
}

// examineSchema compares tables and triggers with what they were made as: whoever wants to change what
// is append-only has to remove a trigger first.
func (a *auditor) examineSchema() error {
	found, err := a.objects()
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for line := range strings.Lines(wantedObjects) {
		kind, rest, _ := strings.Cut(line, "\t")
		name, _, _ := strings.Cut(rest, "\t")
		known[kind+" "+name] = true
		a.examineObject(kind, name, line, found)
	}
	for _, object := range found {
		if !known[object.kind+" "+object.name] && object.kind != "index" && object.kind != "table" && object.kind != "function" {
			a.fault("The %s %s is not ours.", object.kind, object.name)
		}
	}
	return nil
}

func (a *auditor) examineObject(kind, name, line string, found []schemaObject) {
	exists := false
	for _, object := range found {
		if object.kind == kind && object.name == name {
			exists = true
			if object.line() == line {
				return
			}
		}
	}
	if exists {
		a.fault("The %s %s is not as it was made.", kind, name)
		return
	}
	a.fault("The %s %s is missing.", kind, name)
}

// examineConstraints asks of every row what each constraint asks of a new one. Those that are not ours
// were named before; theirs is text of somebody else, and not run.
func (a *auditor) examineConstraints() error {
	var checks, keys [][3]string
	var kind, name, table, expression string
	err := a.rows(`SELECT contype::text, conname::text, conrelid::regclass::text, CASE contype WHEN 'c' THEN pg_get_expr(conbin, conrelid)
			ELSE (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey)) END
		FROM pg_constraint WHERE connamespace = 'shuama'::regnamespace AND contype IN ('c', 'p', 'u') ORDER BY conname`,
		[]any{&kind, &name, &table, &expression}, func() error {
			switch {
			case !strings.Contains(wantedObjects, "constraint\t"+name+"\t"):
			case kind == "c":
				checks = append(checks, [3]string{name, table, expression})
			default:
				keys = append(keys, [3]string{name, table, expression})
			}
			return nil
		})
	if err != nil {
		return err
	}
	for _, check := range checks {
		if err := a.examineCount(fmt.Sprintf("SELECT count(*) FROM %s WHERE NOT (%s)", check[1], check[2]),
			"The table %[2]s is damaged: %[3]d rows break its constraint %[1]s.", check[0], check[1]); err != nil {
			return err
		}
	}
	for _, key := range keys {
		if err := a.examineCount(fmt.Sprintf("SELECT count(*) FROM (SELECT FROM %s GROUP BY %s HAVING count(*) > 1) AS twice", key[1], key[2]),
			"The table %[2]s is damaged: %[3]d keys of its constraint %[1]s stand there more than once.", key[0], key[1]); err != nil {
			return err
		}
	}
	return nil
}

func (a *auditor) examineCount(query, sentence, name, table string) error {
	var count int
	return a.rows(query, []any{&count}, func() error {
		if count > 0 {
			a.fault(sentence, name, strings.TrimPrefix(table, "shuama."), count)
		}
		return nil
	})
}

// examineReferences: no row names one that does not exist. Postings have sentences of their own.
func (a *auditor) examineReferences() error {
	for _, reference := range []struct{ table, column, row, to string }{
		{"transfer", "debit", "id", "account"}, {"transfer", "credit", "id", "account"},
		{"used_code", "trade", "encode(code, 'hex')", "trade"}, {"top_up", "account", "id", "account"},
	} {
		var row string
		query := fmt.Sprintf("SELECT %s FROM shuama.%s AS f WHERE NOT EXISTS (SELECT FROM shuama.%s AS t WHERE t.no = f.%s)",
			reference.row, reference.table, reference.to, reference.column)
		err := a.faultRows(query, []any{&row}, func() string {
			return fmt.Sprintf("A row of %s (%s) names a row of %s that does not exist.", reference.table, row, reference.to)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
