// Package payment is the payment institution (支付机构, document 1 §5.1): it verifies acceptance records
// again, and moves the money of the trades that they prove.
//
// Settle is the main verb. Its trades are verified on all cores, sorted by the bucket of their user, and
// committed in batches that many callers share. What the books answer to an order is decided by Decide, a
// pure function; a store may do the same in another language, and is held to the same answers.
package payment

import (
	"strings"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Typed names, so that none is taken for another.
type (
	// AppID is a registered application of a merchant (app_id).
	AppID string
	// OutTradeNo is the merchant's number of a trade (out_trade_no), unique within its app.
	OutTradeNo string
)

// Merchant is who a trade's money goes to.
type Merchant struct {
	App       AppID
	Account   ledger.AccountID // as MerchantAccount makes it
	LoginName string           // the contract account's name; a trade may name it as seller_login_name
}

// Trade is one offline trade to settle (AlipayOfflineTrade, document 2 §4.2.3.5).
type Trade struct {
	OutTradeNo  OutTradeNo
	UserID      ridecode.UserID
	OrderTime   time.Time // actual_order_time; Beijing time on the wire, UTC here; whole seconds
	Subject     string
	AmountFen   money.Fen
	BizContext  string // order_biz_context: JSON text, stored as it came
	CardType    string // card_type, may be empty; where given it is the code's
	Records     [][]byte
	SellerLogin string // seller_login_name, may be empty
}

// Outcome is what became of a trade (result, document 2 §4.2.3.7).
type Outcome string

// The outcomes.
const (
	Settled Outcome = "SUCCESS" // the money has moved, now or at an earlier request
	Refused Outcome = "FAIL"    // it has not moved
	Unknown Outcome = "UNKNOWN" // nobody can say yet: ask again with the same trade
)

// Result answers one trade (AlipayOfflineTradeResult, document 2 §4.2.3.7).
type Result struct {
	OutTradeNo OutTradeNo
	Outcome    Outcome
	TradeNo    TradeNo // of a settled trade
	Reason     Reason  // of a trade that is not settled
	Why        string  // half a sentence for people; no key, no card number
	NeedRetry  bool
	NextRetry  time.Time // zero when there is nothing to retry
}

// Payer says whose money settled a trade (document 1 §5.5.2).
type Payer string

// The payers.
const (
	PaidByUser      Payer = "USER"      // the rider's balance or credit line
	PaidByGuarantee Payer = "GUARANTEE" // the guarantee fund (担保资金); the rider owes it
)

// TerminalKeys finds what checks the integrity value of a terminal's records (document 1 §7.2.5).
type TerminalKeys interface {
	TerminalIntegrity(app AppID, posID string) (record.Integrity, bool)
}

// Payment is one payment institution. It is safe for concurrent use.
type Payment struct {
	store      Store
	keys       ridecode.IssuerKeys
	terminals  TerminalKeys
	policy     Policy
	committers *Committers
}

// New makes an institution from its books, the issuer keys and terminal keys it trusts, and its policy.
func New(store Store, keys ridecode.IssuerKeys, terminals TerminalKeys, policy Policy) *Payment {
	return &Payment{store: store, keys: keys, terminals: terminals, policy: policy, committers: NewCommitters(store)}
}

// The institution's own accounts. In books of several buckets each has a part in every bucket, and its
// balance is their sum.
const (
	// OutsideAccount is the world: banks, from where top-ups come and where payouts go. Its balance is
	// minus all that came in.
	OutsideAccount ledger.AccountID = "outside"
	// GuaranteeAccount is the guarantee fund (担保资金, document 1 §5.5.2). No part of it falls below 0.
	GuaranteeAccount ledger.AccountID = "guarantee"
	// ClaimsAccount is what users owe the institution, the other side of all their debt accounts.
	ClaimsAccount ledger.AccountID = "claims"
	// TransitAccount is money between two buckets (在途): it has left one and has not arrived in the other.
	TransitAccount ledger.AccountID = "transit"
)

const (
	merchantPrefix = "merchant:"
	settledPrefix  = "settled:"
	userPrefix     = "user:"
)

// UserAccount is a user's balance.
func UserAccount(user ridecode.UserID) ledger.AccountID {
	return ledger.AccountID(userPrefix + string(user))
}

// DebtAccount is what a user owes, as a balance of 0 or less.
func DebtAccount(user ridecode.UserID) ledger.AccountID {
	return ledger.AccountID("debt:" + string(user))
}

// MerchantAccount is where rides pay into, a part in every bucket, so that a busy merchant is no queue.
func MerchantAccount(name string) ledger.AccountID { return ledger.AccountID(merchantPrefix + name) }

// SettledAccount is what was swept from a merchant's parts: refunds and payouts draw on it alone.
func SettledAccount(merchant ledger.AccountID) ledger.AccountID {
	return ledger.AccountID(settledPrefix + strings.TrimPrefix(string(merchant), merchantPrefix))
}

// merchantOf is the merchant whose part or settled account this is.
func merchantOf(account ledger.AccountID) ledger.AccountID {
	if name, is := strings.CutPrefix(string(account), settledPrefix); is {
		return MerchantAccount(name)
	}
	return account
}

// userOf is the user whose balance an account is.
func userOf(account ledger.AccountID) (ridecode.UserID, bool) {
	user, is := strings.CutPrefix(string(account), userPrefix)
	return ridecode.UserID(user), is
}

// Why money moves here. The numbers are in the books: none is given anew.
const (
	CodeTopUp     ledger.Code = 1  // 充值: from outside to a user, or into the guarantee fund
	CodeRide      ledger.Code = 2  // a user pays a merchant
	CodeGuarantee ledger.Code = 3  // 担保垫付: the guarantee fund pays a merchant for a user
	CodeDebt      ledger.Code = 4  // 欠款: what a user owes for it
	CodeRepay     ledger.Code = 5  // 还款: a user pays back to the guarantee fund
	CodeDebtPaid  ledger.Code = 6  // 销账: and owes that much less
	CodeSweep     ledger.Code = 7  // 归集: from a merchant's parts to what is settled
	CodeRefund    ledger.Code = 8  // 退款: from a merchant to a user
	CodeAllot     ledger.Code = 9  // 调拨: from one part of the guarantee fund to another
	CodePayout    ledger.Code = 10 // 出款: from a merchant to its bank
)
