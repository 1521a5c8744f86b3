package merchant

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant/fare"
)

// Statement is a rider's trips, what they cost, and what was paid for them. Its sums prove themselves:
//
//	FaresFen = PaidFen + ToPayFen + OpenFen + ShortFen + FailedFen − HeldFen
type Statement struct {
	Rider     Rider
	Trips     []StatedTrip
	FaresFen  money.Fen // of all trips that have a fare
	PaidFen   money.Fen // by trades that were sent and have not failed, refunds taken off
	ToPayFen  money.Fen // by trades that are waiting
	OpenFen   money.Fen // default fares that are not due yet
	ShortFen  money.Fen // charged too little before a late record showed it: nobody pays that
	FailedFen money.Fen // of trips whose trades have failed
	HeldFen   money.Fen // paid too much, and kept until a trip without a fare has one
	// UnnamedFen is of PaidFen what is to be named as refunds when these days are reckoned next, because the fare
	// tables are others now.
	UnnamedFen money.Fen
}

// StatedTrip is a trip, and its fare or why it has none.
type StatedTrip struct {
	Trip
	Day  fare.Day
	Fare fare.Fare
	Err  error
}

// Difference is zero in a statement that is right.
func (s Statement) Difference() money.Fen {
	return s.FaresFen - (s.PaidFen + s.ToPayFen + s.OpenFen + s.ShortFen + s.FailedFen - s.HeldFen)
}

// Statement reckons the trips of a rider that began on some fare days, the first and the last included,
// as they stand now, and writes nothing.
func (m *Merchant) Statement(ctx context.Context, rider Rider, first, last fare.Day, now time.Time) (Statement, error) {
	s := scope{rider: rider, first: first, last: last}
	state, err := m.store.View(ctx, Need{Windows: []Window{m.window(s)}})
	if err != nil {
		return Statement{}, fmt.Errorf("merchant: statement: %w", err)
	}
	return m.state(s, state, now), nil
}

// Statements gives the statement of every rider who has taps, in the order of riders.
func (m *Merchant) Statements(ctx context.Context, first, last fare.Day, now time.Time) iter.Seq2[Statement, error] {
	return func(yield func(Statement, error) bool) {
		for riders, err := range m.riderPages(ctx) {
			if err != nil {
				yield(Statement{}, err)
				return
			}
			var need Need
			for _, rider := range riders {
				need.Windows = append(need.Windows, m.window(scope{rider, first, last}))
			}
			state, err := m.store.View(ctx, need)
			if err != nil {
				yield(Statement{}, fmt.Errorf("merchant: statements: %w", err))
				return
			}
			for _, rider := range riders {
				if !yield(m.state(scope{rider, first, last}, state, now), nil) {
					return
				}
			}
		}
	}
}

// riderPages goes through all riders, some at a time.
func (m *Merchant) riderPages(ctx context.Context) iter.Seq2[[]Rider, error] {
	return func(yield func([]Rider, error) bool) {
		var last Rider
		for {
			riders, err := m.store.Riders(ctx, last, pageSize)
			if err != nil {
				yield(nil, fmt.Errorf("merchant: riders: %w", err))
				return
			}
			if len(riders) == 0 || !yield(riders, nil) {
				return
			}
			last = riders[len(riders)-1]
		}
	}
}

func (m *Merchant) state(s scope, state State, now time.Time) Statement {
	r := m.reckon(s, state.Windows[s.rider], state, storedTime(now))
	statement := Statement{Rider: s.rider, FailedFen: r.failedFen}
	for i, trip := range r.trips {
		statement.Trips = append(statement.Trips, StatedTrip{Trip: trip, Day: m.config.Fares.DayOf(trip.begun()), Fare: r.fares[i].Fare, Err: r.fares[i].Err})
		statement.FaresFen += r.fares[i].Fare.AmountFen
	}
	for _, trade := range r.fixed {
		if trade.State != Failed && s.holds(r.home[trade.Held[0]]) {
			statement.PaidFen += trade.AmountFen - trade.RefundFen
		}
	}
	for _, trade := range r.wanted {
		statement.ToPayFen += trade.AmountFen
	}
	for _, refund := range r.named {
		statement.PaidFen, statement.UnnamedFen = statement.PaidFen-refund.AmountFen, statement.UnnamedFen+refund.AmountFen
	}
	statement.ShortFen, statement.HeldFen, statement.OpenFen = r.shortfall, r.heldFen, r.openFen
	return statement
}

// FindTap tells what a record says that is here as a tap.
func (m *Merchant) FindTap(ctx context.Context, id record.ID) (Tap, error) {
	raw, err := m.storedRecord(ctx, id)
	if err != nil {
		return Tap{}, err
	}
	return m.readTap(raw)
}

// StatementsOf gives the statements of one user, one for each card that he has shown.
func (m *Merchant) StatementsOf(ctx context.Context, user ridecode.UserID, first, last fare.Day, now time.Time) iter.Seq2[Statement, error] {
	return func(yield func(Statement, error) bool) {
		rider := Rider{UserID: user}
		for {
			riders, err := m.store.Riders(ctx, rider, 1)
			if err != nil {
				yield(Statement{}, fmt.Errorf("merchant: statements: %w", err))
				return
			}
			if len(riders) == 0 || riders[0].UserID != user {
				return
			}
			rider = riders[0]
			if statement, err := m.Statement(ctx, rider, first, last, now); !yield(statement, err) || err != nil {
				return
			}
		}
	}
}
