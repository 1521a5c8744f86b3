package payment

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Policy is what an institution decides for itself.
type Policy struct {
	Clock        ridecode.ClockPolicy
	SettleWithin time.Duration // 结算时间: a trade whose first record is older is not settled (document 2 §4.2.3.1)
	BusyRetry    time.Duration // when to ask again after UNKNOWN
	FundsRetry   time.Duration // when to ask again after a lack of funds
	// CannotTellRetry is when to ask again where a key or the time to judge a record by is still missing.
	CannotTellRetry time.Duration
	// Panicked hears of a bug that left one trade UNKNOWN, and never of what the trade holds; may be nil.
	Panicked func(what, stack string)
}

// DefaultPolicy takes records up to 30 days old: terminals may be out of reach for weeks.
func DefaultPolicy() Policy {
	return Policy{Clock: ridecode.DefaultClock(), SettleWithin: 30 * 24 * time.Hour, BusyRetry: time.Minute, FundsRetry: time.Hour,
		CannotTellRetry: time.Hour}
}

// Payment is one payment institution. It is safe for concurrent use.
type Payment struct {
	store     Store
	keys      ridecode.IssuerKeys
	terminals TerminalKeys
	policy    Policy
}

// New makes an institution from its books, the issuer keys and terminal keys it trusts, and its policy.
func New(store Store, keys ridecode.IssuerKeys, terminals TerminalKeys, policy Policy) *Payment {
	return &Payment{store: store, keys: keys, terminals: terminals, policy: policy}
}

// claim is a trade whose records were verified: all that can be said of it without the books.
type claim struct {
	trade  Trade
	key    TradeKey
	digest ContentDigest
	codes  []ridecode.ID
	reason Reason // why it cannot be settled, empty when it can
	why    string
	retry  time.Time // when to ask again after RecordUnverifiable
}

// Settle moves the money of trades, one result a trade in their order (document 2 §4.2.3). A trade
// that was settled before is answered as it was then, whatever has happened since; one bad trade
// never harms its neighbours. When the books do not answer, every result is Unknown and the same
// request may be sent again.
func (p *Payment) Settle(ctx context.Context, merchant Merchant, trades []Trade, now time.Time) []Result {
	claims := p.verify(merchant, trades, now)
	var results []Result
	err := p.store.Update(ctx, needOf(merchant, claims), func(state State) (Changes, error) {
		d := decision{policy: p.policy, merchant: merchant, state: state, now: now}
		results = d.decide(claims)
		return d.changes(), nil
	})
	if err != nil {
		return p.unknown(trades, now)
	}
	return results
}

// verify looks at every trade on all cores: signatures are nine tenths of the work.
func (p *Payment) verify(merchant Merchant, trades []Trade, now time.Time) []claim {
	claims := make([]claim, len(trades))
	var wait sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), len(trades))
	for worker := range workers {
		wait.Go(func() {
			for i := worker; i < len(trades); i += workers {
				claims[i] = p.claimSafely(merchant, trades[i], now)
			}
		})
	}
	wait.Wait()
	return claims
}

// claimSafely makes a bug that one trade brings out into an unknown outcome of that trade: a panic here
// would end the server, and every other trade with it.
func (p *Payment) claimSafely(merchant Merchant, trade Trade, now time.Time) (c claim) {
	defer func() {
		if caught := recover(); caught != nil {
			p.tellPanic(caught)
			c = claim{trade: trade, reason: SystemBusy, why: "this trade could not be looked at: send it again, unchanged"}
		}
	}()
	return p.claim(merchant, trade, now)
}

// tellPanic shows the value of a panic only when it is the runtime's: any other may quote content.
func (p *Payment) tellPanic(caught any) {
	if p.policy.Panicked == nil {
		return
	}
	what := fmt.Sprintf("%T", caught)
	if fault, isRuntime := caught.(runtime.Error); isRuntime {
		what = fault.Error()
	}
	p.policy.Panicked(what, string(debug.Stack()))
}

func (p *Payment) unknown(trades []Trade, now time.Time) []Result {
	results := make([]Result, len(trades))
	for i, trade := range trades {
		results[i] = Result{OutTradeNo: trade.OutTradeNo, Outcome: Unknown, Reason: SystemBusy,
			Why: "the books did not answer: send the same trade again", NeedRetry: true, NextRetry: now.Add(p.policy.BusyRetry)}
	}
	return results
}

func needOf(merchant Merchant, claims []claim) Need {
	need := Need{Accounts: []ledger.AccountID{merchant.Account, GuaranteeAccount, ClaimsAccount}}
	for _, c := range claims {
		if c.reason == IllegalParams || c.reason == SystemBusy {
			continue
		}
		need.Trades = append(need.Trades, c.key)
		if c.reason != "" {
			continue
		}
		need.Codes = append(need.Codes, c.codes...)
		need.Accounts = append(need.Accounts, UserAccount(c.trade.UserID), DebtAccount(c.trade.UserID))
	}
	return need
}

// decision is one run of the deterministic machine over a State. It keeps what it has decided so far
// in the state, so that two trades of one request are judged as if they had come one after the other.
type decision struct {
	policy   Policy
	merchant Merchant
	state    State
	now      time.Time
	book     *ledger.Book
	settled  []SettledTrade
	opened   []ledger.Account
}

func (d *decision) decide(claims []claim) []Result {
	d.state.Trades, d.state.Codes = copyMap(d.state.Trades), copyMap(d.state.Codes)
	d.book = ledger.NewBook(nil)
	for _, account := range d.state.Accounts {
		d.book.Open(account)
	}
	results := make([]Result, len(claims))
	for i := range claims {
		results[i] = d.settle(&claims[i])
	}
	return results
}

func (d *decision) changes() Changes {
	return Changes{Trades: d.settled, Opened: d.opened, Entries: d.book.Entries()}
}

// settle judges one trade, in the order of the reasons.
func (d *decision) settle(c *claim) Result {
	switch c.reason {
	case IllegalParams:
		return d.refuse(c, c.reason, c.why)
	case SystemBusy:
		return Result{OutTradeNo: c.trade.OutTradeNo, Outcome: Unknown, Reason: c.reason, Why: c.why,
			NeedRetry: true, NextRetry: d.now.Add(d.policy.BusyRetry)}
	}
	if earlier, known := d.state.Trades[c.key]; known {
		return d.replay(c, earlier)
	}
	if c.reason != "" {
		return d.refuseClaim(c)
	}
	for _, code := range c.codes {
		if other, used := d.state.Codes[code]; used {
			return d.refuse(c, RecordUsed, "a code in its records has paid for "+d.nameOf(other))
		}
	}
	return d.pay(c)
}

// refuseClaim refuses what the records say. Where they say nothing yet, the trade may come again.
func (d *decision) refuseClaim(c *claim) Result {
	result := d.refuse(c, c.reason, c.why)
	if c.reason == RecordUnverifiable {
		result.NeedRetry, result.NextRetry = true, c.retry
	}
	return result
}

// nameOf names a trade to a merchant. The numbers of another app are not this one's to learn.
func (d *decision) nameOf(other TradeKey) string {
	if other.App != d.merchant.App {
		return "another trade"
	}
	return "another trade, " + string(other.OutTradeNo)
}

// replay answers a number that was settled before. Other content under it is refused: were it
// settled, or answered with success, a merchant's mistake would become somebody's money.
func (d *decision) replay(c *claim, earlier SettledTrade) Result {
	if earlier.Digest != c.digest {
		return d.refuse(c, ContextInconsistent, "this out_trade_no was settled with other content (document 2 §4.2.3.2)")
	}
	return Result{OutTradeNo: c.trade.OutTradeNo, Outcome: Settled, TradeNo: earlier.TradeNo}
}

func (d *decision) refuse(c *claim, reason Reason, why string) Result {
	return Result{OutTradeNo: c.trade.OutTradeNo, Outcome: Refused, Reason: reason, Why: why}
}

func (d *decision) pay(c *claim) Result {
	if _, exists := d.book.Account(UserAccount(c.trade.UserID)); !exists {
		return d.refuse(c, UserNotExist, "user_id has no account here")
	}
	tradeNo := tradeNoOf(c.key, d.now)
	payer, paid := d.move(c, tradeNo)
	if !paid {
		result := d.refuse(c, FundsNotEnough, "balance, credit line and guarantee do not reach: send the same trade again")
		result.NeedRetry, result.NextRetry = true, d.now.Add(d.policy.FundsRetry)
		return result
	}
	trade := SettledTrade{Key: c.key, TradeNo: tradeNo, Digest: c.digest, Content: c.trade,
		Codes: c.codes, SettledAt: d.now, Payer: payer}
	d.settled = append(d.settled, trade)
	d.state.Trades[c.key] = trade
	for _, code := range c.codes {
		d.state.Codes[code] = c.key
	}
	return Result{OutTradeNo: c.trade.OutTradeNo, Outcome: Settled, TradeNo: tradeNo}
}

// tradeNoOf makes the 28 digits of a trade number: the Beijing day, and 20 digits drawn from the
// trade's key, so that a decision that runs twice names the trade the same.
func tradeNoOf(key TradeKey, now time.Time) TradeNo {
	sum := sha256.Sum256(appendSized(appendSized(nil, string(key.App)), string(key.OutTradeNo)))
	high, low := binary.BigEndian.Uint64(sum[:8])%1e10, binary.BigEndian.Uint64(sum[8:16])%1e10
	return TradeNo(fmt.Sprintf("%s%010d%010d", now.In(beijing()).Format("20060102"), high, low))
}

func beijing() *time.Location { return time.FixedZone("Beijing", 8*60*60) }

func copyMap[K comparable, V any](m map[K]V) map[K]V {
	copied := make(map[K]V, len(m))
	for key, value := range m {
		copied[key] = value
	}
	return copied
}
