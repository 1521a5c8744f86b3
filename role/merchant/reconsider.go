package merchant

import (
	"context"
	"fmt"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
)

// Reconsidered counts what no longer stands aside.
type Reconsidered struct {
	Records int // taken after all
	Trips   int // priced after all
	Still   int // both kinds, those that stay
}

// Reconsider looks again at all that stands aside, with the keys and fares of today: a key list that
// came late, or a line that the table lacked, costs no trade. What stays keeps its first reason.
func (m *Merchant) Reconsider(ctx context.Context, now time.Time) (Reconsidered, error) {
	now = storedTime(now)
	var report Reconsidered
	for stored, err := range m.asideRecords(ctx) {
		if err != nil {
			return report, err
		}
		readmitted, err := m.readmit(ctx, stored, now)
		if err != nil {
			return report, fmt.Errorf("merchant: reconsider: %w", err)
		}
		count(&report.Records, &report.Still, readmitted)
	}
	for trade, err := range m.Trades(ctx, Aside) {
		if err != nil {
			return report, err
		}
		priced, err := m.priceAgain(ctx, trade, now)
		if err != nil {
			return report, fmt.Errorf("merchant: reconsider: %w", err)
		}
		count(&report.Trips, &report.Still, priced)
	}
	return report, nil
}

func count(moved, still *int, isMoved bool) {
	if isMoved {
		*moved++
	} else {
		*still++
	}
}

func (m *Merchant) readmit(ctx context.Context, stored StoredRecord, now time.Time) (bool, error) {
	intakes := []intake{m.read(stored)}
	if intakes[0].isAside() {
		return false, nil
	}
	readmitted, scopes := false, m.scopes(tapsOf(intakes))
	err := m.store.Update(ctx, m.needOf([]record.ID{stored.ID}, scopes), func(state State) (Changes, error) {
		if readmitted = state.Records[stored.ID].Reason != ""; !readmitted {
			return Changes{}, nil
		}
		changes := m.takeIn(intakes, scopes, state, now)
		changes.Records, changes.Readmit = nil, []record.ID{stored.ID}
		return changes, nil
	})
	return readmitted, err
}

// priceAgain reckons the days of a trip that stands aside: with its fare, those of the trips behind it may
// change too.
func (m *Merchant) priceAgain(ctx context.Context, trade Trade, now time.Time) (priced bool, err error) {
	touched := m.scopeOf(trade.Trip.first().Rider, trade.Trip.first().At, trade.Trip.Last().At)
	need := Need{Trades: []openapi.OutTradeNo{trade.OutTradeNo}, Windows: []Window{m.window(touched)}}
	err = m.store.Update(ctx, need, func(state State) (Changes, error) {
		r := m.reckon(touched, state.Windows[touched.rider], state, now)
		priced = true
		for _, again := range r.wanted {
			priced = priced && (again.OutTradeNo != trade.OutTradeNo || again.State != Aside)
		}
		return r.changes(), nil
	})
	return priced, err
}
