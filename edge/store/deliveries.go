package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/role/payment"
)

// Deliveries keeps the notices on their way (通知队列), beside the books. It implements payment.Deliveries.
type Deliveries struct {
	db  *DB
	gap func(attempt int) (time.Duration, bool)
}

var _ payment.Deliveries = (*Deliveries)(nil)

// Deliveries is the queue of this file. gap is how long after a failed attempt the next one is due, as
// payment.DeliveryGap.
func (db *DB) Deliveries(gap func(attempt int) (time.Duration, bool)) *Deliveries {
	return &Deliveries{db: db, gap: gap}
}

const (
	moveEvery   = time.Second
	movesAtOnce = 200 // entries: up to as many batches of trades
	carriers    = 16
	carryWait   = 20 * time.Second
	carryLease  = 3 * carryWait // after it, whoever took a delivery is dead
)

// expandPosted tells who gets what was posted.
type expandPosted = func(ctx context.Context, bucket int, posted []payment.Posted) ([]payment.Delivery, error)

// Run implements payment.Deliveries.
func (d *Deliveries) Run(ctx context.Context, expand expandPosted, courier payment.Courier) error {
	for ctx.Err() == nil {
		moved, err := d.move(ctx, expand)
		rides, moving := d.moveRides(ctx, courier)
		carried, carrying := d.carryDue(ctx, courier)
		if err := errors.Join(err, moving, carrying); err != nil && ctx.Err() == nil && !errors.Is(err, payment.ErrAway) {
			return err
		}
		if max(moved, rides) < movesAtOnce && carried < carriers {
			pause(ctx, moveEvery)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// move is one transaction: what leaves posted stands in delivery. Deciding who gets it reads the books, so
// it comes before; what another program has taken meanwhile is left to it.
func (d *Deliveries) move(ctx context.Context, expand expandPosted) (int, error) {
	books := d.db.Payment()
	posted, err := books.Posted(ctx, 0, movesAtOnce)
	if err != nil || len(posted) == 0 {
		return 0, err
	}
	deliveries, err := expand(ctx, 0, posted)
	if err != nil {
		return 0, err
	}
	err = books.write(ctx, func(b *book) error {
		if b.takenPosted != posted[0].Seq-1 {
			return nil
		}
		return errors.Join(queueDeliveries(b.conn, deliveries, time.Now()), b.deleteNotices(posted[len(posted)-1].Seq), b.keepCounts())
	})
	return len(posted), err
}

// moveRides does the same for notices of rides. One that nobody wants goes nowhere.
func (d *Deliveries) moveRides(ctx context.Context, courier payment.Courier) (moved int, err error) {
	waiting, err := d.hasRideNotices(ctx)
	if err != nil || !waiting {
		return 0, away(err)
	}
	err = d.db.write(ctx, func(conn *sqlite.Conn) error {
		deliveries, err := takeRideNotices(conn, movesAtOnce)
		if err != nil {
			return err
		}
		moved = len(deliveries)
		wanted := slices.DeleteFunc(deliveries, func(delivery payment.Delivery) bool { return !courier.Wants(delivery.To, delivery.Notice) })
		return queueDeliveries(conn, wanted, time.Now())
	})
	return moved, away(err)
}

// hasRideNotices spares the file a write each second.
func (d *Deliveries) hasRideNotices(ctx context.Context) (waiting bool, err error) {
	err = d.db.read(ctx, func(conn *sqlite.Conn) error {
		found, err := queryInt(conn, "SELECT EXISTS (SELECT 1 FROM ride_notice)")
		waiting = found == 1
		return err
	})
	return waiting, err
}

func queueDeliveries(conn *sqlite.Conn, deliveries []payment.Delivery, now time.Time) error {
	for _, delivery := range deliveries {
		body, err := json.Marshal(delivery)
		if err != nil {
			return fmt.Errorf("store: internal error: %w", err)
		}
		err = insert(conn, "INSERT INTO delivery (id, attempts, due, body) VALUES (?, 0, ?, ?)", once, func(stmt *sqlite.Stmt, _ struct{}) {
			stmt.BindText(1, delivery.ID)
			stmt.BindInt64(2, now.UnixMicro())
			stmt.BindText(3, string(body))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// attempt is a delivery that was taken to be carried.
type attempt struct {
	payment.Delivery
	number int // from 1
}

// carryDue carries some of what is due, all at once, and keeps what became of each.
func (d *Deliveries) carryDue(ctx context.Context, courier payment.Courier) (int, error) {
	due, err := d.takeDue(ctx, time.Now())
	if err != nil {
		return 0, err
	}
	failures := make([]error, len(due))
	var waiting sync.WaitGroup
	for i := range due {
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, carryWait)
			defer cancel()
			failures[i] = courier.Carry(ctx, due[i].Delivery)
		})
	}
	waiting.Wait()
	return len(due), d.keep(context.WithoutCancel(ctx), due, failures, time.Now())
}

// takeDue takes deliveries for a while: a program that dies with them leaves them to the next.
func (d *Deliveries) takeDue(ctx context.Context, now time.Time) (due []attempt, err error) {
	err = d.db.write(ctx, func(conn *sqlite.Conn) error {
		due = nil
		const query = `UPDATE delivery SET attempts = attempts + 1, due = ? WHERE id IN (SELECT id FROM delivery WHERE due <= ? ORDER BY due LIMIT ?)
			RETURNING attempts, body`
		return each(conn, query, once, func(stmt *sqlite.Stmt, _ struct{}) {
			stmt.BindInt64(1, now.Add(carryLease).UnixMicro())
			stmt.BindInt64(2, now.UnixMicro())
			stmt.BindInt64(3, carriers)
		}, func(stmt *sqlite.Stmt, _ struct{}) error {
			taken := attempt{number: stmt.ColumnInt(0)}
			err := json.Unmarshal([]byte(stmt.ColumnText(1)), &taken.Delivery)
			due = append(due, taken)
			return err
		})
	})
	return due, away(err)
}

// keep forgets what was delivered, and puts the rest back.
func (d *Deliveries) keep(ctx context.Context, taken []attempt, failures []error, now time.Time) error {
	if len(taken) == 0 {
		return nil
	}
	return away(d.db.write(ctx, func(conn *sqlite.Conn) (err error) {
		for i := range taken {
			if failures[i] == nil {
				err = errors.Join(err, insert(conn, "DELETE FROM delivery WHERE id = ?", []string{taken[i].ID}, bindText))
			} else {
				err = errors.Join(err, d.putBack(conn, taken[i], now))
			}
		}
		return err
	}))
}

// putBack sets when a delivery is tried again; after the last attempt, never.
func (d *Deliveries) putBack(conn *sqlite.Conn, a attempt, now time.Time) error {
	return insert(conn, "UPDATE delivery SET due = ? WHERE id = ?", once, func(stmt *sqlite.Stmt, _ struct{}) {
		if gap, more := d.gap(a.number); more {
			stmt.BindInt64(1, now.Add(gap).UnixMicro())
		} else {
			stmt.BindNull(1)
		}
		stmt.BindText(2, a.ID)
	})
}

// Undelivered implements payment.Deliveries.
func (d *Deliveries) Undelivered(ctx context.Context) (waiting, givenUp int, err error) {
	err = d.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, "SELECT count(due), count(*) - count(due) FROM delivery", once, nothing, func(stmt *sqlite.Stmt, _ struct{}) error {
			waiting, givenUp = stmt.ColumnInt(0), stmt.ColumnInt(1)
			return nil
		})
	})
	return waiting, givenUp, away(err)
}
