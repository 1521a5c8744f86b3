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
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

const (
	writersCount = 8
	roundsCount  = 40
)

// codePlain is of transfers that belong to no trade and no top-up.
const codePlain ledger.Code = 60_000

// move takes money from one account to another, if it is there.
func move(ctx context.Context, store payment.Store, id string, debit, credit ledger.AccountID, amount money.Fen) (moved bool, err error) {
	need := payment.Need{Accounts: []ledger.AccountID{debit, credit}}
	err = store.Update(ctx, need, func(state payment.State) (payment.Changes, error) {
		book := bookOf(state)
		moved = book.Apply(ledger.Transfer{ID: ledger.TransferID(id), Debit: debit, Credit: credit,
			AmountFen: amount, Code: codePlain, At: noon()}) == nil
		return payment.Changes{Entries: book.Entries()}, nil
	})
	return moved, err
}

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

func testNoLostUpdate(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1)
	user := payment.UserAccount(userID(0))
	atOnce(t, func(worker int) error {
		for round := range roundsCount {
			if moved, err := move(t.Context(), store, fmt.Sprintf("%d-%d", worker, round), user, merchant, 1); err != nil || !moved {
				return fmt.Errorf("round %d: moved %v, %w", round, moved, err)
			}
		}
		return nil
	})
	const moves = writersCount * roundsCount
	want := ledger.Account{ID: merchant, Balance: moves, Postings: moves}
	if got := view(t, store, payment.Need{Accounts: []ledger.AccountID{merchant}}).Accounts[merchant]; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	auditClean(t, store)
}

// Money goes round among few accounts, more than they have: many transfers are refused, none is lost,
// and nobody falls below the floor.
func testConcurrentTransfers(t *testing.T, open Open) {
	const users = 5
	store, reopen := furnished(t, open, users)
	var moves atomic.Int64
	atOnce(t, func(worker int) error {
		random := rand.New(rand.NewPCG(1, uint64(worker)))
		for round := range roundsCount {
			from := random.IntN(users)
			to := (from + 1 + random.IntN(users-1)) % users
			moved, err := move(t.Context(), store, fmt.Sprintf("%d-%d", worker, round), payment.UserAccount(userID(from)),
				payment.UserAccount(userID(to)), 1+money.Fen(random.Int64N(int64(plenty))))
			if err != nil {
				return err
			}
			if moved {
				moves.Add(1)
			}
		}
		return nil
	})
	for range 2 {
		report := auditClean(t, store)
		if want := 1 + users + int(moves.Load()); report.Transfers != want {
			t.Errorf("%d transfers, and %d were acknowledged", report.Transfers, want)
		}
		if got := sumOf(report.Balances, "user:"); got != users*plenty {
			t.Errorf("the users have %d fen, want %d", got, users*plenty)
		}
		store = reopen()
	}
}

func sumOf(accounts []ledger.Account, prefix string) (sum money.Fen) {
	for _, account := range accounts {
		if len(account.ID) >= len(prefix) && string(account.ID[:len(prefix)]) == prefix {
			sum += account.Balance
		}
	}
	return sum
}

// One request that comes many times at once moves money once.
func testOneOfMany(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1)
	var count atomic.Int64
	atOnce(t, func(int) error {
		for n := range roundsCount / 4 {
			settled, err := settle(t.Context(), store, newSale(n, userID(0)))
			if err != nil {
				return err
			}
			count.Add(int64(len(settled)))
		}
		return nil
	})
	if count.Load() != roundsCount/4 {
		t.Errorf("%d settled, want %d", count.Load(), roundsCount/4)
	}
	if report := auditClean(t, store); report.Trades != roundsCount/4 || report.Codes != roundsCount/4 {
		t.Errorf("%d trades, %d codes", report.Trades, report.Codes)
	}
}

// One code under many trades at once pays for one of them.
func testOneCodeOfMany(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1)
	var count atomic.Int64
	atOnce(t, func(worker int) error {
		for n := range roundsCount / 4 {
			s := newSale(1000*worker+n, userID(0))
			s.codes = []ridecode.ID{codeID(1000*worker + n), codeID(-1 - n)}
			settled, err := settle(t.Context(), store, s)
			if err != nil {
				return err
			}
			count.Add(int64(len(settled)))
		}
		return nil
	})
	if count.Load() != roundsCount/4 {
		t.Errorf("%d settled, want %d", count.Load(), roundsCount/4)
	}
	auditClean(t, store)
}

// whileMoving has one goroutine move money between two users for as long as look runs.
func whileMoving(t *testing.T, store payment.Store, a, b ledger.AccountID, look func()) {
	t.Helper()
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := move(context.Background(), store, fmt.Sprintf("move-%d", n), a, b, 1); err != nil {
				t.Errorf("move: %v", err)
				return
			}
			a, b = b, a
		}
	})
	look()
	close(stop)
	wait.Wait()
}

func testViewIsSnapshot(t *testing.T, open Open) {
	store, _ := furnished(t, open, 2)
	a, b := payment.UserAccount(userID(0)), payment.UserAccount(userID(1))
	need := payment.Need{Accounts: []ledger.AccountID{a}}
	for n := range 200 { // something to read between the two
		need.Accounts = append(need.Accounts, ledger.AccountID(fmt.Sprintf("user:none-%d", n)))
	}
	need.Accounts = append(need.Accounts, b)
	whileMoving(t, store, a, b, func() {
		for range 5 * roundsCount {
			accounts := view(t, store, need).Accounts
			if accounts[a].Balance+accounts[b].Balance != 2*plenty || accounts[a].Postings != accounts[b].Postings {
				t.Fatalf("two moments in one view: %+v and %+v", accounts[a], accounts[b])
			}
		}
	})
	auditClean(t, store)
}

func testAuditIsSnapshot(t *testing.T, open Open) {
	store, _ := furnished(t, open, 2)
	whileMoving(t, store, payment.UserAccount(userID(0)), payment.UserAccount(userID(1)), func() {
		for range roundsCount / 2 {
			auditClean(t, store)
		}
	})
}
