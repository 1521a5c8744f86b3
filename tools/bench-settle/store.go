package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

const (
	usersCount = 200_000
	fareFen    = money.Fen(200)
	recordSize = 440 // of a ride code, a terminal's words and its signature
	app        = payment.AppID("2021000000000001")
	payee      = ledger.AccountID("merchant:metro")
	creditLine = money.Fen(1_000_000_000) // nobody runs dry while it is measured
	benchDay   = ledger.Day(2026_08_06)

	// codesASecond is how many codes are shown in a second of a country's morning: they are named by it first.
	codesASecond = 20_000
)

func benchNow() time.Time { return time.Date(2026, 8, 6, 4, 0, 0, 0, time.UTC) }

// crowd is the users of books, by bucket.
type crowd [][]ridecode.UserID

// furnish opens the institution's accounts, a merchant's, and those of all users.
func furnish(ctx context.Context, store payment.Store) (crowd, error) {
	users := make(crowd, store.Buckets())
	for n := range usersCount {
		user := ridecode.UserID(fmt.Sprintf("2088%012d", n*7919%usersCount))
		bucket := payment.BucketOf(user, store.Buckets())
		users[bucket] = append(users[bucket], user)
	}
	for bucket := range users {
		accounts := []ledger.Account{{ID: payment.OutsideAccount, Unbounded: true}, {ID: payment.GuaranteeAccount}, {ID: payment.ClaimsAccount},
			{ID: payment.TransitAccount, Unbounded: true}, {ID: payee}}
		for _, user := range users[bucket] {
			accounts = append(accounts, ledger.Account{ID: payment.UserAccount(user), Floor: -creditLine})
		}
		err := store.Update(ctx, payment.Need{Bucket: bucket}, func(payment.State) (payment.Changes, error) {
			return payment.Changes{Opened: accounts}, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return users, nil
}

// orders makes orders that nobody has made before. They have the size of real ones, and their numbers and
// codes are spread like the hashes that real ones are.
type orders struct{ next atomic.Int64 }

func (o *orders) one(user ridecode.UserID) payment.Order {
	n := o.next.Add(1)
	code := ridecode.ID(sha256.Sum256(binary.BigEndian.AppendUint64([]byte("bench"), uint64(n))))
	binary.BigEndian.PutUint32(code[:], uint32(benchNow().Unix()+n/codesASecond))
	trade := payment.Trade{OutTradeNo: payment.OutTradeNo(fmt.Sprintf("LINE2_POS%02d_%x", n%40, code[:8])), UserID: user, OrderTime: benchNow().Add(-time.Hour),
		Subject: "地铁 2 号线", AmountFen: fareFen, BizContext: `{"line":"2"}`, CardType: "ANT00001", Records: [][]byte{recordOf(code)}}
	content := trade.Append(nil)
	return payment.Order{Key: payment.TradeKey{App: app, OutTradeNo: trade.OutTradeNo}, User: user, Merchant: payee, AmountFen: fareFen,
		Codes: []ridecode.ID{code}, Deadline: benchNow().Add(time.Hour), Content: content, Digest: sha256.Sum256(content)}
}

// batch is orders of one bucket.
func (o *orders) batch(bucket int, users []ridecode.UserID, size int) payment.Batch {
	batch := payment.Batch{Bucket: bucket, Day: benchDay, Now: benchNow()}
	first := int(o.next.Load()) * 31
	for i := range size {
		batch.Orders = append(batch.Orders, o.one(users[(first+i)%len(users)]))
	}
	return batch
}

// recordOf does not compress, like signatures.
func recordOf(seed ridecode.ID) []byte {
	out := make([]byte, 0, recordSize+sha256.Size)
	for len(out) < recordSize {
		seed = sha256.Sum256(seed[:])
		out = append(out, seed[:]...)
	}
	return out[:recordSize]
}

// storeRate is how many trades a second a store settles, all verdicts, constraints and triggers on.
func storeRate(ctx context.Context, store payment.Store, users crowd, made *orders, writers, batchSize int, lasts time.Duration) (figure, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var settled, turn atomic.Int64
	var wait sync.WaitGroup
	began := time.Now()
	for range writers {
		wait.Go(func() {
			for time.Since(began) < lasts && ctx.Err() == nil {
				bucket := int(turn.Add(1)) % len(users)
				verdicts, err := store.Settle(ctx, made.batch(bucket, users[bucket], batchSize))
				if err == nil {
					err = allPaid(verdicts)
				}
				if err != nil {
					cancel(err)
					return
				}
				settled.Add(int64(batchSize))
			}
		})
	}
	wait.Wait()
	return figure{rate: float64(settled.Load()) / time.Since(began).Seconds()}, context.Cause(ctx)
}

// callersRate is storeRate for callers of whom each has one trade, and waits for it.
func callersRate(ctx context.Context, store payment.Store, users crowd, made *orders, callers int, lasts time.Duration) (figure, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	group := payment.NewCommitters(store)
	waits := make([][]time.Duration, callers)
	var wait sync.WaitGroup
	began := time.Now()
	for caller := range callers {
		wait.Go(func() {
			for n := caller; time.Since(began) < lasts && ctx.Err() == nil; n += 7919 {
				bucket := n % len(users)
				order := made.one(users[bucket][n%len(users[bucket])])
				asked := time.Now()
				verdicts, err := group.Commit(ctx, []payment.Order{order}, benchDay, benchNow())
				if err == nil {
					err = allPaid(verdicts)
				}
				if err != nil {
					cancel(err)
					return
				}
				waits[caller] = append(waits[caller], time.Since(asked))
			}
		})
	}
	wait.Wait()
	all := slices.Concat(waits...)
	slices.Sort(all)
	return figure{rate: float64(len(all)) / time.Since(began).Seconds(), slow: all[len(all)*99/100]}, context.Cause(ctx)
}

func allPaid(verdicts []payment.Verdict) error {
	for _, v := range verdicts {
		if v.Answer != payment.Paid {
			return fmt.Errorf("a verdict %+v in a measurement", v)
		}
	}
	return nil
}
