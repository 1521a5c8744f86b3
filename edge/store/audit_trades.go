package store

import (
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/payment"
)

// examineTrades: what moved for a trade is its amount, to one merchant, from who it says has paid; and
// nothing moved for a trade that is not there.
func (a *auditor) examineTrades() error {
	var current *payment.Moved
	var currentNo int64
	err := a.rows(`SELECT t.no, t.app, t.out_trade_no, t.amount, t.payer, x.code, x.amount, x.credit
		FROM trade t LEFT JOIN transfer x ON x.reference = t.trade_no ORDER BY t.no`, func(stmt *sqlite.Stmt) error {
		if no := stmt.ColumnInt64(0); current == nil || no != currentNo {
			a.examineSettlement(current)
			current, currentNo = readSettlement(stmt), no
		}
		current.Add(ledger.Code(stmt.ColumnInt64(5)), money.Fen(stmt.ColumnInt64(6)), stmt.ColumnInt64(7))
		return nil
	})
	if err != nil {
		return err
	}
	a.examineSettlement(current)
	return a.faultRows(fmt.Sprintf(`SELECT x.id FROM transfer x LEFT JOIN trade t ON t.trade_no = x.reference
		WHERE x.code IN (%d, %d, %d) AND t.no IS NULL`, payment.CodeRide, payment.CodeGuarantee, payment.CodeDebt),
		func(stmt *sqlite.Stmt) string {
			return fmt.Sprintf("Transfer %q: the trade that it is for does not exist.", stmt.ColumnText(0))
		})
}

func readSettlement(stmt *sqlite.Stmt) *payment.Moved {
	return &payment.Moved{Key: payment.TradeKey{App: payment.AppID(stmt.ColumnText(1)), OutTradeNo: payment.OutTradeNo(stmt.ColumnText(2))},
		AmountFen: money.Fen(stmt.ColumnInt64(3)), Payer: payment.Payer(stmt.ColumnText(4))}
}

func (a *auditor) examineSettlement(moved *payment.Moved) {
	if moved == nil {
		return
	}
	if fault := moved.Fault(); fault != "" {
		a.fault("%s", fault)
	}
}

// examineContents: each trade is kept as it was settled.
func (a *auditor) examineContents() error {
	return a.rows("SELECT "+tradeColumns+", app, out_trade_no FROM trade ORDER BY no", func(stmt *sqlite.Stmt) error {
		key := payment.TradeKey{App: payment.AppID(stmt.ColumnText(13)), OutTradeNo: payment.OutTradeNo(stmt.ColumnText(14))}
		trade, err := readTrade(stmt, key)
		if err != nil || trade.Content.Digest() != trade.Digest {
			a.fault("Trade %q of app %q: its content is not what its digest was made of.", key.OutTradeNo, key.App)
		}
		return nil
	})
}

// examineCodes: every trade has codes, and no code has paid twice.
func (a *auditor) examineCodes() error {
	err := a.faultRows(`SELECT app, out_trade_no, count(place) FROM trade LEFT JOIN used_code ON used_code.trade = trade.no
		GROUP BY trade.no HAVING count(place) = 0 OR min(place) <> 0 OR max(place) <> count(place) - 1`, func(stmt *sqlite.Stmt) string {
		return fmt.Sprintf("Trade %q of app %q: not all of its codes are there, but %d.",
			stmt.ColumnText(1), stmt.ColumnText(0), stmt.ColumnInt64(2))
	})
	if err != nil {
		return err
	}
	return a.faultRows("SELECT hex(code), count(*) FROM used_code GROUP BY code HAVING count(*) > 1", func(stmt *sqlite.Stmt) string {
		return fmt.Sprintf("Code %s: it has paid for %d trades.", stmt.ColumnText(0), stmt.ColumnInt64(1))
	})
}

// examineTopUps: each top-up has its one transfer, and each transfer of a top-up its order.
func (a *auditor) examineTopUps() error {
	err := a.faultRows(fmt.Sprintf(`SELECT u.id FROM top_up u LEFT JOIN transfer x ON x.reference = u.id AND x.code = %d
		GROUP BY u.id HAVING count(x.no) <> 1 OR max(x.amount) IS NOT u.amount OR max(x.credit) IS NOT u.account`, payment.CodeTopUp),
		func(stmt *sqlite.Stmt) string {
			return fmt.Sprintf("Top-up %q: it has not exactly one transfer, of its amount to its account.", stmt.ColumnText(0))
		})
	if err != nil {
		return err
	}
	return a.faultRows(fmt.Sprintf(`SELECT x.id FROM transfer x LEFT JOIN top_up u ON u.id = x.reference
		WHERE x.code = %d AND u.id IS NULL`, payment.CodeTopUp), func(stmt *sqlite.Stmt) string {
		return fmt.Sprintf("Transfer %q: the top-up that it is for does not exist.", stmt.ColumnText(0))
	})
}
