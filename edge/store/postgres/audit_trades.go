package postgres

import (
	"fmt"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/payment"
)

// examineTrades: what moved for a trade is its amount, to one merchant, from who it says has paid; and
// nothing moved for a trade that is not there.
func (a *auditor) examineTrades() error {
	var current *payment.Moved
	var no, currentNo int64
	var row payment.Moved
	var code ledger.Code
	var amount money.Fen
	var credit int64
	err := a.rows(`SELECT t.no, t.app, t.out_trade_no, t.amount, t.payer, coalesce(x.code, 0), coalesce(x.amount, 0), coalesce(x.credit, 0)
		FROM shuama.trade AS t LEFT JOIN shuama.transfer AS x ON x.reference = t.trade_no ORDER BY t.no`,
		[]any{&no, &row.Key.App, &row.Key.OutTradeNo, &row.AmountFen, &row.Payer, &code, &amount, &credit}, func() error {
			if current == nil || no != currentNo {
				a.examineSettlement(current)
				read := row
				current, currentNo = &read, no
			}
			current.Add(code, amount, credit)
			return nil
		})
	if err != nil {
		return err
	}
	a.examineSettlement(current)
	var id string
	return a.faultRows(fmt.Sprintf(`SELECT x.id FROM shuama.transfer AS x LEFT JOIN shuama.trade AS t ON t.trade_no = x.reference
		WHERE x.code IN (%d, %d, %d) AND t.no IS NULL`, payment.CodeRide, payment.CodeGuarantee, payment.CodeDebt), []any{&id}, func() string {
		return fmt.Sprintf("Transfer %q: the trade that it is for does not exist.", id)
	})
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
	var r tradeRow
	return a.rows("SELECT "+tradeColumns+" FROM shuama.trade AS t ORDER BY t.no", r.columns(), func() error {
		trade, err := r.settled()
		if err != nil || trade.Content.Digest() != trade.Digest {
			a.fault("Trade %q of app %q: its content is not what its digest was made of.", trade.Key.OutTradeNo, trade.Key.App)
		}
		return nil
	})
}

// codeOfTrade asks whether the code of the row c is one of those that the trade t names.
const codeOfTrade = `EXISTS (SELECT FROM generate_series(0, octet_length(t.codes) / 32 - 1) AS place
	WHERE substring(t.codes FROM 32 * place + 1 FOR 32) = c.code)`

// examineCodes: the codes of every trade are used up by it, and none has paid twice.
func (a *auditor) examineCodes() error {
	var key payment.TradeKey
	var code string
	var count int
	err := a.faultRows(`SELECT t.app, t.out_trade_no, count(c.code) FROM shuama.trade AS t
		LEFT JOIN shuama.used_code AS c ON c.trade = t.no AND `+codeOfTrade+`
		GROUP BY t.no, t.app, t.out_trade_no, t.codes HAVING count(c.code) <> octet_length(t.codes) / 32`,
		[]any{&key.App, &key.OutTradeNo, &count}, func() string {
			return fmt.Sprintf("Trade %q of app %q: not all of its codes are there, but %d.", key.OutTradeNo, key.App, count)
		})
	if err != nil {
		return err
	}
	err = a.faultRows(`SELECT upper(encode(c.code, 'hex')) FROM shuama.used_code AS c JOIN shuama.trade AS t ON t.no = c.trade
		WHERE NOT `+codeOfTrade, []any{&code}, func() string {
		return fmt.Sprintf("Code %s: the trade that it has paid for does not name it.", code)
	})
	if err != nil {
		return err
	}
	return a.faultRows("SELECT upper(encode(code, 'hex')), count(*) FROM shuama.used_code GROUP BY code HAVING count(*) > 1",
		[]any{&code, &count}, func() string { return fmt.Sprintf("Code %s: it has paid for %d trades.", code, count) })
}

// examineTopUps: each top-up has its one transfer, and each transfer of a top-up its order.
func (a *auditor) examineTopUps() error {
	var id string
	err := a.faultRows(fmt.Sprintf(`SELECT u.id FROM shuama.top_up AS u LEFT JOIN shuama.transfer AS x ON x.reference = u.id AND x.code = %d
		GROUP BY u.id, u.amount, u.account
		HAVING count(x.no) <> 1 OR max(x.amount) IS DISTINCT FROM u.amount OR max(x.credit) IS DISTINCT FROM u.account`, payment.CodeTopUp),
		[]any{&id}, func() string {
			return fmt.Sprintf("Top-up %q: it has not exactly one transfer, of its amount to its account.", id)
		})
	if err != nil {
		return err
	}
	return a.faultRows(fmt.Sprintf(`SELECT x.id FROM shuama.transfer AS x LEFT JOIN shuama.top_up AS u ON u.id = x.reference
		WHERE x.code = %d AND u.id IS NULL`, payment.CodeTopUp), []any{&id}, func() string {
		return fmt.Sprintf("Transfer %q: the top-up that it is for does not exist.", id)
	})
}
