package store

import (
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
)

// loadMerchant reads what need names.
func loadMerchant(conn *sqlite.Conn, need merchant.Need) (merchant.State, error) {
	state := merchant.State{
		Records: make(map[record.ID]merchant.StoredRecord),
		Windows: make(map[merchant.Rider][]merchant.WindowTap),
		Sums:    make(map[merchant.Rider]fare.Sums),
		Trades:  make(map[openapi.OutTradeNo]merchant.Trade),
	}
	if err := loadWindows(conn, need.Windows, state.Windows); err != nil {
		return merchant.State{}, err
	}
	if err := loadSums(conn, need.Windows, state.Sums); err != nil {
		return merchant.State{}, err
	}
	trades, err := loadMerchantTrades(conn, tradesToLoad(need, state.Windows))
	if err != nil {
		return merchant.State{}, err
	}
	for _, trade := range trades {
		state.Trades[trade.OutTradeNo] = trade
	}
	if state.Due, err = loadDue(conn, need.Due); err != nil {
		return merchant.State{}, err
	}
	if state.OpenDue, err = loadOpenDue(conn, need.OpenDue); err != nil {
		return merchant.State{}, err
	}
	records := append([]record.ID(nil), need.Records...)
	for _, trade := range state.Due {
		records = append(records, trade.Held...)
	}
	return state, loadStoredRecords(conn, records, state.Records)
}

const (
	tapColumns      = "r.id, t.kind, t.at, t.user_id, t.card_type, t.card_no, t.pos_id, t.line, t.station, t.identity, t.limit_fen"
	tapColumnsCount = 11
)

// readTap reads tapColumns.
func readTap(stmt *sqlite.Stmt) merchant.Tap {
	tap := merchant.Tap{Kind: record.Kind(stmt.ColumnText(1)), At: instant(stmt.ColumnInt64(2)), Rider: readRider(stmt, 3),
		POSID: stmt.ColumnText(6), Line: stmt.ColumnText(7), Station: stmt.ColumnText(8), LimitFen: money.Fen(stmt.ColumnInt64(10))}
	stmt.ColumnBytes(0, tap.Record[:])
	stmt.ColumnBytes(9, tap.Identity[:])
	return tap
}

const claimColumns = "ifnull(c.station, ''), ifnull(c.line, ''), ifnull(c.at, 0), ifnull(c.made, 0)"

func readClaim(stmt *sqlite.Stmt, from int) merchant.Claim {
	if stmt.ColumnText(from) == "" {
		return merchant.Claim{}
	}
	return merchant.Claim{Station: stmt.ColumnText(from), Line: stmt.ColumnText(from + 1), At: instant(stmt.ColumnInt64(from + 2)), Made: instant(stmt.ColumnInt64(from + 3))}
}

func loadWindows(conn *sqlite.Conn, windows []merchant.Window, into map[merchant.Rider][]merchant.WindowTap) error {
	return each(conn, "SELECT "+tapColumns+", "+claimColumns+`, ifnull(d.out_trade_no, ''), ifnull(d.state = 'FAILED' AND d.attempts = 0, 0) FROM merchant_tap t
		CROSS JOIN merchant_record r ON r.no = t.record
		LEFT JOIN merchant_claim c ON c.tap = t.record
		LEFT JOIN merchant_leg l ON l.tap = t.record LEFT JOIN merchant_trade d ON d.no = l.trade
		WHERE t.user_id = +? AND t.card_type = +? AND t.card_no = +? AND t.at BETWEEN +? AND +?`, windows,
		func(stmt *sqlite.Stmt, window merchant.Window) {
			bindRider(stmt, window.Rider)
			stmt.BindInt64(4, window.From.UnixMicro())
			stmt.BindInt64(5, window.To.UnixMicro())
		},
		func(stmt *sqlite.Stmt, window merchant.Window) error {
			tap := merchant.WindowTap{Tap: readTap(stmt), Claim: readClaim(stmt, tapColumnsCount), Trade: openapi.OutTradeNo(stmt.ColumnText(tapColumnsCount + 4)),
				Shut: stmt.ColumnInt64(tapColumnsCount+5) == 1}
			into[window.Rider] = append(into[window.Rider], tap)
			return nil
		})
}

func loadSums(conn *sqlite.Conn, windows []merchant.Window, into map[merchant.Rider]fare.Sums) error {
	return each(conn, `SELECT cap, sum(amount) FROM merchant_sum
		WHERE user_id = +? AND card_type = +? AND card_no = +? AND day >= +? AND day < +? GROUP BY cap`, windows,
		func(stmt *sqlite.Stmt, window merchant.Window) {
			bindRider(stmt, window.Rider)
			stmt.BindInt64(4, int64(window.SumsFrom))
			stmt.BindInt64(5, int64(window.SumsBefore))
		},
		func(stmt *sqlite.Stmt, window merchant.Window) error {
			if into[window.Rider] == nil {
				into[window.Rider] = fare.Sums{}
			}
			into[window.Rider][stmt.ColumnText(0)] += money.Fen(stmt.ColumnInt64(1))
			return nil
		})
}

func tradesToLoad(need merchant.Need, windows map[merchant.Rider][]merchant.WindowTap) []openapi.OutTradeNo {
	numbers, seen := []openapi.OutTradeNo(nil), map[openapi.OutTradeNo]bool{"": true}
	add := func(number openapi.OutTradeNo) {
		if !seen[number] {
			seen[number] = true
			numbers = append(numbers, number)
		}
	}
	for _, number := range need.Trades {
		add(number)
	}
	for _, window := range need.Windows {
		for _, tap := range windows[window.Rider] {
			if !window.TapsOnly {
				add(tap.Trade)
			}
		}
	}
	return numbers
}

// loadMerchantTrades reads trades with their taps, in the order of numbers; those that are not there
// are left out.
func loadMerchantTrades(conn *sqlite.Conn, numbers []openapi.OutTradeNo) ([]merchant.Trade, error) {
	var trades []merchant.Trade
	err := each(conn, `SELECT no, order_time, subject, amount, biz_context, seller_login, lines,
		state, attempts, next_try, trade_no, reason, ifnull(start, 0), ifnull(finish, 0), companion, claimed, fare_table,
		(SELECT ifnull(sum(amount), 0) FROM merchant_refund WHERE trade = merchant_trade.no), settled FROM merchant_trade WHERE out_trade_no = ?`, numbers,
		func(stmt *sqlite.Stmt, number openapi.OutTradeNo) { stmt.BindText(1, string(number)) },
		func(stmt *sqlite.Stmt, number openapi.OutTradeNo) error {
			trade, err := readMerchantTrade(stmt, number)
			if err != nil {
				return err
			}
			no, start, finish, claimed := stmt.ColumnInt64(0), stmt.ColumnInt64(12), stmt.ColumnInt64(13), stmt.ColumnInt64(15) == 1
			if trade.Trip, err = loadTrip(conn, start, finish, claimed); err != nil {
				return err
			}
			trade.Trip.Companion = stmt.ColumnInt64(14) == 1
			trade.Held, err = loadHeld(conn, no)
			trades = append(trades, trade)
			return err
		})
	return trades, err
}

func readMerchantTrade(stmt *sqlite.Stmt, number openapi.OutTradeNo) (merchant.Trade, error) {
	trade := merchant.Trade{
		OutTradeNo:  number,
		OrderTime:   instant(stmt.ColumnInt64(1)),
		Subject:     stmt.ColumnText(2),
		AmountFen:   money.Fen(stmt.ColumnInt64(3)),
		BizContext:  stmt.ColumnText(4),
		SellerLogin: stmt.ColumnText(5),
		Table:       stmt.ColumnText(16),
		RefundFen:   money.Fen(stmt.ColumnInt64(17)),
		Progress: merchant.Progress{
			State: merchant.TradeState(stmt.ColumnText(7)), Attempts: int(stmt.ColumnInt64(8)), NextTry: instant(stmt.ColumnInt64(9)),
			TradeNo: openapi.TradeNo(stmt.ColumnText(10)), Reason: stmt.ColumnText(11), Settled: instantOrNone(stmt, 18),
		},
	}
	var err error
	if trade.Lines, err = fare.ParseLines([]byte(stmt.ColumnText(6))); err != nil {
		return merchant.Trade{}, fmt.Errorf("trade %q: %w", number, err)
	}
	return trade, nil
}

// loadTrip reads the ends of a trip by the numbers of their records, 0 where there is none.
func loadTrip(conn *sqlite.Conn, start, finish int64, claimed bool) (trip merchant.Trip, err error) {
	err = each(conn, "SELECT "+tapColumns+", "+claimColumns+` FROM merchant_tap t CROSS JOIN merchant_record r ON r.no = t.record
		LEFT JOIN merchant_claim c ON c.tap = t.record WHERE t.record = +?`, []int64{start, finish},
		func(stmt *sqlite.Stmt, no int64) { stmt.BindInt64(1, no) },
		func(stmt *sqlite.Stmt, no int64) error {
			if no == start {
				trip.Start = readTap(stmt)
			} else {
				trip.End = readTap(stmt)
			}
			if claimed {
				trip.Claim = readClaim(stmt, tapColumnsCount)
			}
			return nil
		})
	return trip, err
}

func loadHeld(conn *sqlite.Conn, trade int64) (held []record.ID, err error) {
	err = each(conn, "SELECT r.id FROM merchant_leg l CROSS JOIN merchant_record r ON r.no = l.tap WHERE l.trade = +? ORDER BY l.place", []int64{trade},
		func(stmt *sqlite.Stmt, trade int64) { stmt.BindInt64(1, trade) },
		func(stmt *sqlite.Stmt, _ int64) error {
			var id record.ID
			stmt.ColumnBytes(0, id[:])
			held = append(held, id)
			return nil
		})
	return held, err
}

func loadDue(conn *sqlite.Conn, due merchant.DueTrades) ([]merchant.Trade, error) {
	if due.Count == 0 {
		return nil, nil
	}
	numbers, err := tradeNumbers(conn, `SELECT out_trade_no FROM merchant_trade
		WHERE state IN ('WAITING', 'SENT') AND next_try <= +? ORDER BY next_try, out_trade_no LIMIT +?`, func(stmt *sqlite.Stmt) {
		stmt.BindInt64(1, due.Until.UnixMicro())
		stmt.BindInt64(2, int64(due.Count))
	})
	if err != nil {
		return nil, err
	}
	return loadMerchantTrades(conn, numbers)
}

func loadOpenDue(conn *sqlite.Conn, due merchant.OpenTaps) (taps []merchant.Tap, err error) {
	if due.Count == 0 {
		return nil, nil
	}
	err = each(conn, "SELECT "+tapColumns+` FROM merchant_tap t CROSS JOIN merchant_record r ON r.no = t.record
		WHERE t.open = 1 AND t.at <= +? ORDER BY t.at, t.record LIMIT +?`, []merchant.OpenTaps{due},
		func(stmt *sqlite.Stmt, due merchant.OpenTaps) {
			stmt.BindInt64(1, due.Until.UnixMicro())
			stmt.BindInt64(2, int64(due.Count))
		},
		func(stmt *sqlite.Stmt, _ merchant.OpenTaps) error {
			taps = append(taps, readTap(stmt))
			return nil
		})
	return taps, err
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
		LEFT JOIN merchant_aside a ON a.record = r.no WHERE r.id = +?`, ids,
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
