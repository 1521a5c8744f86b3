// Package cardissuer is the card issuer (票卡发行机构, document 1 §5.1; document 2 §3): it registers card types,
// issues virtual cards, and keeps the money of prepaid ones in a book of its own.
//
// A prepaid card (预付费) holds what its rider has topped up. Its rides are taken from it, and what it lacks is
// owed until the next top-up: a gate has let the rider through, so the merchant is paid in any case. A postpaid
// card (后付费) holds no money: its rides go to the payment institution, by the agreement that its rider has
// signed up to.
//
// Each request has a number and counts once. What a request does is decided by a pure function over a State
// that the Store read, and committed in the same transaction. Whatever changes about a card is sent to the
// platform by Push, at least once, until it has answered.
package cardissuer

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/carddata"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Mode is when a card's rides are paid for.
type Mode string

// The modes.
const (
	Prepaid  Mode = "PREPAID"
	Postpaid Mode = "POSTPAID"
)

// CardType is a registered kind of card (卡类型, document 2 §3.1.1 step 2) and its rules. The mode stays.
type CardType struct {
	Type     ridecode.CardType // 8 characters, as the platform has allotted it
	Mode     Mode
	Title    string // cardTitle, what riders call it
	Template string // 模板样式, as it was registered with the platform; may be empty

	// What the platform is told besides (ext_info, document 2 §4.2.4.5); each may be empty.
	CityCode     string // city_code, 6 digits
	AgentID      string // agent_id
	DiscountType string // discount_type

	// Of prepaid cards alone:
	MinBalanceFen money.Fen     // 起乘余额: a card with less may not be shown
	MaxBalanceFen money.Fen     // a top-up may not take it higher
	RevokeWait    time.Duration // how long rides that come late are waited for, before a balance is given back
}

// Defaults of a prepaid type. Records may come a week late, and the last grant holds for a week.
const (
	DefaultMinBalanceFen money.Fen = 1
	DefaultMaxBalanceFen money.Fen = 100_000
	DefaultRevokeWait              = 14 * 24 * time.Hour
)

// CardKey names a card: a number alone means nothing.
type CardKey struct {
	Type ridecode.CardType
	No   ridecode.CardNo
}

// CardState is what was decided about a card. What it owes or lacks besides follows from the book.
type CardState string

// The states. A card goes from REVOKING to REVOKED and never back.
const (
	Active    CardState = "ACTIVE"
	Suspended CardState = "SUSPENDED"
	Revoking  CardState = "REVOKING" // 退卡中: rides that come late are still taken from it
	Revoked   CardState = "REVOKED"
)

// Card is one card.
type Card struct {
	Key        CardKey
	User       ridecode.UserID
	Data       []byte // 票卡数据, at most 64 bytes; passed through into codes
	State      CardState
	Tips       string // for the rider: why it is suspended
	Issued     time.Time
	RevokeDue  time.Time // in REVOKING: when it is closed; zero while it waits for its debt
	LastUpdate time.Time // last_update_time of its newest state, whole seconds; each is later than the one before
	Version    int64     // counts its states, from 1
	Sent       Sent

	// From the book; stores do not keep them with the card.
	BalanceFen money.Fen
	OwedFen    money.Fen
}

// Sent is how far the platform knows a card.
type Sent struct {
	Version  int64     // the newest state that it has taken
	Known    bool      // it has taken the ISSUE
	Attempts int       // since it took a state
	NextTry  time.Time // when it is sent again
	Reason   string    // why it was not taken at the last attempt
}

// NetFen is what a card has, less what it owes: the balance that the platform is told.
func (c Card) NetFen() money.Fen { return c.BalanceFen - c.OwedFen }

// Fault is why a request changed nothing, for good: sent again, it is answered alike until something else has
// changed. With several it is the first of this list.
type Fault string

// The faults, in order of precedence.
const (
	BadRequest    Fault = "BAD_REQUEST"
	NumberTaken   Fault = "NUMBER_TAKEN" // by a request with other contents
	NoCardType    Fault = "NO_CARD_TYPE"
	TypeDiffers   Fault = "CARD_TYPE_DIFFERS"
	NoCard        Fault = "NO_CARD"
	CardTaken     Fault = "CARD_NO_TAKEN"
	OtherUser     Fault = "OTHER_USER"
	NotPrepaid    Fault = "NOT_PREPAID"
	WrongState    Fault = "WRONG_STATE"
	CodeUsed      Fault = "CODE_USED" // the code has paid for another ride
	Owes          Fault = "CARD_OWES"
	BalanceAbove  Fault = "BALANCE_ABOVE_MAXIMUM"
	NoRide        Fault = "NO_RIDE"
	RefundTooHigh Fault = "REFUND_TOO_HIGH"
)

// Refusal is the error of a request that changed nothing.
type Refusal struct {
	Fault Fault
	Why   string // for people; no card number
}

func (r *Refusal) Error() string { return "cardissuer: " + r.Why }

func refuse(fault Fault, format string, args ...any) error {
	return &Refusal{fault, fmt.Sprintf(format, args...)}
}

// IsFault tells whether err is a Refusal for that fault.
func IsFault(err error, fault Fault) bool {
	var refusal *Refusal
	return errors.As(err, &refusal) && refusal.Fault == fault
}

// Config is what an issuer is made of.
type Config struct {
	Institution ridecode.Quad // 机构编码 of the code issuer: card data is bound to it
	// Rules are what card data of a type is sealed by, as terminals were told (document 1 §5.2). A type without
	// one carries its card data as it is given.
	Rules  map[ridecode.CardType]carddata.Rule
	Random io.Reader // nonces of card data; needed where there are rules
	// RetryFirst and RetryMost are the waits between attempts to send a card. Zero: one minute, one hour.
	RetryFirst, RetryMost time.Duration
}

// Issuer is one card issuer. It keeps no state of its own and is safe for concurrent use.
type Issuer struct {
	store  Store
	config Config
}

// New makes an issuer of what the store keeps.
func New(store Store, config Config) (*Issuer, error) {
	switch {
	case store == nil:
		return nil, errors.New("cardissuer: a store is needed")
	case len(config.Rules) > 0 && config.Random == nil:
		return nil, errors.New("cardissuer: card data is sealed with random nonces: Random is needed")
	case min(config.RetryFirst, config.RetryMost) < 0:
		return nil, errors.New("cardissuer: a duration is negative")
	}
	if config.RetryFirst == 0 {
		config.RetryFirst = time.Minute
	}
	if config.RetryMost == 0 {
		config.RetryMost = time.Hour
	}
	return &Issuer{store: store, config: config}, nil
}

// The accounts of the book. The money of a card and what it owes stand apart, so that no balance hides a debt.
const (
	OutsideAccount ledger.AccountID = "outside" // the world that tops up, and to which balances are paid out
	RidesAccount   ledger.AccountID = "rides"   // what rides have brought in
)

// CardAccount is a card's money.
func CardAccount(key CardKey) ledger.AccountID {
	return ledger.AccountID("card:" + string(key.Type) + "/" + string(key.No))
}

// DebtAccount is what a card owes, as a balance below zero.
func DebtAccount(key CardKey) ledger.AccountID {
	return ledger.AccountID("debt:" + string(key.Type) + "/" + string(key.No))
}

// Why money moved.
const (
	CodeTopUp      ledger.Code = iota + 1 // 充值: outside -> card
	CodeRide                              // 消费: card -> rides
	CodeRideOwed                          // 欠费: debt -> rides
	CodeDebtPaid                          // 补缴: card -> debt
	CodeRideRefund                        // 退款: rides -> card
	CodePaidOut                           // 退卡: card -> outside
)
