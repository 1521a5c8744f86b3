package storetest

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
)

// OpenAgreements makes an empty store of agreements, as Open does.
type OpenAgreements = func(t *testing.T) (store codeissuer.AgreementStore, reopen func() codeissuer.AgreementStore)

// RunAgreements holds a codeissuer.AgreementStore to its word.
func RunAgreements(t *testing.T, open OpenAgreements) {
	t.Run("Life", func(t *testing.T) { testAgreementLife(t, open) })
	t.Run("OneHolds", func(t *testing.T) { testOneHolds(t, open) })
}

func agreement(number string) codeissuer.Agreement {
	return codeissuer.Agreement{Number: number, User: "2088000011112222", CardType: "GJ310001", App: "app1", Text: [32]byte{1, 0, 0xff}, Signed: start}
}

// An agreement holds until it is ended, and only for its user and card type; then another one may.
func testAgreementLife(t *testing.T, open OpenAgreements) {
	store, reopen := open(t)
	ctx, first := t.Context(), agreement("1")
	holds := func(want *codeissuer.Agreement, user ridecode.UserID, cardType ridecode.CardType) {
		t.Helper()
		got, is, err := store.Current(ctx, user, cardType)
		if err != nil || is != (want != nil) || is && !reflect.DeepEqual(got, *want) {
			t.Errorf("%+v, %v, %v, want %+v", got, is, err, want)
		}
	}
	holds(nil, first.User, first.CardType)
	for _, number := range []string{"1", "2"} { // signed again, it is the one of the first time
		if kept, err := store.Sign(ctx, agreement(number)); err != nil || !reflect.DeepEqual(kept, first) {
			t.Fatalf("%+v, %v", kept, err)
		}
	}
	store = reopen()
	holds(&first, first.User, first.CardType)
	holds(nil, "2088000011112223", first.CardType)
	holds(nil, first.User, "GJ310002")
	for range 2 {
		if err := store.End(ctx, first.User, first.CardType, start.Add(-time.Hour)); err != nil { // a clock that was behind
			t.Fatal(err)
		}
		holds(nil, first.User, first.CardType)
	}
	third := agreement("3")
	if kept, err := store.Sign(ctx, third); err != nil || !reflect.DeepEqual(kept, third) {
		t.Errorf("%+v, %v", kept, err)
	}
	if _, err := store.Sign(ctx, codeissuer.Agreement{Number: "1", User: "2088000011112229", CardType: "GJ310001", App: "app1", Signed: start}); err == nil {
		t.Error("a number stands twice")
	}
}

// Of many who sign at once, one does.
func testOneHolds(t *testing.T, open OpenAgreements) {
	store, _ := open(t)
	var group sync.WaitGroup
	kept := make([]string, 8)
	for i := range kept {
		group.Go(func() {
			a, err := store.Sign(t.Context(), agreement(fmt.Sprint(i)))
			if err != nil {
				t.Error(err)
			}
			kept[i] = a.Number
		})
	}
	group.Wait()
	for _, number := range kept {
		if number != kept[0] || number == "" {
			t.Errorf("%v", kept)
		}
	}
}
