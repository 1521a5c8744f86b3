package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/payment"
)

const (
	writersCount = 8
	roundsCount  = 40
)

// atOnce runs work in several goroutines and reports their errors.
func atOnce(t *testing.T, work func(worker int) error) {
	t.Helper()
	var wait sync.WaitGroup
	for worker := range writersCount {
		wait.Go(func() {
			if err := work(worker); err != nil {
				t.Errorf("worker %d: %v", worker, err)
			}
		})
	}
	wait.Wait()
}

// Everybody sends the same orders: each is settled once, and everybody is told the same trade number.
func testOneOfMany(t *testing.T, open Open) {
	const orders = 30
	store, _ := furnished(t, open, 3, plenty)
	var paid atomic.Int64
	var mutex sync.Mutex
	numbers := map[int]payment.TradeNo{}
	atOnce(t, func(worker int) error {
		for round := range orders {
			n := (round + worker*7) % orders
			verdicts, err := settle(t.Context(), store, sale(n, userID(n%3)))
			if err != nil {
				return err
			}
			if verdicts[0].Answer == payment.Paid {
				paid.Add(1)
			}
			mutex.Lock()
			if told, known := numbers[n]; known && told != verdicts[0].TradeNo || verdicts[0].TradeNo == "" {
				t.Errorf("order %d: %+v, and %s was told before", n, verdicts[0], told)
			}
			numbers[n] = verdicts[0].TradeNo
			mutex.Unlock()
		}
		return nil
	})
	if paid.Load() != orders || balance(t, store, merchant) != orders*fare {
		t.Errorf("%d paid, %d fen", paid.Load(), balance(t, store, merchant))
	}
	if report := auditClean(t, store); report.Trades != orders {
		t.Errorf("%d trades", report.Trades)
	}
}

// Everybody has an order of his own with one and the same code: one is settled.
func testOneCodeOfMany(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1, plenty)
	for round := range 10 {
		var paid, used atomic.Int64
		atOnce(t, func(worker int) error {
			verdicts, err := settle(t.Context(), store, orderOf(tradeOf(1000*round+worker, userID(0)), round))
			if err != nil {
				return err
			}
			switch verdicts[0].Answer {
			case payment.Paid:
				paid.Add(1)
			case payment.CodeUsed:
				used.Add(1)
			}
			return nil
		})
		if paid.Load() != 1 || used.Load() != writersCount-1 {
			t.Errorf("%d paid, %d told that it is used", paid.Load(), used.Load())
		}
	}
	auditClean(t, store)
}

func testNoLostUpdate(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1, plenty)
	user, bucket := payment.UserAccount(userID(0)), bucketOf(store, 0)
	atOnce(t, func(worker int) error {
		for round := range roundsCount {
			if err := post(t.Context(), store, bucket, fmt.Sprintf("%d-%d", worker, round), move{codePlain, user, merchant, 1}); err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
		}
		return nil
	})
	const moves = writersCount * roundsCount
	want := ledger.Account{ID: merchant, Balance: moves, Postings: moves}
	if got := view(t, store, payment.Need{Bucket: bucket, Accounts: []ledger.AccountID{merchant}}).Accounts[merchant]; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	auditClean(t, store)
}

// Batches and updates of the same accounts at once: money goes round among few users who have too little,
// nobody falls below the floor, and nothing is lost.
func testUpdatesAndBatches(t *testing.T, open Open) {
	const users = 5
	store, reopen := furnished(t, open, users, 500)
	var paid atomic.Int64
	atOnce(t, func(worker int) error {
		random := rand.New(rand.NewPCG(1, uint64(worker)))
		for round := range roundsCount {
			n := random.IntN(users)
			if worker%2 == 0 {
				if err := giveBack(t.Context(), store, n, fmt.Sprintf("%d-%d", worker, round)); err != nil {
					return err
				}
				continue
			}
			verdicts, err := settle(t.Context(), store, sale(1000*worker+round, userID(n)))
			if err != nil {
				return err
			}
			if verdicts[0].Answer == payment.Paid {
				paid.Add(1)
			}
		}
		return nil
	})
	store = reopen()
	if report := auditClean(t, store); int64(report.Trades) != paid.Load() || paid.Load() == 0 {
		t.Errorf("%d trades, %d paid", report.Trades, paid.Load())
	}
}

// giveBack lets the merchant give a user some of what it has, if it has some.
func giveBack(ctx context.Context, store payment.Store, n int, key string) error {
	user := payment.UserAccount(userID(n))
	need := payment.Need{Bucket: bucketOf(store, n), Accounts: []ledger.AccountID{merchant, user}}
	return store.Update(ctx, need, func(state payment.State) (payment.Changes, error) {
		amount := min(state.Accounts[merchant].Balance, money.Fen(150))
		if amount == 0 {
			return payment.Changes{}, nil
		}
		return posting(key, move{codePlain, merchant, user, amount})(state)
	})
}

// A view sees one moment: what two users have together does not change, whoever has it.
func testViewIsSnapshot(t *testing.T, open Open) {
	store, _ := furnished(t, open, 40, plenty)
	first := payment.UserAccount(userID(0))
	var second ledger.AccountID
	for n := 1; n < 40 && second == ""; n++ {
		if bucketOf(store, n) == bucketOf(store, 0) {
			second = payment.UserAccount(userID(n))
		}
	}
	need := payment.Need{Bucket: bucketOf(store, 0), Accounts: []ledger.AccountID{first, second}}
	done := make(chan error, 1)
	go func() {
		for round := range roundsCount {
			from, to := first, second
			if round%2 == 1 {
				from, to = to, from
			}
			if err := post(t.Context(), store, need.Bucket, fmt.Sprint(round), move{codePlain, from, to, money.Fen(round + 1)}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for running := true; running; {
		select {
		case err := <-done:
			if running = false; err != nil {
				t.Fatal(err)
			}
		default:
		}
		state := view(t, store, need)
		if sum := state.Accounts[first].Balance + state.Accounts[second].Balance; sum != 2*plenty {
			t.Fatalf("together they have %d", sum)
		}
	}
	auditClean(t, store)
}
