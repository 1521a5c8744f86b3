package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/merchant/reconcile"
)

// ReconcileStore is the bills and differences (对账) of a merchant, beside its trades. It implements
// reconcile.Store; what it promises is written there.
type ReconcileStore struct{ db *DB }

var _ reconcile.Store = (*ReconcileStore)(nil)

// Reconcile is the part of the merchant's file that reconciliation keeps.
func (db *DB) Reconcile() *ReconcileStore { return &ReconcileStore{db: db} }

const billColumns = `no, day, digest, trades, trades_fen, refunds, refunds_fen, lines, begun, accepted IS NOT NULL, ifnull(replaced_by, 0),
	compared IS NOT NULL`

func readBill(stmt *sqlite.Stmt) reconcile.Bill {
	total := func(column int) bill.Total {
		return bill.Total{Count: int(stmt.ColumnInt64(column)), SumFen: money.Fen(stmt.ColumnInt64(column + 1))}
	}
	b := reconcile.Bill{No: stmt.ColumnInt64(0), Day: reconcile.Day(stmt.ColumnInt64(1)), Totals: bill.Totals{Trades: total(3), Refunds: total(5)},
		Lines: int(stmt.ColumnInt64(7)), Begun: instant(stmt.ColumnInt64(8)), Accepted: stmt.ColumnInt64(9) == 1, Replaced: stmt.ColumnInt64(10),
		Compared: stmt.ColumnInt64(11) == 1}
	stmt.ColumnBytes(2, b.Digest[:])
	return b
}

// Bills implements reconcile.Store.
func (s *ReconcileStore) Bills(ctx context.Context) (bills []reconcile.Bill, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, "SELECT "+billColumns+" FROM merchant_bill ORDER BY no", once, func(*sqlite.Stmt, struct{}) {},
			func(stmt *sqlite.Stmt, _ struct{}) error {
				bills = append(bills, readBill(stmt))
				return nil
			})
	})
	if err != nil {
		return nil, fmt.Errorf("store: list bills: %w", err)
	}
	return bills, nil
}

// Begin implements reconcile.Store.
func (s *ReconcileStore) Begin(ctx context.Context, b reconcile.Bill) (begun reconcile.Bill, err error) {
	err = s.db.write(ctx, func(conn *sqlite.Conn) error {
		none := func(*sqlite.Stmt, reconcile.Bill) error { return nil }
		err := each(conn, `INSERT INTO merchant_bill (day, digest, trades, trades_fen, refunds, refunds_fen, lines, begun) VALUES (?, ?, ?, ?, ?, ?, 0, ?)
			ON CONFLICT (day, digest) WHERE accepted IS NULL DO NOTHING`, []reconcile.Bill{b}, bindBill, none)
		if err != nil {
			return err
		}
		return each(conn, "SELECT "+billColumns+" FROM merchant_bill WHERE day = ? AND digest = ? AND accepted IS NULL", []reconcile.Bill{b},
			func(stmt *sqlite.Stmt, b reconcile.Bill) {
				stmt.BindInt64(1, int64(b.Day))
				stmt.BindBytes(2, b.Digest[:])
			},
			func(stmt *sqlite.Stmt, _ reconcile.Bill) error {
				begun = readBill(stmt)
				return nil
			})
	})
	if err != nil {
		return reconcile.Bill{}, fmt.Errorf("store: begin a bill: %w", err)
	}
	return begun, nil
}

func bindBill(stmt *sqlite.Stmt, b reconcile.Bill) {
	stmt.BindInt64(1, int64(b.Day))
	stmt.BindBytes(2, b.Digest[:])
	stmt.BindInt64(3, int64(b.Totals.Trades.Count))
	stmt.BindInt64(4, int64(b.Totals.Trades.SumFen))
	stmt.BindInt64(5, int64(b.Totals.Refunds.Count))
	stmt.BindInt64(6, int64(b.Totals.Refunds.SumFen))
	stmt.BindInt64(7, b.Begun.UnixMicro())
}

// writeMoved is a write that may find that the books have moved.
func (s *ReconcileStore) writeMoved(ctx context.Context, what string, fn func(*sqlite.Conn) error) error {
	err := s.db.write(ctx, fn)
	if err != nil && !errors.Is(err, reconcile.ErrMoved) {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	return err
}

// moveOne runs a statement that changes one row, unless the books have moved.
func moveOne(conn *sqlite.Conn, query string, values ...int64) error {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return err
	}
	for i, value := range values {
		stmt.BindInt64(1+i, value)
	}
	if err := run(stmt); err != nil {
		return err
	}
	if conn.Changes() != 1 {
		return reconcile.ErrMoved
	}
	return nil
}

// AddLines implements reconcile.Store.
func (s *ReconcileStore) AddLines(ctx context.Context, no int64, after int, lines []bill.Line) error {
	return s.writeMoved(ctx, "keep a bill's lines", func(conn *sqlite.Conn) error {
		err := moveOne(conn, "UPDATE merchant_bill SET lines = lines + ?3 WHERE no = ?1 AND lines = ?2 AND accepted IS NULL", no, int64(after), int64(len(lines)))
		if err != nil {
			return err
		}
		line := after
		return change(conn, `INSERT INTO merchant_bill_line (bill, line, kind, out_trade_no, trade_no, request_no, at, amount)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, lines, func(stmt *sqlite.Stmt, l bill.Line) {
			line++
			stmt.BindInt64(1, no)
			stmt.BindInt64(2, int64(line))
			stmt.BindText(3, string(l.Kind))
			stmt.BindText(4, l.OutTradeNo)
			stmt.BindText(5, l.TradeNo)
			stmt.BindText(6, l.RequestNo)
			stmt.BindInt64(7, l.At.UnixMicro())
			stmt.BindInt64(8, int64(l.AmountFen))
		})
	})
}

// Accept implements reconcile.Store.
func (s *ReconcileStore) Accept(ctx context.Context, no, replaced int64, now time.Time) error {
	return s.writeMoved(ctx, "accept a bill", func(conn *sqlite.Conn) error {
		counting, err := countingBill(conn, no)
		if err != nil {
			return err
		}
		if counting != replaced || replaced == no {
			return reconcile.ErrMoved
		}
		if replaced != 0 {
			if err := moveOne(conn, "UPDATE merchant_bill SET replaced_by = ?2 WHERE no = ?1 AND replaced_by IS NULL", replaced, no); err != nil {
				return err
			}
		}
		return moveOne(conn, "UPDATE merchant_bill SET accepted = ?2 WHERE no = ?1 AND accepted IS NULL", no, now.UnixMicro())
	})
}

// countingBill is the bill that counts for the day of another one; 0 where none does.
func countingBill(conn *sqlite.Conn, no int64) (counting int64, err error) {
	err = each(conn, `SELECT no FROM merchant_bill WHERE day = (SELECT day FROM merchant_bill WHERE no = ?)
		AND accepted IS NOT NULL AND replaced_by IS NULL`, []int64{no}, func(stmt *sqlite.Stmt, no int64) { stmt.BindInt64(1, no) },
		func(stmt *sqlite.Stmt, _ int64) error {
			counting = stmt.ColumnInt64(0)
			return nil
		})
	return counting, err
}

// MarkCompared implements reconcile.Store.
func (s *ReconcileStore) MarkCompared(ctx context.Context, no int64, now time.Time) error {
	return s.writeMoved(ctx, "mark a bill", func(conn *sqlite.Conn) error {
		return moveOne(conn, "UPDATE merchant_bill SET compared = ?2 WHERE no = ?1 AND accepted IS NOT NULL", no, now.UnixMicro())
	})
}

// Billed implements reconcile.Store.
func (s *ReconcileStore) Billed(ctx context.Context, no int64, after, count int) (numbers []openapi.OutTradeNo, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		numbers, err = tradeNumbers(conn, "SELECT out_trade_no FROM merchant_bill_line WHERE bill = ? AND line > ? ORDER BY line LIMIT ?", func(stmt *sqlite.Stmt) {
			stmt.BindInt64(1, no)
			stmt.BindInt64(2, int64(after))
			stmt.BindInt64(3, int64(count))
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: list a bill: %w", err)
	}
	return numbers, nil
}

// Settled implements reconcile.Store. Trades that settled at the same instant come in the order of their rows.
func (s *ReconcileStore) Settled(ctx context.Context, from, to time.Time, after reconcile.Mark, count int) (marks []reconcile.Mark, err error) {
	if after.OutTradeNo != "" {
		from = after.Settled
	}
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, `SELECT settled, out_trade_no FROM merchant_trade
			WHERE settled >= ?1 AND settled < ?2 AND (settled, no) > (?1, ifnull((SELECT no FROM merchant_trade WHERE out_trade_no = ?3), -1))
			AND trade_no NOT GLOB 'CARD*' ORDER BY settled, no LIMIT ?4`, []reconcile.Mark{after},
			func(stmt *sqlite.Stmt, after reconcile.Mark) {
				stmt.BindInt64(1, from.UnixMicro())
				stmt.BindInt64(2, to.UnixMicro())
				stmt.BindText(3, string(after.OutTradeNo))
				stmt.BindInt64(4, int64(count))
			},
			func(stmt *sqlite.Stmt, _ reconcile.Mark) error {
				marks = append(marks, reconcile.Mark{Settled: instant(stmt.ColumnInt64(0)), OutTradeNo: openapi.OutTradeNo(stmt.ColumnText(1))})
				return nil
			})
	})
	if err != nil {
		return nil, fmt.Errorf("store: list settled trades: %w", err)
	}
	return marks, nil
}

// SettledTotal implements reconcile.Store.
func (s *ReconcileStore) SettledTotal(ctx context.Context, from, to time.Time) (total bill.Total, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, "SELECT count(*), ifnull(sum(amount), 0) FROM merchant_trade WHERE settled >= ? AND settled < ? AND trade_no NOT GLOB 'CARD*'", once,
			func(stmt *sqlite.Stmt, _ struct{}) {
				stmt.BindInt64(1, from.UnixMicro())
				stmt.BindInt64(2, to.UnixMicro())
			},
			func(stmt *sqlite.Stmt, _ struct{}) error {
				total = bill.Total{Count: int(stmt.ColumnInt64(0)), SumFen: money.Fen(stmt.ColumnInt64(1))}
				return nil
			})
	})
	if err != nil {
		return bill.Total{}, fmt.Errorf("store: sum settled trades: %w", err)
	}
	return total, nil
}
