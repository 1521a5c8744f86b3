package merchant

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/shuama/shuama/money"
)

// UnsettledStates are the states of trades that were never paid, in the order in which they are told.
func UnsettledStates() []TradeState { return []TradeState{Waiting, Sent, Failed, Aside} }

// UnsettledOptions says which.
type UnsettledOptions struct {
	States    []TradeState  // none: UnsettledStates
	OlderThan time.Duration // since OrderTime; 0: all
}

// UnsettledTrade is one that never settled.
type UnsettledTrade struct {
	Trade
	Age time.Duration // since OrderTime
}

// Why is the reason for people; a trade that was never sent, or never answered, has none of its own.
func (u UnsettledTrade) Why() string {
	switch {
	case u.Reason != "":
		return u.Reason
	case u.State == Waiting:
		return "waits to be sent"
	}
	return "no answer mentions it"
}

// Unsettled lists trades that never settled, by state and number. After an error nothing follows.
func (m *Merchant) Unsettled(ctx context.Context, options UnsettledOptions, now time.Time) iter.Seq2[UnsettledTrade, error] {
	states := options.States
	if len(states) == 0 {
		states = UnsettledStates()
	}
	return func(yield func(UnsettledTrade, error) bool) {
		for _, state := range states {
			if !slices.Contains(UnsettledStates(), state) {
				yield(UnsettledTrade{}, fmt.Errorf("merchant: %.16q is no state of a trade that never settled", state))
				return
			}
			for trade, err := range m.Trades(ctx, state) {
				found := UnsettledTrade{trade, now.Sub(trade.OrderTime)}
				if err == nil && found.Age < options.OlderThan {
					continue
				}
				if !yield(found, err) || err != nil {
					return
				}
			}
		}
	}
}

// ReasonSum is what trades of one state did not bring, for one reason.
type ReasonSum struct {
	State  TradeState
	Why    string
	Count  int
	SumFen money.Fen
	Oldest time.Duration
}

// reasonsMax bounds the reasons that are told apart: they come from outside.
const reasonsMax = 1000

// ReasonSums adds unsettled trades up by reason.
type ReasonSums struct{ sums map[[2]string]ReasonSum }

// Add counts a trade.
func (r *ReasonSums) Add(u UnsettledTrade) (err error) {
	if r.sums == nil {
		r.sums = map[[2]string]ReasonSum{}
	}
	why := u.Why()
	if _, known := r.sums[[2]string{string(u.State), why}]; !known && len(r.sums) >= reasonsMax {
		why = "other reasons"
	}
	key := [2]string{string(u.State), why}
	sum := r.sums[key]
	sum.State, sum.Why, sum.Count, sum.Oldest = u.State, why, sum.Count+1, max(sum.Oldest, u.Age)
	sum.SumFen, err = sum.SumFen.Add(u.AmountFen)
	r.sums[key] = sum
	return err
}

// Sums are the reasons, the one with most money first.
func (r *ReasonSums) Sums() []ReasonSum {
	var sums []ReasonSum
	for _, sum := range r.sums {
		sums = append(sums, sum)
	}
	slices.SortFunc(sums, func(a, b ReasonSum) int {
		return cmp.Or(cmp.Compare(b.SumFen, a.SumFen), cmp.Compare(b.Count, a.Count), cmp.Compare(a.State, b.State), cmp.Compare(a.Why, b.Why))
	})
	return sums
}
