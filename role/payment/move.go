package payment

import (
	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Why money moves here. The numbers are in the books: none is given anew.
const (
	CodeTopUp     ledger.Code = 1 // 充值: from outside to a user, or into the guarantee fund
	CodeRide      ledger.Code = 2 // a user pays a merchant
	CodeGuarantee ledger.Code = 3 // 担保垫付: the guarantee fund pays a merchant for a user
	CodeDebt      ledger.Code = 4 // 欠款: what a user owes for it
)

// The institution's own accounts.
const (
	// OutsideAccount is the world: banks, from where top-ups come. Its balance is minus all that came in.
	OutsideAccount ledger.AccountID = "outside"
	// GuaranteeAccount is the guarantee fund (担保资金, document 1 §5.5.2). It never falls below 0.
	GuaranteeAccount ledger.AccountID = "guarantee"
	// ClaimsAccount is what users owe the institution, the other side of all their debt accounts.
	ClaimsAccount ledger.AccountID = "claims"
)

// UserAccount is a user's balance.
func UserAccount(user ridecode.UserID) ledger.AccountID {
	return ledger.AccountID("user:" + string(user))
}

// DebtAccount is what a user owes, as a balance of 0 or less.
func DebtAccount(user ridecode.UserID) ledger.AccountID {
	return ledger.AccountID("debt:" + string(user))
}

// MerchantAccount is what a merchant has earned.
func MerchantAccount(name string) ledger.AccountID { return ledger.AccountID("merchant:" + name) }

// move finds who pays: the user's balance, then the credit line (the account's floor), then the
// guarantee fund. A lawful offline trade must be completed (document 1 §5.5.2), so the rider who
// cannot pay owes it from then on.
func (d *decision) move(c *claim, tradeNo TradeNo) (Payer, bool) {
	user := d.transfer(c, tradeNo, "ride:", CodeRide, UserAccount(c.trade.UserID), d.merchant.Account)
	if d.book.Apply(user) == nil {
		return PaidByUser, true
	}
	guarantee := d.transfer(c, tradeNo, "guarantee:", CodeGuarantee, GuaranteeAccount, d.merchant.Account)
	debt := d.transfer(c, tradeNo, "debt:", CodeDebt, DebtAccount(c.trade.UserID), ClaimsAccount)
	d.openDebt(debt.Debit)
	if !d.book.Allows(debt) || d.book.Apply(guarantee) != nil {
		return "", false
	}
	if err := d.book.Apply(debt); err != nil {
		panic("payment: internal error: a debt that was allowed was refused: " + err.Error())
	}
	return PaidByGuarantee, true
}

func (d *decision) transfer(c *claim, tradeNo TradeNo, kind string, code ledger.Code, debit, credit ledger.AccountID) ledger.Transfer {
	return ledger.Transfer{ID: ledger.TransferID(kind + string(tradeNo)), Debit: debit, Credit: credit,
		AmountFen: c.trade.AmountFen, Code: code, At: d.now, Reference: string(tradeNo)}
}

// openDebt opens a user's debt account when it is first needed. It may stay empty when the guarantee
// then does not reach.
func (d *decision) openDebt(id ledger.AccountID) {
	if _, exists := d.book.Account(id); exists {
		return
	}
	account := ledger.Account{ID: id, Unbounded: true}
	d.book.Open(account)
	d.opened = append(d.opened, account)
}
