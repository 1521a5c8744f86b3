// Package payment is the payment institution (支付机构, document 1 §5.1): it verifies acceptance records
// again, and moves the money of the trades that they prove.
//
// Settle is the main verb. What it decides is decided by a pure function over a State that the Store
// read, and is committed in the same transaction: records used, trades and money are one.
package payment

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
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
	// TradeNo is the payment institution's number of a trade (trade_no), 28 digits.
	TradeNo string
)

// Merchant is who a trade's money goes to.
type Merchant struct {
	App       AppID
	Account   ledger.AccountID
	LoginName string // the contract account's name; a trade may name it as seller_login_name
}

// Trade is one offline trade to settle (AlipayOfflineTrade, document 2 §4.2.3.5).
type Trade struct {
	OutTradeNo  OutTradeNo
	UserID      ridecode.UserID
	OrderTime   time.Time // actual_order_time; Beijing time on the wire, UTC here
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

// Reason is why a trade was not settled (error_code; document 2 leaves its values open, DIVERGENCES).
// With several faults it is the first of this list.
type Reason string

// The reasons, in order of precedence.
const (
	IllegalParams       Reason = "ILLEGAL_PARAMS"       // a field is missing or wrong: Why names it
	ContextInconsistent Reason = "CONTEXT_INCONSISTENT" // this out_trade_no was settled with other content
	SellerNotAllowed    Reason = "SELLER_NOT_ALLOWED"   // seller_login_name is not the merchant's
	RecordInvalid       Reason = "RECORD_INVALID"       // form, signature or time of a record or its code
	RecordUnverifiable  Reason = "RECORD_UNVERIFIABLE"  // nobody can tell yet whether a record is genuine: retry
	RecordUserMismatch  Reason = "RECORD_USER_MISMATCH" // the record is another user's
	RecordCardMismatch  Reason = "RECORD_CARD_MISMATCH" // the record is another card type's
	QuotaExceeded       Reason = "QUOTA_EXCEEDED"       // more than the code's single-trade limit
	SettleOverdue       Reason = "SETTLE_OVERDUE"       // after the settlement deadline
	RecordUsed          Reason = "RECORD_USED"          // a code in it has paid for another trade
	UserNotExist        Reason = "USER_NOT_EXIST"       // no account of this user
	FundsNotEnough      Reason = "BALANCE_NOT_ENOUGH"   // balance, credit line and guarantee are all used up: retry
	SystemBusy          Reason = "SYSTEM_ERROR"         // outcome unknown: retry
)

// precedes tells whether r stands before other in the list of reasons; every reason stands before none.
func (r Reason) precedes(other Reason) bool {
	order := []Reason{IllegalParams, ContextInconsistent, SellerNotAllowed, RecordInvalid, RecordUnverifiable, RecordUserMismatch,
		RecordCardMismatch, QuotaExceeded, SettleOverdue, RecordUsed, UserNotExist, FundsNotEnough, SystemBusy}
	return other == "" || slices.Index(order, r) < slices.Index(order, other)
}

// Store keeps the books and the trades. An implementation is durable: what Update has answered nil
// to is there after a power cut. edge/store has one on SQLite.
type Store interface {
	// Update reads what need names, hands it to decide, and commits what decide answers, all in one
	// transaction that no other may interleave with. decide is a pure function and may be called
	// again. An error of decide is returned and nothing is written. Any other error means that the
	// outcome is not known: the caller repeats the same Update.
	Update(ctx context.Context, need Need, decide func(State) (Changes, error)) error
	// View reads what need names, consistently.
	View(ctx context.Context, need Need) (State, error)
	// Audit proves the books: see AuditReport. It reads everything, in one snapshot.
	Audit(ctx context.Context) (AuditReport, error)
}

// TradeKey is the idempotency key of a trade: the same number of two apps is two trades.
type TradeKey struct {
	App        AppID
	OutTradeNo OutTradeNo
}

// Need names what a transaction reads.
type Need struct {
	Trades   []TradeKey
	Codes    []ridecode.ID
	Accounts []ledger.AccountID
	TopUps   []TopUpID
}

// State is what was read. What is not there is not in the map.
type State struct {
	Trades   map[TradeKey]SettledTrade
	Codes    map[ridecode.ID]TradeKey // the trade that a code has paid for
	Accounts map[ledger.AccountID]ledger.Account
	TopUps   map[TopUpID]TopUp
}

// Changes is what a transaction writes. All of it is new: nothing that stands is changed but account
// balances, which follow from the entries.
type Changes struct {
	Trades  []SettledTrade
	Opened  []ledger.Account // accounts that did not exist, with balance 0
	Entries []ledger.Entry
	TopUps  []TopUp
}

// SettledTrade is a trade whose money has moved.
type SettledTrade struct {
	Key       TradeKey
	TradeNo   TradeNo
	Digest    ContentDigest
	Content   Trade // as it was settled
	Codes     []ridecode.ID
	SettledAt time.Time
	Payer     Payer
}

// Payer says whose money settled a trade (document 1 §5.5.2).
type Payer string

// The payers.
const (
	PaidByUser      Payer = "USER"      // the rider's balance or credit line
	PaidByGuarantee Payer = "GUARANTEE" // the guarantee fund (担保资金); the rider owes it
)

// ContentDigest is SHA-256 over all fields of a trade, so that the same number with other content is
// told from a retry.
type ContentDigest [sha256.Size]byte

// Digest covers every field, each with its length before it so that no two contents run together.
func (t Trade) Digest() ContentDigest {
	var b []byte
	for _, text := range []string{string(t.OutTradeNo), string(t.UserID), t.Subject, t.BizContext, t.CardType, t.SellerLogin} {
		b = appendSized(b, text)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(t.OrderTime.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(t.AmountFen))
	for _, rec := range t.Records {
		b = appendSized(b, rec)
	}
	return sha256.Sum256(b)
}

func appendSized[T string | []byte](dst []byte, part T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(part)))
	return append(dst, part...)
}

// TopUpID names a top-up (充值); the caller chooses it, the same for the same order.
type TopUpID string

// TopUp brings money from outside to an account.
type TopUp struct {
	ID        TopUpID
	Account   ledger.AccountID
	AmountFen money.Fen
	At        time.Time
}

// TerminalKeys finds what checks the integrity value of a terminal's records (document 1 §7.2.5).
type TerminalKeys interface {
	TerminalIntegrity(app AppID, posID string) (record.Integrity, bool)
}

// AuditReport is what an audit found: Faults is empty when every fen is proven.
type AuditReport struct {
	Accounts  int
	Transfers int
	Postings  int
	Trades    int
	Codes     int
	SumFen    money.Fen // of all postings: 0
	Balances  []ledger.Account
	Faults    []string // each one sentence: what does not add up, and where
}
