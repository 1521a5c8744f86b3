package payment

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Settle moves the money of trades, one result a trade in their order (document 2 §4.2.3). A trade
// that was settled before is answered as it was then, whatever has happened since; one bad trade
// never harms its neighbours. When the books do not answer, the result is Unknown and the same
// trade may be sent again.
func (p *Payment) Settle(ctx context.Context, merchant Merchant, trades []Trade, now time.Time) []Result {
	s := settlement{p: p, merchant: merchant, at: p.moment(now), claims: p.verify(merchant, trades, now), results: make([]Result, len(trades))}
	s.settleClean(ctx)
	s.answerFaulty(ctx)
	return s.results
}

// settlement is one call of Settle.
type settlement struct {
	p        *Payment
	merchant Merchant
	at       moment
	claims   []claim
	results  []Result
}

// claim is a trade whose records were verified: all that can be said of it without the books.
type claim struct {
	trade   Trade
	key     TradeKey
	content []byte
	digest  ContentDigest
	codes   []proven
	first   time.Time // of acceptance, as far as the records say
	reason  Reason    // why it cannot be settled, empty when it can
	why     string
	retry   time.Time // when to ask again after RecordUnverifiable
}

// proven is a code that a genuine record shows.
type proven struct {
	id     ridecode.ID
	posID  string
	online bool
}

// settleClean brings the trades that nothing is wrong with into the books.
func (s *settlement) settleClean(ctx context.Context) {
	var orders []*waitingOrder
	var places []int
	for i := range s.claims {
		c := &s.claims[i]
		if c.reason == "" && c.isOnline() {
			s.assess(ctx, c)
		}
		if c.reason == "" {
			orders, places = append(orders, s.waiting(c, codesOf(c.codes))), append(places, i)
		}
	}
	s.commit(ctx, orders, places)
}

func (s *settlement) waiting(c *claim, codes []ridecode.ID) *waitingOrder {
	return &waitingOrder{at: s.at, order: Order{Key: c.key, User: c.trade.UserID, Merchant: s.merchant.Account, AmountFen: c.trade.AmountFen,
		Codes: codes, Deadline: c.first.Add(s.p.policy.SettleWithin), Content: c.content, Digest: c.digest}}
}

func codesOf(codes []proven) []ridecode.ID {
	ids := make([]ridecode.ID, len(codes))
	for i := range codes {
		ids[i] = codes[i].id
	}
	return ids
}

// commit fills in the results of the claims at places.
func (s *settlement) commit(ctx context.Context, orders []*waitingOrder, places []int) {
	err := s.p.committers.settle(ctx, orders)
	var short []int
	for n, i := range places {
		c := &s.claims[i]
		if err != nil || orders[n].err != nil {
			s.results[i] = s.unknown(c, whyAway)
			continue
		}
		if orders[n].verdict.Answer == NoFunds {
			short = append(short, n)
		}
		s.results[i] = s.answer(ctx, c, orders[n].verdict)
	}
	if len(short) > 0 && s.p.store.Buckets() > 1 {
		s.tryShort(ctx, orders, places, short)
	}
}

// tryShort sends what nobody could pay once more, after it has brought the guarantee fund to where it is
// missing.
func (s *settlement) tryShort(ctx context.Context, orders []*waitingOrder, places, short []int) {
	wanted, again := map[int]money.Fen{}, make([]*waitingOrder, len(short))
	for n, place := range short {
		order := orders[place].order
		wanted[s.p.bucket(order.User)] += order.AmountFen
		again[n] = &waitingOrder{at: s.at, order: order}
	}
	if moved, err := s.p.gatherGuarantee(ctx, wanted, s.at); err != nil || !moved || s.p.committers.settle(ctx, again) != nil {
		return
	}
	for n, place := range short {
		if i := places[place]; again[n].err == nil {
			s.results[i] = s.answer(ctx, &s.claims[i], again[n].verdict)
		}
	}
}

// answer words a verdict.
func (s *settlement) answer(ctx context.Context, c *claim, v Verdict) Result {
	switch v.Answer {
	case Paid, PaidBefore:
		return Result{OutTradeNo: c.trade.OutTradeNo, Outcome: Settled, TradeNo: v.TradeNo}
	case OtherContent:
		return s.refuse(c, ContextInconsistent, whyInconsistent)
	case Late:
		return s.refuse(c, SettleOverdue, whyOverdue)
	case CodeUsed:
		return s.usedTwice(ctx, c, v)
	case NoUser:
		return s.refuse(c, UserNotExist, "user_id has no account here")
	case NoFunds:
		result := s.refuse(c, FundsNotEnough, "balance, credit line and guarantee do not reach: send the same trade again")
		result.NeedRetry, result.NextRetry = true, s.at.now.Add(s.p.policy.FundsRetry)
		return result
	}
	return s.unknown(c, "the merchant's account is not open yet: send the same trade again")
}

const (
	whyInconsistent = "this out_trade_no was sent before with other content (document 2 §4.2.3.2)"
	whyAway         = "the books did not answer: send the same trade again"
	whyOverdue      = "after the settlement deadline (document 2 §4.2.3.1)"
)

func (s *settlement) refuse(c *claim, reason Reason, why string) Result {
	return Result{OutTradeNo: c.trade.OutTradeNo, Outcome: Refused, Reason: reason, Why: why}
}

func (s *settlement) unknown(c *claim, why string) Result {
	return Result{OutTradeNo: c.trade.OutTradeNo, Outcome: Unknown, Reason: SystemBusy, Why: why,
		NeedRetry: true, NextRetry: s.at.now.Add(s.p.policy.BusyRetry)}
}

// answerFaulty answers what cannot be settled, unless it was: then it is answered as it was, and other
// content under a number that stands for something else is refused before all else.
func (s *settlement) answerFaulty(ctx context.Context) {
	var asked []TradeKey
	for i := range s.claims {
		if c := &s.claims[i]; c.reason != "" && c.reason != IllegalParams && c.reason != SystemBusy {
			asked = append(asked, c.key)
		}
	}
	earlier, err := s.p.find(ctx, asked)
	for i := range s.claims {
		switch c := &s.claims[i]; {
		case c.reason == "":
		case c.reason == SystemBusy:
			s.results[i] = s.unknown(c, c.why)
		case c.reason != IllegalParams && err != nil:
			s.results[i] = s.unknown(c, whyAway)
		default:
			s.results[i] = s.answerFault(c, earlier[c.key])
		}
	}
}

func (s *settlement) answerFault(c *claim, earlier found) Result {
	switch {
	case c.reason == IllegalParams || !earlier.claimed:
	case earlier.digest != c.digest:
		return s.refuse(c, ContextInconsistent, whyInconsistent)
	case earlier.tradeNo != "":
		return Result{OutTradeNo: c.trade.OutTradeNo, Outcome: Settled, TradeNo: earlier.tradeNo}
	}
	result := s.refuse(c, c.reason, c.why)
	if !c.retry.IsZero() && (c.reason == RecordUnverifiable || c.reason == PasswordRequired) {
		result.NeedRetry, result.NextRetry = true, c.retry
	}
	return result
}

// found is what the books know of a trade's number.
type found struct {
	claimed bool
	digest  ContentDigest
	trade   *SettledTrade // nil unless it was settled
	tradeNo TradeNo
}

// find looks numbers up. What nobody has claimed is not in the answer.
func (p *Payment) find(ctx context.Context, keys []TradeKey) (map[TradeKey]found, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	numbers := make([]Number, len(keys))
	for i, key := range keys {
		numbers[i] = key.Number()
	}
	claims, err := p.store.Find(ctx, numbers)
	if err != nil {
		return nil, err
	}
	all, needs := make(map[TradeKey]found, len(claims)), map[int]*Need{}
	for _, key := range keys {
		if claim, taken := claims[key.Number()]; taken {
			all[key] = found{claimed: true, digest: claim.Digest}
			if needs[claim.Bucket] == nil {
				needs[claim.Bucket] = &Need{Bucket: claim.Bucket}
			}
			needs[claim.Bucket].Trades = append(needs[claim.Bucket].Trades, claim.ID)
		}
	}
	return all, p.findTrades(ctx, all, needs)
}

func (p *Payment) findTrades(ctx context.Context, all map[TradeKey]found, needs map[int]*Need) error {
	for _, need := range needs {
		state, err := p.store.View(ctx, *need)
		if err != nil {
			return err
		}
		for _, trade := range state.Trades {
			f := all[trade.Key]
			f.trade, f.tradeNo = &trade, trade.TradeNo
			all[trade.Key] = f
		}
	}
	return nil
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
