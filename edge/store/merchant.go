package store

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant"
)

// MerchantStore is the records and trades of a merchant (商户). It implements merchant.Store; what it
// promises is written there.
type MerchantStore struct{ db *DB }

var _ merchant.Store = (*MerchantStore)(nil)

// Merchant is the merchant's part of the file.
func (db *DB) Merchant() *MerchantStore { return &MerchantStore{db: db} }

// Update implements merchant.Store. Instants are kept to the microsecond.
func (s *MerchantStore) Update(ctx context.Context, need merchant.Need, decide func(merchant.State) (merchant.Changes, error)) error {
	return s.db.write(ctx, func(conn *sqlite.Conn) error {
		state, err := loadMerchant(conn, need)
		if err != nil {
			return fmt.Errorf("store: read: %w", err)
		}
		changes, err := decide(state)
		if err != nil {
			return err
		}
		if err := saveMerchant(conn, changes); err != nil {
			return fmt.Errorf("store: write: %w", err)
		}
		return nil
	})
}

// View implements merchant.Store.
func (s *MerchantStore) View(ctx context.Context, need merchant.Need) (merchant.State, error) {
	var state merchant.State
	err := s.db.read(ctx, func(conn *sqlite.Conn) (err error) {
		state, err = loadMerchant(conn, need)
		return err
	})
	if err != nil {
		return merchant.State{}, fmt.Errorf("store: view: %w", err)
	}
	return state, nil
}

// Trades implements merchant.Store.
func (s *MerchantStore) Trades(ctx context.Context, state merchant.TradeState, after openapi.OutTradeNo, count int) ([]merchant.Trade, error) {
	var trades []merchant.Trade
	err := s.db.read(ctx, func(conn *sqlite.Conn) error {
		query := "SELECT out_trade_no FROM merchant_trade WHERE state = ? AND state <> 'SETTLED' AND out_trade_no > ? ORDER BY out_trade_no LIMIT ?"
		if state == merchant.Settled {
			query = "SELECT out_trade_no FROM merchant_trade WHERE +state = ? AND out_trade_no > ? ORDER BY out_trade_no LIMIT ?"
		}
		numbers, err := tradeNumbers(conn, query, func(stmt *sqlite.Stmt) {
			stmt.BindText(1, string(state))
			stmt.BindText(2, string(after))
			stmt.BindInt64(3, int64(count))
		})
		if err != nil {
			return err
		}
		trades, err = loadMerchantTrades(conn, numbers)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: list trades: %w", err)
	}
	return trades, nil
}

// OpenTaps implements merchant.Store.
func (s *MerchantStore) OpenTaps(ctx context.Context, after record.ID, count int) (taps []merchant.Tap, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, "SELECT "+tapColumns+` FROM merchant_tap t CROSS JOIN merchant_record r ON r.no = t.record
			WHERE t.open > 0 AND t.record > ifnull((SELECT no FROM merchant_record WHERE id = ?), 0) ORDER BY t.record LIMIT ?`, []record.ID{after},
			func(stmt *sqlite.Stmt, after record.ID) {
				stmt.BindBytes(1, after[:])
				stmt.BindInt64(2, int64(count))
			},
			func(stmt *sqlite.Stmt, _ record.ID) error {
				taps = append(taps, readTap(stmt))
				return nil
			})
	})
	if err != nil {
		return nil, fmt.Errorf("store: list open taps: %w", err)
	}
	return taps, nil
}

// Refunds implements merchant.Store.
func (s *MerchantStore) Refunds(ctx context.Context, after string, count int) (refunds []merchant.Refund, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, "SELECT "+refundColumns+` FROM merchant_refund f CROSS JOIN merchant_trade d ON d.no = f.trade
			WHERE f.no > ifnull((SELECT no FROM merchant_refund WHERE number = ?), 0) ORDER BY f.no LIMIT ?`, []string{after},
			func(stmt *sqlite.Stmt, after string) {
				stmt.BindText(1, after)
				stmt.BindInt64(2, int64(count))
			},
			func(stmt *sqlite.Stmt, _ string) error {
				refunds = append(refunds, readRefund(stmt))
				return nil
			})
	})
	if err != nil {
		return nil, fmt.Errorf("store: list refunds: %w", err)
	}
	return refunds, nil
}

const refundColumns = "f.number, d.out_trade_no, f.amount, f.reason, f.named, d.state"

func readRefund(stmt *sqlite.Stmt) merchant.Refund {
	return merchant.Refund{Number: stmt.ColumnText(0), OutTradeNo: openapi.OutTradeNo(stmt.ColumnText(1)), AmountFen: money.Fen(stmt.ColumnInt64(2)),
		Reason: stmt.ColumnText(3), Named: instant(stmt.ColumnInt64(4)), TradeState: merchant.TradeState(stmt.ColumnText(5))}
}

// Riders implements merchant.Store. It jumps from rider to rider along the index of their taps.
func (s *MerchantStore) Riders(ctx context.Context, after merchant.Rider, count int) (riders []merchant.Rider, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		for len(riders) < count {
			next, found, err := nextRider(conn, after)
			if err != nil || !found {
				return err
			}
			riders, after = append(riders, next), next
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: list riders: %w", err)
	}
	return riders, nil
}

func nextRider(conn *sqlite.Conn, after merchant.Rider) (next merchant.Rider, found bool, err error) {
	err = each(conn, `SELECT user_id, card_type, card_no FROM merchant_tap WHERE (user_id, card_type, card_no) > (?, ?, ?)
		ORDER BY user_id, card_type, card_no LIMIT 1`, []merchant.Rider{after}, func(stmt *sqlite.Stmt, after merchant.Rider) { bindRider(stmt, after) },
		func(stmt *sqlite.Stmt, _ merchant.Rider) error {
			next, found = readRider(stmt, 0), true
			return nil
		})
	return next, found, err
}

// bindRider binds the first three parameters.
func bindRider(stmt *sqlite.Stmt, rider merchant.Rider) {
	stmt.BindText(1, string(rider.UserID))
	stmt.BindText(2, string(rider.CardType))
	stmt.BindText(3, string(rider.CardNo))
}

// readRider reads three columns.
func readRider(stmt *sqlite.Stmt, from int) merchant.Rider {
	return merchant.Rider{UserID: ridecode.UserID(stmt.ColumnText(from)), CardType: ridecode.CardType(stmt.ColumnText(from + 1)),
		CardNo: ridecode.CardNo(stmt.ColumnText(from + 2))}
}

// Records implements merchant.Store.
func (s *MerchantStore) Records(ctx context.Context, after record.ID, count int) ([]merchant.StoredRecord, error) {
	return s.listRecords(ctx, after, count, `SELECT r.id, r.bytes, r.received, ifnull(a.reason, '') FROM merchant_record r
		LEFT JOIN merchant_aside a ON a.record = r.no
		WHERE r.no > ifnull((SELECT no FROM merchant_record WHERE id = ?), 0) ORDER BY r.no LIMIT ?`)
}

// AsideRecords implements merchant.Store.
func (s *MerchantStore) AsideRecords(ctx context.Context, after record.ID, count int) ([]merchant.StoredRecord, error) {
	return s.listRecords(ctx, after, count, `SELECT r.id, r.bytes, r.received, a.reason FROM merchant_aside a CROSS JOIN merchant_record r ON r.no = a.record
		WHERE a.record > ifnull((SELECT no FROM merchant_record WHERE id = ?), 0) ORDER BY a.record LIMIT ?`)
}

func (s *MerchantStore) listRecords(ctx context.Context, after record.ID, count int, query string) (records []merchant.StoredRecord, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, query, []record.ID{after},
			func(stmt *sqlite.Stmt, after record.ID) {
				stmt.BindBytes(1, after[:])
				stmt.BindInt64(2, int64(count))
			},
			func(stmt *sqlite.Stmt, _ record.ID) error {
				records = append(records, readStoredRecord(stmt))
				return nil
			})
	})
	if err != nil {
		return nil, fmt.Errorf("store: list records: %w", err)
	}
	return records, nil
}
