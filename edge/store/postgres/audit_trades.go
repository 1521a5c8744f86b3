package postgres

import (
	"fmt"

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
	var no, currentNo int64
	var row settlement
	var code ledger.Code
	var amount money.Fen
	var credit int64
	err := a.rows(`SELECT t.no, t.app, t.out_trade_no, t.amount, t.payer, coalesce(x.code, 0), coalesce(x.amount, 0), coalesce(x.credit, 0)
		FROM shuama.trade AS t LEFT JOIN shuama.transfer AS x ON x.reference = t.trade_no ORDER BY t.no`,
		[]any{&no, &row.key.App, &row.key.OutTradeNo, &row.amount, &row.payer, &code, &amount, &credit}, func() error {
			if current == nil || no != currentNo {
				a.examineSettlement(current)
				read := row
				current, currentNo = &read, no
			}
			current.add(code, amount, credit)
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
