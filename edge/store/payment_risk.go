package store

import (
	"context"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// riskColumns is what readRisk reads, in this order.
const riskColumns = "user_id, kind, at, key, content"

func readRisk(stmt *sqlite.Stmt) payment.RiskEntry {
	return payment.RiskEntry{User: ridecode.UserID(stmt.ColumnText(0)), Kind: payment.RiskKind(stmt.ColumnInt(1)), At: instant(stmt.ColumnInt64(2)),
		Key: stmt.ColumnText(3), Body: columnBytes(stmt, 4)}
}

// riskName names an entry within a rider's.
type riskName struct {
	kind payment.RiskKind
	at   int64
	key  string
}

func loadRisk(conn *sqlite.Conn, needs []payment.RiskNeed, into map[ridecode.UserID][]payment.RiskEntry) error {
	seen := make(map[ridecode.UserID]map[riskName]bool)
	err := each(conn, "SELECT "+riskColumns+" FROM risk_entry WHERE user_id = ? AND kind = ? AND at BETWEEN ? AND ? ORDER BY at, key LIMIT ?", needs,
		func(stmt *sqlite.Stmt, need payment.RiskNeed) {
			stmt.BindText(1, string(need.User))
			stmt.BindInt64(2, int64(need.Kind))
			stmt.BindInt64(3, need.From.UnixMicro())
			stmt.BindInt64(4, need.To.UnixMicro())
			stmt.BindInt64(5, int64(max(0, need.Limit)))
		},
		func(stmt *sqlite.Stmt, need payment.RiskNeed) error {
			entry := readRisk(stmt)
			if seen[need.User] == nil {
				seen[need.User] = make(map[riskName]bool)
			}
			if name := (riskName{entry.Kind, entry.At.UnixMicro(), entry.Key}); !seen[need.User][name] {
				seen[need.User][name] = true
				into[need.User] = append(into[need.User], entry)
			}
			return nil
		})
	for _, entries := range into {
		payment.SortRisk(entries)
	}
	return err
}

func loadRiskSeen(conn *sqlite.Conn, wanted bool, into *payment.RiskMark) error {
	if !wanted {
		return nil
	}
	return each(conn, "SELECT day, after, again FROM risk_seen", once, nothing, func(stmt *sqlite.Stmt, _ struct{}) error {
		*into = payment.RiskMark{Day: ledger.Day(stmt.ColumnInt64(0)), After: ledger.DocumentID(stmt.ColumnInt64(1)), Again: stmt.ColumnBool(2)}
		return nil
	})
}

func insertRisk(conn *sqlite.Conn, entries []payment.RiskEntry) error {
	return insert(conn, "INSERT INTO risk_entry ("+riskColumns+") VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", entries,
		func(stmt *sqlite.Stmt, entry payment.RiskEntry) {
			stmt.BindText(1, string(entry.User))
			stmt.BindInt64(2, int64(entry.Kind))
			stmt.BindInt64(3, entry.At.UnixMicro())
			stmt.BindText(4, entry.Key)
			stmt.BindBytes(5, notNil(entry.Body))
		})
}

func putRiskSeen(conn *sqlite.Conn, mark *payment.RiskMark) error {
	if mark == nil {
		return nil
	}
	return insert(conn, `INSERT INTO risk_seen (one, day, after, again) VALUES (1, ?, ?, ?)
		ON CONFLICT DO UPDATE SET day = excluded.day, after = excluded.after, again = excluded.again`, once,
		func(stmt *sqlite.Stmt, _ struct{}) {
			stmt.BindInt64(1, int64(mark.Day))
			stmt.BindInt64(2, int64(mark.After))
			stmt.BindBool(3, mark.Again)
		})
}

// EachFinding implements payment.Store.
func (s *PaymentStore) EachFinding(ctx context.Context, _ int, each func(payment.RiskEntry) error) error {
	var after payment.RiskEntry
	next := func() ([]payment.RiskEntry, error) {
		return list(ctx, s, "findings", "SELECT "+riskColumns+` FROM risk_entry INDEXED BY risk_finding
			WHERE kind = 2 AND (user_id, at, key) > (?, ?, ?) ORDER BY user_id, at, key LIMIT ?`,
			func(stmt *sqlite.Stmt) {
				stmt.BindText(1, string(after.User))
				stmt.BindInt64(2, after.At.UnixMicro())
				stmt.BindText(3, after.Key)
				stmt.BindInt64(4, pageSize)
			},
			func(stmt *sqlite.Stmt) (payment.RiskEntry, error) { return readRisk(stmt), nil })
	}
	return visit(next, func(entry payment.RiskEntry) error {
		after = entry
		return each(entry)
	})
}
