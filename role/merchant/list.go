package merchant

import (
	"context"
	"fmt"
	"iter"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
)

// pageSize is how many a listing reads at once, so that no reader holds the store for long.
const pageSize = 200

// Trades lists the trades of a state by number. What changes meanwhile may be seen or not. After an
// error nothing follows.
func (m *Merchant) Trades(ctx context.Context, state TradeState) iter.Seq2[Trade, error] {
	return pages(func(after Trade) ([]Trade, error) {
		return m.store.Trades(ctx, state, after.OutTradeNo, pageSize)
	})
}

// OpenTrips lists the metro taps that have found no other end, and that no default fare was charged for yet:
// entries without exit, exits without entry.
func (m *Merchant) OpenTrips(ctx context.Context) iter.Seq2[Tap, error] {
	return pages(func(after Tap) ([]Tap, error) { return m.store.OpenTaps(ctx, after.Record, pageSize) })
}

// AsideItem stands aside: a record that is wrong, or a trip without a fare.
type AsideItem struct {
	Records    []record.ID
	OutTradeNo openapi.OutTradeNo // of a trip, the number that it will have; empty for a record
	Reason     string
}

// SetAside lists what stands aside with its reasons: records first, then trips.
func (m *Merchant) SetAside(ctx context.Context) iter.Seq2[AsideItem, error] {
	return func(yield func(AsideItem, error) bool) {
		for stored, err := range m.asideRecords(ctx) {
			if !yield(AsideItem{Records: []record.ID{stored.ID}, Reason: stored.Reason}, err) {
				return
			}
		}
		for trade, err := range m.Trades(ctx, Aside) {
			if !yield(AsideItem{Records: trade.Held, OutTradeNo: trade.OutTradeNo, Reason: trade.Reason}, err) {
				return
			}
		}
	}
}

func (m *Merchant) asideRecords(ctx context.Context) iter.Seq2[StoredRecord, error] {
	return pages(func(after StoredRecord) ([]StoredRecord, error) {
		return m.store.AsideRecords(ctx, after.ID, pageSize)
	})
}

// Refunds lists what trades took too much, in the order in which it was named.
func (m *Merchant) Refunds(ctx context.Context) iter.Seq2[Refund, error] {
	return pages(func(after Refund) ([]Refund, error) { return m.store.Refunds(ctx, after.Number, pageSize) })
}

// pages goes through a list a page at a time; read gives the page behind an item, the zero item first.
func pages[T any](read func(after T) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var last T
		for {
			page, err := read(last)
			if err != nil {
				var none T
				yield(none, fmt.Errorf("merchant: list: %w", err))
				return
			}
			for _, item := range page {
				if last = item; !yield(item, nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
		}
	}
}
