package postgres

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
)

// RideStore is the ride data of a city (刷码乘车数据). It implements rides.Store; what it promises is written
// there.
type RideStore struct{ db *DB }

var _ rides.Store = (*RideStore)(nil)

// Rides is the part of the database where ride data stands.
func (db *DB) Rides() *RideStore { return &RideStore{db: db} }

// rideBatch is rides by column, and where each of them is found again.
type rideBatch struct {
	byKey                                                                   map[rides.Key]int
	apps, types, numbers, scenes, channels, versions, targets, kinds, texts []string
	digests, contents                                                       [][]byte
	times, received                                                         []int64
}

// Add implements rides.Store. What two add at once, one adds, and the other sees it.
func (s *RideStore) Add(ctx context.Context, batch []rides.Ride) error {
	if len(batch) == 0 {
		return nil
	}
	b, err := rideColumns(batch)
	if err != nil {
		return err
	}
	return s.db.transact(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		var added int
		if err := conn.QueryRow(ctx, addRides, b.apps, b.types, b.numbers, b.digests, b.scenes, b.channels, b.versions, b.targets, b.kinds, b.times, b.contents,
			b.received, b.texts).Scan(&added); err != nil {
			return fmt.Errorf("postgres: write: %w", err)
		}
		if added == len(batch) {
			return nil
		}
		return b.compare(ctx, conn)
	})
}

// addRides adds those that are new, with what their riders are told: a ride with a text is announced.
const addRides = `with told as (select * from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
		$10::bigint[], $11::bytea[], $12::bigint[], $13::text[])
		as told (app, type, biz_no, digest, scene, channel, version, target, target_type, biz_time, content, received, text)),
	added as (insert into shuama.ride (app, type, biz_no, digest, scene, channel, version, target, target_type, biz_time, content, received)
		select app, type, biz_no, digest, scene, channel, version, target, target_type, biz_time, content, received from told
		order by app collate "C", type collate "C", biz_no collate "C" on conflict (app, type, biz_no) do nothing returning no, app, type, biz_no),
	announced as (select a.no, t.target, t.text, t.received from added a join told t on t.app = a.app and t.type = a.type and t.biz_no = a.biz_no where t.text <> ''),
	noticed as (insert into shuama.ride_notice (ride) select no from announced order by no),
	texted as (insert into shuama.sms (ride, rider, text, made) select no, target, text, received from announced order by no)
	select count(*) from added`

// compare sees that what was there already is what was told now. It is a statement of its own: the one
// before did not see what another had added meanwhile.
func (b *rideBatch) compare(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `select r.app, r.type, r.biz_no, r.digest from unnest($1::text[], $2::text[], $3::text[]) as k (app, type, biz_no),
		lateral (select * from shuama.ride where app = k.app and type = k.type and biz_no = k.biz_no offset 0) as r`, b.apps, b.types, b.numbers)
	if err != nil {
		return fmt.Errorf("postgres: read: %w", err)
	}
	var key rides.Key
	var digest []byte
	_, err = pgx.ForEachRow(rows, []any{&key.App, &key.Type, &key.BizNo, &digest}, func() error {
		if !bytes.Equal(digest, b.digests[b.byKey[key]]) {
			return &decideError{&rides.ConflictError{Key: key}}
		}
		return nil
	})
	return err
}

func rideColumns(batch []rides.Ride) (*rideBatch, error) {
	b := &rideBatch{byKey: make(map[rides.Key]int, len(batch))}
	for i, ride := range batch {
		if _, twice := b.byKey[ride.Key()]; twice {
			return nil, fmt.Errorf("postgres: write: %w: a ride stands twice in a batch", ErrInconsistent)
		}
		b.byKey[ride.Key()] = i
		digest := ride.Digest()
		b.apps, b.types, b.numbers = append(b.apps, string(ride.App)), append(b.types, ride.Info.Type), append(b.numbers, ride.Info.BizNo)
		b.scenes, b.channels, b.versions = append(b.scenes, ride.Scene), append(b.channels, ride.Channel), append(b.versions, ride.Version)
		b.targets, b.kinds = append(b.targets, ride.Target), append(b.kinds, ride.TargetType)
		b.texts = append(b.texts, ride.Text())
		b.digests, b.contents = append(b.digests, digest[:]), append(b.contents, openapi.AppendRide(nil, ride.Info))
		b.times, b.received = append(b.times, ride.Info.BizTime.UnixMicro()), append(b.received, ride.Received.UnixMicro())
	}
	return b, nil
}

// Find implements rides.Store.
func (s *RideStore) Find(ctx context.Context, key rides.Key) (rides.Ride, bool, error) {
	if !isText(key.BizNo) || !isText(key.Type) || !isText(string(key.App)) {
		return rides.Ride{}, false, ctx.Err() // nothing of that name can be there
	}
	found, err := s.list(ctx, "app = $1 and type = $2 and biz_no = $3", string(key.App), key.Type, key.BizNo)
	if err != nil || len(found) == 0 {
		return rides.Ride{}, false, err
	}
	return found[0], true, nil
}

// OfTarget implements rides.Store.
func (s *RideStore) OfTarget(ctx context.Context, app rides.AppID, target string, limit int) ([]rides.Ride, error) {
	if !isText(target) || !isText(string(app)) {
		return nil, ctx.Err()
	}
	return s.list(ctx, `app = $1 and "left"(target, 64) = "left"($2, 64) and target = $2
		order by biz_time desc, no desc limit $3`, string(app), target, limit)
}

// OfRider implements rides.Store.
func (s *RideStore) OfRider(ctx context.Context, rider ridecode.UserID, from rides.Place, limit int) (found []rides.Ride, next rides.Place, err error) {
	if !isText(string(rider)) || strings.Contains(string(rider), ",") {
		return nil, rides.Place{}, ctx.Err()
	}
	at, no := int64(math.MaxInt64), int64(math.MaxInt64)
	if !from.IsZero() {
		at, no = from.At.UnixMicro(), from.No
	}
	var numbered []numberedRide
	err = s.db.read(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "select "+rideSelect+`, no from shuama.ride where "left"(target, 64) = "left"($1, 64) and target = $1
			and target_type in ('', 'ALIPAY_USER_ID') and (biz_time, no) < ($2, $3) order by biz_time desc, no desc limit $4`, string(rider), at, no, limit+1)
		if err != nil {
			return err
		}
		numbered, err = pgx.CollectRows(rows, readNumberedRide)
		return err
	})
	if err != nil {
		return nil, rides.Place{}, fmt.Errorf("postgres: rides: %w", err)
	}
	if len(numbered) > limit {
		numbered = numbered[:limit]
		last := numbered[limit-1]
		next = rides.Place{At: last.Info.BizTime, No: last.no}
	}
	for _, ride := range numbered {
		found = append(found, ride.Ride)
	}
	return found, next, nil
}

// numberedRide is a ride with the number of its row.
type numberedRide struct {
	rides.Ride
	no int64
}

// Texts implements rides.Store.
func (s *RideStore) Texts(ctx context.Context, after int64, count int) (texts []rides.Text, err error) {
	err = s.db.read(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "select no, rider, text, made from shuama.sms where no > $1 order by no limit $2", after, count)
		if err != nil {
			return err
		}
		texts, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (text rides.Text, err error) {
			var made int64
			err = row.Scan(&text.No, &text.Rider, &text.Text, &made)
			text.Made = instant(made)
			return text, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: texts: %w", err)
	}
	return texts, nil
}

// takeRideNotices takes up to count notices of rides out of their table; other servers take others meanwhile.
func takeRideNotices(ctx context.Context, tx pgx.Tx, count int) (deliveries []payment.Delivery, err error) {
	rows, err := tx.Query(ctx, `with taken as (delete from shuama.ride_notice where ride in
		(select ride from shuama.ride_notice order by ride limit $1 for update skip locked) returning ride)
		select `+rideSelect+", no from taken join shuama.ride on no = taken.ride order by no", count)
	if err != nil {
		return nil, err
	}
	taken, err := pgx.CollectRows(rows, readNumberedRide)
	for _, ride := range taken {
		deliveries = append(deliveries, ride.Delivery(ride.no))
	}
	return deliveries, err
}

const rideSelect = "app, scene, channel, version, target, target_type, content, received"

func (s *RideStore) list(ctx context.Context, where string, values ...any) (found []rides.Ride, err error) {
	err = s.db.read(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "select "+rideSelect+" from shuama.ride where "+where, values...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, readRide)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: rides: %w", err)
	}
	return found, nil
}

func readRide(row pgx.CollectableRow) (rides.Ride, error) { return scanRide(row) }

// readNumberedRide reads rideSelect and the row's number.
func readNumberedRide(row pgx.CollectableRow) (ride numberedRide, err error) {
	ride.Ride, err = scanRide(row, &ride.no)
	return ride, err
}

func scanRide(row pgx.CollectableRow, more ...any) (ride rides.Ride, err error) {
	var content []byte
	var received int64
	columns := []any{&ride.App, &ride.Scene, &ride.Channel, &ride.Version, &ride.Target, &ride.TargetType, &content, &received}
	if err := row.Scan(append(columns, more...)...); err != nil {
		return rides.Ride{}, err
	}
	ride.Received = instant(received)
	ride.Info, err = openapi.ParseRide(content)
	return ride, err
}
