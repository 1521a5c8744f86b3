package postgres

import (
	"context"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// migrations is the history of the tables: append only. The number of the last one is the version of
// the schema.
func migrations() []string {
	return []string{"payment.sql", "cards.sql", "rides.sql", "agreements.sql", "cardissuer.sql", "ride_notices.sql", "risk.sql"}
}

// lockClass is the first half of our advisory locks: "Shua". The second half says what for.
const (
	lockClass     = 0x53687561
	lockMigration = 1
)

// migrate runs the scripts that these books have not seen, in one transaction, while no other program
// does the same.
func (db *DB) migrate(ctx context.Context) error {
	conn, err := db.take(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, $2)", lockClass, lockMigration); err != nil {
			return fmt.Errorf("postgres: wait for other migrations: %w", err)
		}
		version, err := schemaVersion(ctx, tx)
		if err != nil {
			return err
		}
		if err := migrateFrom(ctx, tx, version); err != nil {
			return err
		}
		return db.layOut(ctx, tx)
	})
}

// layOut divides new books, and reads how old ones are divided.
func (db *DB) layOut(ctx context.Context, tx pgx.Tx) error {
	made, err := tx.Exec(ctx, "INSERT INTO shuama.books (buckets, claims_apart) VALUES ($1, $2) ON CONFLICT DO NOTHING", db.layout.Buckets, db.layout.ClaimsApart)
	if err == nil && made.RowsAffected() > 0 {
		_, err = tx.Exec(ctx, "INSERT INTO shuama.bucket (bucket) SELECT generate_series(0, $1::int - 1)", db.layout.Buckets)
	}
	if err == nil {
		err = tx.QueryRow(ctx, "SELECT buckets, claims_apart FROM shuama.books").Scan(&db.layout.Buckets, &db.layout.ClaimsApart)
	}
	if err != nil {
		return fmt.Errorf("postgres: layout: %w", err)
	}
	return nil
}

// schemaVersion is 0 in a database that has no schema of this name.
func schemaVersion(ctx context.Context, tx pgx.Tx) (version int, err error) {
	var exists, ours bool
	err = tx.QueryRow(ctx, "SELECT to_regnamespace('shuama') IS NOT NULL, to_regclass('shuama.schema_version') IS NOT NULL").Scan(&exists, &ours)
	if err != nil || !exists {
		return 0, err
	}
	if !ours {
		return 0, ErrForeign
	}
	if err := tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM shuama.schema_version").Scan(&version); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if known := len(migrations()); version > known {
		return 0, fmt.Errorf("%w: their schema version is %d, this one knows %d", ErrNewer, version, known)
	}
	return version, nil
}

func migrateFrom(ctx context.Context, tx pgx.Tx, version int) error {
	if version == 0 {
		_, err := tx.Exec(ctx, `CREATE SCHEMA shuama; CREATE TABLE shuama.schema_version (version integer PRIMARY KEY,
			name text NOT NULL, at timestamptz NOT NULL DEFAULT now())`, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			return fmt.Errorf("postgres: create the schema: %w", err)
		}
	}
	for i, name := range migrations()[version:] {
		script, err := schemaFiles.ReadFile("schema/" + name)
		if err != nil {
			return fmt.Errorf("postgres: internal error: %w", err)
		}
		if _, err := tx.Exec(ctx, string(script), pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("postgres: migration %s: %w", name, err)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO shuama.schema_version (version, name) VALUES ($1, $2)", version+i+1, name); err != nil {
			return fmt.Errorf("postgres: migration %s: %w", name, err)
		}
	}
	return nil
}
