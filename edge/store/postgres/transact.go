package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrInconsistent says that what is to be stored contradicts itself.
var ErrInconsistent = errors.New("postgres: inconsistent changes")

// transact runs fn in a transaction, and again while that may help, also when nobody knows whether the last
// one was committed: fn then finds what it has written. It commits when fn returns nil. An error of the
// caller's own, which is nobody's reason to try again, comes as a *decideError.
func (db *DB) transact(ctx context.Context, fn func(ctx context.Context, conn *pgx.Conn) error) error {
	return db.try(ctx, func(*attempt) error {
		conn, err := db.take(ctx)
		if err != nil {
			return err
		}
		defer release(conn) // also when fn panics
		_, err = conn.Exec(ctx, "begin")
		if err == nil {
			err = fn(ctx, conn.Conn())
		}
		if err == nil {
			err = commit(ctx, conn.Conn(), &pgx.Batch{})
		}
		return outcome(err, conn.Conn())
	})
}

// commit sends what is queued with a commit behind it. From then on it is not interrupted: who asked would
// not know whether it happened. Where nothing is to be written, what was read is confirmed.
func commit(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if batch.Len() == 0 {
		batch.Queue(confirm)
	}
	var ended pgconn.CommandTag
	batch.Queue("commit").Exec(func(tag pgconn.CommandTag) error {
		ended = tag
		return nil
	})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitWait)
	defer cancel()
	err := conn.SendBatch(ctx, batch).Close()
	if err == nil && ended.String() != "COMMIT" { // PostgreSQL answers a commit after a failure so, and calls it no error
		return errors.New("postgres: the transaction was rolled back before its commit")
	}
	if err != nil {
		return fmt.Errorf("postgres: write: %w", err)
	}
	return nil
}

// release rolls back what is open, and gives the connection back. Whether the caller still has time does
// not matter to those who wait for its locks.
func release(conn *pgxpool.Conn) {
	defer conn.Release()
	if pg := conn.Conn().PgConn(); !pg.IsClosed() && pg.TxStatus() != txIdle {
		ctx, cancel := context.WithTimeout(context.Background(), rollbackWait)
		defer cancel()
		_, _ = conn.Exec(ctx, "rollback") // were it to fail, the pool throws the connection away
	}
}

// read runs fn, which begins and ends its own snapshot, and runs it again when the connection was lost.
func (db *DB) read(ctx context.Context, fn func(*pgx.Conn) error) error {
	return db.try(ctx, func(*attempt) error {
		conn, err := db.take(ctx)
		if err != nil {
			return err
		}
		defer release(conn)
		return outcome(fn(conn.Conn()), conn.Conn())
	})
}

const beginSnapshot = "begin isolation level repeatable read read only"
