// Package merchant is the merchant (商户, document 2 §2.1): it collects the acceptance records of its
// terminals, makes trips of them, prices the trips, and has the payment institution settle the trades.
// What rides cost is in package fare.
//
// Collect takes records in, SettleDue sends trades out; the two may run side by side and be killed at
// any moment. What a record proves is decided by a pure function over a State that the Store read, and
// committed in the same transaction:
//
//	records -> taps -> trips -> fares -> trades -> settlement
//
// A record that is wrong, and a trip that no fare is known for, stand aside with their reason. Nothing
// that a terminal sent is ever thrown away.
//
// The trips of a rider and their fares are a function of his taps alone, whatever the order in which they
// came. A trade that was sent is never changed again: what it took too much is credited to what was not
// sent yet, and what is left of that is named as a Refund. See reckon.
package merchant

import (
	"context"
	"errors"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant/fare"
)

// Bounds of one call.
const (
	MaxBatchRecords = 1000              // records that one Collect takes
	MaxBatchBytes   = 8 << 20           // bytes of all of them together
	MaxSettleBatch  = openapi.MaxTrades // trades that one request to the payment institution may carry
	maxSettleRounds = 1000              // batches that one SettleDue sends at most
)

// Defaults of a Config.
const (
	DefaultMaxTrip        = 6 * time.Hour
	DefaultDefaultAfter   = 48 * time.Hour
	DefaultCompleteWithin = 48 * time.Hour
	DefaultMaxLate        = 7 * 24 * time.Hour
	DefaultCompanionWait  = 3 * time.Minute
	DefaultSettleBatch    = 100
	DefaultRetryFirst     = time.Minute
	DefaultRetryMost      = time.Hour
)

const (
	maxSellerLoginSize = 64  // bytes
	reasonSizeMax      = 256 // bytes of a reason that came from outside
)

// maxRetryWait bounds what a next_retry_time can ask for: a date misprinted by a year would lose the trade.
const maxRetryWait = 7 * 24 * time.Hour

// Rider is who makes a trip: the user together with the card that the code showed. Entry and exit of
// one trip are those of one Rider.
type Rider struct {
	UserID   ridecode.UserID
	CardType ridecode.CardType
	CardNo   ridecode.CardNo
}

// Tap is what a good record says: a rider was let through, there and then.
type Tap struct {
	Record  record.ID
	Rider   Rider
	Kind    record.Kind
	At      time.Time // acceptance time, UTC
	POSID   string    // may be empty in records of old terminals
	Line    string    // the pos_param's line; its subject where there is none
	Station string    // may be empty

	Identity ridecode.Quad // 用户身份 of the code that was shown
	LimitFen money.Fen     // 限额 of that code
}

// TradeState is how far a trade has come. It goes WAITING, SENT, and then to one of the two final
// states; ASIDE is a trip without a fare, and FREE one that costs nothing.
type TradeState string

// The states of a trade.
const (
	Waiting TradeState = "WAITING" // never sent; may still be withdrawn when a late record shows another trip
	Sent    TradeState = "SENT"    // sent at least once, no final answer yet: its content is never changed again
	Settled TradeState = "SETTLED" // final: the money has moved
	Failed  TradeState = "FAILED"  // final: it will not, Reason says why
	Aside   TradeState = "ASIDE"   // no fare is known, Reason says which; Reconsider tries again
	Free    TradeState = "FREE"    // nothing is to be paid and nothing is sent; a late record may change that
)

// Trade is a trip with its price, as it is sent (AlipayOfflineTrade, document 2 §4.2.3.5).
type Trade struct {
	OutTradeNo  openapi.OutTradeNo // see numberTrade
	Trip        Trip
	Held        []record.ID // the taps whose records it carries: all of the trip, less those of trades sent before
	OrderTime   time.Time   // actual_order_time: of the last tap that it holds, UTC
	Subject     string
	AmountFen   money.Fen
	BizContext  string      // order_biz_context, JSON text
	SellerLogin string      // seller_login_name, may be empty
	Lines       []fare.Line // where the amount is from; they add up to it
	Table       string      // fare.Tariff.TableDigest of the table that priced it; empty where none did
	RefundFen   money.Fen   // named for refund since it was sent, in all
	Progress
}

// FareReason is the reason in one line.
func (t Trade) FareReason() string { return fare.OneLine(t.Lines) }

// Refund names what a trade that was sent took too much, once and for ever. Whoever gives the money back
// does so under its Number, and only where the trade has settled.
type Refund struct {
	Number     string // letters, digits and underscores; the same refund has the same number
	OutTradeNo openapi.OutTradeNo
	AmountFen  money.Fen
	Reason     string
	Named      time.Time
	TradeState TradeState // of the trade, when it was read: only what has settled can be given back
}

// Progress is what changes about a trade.
type Progress struct {
	State    TradeState
	Attempts int             // times that it was sent, or was about to be
	NextTry  time.Time       // when it is due; meaningful in WAITING and SENT
	TradeNo  openapi.TradeNo // of a settled trade
	Settled  time.Time       // when the answer came that made it Settled; zero else, and where that was before it was kept
	Reason   string          // why it failed, stands aside, or was not settled at the last attempt
}

// Store keeps records, taps and trades. An implementation is durable: what Update has answered nil to
// is there after a power cut. edge/store has one on SQLite; storetest is the suite that it passes.
type Store interface {
	// Update reads what need names, hands it to decide, and commits what decide answers, all in one
	// transaction that no other may interleave with. decide is a pure function and may be called
	// again. An error of decide is returned and nothing is written. Any other error means that the
	// outcome is not known: the caller repeats the same Update.
	Update(ctx context.Context, need Need, decide func(State) (Changes, error)) error
	// View reads what need names, consistently.
	View(ctx context.Context, need Need) (State, error)
	// Trades lists up to count trades of a state, by number, those behind after.
	Trades(ctx context.Context, state TradeState, after openapi.OutTradeNo, count int) ([]Trade, error)
	// OpenTaps lists up to count metro taps that no trade holds, by record, those behind after.
	OpenTaps(ctx context.Context, after record.ID, count int) ([]Tap, error)
	// AsideRecords lists up to count records that stand aside, by record, those behind after.
	AsideRecords(ctx context.Context, after record.ID, count int) ([]StoredRecord, error)
	// Refunds lists up to count refunds in the order in which they were named, those behind after.
	Refunds(ctx context.Context, after string, count int) ([]Refund, error)
	// Riders lists up to count riders who have taps, in an order that stays, those behind after.
	Riders(ctx context.Context, after Rider, count int) ([]Rider, error)
	// Records lists up to count records of any kind in the order in which they came, those behind after.
	Records(ctx context.Context, after record.ID, count int) ([]StoredRecord, error)
	ChainStore
}

// Need names what a transaction reads.
type Need struct {
	Records []record.ID
	Windows []Window
	Trades  []openapi.OutTradeNo
	Due     DueTrades
	OpenDue OpenTaps
}

// OpenTaps names the first Count metro taps, the oldest first, that no trade holds, that are not left open, and
// that are not after Until.
type OpenTaps struct {
	Until time.Time
	Count int // 0: none
}

// Window names the taps of a rider from From to To, both included, and what his fare days from SumsFrom
// on, before SumsBefore, count towards the monthly sums.
type Window struct {
	Rider      Rider
	From, To   time.Time
	SumsFrom   fare.Day
	SumsBefore fare.Day
	TapsOnly   bool // the trades that hold the taps are not read
}

// DueTrades names the first Count trades in WAITING or SENT whose NextTry is not after Until, the one
// that is due longest first, and the records of these.
type DueTrades struct {
	Until time.Time
	Count int // 0: none
}

// State is what was read. What is not there is not in the map.
type State struct {
	Records map[record.ID]StoredRecord   // those named, and those of Due
	Windows map[Rider][]WindowTap        // in no order; windows of one rider are joined
	Sums    map[Rider]fare.Sums          // of the windows
	Trades  map[openapi.OutTradeNo]Trade // those named, and those that hold a tap of a window
	Due     []Trade
	OpenDue []Tap
}

// StoredRecord is a record as it came.
type StoredRecord struct {
	ID       record.ID
	Bytes    []byte
	Received time.Time
	Reason   string // why it stands aside; empty when it does not
}

// WindowTap is a tap, the trade that holds it, and what its rider said of the end that is missing.
type WindowTap struct {
	Tap
	Trade openapi.OutTradeNo // empty when none does
	Shut  bool               // that trade failed unsent: the gate stayed shut, and nobody rode
	Claim Claim
}

// Claim is a rider's own word for the end of a trip that no gate has seen (补登).
type Claim struct {
	Station string // empty: no claim
	Line    string // empty: the line of the tap that is there
	At      time.Time
	Made    time.Time
}

// Changes is what a transaction writes, in this order. Records, taps, claims, refunds and the content of
// trades are written once and never changed.
type Changes struct {
	Records   []StoredRecord       // new ones, those that stand aside with their Reason
	Readmit   []record.ID          // no longer aside
	Taps      []Tap                // new; their records are there
	Claims    []TapClaim           // new
	Withdrawn []openapi.OutTradeNo // trades that were never sent and no longer stand
	Trades    []Trade              // new
	Progress  []TradeProgress
	Refunds   []Refund    // new, of trades that were sent
	LeftOpen  []record.ID // open taps that no default fare is known for: nobody asks for them as OpenDue again
	Sums      []DaySums
}

// TapClaim is the claim about the trip of a tap.
type TapClaim struct {
	Record record.ID
	Claim
}

// DaySums is what some fare days of a rider count towards the monthly sums; it takes the place of what
// stood for these days.
type DaySums struct {
	Rider       Rider
	First, Last fare.Day
	Days        map[fare.Day]fare.Sums
}

// TradeProgress is the new Progress of a trade that is not final.
type TradeProgress struct {
	OutTradeNo openapi.OutTradeNo
	Progress
}

// Config is how a merchant works. Zero values of the durations and counts are the defaults above.
type Config struct {
	Keys        ridecode.IssuerKeys  // institution keys; a record whose code they do not verify stands aside
	Clock       ridecode.ClockPolicy // how far phone and terminal clocks may be apart
	Fares       *fare.Tariff
	SellerLogin string        // seller_login_name of new trades; empty: the contract account
	MaxTrip     time.Duration // an exit later than this after an entry does not end its trip
	PairWait    time.Duration // how long a metro trade waits for late records before it is sent
	// DefaultAfter is how long after its tap a trip without entry or exit is charged its default fare.
	DefaultAfter   time.Duration
	CompleteWithin time.Duration // how long after its tap a rider may say where such a trip ended
	MaxLate        time.Duration // a record that comes later than this after its tap stands aside
	CompanionWait  time.Duration // taps of one rider at one place, not further apart, are companions
	SettleBatch    int           // trades in one request
	RetryFirst     time.Duration // wait after a first attempt without an answer; doubled with each further one
	RetryMost      time.Duration // the wait is never longer
}

// Merchant does the merchant's work. It keeps no state of its own and may be used by many goroutines;
// a newer fare table or key list takes a new one over the same Store.
type Merchant struct {
	store   Store
	settler Settler
	config  Config
}

// New refuses a configuration that could not work.
func New(store Store, settler Settler, config Config) (*Merchant, error) {
	switch {
	case store == nil || settler == nil || config.Keys == nil || config.Fares == nil:
		return nil, errors.New("merchant: store, settler, institution keys and fares are all needed")
	case min(config.MaxTrip, config.PairWait, config.RetryFirst, config.RetryMost, config.DefaultAfter, config.CompleteWithin, config.MaxLate, config.CompanionWait) < 0:
		return nil, errors.New("merchant: a duration is negative")
	case config.SettleBatch < 0 || config.SettleBatch > MaxSettleBatch:
		return nil, errors.New("merchant: settle batch is not from 1 to 200 trades")
	case len(config.SellerLogin) > maxSellerLoginSize:
		return nil, errors.New("merchant: seller_login_name is longer than 64 bytes (document 2 §4.2.3.5)")
	}
	config.MaxTrip = orDefault(config.MaxTrip, DefaultMaxTrip)
	config.DefaultAfter = max(orDefault(config.DefaultAfter, DefaultDefaultAfter), config.MaxTrip)
	config.CompleteWithin = orDefault(config.CompleteWithin, DefaultCompleteWithin)
	config.MaxLate = orDefault(config.MaxLate, DefaultMaxLate)
	config.CompanionWait = orDefault(config.CompanionWait, DefaultCompanionWait)
	config.SettleBatch = orDefault(config.SettleBatch, DefaultSettleBatch)
	config.RetryFirst = orDefault(config.RetryFirst, DefaultRetryFirst)
	config.RetryMost = max(orDefault(config.RetryMost, DefaultRetryMost), config.RetryFirst)
	return &Merchant{store: store, settler: settler, config: config}, nil
}

func orDefault[T int | time.Duration](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}
