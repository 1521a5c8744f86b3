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
		numbers, err := tradeNumbers(conn, `SELECT out_trade_no FROM merchant_trade
			WHERE state = ? AND out_trade_no > ? ORDER BY out_trade_no LIMIT ?`, func(stmt *sqlite.Stmt) {
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
			WHERE t.open = 1 AND t.record > ifnull((SELECT no FROM merchant_record WHERE id = ?), 0) ORDER BY t.record LIMIT ?`, []record.ID{after},
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

// loadMerchant reads what need names.
func loadMerchant(conn *sqlite.Conn, need merchant.Need) (merchant.State, error) {
	state := merchant.State{
		Records: make(map[record.ID]merchant.StoredRecord),
		Windows: make(map[merchant.Rider][]merchant.WindowTap),
		Trades:  make(map[openapi.OutTradeNo]merchant.Trade),
	}
	if err := loadWindows(conn, need.Windows, state.Windows); err != nil {
		return merchant.State{}, err
	}
	trades, err := loadMerchantTrades(conn, tradesToLoad(need.Trades, state.Windows))
	if err != nil {
		return merchant.State{}, err
	}
	for _, trade := range trades {
		state.Trades[trade.OutTradeNo] = trade
	}
	if state.Due, err = loadDue(conn, need.Due); err != nil {
		return merchant.State{}, err
	}
	records := append([]record.ID(nil), need.Records...)
	for _, trade := range state.Due {
		for _, tap := range trade.Trip.Taps() {
			records = append(records, tap.Record)
		}
	}
	return state, loadStoredRecords(conn, records, state.Records)
}

const tapColumns = "r.id, t.kind, t.at, t.user_id, t.card_type, t.card_no, t.pos_id, t.line, t.station"

// readTap reads tapColumns.
func readTap(stmt *sqlite.Stmt) merchant.Tap {
	tap := merchant.Tap{
		Kind: record.Kind(stmt.ColumnText(1)),
		At:   instant(stmt.ColumnInt64(2)),
		Rider: merchant.Rider{UserID: ridecode.UserID(stmt.ColumnText(3)), CardType: ridecode.CardType(stmt.ColumnText(4)),
			CardNo: ridecode.CardNo(stmt.ColumnText(5))},
		POSID:   stmt.ColumnText(6),
		Line:    stmt.ColumnText(7),
		Station: stmt.ColumnText(8),
	}
	stmt.ColumnBytes(0, tap.Record[:])
	return tap
}

func loadWindows(conn *sqlite.Conn, windows []merchant.Window, into map[merchant.Rider][]merchant.WindowTap) error {
	return each(conn, "SELECT "+tapColumns+`, ifnull(d.out_trade_no, '') FROM merchant_tap t
		CROSS JOIN merchant_record r ON r.no = t.record
		LEFT JOIN merchant_leg l ON l.tap = t.record LEFT JOIN merchant_trade d ON d.no = l.trade
		WHERE t.kind <> 'SINGLE' AND t.user_id = ? AND t.card_type = ? AND t.card_no = ? AND t.at BETWEEN ? AND ?`, windows,
		func(stmt *sqlite.Stmt, window merchant.Window) {
			stmt.BindText(1, string(window.Rider.UserID))
			stmt.BindText(2, string(window.Rider.CardType))
			stmt.BindText(3, string(window.Rider.CardNo))
			stmt.BindInt64(4, window.From.UnixMicro())
			stmt.BindInt64(5, window.To.UnixMicro())
		},
		func(stmt *sqlite.Stmt, window merchant.Window) error {
			tap := merchant.WindowTap{Tap: readTap(stmt), Trade: openapi.OutTradeNo(stmt.ColumnText(9))}
			into[window.Rider] = append(into[window.Rider], tap)
			return nil
		})
}

func tradesToLoad(named []openapi.OutTradeNo, windows map[merchant.Rider][]merchant.WindowTap) []openapi.OutTradeNo {
	numbers, seen := []openapi.OutTradeNo(nil), map[openapi.OutTradeNo]bool{"": true}
	add := func(number openapi.OutTradeNo) {
		if !seen[number] {
			seen[number] = true
			numbers = append(numbers, number)
		}
	}
	for _, number := range named {
		add(number)
	}
	for _, taps := range windows {
		for _, tap := range taps {
			add(tap.Trade)
		}
	}
	return numbers
}

// loadMerchantTrades reads trades with their taps, in the order of numbers; those that are not there
// are left out.
func loadMerchantTrades(conn *sqlite.Conn, numbers []openapi.OutTradeNo) ([]merchant.Trade, error) {
	var trades []merchant.Trade
	err := each(conn, `SELECT no, order_time, subject, amount, biz_context, seller_login, fare_reason,
		state, attempts, next_try, trade_no, reason FROM merchant_trade WHERE out_trade_no = ?`, numbers,
		func(stmt *sqlite.Stmt, number openapi.OutTradeNo) { stmt.BindText(1, string(number)) },
		func(stmt *sqlite.Stmt, number openapi.OutTradeNo) (err error) {
			trade := readMerchantTrade(stmt, number)
			trade.Trip, err = loadTrip(conn, stmt.ColumnInt64(0))
			trades = append(trades, trade)
			return err
		})
	return trades, err
}

func readMerchantTrade(stmt *sqlite.Stmt, number openapi.OutTradeNo) merchant.Trade {
	return merchant.Trade{
		OutTradeNo:  number,
		OrderTime:   instant(stmt.ColumnInt64(1)),
		Subject:     stmt.ColumnText(2),
		AmountFen:   money.Fen(stmt.ColumnInt64(3)),
		BizContext:  stmt.ColumnText(4),
		SellerLogin: stmt.ColumnText(5),
		FareReason:  stmt.ColumnText(6),
		Progress: merchant.Progress{
			State: merchant.TradeState(stmt.ColumnText(7)), Attempts: int(stmt.ColumnInt64(8)), NextTry: instant(stmt.ColumnInt64(9)),
			TradeNo: openapi.TradeNo(stmt.ColumnText(10)), Reason: stmt.ColumnText(11),
		},
	}
}

func loadTrip(conn *sqlite.Conn, trade int64) (merchant.Trip, error) {
	var taps []merchant.Tap
	err := each(conn, "SELECT "+tapColumns+` FROM merchant_leg l CROSS JOIN merchant_tap t ON t.record = l.tap
		CROSS JOIN merchant_record r ON r.no = t.record WHERE l.trade = ? ORDER BY l.place`, []int64{trade},
		func(stmt *sqlite.Stmt, trade int64) { stmt.BindInt64(1, trade) },
		func(stmt *sqlite.Stmt, _ int64) error {
			taps = append(taps, readTap(stmt))
			return nil
		})
	switch {
	case err != nil:
		return merchant.Trip{}, err
	case len(taps) == 1:
		return merchant.Trip{Start: taps[0]}, nil
	case len(taps) == 2:
		return merchant.Trip{Start: taps[0], End: taps[1]}, nil
	}
	return merchant.Trip{}, fmt.Errorf("a stored trade has %d taps", len(taps))
}

func loadDue(conn *sqlite.Conn, due merchant.DueTrades) ([]merchant.Trade, error) {
	if due.Count == 0 {
		return nil, nil
	}
	numbers, err := tradeNumbers(conn, `SELECT out_trade_no FROM merchant_trade
		WHERE state IN ('WAITING', 'SENT') AND next_try <= ? ORDER BY next_try, out_trade_no LIMIT ?`, func(stmt *sqlite.Stmt) {
		stmt.BindInt64(1, due.Until.UnixMicro())
		stmt.BindInt64(2, int64(due.Count))
	})
	if err != nil {
		return nil, err
	}
	return loadMerchantTrades(conn, numbers)
}

func tradeNumbers(conn *sqlite.Conn, query string, bind func(*sqlite.Stmt)) (numbers []openapi.OutTradeNo, err error) {
	err = each(conn, query, []struct{}{{}},
		func(stmt *sqlite.Stmt, _ struct{}) { bind(stmt) },
		func(stmt *sqlite.Stmt, _ struct{}) error {
			numbers = append(numbers, openapi.OutTradeNo(stmt.ColumnText(0)))
			return nil
		})
	return numbers, err
}

func loadStoredRecords(conn *sqlite.Conn, ids []record.ID, into map[record.ID]merchant.StoredRecord) error {
	return each(conn, `SELECT r.id, r.bytes, r.received, ifnull(a.reason, '') FROM merchant_record r
		LEFT JOIN merchant_aside a ON a.record = r.no WHERE r.id = ?`, ids,
		func(stmt *sqlite.Stmt, id record.ID) { stmt.BindBytes(1, id[:]) },
		func(stmt *sqlite.Stmt, id record.ID) error {
			into[id] = readStoredRecord(stmt)
			return nil
		})
}

func readStoredRecord(stmt *sqlite.Stmt) merchant.StoredRecord {
	stored := merchant.StoredRecord{Bytes: columnBytes(stmt, 1), Received: instant(stmt.ColumnInt64(2)), Reason: stmt.ColumnText(3)}
	stmt.ColumnBytes(0, stored.ID[:])
	return stored
}

// saveMerchant writes what was decided, in the order that merchant.Changes promises.
func saveMerchant(conn *sqlite.Conn, changes merchant.Changes) error {
	if err := insertRecords(conn, changes.Records); err != nil {
		return err
	}
	if err := readmit(conn, changes.Readmit); err != nil {
		return err
	}
	if err := insertTaps(conn, changes.Taps); err != nil {
		return err
	}
	if err := withdraw(conn, changes.Withdrawn); err != nil {
		return err
	}
	if err := insertMerchantTrades(conn, changes.Trades); err != nil {
		return err
	}
	return moveTrades(conn, changes.Progress)
}

// change runs one prepared statement for each item, and wants it to change one row: a decision that
// names what is not there was made on something else.
func change[T any](conn *sqlite.Conn, query string, items []T, bind func(*sqlite.Stmt, T)) error {
	if len(items) == 0 {
		return nil
	}
	stmt, err := conn.Prepare(query)
	if err != nil {
		return err
	}
	for _, item := range items {
		bind(stmt, item)
		if err := run(stmt); err != nil {
			return err
		}
		if conn.Changes() != 1 {
			return fmt.Errorf("%w: a change meets %d rows", ErrInconsistent, conn.Changes())
		}
	}
	return nil
}

func insertRecords(conn *sqlite.Conn, records []merchant.StoredRecord) error {
	err := change(conn, "INSERT INTO merchant_record (id, bytes, received) VALUES (?, ?, ?)", records,
		func(stmt *sqlite.Stmt, stored merchant.StoredRecord) {
			stmt.BindBytes(1, stored.ID[:])
			stmt.BindBytes(2, notNil(stored.Bytes))
			stmt.BindInt64(3, stored.Received.UnixMicro())
		})
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	var aside []merchant.StoredRecord
	for _, stored := range records {
		if stored.Reason != "" {
			aside = append(aside, stored)
		}
	}
	err = change(conn, "INSERT INTO merchant_aside (record, reason) SELECT no, ?2 FROM merchant_record WHERE id = ?1", aside,
		func(stmt *sqlite.Stmt, stored merchant.StoredRecord) {
			stmt.BindBytes(1, stored.ID[:])
			stmt.BindText(2, stored.Reason)
		})
	if err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	return nil
}

// notNil binds no bytes as an empty value: nil would be NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func readmit(conn *sqlite.Conn, ids []record.ID) error {
	err := change(conn, "DELETE FROM merchant_aside WHERE record = (SELECT no FROM merchant_record WHERE id = ?)", ids,
		func(stmt *sqlite.Stmt, id record.ID) { stmt.BindBytes(1, id[:]) })
	if err != nil {
		return fmt.Errorf("readmit: %w", err)
	}
	return nil
}

func insertTaps(conn *sqlite.Conn, taps []merchant.Tap) error {
	err := change(conn, `INSERT INTO merchant_tap (record, kind, at, user_id, card_type, card_no, pos_id, line, station, open)
		SELECT no, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?2 <> 'SINGLE' FROM merchant_record WHERE id = ?1`, taps,
		func(stmt *sqlite.Stmt, tap merchant.Tap) {
			stmt.BindBytes(1, tap.Record[:])
			stmt.BindText(2, string(tap.Kind))
			stmt.BindInt64(3, tap.At.UnixMicro())
			stmt.BindText(4, string(tap.Rider.UserID))
			stmt.BindText(5, string(tap.Rider.CardType))
			stmt.BindText(6, string(tap.Rider.CardNo))
			stmt.BindText(7, tap.POSID)
			stmt.BindText(8, tap.Line)
			stmt.BindText(9, tap.Station)
		})
	if err != nil {
		return fmt.Errorf("tap: %w", err)
	}
	return nil
}

func withdraw(conn *sqlite.Conn, numbers []openapi.OutTradeNo) error {
	bind := func(stmt *sqlite.Stmt, number openapi.OutTradeNo) { stmt.BindText(1, string(number)) }
	none := func(*sqlite.Stmt, openapi.OutTradeNo) error { return nil }
	if err := each(conn, "DELETE FROM merchant_leg WHERE trade = (SELECT no FROM merchant_trade WHERE out_trade_no = ?)", numbers, bind, none); err != nil {
		return fmt.Errorf("withdraw: %w", err)
	}
	if err := change(conn, "DELETE FROM merchant_trade WHERE out_trade_no = ?", numbers, bind); err != nil {
		return fmt.Errorf("withdraw: %w", err)
	}
	return nil
}

func insertMerchantTrades(conn *sqlite.Conn, trades []merchant.Trade) error {
	err := change(conn, `INSERT INTO merchant_trade (out_trade_no, order_time, subject, amount, biz_context, seller_login, fare_reason,
		state, attempts, next_try, trade_no, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, trades, bindMerchantTrade)
	if err != nil {
		return fmt.Errorf("trade: %w", err)
	}
	for _, trade := range trades {
		if err := insertLegs(conn, trade); err != nil {
			return fmt.Errorf("taps of trade %q: %w", trade.OutTradeNo, err)
		}
	}
	return nil
}

func bindMerchantTrade(stmt *sqlite.Stmt, trade merchant.Trade) {
	stmt.BindText(1, string(trade.OutTradeNo))
	stmt.BindInt64(2, trade.OrderTime.UnixMicro())
	stmt.BindText(3, trade.Subject)
	stmt.BindInt64(4, int64(trade.AmountFen))
	stmt.BindText(5, trade.BizContext)
	stmt.BindText(6, trade.SellerLogin)
	stmt.BindText(7, trade.FareReason)
	stmt.BindText(8, string(trade.State))
	stmt.BindInt64(9, int64(trade.Attempts))
	stmt.BindInt64(10, trade.NextTry.UnixMicro())
	stmt.BindText(11, string(trade.TradeNo))
	stmt.BindText(12, trade.Reason)
}

func insertLegs(conn *sqlite.Conn, trade merchant.Trade) error {
	place := int64(-1)
	return change(conn, `INSERT INTO merchant_leg (trade, place, tap) SELECT d.no, ?3, r.no
		FROM merchant_trade d CROSS JOIN merchant_record r WHERE d.out_trade_no = ?1 AND r.id = ?2`, trade.Trip.Taps(),
		func(stmt *sqlite.Stmt, tap merchant.Tap) {
			place++
			stmt.BindText(1, string(trade.OutTradeNo))
			stmt.BindBytes(2, tap.Record[:])
			stmt.BindInt64(3, place)
		})
}

func moveTrades(conn *sqlite.Conn, moves []merchant.TradeProgress) error {
	err := change(conn, "UPDATE merchant_trade SET state = ?2, attempts = ?3, next_try = ?4, trade_no = ?5, reason = ?6 WHERE out_trade_no = ?1", moves,
		func(stmt *sqlite.Stmt, move merchant.TradeProgress) {
			stmt.BindText(1, string(move.OutTradeNo))
			stmt.BindText(2, string(move.State))
			stmt.BindInt64(3, int64(move.Attempts))
			stmt.BindInt64(4, move.NextTry.UnixMicro())
			stmt.BindText(5, string(move.TradeNo))
			stmt.BindText(6, move.Reason)
		})
	if err != nil {
		return fmt.Errorf("progress of a trade: %w", err)
	}
	return nil
}
