package store

import (
	"zombiezen.com/go/sqlite"
)

// examineSchema compares the tables and triggers with those of a new file: whoever wants to change
// what is append-only has to remove a trigger first.
func (a *auditor) examineSchema() error {
	wanted, err := newSchema()
	if err != nil {
		return err
	}
	found, err := schemaOf(a.book.conn)
	if err != nil {
		return err
	}
	for _, object := range wanted {
		switch sql, exists := found.find(object.name); {
		case !exists:
			a.Fault("The %s %s is missing.", object.kind, object.name)
		case sql != object.sql:
			a.Fault("The %s %s is not as it was made.", object.kind, object.name)
		}
	}
	for _, object := range found {
		if _, known := wanted.find(object.name); !known && object.kind == "trigger" {
			a.Fault("The trigger %s is not ours.", object.name)
		}
	}
	return nil
}

// schemaObject is a table, index, view or trigger.
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
	err = rows(conn, "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name",
		func(stmt *sqlite.Stmt) error {
			objects = append(objects, schemaObject{kind: stmt.ColumnText(0), name: stmt.ColumnText(1), sql: stmt.ColumnText(2)})
			return nil
		})
	return objects, err
}
