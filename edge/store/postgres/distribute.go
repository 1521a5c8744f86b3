package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Errors of distributing, for errors.Is.
var (
	ErrNoCitus  = errors.New("postgres: this server has no Citus extension: install it, and CREATE EXTENSION citus")
	ErrTogether = errors.New("postgres: these books claim numbers together with the settlement, which then needs two machines: make new ones with claims apart")
)

// DistributeScript is what Citus needs so that each bucket is on one of several machines (分布式): every table
// is led by its bucket, every statement is of one, and functions run where it is. It was designed for Citus
// and never run on one: no registry serves it.
func DistributeScript() string {
	var b strings.Builder
	b.WriteString(`-- Triggers on distributed tables have to be allowed: those of ours stay within their bucket.
SET citus.enable_unsafe_triggers = on;
-- Each bucket on one machine, all its tables beside each other.
SELECT create_reference_table('shuama.books');
SELECT create_distributed_table('shuama.bucket', 'bucket', colocate_with => 'none');
`)
	for _, table := range []string{"account", "trade", "used_code", "document", "transfer", "rider", "under_way", "posted", "risk_entry", "risk_seen"} {
		fmt.Fprintf(&b, "SELECT create_distributed_table('shuama.%s', 'bucket', colocate_with => 'shuama.bucket');\n", table)
	}
	b.WriteString(`-- Numbers where their hash puts them.
SELECT create_distributed_table('shuama.claim', 'key_bucket', colocate_with => 'none');
-- A batch is settled on the machine of its bucket, and a number is claimed on its own.
`)
	for _, function := range []struct{ signature, argument, table string }{
		{"hold(integer)", "p_bucket", "bucket"},
		{"reserve(integer, bigint)", "p_bucket", "bucket"},
		{"change_floor(integer, text, bigint)", "p_bucket", "bucket"},
		{"settle(integer, integer, bigint, boolean, bigint[], integer[], text[], text[], bytea[], text[], text[], bigint[], boolean[], bytea[], bytea[])", "p_bucket", "bucket"},
		{"take_numbers_of(integer, text[], text[], bytea[], integer, bigint[])", "p_key_bucket", "claim"},
	} {
		fmt.Fprintf(&b, "SELECT create_distributed_function('shuama.%s', '%s', colocate_with => 'shuama.%s');\n", function.signature, function.argument, function.table)
	}
	b.WriteString(`-- What the functions call goes where they run.
SELECT create_distributed_function('shuama.' || oid::regprocedure::text) FROM pg_proc
  WHERE pronamespace = 'shuama'::regnamespace AND proname IN ('settle_carefully', 'write_trades', 'take_numbers', 'transfer_posts', 'follows', 'account_opens_empty', 'append_only');
`)
	return b.String()
}

// Distribute applies DistributeScript to a database whose books claim numbers apart.
func (db *DB) Distribute(ctx context.Context) error {
	if !db.layout.ClaimsApart {
		return ErrTogether
	}
	conn, err := db.take(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	var installed bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')").Scan(&installed); err != nil {
		return fmt.Errorf("postgres: distribute: %w", err)
	}
	if !installed {
		return ErrNoCitus
	}
	if _, err := conn.Exec(ctx, DistributeScript(), pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("postgres: distribute: %w", err)
	}
	return nil
}
