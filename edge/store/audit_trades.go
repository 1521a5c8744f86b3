package store

import (
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/payment"
)

// settlement is what moved for one trade.
type settlement struct {
	key       payment.TradeKey
	amount    money.Fen
	payer     payment.Payer
	ride      money.Fen // from the user to the merchant
	guarantee money.Fen // from the guarantee fund to the merchant
	debt      money.Fen // what the user owes for it
	merchant  int64     // number of the account it went to
	astray    bool      // part of it went to another account, or its sum does not fit
}

// examineTrades: what moved for a trade is its amount, to one merchant, from who it says has paid; and
// nothing moved for a trade that is not there.
func (a *auditor) examineTrades() error {
	var current *settlement
	var currentNo int64
	err := a.rows(`SELECT t.no, t.app, t.out_trade_no, t.amount, t.payer, x.code, x.amount, x.credit
		FROM trade t LEFT JOIN transfer x ON x.reference = t.trade_no ORDER BY t.no`, func(stmt *sqlite.Stmt) error {
		if no := stmt.ColumnInt64(0); current == nil || no != currentNo {
			a.examineSettlement(current)
			current, currentNo = readSettlement(stmt), no
		}
		current.add(ledger.Code(stmt.ColumnInt64(5)), money.Fen(stmt.ColumnInt64(6)), stmt.ColumnInt64(7))
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

func readSettlement(stmt *sqlite.Stmt) *settlement {
	return &settlement{key: payment.TradeKey{App: payment.AppID(stmt.ColumnText(1)), OutTradeNo: payment.OutTradeNo(stmt.ColumnText(2))},
		amount: money.Fen(stmt.ColumnInt64(3)), payer: payment.Payer(stmt.ColumnText(4))}
}

// add counts a transfer by why it moved; other codes, as of a debt that was paid later, are not part of
// the settlement.
func (s *settlement) add(code ledger.Code, amount money.Fen, credit int64) {
	switch code {
	case payment.CodeRide:
		s.addTo(&s.ride, amount)
		s.arriveAt(credit)
	case payment.CodeGuarantee:
		s.addTo(&s.guarantee, amount)
		s.arriveAt(credit)
	case payment.CodeDebt:
		s.addTo(&s.debt, amount)
	}
}

func (s *settlement) addTo(sum *money.Fen, amount money.Fen) {
	var err error
	if *sum, err = sum.Add(amount); err != nil {
		s.astray = true
	}
}

func (s *settlement) arriveAt(credit int64) {
	s.astray = s.astray || s.merchant != 0 && s.merchant != credit
	s.merchant = credit
}

func (s *settlement) proven() bool {
	if s.payer == payment.PaidByGuarantee {
		return !s.astray && s.ride == 0 && s.guarantee == s.amount && s.debt == s.amount
	}
	return !s.astray && s.ride == s.amount && s.guarantee == 0 && s.debt == 0
}

func (a *auditor) examineSettlement(s *settlement) {
	if s == nil || s.proven() {
		return
	}
	a.fault("Trade %q of app %q: its amount is %d fen paid by %s, and its transfers move %d fen from the user, %d fen from the guarantee and %d fen of debt.",
		s.key.OutTradeNo, s.key.App, s.amount, s.payer, s.ride, s.guarantee, s.debt)
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
