package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/role/payment"
)

// PaymentStore is the books of the payment institution (支付机构账簿), in one bucket. It implements
// payment.Store; what it promises is written there.
type PaymentStore struct {
	db      *DB
	careful atomic.Bool // the last batch had a code that was used: look at all codes of the next one first
}

var _ payment.Store = (*PaymentStore)(nil)

// Payment is the payment institution's part of the file.
func (db *DB) Payment() *PaymentStore { return &PaymentStore{db: db} }

// ErrInconsistent is a decision that is at odds with itself or with what it was given. It is a
// mistake of the program; nothing of it was written.
var ErrInconsistent = errors.New("store: inconsistent changes")

// Buckets implements payment.Store.
func (s *PaymentStore) Buckets() int { return 1 }

// Update implements payment.Store. Instants are kept to the microsecond.
func (s *PaymentStore) Update(ctx context.Context, need payment.Need, decide func(payment.State) (payment.Changes, error)) error {
	var refused error // by decide: it is returned as it is, whatever it looks like
	err := s.write(ctx, func(b *book) error {
		state, err := b.loadAndClaim(need)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		var changes payment.Changes
		if changes, refused = decide(state); refused != nil {
			return errRefused
		}
		return b.save(state, changes)
	})
	if errors.Is(err, errRefused) {
		return refused
	}
	return err
}

var errRefused = errors.New("store: decided against it")

// View implements payment.Store.
func (s *PaymentStore) View(ctx context.Context, need payment.Need) (state payment.State, err error) {
	err = s.read(ctx, "view", func(b *book) (err error) {
		state, err = b.load(need)
		return err
	})
	if err != nil {
		return payment.State{}, err
	}
	return state, nil
}

// write runs fn on the books, in one transaction.
func (s *PaymentStore) write(ctx context.Context, fn func(*book) error) error {
	return away(s.db.write(ctx, func(conn *sqlite.Conn) error {
		b, err := openBook(conn)
		if err != nil {
			return err
		}
		if err := fn(b); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		return nil
	}))
}

// read runs fn on one snapshot of the books.
func (s *PaymentStore) read(ctx context.Context, what string, fn func(*book) error) error {
	err := s.db.read(ctx, func(conn *sqlite.Conn) error {
		b, err := openBook(conn)
		if err != nil {
			return err
		}
		return fn(b)
	})
	if err != nil {
		return away(fmt.Errorf("store: %s: %w", what, err))
	}
	return nil
}

// away marks what is wrong with the file, and not with what was to be stored: nobody knows what has happened,
// and the same may succeed later.
func away(err error) error {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultOK, sqlite.ResultError, sqlite.ResultConstraint, sqlite.ResultTooBig, sqlite.ResultMismatch:
		if !errors.Is(err, ErrClosed) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", payment.ErrAway, err)
}
