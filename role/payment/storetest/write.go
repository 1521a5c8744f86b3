package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

var errDecide = errors.New("decided against it")

// unchanged runs do and sees that the books are afterwards as they were before.
func unchanged(t *testing.T, store payment.Store, do func()) {
	t.Helper()
	before := auditClean(t, store)
	do()
	if after := auditClean(t, store); !reflect.DeepEqual(before, after) {
		t.Errorf("the books were\n%+v\nand are\n%+v", before, after)
	}
}

func testDecideError(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1)
	s := newSale(1, userID(0))
	unchanged(t, store, func() {
		err := store.Update(t.Context(), needOf([]sale{s}), func(state payment.State) (payment.Changes, error) {
			changes, _ := decideSales([]sale{s}, new([]payment.OutTradeNo))(state)
			return changes, errDecide
		})
		if !errors.Is(err, errDecide) {
			t.Errorf("the error of decide came back as %v", err)
		}
	})
	if settled, err := settle(t.Context(), store, s); err != nil || len(settled) != 1 {
		t.Errorf("after it: %v, %v", settled, err)
	}
	auditClean(t, store)
}

func testDecidePanic(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1)
	s := newSale(1, userID(0))
	unchanged(t, store, func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic of decide was swallowed")
			}
		}()
		_ = store.Update(t.Context(), needOf([]sale{s}), func(payment.State) (payment.Changes, error) { panic(errDecide) })
	})
	if settled, err := settle(t.Context(), store, s); err != nil || len(settled) != 1 {
		t.Errorf("after it: %v, %v", settled, err)
	}
}

// wrongDecision spoils changes that would have been right: a new sale, a new account, and a top-up.
type wrongDecision struct {
	name  string
	spoil func(*payment.Changes)
}

// wrongDecisions would each lose or double money, were they stored. old is a sale that was settled.
func wrongDecisions(old sale) []wrongDecision {
	return []wrongDecision{
		{"a code that has paid", func(c *payment.Changes) { c.Trades[0].Codes = []ridecode.ID{codeID(50), old.codes[0]} }},
		{"a code twice in a trade", func(c *payment.Changes) { c.Trades[0].Codes = []ridecode.ID{codeID(50), codeID(50)} }},
		{"a code in two trades", func(c *payment.Changes) { c.Trades[1].Codes = c.Trades[0].Codes }},
		{"a trade without a code", func(c *payment.Changes) { c.Trades[0].Codes = nil }},
		{"a trade that is settled", func(c *payment.Changes) {
			c.Trades[1].Key, c.Trades[1].Content.OutTradeNo = old.key(), old.number
			c.Trades[1].Digest = c.Trades[1].Content.Digest()
		}},
		{"a trade twice", func(c *payment.Changes) { c.Trades = append(c.Trades, c.Trades[0]) }},
		{"a trade number that is given", func(c *payment.Changes) { c.Trades[1].TradeNo = old.no }},
		{"a trade under another key", func(c *payment.Changes) { c.Trades[1].Key.OutTradeNo = "other" }},
		{"a trade of nothing", func(c *payment.Changes) { c.Trades[1].Content.AmountFen = 0 }},
		{"a payer who is nobody", func(c *payment.Changes) { c.Trades[1].Payer = "" }},
		{"a transfer that is applied", func(c *payment.Changes) { rename(&c.Entries[1], ledger.TransferID("ride:"+old.no)) }},
		{"a transfer twice", func(c *payment.Changes) { rename(&c.Entries[1], c.Entries[0].Transfer.ID) }},
		{"an entry left out", func(c *payment.Changes) { c.Entries = c.Entries[1:] }},
		{"an entry twice", func(c *payment.Changes) { c.Entries = append(c.Entries, c.Entries[0]) }},
		{"entries in another order", func(c *payment.Changes) { c.Entries[0], c.Entries[1] = c.Entries[1], c.Entries[0] }},
		{"a balance that does not follow", func(c *payment.Changes) { c.Entries[1].Credit.Balance++ }},
		{"a posting number left out", func(c *payment.Changes) { c.Entries[1].Credit.Number++ }},
		{"a posting of another amount", func(c *payment.Changes) { c.Entries[1].Credit.AmountFen++ }},
		{"a posting of another account", func(c *payment.Changes) { c.Entries[1].Credit.Account = fund }},
		{"a posting of another transfer", func(c *payment.Changes) { c.Entries[1].Debit.Transfer = "another" }},
		{"an amount that grew", func(c *payment.Changes) { c.Entries[1].Transfer.AmountFen++ }},
		{"an account below its floor", func(c *payment.Changes) { overdraw(&c.Entries[1]) }},
		{"an account that was not read", func(c *payment.Changes) {
			c.Entries[1].Transfer.Debit, c.Entries[1].Debit.Account = "user:unread", "user:unread"
		}},
		{"a code of why that is none", func(c *payment.Changes) { c.Entries[1].Transfer.Code = 0 }},
		{"an account that exists", func(c *payment.Changes) { c.Opened[0].ID = merchant }},
		{"an account twice", func(c *payment.Changes) { c.Opened = append(c.Opened, c.Opened[0]) }},
		{"an account opened with money", func(c *payment.Changes) { c.Opened[0].Balance = 1 }},
		{"an account opened with postings", func(c *payment.Changes) { c.Opened[0].Postings = 1 }},
		{"a top-up that is done", func(c *payment.Changes) { c.TopUps[0].ID = "first-0" }},
		{"a top-up twice", func(c *payment.Changes) { c.TopUps = append(c.TopUps, c.TopUps[0]) }},
		{"a top-up of nothing", func(c *payment.Changes) { c.TopUps[0].AmountFen = 0 }},
		{"a top-up of an account that was not read", func(c *payment.Changes) { c.TopUps[0].Account = "user:unread" }},
	}
}

func rename(entry *ledger.Entry, id ledger.TransferID) {
	entry.Transfer.ID, entry.Debit.Transfer, entry.Credit.Transfer = id, id, id
}

// overdraw takes more than there is, in an entry that is otherwise right.
func overdraw(entry *ledger.Entry) {
	const more = 2 * plenty
	entry.Transfer.AmountFen += more
	entry.Debit.AmountFen, entry.Debit.Balance = entry.Debit.AmountFen-more, entry.Debit.Balance-more
	entry.Credit.AmountFen, entry.Credit.Balance = entry.Credit.AmountFen+more, entry.Credit.Balance+more
}

func testWrongDecisions(t *testing.T, open Open) {
	store, _ := furnished(t, open, 2)
	old := newSale(1, userID(0))
	if _, err := settle(t.Context(), store, old); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range wrongDecisions(old) {
		t.Run(wrong.name, func(t *testing.T) {
			unchanged(t, store, func() {
				if err := decideWrong(t.Context(), store, wrong.spoil); err == nil {
					t.Error("it was stored")
				}
			})
		})
	}
	if err := decideWrong(t.Context(), store, func(*payment.Changes) {}); err != nil {
		t.Errorf("the decision itself, unspoiled: %v", err)
	}
	auditClean(t, store)
}

// decideWrong decides on two new sales, an account and a top-up, and spoils the decision. What is
// spoiled stands late in it, so that a store has written a part when it finds out.
func decideWrong(ctx context.Context, store payment.Store, spoil func(*payment.Changes)) error {
	sales := []sale{newSale(100, userID(0)), newSale(101, userID(1))}
	order := topUpOf("another", payment.UserAccount(userID(0)), 5)
	need := needOf(sales)
	need.Accounts, need.TopUps = append(need.Accounts, house, "user:new"), []payment.TopUpID{order.ID}
	return store.Update(ctx, need, func(state payment.State) (payment.Changes, error) {
		changes, err := decideSales(sales, new([]payment.OutTradeNo))(state)
		if err != nil {
			return changes, err
		}
		book := bookOf(state)
		for _, entry := range changes.Entries {
			if err := book.Apply(entry.Transfer); err != nil {
				return changes, err
			}
		}
		if err := book.Apply(topUpTransfer(order)); err != nil {
			return changes, err
		}
		changes.Entries = append([]ledger.Entry{}, book.Entries()...)
		changes.Opened, changes.TopUps = []ledger.Account{{ID: "user:new"}}, []payment.TopUp{order}
		spoil(&changes)
		return changes, nil
	})
}

// A decision on what was read long ago must not reach the books, whatever it ignores.
func testStaleDecision(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1)
	first, second := newSale(1, userID(0)), newSale(2, userID(0))
	stale := view(t, store, needOf([]sale{second}))
	if _, err := settle(t.Context(), store, first); err != nil {
		t.Fatal(err)
	}
	unchanged(t, store, func() {
		err := store.Update(t.Context(), needOf([]sale{second}), func(payment.State) (payment.Changes, error) {
			return decideSales([]sale{second}, new([]payment.OutTradeNo))(stale)
		})
		if err == nil {
			t.Error("a stale decision was stored")
		}
	})
}

func testDurable(t *testing.T, open Open) {
	store, reopen := furnished(t, open, 4)
	var want payment.AuditReport
	for n := range 20 {
		if _, err := settle(t.Context(), store, newSale(n, userID(n%4))); err != nil {
			t.Fatal(err)
		}
		if n%5 != 4 {
			continue
		}
		want = auditClean(t, store)
		store = reopen()
		if got := auditClean(t, store); !reflect.DeepEqual(got, want) {
			t.Fatalf("the books were\n%+v\nand are\n%+v", want, got)
		}
	}
	for n := range 20 {
		s := newSale(n, userID(n%4))
		sameTrade(t, view(t, store, needOf([]sale{s})), s.trade(payment.PaidByUser))
	}
}

func testContextEnded(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	unchanged(t, store, func() {
		if _, err := settle(ctx, store, newSale(1, userID(0))); !errors.Is(err, context.Canceled) {
			t.Errorf("update: %v", err)
		}
		if _, err := store.View(ctx, payment.Need{Accounts: []ledger.AccountID{merchant}}); !errors.Is(err, context.Canceled) {
			t.Errorf("view: %v", err)
		}
		if _, err := store.Audit(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("audit: %v", err)
		}
	})
}

// Whoever waits behind another can give up, and the other is not disturbed.
func testContextEndsWhileWaiting(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1)
	deciding, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	first := newSale(1, userID(0))
	go func() {
		done <- store.Update(context.Background(), needOf([]sale{first}), func(state payment.State) (payment.Changes, error) {
			close(deciding)
			<-goOn
			return decideSales([]sale{first}, new([]payment.OutTradeNo))(state)
		})
	}()
	<-deciding
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := settle(ctx, store, newSale(2, userID(0))); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the one who waits: %v", err)
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Errorf("the one who writes: %v", err)
	}
	if got := view(t, store, payment.Need{Accounts: []ledger.AccountID{merchant}}).Accounts[merchant].Balance; got != fare {
		t.Errorf("the merchant has %d fen, want %d", got, fare)
	}
	auditClean(t, store)
}

// A context that ends in the middle leaves all or nothing; when the answer is nil, all.
func testContextEndsInDecide(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1)
	var stored money.Fen
	for n := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		s := newSale(n, userID(0))
		err := store.Update(ctx, needOf([]sale{s}), func(state payment.State) (payment.Changes, error) {
			cancel()
			return decideSales([]sale{s}, new([]payment.OutTradeNo))(state)
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		_, there := view(t, store, needOf([]sale{s})).Trades[s.key()]
		if err == nil && !there {
			t.Error("acknowledged, and not stored")
		}
		if there {
			stored += fare
		}
	}
	if got := view(t, store, payment.Need{Accounts: []ledger.AccountID{merchant}}).Accounts[merchant].Balance; got != stored {
		t.Errorf("the merchant has %d fen, and the trades stored sum to %d", got, stored)
	}
	auditClean(t, store)
}
