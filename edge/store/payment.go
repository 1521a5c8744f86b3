package store

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/role/payment"
)

// PaymentStore is the books of the payment institution (支付机构账簿). It implements payment.Store; what
// it promises is written there.
type PaymentStore struct{ db *DB }

var _ payment.Store = (*PaymentStore)(nil)

// Payment is the payment institution's part of the file.
func (db *DB) Payment() *PaymentStore { return &PaymentStore{db: db} }

// ErrInconsistent is a decision that is at odds with itself or with what it was given. It is a
// mistake of the program; nothing of it was written.
var ErrInconsistent = errors.New("store: inconsistent changes")

// Update implements payment.Store. Instants are kept to the microsecond.
func (s *PaymentStore) Update(ctx context.Context, need payment.Need, decide func(payment.State) (payment.Changes, error)) error {
	return s.db.write(ctx, func(conn *sqlite.Conn) error {
		state, rows, err := load(conn, need)
		if err != nil {
			return fmt.Errorf("store: read: %w", err)
		}
		changes, err := decide(state)
		if err != nil {
			return err
		}
		if err := save(conn, rows, changes); err != nil {
			return fmt.Errorf("store: write: %w", err)
		}
		return nil
	})
}

// View implements payment.Store.
func (s *PaymentStore) View(ctx context.Context, need payment.Need) (payment.State, error) {
	var state payment.State
	err := s.db.read(ctx, func(conn *sqlite.Conn) (err error) {
		state, _, err = load(conn, need)
		return err
	})
	if err != nil {
		return payment.State{}, fmt.Errorf("store: view: %w", err)
	}
	return state, nil
}
