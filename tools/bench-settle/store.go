package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
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

// Trades a second that are made ahead, more than comes of it: who sells them has that work elsewhere.
const (
	batchesAhead = 70_000 / batchMost
	ordersAhead  = 60_000
)

// batches makes what storeRate settles.
func (o *orders) batches(users crowd, lasts time.Duration) []payment.Batch {
	made := make([]payment.Batch, int(batchesAhead*lasts.Seconds()))
	onAllCores(len(made), func(i int) {
		bucket := i % len(users)
		made[i] = o.batch(bucket, users[bucket], batchMost)
	})
	return made
}

// singles makes what callersRate settles.
func (o *orders) singles(users crowd, lasts time.Duration) []payment.Order {
	made := make([]payment.Order, int(ordersAhead*lasts.Seconds()))
	onAllCores(len(made), func(i int) {
		bucket := i % len(users)
		made[i] = o.one(users[bucket][i*7919%len(users[bucket])])
	})
	return made
}

func onAllCores(count int, do func(i int)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wait.Wait()
}

var errUsedUp = errors.New("all that was made ahead is used up: too little for this machine")

// storeRate is how many trades a second a store settles, all verdicts, constraints and triggers on.
func storeRate(ctx context.Context, store payment.Store, ahead []payment.Batch, writers int, lasts time.Duration) (figure, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var settled, turn atomic.Int64
	var wait sync.WaitGroup
	began := time.Now()
	for range writers {
		wait.Go(func() {
			for time.Since(began) < lasts && ctx.Err() == nil {
				i := int(turn.Add(1)) - 1
				if i >= len(ahead) {
					cancel(errUsedUp)
					return
				}
				verdicts, err := store.Settle(ctx, ahead[i])
				if err == nil {
					err = allPaid(verdicts)
				}
				if err != nil {
					cancel(err)
					return
				}
				settled.Add(int64(len(verdicts)))
			}
		})
	}
	wait.Wait()
	return figure{rate: float64(settled.Load()) / time.Since(began).Seconds()}, context.Cause(ctx)
}

// callersRate is storeRate for callers of whom each has one trade, and waits for it.
func callersRate(ctx context.Context, store payment.Store, ahead []payment.Order, callers int, lasts time.Duration) (figure, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	group := payment.NewCommitters(store)
	waits := make([][]time.Duration, callers)
	var turn atomic.Int64
	var wait sync.WaitGroup
	began := time.Now()
	for caller := range callers {
		wait.Go(func() {
			for time.Since(began) < lasts && ctx.Err() == nil {
				i := int(turn.Add(1)) - 1
				if i >= len(ahead) {
					cancel(errUsedUp)
					return
				}
				asked := time.Now()
				verdicts, err := group.Commit(ctx, ahead[i:i+1], benchDay, benchNow())
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
