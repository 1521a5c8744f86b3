package store

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/reconcile"
)

// View implements reconcile.Store.
func (s *ReconcileStore) View(ctx context.Context, numbers []openapi.OutTradeNo) (facts []reconcile.Facts, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		facts, err = loadFacts(conn, numbers)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: view: %w", err)
	}
	return facts, nil
}

// Update implements reconcile.Store.
func (s *ReconcileStore) Update(ctx context.Context, numbers []openapi.OutTradeNo, decide func([]reconcile.Facts) ([]reconcile.Move, error)) error {
	return s.db.write(ctx, func(conn *sqlite.Conn) error {
		facts, err := loadFacts(conn, numbers)
		if err != nil {
			return fmt.Errorf("store: read: %w", err)
		}
		moves, err := decide(facts)
		if err != nil {
			return err
		}
		if err := saveMoves(conn, moves); err != nil {
			return fmt.Errorf("store: write: %w", err)
		}
		return nil
	})
}

func loadFacts(conn *sqlite.Conn, numbers []openapi.OutTradeNo) ([]reconcile.Facts, error) {
	facts := make([]reconcile.Facts, len(numbers))
	into := make([]*reconcile.Facts, len(numbers))
	for i, number := range numbers {
		facts[i].OutTradeNo, into[i] = number, &facts[i]
	}
	bind := func(stmt *sqlite.Stmt, f *reconcile.Facts) { stmt.BindText(1, string(f.OutTradeNo)) }
	for _, part := range []struct {
		query string
		row   func(*sqlite.Stmt, *reconcile.Facts) error
	}{
		{"SELECT state, trade_no, amount, settled FROM merchant_trade WHERE out_trade_no = ?", readOwnTrade},
		{`SELECT f.number, f.amount FROM merchant_trade d CROSS JOIN merchant_refund f ON f.trade = d.no WHERE d.out_trade_no = ? ORDER BY f.no`, readOwnRefund},
		{`SELECT b.day, l.line, l.kind, l.trade_no, l.request_no, l.at, l.amount FROM merchant_bill_line l CROSS JOIN merchant_bill b ON b.no = l.bill
			WHERE l.out_trade_no = ? AND b.accepted IS NOT NULL AND b.replaced_by IS NULL ORDER BY b.day, l.line`, readBillLine},
		{"SELECT " + differenceColumns + `, s.at, s.state, s.person, s.reason FROM merchant_difference d CROSS JOIN merchant_difference_step s ON s.difference = d.no
			AND s.step = (SELECT max(step) FROM merchant_difference_step WHERE difference = d.no) WHERE d.out_trade_no = ? ORDER BY d.no`, readFoundBefore},
	} {
		if err := each(conn, part.query, into, bind, part.row); err != nil {
			return nil, err
		}
	}
	return facts, nil
}

func readOwnTrade(stmt *sqlite.Stmt, f *reconcile.Facts) error {
	f.Trade = reconcile.Trade{State: merchant.TradeState(stmt.ColumnText(0)), TradeNo: openapi.TradeNo(stmt.ColumnText(1)),
		AmountFen: money.Fen(stmt.ColumnInt64(2)), Settled: instantOrNone(stmt, 3)}
	return nil
}

func readOwnRefund(stmt *sqlite.Stmt, f *reconcile.Facts) error {
	f.Refunds = append(f.Refunds, reconcile.Refund{Number: stmt.ColumnText(0), AmountFen: money.Fen(stmt.ColumnInt64(1))})
	return nil
}

func readBillLine(stmt *sqlite.Stmt, f *reconcile.Facts) error {
	f.Lines = append(f.Lines, reconcile.Line{Day: reconcile.Day(stmt.ColumnInt64(0)), No: int(stmt.ColumnInt64(1)), Kind: bill.Kind(stmt.ColumnText(2)),
		TradeNo: stmt.ColumnText(3), RequestNo: stmt.ColumnText(4), At: instant(stmt.ColumnInt64(5)), AmountFen: money.Fen(stmt.ColumnInt64(6))})
	return nil
}

const (
	differenceColumns      = "d.no, d.kind, d.out_trade_no, d.request_no, d.day, d.place, d.own_fen, d.billed_fen, d.state"
	differenceColumnsCount = 9
)

func readDifference(stmt *sqlite.Stmt) reconcile.Difference {
	return reconcile.Difference{No: stmt.ColumnInt64(0), Content: reconcile.Content{Kind: reconcile.Kind(stmt.ColumnText(1)),
		OutTradeNo: openapi.OutTradeNo(stmt.ColumnText(2)), RequestNo: stmt.ColumnText(3), Day: reconcile.Day(stmt.ColumnInt64(4)),
		Place: int(stmt.ColumnInt64(5)), OwnFen: money.Fen(stmt.ColumnInt64(6)), BilledFen: money.Fen(stmt.ColumnInt64(7))},
		State: reconcile.State(stmt.ColumnText(8))}
}

func readStep(stmt *sqlite.Stmt, from int) reconcile.Step {
	return reconcile.Step{At: instant(stmt.ColumnInt64(from)), State: reconcile.State(stmt.ColumnText(from + 1)), Person: stmt.ColumnText(from + 2),
		Reason: stmt.ColumnText(from + 3)}
}

func readFoundBefore(stmt *sqlite.Stmt, f *reconcile.Facts) error {
	difference := readDifference(stmt)
	difference.Steps = []reconcile.Step{readStep(stmt, differenceColumnsCount)}
	f.Differences = append(f.Differences, difference)
	return nil
}

// saveMoves makes differences that are new, and adds the steps.
func saveMoves(conn *sqlite.Conn, moves []reconcile.Move) error {
	none := func(*sqlite.Stmt, reconcile.Move) error { return nil }
	for _, move := range moves {
		one := []reconcile.Move{move}
		err := each(conn, `INSERT INTO merchant_difference (kind, out_trade_no, request_no, day, place, own_fen, billed_fen, state) VALUES (?, ?, ?, ?, ?, ?, ?, '')
			ON CONFLICT DO NOTHING`, one, bindContent, none)
		if err != nil {
			return err
		}
		err = change(conn, `INSERT INTO merchant_difference_step (difference, step, at, state, person, reason)
			SELECT no, 1 + (SELECT count(*) FROM merchant_difference_step WHERE difference = no), ?8, ?9, ?10, ?11 FROM merchant_difference
			WHERE kind = ?1 AND out_trade_no = ?2 AND request_no = ?3 AND day = ?4 AND place = ?5 AND own_fen = ?6 AND billed_fen = ?7`, one,
			func(stmt *sqlite.Stmt, move reconcile.Move) {
				bindContent(stmt, move)
				stmt.BindInt64(8, move.At.UnixMicro())
				stmt.BindText(9, string(move.State))
				stmt.BindText(10, move.Person)
				stmt.BindText(11, move.Reason)
			})
		if err != nil {
			return fmt.Errorf("difference of %q: %w", move.OutTradeNo, err)
		}
	}
	return nil
}

func bindContent(stmt *sqlite.Stmt, move reconcile.Move) {
	stmt.BindText(1, string(move.Kind))
	stmt.BindText(2, string(move.OutTradeNo))
	stmt.BindText(3, move.RequestNo)
	stmt.BindInt64(4, int64(move.Day))
	stmt.BindInt64(5, int64(move.Place))
	stmt.BindInt64(6, int64(move.OwnFen))
	stmt.BindInt64(7, int64(move.BilledFen))
}

// Differences implements reconcile.Store.
func (s *ReconcileStore) Differences(ctx context.Context, all bool, after int64, count int) (found []reconcile.Difference, err error) {
	query := "SELECT " + differenceColumns + " FROM merchant_difference d WHERE d.state <> 'RESOLVED' AND d.no > ? ORDER BY d.no LIMIT ?"
	if all {
		query = "SELECT " + differenceColumns + " FROM merchant_difference d WHERE d.no > ? ORDER BY d.no LIMIT ?"
	}
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		err := each(conn, query, []int64{after},
			func(stmt *sqlite.Stmt, after int64) {
				stmt.BindInt64(1, after)
				stmt.BindInt64(2, int64(count))
			},
			func(stmt *sqlite.Stmt, _ int64) error {
				found = append(found, readDifference(stmt))
				return nil
			})
		if err != nil {
			return err
		}
		return loadSteps(conn, found)
	})
	if err != nil {
		return nil, fmt.Errorf("store: list differences: %w", err)
	}
	return found, nil
}

func loadSteps(conn *sqlite.Conn, differences []reconcile.Difference) error {
	into := make([]*reconcile.Difference, len(differences))
	for i := range differences {
		into[i] = &differences[i]
	}
	return each(conn, "SELECT at, state, person, reason FROM merchant_difference_step WHERE difference = ? ORDER BY step", into,
		func(stmt *sqlite.Stmt, d *reconcile.Difference) { stmt.BindInt64(1, d.No) },
		func(stmt *sqlite.Stmt, d *reconcile.Difference) error {
			d.Steps = append(d.Steps, readStep(stmt, 0))
			return nil
		})
}

// UnbilledRefunds implements reconcile.Store.
func (s *ReconcileStore) UnbilledRefunds(ctx context.Context, after string, count int) (refunds []merchant.Refund, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, "SELECT "+refundColumns+` FROM merchant_refund f CROSS JOIN merchant_trade d ON d.no = f.trade
			WHERE f.no > ifnull((SELECT no FROM merchant_refund WHERE number = +?), 0) AND d.state = 'SETTLED' AND d.trade_no NOT GLOB 'CARD*'
			AND NOT EXISTS (SELECT 1 FROM merchant_bill_line l CROSS JOIN merchant_bill b ON b.no = l.bill WHERE l.out_trade_no = d.out_trade_no
				AND l.kind = '退款' AND l.request_no = f.number AND b.accepted IS NOT NULL AND b.replaced_by IS NULL)
			ORDER BY f.no LIMIT +?`, []string{after},
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
