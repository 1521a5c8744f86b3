package payment

import (
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// NoticeKind says what a notice is about.
type NoticeKind string

// The kinds of notice.
const (
	TradeSettled   NoticeKind = "TRADE_SETTLED"   // to the merchant and the rider
	DebtMade       NoticeKind = "DEBT_MADE"       // to the rider: the guarantee fund has paid
	DebtCleared    NoticeKind = "DEBT_CLEARED"    // to the rider
	DoubleAccepted NoticeKind = "DOUBLE_ACCEPTED" // to the rider: two gates took one code
	PasswordWanted NoticeKind = "PASSWORD_WANTED" // to the rider: an online trade waits for him
	ToppedUp       NoticeKind = "TOPPED_UP"       // to the rider
	Refunded       NoticeKind = "REFUNDED"        // to the merchant and the rider
	PaidOut        NoticeKind = "PAID_OUT"        // to the merchant
	RideTold       NoticeKind = "RIDE_TOLD"       // to the rider: a merchant has told of a ride (document 2 §4.2.5)
	RiderDenied    NoticeKind = "RIDER_DENIED"    // to the rider: a finding puts him on the deny list
)

// Notice tells somebody outside what has happened (通知). It is written in the transaction that made it
// happen, and delivered at least once.
type Notice struct {
	Kind       NoticeKind
	App        AppID            `json:",omitempty"` // whom it concerns, where it is a merchant
	User       ridecode.UserID  `json:",omitempty"` // and where it is a rider
	TradeNo    TradeNo          `json:",omitempty"`
	OutTradeNo OutTradeNo       `json:",omitempty"`
	Account    ledger.AccountID `json:",omitempty"` // of the merchant
	Number     string           `json:",omitempty"` // of a top-up, a refund, a payout, a finding
	AmountFen  money.Fen
	At         time.Time
	Ride       *ToldRide `json:",omitempty"` // of RideTold
}

// RideState is what became of a ride's fare.
type RideState string

// The states, as a merchant tells them.
const (
	RideScanned     RideState = "SCANNED"      // a scan: its fare comes later
	RidePaid        RideState = "PAID"         // from the payment account
	RidePaidOutside RideState = "PAID_OUTSIDE" // with money on the card
	RideFree        RideState = "FREE"
	RideUnpaid      RideState = "UNPAID" // nothing was taken, and nothing will be
)

// ToldRide is what a notice says of a ride beside its number, amount and time, in its merchant's words.
type ToldRide struct {
	App      AppID // of the merchant who told of it
	Merchant string
	Line     string
	From     string
	To       string // empty on a bus
	State    RideState
}

// Posted is notices as a transaction has left them. Those of settled trades are kept as the trades' numbers:
// everything else about them is in the trade.
type Posted struct {
	Seq     int64 // in its bucket, rising
	Trades  []ledger.DocumentID
	Notices []Notice
}

// noticesOf is what is to be told of a settled trade.
func noticesOf(t SettledTrade) []Notice {
	settled := Notice{Kind: TradeSettled, App: t.Key.App, User: t.Content.UserID, TradeNo: t.TradeNo, OutTradeNo: t.Key.OutTradeNo,
		Account: t.Merchant, AmountFen: t.Content.AmountFen, At: t.SettledAt}
	if t.Payer != PaidByGuarantee {
		return []Notice{settled}
	}
	owed := settled
	owed.Kind, owed.App, owed.Account = DebtMade, "", ""
	return []Notice{settled, owed}
}
