package merchant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
)

// ErrNotOnline says that a record cannot be settled while its rider waits.
var ErrNotOnline = errors.New("merchant: only a tap that is a whole trade can be settled online, and it needs a fare (document 1 §5.5.1)")

// SettleNow settles the trade of one record while the rider waits (联机交易, document 1 §5.5.1), and gives
// the trade as it stands then: Settled, Free, Failed, or Sent when nobody can say yet. It is the same trade,
// with the same number, that Collect and SettleDue would make of the record later, so asking online and
// bringing the record again moves the money once.
func (m *Merchant) SettleNow(ctx context.Context, raw []byte, now time.Time) (Trade, error) {
	answers, err := m.Collect(ctx, [][]byte{raw}, now)
	if err != nil {
		return Trade{}, err
	}
	if answers[0].Standing == SetAside {
		return Trade{}, fmt.Errorf("%w: %s", ErrNotOnline, answers[0].Reason)
	}
	tap, err := m.readTap(raw)
	if err != nil || !tap.Kind.IsWhole() {
		return Trade{}, ErrNotOnline
	}
	number := numberTrade([]Tap{tap})
	if err := m.sendOne(ctx, number, tap.Record, storedTime(now)); err != nil {
		return Trade{}, err
	}
	return m.trade(ctx, number)
}

// sendOne sends a trade that is not final yet. A fault of the line is no error here: the trade says
// that it was sent, and is sent again later.
func (m *Merchant) sendOne(ctx context.Context, number openapi.OutTradeNo, id record.ID, now time.Time) error {
	var claimed []claim
	need := Need{Trades: []openapi.OutTradeNo{number}, Records: []record.ID{id}}
	err := m.store.Update(ctx, need, func(state State) (Changes, error) {
		claimed = nil
		trade, known := state.Trades[number]
		if !known || trade.State != Waiting && trade.State != Sent {
			return Changes{}, nil
		}
		trade.State, trade.Attempts = Sent, trade.Attempts+1
		trade.NextTry = now.Add(m.retryWait(trade.Attempts))
		claimed = []claim{{trade: trade, wire: wireTrade(trade, state.Records)}}
		return Changes{Progress: []TradeProgress{{number, trade.Progress}}}, nil
	})
	if err != nil || len(claimed) == 0 {
		return err
	}
	return m.settleBatch(ctx, claimed, now, &Report{})
}

func (m *Merchant) trade(ctx context.Context, number openapi.OutTradeNo) (Trade, error) {
	state, err := m.store.View(ctx, Need{Trades: []openapi.OutTradeNo{number}})
	if err != nil {
		return Trade{}, err
	}
	trade, known := state.Trades[number]
	if !known || trade.State == Aside {
		return Trade{}, ErrNotOnline
	}
	return trade, nil
}
