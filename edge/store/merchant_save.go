package store

import (
	"fmt"
	"maps"
	"slices"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
)

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
	if err := insertClaims(conn, changes.Claims); err != nil {
		return err
	}
	if err := withdraw(conn, changes.Withdrawn); err != nil {
		return err
	}
	if err := insertMerchantTrades(conn, changes.Trades); err != nil {
		return err
	}
	if err := moveTrades(conn, changes.Progress); err != nil {
		return err
	}
	if err := insertRefunds(conn, changes.Refunds); err != nil {
		return err
	}
	if err := leaveOpen(conn, changes.LeftOpen); err != nil {
		return err
	}
	return replaceSums(conn, changes.Sums)
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
	err := change(conn, `INSERT INTO merchant_tap (record, kind, at, user_id, card_type, card_no, pos_id, line, station, identity, limit_fen, open)
		SELECT no, ?5, ?6, ?1, ?2, ?3, ?7, ?8, ?9, ?10, ?11, ?5 IN ('ENTRY', 'EXIT') FROM merchant_record WHERE id = ?4`, taps,
		func(stmt *sqlite.Stmt, tap merchant.Tap) {
			bindRider(stmt, tap.Rider)
			stmt.BindBytes(4, tap.Record[:])
			stmt.BindText(5, string(tap.Kind))
			stmt.BindInt64(6, tap.At.UnixMicro())
			stmt.BindText(7, tap.POSID)
			stmt.BindText(8, tap.Line)
			stmt.BindText(9, tap.Station)
			stmt.BindBytes(10, tap.Identity[:])
			stmt.BindInt64(11, int64(tap.LimitFen))
		})
	if err != nil {
		return fmt.Errorf("tap: %w", err)
	}
	return nil
}

func insertClaims(conn *sqlite.Conn, claims []merchant.TapClaim) error {
	err := change(conn, "INSERT INTO merchant_claim (tap, station, line, at, made) SELECT no, ?2, ?3, ?4, ?5 FROM merchant_record WHERE id = ?1", claims,
		func(stmt *sqlite.Stmt, claim merchant.TapClaim) {
			stmt.BindBytes(1, claim.Record[:])
			stmt.BindText(2, claim.Station)
			stmt.BindText(3, claim.Line)
			stmt.BindInt64(4, claim.At.UnixMicro())
			stmt.BindInt64(5, claim.Made.UnixMicro())
		})
	if err != nil {
		return fmt.Errorf("claim: %w", err)
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
	err := change(conn, `INSERT INTO merchant_trade (out_trade_no, order_time, subject, amount, biz_context, seller_login, lines,
		state, attempts, next_try, trade_no, reason, start, finish, companion, claimed, fare_table) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
		(SELECT no FROM merchant_record WHERE id = ?), (SELECT no FROM merchant_record WHERE id = ?), ?, ?, ?)`, trades, bindMerchantTrade)
	if err != nil {
		return fmt.Errorf("trade: %w", err)
	}
	for _, trade := range trades {
		if fare.Sum(trade.Lines) != trade.AmountFen {
			return fmt.Errorf("%w: the lines of trade %q do not add up to its amount", ErrInconsistent, trade.OutTradeNo)
		}
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
	stmt.BindText(7, string(fare.AppendLines(nil, trade.Lines)))
	stmt.BindText(8, string(trade.State))
	stmt.BindInt64(9, int64(trade.Attempts))
	stmt.BindInt64(10, trade.NextTry.UnixMicro())
	stmt.BindText(11, string(trade.TradeNo))
	stmt.BindText(12, trade.Reason)
	stmt.BindBytes(13, trade.Trip.Start.Record[:])
	stmt.BindBytes(14, trade.Trip.End.Record[:])
	stmt.BindBool(15, trade.Trip.Companion)
	stmt.BindBool(16, trade.Trip.Claim.Station != "")
	stmt.BindText(17, trade.Table)
}

func insertLegs(conn *sqlite.Conn, trade merchant.Trade) error {
	if len(trade.Held) == 0 {
		return fmt.Errorf("%w: it holds none", ErrInconsistent)
	}
	place := int64(-1)
	return change(conn, `INSERT INTO merchant_leg (trade, place, tap) SELECT d.no, ?3, r.no
		FROM merchant_trade d CROSS JOIN merchant_record r WHERE d.out_trade_no = +?1 AND r.id = +?2`, trade.Held,
		func(stmt *sqlite.Stmt, id record.ID) {
			place++
			stmt.BindText(1, string(trade.OutTradeNo))
			stmt.BindBytes(2, id[:])
			stmt.BindInt64(3, place)
		})
}

func insertRefunds(conn *sqlite.Conn, refunds []merchant.Refund) error {
	err := change(conn, "INSERT INTO merchant_refund (number, trade, amount, reason, named) SELECT ?2, no, ?3, ?4, ?5 FROM merchant_trade WHERE out_trade_no = ?1", refunds,
		func(stmt *sqlite.Stmt, refund merchant.Refund) {
			stmt.BindText(1, string(refund.OutTradeNo))
			stmt.BindText(2, refund.Number)
			stmt.BindInt64(3, int64(refund.AmountFen))
			stmt.BindText(4, refund.Reason)
			stmt.BindInt64(5, refund.Named.UnixMicro())
		})
	if err != nil {
		return fmt.Errorf("refund: %w", err)
	}
	return nil
}

func leaveOpen(conn *sqlite.Conn, ids []record.ID) error {
	err := change(conn, "UPDATE merchant_tap SET open = 2 WHERE open > 0 AND record = (SELECT no FROM merchant_record WHERE id = +?)", ids,
		func(stmt *sqlite.Stmt, id record.ID) { stmt.BindBytes(1, id[:]) })
	if err != nil {
		return fmt.Errorf("leave open: %w", err)
	}
	return nil
}

// replaceSums puts what some days of a rider count in the place of what stood for them.
func replaceSums(conn *sqlite.Conn, sums []merchant.DaySums) error {
	none := func(*sqlite.Stmt, merchant.DaySums) error { return nil }
	err := each(conn, "DELETE FROM merchant_sum WHERE user_id = ? AND card_type = ? AND card_no = ? AND day BETWEEN ? AND ?", sums,
		func(stmt *sqlite.Stmt, s merchant.DaySums) {
			bindRider(stmt, s.Rider)
			stmt.BindInt64(4, int64(s.First))
			stmt.BindInt64(5, int64(s.Last))
		}, none)
	if err != nil {
		return fmt.Errorf("sums: %w", err)
	}
	for _, s := range sums {
		for day, counted := range s.Days {
			if err := insertSums(conn, s.Rider, day, counted); err != nil {
				return fmt.Errorf("sums: %w", err)
			}
		}
	}
	return nil
}

func insertSums(conn *sqlite.Conn, rider merchant.Rider, day fare.Day, counted fare.Sums) error {
	return change(conn, "INSERT INTO merchant_sum (user_id, card_type, card_no, day, cap, amount) VALUES (?, ?, ?, ?, ?, ?)", slices.Sorted(maps.Keys(counted)),
		func(stmt *sqlite.Stmt, name string) {
			bindRider(stmt, rider)
			stmt.BindInt64(4, int64(day))
			stmt.BindText(5, name)
			stmt.BindInt64(6, int64(counted[name]))
		})
}

func moveTrades(conn *sqlite.Conn, moves []merchant.TradeProgress) error {
	err := change(conn, "UPDATE merchant_trade SET state = ?2, attempts = ?3, next_try = ?4, trade_no = ?5, reason = ?6, settled = ?7 WHERE out_trade_no = ?1", moves,
		func(stmt *sqlite.Stmt, move merchant.TradeProgress) {
			stmt.BindText(1, string(move.OutTradeNo))
			stmt.BindText(2, string(move.State))
			stmt.BindInt64(3, int64(move.Attempts))
			stmt.BindInt64(4, move.NextTry.UnixMicro())
			stmt.BindText(5, string(move.TradeNo))
			stmt.BindText(6, move.Reason)
			bindInstantOrNone(stmt, 7, move.Settled)
		})
	if err != nil {
		return fmt.Errorf("progress of a trade: %w", err)
	}
	return nil
}
