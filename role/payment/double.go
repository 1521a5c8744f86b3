package payment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
)

// usedTwice answers a trade with a code that has paid. Where another record has paid with it, two gates
// that do not know each other have taken one code: both records are kept as proof, the rider is known for
// it from then on, and the policy says whether the second gate is paid too.
func (s *settlement) usedTwice(ctx context.Context, c *claim, v Verdict) Result {
	refused := s.refuse(c, RecordUsed, "a code in its records has paid for "+s.nameOf(v.Other))
	earlier, err := s.p.find(ctx, []TradeKey{v.Other})
	if err != nil || earlier[v.Other].trade == nil {
		return s.unknown(c, whyAway)
	}
	if sharesRecord(earlier[v.Other].trade.Content, c.trade) {
		return refused // one record in two trades is a merchant's mistake and nobody's ride
	}
	if err := s.p.keepDouble(ctx, c, *earlier[v.Other].trade, s.at); err != nil {
		return s.unknown(c, whyAway)
	}
	if !s.p.policy.Doubles.PayBoth {
		return refused
	}
	return s.payBoth(ctx, c, refused)
}

// nameOf names a trade to a merchant. The numbers of another app are not this one's to learn.
func (s *settlement) nameOf(other TradeKey) string {
	if other.App != s.merchant.App {
		return "another trade"
	}
	return "another trade, " + string(other.OutTradeNo)
}

func sharesRecord(a, b Trade) bool {
	for _, one := range a.Records {
		for _, other := range b.Records {
			if bytes.Equal(one, other) {
				return true
			}
		}
	}
	return false
}

// DoubleEvidence is the proof that a code was taken twice, kept as the body of a document about the trade
// that it has paid for: that trade holds the first record, the evidence the second.
type DoubleEvidence struct {
	App        AppID
	OutTradeNo OutTradeNo
	Trade      []byte // whole, as Trade.Append writes it
}

// keepDouble keeps the evidence and counts it, once for each pair of trades.
func (p *Payment) keepDouble(ctx context.Context, c *claim, first SettledTrade, at moment) error {
	_, bucket, id, _ := first.TradeNo.Parse()
	user := first.Content.UserID
	need := riderNeed(bucket, user)
	key := DocumentKey(fmt.Sprintf("double/%d/%s/%s", id, c.key.App, c.key.OutTradeNo))
	need.Documents = []DocumentKey{key}
	body, err := json.Marshal(DoubleEvidence{App: c.key.App, OutTradeNo: c.key.OutTradeNo, Trade: c.content})
	if err != nil {
		return err
	}
	return p.store.Update(ctx, need, func(state State) (Changes, error) {
		if _, kept := state.Documents[key]; kept {
			return Changes{}, nil
		}
		w := p.write(state, at.now)
		known := riderOf(state, user)
		known.Doubles++
		w.out.Riders = []Rider{known.Rider}
		w.note(Notice{Kind: DoubleAccepted, User: user, TradeNo: first.TradeNo, AmountFen: c.trade.AmountFen})
		return w.changes(Document{Key: key, About: id, Body: body}), nil
	})
}

// payBoth settles the second trade of a code too. In the books its codes are other ones, which follow from
// the code and the gate: so each gate is paid once for a code, and no third time.
func (s *settlement) payBoth(ctx context.Context, c *claim, refused Result) Result {
	codes := make([]ridecode.ID, len(c.codes))
	for i, code := range c.codes {
		codes[i] = secondUse(code)
	}
	w := s.waiting(c, codes)
	if err := s.p.committers.settle(ctx, []*waitingOrder{w}); err != nil || w.err != nil {
		return s.unknown(c, whyAway)
	}
	if w.verdict.Answer == CodeUsed {
		return refused
	}
	return s.answer(ctx, c, w.verdict)
}

func secondUse(code proven) ridecode.ID {
	b := append([]byte("second use of "), code.id[:]...)
	id := ridecode.ID(sha256.Sum256(append(b, code.posID...)))
	copy(id[:codeSecondSize], code.id[:])
	return id
}

// Doubles is the evidence about a settled trade: whose codes were taken by a second gate.
func (p *Payment) Doubles(ctx context.Context, trade TradeNo) (all []DoubleEvidence, err error) {
	_, bucket, id, ok := trade.Parse()
	if !ok {
		return nil, nil
	}
	state, err := p.store.View(ctx, Need{Bucket: bucket, About: []ledger.DocumentID{id}})
	if err != nil {
		return nil, err
	}
	for _, document := range state.About[id] {
		var evidence DoubleEvidence
		if json.Unmarshal(document.Body, &evidence) == nil && len(evidence.Trade) > 0 {
			all = append(all, evidence)
		}
	}
	return all, nil
}
