package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/shuama/shuama/role/payment"
)

// PaymentStore is the books of the payment institution (支付机构账簿). It implements payment.Store; what it
// promises is written there.
type PaymentStore struct{ db *DB }

var _ payment.Store = (*PaymentStore)(nil)

// Payment is the payment institution's part of the database.
func (db *DB) Payment() *PaymentStore { return &PaymentStore{db: db} }

// Update implements payment.Store. Instants are kept to the microsecond.
//
// It speaks twice: the first time it locks the accounts of need and reads, the second time it writes and
// commits, so that a busy account is held as briefly as can be. What PostgreSQL has rolled back is tried
// again, and so is what ended with its connection before a commit was sent. When the connection is lost
// after that, the error is ErrUnknown.
//
// Two updates that share an account in need come one after the other. Of two that share only a trade, a
// code, a top-up or an account that is not there yet, and both make it, the second is read and decided
// again.
func (s *PaymentStore) Update(ctx context.Context, need payment.Need, decide func(payment.State) (payment.Changes, error)) error {
	return s.db.try(ctx, func(a *attempt) error {
		conn, err := s.db.take(ctx)
		if err != nil {
			return err
		}
		defer release(conn) // also when decide panics
		rows, changes, err := readAndDecide(ctx, conn.Conn(), need, a.exclusive, decide)
		if err != nil {
			return interrupted(err, conn.Conn().IsClosed())
		}
		return saveAndCommit(ctx, conn.Conn(), rows, changes)
	})
}

// readAndDecide does all that comes before the commit is sent.
func readAndDecide(ctx context.Context, conn *pgx.Conn, need payment.Need, exclusive bool,
	decide func(payment.State) (payment.Changes, error)) (*lockedRows, payment.Changes, error) {
	state, rows, err := loadLocked(ctx, conn, need, exclusive)
	if err != nil {
		return nil, payment.Changes{}, fmt.Errorf("postgres: read: %w", err)
	}
	changes, err := decide(state)
	if err != nil {
		return nil, payment.Changes{}, &decideError{err}
	}
	if err := rows.open(ctx, conn, changes.Opened); err != nil {
		return nil, payment.Changes{}, fmt.Errorf("postgres: write: %w", err)
	}
	return rows, changes, nil
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

// View implements payment.Store.
func (s *PaymentStore) View(ctx context.Context, need payment.Need) (payment.State, error) {
	var state payment.State
	err := s.db.read(ctx, func(conn *pgx.Conn) (err error) {
		state, err = loadSnapshot(ctx, conn, need)
		return err
	})
	if err != nil {
		return payment.State{}, fmt.Errorf("postgres: view: %w", err)
	}
	return state, nil
}

// read runs fn, which begins and ends its own snapshot, and runs it again when the connection was lost.
func (db *DB) read(ctx context.Context, fn func(*pgx.Conn) error) error {
	return db.try(ctx, func(*attempt) error {
		conn, err := db.take(ctx)
		if err != nil {
			return err
		}
		defer release(conn)
		return interrupted(fn(conn.Conn()), conn.Conn().IsClosed())
	})
}

const beginSnapshot = "begin isolation level repeatable read read only"
