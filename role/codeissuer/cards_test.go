package codeissuer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
)

// shelf is a CardStore that is gone with the test; edge/store has the real ones.
type shelf map[codeissuer.CardKey]codeissuer.Card

func (s shelf) Change(_ context.Context, key codeissuer.CardKey, decide func(codeissuer.Card, bool) (codeissuer.Card, bool, error)) error {
	card, exists := s[key]
	next, changed, err := decide(card, exists)
	if err == nil && changed {
		s[key] = next
	}
	return err
}

func (s shelf) Find(_ context.Context, query codeissuer.CardQuery) (found []codeissuer.Card, err error) {
	for _, card := range s {
		named := (query.No == "" || card.Key.No == query.No) && (query.Type == "" || card.Key.Type == query.Type) && (query.User == "" || card.User == query.User)
		stopped := !query.Stopped || card.Revoked || card.Disabled
		if named && stopped && card.App == query.App && (query.Revoked || !card.Revoked) && !card.Received.Before(query.Since) {
			found = append(found, card)
		}
	}
	return found, nil
}

// ownedTypes is CardTypes from a map.
type ownedTypes map[ridecode.CardType]codeissuer.AppID

func (o ownedTypes) CardTypeOwner(cardType ridecode.CardType) (codeissuer.AppID, bool) {
	app, registered := o[cardType]
	return app, registered
}

func register() (shelf, *codeissuer.Cards) {
	kept := shelf{}
	return kept, codeissuer.NewCards(kept, ownedTypes{"GJ310000": "app1", "GJ320000": "app2"})
}

func message(action codeissuer.CardAction, second int) codeissuer.CardMessage {
	return codeissuer.CardMessage{Action: action, Key: codeissuer.CardKey{Type: "GJ310000", No: "1"}, User: "2088000011112222",
		LastUpdate: now.Add(time.Duration(second) * time.Second)}
}

func faultOf(t *testing.T, err error) codeissuer.CardFault {
	t.Helper()
	var fault *codeissuer.CardError
	if err == nil {
		return ""
	}
	if !errors.As(err, &fault) {
		t.Fatalf("error %v of type %T", err, err)
	}
	return fault.Fault
}

// A card's life, message by message: what each changes, and what it does not.
func TestCardLife(t *testing.T) {
	kept, cards := register()
	tips, code, balance, no, yes := "余额不足", "CARD_OVERDUE", money.Fen(500), false, true
	step := func(name string, m codeissuer.CardMessage, want codeissuer.CardFault, check func(codeissuer.Card) bool) {
		t.Helper()
		before := kept[m.Key]
		card, err := cards.Send(t.Context(), "app1", m, now.Add(time.Hour))
		if got := faultOf(t, err); got != want {
			t.Errorf("%s: fault %q, want %q", name, got, want)
		}
		if want != "" {
			if after := kept[m.Key]; after.LastUpdate != before.LastUpdate || after.Revoked != before.Revoked || after.DisabledTips != before.DisabledTips {
				t.Errorf("%s: refused, and changed", name)
			}
			return
		}
		if !check(card) || !check(kept[m.Key]) {
			t.Errorf("%s: the card is %+v", name, card)
		}
	}
	update := message(codeissuer.UpdateCard, 1)
	step("an update of nothing", update, codeissuer.CardNotExist, nil)
	step("a revocation of nothing", message(codeissuer.RevokeCard, 1), codeissuer.CardNotExist, nil)
	issue := message(codeissuer.IssueCard, 2)
	issue.BalanceFen, issue.Data = &balance, []byte{1, 2}
	step("issued", issue, "", func(c codeissuer.Card) bool { return *c.BalanceFen == 500 && len(c.Data) == 2 && !c.Disabled })
	step("issued again, as it was", issue, "", func(c codeissuer.Card) bool { return *c.BalanceFen == 500 })
	disable := message(codeissuer.UpdateCard, 4)
	disable.Disabled, disable.DisabledTips, disable.DisabledCode = &yes, &tips, &code
	step("disabled", disable, "", func(c codeissuer.Card) bool {
		return c.Disabled && c.DisabledTips == tips && *c.BalanceFen == 500 && len(c.Data) == 2
	})
	late := message(codeissuer.UpdateCard, 3)
	late.Disabled = &no
	step("older, and late", late, codeissuer.CardOutdated, nil)
	step("a revocation, older and late", message(codeissuer.RevokeCard, 3), codeissuer.CardOutdated, nil)
	enable := message(codeissuer.UpdateCard, 4)
	enable.Disabled = &no
	step("in the same second", enable, "", func(c codeissuer.Card) bool { return !c.Disabled && c.DisabledTips == "" && c.DisabledCode == "" })
	thief := message(codeissuer.IssueCard, 9)
	thief.User = "2088000011113333"
	step("issued to somebody else", thief, codeissuer.CardOfOtherUser, nil)
	step("revoked", message(codeissuer.RevokeCard, 5), "", func(c codeissuer.Card) bool { return c.Revoked && len(c.Data) == 2 })
	step("revoked again", message(codeissuer.RevokeCard, 5), "", func(c codeissuer.Card) bool { return c.Revoked })
	step("revoked again, later", message(codeissuer.RevokeCard, 6), "", func(c codeissuer.Card) bool { return c.Revoked })
	step("updated after it was revoked", message(codeissuer.UpdateCard, 7), codeissuer.CardIsRevoked, nil)
	step("revoked, and issued to somebody else", thief, codeissuer.CardOfOtherUser, nil)
	step("the first issue comes again", issue, codeissuer.CardOutdated, nil)
	step("issued anew", message(codeissuer.IssueCard, 8), "", func(c codeissuer.Card) bool { return !c.Revoked && c.BalanceFen == nil && c.Data == nil })
	step("issued anew, again", message(codeissuer.IssueCard, 8), "", func(c codeissuer.Card) bool { return !c.Revoked })
}

func TestCardTypesAreTheirApps(t *testing.T) {
	kept, cards := register()
	mine := message(codeissuer.IssueCard, 0)
	if _, err := cards.Send(t.Context(), "app1", mine, now); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		app  codeissuer.AppID
		kind ridecode.CardType
		want codeissuer.CardFault
	}{{"app2", "GJ310000", codeissuer.CardTypeNotRegistered}, {"app1", "GJ320000", codeissuer.CardTypeNotRegistered},
		{"app1", "GJ990000", codeissuer.CardTypeNotRegistered}, {"app2", "GJ320000", ""}} {
		m := mine
		m.Key.Type = test.kind
		if _, err := cards.Send(t.Context(), test.app, m, now); faultOf(t, err) != test.want {
			t.Errorf("%s at %s: %v", test.kind, test.app, err)
		}
	}
	// A type that went over to another app: the cards of before stay the first one's.
	moved := codeissuer.NewCards(kept, ownedTypes{"GJ310000": "app2"})
	if _, err := moved.Send(t.Context(), "app2", mine, now); faultOf(t, err) != codeissuer.CardNotExist {
		t.Errorf("another's card: %v", err)
	}
	for app, want := range map[codeissuer.AppID]int{"app1": 1, "app2": 1, "app3": 0} {
		if found, err := cards.Query(t.Context(), codeissuer.CardQuery{App: app}); err != nil || len(found) != want {
			t.Errorf("%s sees %d cards, %v", app, len(found), err)
		}
	}
}

// A time far ahead would lock the card; half a day is a client that writes its local time.
func TestCardTimeInFuture(t *testing.T) {
	_, cards := register()
	for seconds, want := range map[int]codeissuer.CardFault{86400: "", 86401: codeissuer.CardTimeInFuture, 14 * 3600: ""} {
		m := message(codeissuer.IssueCard, seconds)
		m.Key.No = ridecode.CardNo("n" + m.LastUpdate.Format("150405"))
		if _, err := cards.Send(t.Context(), "app1", m, now); faultOf(t, err) != want {
			t.Errorf("%d s ahead: %v", seconds, err)
		}
	}
}

// In whatever order messages come, and however often, the newest second is what counts, and time never
// goes back.
func TestCardOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		kept, cards := register()
		key := message(codeissuer.IssueCard, 0).Key
		if _, err := cards.Send(context.Background(), "app1", message(codeissuer.IssueCard, 0), now); err != nil {
			r.Fatal(err)
		}
		newest := 0
		for range rapid.IntRange(1, 20).Draw(r, "count") {
			second := rapid.IntRange(0, 10).Draw(r, "second")
			m := message(rapid.SampledFrom([]codeissuer.CardAction{codeissuer.IssueCard, codeissuer.UpdateCard, codeissuer.RevokeCard}).Draw(r, "action"), second)
			balance := money.Fen(rapid.IntRange(0, 3).Draw(r, "balance"))
			m.BalanceFen = &balance
			before := kept[key]
			card, err := cards.Send(context.Background(), "app1", m, now)
			if err == nil {
				newest = max(newest, second)
				again, errAgain := cards.Send(context.Background(), "app1", m, now.Add(time.Minute))
				if errAgain != nil || again.Revoked != card.Revoked || !again.Received.Equal(card.Received) {
					r.Fatalf("again: %+v, %v", again, errAgain)
				}
			}
			if after := kept[key]; after.LastUpdate.Before(before.LastUpdate) || !after.LastUpdate.Equal(now.Add(time.Duration(newest)*time.Second)) {
				r.Fatalf("time went from %s to %s", before.LastUpdate, after.LastUpdate)
			}
		}
	})
}
