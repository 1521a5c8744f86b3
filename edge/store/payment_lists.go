package store

import (
	"context"
	"encoding/json"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// pageSize is how many rows a visitor is given from one look: he may take his time, and nothing waits for
// him. A snapshot that is held keeps the log from being cut.
const pageSize = 1000

// list reads all rows of a query.
func list[T any](ctx context.Context, s *PaymentStore, what, query string, bind func(*sqlite.Stmt), row func(*sqlite.Stmt) (T, error)) (all []T, err error) {
	err = s.read(ctx, what, func(b *book) error {
		return each(b.conn, query, once, func(stmt *sqlite.Stmt, _ struct{}) { bind(stmt) }, func(stmt *sqlite.Stmt, _ struct{}) error {
			one, err := row(stmt)
			all = append(all, one)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// visit hands over rows page by page. next reads the page after what was visited last.
func visit[T any](next func() ([]T, error), each func(T) error) error {
	for {
		page, err := next()
		if err != nil {
			return err
		}
		for _, one := range page {
			if err := each(one); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// EachTrade implements payment.Store.
func (s *PaymentStore) EachTrade(ctx context.Context, _ int, day ledger.Day, each func(payment.SettledTrade) error) error {
	after := ledger.DocumentID(0)
	next := func() ([]payment.StoredTrade, error) { return s.tradesAfter(ctx, day, after, pageSize) }
	return visit(next, func(stored payment.StoredTrade) error {
		after = stored.ID
		trade, err := stored.Settled(0)
		if err != nil {
			return err
		}
		return each(trade)
	})
}

// tradesAfter finds trades of a day: its transfers tell which they are.
func (s *PaymentStore) tradesAfter(ctx context.Context, day ledger.Day, after ledger.DocumentID, limit int) ([]payment.StoredTrade, error) {
	return list(ctx, s, "trades", "SELECT "+tradeColumns+` FROM transfer INDEXED BY transfer_day CROSS JOIN trade ON trade.id = transfer.document
		WHERE transfer.day = ? AND transfer.no > ? AND leg = 0 AND code IN (2, 3) ORDER BY transfer.no LIMIT ?`,
		func(stmt *sqlite.Stmt) {
			stmt.BindInt64(1, int64(day))
			stmt.BindInt64(2, transferNo(ledger.TransferID{Document: after}))
			stmt.BindInt64(3, int64(max(0, limit)))
		},
		func(stmt *sqlite.Stmt) (payment.StoredTrade, error) { return readTrade(stmt), nil })
}

// TradesAfter implements payment.Store.
func (s *PaymentStore) TradesAfter(ctx context.Context, _ int, day ledger.Day, after ledger.DocumentID, limit int) ([]payment.SettledTrade, error) {
	stored, err := s.tradesAfter(ctx, day, after, limit)
	trades := make([]payment.SettledTrade, len(stored))
	for i := range stored {
		if err == nil {
			trades[i], err = stored[i].Settled(0)
		}
	}
	return trades, err
}

// EachTransfer implements payment.Store. It goes from day to day: within one, the index is in the order of the
// numbers.
func (s *PaymentStore) EachTransfer(ctx context.Context, _ int, account ledger.AccountID, first, last ledger.Day, each func(ledger.Transfer) error) error {
	for {
		day, err := s.dayOfTransfers(ctx, first, last)
		if err != nil || day == 0 {
			return err
		}
		if err := s.eachTransferOf(ctx, account, day, each); err != nil {
			return err
		}
		first = day + 1
	}
}

// dayOfTransfers is the first day from first to last on which something moved, 0 for none.
func (s *PaymentStore) dayOfTransfers(ctx context.Context, first, last ledger.Day) (day ledger.Day, err error) {
	err = s.read(ctx, "days", func(b *book) error {
		return each(b.conn, "SELECT min(day) FROM transfer WHERE day BETWEEN ? AND ?", once, func(stmt *sqlite.Stmt, _ struct{}) {
			stmt.BindInt64(1, int64(first))
			stmt.BindInt64(2, int64(last))
		}, func(stmt *sqlite.Stmt, _ struct{}) error {
			day = ledger.Day(stmt.ColumnInt64(0))
			return nil
		})
	})
	return day, err
}

func (s *PaymentStore) eachTransferOf(ctx context.Context, account ledger.AccountID, day ledger.Day, each func(ledger.Transfer) error) error {
	after := ledger.TransferID{}
	next := func() ([]ledger.Transfer, error) {
		return list(ctx, s, "transfers", "SELECT "+transferColumns+` FROM account AS a CROSS JOIN transfer AS t INDEXED BY transfer_day
			JOIN account AS d ON d.no = t.debit JOIN account AS c ON c.no = t.credit
			WHERE a.id = ? AND (t.debit = a.no OR t.credit = a.no) AND t.day = ? AND t.no > ? ORDER BY t.no LIMIT ?`,
			func(stmt *sqlite.Stmt) {
				stmt.BindText(1, string(account))
				stmt.BindInt64(2, int64(day))
				stmt.BindInt64(3, transferNo(after))
				stmt.BindInt64(4, pageSize)
			},
			func(stmt *sqlite.Stmt) (ledger.Transfer, error) { return readTransfer(stmt), nil })
	}
	return visit(next, func(t ledger.Transfer) error {
		after = t.ID
		return each(t)
	})
}

// transferColumns is what readTransfer reads, in this order.
const transferColumns = "t.no, d.id, c.id, t.amount, t.code, t.day, t.at"

func readTransfer(stmt *sqlite.Stmt) ledger.Transfer {
	no := stmt.ColumnInt64(0)
	return ledger.Transfer{ID: ledger.TransferID{Document: ledger.DocumentID(no / legsRoom), Leg: uint8(no % legsRoom)},
		Debit: ledger.AccountID(stmt.ColumnText(1)), Credit: ledger.AccountID(stmt.ColumnText(2)), AmountFen: money.Fen(stmt.ColumnInt64(3)),
		Code: ledger.Code(stmt.ColumnInt64(4)), Day: ledger.Day(stmt.ColumnInt64(5)), At: instant(stmt.ColumnInt64(6))}
}

// Merchants implements payment.Store.
func (s *PaymentStore) Merchants(ctx context.Context, _ int) ([]ledger.AccountID, error) {
	return list(ctx, s, "merchants", "SELECT id FROM account WHERE id >= 'merchant:' AND id < 'merchant;' ORDER BY id", bindNothing,
		func(stmt *sqlite.Stmt) (ledger.AccountID, error) { return ledger.AccountID(stmt.ColumnText(0)), nil })
}

func bindNothing(*sqlite.Stmt) {}

// MerchantTotals implements payment.Store.
func (s *PaymentStore) MerchantTotals(ctx context.Context, _ int, first, last ledger.Day) ([]payment.AccountTotal, error) {
	return list(ctx, s, "totals", `WITH of_merchant AS MATERIALIZED (
			SELECT no, id FROM account WHERE id >= 'merchant:' AND id < 'merchant;' OR id >= 'settled:' AND id < 'settled;'
		), side AS (
			SELECT credit AS no, code, 1 AS came, amount FROM transfer INDEXED BY transfer_day WHERE day BETWEEN ?1 AND ?2 AND credit IN (SELECT no FROM of_merchant)
			UNION ALL SELECT debit, code, 0, amount FROM transfer INDEXED BY transfer_day WHERE day BETWEEN ?1 AND ?2 AND debit IN (SELECT no FROM of_merchant)
		), total AS (
			SELECT no, code, sum(came) AS came, sum(iif(came, amount, 0)) AS came_fen, sum(NOT came) AS went, sum(iif(came, 0, amount)) AS went_fen
			FROM side GROUP BY no, code
		)
		SELECT id, code, came, came_fen, went, went_fen FROM total JOIN of_merchant USING (no) ORDER BY id, code`,
		func(stmt *sqlite.Stmt) {
			stmt.BindInt64(1, int64(first))
			stmt.BindInt64(2, int64(last))
		},
		func(stmt *sqlite.Stmt) (payment.AccountTotal, error) {
			return payment.AccountTotal{Account: ledger.AccountID(stmt.ColumnText(0)), Code: ledger.Code(stmt.ColumnInt64(1)),
				In:  payment.Total{Count: stmt.ColumnInt64(2), SumFen: money.Fen(stmt.ColumnInt64(3))},
				Out: payment.Total{Count: stmt.ColumnInt64(4), SumFen: money.Fen(stmt.ColumnInt64(5))}}, nil
		})
}

// owing is a rider and what he owes.
type owing struct {
	rider   payment.Rider
	owedFen money.Fen
}

// EachRider implements payment.Store.
func (s *PaymentStore) EachRider(ctx context.Context, _ int, each func(rider payment.Rider, owedFen money.Fen) error) error {
	after := ridecode.UserID("")
	next := func() ([]owing, error) {
		return list(ctx, s, "riders", "SELECT "+riderColumns+`, ifnull(-balance, 0) FROM rider LEFT JOIN account ON account.id = 'debt:' || user_id
			WHERE user_id > ? ORDER BY user_id LIMIT ?`,
			func(stmt *sqlite.Stmt) {
				stmt.BindText(1, string(after))
				stmt.BindInt64(2, pageSize)
			},
			func(stmt *sqlite.Stmt) (owing, error) {
				return owing{readPaymentRider(stmt), money.Fen(stmt.ColumnInt64(7))}, nil
			})
	}
	return visit(next, func(o owing) error {
		after = o.rider.User
		return each(o.rider, o.owedFen)
	})
}

// UnderWay implements payment.Store.
func (s *PaymentStore) UnderWay(ctx context.Context, _ int) (departures []payment.Departure, err error) {
	err = s.read(ctx, "under way", func(b *book) error {
		departures, err = underWay(b.conn)
		return err
	})
	return departures, err
}

func underWay(conn *sqlite.Conn) (departures []payment.Departure, err error) {
	err = each(conn, "SELECT id, to_bucket, account, amount, code, document FROM under_way ORDER BY id", once, nothing, func(stmt *sqlite.Stmt, _ struct{}) error {
		departures = append(departures, payment.Departure{ID: ledger.DocumentID(stmt.ColumnInt64(0)), To: stmt.ColumnInt(1), Account: ledger.AccountID(stmt.ColumnText(2)),
			AmountFen: money.Fen(stmt.ColumnInt64(3)), Code: ledger.Code(stmt.ColumnInt64(4)), Document: payment.DocumentKey(stmt.ColumnText(5))})
		return nil
	})
	return departures, err
}

// Posted implements payment.Store.
func (s *PaymentStore) Posted(ctx context.Context, _, limit int) ([]payment.Posted, error) {
	return list(ctx, s, "notices", "SELECT seq, trades, notices FROM posted ORDER BY seq LIMIT +?",
		func(stmt *sqlite.Stmt) { stmt.BindInt64(1, int64(max(0, limit))) },
		func(stmt *sqlite.Stmt) (posted payment.Posted, err error) {
			posted.Seq = stmt.ColumnInt64(0)
			if text := columnBytes(stmt, 1); len(text) > 0 {
				err = json.Unmarshal(text, &posted.Trades)
			}
			if text := columnBytes(stmt, 2); len(text) > 0 && err == nil {
				err = json.Unmarshal(text, &posted.Notices)
			}
			return posted, err
		})
}
