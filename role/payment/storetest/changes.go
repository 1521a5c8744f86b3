package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

var errDecide = errors.New("decided against it")

// A number is claimed once, whoever asks for it: for its content and its bucket.
func testClaims(t *testing.T, open Open) {
	store, reopen := open(t)
	number := payment.Number{Scope: "/top-up", No: "17"}
	claim := func(bucket int, digest byte) (got payment.Claim) {
		t.Helper()
		need := payment.Need{Bucket: bucket, Claims: []payment.Claim{{Number: number, Digest: payment.ContentDigest{digest}, Bucket: bucket}}}
		err := store.Update(t.Context(), need, func(state payment.State) (payment.Changes, error) {
			got = state.Claims[number]
			return payment.Changes{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := claim(0, 1)
	if want := (payment.Claim{Number: number, Digest: payment.ContentDigest{1}, ID: first.ID}); first != want || first.ID < 1 {
		t.Errorf("%+v, want %+v", first, want)
	}
	for range 2 {
		for _, digest := range []byte{1, 2} {
			if again := claim(store.Buckets()-1, digest); again != first {
				t.Errorf("claimed again: %+v, first %+v", again, first)
			}
		}
		found, err := store.Find(t.Context(), []payment.Number{number})
		if err != nil || found[number] != first {
			t.Errorf("found %+v, %v", found, err)
		}
		store = reopen()
	}
	if report := auditClean(t, store); report.Claims != 1 || report.Orphans != 1 {
		t.Errorf("%d claims, %d orphans", report.Claims, report.Orphans)
	}
}

func testDocuments(t *testing.T, open Open) {
	store, reopen := furnished(t, open, 1, plenty)
	bucket := bucketOf(store, 0)
	_, _, trade, _ := mustSettle(t, store, sale(1, userID(0)))[0].TradeNo.Parse()
	var want []payment.Document
	err := store.Update(t.Context(), payment.Need{Bucket: bucket}, func(state payment.State) (payment.Changes, error) {
		want = []payment.Document{
			{Key: "one", ID: state.Free, About: trade, At: noon(), Body: []byte(`{"a":"\u0000"}`)},
			{Key: "two", ID: state.Free + 1, About: trade, At: noon().Add(time.Second), Body: bytes.Repeat([]byte{0xff, 0}, 5000)},
			{Key: "three", ID: state.Free + 2, At: noon(), Body: []byte{}},
		}
		return payment.Changes{Documents: want}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		state := view(t, store, payment.Need{Bucket: bucket, Documents: []payment.DocumentKey{"one", "two", "three", "four"}, About: []ledger.DocumentID{trade, 999},
			Numbered: []ledger.DocumentID{want[1].ID, trade, 999}})
		for _, document := range want {
			if got := state.Documents[document.Key]; !sameDocument(got, document) {
				t.Errorf("%+v, want %+v", got, document)
			}
		}
		if about := state.About[trade]; len(state.Documents) != 3 || len(about) != 2 || !sameDocument(about[0], want[0]) || !sameDocument(about[1], want[1]) || len(state.About[999]) != 0 {
			t.Errorf("%+v", state)
		}
		if len(state.Numbered) != 1 || !sameDocument(state.Numbered[want[1].ID], want[1]) {
			t.Errorf("by number: %+v", state.Numbered)
		}
		if state.Free <= want[2].ID {
			t.Errorf("number %d is free, and %d was given", state.Free, want[2].ID)
		}
		auditClean(t, store)
		store = reopen()
	}
}

func sameDocument(a, b payment.Document) bool {
	sameBody := bytes.Equal(a.Body, b.Body)
	a.Body, b.Body = nil, nil
	return sameBody && reflect.DeepEqual(a, b)
}

func testRiders(t *testing.T, open Open) {
	store, reopen := furnished(t, open, 2, plenty)
	bucket := bucketOf(store, 0)
	rider := payment.Rider{User: userID(0), OwesSince: noon(), Doubles: 3, Blocked: "lost 手机", Password: []byte{0, 255}, Failures: 4, FailedAt: noon().Add(time.Minute)}
	for _, change := range []func(){func() {}, func() { rider.OwesSince, rider.Blocked = time.Time{}, "" }, func() { rider.Password, rider.FailedAt = nil, time.Time{} }} {
		change()
		err := store.Update(t.Context(), payment.Need{Bucket: bucket}, func(payment.State) (payment.Changes, error) {
			return payment.Changes{Riders: []payment.Rider{rider}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		store = reopen()
		state := view(t, store, payment.Need{Bucket: bucket, Riders: []ridecode.UserID{userID(0), userID(1)}})
		if got := state.Riders[userID(0)]; !reflect.DeepEqual(got, rider) || len(state.Riders) != 1 {
			t.Errorf("%+v, want %+v", state.Riders, rider)
		}
		seen := 0
		err = store.EachRider(t.Context(), bucket, func(got payment.Rider, owed money.Fen) error {
			seen++
			if !reflect.DeepEqual(got, rider) || owed != 0 {
				t.Errorf("%+v owes %d, want %+v", got, owed, rider)
			}
			return nil
		})
		if err != nil || seen != 1 {
			t.Errorf("%d riders, %v", seen, err)
		}
	}
	auditClean(t, store)
}

// Money that leaves a bucket is under way until it was told to have arrived.
func testCrossing(t *testing.T, open Open) {
	store, reopen := furnished(t, open, 1, plenty)
	from, to := bucketOf(store, 0), (bucketOf(store, 0)+1)%store.Buckets()
	var left payment.Departure
	err := store.Update(t.Context(), payment.Need{Bucket: from}, func(state payment.State) (payment.Changes, error) {
		changes, err := posting("leaves", move{payment.CodeSweep, payment.UserAccount(userID(0)), payment.TransitAccount, 70})(state)
		left = payment.Departure{ID: state.Free, To: to, Account: payment.GuaranteeAccount, AmountFen: 70, Code: payment.CodeSweep, Document: "leaves"}
		changes.Departed = []payment.Departure{left}
		return changes, err
	})
	if err != nil {
		t.Fatal(err)
	}
	underWay := func(want ...payment.Departure) {
		t.Helper()
		store = reopen()
		got, err := store.UnderWay(t.Context(), from)
		if err != nil || len(got) != len(want) || len(want) == 1 && got[0] != want[0] {
			t.Errorf("%+v under way, %v; want %+v", got, err, want)
		}
	}
	underWay(left)
	if report := auditClean(t, store); report.UnderWay != 70 {
		t.Errorf("%d fen under way", report.UnderWay)
	}
	key := fmt.Sprintf("arrival/%d/%d", from, left.ID)
	if err := post(t.Context(), store, to, key, move{payment.CodeSweep, payment.TransitAccount, payment.GuaranteeAccount, 70}); err != nil {
		t.Fatal(err)
	}
	underWay(left)
	if report := auditClean(t, store); report.UnderWay != 0 {
		t.Errorf("%d fen under way", report.UnderWay)
	}
	for range 2 {
		err := store.Update(t.Context(), payment.Need{Bucket: from}, func(payment.State) (payment.Changes, error) {
			return payment.Changes{Arrived: []ledger.DocumentID{left.ID}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		underWay()
	}
	auditClean(t, store)
}

// Notices come in the order in which they were written, those of batches as the numbers of trades, and are
// gone once they were taken.
func testNotices(t *testing.T, open Open) {
	store, reopen := furnished(t, open, 1, plenty)
	bucket := bucketOf(store, 0)
	told := []payment.Notice{{Kind: payment.ToppedUp, User: userID(0), Number: "1", AmountFen: 5, At: noon()}, {Kind: payment.PaidOut, Account: merchant, At: noon()}}
	tell := func() {
		err := store.Update(t.Context(), payment.Need{Bucket: bucket}, func(payment.State) (payment.Changes, error) { return payment.Changes{Notices: told}, nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	tell()
	verdicts := mustSettle(t, store, sale(1, userID(0)), sale(2, userID(0)))
	tell()
	store = reopen()
	posted, err := store.Posted(t.Context(), bucket, 10)
	if err != nil || len(posted) != 3 || posted[0].Seq >= posted[1].Seq || posted[1].Seq >= posted[2].Seq {
		t.Fatalf("%+v, %v", posted, err)
	}
	if !reflect.DeepEqual(posted[0].Notices, told) || !reflect.DeepEqual(posted[2].Notices, told) || len(posted[1].Trades) != 2 {
		t.Errorf("%+v", posted)
	}
	for i, v := range verdicts {
		if _, _, id, _ := v.TradeNo.Parse(); posted[1].Trades[i] != id {
			t.Errorf("trade %d is told as %d", id, posted[1].Trades[i])
		}
	}
	if _, err := settle(t.Context(), store, sale(1, userID(0))); err != nil {
		t.Fatal(err)
	}
	if first, err := store.Posted(t.Context(), bucket, 1); err != nil || len(first) != 1 || first[0].Seq != posted[0].Seq {
		t.Errorf("the first one: %+v, %v", first, err)
	}
	err = store.Update(t.Context(), payment.Need{Bucket: bucket}, func(payment.State) (payment.Changes, error) {
		return payment.Changes{Taken: posted[1].Seq}, nil
	})
	if left, err2 := store.Posted(t.Context(), bucket, 10); err != nil || err2 != nil || len(left) != 1 || left[0].Seq != posted[2].Seq {
		t.Errorf("left: %+v, %v, %v", left, err, err2)
	}
	auditClean(t, store)
}

func testTerms(t *testing.T, open Open) {
	store, reopen := furnished(t, open, 1, 50)
	bucket, id := bucketOf(store, 0), payment.UserAccount(userID(0))
	terms := func(floor money.Fen) error {
		return store.Update(t.Context(), payment.Need{Bucket: bucket, Accounts: []ledger.AccountID{id}}, func(payment.State) (payment.Changes, error) {
			return payment.Changes{Terms: []ledger.Account{{ID: id, Floor: floor}}}, nil
		})
	}
	if err := terms(-500); err != nil {
		t.Fatal(err)
	}
	mustSettle(t, store, sale(1, userID(0)))
	if err := terms(-100); err == nil {
		t.Error("a floor above the balance was taken")
	}
	if err := terms(-150); err != nil {
		t.Error(err)
	}
	store = reopen()
	if got, want := view(t, store, payment.Need{Bucket: bucket, Accounts: []ledger.AccountID{id}}).Accounts[id], (ledger.Account{ID: id, Balance: -150, Floor: -150, Postings: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	auditClean(t, store)
}

// unchanged runs do and sees that the books are afterwards as they were before.
func unchanged(t *testing.T, store payment.Store, do func()) {
	t.Helper()
	before := auditMoney(t, store)
	do()
	if after := auditMoney(t, store); !reflect.DeepEqual(before, after) {
		t.Errorf("the books were\n%+v\nand are\n%+v", before, after)
	}
}

func testDecideError(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1, plenty)
	need := payment.Need{Bucket: bucketOf(store, 0), Claims: []payment.Claim{{Number: payment.Number{Scope: "/x", No: "1"}, Bucket: bucketOf(store, 0)}}}
	decide := posting("x", move{codePlain, payment.UserAccount(userID(0)), merchant, 5})
	unchanged(t, store, func() {
		err := store.Update(t.Context(), need, func(state payment.State) (payment.Changes, error) {
			changes, _ := decide(state)
			return changes, errDecide
		})
		if !errors.Is(err, errDecide) {
			t.Errorf("the error of decide came back as %v", err)
		}
	})
	if err := store.Update(t.Context(), need, decide); err != nil {
		t.Errorf("after it: %v", err)
	}
	auditClean(t, store)
}

func testDecidePanic(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1, plenty)
	need := payment.Need{Bucket: bucketOf(store, 0)}
	unchanged(t, store, func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic of decide was swallowed")
			}
		}()
		_ = store.Update(t.Context(), need, func(payment.State) (payment.Changes, error) { panic(errDecide) })
	})
	if err := store.Update(t.Context(), need, posting("x", move{codePlain, payment.UserAccount(userID(0)), merchant, 5})); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// Changes that would lose or double money, were they stored. What is spoiled stands late in them, so that a
// store has written a part when it finds out.
func testWrongChanges(t *testing.T, open Open) {
	store, _ := furnished(t, open, 2, plenty)
	bucket, user := bucketOf(store, 0), payment.UserAccount(userID(0))
	right := func(state payment.State) payment.Changes {
		changes, _ := posting("right", move{codePlain, user, merchant, 5}, move{codePlain, merchant, user, 2})(state)
		changes.Opened = []ledger.Account{{ID: "user:new", Floor: -3}}
		return changes
	}
	last := func(c *payment.Changes) *ledger.Transfer { return &c.Transfers[len(c.Transfers)-1] }
	for name, spoil := range map[string]func(*payment.Changes){
		"a document that is there": func(c *payment.Changes) { c.Documents[0].Key = "first-0" },
		"a document with the number of another one": func(c *payment.Changes) {
			c.Documents = append(c.Documents, payment.Document{Key: "copy", ID: c.Documents[0].ID})
		},
		"a document twice":                        func(c *payment.Changes) { c.Documents = append(c.Documents, c.Documents[0]) },
		"a document with a number that was given": func(c *payment.Changes) { c.Documents[0].ID-- },
		"a document with a number from beyond":    func(c *payment.Changes) { c.Documents[0].ID += 5 },
		"a transfer of no document":               func(c *payment.Changes) { last(c).ID.Document += 5 },
		"a transfer of an old document":           func(c *payment.Changes) { last(c).ID.Document = 1 },
		"a transfer twice":                        func(c *payment.Changes) { c.Transfers = append(c.Transfers, *last(c)) },
		"more than there is":                      func(c *payment.Changes) { last(c).AmountFen = 3 * plenty },
		"a transfer of nothing":                   func(c *payment.Changes) { last(c).AmountFen = 0 },
		"a transfer of less than nothing":         func(c *payment.Changes) { last(c).AmountFen = -1 },
		"a transfer to itself":                    func(c *payment.Changes) { last(c).Credit = last(c).Debit },
		"a transfer from nowhere":                 func(c *payment.Changes) { last(c).Debit = "user:nobody" },
		"a transfer to nowhere":                   func(c *payment.Changes) { last(c).Credit = "user:nobody" },
		"a transfer for no reason":                func(c *payment.Changes) { last(c).Code = 0 },
		"a transfer on no day":                    func(c *payment.Changes) { last(c).Day = 0 },
		"an account that is there":                func(c *payment.Changes) { c.Opened[0].ID = merchant },
		"an account twice":                        func(c *payment.Changes) { c.Opened = append(c.Opened, c.Opened[0]) },
		"an account opened with money":            func(c *payment.Changes) { c.Opened[0].Balance = 1 },
		"an account opened with postings":         func(c *payment.Changes) { c.Opened[0].Postings = 1 },
		"an account without a name":               func(c *payment.Changes) { c.Opened[0].ID = "" },
		"terms of an account that is not there":   func(c *payment.Changes) { c.Terms = []ledger.Account{{ID: "user:nobody"}} },
	} {
		t.Run(name, func(t *testing.T) {
			unchanged(t, store, func() {
				err := store.Update(t.Context(), payment.Need{Bucket: bucket, Accounts: []ledger.AccountID{user, merchant}}, func(state payment.State) (payment.Changes, error) {
					changes := right(state)
					spoil(&changes)
					return changes, nil
				})
				if err == nil {
					t.Error("it was stored")
				}
			})
		})
	}
	err := store.Update(t.Context(), payment.Need{Bucket: bucket}, func(state payment.State) (payment.Changes, error) { return right(state), nil })
	if err != nil {
		t.Errorf("the changes themselves, unspoiled: %v", err)
	}
	auditClean(t, store)
}

func testDurable(t *testing.T, open Open) {
	store, reopen := furnished(t, open, 3, plenty)
	for n := range 20 {
		no := mustSettle(t, store, sale(n, userID(n%3)))[0].TradeNo
		store = reopen()
		if _, there := tradeNamed(t, store, no); !there {
			t.Fatalf("trade %s is gone", no)
		}
	}
	auditClean(t, store)
}

func testContextEnded(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1, plenty)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	unchanged(t, store, func() {
		for name, call := range map[string]func() error{
			"settle": func() error { _, err := settle(ended, store, sale(1, userID(0))); return err },
			"update": func() error {
				return post(ended, store, 0, "x", move{codePlain, merchant, payment.GuaranteeAccount, 1})
			},
			"view":     func() error { _, err := store.View(ended, payment.Need{}); return err },
			"find":     func() error { _, err := store.Find(ended, []payment.Number{{Scope: "a", No: "b"}}); return err },
			"balances": func() error { _, err := store.Balances(ended, merchant); return err },
			"audit":    func() error { _, err := store.Audit(ended); return err },
		} {
			if err := call(); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// An update whose caller leaves while it is being decided is not committed.
func testContextEndsInDecide(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1, plenty)
	unchanged(t, store, func() {
		ctx, cancel := context.WithCancel(t.Context())
		decide := posting("x", move{codePlain, payment.UserAccount(userID(0)), merchant, 5})
		err := store.Update(ctx, payment.Need{Bucket: bucketOf(store, 0)}, func(state payment.State) (payment.Changes, error) {
			cancel()
			return decide(state)
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
	mustSettle(t, store, sale(1, userID(0)))
}
