package postgres

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

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
		(SELECT count(*) FROM pg_inherits WHERE c.oid = inhrelid OR c.oid = inhparent AND c.relkind <> 'p')) AS definition
	FROM pg_class AS c WHERE c.relnamespace = 'shuama'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname <> 'schema_version' AND NOT c.relispartition
	UNION ALL SELECT 'index', c.relname::text, concat_ws(' ', replace(pg_get_indexdef(i.indexrelid), 'shuama.', ''), i.indisvalid, i.indisunique, i.indimmediate)
	FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
	WHERE c.relnamespace = 'shuama'::regnamespace AND i.indrelid <> 'shuama.schema_version'::regclass AND NOT c.relispartition
	UNION ALL SELECT 'constraint', conname::text, concat_ws(' ', conrelid::regclass, pg_get_constraintdef(oid), convalidated)
	FROM pg_constraint WHERE connamespace = 'shuama'::regnamespace AND contype IN ('c', 'p', 'u', 'x', 'f') AND conrelid <> 'shuama.schema_version'::regclass AND conparentid = 0
		AND NOT (SELECT relispartition FROM pg_class WHERE pg_class.oid = conrelid)
	UNION ALL SELECT 'trigger', tgname::text, concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled)
	FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid WHERE c.relnamespace = 'shuama'::regnamespace AND NOT tgisinternal AND NOT c.relispartition
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
			a.Fault("The %s %s is not ours.", object.kind, object.name)
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
		a.Fault("The %s %s is not as it was made.", kind, name)
		return
	}
	a.Fault("The %s %s is missing.", kind, name)
}

// examineConstraints asks of every row what each constraint asks of a new one. Those that are not ours
// were named before; theirs is text of somebody else, and not run.
func (a *auditor) examineConstraints() error {
	var checks, keys [][3]string
	var kind, name, table, expression string
	err := a.rows(`SELECT contype::text, conname::text, conrelid::regclass::text, CASE contype WHEN 'c' THEN pg_get_expr(conbin, conrelid)
			ELSE (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey)) END
		FROM pg_constraint WHERE connamespace = 'shuama'::regnamespace AND contype IN ('c', 'p', 'u') AND conparentid = 0
			AND NOT (SELECT relispartition FROM pg_class WHERE pg_class.oid = conrelid) ORDER BY conname`,
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
			a.Fault(sentence, name, strings.TrimPrefix(table, "shuama."), count)
		}
		return nil
	})
}

// examineDays: each day's part of transfer is as add_day makes it. The rows in it are looked at with all
// others.
func (a *auditor) examineDays() error {
	var name string
	return a.faultRows(`SELECT c.relname FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid WHERE inhparent = 'shuama.transfer'::regclass AND (
		c.relname <> 'transfer_' || substring(pg_get_expr(c.relpartbound, c.oid) FROM '\((\d+)\) TO') OR
		EXISTS (SELECT FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) WHERE grantee IN (c.relowner, 0)) OR
		(SELECT string_agg(concat_ws(' ', tgname, tgfoid::regproc, tgenabled, tgtype), ', ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid)
			IS DISTINCT FROM 'transfer_remains shuama.append_only O 34, transfer_stands shuama.append_only O 27')
		ORDER BY 1`, []any{&name}, func() string { return fmt.Sprintf("The table %s is not as it was made.", name) })
}

// examinePosted: the notices that were not taken are all there.
func (a *auditor) examinePosted() error {
	var bucket int
	var there, due int64
	return a.faultRows(`SELECT bucket, (SELECT count(*) FROM shuama.posted AS p WHERE p.bucket = b.bucket AND seq > taken_posted AND seq < next_posted),
			next_posted - 1 - taken_posted FROM shuama.bucket AS b
		WHERE (SELECT count(*) FROM shuama.posted AS p WHERE p.bucket = b.bucket) IS DISTINCT FROM next_posted - 1 - taken_posted`,
		[]any{&bucket, &there, &due}, func() string {
			return fmt.Sprintf("Bucket %d: %d notices are there, and %d were not taken.", bucket, there, due)
		})
}
