package merchant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant/fare"
)

// ErrNotCompleted says why a claim was not taken; the text behind it says which rule, and what to do.
var ErrNotCompleted = errors.New("merchant: this trip cannot be completed")

// Completed is what a claim came to.
type Completed struct {
	Fare      fare.Fare // of the whole trip
	Trade     Trade     // that pays it, as it stands then
	RefundFen money.Fen // named by this claim, because the default fare was sent already
}

// claimTextMax bounds a claim's station and line, in bytes: as a pos_param's text.
const claimTextMax = 256

// Complete takes a rider's own word for the end of a metro trip that no gate has seen (补登): tap is the
// record that is there. The trip then costs what a trip between the two stations costs. Where its
// default fare was sent already, the difference is named as a refund. It may be repeated: the same claim
// changes nothing. A record that comes later counts more than the claim.
//
// The error is ErrNotCompleted where the rules do not allow it: the tap is no open end of a trip, it is
// longer ago than CompleteWithin, another claim was made, or no fare is known between the stations.
func (m *Merchant) Complete(ctx context.Context, tap record.ID, claim Claim, now time.Time) (Completed, error) {
	now = storedTime(now)
	claim.At, claim.Made = storedTime(claim.At), now
	if claim.Station == "" || plainText(claim.Station, claimTextMax) != claim.Station || plainText(claim.Line, claimTextMax) != claim.Line {
		return Completed{}, fmt.Errorf("%w: a station of 1 to 256 printable bytes is needed", ErrNotCompleted)
	}
	raw, err := m.storedRecord(ctx, tap)
	if err != nil {
		return Completed{}, err
	}
	open, err := m.readTap(raw)
	if err != nil {
		return Completed{}, fmt.Errorf("%w: its record stands aside", ErrNotCompleted)
	}
	if err := m.checkClaim(open, claim, now); err != nil {
		return Completed{}, err
	}
	var completed Completed
	touched := m.scopeOf(open.Rider, earlier(open.At, claim.At), later(open.At, claim.At))
	err = m.store.Update(ctx, Need{Windows: []Window{m.window(touched)}}, func(state State) (changes Changes, err error) {
		completed, changes, err = m.takeClaim(open, claim, touched, state, now)
		return changes, err
	})
	return completed, err
}

func (m *Merchant) storedRecord(ctx context.Context, id record.ID) ([]byte, error) {
	state, err := m.store.View(ctx, Need{Records: []record.ID{id}})
	if err != nil {
		return nil, fmt.Errorf("merchant: complete: %w", err)
	}
	stored, here := state.Records[id]
	if !here {
		return nil, fmt.Errorf("%w: no such record is here", ErrNotCompleted)
	}
	return stored.Bytes, nil
}

// checkClaim looks at the two ends side by side.
func (m *Merchant) checkClaim(open Tap, claim Claim, now time.Time) error {
	span := claim.At.Sub(open.At)
	if open.Kind == record.Exit {
		span = -span
	}
	switch {
	case open.Kind.IsWhole():
		return fmt.Errorf("%w: a tap on a bus is a whole trip", ErrNotCompleted)
	case now.Sub(open.At) > m.config.CompleteWithin:
		return fmt.Errorf("%w: its tap is longer ago than %s", ErrNotCompleted, m.config.CompleteWithin)
	case span < 0 || span > m.config.MaxTrip:
		return fmt.Errorf("%w: the other end is not within %s of the tap, an exit after it, an entry before", ErrNotCompleted, m.config.MaxTrip)
	case claim.At.After(now):
		return fmt.Errorf("%w: the other end is in the future", ErrNotCompleted)
	}
	return nil
}

func (m *Merchant) takeClaim(open Tap, claim Claim, touched scope, state State, now time.Time) (Completed, Changes, error) {
	taps, changes := state.Windows[touched.rider], Changes{}
	found := false
	for i := range taps {
		if taps[i].Record != open.Record {
			continue
		}
		found = true
		if had := taps[i].Claim; had.Station != "" && !sameClaim(had, claim) {
			return Completed{}, Changes{}, fmt.Errorf("%w: another claim was made at %s", ErrNotCompleted, had.Made.Format(time.RFC3339))
		} else if had.Station == "" {
			changes.Claims = []TapClaim{{Record: open.Record, Claim: claim}}
		}
		taps[i].Claim = claim
	}
	if !found {
		return Completed{}, Changes{}, fmt.Errorf("%w: its record stands aside", ErrNotCompleted)
	}
	r := m.reckon(touched, taps, state, now)
	completed, err := r.completedBy(open)
	if err != nil {
		return Completed{}, Changes{}, err
	}
	changes.join(r.changes())
	for _, refund := range changes.Refunds {
		completed.RefundFen += refund.AmountFen
	}
	return completed, changes, nil
}

// completedBy finds the trip of a claim.
func (r *reckoning) completedBy(open Tap) (Completed, error) {
	for i, trip := range r.trips {
		if trip.Start.Record != open.Record && trip.End.Record != open.Record {
			continue
		}
		if !trip.lacksEnd() {
			return Completed{}, fmt.Errorf("%w: both of its ends are here", ErrNotCompleted)
		}
		if err := r.fares[i].Err; err != nil {
			return Completed{}, fmt.Errorf("%w: %w", ErrNotCompleted, err)
		}
		completed := Completed{Fare: r.fares[i].Fare, Trade: r.trades[r.holder[open.Record]]}
		for _, trade := range r.wanted {
			if trade.Held[0] == open.Record {
				completed.Trade = trade
			}
		}
		return completed, nil
	}
	return Completed{}, fmt.Errorf("%w: its gate stayed shut", ErrNotCompleted)
}
