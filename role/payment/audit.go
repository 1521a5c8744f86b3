package payment

import (
	"fmt"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
)

// Moved is what an audit finds in the books for one settled trade. Which transfers a settlement is made
// of is decided in this package, so every store asks the same proof of it.
type Moved struct {
	Key       TradeKey
	AmountFen money.Fen // of the trade
	Payer     Payer

	rideFen      money.Fen // from the user to the merchant
	guaranteeFen money.Fen // from the guarantee fund to the merchant
	debtFen      money.Fen // what the user owes for it
	merchant     int64     // the store's number of the account it went to
	astray       bool      // part of it went to another account, or its sum does not fit
}

// Add counts a transfer by why it moved; credit is the store's number of the account it went to. Other
// codes, as of a debt that was paid later, are not part of the settlement.
func (m *Moved) Add(code ledger.Code, amountFen money.Fen, credit int64) {
	switch code {
	case CodeRide:
		m.addTo(&m.rideFen, amountFen)
		m.arriveAt(credit)
	case CodeGuarantee:
		m.addTo(&m.guaranteeFen, amountFen)
		m.arriveAt(credit)
	case CodeDebt:
		m.addTo(&m.debtFen, amountFen)
	}
}

func (m *Moved) addTo(sum *money.Fen, amountFen money.Fen) {
	var err error
	if *sum, err = sum.Add(amountFen); err != nil {
		m.astray = true
	}
}

func (m *Moved) arriveAt(credit int64) {
	m.astray = m.astray || m.merchant != 0 && m.merchant != credit
	m.merchant = credit
}

// Fault is empty when what moved is the trade's amount, to one merchant, from who it says has paid.
func (m *Moved) Fault() string {
	if m.proven() {
		return ""
	}
	return fmt.Sprintf("Trade %q of app %q: its amount is %d fen paid by %s, and its transfers move %d fen from the user, %d fen from the guarantee and %d fen of debt.",
		m.Key.OutTradeNo, m.Key.App, m.AmountFen, m.Payer, m.rideFen, m.guaranteeFen, m.debtFen)
}

func (m *Moved) proven() bool {
	if m.Payer == PaidByGuarantee {
		return !m.astray && m.rideFen == 0 && m.guaranteeFen == m.AmountFen && m.debtFen == m.AmountFen
	}
	return !m.astray && m.rideFen == m.AmountFen && m.guaranteeFen == 0 && m.debtFen == 0
}
