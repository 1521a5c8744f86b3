package merchant

import (
	"context"
	"fmt"
	"time"

	"github.com/shuama/shuama/role/merchant/fare"
)

// Recounted counts what a Recount has changed.
type Recounted struct {
	Riders  int // who have taps in these days
	Trades  int // that were never sent, and are priced anew
	Refunds int // that were named
}

// Recount reckons whole days of every rider with the tables of today: what was never sent is priced anew, and
// the monthly sums are made again from the first of these days on, which is the first of a month. It is for
// tables that were changed in the middle of a month; nothing else needs it. What was charged stays.
func (m *Merchant) Recount(ctx context.Context, month fare.Day, now time.Time) (Recounted, error) {
	now = storedTime(now)
	var report Recounted
	for riders, err := range m.riderPages(ctx) {
		if err != nil {
			return report, err
		}
		for _, rider := range riders {
			if err := m.recountOne(ctx, scope{rider, month.FirstOfMonth(), month.LastOfMonth()}, now, &report); err != nil {
				return report, fmt.Errorf("merchant: recount: %w", err)
			}
		}
	}
	return report, nil
}

func (m *Merchant) recountOne(ctx context.Context, s scope, now time.Time, report *Recounted) error {
	var one Recounted
	err := m.store.Update(ctx, Need{Windows: []Window{m.window(s)}}, func(state State) (Changes, error) {
		r := m.reckon(s, state.Windows[s.rider], state, now)
		changes := r.changes()
		one = Recounted{Riders: countIf(len(r.trips) > 0), Trades: len(changes.Trades), Refunds: len(changes.Refunds)}
		return changes, nil
	})
	report.Riders, report.Trades, report.Refunds = report.Riders+one.Riders, report.Trades+one.Trades, report.Refunds+one.Refunds
	return err
}
