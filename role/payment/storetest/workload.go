package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/shuama/shuama/role/payment"
)

// workloadUsers is how many users share the sales of a workload.
const workloadUsers = 16

// Furnish opens the accounts that Sell needs. It is one step of what a test of crashes does by itself:
// furnish, sell until something breaks, and look what was sold.
func Furnish(ctx context.Context, store payment.Store) error {
	return furnish(ctx, store, workloadUsers, 1000*plenty)
}

// Sell settles the sales with these numbers, those of each bucket in one batch, and gives their trade
// numbers. A number that was sold before is told as it was.
func Sell(ctx context.Context, store payment.Store, numbers ...int) ([]payment.TradeNo, error) {
	orders := make([]payment.Order, len(numbers))
	for i, n := range numbers {
		orders[i] = sale(n, userID(n%workloadUsers))
	}
	verdicts, err := settle(ctx, store, orders...)
	if err != nil {
		return nil, err
	}
	sold := make([]payment.TradeNo, len(numbers))
	for i, v := range verdicts {
		if v.Answer != payment.Paid && v.Answer != payment.PaidBefore {
			return nil, fmt.Errorf("sale %d: %+v", numbers[i], v)
		}
		sold[i] = v.TradeNo
	}
	return sold, nil
}

// Sold tells which of the numbers below end were sold, and as what. A sale that is not there whole is an
// error.
func Sold(ctx context.Context, store payment.Store, end int) (map[int]payment.TradeNo, error) {
	keys, numbers := make([]payment.Number, end), make(map[payment.Number]int, end)
	for n := range end {
		keys[n] = sale(n, "").Key.Number()
		numbers[keys[n]] = n
	}
	claims, err := store.Find(ctx, keys)
	if err != nil {
		return nil, err
	}
	needs := map[int]*payment.Need{}
	for _, claim := range claims {
		if needs[claim.Bucket] == nil {
			needs[claim.Bucket] = &payment.Need{Bucket: claim.Bucket}
		}
		needs[claim.Bucket].Trades = append(needs[claim.Bucket].Trades, claim.ID)
	}
	sold := map[int]payment.TradeNo{}
	for _, need := range needs {
		state, err := store.View(ctx, *need)
		if err != nil {
			return nil, err
		}
		for _, trade := range state.Trades {
			n := numbers[trade.Key.Number()]
			if trade.Content.Digest() != tradeOf(n, userID(n%workloadUsers)).Digest() {
				return nil, fmt.Errorf("sale %d: stored with other content", n)
			}
			sold[n] = trade.TradeNo
		}
	}
	return sold, nil
}

// Bench measures trades settled per second, all verdicts included, at batches of 1, 64 and 512. Users
// differ within a batch, the merchant is one: the hottest account there can be. beside, which may be nil,
// runs next to each batch for comparison.
func Bench(b *testing.B, store payment.Store, beside func(b *testing.B, batch int)) {
	const users = 50_000
	if err := furnish(b.Context(), store, users, 1000*plenty); err != nil {
		b.Fatal(err)
	}
	byBucket := make([][]int, store.Buckets())
	for n := range users {
		bucket := bucketOf(store, n)
		byBucket[bucket] = append(byBucket[bucket], n)
	}
	next := 0
	for _, batch := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("batch=%d/store", batch), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer() // what verified trades are made of is no work of a store
				next += batch
				orders := benchBatch(byBucket, next, batch)
				b.StartTimer()
				settleBench(b, store, orders)
			}
			b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "trades/s")
		})
		if beside != nil {
			b.Run(fmt.Sprintf("batch=%d/beside", batch), func(b *testing.B) { beside(b, batch) })
		}
	}
	auditClean(b, store)
}

// benchBatch is a batch of one bucket, of the next one at the next call.
func benchBatch(byBucket [][]int, from, count int) payment.Batch {
	bucket := from / count % len(byBucket)
	users := byBucket[bucket]
	batch := payment.Batch{Bucket: bucket, Day: today, Now: noon()}
	for i := range count {
		batch.Orders = append(batch.Orders, sale(from+i, userID(users[(from+i)*7919%len(users)])))
	}
	return batch
}

func settleBench(b *testing.B, store payment.Store, batch payment.Batch) {
	verdicts, err := store.Settle(b.Context(), batch)
	if err != nil {
		b.Fatal(err)
	}
	for _, v := range verdicts {
		if v.Answer != payment.Paid {
			b.Fatalf("%+v", v)
		}
	}
}
