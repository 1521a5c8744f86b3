package cardissuer

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Store keeps card types, cards and the book. An implementation is durable: what Update has answered nil to is
// there after a power cut. edge/store has one on SQLite; storetest is the suite that it passes. Instants are
// kept to the microsecond.
type Store interface {
	// Update reads what need names, hands it to decide, and commits what decide answers, all in one transaction
	// that no other may interleave with. decide is a pure function and may be called again. An error of decide
	// is returned and nothing is written. Any other error means that the outcome is not known: the caller
	// repeats the same Update.
	Update(ctx context.Context, need Need, decide func(State) (Changes, error)) error
	// Types gives every card type, by its name.
	Types(ctx context.Context) ([]CardType, error)
	// Find gives what query names, by type and number.
	Find(ctx context.Context, query Query) ([]Card, error)
	// Unsent gives up to count cards whose newest state the platform has not taken and which are due, by
	// LastUpdate.
	Unsent(ctx context.Context, until time.Time, count int) ([]Card, error)
	// Closing gives up to count cards in REVOKING whose RevokeDue is there and not after until, by RevokeDue.
	Closing(ctx context.Context, until time.Time, count int) ([]CardKey, error)
	// History gives up to count entries of a card in the order in which they were made, those behind after.
	History(ctx context.Context, key CardKey, after ledger.DocumentID, count int) ([]Entry, error)
	// Audit reads every row at one moment and has an Auditor count them.
	Audit(ctx context.Context) (AuditReport, error)
}

// Query names cards. Empty fields name all.
type Query struct {
	Type  ridecode.CardType
	No    ridecode.CardNo
	User  ridecode.UserID
	After CardKey // cards behind it
	Limit int
}

// Need names what a transaction reads.
type Need struct {
	Type   ridecode.CardType
	Card   CardKey
	Number string // of the request
	Ride   string // the number of a ride that the request is about, or empty
	Codes  []ridecode.ID
}

// State is what was read.
type State struct {
	Type     *CardType // nil: not registered
	Card     *Card     // nil: none
	Before   *Entry    // the entry of the request's number; nil: it is new
	Ride     *Entry    // nil: none
	Refunded money.Fen // of Ride, in all
	Used     map[ridecode.ID]ledger.DocumentID
	Accounts []ledger.Account  // those of the card, where it has any, and those of the issuer
	Free     ledger.DocumentID // the number of the next entry
}

// Changes is what a transaction writes. A request that moves money or changes a card leaves an entry, once.
type Changes struct {
	Type      *CardType // new or changed
	Card      *Card     // new or changed
	Entry     *Entry    // new; its ID is State.Free
	Opened    []ledger.Account
	Transfers []ledger.Transfer // of the entry
	Codes     []ridecode.ID     // used by the entry
}

// EntryKind is what a request did.
type EntryKind string

// The kinds.
const (
	EntryType    EntryKind = "TYPE"    // a card type was registered or changed
	EntryIssue   EntryKind = "ISSUE"   // 开卡
	EntryData    EntryKind = "DATA"    // new card data
	EntryTopUp   EntryKind = "TOP_UP"  // 充值
	EntryRide    EntryKind = "RIDE"    // 消费
	EntryRefund  EntryKind = "REFUND"  // of a ride
	EntrySuspend EntryKind = "SUSPEND" // 挂失, 停用
	EntryResume  EntryKind = "RESUME"
	EntryRevoke  EntryKind = "REVOKE" // 退卡 begins
	EntryClose   EntryKind = "CLOSE"  // 退卡 ends, the balance is paid out
)

// Entry is one request that was carried out. It is never changed.
type Entry struct {
	ID        ledger.DocumentID
	Kind      EntryKind
	Number    string // of the request: unique
	Digest    [sha256.Size]byte
	Card      CardKey           // without a number: it is about a type
	About     ledger.DocumentID // of a refund: its ride; else 0
	AmountFen money.Fen
	NetFen    money.Fen // what the card has after it, less what it owes
	Text      string    // subject, reason, tips
	At        time.Time
}
