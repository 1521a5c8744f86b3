// Package reconcile is the merchant's reconciliation (对账) of its trades with the payment institution's daily
// bill (document 2 §2.1; the bill is protocol/bill's). Each fen that the two do not agree on is a Difference
// (差错) with a kind, and with a history that is only ever added to.
//
// Reconcile takes a bill in, whole or not at all, and looks at every trade that it or its day touches:
//
//	bill -> proven -> kept -> compared -> differences -> sums that prove themselves
//
// What differs about a trade is a pure function of what is known of it: what the merchant has, and the lines
// of all bills. So neither the order in which bills come nor how often they do makes a difference, and a run
// that was killed is simply run again.
package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/merchant"
)

// Defaults of a Config.
const (
	DefaultDayEnds     = 24 * time.Hour
	DefaultCarryWithin = time.Hour // the longest wait between two attempts to settle, merchant.DefaultRetryMost
)

// cardTradeNo begins the trade_no of a ride that was taken from a prepaid card. It is in its issuer's own books,
// and in no bill.
const cardTradeNo = "CARD"

// Errors of Reconcile and Resolve, for errors.Is.
var (
	ErrNotOurs      = errors.New("reconcile: this bill is another app's")
	ErrOtherDay     = errors.New("reconcile: this bill is of another day")
	ErrOtherContent = errors.New("reconcile: another bill of this day is here already: if the platform has issued it anew, say that it replaces that one")
	ErrMoved        = errors.New("reconcile: the books changed meanwhile: run it again")
	ErrUnknown      = errors.New("reconcile: there is no difference with this number")
	ErrResolved     = errors.New("reconcile: this difference is resolved already")
)

// Kind is how merchant and bill differ.
type Kind string

// The kinds of difference.
const (
	MissingHere   Kind = "MISSING_HERE"        // billed, and the merchant knows no such trade, or took it from a prepaid card
	MissingThere  Kind = "MISSING_THERE"       // settled here, and in no bill
	Amount        Kind = "AMOUNT"              // billed with another amount
	NotSettled    Kind = "NOT_SETTLED"         // billed, and here without a final answer
	FailedHere    Kind = "FAILED_HERE"         // billed, and here finally failed
	TradeNumber   Kind = "TRADE_NO"            // billed under another trade_no
	Doubled       Kind = "DOUBLED"             // billed once more
	RefundMissing Kind = "REFUND_MISSING_HERE" // a refund is billed that the merchant never named
	RefundAmount  Kind = "REFUND_AMOUNT"       // with another amount
	RefundDoubled Kind = "REFUND_DOUBLED"      // once more
)

// Kinds are all of them, in the order in which they are told.
func Kinds() []Kind {
	return []Kind{MissingHere, MissingThere, Amount, NotSettled, FailedHere, TradeNumber, Doubled, RefundMissing, RefundAmount, RefundDoubled}
}

// State is how far a difference has come. It goes OPEN, perhaps CARRIED, and RESOLVED; one that resolved by
// itself and is found again is OPEN again.
type State string

// The states of a difference.
const (
	Open     State = "OPEN"     // somebody has to look at it
	Carried  State = "CARRIED"  // 挂账: the bill of the neighbouring day may have it, and is not here yet
	Resolved State = "RESOLVED" // by itself, or by a person
)

// Content is what makes a difference that one; it never changes.
type Content struct {
	Kind       Kind
	OutTradeNo openapi.OutTradeNo
	RequestNo  string // of a refund
	Day        Day    // of the bill; where none has the trade, on which it settled here
	Place      int    // from 0, among those of this kind, number and day
	OwnFen     money.Fen
	BilledFen  money.Fen
}

// Difference (差错) is a content with its history.
type Difference struct {
	No int64 // by which people name it
	Content
	State State
	Steps []Step // the oldest first; of Facts, the last alone
}

// Step is one line of a history.
type Step struct {
	At     time.Time
	State  State
	Person string // who resolved it; empty where it came by itself
	Reason string
}

// Move adds a step to a difference, which it makes where it is new.
type Move struct {
	Content
	Step
}

// Bill is a bill that was taken in.
type Bill struct {
	No       int64
	Day      Day
	Digest   [32]byte // SHA-256 of the file, unzipped
	Totals   bill.Totals
	Lines    int // that are kept so far
	Begun    time.Time
	Accepted bool  // it counts, unless it was replaced
	Replaced int64 // the bill that took its place; 0: none
	Compared bool  // every difference was looked for
}

// counts tells whether the lines of a bill are facts.
func (b Bill) counts() bool { return b.Accepted && b.Replaced == 0 }

// Line is a line of a bill that counts.
type Line struct {
	Day       Day
	No        int // in its bill, from 1
	Kind      bill.Kind
	TradeNo   string
	RequestNo string
	At        time.Time
	AmountFen money.Fen
}

// Trade is what reconciliation needs of a merchant.Trade.
type Trade struct {
	State     merchant.TradeState // empty: the merchant knows no such trade
	TradeNo   openapi.TradeNo
	AmountFen money.Fen
	Settled   time.Time // zero where it is not known
}

// Refund is what reconciliation needs of a merchant.Refund.
type Refund struct {
	Number    string
	AmountFen money.Fen
}

// Facts is all that is known of one out_trade_no.
type Facts struct {
	OutTradeNo  openapi.OutTradeNo
	Trade       Trade
	Refunds     []Refund
	Lines       []Line       // of all bills that count, by day and number
	Differences []Difference // that were ever found, with their last step
}

// Mark is a place in the list of settled trades.
type Mark struct {
	Settled    time.Time
	OutTradeNo openapi.OutTradeNo
}

// Store keeps bills and differences beside the merchant's trades. What it has answered nil to is there after a
// power cut. edge/store has one on SQLite; storetest is the suite that it passes.
type Store interface {
	// Bills lists all bills in the order in which they came.
	Bills(ctx context.Context) ([]Bill, error)
	// Begin makes room for a bill that does not count yet: b with its number, or what is here of the same day and
	// digest from a run that did not come to its end.
	Begin(ctx context.Context, b Bill) (Bill, error)
	// AddLines keeps further lines of a bill, the first of them with number after+1. ErrMoved where it does not
	// have after lines.
	AddLines(ctx context.Context, no int64, after int, lines []bill.Line) error
	// Accept makes a bill count, in place of another one unless replaced is 0. ErrMoved where that is not the
	// one that counts for its day.
	Accept(ctx context.Context, no, replaced int64, now time.Time) error
	// MarkCompared notes that all differences of a bill were looked for.
	MarkCompared(ctx context.Context, no int64, now time.Time) error
	// Billed lists up to count numbers of the lines of a bill, those behind after; the i-th is of line after+1+i.
	Billed(ctx context.Context, no int64, after, count int) ([]openapi.OutTradeNo, error)
	// Settled lists up to count trades that settled from one instant on, before another, those behind after. Rides
	// that were taken from prepaid cards, whose trade_no begins with CARD, are left out.
	Settled(ctx context.Context, from, to time.Time, after Mark, count int) ([]Mark, error)
	// SettledTotal counts and sums what Settled lists.
	SettledTotal(ctx context.Context, from, to time.Time) (bill.Total, error)
	// View reads the facts of each number, in their order, consistently.
	View(ctx context.Context, numbers []openapi.OutTradeNo) ([]Facts, error)
	// Update reads as View does, hands it to decide, and commits what decide answers, in one transaction. decide
	// is a pure function and may be called again; its error is returned, and nothing is written.
	Update(ctx context.Context, numbers []openapi.OutTradeNo, decide func([]Facts) ([]Move, error)) error
	// Differences lists up to count differences with their histories, those with numbers above after; all of
	// them, or those that are not resolved.
	Differences(ctx context.Context, all bool, after int64, count int) ([]Difference, error)
	// UnbilledRefunds lists up to count refunds of trades that the platform has settled, and that no bill that counts
	// has, in the order in which they were named, those behind after.
	UnbilledRefunds(ctx context.Context, after string, count int) ([]merchant.Refund, error)
}

// Config is how a merchant reconciles. Zero values are the defaults above.
type Config struct {
	App         openapi.AppID
	DayEnds     time.Duration // 日切: the time of day, in Beijing, at which the platform's accounting day ends
	CarryWithin time.Duration // a trade that settled here so near to the cut-off may be in the neighbouring bill
	Progress    func(done, total int)
}

// Reconciler does the work. It keeps nothing of its own.
type Reconciler struct {
	store  Store
	config Config
}

// New refuses a configuration that could not work.
func New(store Store, config Config) (*Reconciler, error) {
	if config.DayEnds == 0 {
		config.DayEnds = DefaultDayEnds
	}
	if config.CarryWithin == 0 {
		config.CarryWithin = DefaultCarryWithin
	}
	if config.Progress == nil {
		config.Progress = func(int, int) {}
	}
	switch {
	case store == nil || config.App == "":
		return nil, errors.New("reconcile: store and app are needed")
	case config.DayEnds < time.Minute || config.DayEnds > 24*time.Hour:
		return nil, errors.New("reconcile: the day does not end between 00:01 and 24:00")
	case config.CarryWithin < 0 || config.CarryWithin > 12*time.Hour:
		return nil, errors.New("reconcile: near to the cut-off is more than half a day")
	}
	return &Reconciler{store: store, config: config}, nil
}
