// Package storetest holds a codeissuer.CardStore (虚拟卡登记簿) to its word: one suite for every implementation.
//
// It knows nothing of any database. Where a test needs a decision that is wrong, it makes one, and expects
// the store to refuse it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
)

// Open makes an empty store that lives as long as t. reopen ends it, as far as that can be done in one
// process, and opens the same one again; store must not be used after it.
type Open = func(t *testing.T) (store codeissuer.CardStore, reopen func() codeissuer.CardStore)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"Nothing", testNothing},
		{"RoundTrip", testRoundTrip},
		{"ZeroValues", testZeroValues},
		{"KeysAreExact", testKeysAreExact},
		{"Queries", testQueries},
		{"DecideError", testDecideError},
		{"DecidePanic", testDecidePanic},
		{"Unchanged", testUnchanged},
		{"WrongDecisions", testWrongDecisions},
		{"NoLostChange", testNoLostChange},
		{"OneIssues", testOneIssues},
		{"ContextEnded", testContextEnded},
		{"AgainstModel", testAgainstModel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

var start = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

var errDecide = errors.New("decided against it")

// sample is a card with something in every field.
func sample(no int) codeissuer.Card {
	balance := money.Fen(-150)
	return codeissuer.Card{Key: codeissuer.CardKey{Type: "GJ310000", No: ridecode.CardNo(fmt.Sprintf("card%d", no))}, App: "app1",
		User: ridecode.UserID(fmt.Sprintf("2088%012d", no)), OpenID: "open 𠮷", Data: []byte{0, 0xff, 1}, BalanceFen: &balance,
		Disabled: true, DisabledCode: "CARD_OVERDUE", DisabledTips: "余额不足，\n请先去充值", Scene: "PCREDIT",
		ExtInfo: `{"city_code":"310000"}`, SubAction: "VERIFY", LastUpdate: start, Received: start.Add(1500 * time.Millisecond)}
}

// put stores a card as it is.
func put(t testing.TB, store codeissuer.CardStore, card codeissuer.Card) {
	t.Helper()
	err := store.Change(t.Context(), card.Key, func(codeissuer.Card, bool) (codeissuer.Card, bool, error) { return card, true, nil })
	if err != nil {
		t.Fatal(err)
	}
}

// get reads a card through Change, which decides against everything.
func get(t testing.TB, store codeissuer.CardStore, key codeissuer.CardKey) (found codeissuer.Card, exists bool) {
	t.Helper()
	err := store.Change(t.Context(), key, func(card codeissuer.Card, is bool) (codeissuer.Card, bool, error) {
		found, exists = card, is
		return card, false, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, exists
}

func find(t testing.TB, store codeissuer.CardStore, query codeissuer.CardQuery) []codeissuer.Card {
	t.Helper()
	if query.Limit == 0 {
		query.Limit = 1000
	}
	cards, err := store.Find(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	return cards
}

func testNothing(t *testing.T, open Open) {
	store, _ := open(t)
	if card, exists := get(t, store, codeissuer.CardKey{Type: "GJ310000", No: "1"}); exists || !reflect.DeepEqual(card, codeissuer.Card{}) {
		t.Errorf("%+v", card)
	}
	if cards := find(t, store, codeissuer.CardQuery{App: "app1", User: "2088"}); len(cards) != 0 {
		t.Errorf("%+v", cards)
	}
}

// What was kept comes back, in both ways of reading, also from another process.
func testRoundTrip(t *testing.T, open Open) {
	store, reopen := open(t)
	want := sample(1)
	put(t, store, want)
	for range 2 {
		got, exists := get(t, store, want.Key)
		if !exists || !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if cards := find(t, store, codeissuer.CardQuery{App: "app1", No: want.Key.No}); len(cards) != 1 || !reflect.DeepEqual(cards[0], want) {
			t.Errorf("found %+v", cards)
		}
		store = reopen()
	}
}

func testZeroValues(t *testing.T, open Open) {
	store, _ := open(t)
	want := codeissuer.Card{Key: codeissuer.CardKey{Type: "GJ310000", No: "1"}, App: "app1", User: "u", LastUpdate: start, Received: start}
	put(t, store, want)
	if got, _ := get(t, store, want.Key); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	zero := money.Fen(0)
	want.BalanceFen, want.Data = &zero, []byte{}
	put(t, store, want)
	got, _ := get(t, store, want.Key)
	if got.BalanceFen == nil || *got.BalanceFen != 0 || len(got.Data) != 0 {
		t.Errorf("a balance of nothing is not no balance: %+v", got)
	}
}

func testKeysAreExact(t *testing.T, open Open) {
	store, _ := open(t)
	put(t, store, sample(1))
	for _, key := range []codeissuer.CardKey{{Type: "gj310000", No: "card1"}, {Type: "GJ310000", No: "CARD1"}, {Type: "GJ310001", No: "card1"},
		{Type: "GJ310000", No: "card1 "}, {Type: "GJ310000", No: "card"}, {Type: "GJ310000", No: "card1\x00"}} {
		if _, exists := get(t, store, key); exists {
			t.Errorf("%q is taken for another", key)
		}
	}
	for _, query := range []codeissuer.CardQuery{{App: "app", No: "card1"}, {App: "APP1", No: "card1"}, {App: "app1", User: "2088%"}, {App: "app1", No: "card\x00"}} {
		if cards := find(t, store, query); len(cards) != 0 {
			t.Errorf("%+v finds %+v", query, cards)
		}
	}
}

func testQueries(t *testing.T, open Open) {
	store, _ := open(t)
	var all []codeissuer.Card
	for i := range 12 {
		card := sample(i)
		card.Key = codeissuer.CardKey{Type: ridecode.CardType([]string{"GJ310000", "GJ320000"}[i%2]), No: ridecode.CardNo(fmt.Sprintf("n%02d", i/2))}
		card.User = ridecode.UserID([]string{"alice", "bob", "carol"}[i%3])
		card.App, card.Revoked, card.Disabled = codeissuer.AppID([]string{"app1", "app2"}[i%2]), i%4 == 3, i%5 == 1
		card.Received = start.Add(time.Duration(i) * time.Minute)
		put(t, store, card)
		all = append(all, card)
	}
	for _, query := range []codeissuer.CardQuery{
		{App: "app1"}, {App: "app2"}, {App: "app2", Revoked: true}, {App: "app1", User: "alice"}, {App: "app1", User: "alice", Type: "GJ320000"},
		{App: "app1", No: "n02"}, {App: "app2", No: "n02"}, {App: "app2", No: "n01", Revoked: true}, {App: "app1", Type: "GJ310000", No: "n01", User: "carol"},
		{App: "app2", Revoked: true, Limit: 2}, {App: "app3"}, {App: "app2", Revoked: true, Stopped: true}, {App: "app1", Stopped: true},
		{App: "app2", Revoked: true, Stopped: true, Since: start.Add(7 * time.Minute)},
	} {
		if got, want := find(t, store, query), expected(all, query); len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: got %d cards %+v, want %d", query, len(got), got, len(want))
		}
	}
}

// expected asks the same of a list. all is in order of type and number within each type.
func expected(all []codeissuer.Card, query codeissuer.CardQuery) (found []codeissuer.Card) {
	for _, kind := range []ridecode.CardType{"GJ310000", "GJ320000"} {
		for _, card := range all {
			if card.Key.Type == kind && card.App == query.App && (query.User == "" || card.User == query.User) && (query.Type == "" || card.Key.Type == query.Type) &&
				(query.No == "" || card.Key.No == query.No) && (query.Revoked || !card.Revoked) &&
				(!query.Stopped || card.Revoked || card.Disabled) && !card.Received.Before(query.Since) && (query.Limit == 0 || len(found) < query.Limit) {
				found = append(found, card)
			}
		}
	}
	return found
}

func testDecideError(t *testing.T, open Open) {
	store, _ := open(t)
	put(t, store, sample(1))
	for _, card := range []codeissuer.Card{sample(1), sample(2)} {
		card.DisabledTips = "not to be kept"
		err := store.Change(t.Context(), card.Key, func(codeissuer.Card, bool) (codeissuer.Card, bool, error) { return card, true, errDecide })
		if !errors.Is(err, errDecide) {
			t.Errorf("the error of decide came back as %v", err)
		}
	}
	if cards := find(t, store, codeissuer.CardQuery{App: "app1"}); len(cards) != 1 || !reflect.DeepEqual(cards[0], sample(1)) {
		t.Errorf("kept %+v", cards)
	}
}

func testDecidePanic(t *testing.T, open Open) {
	store, _ := open(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic of decide was swallowed")
			}
		}()
		_ = store.Change(t.Context(), sample(1).Key, func(codeissuer.Card, bool) (codeissuer.Card, bool, error) { panic(errDecide) })
	}()
	put(t, store, sample(1))
}

func testUnchanged(t *testing.T, open Open) {
	store, _ := open(t)
	put(t, store, sample(1))
	err := store.Change(t.Context(), sample(1).Key, func(card codeissuer.Card, exists bool) (codeissuer.Card, bool, error) {
		card.DisabledTips = "not to be kept"
		return card, false, nil
	})
	if got, _ := get(t, store, sample(1).Key); err != nil || !reflect.DeepEqual(got, sample(1)) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Each would give a card away or turn it back, were it stored.
func testWrongDecisions(t *testing.T, open Open) {
	store, _ := open(t)
	put(t, store, sample(1))
	for name, spoil := range map[string]func(*codeissuer.Card){
		"another card":    func(c *codeissuer.Card) { c.Key.No = "other" },
		"another app":     func(c *codeissuer.Card) { c.App = "app2" },
		"another user":    func(c *codeissuer.Card) { c.User = "2088000000000099" },
		"an older update": func(c *codeissuer.Card) { c.LastUpdate = c.LastUpdate.Add(-time.Second) },
		"nobody's":        func(c *codeissuer.Card) { c.App = "" },
	} {
		err := store.Change(t.Context(), sample(1).Key, func(card codeissuer.Card, _ bool) (codeissuer.Card, bool, error) {
			spoil(&card)
			return card, true, nil
		})
		if err == nil {
			t.Errorf("%s: kept", name)
		}
		if got, _ := get(t, store, sample(1).Key); !reflect.DeepEqual(got, sample(1)) {
			t.Errorf("%s: the card is now %+v", name, got)
		}
	}
}

// Of many changes of one card at once, none is lost.
func testNoLostChange(t *testing.T, open Open) {
	store, _ := open(t)
	zero := money.Fen(0)
	card := sample(1)
	card.BalanceFen = &zero
	put(t, store, card)
	const writers, rounds = 8, 10
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range rounds {
				err := store.Change(t.Context(), card.Key, func(card codeissuer.Card, _ bool) (codeissuer.Card, bool, error) {
					more := *card.BalanceFen + 1
					card.BalanceFen = &more
					return card, true, nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got, _ := get(t, store, card.Key); *got.BalanceFen != writers*rounds {
		t.Errorf("%d of %d changes are there", *got.BalanceFen, writers*rounds)
	}
}

// Of many who issue one number at once, one does, and the others see the card.
func testOneIssues(t *testing.T, open Open) {
	store, _ := open(t)
	var mutex sync.Mutex
	issued := 0
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			won := false
			err := store.Change(t.Context(), sample(1).Key, func(card codeissuer.Card, exists bool) (codeissuer.Card, bool, error) {
				if won = !exists; exists {
					return card, false, nil
				}
				card = sample(1)
				card.User = ridecode.UserID(fmt.Sprintf("user%d", i))
				return card, true, nil
			})
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				t.Error(err)
			}
			if won {
				issued++
			}
		})
	}
	all.Wait()
	if issued != 1 {
		t.Errorf("issued %d times", issued)
	}
}

func testContextEnded(t *testing.T, open Open) {
	store, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := store.Change(ctx, sample(1).Key, func(codeissuer.Card, bool) (codeissuer.Card, bool, error) { return sample(1), true, nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("change: %v", err)
	}
	if _, err := store.Find(ctx, codeissuer.CardQuery{App: "app1", Limit: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("find: %v", err)
	}
	if _, exists := get(t, store, sample(1).Key); exists {
		t.Error("kept all the same")
	}
}

// Any history of good changes leaves what a map would hold.
func testAgainstModel(t *testing.T, open Open) {
	store, reopen := open(t)
	model := map[codeissuer.CardKey]codeissuer.Card{}
	step := 0
	rapid.Check(t, func(r *rapid.T) {
		if rapid.IntRange(0, 30).Draw(r, "reopen") == 0 {
			store = reopen()
		}
		card := sample(rapid.IntRange(0, 4).Draw(r, "card"))
		step++
		card.LastUpdate = start.Add(time.Duration(step) * time.Second)
		card.Disabled, card.Revoked = rapid.Bool().Draw(r, "disabled"), rapid.Bool().Draw(r, "revoked")
		card.DisabledTips = rapid.StringMatching(`[ -~卡\n]{0,40}`).Draw(r, "tips")
		if rapid.Bool().Draw(r, "no balance") {
			card.BalanceFen = nil
		}
		put(t, store, card)
		model[card.Key] = card
		for key, want := range model {
			if got, _ := get(t, store, key); !reflect.DeepEqual(got, want) {
				r.Fatalf("got %+v, want %+v", got, want)
			}
		}
	})
}
