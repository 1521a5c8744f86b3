package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Store keeps the books: accounts, transfers, trades and the documents that moved money. edge/store keeps
// them in one SQLite file, edge/store/postgres in PostgreSQL.
//
// The books are divided into buckets by user, so that nothing ever waits for all of them. A transfer stays
// within one bucket, a transaction too; money goes from one bucket to another through TransitAccount, in
// two transactions. One bucket is a lawful division.
//
// An implementation is durable: what was answered is there after a power cut.
type Store interface {
	// Buckets is how many there are: fixed when the books were made.
	Buckets() int
	// Settle decides a batch as Decide does, and commits it, in one transaction. A batch that was
	// committed already is answered again: the caller may repeat it after any error. ErrAway means that
	// the books do not answer now; any other error, that some order of the batch cannot be stored at
	// all, and then nothing of the batch was.
	Settle(ctx context.Context, batch Batch) ([]Verdict, error)
	// Find tells which numbers are taken, and by what.
	Find(ctx context.Context, keys []Number) (map[Number]Claim, error)
	// Update reads what need names, hands it to decide, and commits what decide answers, all in one
	// transaction of one bucket that no other of this bucket may interleave with. decide is a pure
	// function and may be called again. An error of decide is returned and nothing is written. Any other
	// error means that the outcome is not known: the caller repeats the same Update.
	Update(ctx context.Context, need Need, decide func(State) (Changes, error)) error
	// View reads what need names, consistently.
	View(ctx context.Context, need Need) (State, error)
	// Balances shows accounts as they stand in each bucket where they exist.
	Balances(ctx context.Context, ids ...ledger.AccountID) (map[ledger.AccountID]map[int]ledger.Account, error)
	// EachTrade visits the trades of a bucket that were settled on a day, in the order of their numbers.
	EachTrade(ctx context.Context, bucket int, day ledger.Day, visit func(SettledTrade) error) error
	// TradesAfter lists, at most limit, the trades of a bucket that were settled on a day and are numbered above
	// after, in the order of their numbers.
	TradesAfter(ctx context.Context, bucket int, day ledger.Day, after ledger.DocumentID, limit int) ([]SettledTrade, error)
	// EachFinding visits what risk rules have found in a bucket, ordered by user, moment and key.
	EachFinding(ctx context.Context, bucket int, visit func(RiskEntry) error) error
	// EachTransfer visits the transfers of a bucket on the days from first to last that touch an account,
	// in the order of their days and numbers.
	EachTransfer(ctx context.Context, bucket int, account ledger.AccountID, first, last ledger.Day, visit func(ledger.Transfer) error) error
	// Merchants lists the merchants that have an account in a bucket.
	Merchants(ctx context.Context, bucket int) ([]ledger.AccountID, error)
	// MerchantTotals adds up what came to and went from the accounts of merchants in a bucket on the days
	// from first to last, a line for each account and code, in their order. An account on which nothing
	// moved has none.
	MerchantTotals(ctx context.Context, bucket int, first, last ledger.Day) ([]AccountTotal, error)
	// EachRider visits the riders of a bucket of whom something is known, with what each owes.
	EachRider(ctx context.Context, bucket int, visit func(rider Rider, owedFen money.Fen) error) error
	// UnderWay lists the money that has left a bucket and was not reported to have arrived.
	UnderWay(ctx context.Context, bucket int) ([]Departure, error)
	// Posted lists the oldest notices of a bucket that were not taken yet.
	Posted(ctx context.Context, bucket, limit int) ([]Posted, error)
	// Audit proves the books: see AuditReport. It reads everything, in one snapshot.
	Audit(ctx context.Context) (AuditReport, error)
}

// ErrAway says that the books do not answer now. Nobody knows whether what was asked has happened.
var ErrAway = errors.New("payment: the books do not answer")

// Number is what somebody else numbers: a trade of an app, a top-up of a bank. One number stands for one
// content, for ever.
type Number struct {
	Scope string // an app's id, or what kind of number it is, with a slash before it
	No    string
}

// TradeKey is the idempotency key of a trade: the same number of two apps is two trades.
type TradeKey struct {
	App        AppID
	OutTradeNo OutTradeNo
}

// Number is the key as a number among all numbers.
func (k TradeKey) Number() Number { return Number{string(k.App), string(k.OutTradeNo)} }

// Claim binds a number to its content and to the bucket that decides on it. Who comes first claims; a
// claim never changes.
type Claim struct {
	Number Number
	Digest ContentDigest
	Bucket int
	ID     ledger.DocumentID // of what was claimed; 0 in a request, the store gives it
}

// Order is a trade whose records were verified: all that the books decide on.
type Order struct {
	Key       TradeKey
	User      ridecode.UserID
	Merchant  ledger.AccountID
	AmountFen money.Fen
	Codes     []ridecode.ID // each must be unused; at least one; as codeID makes them
	Deadline  time.Time     // after it, it is not settled any more
	Content   []byte        // the trade, as Trade.Append writes it
	Digest    ContentDigest // of Content
}

// Batch is orders of one bucket, no number and no code twice.
type Batch struct {
	Bucket int
	Day    ledger.Day // the accounting day; where the bucket has closed it, the first one that is open
	Now    time.Time
	Orders []Order
}

// Verdict is what the books answer to an order.
type Verdict struct {
	Answer  Answer
	TradeNo TradeNo  // of Paid and PaidBefore
	Payer   Payer    // of Paid and PaidBefore
	Other   TradeKey // of CodeUsed: the trade that the code has paid for
}

// Answer is the kind of a verdict. Of several that fit, the first of this list after Paid.
type Answer uint8

// The answers.
const (
	Paid         Answer = iota + 1
	OtherContent        // the number was claimed for other content
	PaidBefore          // it was settled earlier, with this content
	Late                // after its deadline
	CodeUsed            // a code has paid for another trade
	NoUser              // the user has no account
	NoMerchant          // the merchant has none: it is to be opened first
	NoFunds             // balance, credit line and guarantee do not reach
)

// Need names what a transaction reads, and which numbers it claims. It may name a thing twice.
type Need struct {
	Bucket    int
	Accounts  []ledger.AccountID
	Documents []DocumentKey
	Numbered  []ledger.DocumentID // documents by number
	About     []ledger.DocumentID // all documents about these trades
	Trades    []ledger.DocumentID
	Riders    []ridecode.UserID
	Risk      []RiskNeed
	RiskSeen  bool    // how far risk rules have looked
	Claims    []Claim // of this bucket; for Update alone
}

// State is what was read. What is not there is not in the map.
type State struct {
	Free      ledger.DocumentID // the first free document number of the bucket
	Open      ledger.Day        // the first accounting day that is open
	Accounts  map[ledger.AccountID]ledger.Account
	Documents map[DocumentKey]Document
	Numbered  map[ledger.DocumentID]Document
	About     map[ledger.DocumentID][]Document
	Trades    map[ledger.DocumentID]SettledTrade
	Riders    map[ridecode.UserID]Rider
	Risk      map[ridecode.UserID][]RiskEntry // by kind, moment and key, each once
	RiskSeen  RiskMark
	Claims    map[Number]Claim // as they stand: those asked for, or what was there before
}

// Changes is what a transaction writes. All of it is new but the fields that are named here: balances,
// which follow from the transfers, the terms of an account, what is known of a rider, how far risk rules have
// looked, the open day, and what is under way or posted.
type Changes struct {
	Opened    []ledger.Account // accounts that did not exist, with balance 0
	Terms     []ledger.Account // accounts whose floor changes; nothing else of them is read
	Transfers []ledger.Transfer
	Documents []Document // their numbers follow on State.Free, one by one
	Riders    []Rider
	Risk      []RiskEntry // one that is there already stays as it is
	RiskSeen  *RiskMark   // nil: as it was
	Departed  []Departure
	Arrived   []ledger.DocumentID // departures of this bucket that have arrived
	Notices   []Notice
	Taken     int64      // notices up to and including this one were taken
	Close     ledger.Day // this day and all before it are closed
}

// DocumentKey names a document: the same order has the same key, and happens once.
type DocumentKey string

// Document is what moved money, or was said about it, beside trades: a top-up, a refund, a sweep.
type Document struct {
	Key       DocumentKey
	ID        ledger.DocumentID
	About     ledger.DocumentID // the trade that it belongs to, 0 for none
	AmountFen money.Fen         // of its first transfer; 0 when it moves nothing
	At        time.Time
	Body      []byte // what was ordered, as JSON: the same key with another body is another order
}

// SettledTrade is a trade whose money has moved.
type SettledTrade struct {
	TradeNo   TradeNo
	Key       TradeKey
	Merchant  ledger.AccountID
	Content   Trade // as it was settled
	Codes     []ridecode.ID
	SettledAt time.Time
	Payer     Payer
}

// AccountTotal is what moved on an account for one reason.
type AccountTotal struct {
	Account ledger.AccountID
	Code    ledger.Code
	In, Out Total
}

// Total is a count and a sum.
type Total struct {
	Count  int64
	SumFen money.Fen
}

// Departure is money that has left for another bucket.
type Departure struct {
	ID        ledger.DocumentID // the document that it left with
	To        int
	Account   ledger.AccountID // where it arrives
	AmountFen money.Fen
	Code      ledger.Code
	Document  DocumentKey // that it is part of
}

// Rider is what the books know of a user beside money.
type Rider struct {
	User      ridecode.UserID
	OwesSince time.Time // zero: nothing is owed
	Doubles   int       // codes of his that two gates took
	Blocked   string    // why support has stopped him; empty: it has not
	Password  []byte    // of payments, as SealPassword made it; empty: none
	Failures  int       // wrong passwords since the last right one
	FailedAt  time.Time // the last of them
}

// AuditReport is what an audit found: Faults is empty when every fen is proven.
type AuditReport struct {
	Buckets   int
	Accounts  int // rows: an account with a part in each bucket counts as often
	Transfers int
	Postings  int
	Trades    int
	Codes     int
	Documents int
	Claims    int              // numbers taken
	Orphans   int              // numbers taken whose order was never settled: refused, or never sent again
	SumFen    money.Fen        // of all postings: 0
	UnderWay  money.Fen        // between buckets
	Balances  []ledger.Account // by account, summed over buckets
	Faults    []string         // each one sentence: what does not add up, and where
}

// Check tells what is wrong with changes in themselves, whoever keeps the books: documents are numbered
// from free on, transfers are legs of them in order, and nothing stands twice.
func (c *Changes) Check(free ledger.DocumentID) error {
	for i, document := range c.Documents {
		if document.ID != free+ledger.DocumentID(i) || document.Key == "" {
			return fmt.Errorf("%w: document %q has number %d", ErrChanges, document.Key, document.ID)
		}
	}
	var last ledger.TransferID
	for i, t := range c.Transfers {
		follows := t.ID.Document > last.Document && t.ID.Leg == 0 || t.ID.Document == last.Document && t.ID.Leg == last.Leg+1 && i > 0
		place := t.ID.Document - free
		if !follows || place < 0 || int(place) >= len(c.Documents) {
			return fmt.Errorf("%w: transfer %d of document %d", ErrChanges, t.ID.Leg, t.ID.Document)
		}
		if t.AmountFen <= 0 || t.Debit == t.Credit || t.Code == 0 || !t.Day.Valid() {
			return fmt.Errorf("%w: transfer %d of document %d moves nothing, for no reason or on no day", ErrChanges, t.ID.Leg, t.ID.Document)
		}
		last = t.ID
	}
	for _, account := range c.Opened {
		if account.ID == "" || account.Balance != 0 || account.Postings != 0 {
			return fmt.Errorf("%w: account %q is opened with something on it", ErrChanges, account.ID)
		}
	}
	return nil
}

// ErrChanges says that changes contradict themselves: nothing of them is stored.
var ErrChanges = errors.New("payment: inconsistent changes")
