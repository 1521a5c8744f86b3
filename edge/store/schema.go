package store

import (
	"context"
	"embed"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitemigration"
)

// applicationID marks our files in their header: "Shua".
const applicationID = 0x53687561

//go:embed schema/*.sql
var schemaFiles embed.FS

// migrations is the history of the tables: append only. The number of a file's last one is its
// schema version.
func migrations() []string {
	return []string{"payment.sql", "merchant.sql", "cards.sql", "rides.sql", "deliveries.sql", "cardissuer.sql", "agreements.sql", "merchant_rides.sql", "ride_notices.sql", "risk.sql", "reconcile.sql"}
}

// checkOwner refuses what is not ours to write into. A new file has neither mark nor tables.
func checkOwner(conn *sqlite.Conn) error {
	tables, err := queryInt(conn, "SELECT count(*) FROM sqlite_schema")
	if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultNotADB {
		return ErrNotDatabase
	}
	if err != nil {
		return fmt.Errorf("store: open: %w", err)
	}
	application, err := queryInt(conn, "PRAGMA application_id")
	if err != nil {
		return fmt.Errorf("store: open: %w", err)
	}
	if application != applicationID && (application != 0 || tables != 0) {
		return ErrForeign
	}
	return checkVersion(conn)
}

func checkVersion(conn *sqlite.Conn) error {
	version, err := queryInt(conn, "PRAGMA user_version")
	if err != nil {
		return fmt.Errorf("store: open: %w", err)
	}
	if known := int64(len(migrations())); version > known {
		return fmt.Errorf("%w: its schema version is %d, this one knows %d", ErrNewer, version, known)
	}
	return nil
}

// migrate runs the scripts that this file has not seen, each in its own transaction.
func migrate(conn *sqlite.Conn) error {
	schema := sqlitemigration.Schema{AppID: applicationID}
	for _, name := range migrations() {
		script, err := schemaFiles.ReadFile("schema/" + name)
		if err != nil {
			return fmt.Errorf("store: internal error: %w", err)
		}
		schema.Migrations = append(schema.Migrations, string(script))
	}
	if err := sqlitemigration.Migrate(context.Background(), conn, schema); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}
