package postgres

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/protocol/openapi"
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
	byKey                                                            map[rides.Key]int
	apps, types, numbers, scenes, channels, versions, targets, kinds []string
	digests, contents                                                [][]byte
	times, received                                                  []int64
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
		tag, err := conn.Exec(ctx, `insert into shuama.ride (app, type, biz_no, digest, scene, channel, version, target, target_type, biz_time, content, received)
			select * from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
			$10::bigint[], $11::bytea[], $12::bigint[]) as told (app, type, biz_no)
			order by app collate "C", type collate "C", biz_no collate "C" on conflict (app, type, biz_no) do nothing`,
			b.apps, b.types, b.numbers, b.digests, b.scenes, b.channels, b.versions, b.targets, b.kinds, b.times, b.contents, b.received)
		if err != nil {
			return fmt.Errorf("postgres: write: %w", err)
		}
		if tag.RowsAffected() == int64(len(batch)) {
			return nil
		}
		return b.compare(ctx, conn)
	})
}

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

func (s *RideStore) list(ctx context.Context, where string, values ...any) (found []rides.Ride, err error) {
	err = s.db.read(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "select app, scene, channel, version, target, target_type, content, received from shuama.ride where "+where, values...)
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

func readRide(row pgx.CollectableRow) (ride rides.Ride, err error) {
	var content []byte
	var received int64
	if err := row.Scan(&ride.App, &ride.Scene, &ride.Channel, &ride.Version, &ride.Target, &ride.TargetType, &content, &received); err != nil {
		return rides.Ride{}, err
	}
	ride.Received = instant(received)
	ride.Info, err = openapi.ParseRide(content)
	return ride, err
}
