package store

import (
	"context"
	"fmt"
	"math"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
)

// RideStore is the ride data of a city (刷码乘车数据). It implements rides.Store; what it promises is written
// there.
type RideStore struct{ db *DB }

var _ rides.Store = (*RideStore)(nil)

// Rides is the part of the file where ride data stands.
func (db *DB) Rides() *RideStore { return &RideStore{db: db} }

// Add implements rides.Store.
func (s *RideStore) Add(ctx context.Context, batch []rides.Ride) error {
	return s.db.write(ctx, func(conn *sqlite.Conn) error {
		for _, ride := range batch {
			known, err := knownRide(conn, ride)
			if err != nil {
				return err
			}
			if known {
				continue
			}
			if err := insertRide(conn, ride); err != nil {
				return fmt.Errorf("store: write: ride %q: %w", ride.Info.BizNo, err)
			}
		}
		return nil
	})
}

// knownRide tells whether the ride is there, as it is told now.
func knownRide(conn *sqlite.Conn, ride rides.Ride) (known bool, err error) {
	digest := ride.Digest()
	err = each(conn, "SELECT digest = ? FROM ride WHERE app = ? AND type = ? AND biz_no = ?", []rides.Key{ride.Key()},
		func(stmt *sqlite.Stmt, key rides.Key) {
			stmt.BindBytes(1, digest[:])
			stmt.BindText(2, string(key.App))
			stmt.BindText(3, key.Type)
			stmt.BindText(4, key.BizNo)
		},
		func(stmt *sqlite.Stmt, key rides.Key) error {
			if known = stmt.ColumnBool(0); !known {
				return &rides.ConflictError{Key: key}
			}
			return nil
		})
	return known, err
}

const rideColumns = "app, scene, channel, version, target, target_type, content, received"

func insertRide(conn *sqlite.Conn, ride rides.Ride) error {
	stmt, err := conn.Prepare("INSERT OR ROLLBACK INTO ride (" + rideColumns + ", type, biz_no, biz_time, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	for i, text := range []string{string(ride.App), ride.Scene, ride.Channel, ride.Version, ride.Target, ride.TargetType} {
		stmt.BindText(i+1, text)
	}
	stmt.BindBytes(7, openapi.AppendRide(nil, ride.Info))
	stmt.BindInt64(8, ride.Received.UnixMicro())
	stmt.BindText(9, ride.Info.Type)
	stmt.BindText(10, ride.Info.BizNo)
	stmt.BindInt64(11, ride.Info.BizTime.UnixMicro())
	digest := ride.Digest()
	stmt.BindBytes(12, digest[:])
	if err := run(stmt); err != nil || !ride.IsAnnounced() {
		return err
	}
	return announceRide(conn, ride, conn.LastInsertRowID())
}

// announceRide keeps what the rider is told.
func announceRide(conn *sqlite.Conn, ride rides.Ride, no int64) error {
	if err := insert(conn, "INSERT INTO ride_notice (ride) VALUES (?)", []int64{no}, func(stmt *sqlite.Stmt, no int64) { stmt.BindInt64(1, no) }); err != nil {
		return err
	}
	return insert(conn, "INSERT INTO sms (ride, rider, text, made) VALUES (?, ?, ?, ?)", []int64{no}, func(stmt *sqlite.Stmt, no int64) {
		stmt.BindInt64(1, no)
		stmt.BindText(2, ride.Target)
		stmt.BindText(3, ride.Text())
		stmt.BindInt64(4, ride.Received.UnixMicro())
	})
}

func readRide(stmt *sqlite.Stmt) (rides.Ride, error) {
	info, err := openapi.ParseRide(columnBytes(stmt, 6))
	return rides.Ride{App: rides.AppID(stmt.ColumnText(0)), Scene: stmt.ColumnText(1), Channel: stmt.ColumnText(2), Version: stmt.ColumnText(3),
		Target: stmt.ColumnText(4), TargetType: stmt.ColumnText(5), Info: info, Received: instant(stmt.ColumnInt64(7))}, err
}

// Find implements rides.Store.
func (s *RideStore) Find(ctx context.Context, key rides.Key) (rides.Ride, bool, error) {
	found, err := s.list(ctx, "app = ? AND type = ? AND biz_no = ?", func(stmt *sqlite.Stmt) {
		stmt.BindText(1, string(key.App))
		stmt.BindText(2, key.Type)
		stmt.BindText(3, key.BizNo)
	})
	if err != nil || len(found) == 0 {
		return rides.Ride{}, false, err
	}
	return found[0], true, nil
}

// OfTarget implements rides.Store.
func (s *RideStore) OfTarget(ctx context.Context, app rides.AppID, target string, limit int) ([]rides.Ride, error) {
	return s.list(ctx, "app = ? AND target = ? ORDER BY biz_time DESC, no DESC LIMIT ?", func(stmt *sqlite.Stmt) {
		stmt.BindText(1, string(app))
		stmt.BindText(2, target)
		stmt.BindInt64(3, int64(limit))
	})
}

// OfRider implements rides.Store.
func (s *RideStore) OfRider(ctx context.Context, rider ridecode.UserID, from rides.Place, limit int) (found []rides.Ride, next rides.Place, err error) {
	if from.IsZero() {
		from = rides.Place{At: instant(math.MaxInt64), No: math.MaxInt64}
	}
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, "SELECT "+rideColumns+`, no FROM ride WHERE target = ? AND target_type IN ('', 'ALIPAY_USER_ID') AND (biz_time, no) < (?, ?)
			AND instr(target, ',') = 0 ORDER BY biz_time DESC, no DESC LIMIT ?`, once, func(stmt *sqlite.Stmt, _ struct{}) {
			stmt.BindText(1, string(rider))
			stmt.BindInt64(2, from.At.UnixMicro())
			stmt.BindInt64(3, from.No)
			stmt.BindInt64(4, int64(limit)+1)
		}, func(stmt *sqlite.Stmt, _ struct{}) error {
			if len(found) == limit {
				next = from
				return nil
			}
			ride, err := readRide(stmt)
			found, from = append(found, ride), rides.Place{At: ride.Info.BizTime, No: stmt.ColumnInt64(8)}
			return err
		})
	})
	if err != nil {
		return nil, rides.Place{}, fmt.Errorf("store: rides: %w", err)
	}
	return found, next, nil
}

// Texts implements rides.Store.
func (s *RideStore) Texts(ctx context.Context, after int64, count int) (texts []rides.Text, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, "SELECT no, rider, text, made FROM sms WHERE no > ? ORDER BY no LIMIT ?", once, func(stmt *sqlite.Stmt, _ struct{}) {
			stmt.BindInt64(1, after)
			stmt.BindInt64(2, int64(count))
		}, func(stmt *sqlite.Stmt, _ struct{}) error {
			texts = append(texts, rides.Text{No: stmt.ColumnInt64(0), Rider: ridecode.UserID(stmt.ColumnText(1)), Text: stmt.ColumnText(2), Made: instant(stmt.ColumnInt64(3))})
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("store: texts: %w", err)
	}
	return texts, nil
}

// takeRideNotices takes up to count notices of rides out of their table.
func takeRideNotices(conn *sqlite.Conn, count int) (deliveries []payment.Delivery, err error) {
	var taken []int64
	err = each(conn, "SELECT "+rideColumns+", no FROM ride_notice CROSS JOIN ride ON no = ride ORDER BY ride LIMIT ?", []int{count},
		func(stmt *sqlite.Stmt, count int) { stmt.BindInt64(1, int64(count)) },
		func(stmt *sqlite.Stmt, _ int) error {
			ride, err := readRide(stmt)
			taken = append(taken, stmt.ColumnInt64(8))
			deliveries = append(deliveries, ride.Delivery(stmt.ColumnInt64(8)))
			return err
		})
	if err != nil {
		return nil, err
	}
	return deliveries, insert(conn, "DELETE FROM ride_notice WHERE ride = ?", taken, func(stmt *sqlite.Stmt, no int64) { stmt.BindInt64(1, no) })
}

func (s *RideStore) list(ctx context.Context, where string, bind func(*sqlite.Stmt)) (found []rides.Ride, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, "SELECT "+rideColumns+" FROM ride WHERE "+where, []struct{}{{}}, func(stmt *sqlite.Stmt, _ struct{}) { bind(stmt) },
			func(stmt *sqlite.Stmt, _ struct{}) error {
				ride, err := readRide(stmt)
				found = append(found, ride)
				return err
			})
	})
	if err != nil {
		return nil, fmt.Errorf("store: rides: %w", err)
	}
	return found, nil
}
