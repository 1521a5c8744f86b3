package merchant

import (
	"context"
	"fmt"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
)

// reasonShut is why a record that a gate wrote is no ride.
const reasonShut = "the gate stayed shut: the online trade had no answer, or was refused (document 1 §5.5.1)"

// Shut takes back records of gates that stayed shut after they were written: an online trade that was
// refused, or had no answer where the line does not go on offline. A record that is not here yet stands
// aside from then on, and a trade that was never sent fails, so that nobody is charged for a ride that
// was not one. It may be repeated. The answer names, by their places in the batch, the records whose
// trade was sent already: those riders may have been charged, and are to be refunded.
func (m *Merchant) Shut(ctx context.Context, batch [][]byte, now time.Time) (charged []int, err error) {
	for place, raw := range batch {
		sent, err := m.shutOne(ctx, raw, storedTime(now))
		if err != nil {
			return nil, fmt.Errorf("merchant: shut: %w", err)
		}
		if sent {
			charged = append(charged, place)
		}
	}
	return charged, nil
}

func (m *Merchant) shutOne(ctx context.Context, raw []byte, now time.Time) (sent bool, err error) {
	id := record.Identify(raw)
	need := Need{Records: []record.ID{id}}
	var number openapi.OutTradeNo
	var touched scope
	if tap, err := m.readTap(raw); err == nil && tap.Kind.IsWhole() {
		number, touched = numberTrade([]Tap{tap}), m.scopeOf(tap.Rider, tap.At, tap.At)
		need.Trades, need.Windows = []openapi.OutTradeNo{number}, []Window{m.window(touched)}
	}
	err = m.store.Update(ctx, need, func(state State) (Changes, error) {
		sent = false
		if _, here := state.Records[id]; !here {
			return Changes{Records: []StoredRecord{{ID: id, Bytes: raw, Received: now, Reason: reasonShut}}}, nil
		}
		trade, known := state.Trades[number]
		switch {
		case !known || trade.State == Failed:
			return Changes{}, nil
		case trade.Attempts > 0:
			sent = true
			return Changes{}, nil
		}
		return m.withoutRide(trade, touched, state, now), nil
	})
	return sent, err
}

// withoutRide fails a trade that was never sent, and reckons the day without its tap: it may have been
// the ride that another one's transfer hung on.
func (m *Merchant) withoutRide(trade Trade, touched scope, state State, now time.Time) Changes {
	trade.State, trade.Reason, trade.NextTry = Failed, reasonShut, time.Time{}
	state.Trades[trade.OutTradeNo] = trade
	changes := m.reckon(touched, state.Windows[touched.rider], state, now).changes()
	changes.Progress = []TradeProgress{{trade.OutTradeNo, trade.Progress}}
	return changes
}
