package store

import (
	"context"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant"
)

var _ merchant.RideStore = (*MerchantStore)(nil)

// RideNews implements merchant.RideStore.
func (s *MerchantStore) RideNews(ctx context.Context, count int) (news merchant.RideNews, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) (err error) {
		news, err = loadRideNews(conn, count)
		return err
	})
	if err != nil {
		return merchant.RideNews{}, fmt.Errorf("store: ride news: %w", err)
	}
	return news, nil
}

func loadRideNews(conn *sqlite.Conn, count int) (merchant.RideNews, error) {
	news := merchant.RideNews{Records: map[record.ID][]byte{}}
	var after int64
	err := each(conn, "SELECT takes, record FROM merchant_ride_teller", once, nothing, func(stmt *sqlite.Stmt, _ struct{}) error {
		news.Mark.Takes, after = stmt.ColumnInt64(0), stmt.ColumnInt64(1)
		return nil
	})
	if err != nil {
		return news, err
	}
	if err := loadNewTaps(conn, after, count, &news); err != nil {
		return news, err
	}
	if len(news.Taps) == count { // trades come behind all scans
		return news, nil
	}
	return news, loadNewEntries(conn, count, &news)
}

func loadNewTaps(conn *sqlite.Conn, after int64, count int, news *merchant.RideNews) error {
	return each(conn, "SELECT "+tapColumns+`, r.bytes, t.record FROM merchant_tap t CROSS JOIN merchant_record r ON r.no = t.record
		WHERE t.record > ? ORDER BY t.record LIMIT ?`, []int64{after},
		func(stmt *sqlite.Stmt, after int64) {
			stmt.BindInt64(1, after)
			stmt.BindInt64(2, int64(count))
		},
		func(stmt *sqlite.Stmt, _ int64) error {
			addTap(stmt, news)
			news.Mark.Record = stmt.ColumnInt64(tapColumnsCount + 1)
			return nil
		})
}

// addTap reads tapColumns and the record's bytes.
func addTap(stmt *sqlite.Stmt, news *merchant.RideNews) {
	tap := readTap(stmt)
	news.Taps, news.Records[tap.Record] = append(news.Taps, tap), columnBytes(stmt, tapColumnsCount)
}

// loadNewEntries reads the first entries of the news. A trade whose number another has meanwhile, which has not
// ended, is passed over: it will be in the news itself.
func loadNewEntries(conn *sqlite.Conn, count int, news *merchant.RideNews) error {
	var taps []int64
	var numbers []openapi.OutTradeNo
	seen := map[openapi.OutTradeNo]bool{}
	err := each(conn, `SELECT n.no, ifnull(n.tap, 0), ifnull(d.out_trade_no, '') FROM merchant_ride_news n
		LEFT JOIN merchant_trade d ON d.no = n.trade AND d.state IN ('SETTLED', 'FAILED', 'FREE') ORDER BY n.no LIMIT ?`, once,
		func(stmt *sqlite.Stmt, _ struct{}) { stmt.BindInt64(1, int64(count)) },
		func(stmt *sqlite.Stmt, _ struct{}) error {
			news.Mark.News = append(news.Mark.News, stmt.ColumnInt64(0))
			tap, number := stmt.ColumnInt64(1), openapi.OutTradeNo(stmt.ColumnText(2))
			if tap != 0 {
				taps = append(taps, tap)
			} else if number != "" && !seen[number] {
				seen[number], numbers = true, append(numbers, number)
			}
			return nil
		})
	if err != nil {
		return err
	}
	err = each(conn, "SELECT "+tapColumns+", r.bytes FROM merchant_tap t CROSS JOIN merchant_record r ON r.no = t.record WHERE t.record = ?", taps,
		func(stmt *sqlite.Stmt, no int64) { stmt.BindInt64(1, no) },
		func(stmt *sqlite.Stmt, _ int64) error { addTap(stmt, news); return nil })
	if err != nil {
		return err
	}
	if news.Trades, err = loadMerchantTrades(conn, numbers); err != nil {
		return err
	}
	return loadTripRecords(conn, news)
}

func loadTripRecords(conn *sqlite.Conn, news *merchant.RideNews) error {
	var ids []record.ID
	for _, trade := range news.Trades {
		for _, tap := range trade.Trip.Taps() {
			ids = append(ids, tap.Record)
		}
	}
	return each(conn, "SELECT bytes FROM merchant_record WHERE id = ?", ids,
		func(stmt *sqlite.Stmt, id record.ID) { stmt.BindBytes(1, id[:]) },
		func(stmt *sqlite.Stmt, id record.ID) error {
			news.Records[id] = columnBytes(stmt, 0)
			return nil
		})
}

// TakeRides implements merchant.RideStore.
func (s *MerchantStore) TakeRides(ctx context.Context, news merchant.RideNews, items []merchant.RideItem) error {
	err := s.db.write(ctx, func(conn *sqlite.Conn) error {
		moved, err := moveTeller(conn, news.Mark)
		if err != nil || !moved {
			return err
		}
		if err := change(conn, "DELETE FROM merchant_ride_news WHERE no = ?", news.Mark.News, func(stmt *sqlite.Stmt, no int64) { stmt.BindInt64(1, no) }); err != nil {
			return err
		}
		return change(conn, `INSERT INTO merchant_ride (user_id, channel, type, biz_no, content, attempts, next_try, aside, reason)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, items, bindRideItem)
	})
	if err != nil {
		return fmt.Errorf("store: take rides: %w", err)
	}
	return nil
}

// moveTeller is false where somebody else has taken news meanwhile.
func moveTeller(conn *sqlite.Conn, mark merchant.RideMark) (bool, error) {
	stmt, err := conn.Prepare("UPDATE merchant_ride_teller SET takes = takes + 1, record = max(record, ?) WHERE takes = ?")
	if err != nil {
		return false, err
	}
	stmt.BindInt64(1, mark.Record)
	stmt.BindInt64(2, mark.Takes)
	err = run(stmt)
	return conn.Changes() == 1, err
}

func bindRideItem(stmt *sqlite.Stmt, item merchant.RideItem) {
	stmt.BindText(1, string(item.User))
	stmt.BindText(2, item.Channel)
	stmt.BindText(3, item.Info.Type)
	stmt.BindText(4, item.Info.BizNo)
	stmt.BindBytes(5, openapi.AppendRide(nil, item.Info))
	stmt.BindInt64(6, int64(item.Attempts))
	stmt.BindInt64(7, item.NextTry.UnixMicro())
	stmt.BindBool(8, item.Aside)
	stmt.BindText(9, item.Reason)
}

// DueRides implements merchant.RideStore.
func (s *MerchantStore) DueRides(ctx context.Context, until time.Time, riders, each int) (items []merchant.RideItem, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		users, err := dueUsers(conn, until, riders)
		if err != nil {
			return err
		}
		items, err = waitingRides(conn, users, each)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: due rides: %w", err)
	}
	return items, nil
}

func dueUsers(conn *sqlite.Conn, until time.Time, count int) (users []ridecode.UserID, err error) {
	err = each(conn, `SELECT user_id FROM merchant_ride r WHERE aside = 0 AND next_try <= ?
		AND no = (SELECT min(no) FROM merchant_ride WHERE user_id = r.user_id AND aside = 0) ORDER BY next_try, no LIMIT ?`, once,
		func(stmt *sqlite.Stmt, _ struct{}) {
			stmt.BindInt64(1, until.UnixMicro())
			stmt.BindInt64(2, int64(count))
		},
		func(stmt *sqlite.Stmt, _ struct{}) error {
			users = append(users, ridecode.UserID(stmt.ColumnText(0)))
			return nil
		})
	return users, err
}

const rideItemColumns = "no, user_id, channel, content, attempts, next_try, aside, reason"

func waitingRides(conn *sqlite.Conn, users []ridecode.UserID, count int) (items []merchant.RideItem, err error) {
	err = each(conn, "SELECT "+rideItemColumns+" FROM merchant_ride WHERE user_id = ? AND aside = 0 ORDER BY no LIMIT ?", users,
		func(stmt *sqlite.Stmt, user ridecode.UserID) {
			stmt.BindText(1, string(user))
			stmt.BindInt64(2, int64(count))
		},
		func(stmt *sqlite.Stmt, _ ridecode.UserID) error { return appendRideItem(stmt, &items) })
	return items, err
}

// appendRideItem reads rideItemColumns.
func appendRideItem(stmt *sqlite.Stmt, items *[]merchant.RideItem) error {
	info, err := openapi.ParseRide(columnBytes(stmt, 3))
	*items = append(*items, merchant.RideItem{No: stmt.ColumnInt64(0), User: ridecode.UserID(stmt.ColumnText(1)), Channel: stmt.ColumnText(2), Info: info,
		RideTry: merchant.RideTry{Attempts: stmt.ColumnInt(4), NextTry: instant(stmt.ColumnInt64(5)), Aside: stmt.ColumnBool(6), Reason: stmt.ColumnText(7)}})
	return err
}

// FileRides implements merchant.RideStore.
func (s *MerchantStore) FileRides(ctx context.Context, results merchant.RideResults) error {
	err := s.db.write(ctx, func(conn *sqlite.Conn) error {
		if err := tellOff(conn, results); err != nil {
			return err
		}
		return each(conn, "UPDATE merchant_ride SET attempts = ?2, next_try = ?3, aside = ?4, reason = ?5 WHERE no = ?1 AND aside = 0", results.Missed,
			func(stmt *sqlite.Stmt, item merchant.RideItem) {
				stmt.BindInt64(1, item.No)
				stmt.BindInt64(2, int64(item.Attempts))
				stmt.BindInt64(3, item.NextTry.UnixMicro())
				stmt.BindBool(4, item.Aside)
				stmt.BindText(5, item.Reason)
			}, func(*sqlite.Stmt, merchant.RideItem) error { return nil })
	})
	if err != nil {
		return fmt.Errorf("store: file rides: %w", err)
	}
	return nil
}

// tellOff forgets what was told, and counts it.
func tellOff(conn *sqlite.Conn, results merchant.RideResults) error {
	var events, orders int64
	err := each(conn, "DELETE FROM merchant_ride WHERE no = ? RETURNING type", results.Told,
		func(stmt *sqlite.Stmt, item merchant.RideItem) { stmt.BindInt64(1, item.No) },
		func(stmt *sqlite.Stmt, _ merchant.RideItem) error {
			if stmt.ColumnText(0) == "event" {
				events++
			} else {
				orders++
			}
			return nil
		})
	if err != nil || events+orders == 0 {
		return err
	}
	return change(conn, "UPDATE merchant_ride_teller SET events = events + ?, orders = orders + ?, last = max(last, ?)", once, func(stmt *sqlite.Stmt, _ struct{}) {
		stmt.BindInt64(1, events)
		stmt.BindInt64(2, orders)
		stmt.BindInt64(3, results.At.UnixMicro())
	})
}

// Rides implements merchant.RideStore.
func (s *MerchantStore) Rides(ctx context.Context, aside bool, after int64, count int) (items []merchant.RideItem, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, "SELECT "+rideItemColumns+" FROM merchant_ride WHERE aside = ? AND no > ? ORDER BY no LIMIT ?", once,
			func(stmt *sqlite.Stmt, _ struct{}) {
				stmt.BindBool(1, aside)
				stmt.BindInt64(2, after)
				stmt.BindInt64(3, int64(count))
			},
			func(stmt *sqlite.Stmt, _ struct{}) error { return appendRideItem(stmt, &items) })
	})
	if err != nil {
		return nil, fmt.Errorf("store: list rides: %w", err)
	}
	return items, nil
}

// RetryRide implements merchant.RideStore.
func (s *MerchantStore) RetryRide(ctx context.Context, number string, now time.Time) (found bool, err error) {
	err = s.db.write(ctx, func(conn *sqlite.Conn) error {
		stmt, err := conn.Prepare("UPDATE merchant_ride SET aside = 0, attempts = 0, next_try = ? WHERE biz_no = ? AND aside = 1")
		if err != nil {
			return err
		}
		stmt.BindInt64(1, now.UnixMicro())
		stmt.BindText(2, number)
		err = run(stmt)
		found = conn.Changes() > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("store: retry a ride: %w", err)
	}
	return found, nil
}

// RideCounts implements merchant.RideStore.
func (s *MerchantStore) RideCounts(ctx context.Context) (counts merchant.RideCounts, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, `SELECT events, orders, last, (SELECT count(*) FROM merchant_ride WHERE aside = 0),
			(SELECT count(*) FROM merchant_ride WHERE aside = 1),
			(SELECT count(*) FROM merchant_tap WHERE record > t.record) + (SELECT count(*) FROM merchant_ride_news) FROM merchant_ride_teller t`, once, nothing,
			func(stmt *sqlite.Stmt, _ struct{}) error {
				counts = merchant.RideCounts{Events: stmt.ColumnInt64(0), Orders: stmt.ColumnInt64(1), Waiting: stmt.ColumnInt(3) + stmt.ColumnInt(5), Aside: stmt.ColumnInt(4)}
				if last := stmt.ColumnInt64(2); last != 0 {
					counts.Last = instant(last)
				}
				return nil
			})
	})
	if err != nil {
		return merchant.RideCounts{}, fmt.Errorf("store: count rides: %w", err)
	}
	return counts, nil
}
