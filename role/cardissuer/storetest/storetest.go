// Package storetest holds a cardissuer.Store (票卡发行机构账簿) to its word: one suite for every implementation.
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

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/cardissuer"
)

// Open makes an empty store that lives as long as t. reopen ends it, as far as that can be done in one
// process, and opens the same one again; store must not be used after it.
type Open = func(t testing.TB) (store cardissuer.Store, reopen func() cardissuer.Store)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"Nothing", testNothing},
		{"RoundTrip", testRoundTrip},
		{"DecideError", testDecideError},
		{"DecidePanic", testDecidePanic},
		{"WrongDecisions", testWrongDecisions},
		{"NoLostChange", testNoLostChange},
		{"Lists", testLists},
		{"ContextEnded", testContextEnded},
		{"AgainstModel", testAgainstModel},
		{"UnknownOutcomes", testUnknownOutcomes},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

var start = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

const (
	prepaid  ridecode.CardType = "GJ310000"
	postpaid ridecode.CardType = "GJ310001"
	user     ridecode.UserID   = "2088000011112222"
)

// newIssuer makes an issuer with a prepaid and a postpaid type.
func newIssuer(t testing.TB, store cardissuer.Store) *cardissuer.Issuer {
	t.Helper()
	issuer, err := cardissuer.New(store, cardissuer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for number, kind := range []cardissuer.CardType{
		{Type: prepaid, Mode: cardissuer.Prepaid, Title: "市民卡", Template: "blue", CityCode: "310000", AgentID: "00001", DiscountType: "91discount", MaxBalanceFen: 10_000},
		{Type: postpaid, Mode: cardissuer.Postpaid, Title: "乘车卡"},
	} {
		if err := issuer.RegisterType(t.Context(), fmt.Sprint(number), kind, start); err != nil {
			t.Fatal(err)
		}
	}
	return issuer
}

func key(no int) cardissuer.CardKey {
	return cardissuer.CardKey{Type: prepaid, No: ridecode.CardNo(fmt.Sprintf("31%08d", no))}
}

func issue(t testing.TB, issuer *cardissuer.Issuer, key cardissuer.CardKey) {
	t.Helper()
	order := cardissuer.Order{Number: string(key.No), Key: key, User: user, Data: cardissuer.Data{Payload: []byte{0, 0xff, 1}}}
	if _, err := issuer.Issue(t.Context(), order, start); err != nil {
		t.Fatal(err)
	}
}

func code(n int) ridecode.ID {
	return ridecode.ID{1, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

func ride(no string, key cardissuer.CardKey, amount money.Fen, codes ...ridecode.ID) cardissuer.Ride {
	return cardissuer.Ride{OutTradeNo: no, Key: key, User: user, AmountFen: amount, Subject: "公交-19", Codes: codes}
}

// prove has the store count itself.
func prove(t testing.TB, store cardissuer.Store) cardissuer.AuditReport {
	t.Helper()
	report, err := store.Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range report.Faults {
		t.Error("audit:", fault)
	}
	return report
}

func testNothing(t *testing.T, open Open) {
	store, _ := open(t)
	need := cardissuer.Need{Type: prepaid, Card: key(1), Number: "1", Ride: "2", Codes: []ridecode.ID{code(1)}}
	err := store.Update(t.Context(), need, func(s cardissuer.State) (cardissuer.Changes, error) {
		if s.Type != nil || s.Card != nil || s.Before != nil || s.Ride != nil || len(s.Used) != 0 || s.Free != 1 || len(s.Accounts) != 2 {
			t.Errorf("%+v", s)
		}
		return cardissuer.Changes{}, nil
	})
	cards, err2 := store.Find(t.Context(), cardissuer.Query{Limit: 10})
	if err = errors.Join(err, err2); err != nil || len(cards) != 0 {
		t.Error(cards, err)
	}
	prove(t, store)
}

// What was kept comes back, also from another process.
func testRoundTrip(t *testing.T, open Open) {
	store, reopen := open(t)
	issuer := newIssuer(t, store)
	issue(t, issuer, key(1))
	ctx, now := t.Context(), start.Add(1500*time.Millisecond)
	_, _, err1 := issuer.TopUp(ctx, "1", key(1), 300, now)
	entry, _, err2 := issuer.Debit(ctx, ride("R1", key(1), 500, code(1), code(2)), now)
	_, err3 := issuer.Suspend(ctx, "S1", key(1), "已挂失", now)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	want := cardissuer.Card{Key: key(1), User: user, Data: []byte{0, 0xff, 1}, State: cardissuer.Suspended, Tips: "已挂失", Issued: start,
		LastUpdate: start.Add(3 * time.Second), Version: 4, Sent: cardissuer.Sent{NextTry: now}, OwedFen: 200}
	for range 2 {
		got, err := issuer.Card(ctx, key(1))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
		}
		history, err := issuer.History(ctx, key(1), 0, 100)
		if err != nil || len(history) != 4 || !reflect.DeepEqual(history[2], entry) || entry.NetFen != -200 || entry.AmountFen != 500 {
			t.Errorf("%+v, %v", history, err)
		}
		types, err := issuer.Types(ctx)
		if err != nil || len(types) != 2 || types[0].Title != "市民卡" || types[0].AgentID != "00001" || types[0].DiscountType != "91discount" || types[0].CityCode != "310000" || types[0].RevokeWait != cardissuer.DefaultRevokeWait || types[1].MaxBalanceFen != 0 {
			t.Errorf("%+v, %v", types, err)
		}
		if report := prove(t, store); report.OwedFen != 200 || report.RidesFen != 500 || report.PaidInFen != 300 || report.Cards != 1 {
			t.Errorf("%+v", report)
		}
		store = reopen()
		issuer, _ = cardissuer.New(store, cardissuer.Config{})
		reopen = func() cardissuer.Store { return store }
	}
}

var errDecide = errors.New("decided against it")

func testDecideError(t *testing.T, open Open) {
	store, _ := open(t)
	issue(t, newIssuer(t, store), key(1))
	before := prove(t, store)
	err := store.Update(t.Context(), cardissuer.Need{Card: key(1)}, func(s cardissuer.State) (cardissuer.Changes, error) {
		s.Card.Tips = "x"
		return cardissuer.Changes{Card: s.Card}, errDecide
	})
	if !errors.Is(err, errDecide) || !reflect.DeepEqual(prove(t, store), before) {
		t.Error("an error of decide is lost, or something was written:", err)
	}
}

func testDecidePanic(t *testing.T, open Open) {
	store, _ := open(t)
	func() {
		defer func() {
			if recover() != "from decide" {
				t.Error("the panic is gone")
			}
		}()
		_ = store.Update(t.Context(), cardissuer.Need{}, func(cardissuer.State) (cardissuer.Changes, error) { panic("from decide") })
	}()
	issue(t, newIssuer(t, store), key(1)) // the store goes on
	prove(t, store)
}

// spoil is a decision that no honest caller makes.
type spoil func(cardissuer.State) cardissuer.Changes

// wrongDecisions are on a card that has 300 fen and has ridden once, with code(1).
func wrongDecisions() map[string]spoil {
	entry := func(s cardissuer.State, number string) *cardissuer.Entry {
		return &cardissuer.Entry{ID: s.Free, Kind: cardissuer.EntryTopUp, Number: number, Card: key(1), AmountFen: 100, At: start}
	}
	transfer := func(s cardissuer.State, from, to ledger.AccountID, amount money.Fen) []ledger.Transfer {
		return []ledger.Transfer{{ID: ledger.TransferID{Document: s.Free}, Debit: from, Credit: to, AmountFen: amount, Code: cardissuer.CodeTopUp, Day: 20261121, At: start}}
	}
	card := func(s cardissuer.State, change func(*cardissuer.Card)) cardissuer.Changes {
		changed := *s.Card
		change(&changed)
		return cardissuer.Changes{Card: &changed}
	}
	return map[string]spoil{
		"money without an entry": func(s cardissuer.State) cardissuer.Changes {
			return cardissuer.Changes{Transfers: transfer(s, cardissuer.OutsideAccount, cardissuer.CardAccount(key(1)), 100)}
		},
		"an entry's number again": func(s cardissuer.State) cardissuer.Changes {
			return cardissuer.Changes{Entry: entry(s, "top-up/1")}
		},
		"an old entry": func(s cardissuer.State) cardissuer.Changes {
			e := entry(s, "new")
			e.ID--
			return cardissuer.Changes{Entry: e}
		},
		"below the floor": func(s cardissuer.State) cardissuer.Changes {
			return cardissuer.Changes{Entry: entry(s, "new"), Transfers: transfer(s, cardissuer.CardAccount(key(1)), cardissuer.RidesAccount, 201)}
		},
		"to nobody": func(s cardissuer.State) cardissuer.Changes {
			return cardissuer.Changes{Entry: entry(s, "new"), Transfers: transfer(s, cardissuer.OutsideAccount, "card:nobody", 100)}
		},
		"nothing": func(s cardissuer.State) cardissuer.Changes {
			return cardissuer.Changes{Entry: entry(s, "new"), Transfers: transfer(s, cardissuer.OutsideAccount, cardissuer.CardAccount(key(1)), 0)}
		},
		"a leg of another entry": func(s cardissuer.State) cardissuer.Changes {
			transfers := transfer(s, cardissuer.OutsideAccount, cardissuer.CardAccount(key(1)), 100)
			transfers[0].ID.Document--
			return cardissuer.Changes{Entry: entry(s, "new"), Transfers: transfers}
		},
		"a code again": func(s cardissuer.State) cardissuer.Changes {
			return cardissuer.Changes{Entry: entry(s, "new"), Codes: []ridecode.ID{code(1)}}
		},
		"an account that is not empty": func(s cardissuer.State) cardissuer.Changes {
			return cardissuer.Changes{Entry: entry(s, "new"), Opened: []ledger.Account{{ID: "card:x", Balance: 5, Postings: 1}}}
		},
		"another user": func(s cardissuer.State) cardissuer.Changes {
			return card(s, func(c *cardissuer.Card) { c.User = "2088000011112223" })
		},
		"another card": func(s cardissuer.State) cardissuer.Changes {
			return card(s, func(c *cardissuer.Card) { c.Key = key(2) })
		},
		"an older update": func(s cardissuer.State) cardissuer.Changes {
			return card(s, func(c *cardissuer.Card) { c.LastUpdate = c.LastUpdate.Add(-time.Second) })
		},
		"two states of one time": func(s cardissuer.State) cardissuer.Changes {
			return card(s, func(c *cardissuer.Card) { c.Version++ })
		},
		"a state that was not sent": func(s cardissuer.State) cardissuer.Changes {
			return card(s, func(c *cardissuer.Card) { c.Sent.Version = c.Version + 1 })
		},
		"another mode": func(s cardissuer.State) cardissuer.Changes {
			return cardissuer.Changes{Type: &cardissuer.CardType{Type: prepaid, Mode: cardissuer.Postpaid, Title: "x"}}
		},
	}
}

func testWrongDecisions(t *testing.T, open Open) {
	store, _ := open(t)
	issuer := newIssuer(t, store)
	issue(t, issuer, key(1))
	_, _, err1 := issuer.TopUp(t.Context(), "1", key(1), 300, start)
	_, _, err2 := issuer.Debit(t.Context(), ride("R1", key(1), 100, code(1)), start)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	before, cardBefore := prove(t, store), mustCard(t, issuer, key(1))
	for name, wrong := range wrongDecisions() {
		err := store.Update(t.Context(), cardissuer.Need{Type: prepaid, Card: key(1)}, func(s cardissuer.State) (cardissuer.Changes, error) { return wrong(s), nil })
		if err == nil {
			t.Errorf("%s: written", name)
		}
	}
	if after := prove(t, store); !reflect.DeepEqual(after, before) || !reflect.DeepEqual(mustCard(t, issuer, key(1)), cardBefore) {
		t.Errorf("%+v after %+v", after, before)
	}
}

func mustCard(t testing.TB, issuer *cardissuer.Issuer, key cardissuer.CardKey) cardissuer.Card {
	t.Helper()
	card, err := issuer.Card(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return card
}

// Many at once: each request counts once, however often it comes.
func testNoLostChange(t *testing.T, open Open) {
	store, _ := open(t)
	issuer := newIssuer(t, store)
	issue(t, issuer, key(1))
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			for i := range 10 {
				_, _, err1 := issuer.TopUp(t.Context(), fmt.Sprint(i), key(1), 100, start)
				_, _, err2 := issuer.Debit(t.Context(), ride(fmt.Sprint("R", n, "-", i), key(1), 10, code(n*100+i)), start)
				if err := errors.Join(err1, err2); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if card := mustCard(t, issuer, key(1)); card.NetFen() != 1000-400 || card.Version != 51 {
		t.Errorf("%+v", card)
	}
	prove(t, store)
}

// Lists come in their order, from where one asks, and no more than one asks for.
func testLists(t *testing.T, open Open) {
	store, _ := open(t)
	issuer := newIssuer(t, store)
	for no := range 5 {
		issue(t, issuer, key(no))
	}
	ctx := t.Context()
	for step, no := range []int{3, 1} {
		if _, err := issuer.Revoke(ctx, fmt.Sprint(no), key(no), true, start.Add(time.Duration(step+1)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	found, err1 := store.Find(ctx, cardissuer.Query{User: user, After: key(1), Limit: 2})
	unsent, err2 := store.Unsent(ctx, start.Add(time.Hour), 10)
	early, err3 := store.Unsent(ctx, start, 10)
	closing, err4 := store.Closing(ctx, start.Add(time.Hour), 10)
	none, err5 := store.Closing(ctx, start, 10)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found[0].Key != key(2) || found[1].Key != key(3) {
		t.Errorf("found %+v", found)
	}
	if len(unsent) != 5 || unsent[3].Key != key(3) || unsent[4].Key != key(1) || len(early) != 3 {
		t.Errorf("unsent %+v, early %d", unsent, len(early))
	}
	if !reflect.DeepEqual(closing, []cardissuer.CardKey{key(3), key(1)}) || len(none) != 0 {
		t.Errorf("closing %+v, %+v", closing, none)
	}
}

func testContextEnded(t *testing.T, open Open) {
	store, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := store.Update(ctx, cardissuer.Need{}, func(cardissuer.State) (cardissuer.Changes, error) { return cardissuer.Changes{}, nil })
	if _, err2 := store.Types(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err2, context.Canceled) {
		t.Error(err, err2)
	}
}
