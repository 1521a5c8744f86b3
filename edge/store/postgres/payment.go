package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/role/payment"
)

// PaymentStore is the books of the payment institution (支付机构账簿). It implements payment.Store; what it
// promises is written there.
type PaymentStore struct{ db *DB }

var _ payment.Store = (*PaymentStore)(nil)

// Payment is the payment institution's part of the database.
func (db *DB) Payment() *PaymentStore { return &PaymentStore{db: db} }

// Buckets implements payment.Store.
func (s *PaymentStore) Buckets() int { return s.db.layout.Buckets }

// Update implements payment.Store. Instants are kept to the microsecond.
//
// It speaks twice: the first time it takes the bucket's lock and reads, the second time it writes and
// commits. What PostgreSQL has rolled back is tried again, and so is what ended with its connection:
// whether that was committed is then read like everything else.
func (s *PaymentStore) Update(ctx context.Context, need payment.Need, decide func(payment.State) (payment.Changes, error)) error {
	err := s.db.try(ctx, func(*attempt) error {
		conn, err := s.db.take(ctx)
		if err != nil {
			return err
		}
		defer release(conn) // also when decide panics
		if s.db.layout.ClaimsApart && len(need.Claims) > 0 {
			if err := claimBefore(ctx, conn.Conn(), need, s.db.layout.Buckets); err != nil {
				return outcome(err, conn.Conn())
			}
		}
		return outcome(s.update(ctx, conn.Conn(), need, decide), conn.Conn())
	})
	return away(err)
}

func (s *PaymentStore) update(ctx context.Context, conn *pgx.Conn, need payment.Need, decide func(payment.State) (payment.Changes, error)) error {
	state, err := s.loadHeld(ctx, conn, need)
	if err != nil {
		return fmt.Errorf("postgres: read: %w", err)
	}
	changes, err := decide(state)
	if err == nil {
		err = changes.Check(state.Free)
	}
	if err != nil {
		return &decideError{err}
	}
	return saveAndCommit(ctx, conn, need.Bucket, state, changes)
}

// away tells a caller that the books do not answer; what they have answered stays what it is.
func away(err error) error {
	var lost *lostError
	if errors.As(err, &lost) || errors.Is(err, errGivenUp) {
		return fmt.Errorf("%w: %w", payment.ErrAway, err)
	}
	return err
}

// View implements payment.Store.
func (s *PaymentStore) View(ctx context.Context, need payment.Need) (state payment.State, err error) {
	err = s.db.read(ctx, func(conn *pgx.Conn) error {
		state, err = s.loadSnapshot(ctx, conn, need)
		return err
	})
	if err != nil {
		return payment.State{}, away(fmt.Errorf("postgres: view: %w", err))
	}
	return state, nil
}
