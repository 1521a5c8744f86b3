package payment

import (
	"context"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// PaidTrade is what the books have of a ride's trade.
type PaidTrade struct {
	AmountFen   money.Fen
	RefundedFen money.Fen // all refunds together
	Payer       Payer
}

// PaidBy looks up which of these trades the user has paid. One that is not settled, or that another user has paid, is
// not in the answer.
func (p *Payment) PaidBy(ctx context.Context, user ridecode.UserID, keys []TradeKey) (map[TradeKey]PaidTrade, error) {
	earlier, err := p.find(ctx, keys)
	if err != nil {
		return nil, err
	}
	paid, needs := map[TradeKey]PaidTrade{}, map[int]*Need{}
	ids := map[ledger.DocumentID]TradeKey{}
	for key, found := range earlier {
		if found.trade == nil || found.trade.Content.UserID != user {
			continue
		}
		_, bucket, id, _ := found.trade.TradeNo.Parse()
		if needs[bucket] == nil {
			needs[bucket] = &Need{Bucket: bucket}
		}
		needs[bucket].About, ids[id] = append(needs[bucket].About, id), key
		paid[key] = PaidTrade{AmountFen: found.trade.Content.AmountFen, Payer: found.trade.Payer}
	}
	return paid, p.addRefunds(ctx, paid, ids, needs)
}

// addRefunds: all trades of one user are in one bucket, so their numbers differ.
func (p *Payment) addRefunds(ctx context.Context, paid map[TradeKey]PaidTrade, ids map[ledger.DocumentID]TradeKey, needs map[int]*Need) error {
	for _, need := range needs {
		state, err := p.store.View(ctx, *need)
		if err != nil {
			return err
		}
		for id, documents := range state.About {
			one := paid[ids[id]]
			one.RefundedFen = refundsOf(documents)
			paid[ids[id]] = one
		}
	}
	return nil
}
