package codeissuer_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
)

// signed is an AgreementStore that is gone with the test; edge/store has the real ones.
type signed map[ridecode.UserID]codeissuer.Agreement

func (s signed) Sign(_ context.Context, a codeissuer.Agreement) (codeissuer.Agreement, error) {
	if before, holds := s[a.User]; holds {
		return before, nil
	}
	s[a.User] = a
	return a, nil
}

func (s signed) Current(_ context.Context, user ridecode.UserID, _ ridecode.CardType) (codeissuer.Agreement, bool, error) {
	a, holds := s[user]
	return a, holds, nil
}

func (s signed) End(_ context.Context, user ridecode.UserID, _ ridecode.CardType, _ time.Time) error {
	delete(s, user)
	return nil
}

// postpaidTypes is ownedTypes whose GJ320000 is postpaid.
type postpaidTypes struct{ ownedTypes }

func (postpaidTypes) IsPostpaid(cardType ridecode.CardType) bool { return cardType == "GJ320000" }

// Each state of a card, and what its rider is told.
func TestGrantOfACard(t *testing.T) {
	const user, other ridecode.UserID = "2088000011112222", "2088000011112223"
	good := codeissuer.Card{Key: codeissuer.CardKey{Type: "GJ310000", No: "1"}, App: "app1", User: user, Data: []byte{0xca, 0xfe}}
	for name, test := range map[string]struct {
		change func(*codeissuer.Card)
		want   codeissuer.CardRefusal
	}{
		"good": {func(*codeissuer.Card) {}, codeissuer.CardRefusal{}},
		"overdue": {func(c *codeissuer.Card) {
			c.Disabled, c.DisabledCode, c.DisabledTips = true, "CARD_OVERDUE", "欠费2.00元"
		}, codeissuer.CardRefusal{Code: "CARD_OVERDUE", Tips: "欠费2.00元"}},
		"revoking": {func(c *codeissuer.Card) {
			c.Disabled, c.DisabledCode, c.DisabledTips = true, "CARD_REVOKING", "退卡中"
		}, codeissuer.CardRefusal{Code: "CARD_REVOKING", Tips: "退卡中"}},
		"stopped":       {func(c *codeissuer.Card) { c.Disabled, c.DisabledTips = true, "已挂失" }, codeissuer.CardRefusal{Code: "CARD_DISABLED", Tips: "已挂失"}},
		"revoked":       {func(c *codeissuer.Card) { c.Revoked = true }, codeissuer.CardRefusal{Code: "CARD_REVOKED", Tips: "卡片已注销"}},
		"another's":     {func(c *codeissuer.Card) { c.User = other }, codeissuer.CardRefusal{Code: "CARD_NOT_EXIST", Tips: "卡片不存在，请先在发卡商户处开通"}},
		"another app's": {func(c *codeissuer.Card) { c.App = "app2" }, codeissuer.CardRefusal{Code: "CARD_NOT_EXIST", Tips: "卡片不存在，请先在发卡商户处开通"}},
	} {
		kept, cards := register()
		card := good
		test.change(&card)
		kept[card.Key] = card
		got, err := newIssuerWith(t, codeissuer.AlwaysKey(0), cards).Authorize(t.Context(), codeissuer.Request{UserID: user, CardType: "GJ310000", CardNo: "1"}, now)
		var refusal *codeissuer.CardRefusal
		if errors.As(err, &refusal) != (test.want.Code != "") || refusal != nil && *refusal != test.want {
			t.Errorf("%s: %v, want %+v", name, err, test.want)
		}
		if err == nil && !bytes.Equal(got.Grant.Grant().CardData, good.Data) {
			t.Errorf("%s: card data %x", name, got.Grant.Grant().CardData)
		}
	}
}

// Card data is the card issuer's word, and without a register there are no cards.
func TestGrantOfOtherCardData(t *testing.T) {
	kept, cards := register()
	key := codeissuer.CardKey{Type: "GJ310000", No: "1"}
	kept[key] = codeissuer.Card{Key: key, App: "app1", User: "2088000011112222", Data: []byte{1}}
	request := codeissuer.Request{UserID: "2088000011112222", CardType: "GJ310000", CardNo: "1", CardData: []byte{2}}
	if _, err := newIssuerWith(t, codeissuer.AlwaysKey(0), cards).Authorize(t.Context(), request, now); !errors.Is(err, codeissuer.ErrCardData) {
		t.Error(err)
	}
	var refusal *codeissuer.CardRefusal
	if _, err := newIssuer(t, codeissuer.AlwaysKey(0)).Authorize(t.Context(), request, now); !errors.As(err, &refusal) {
		t.Error(err)
	}
}

// A postpaid card is issued once its rider has signed up, and granted for as long as that holds.
func TestPostpaidNeedsAgreement(t *testing.T) {
	kept, types := shelf{}, postpaidTypes{ownedTypes{"GJ310000": "app1", "GJ320000": "app2"}}
	agreements := codeissuer.NewAgreements(signed{}, types)
	cards := codeissuer.NewCards(kept, types).WithAgreements(agreements)
	issuer, ctx := newIssuerWith(t, codeissuer.AlwaysKey(0), cards), t.Context()
	issue := message(codeissuer.IssueCard, 1)
	issue.Key.Type = "GJ320000"
	_, err := cards.Send(ctx, "app2", issue, now)
	if faultOf(t, err) != codeissuer.CardNotAgreed || len(kept) != 0 {
		t.Errorf("issued without an agreement: %v", err)
	}
	if _, err := agreements.Sign(ctx, "A1", issue.User, "GJ999999", "", now); !errors.Is(err, codeissuer.ErrNoCardType) {
		t.Error(err)
	}
	for range 2 {
		if _, err := agreements.Sign(ctx, "A1", issue.User, "GJ320000", "协议", now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = cards.Send(ctx, "app2", issue, now); err != nil {
		t.Fatal(err)
	}
	request := codeissuer.Request{UserID: issue.User, CardType: "GJ320000", CardNo: "1"}
	if _, err = issuer.Authorize(ctx, request, now); err != nil {
		t.Error(err)
	}
	if err = agreements.End(ctx, issue.User, "GJ320000", now); err != nil {
		t.Fatal(err)
	}
	var refusal *codeissuer.CardRefusal
	if _, err = issuer.Authorize(ctx, request, now); !errors.As(err, &refusal) || refusal.Code != codeissuer.RefusedNotYet {
		t.Errorf("granted after the agreement has ended: %v", err)
	}
	update := issue
	update.Action, update.LastUpdate = codeissuer.UpdateCard, issue.LastUpdate.Add(time.Second)
	if _, err = cards.Send(ctx, "app2", update, now); err != nil { // what became of a card is told all the same
		t.Error(err)
	}
}

// What gates turn away: revoked, on the way there, or stopped; not what only owes, and not for ever.
func TestStoppedCards(t *testing.T) {
	kept, cards := register()
	for no, change := range map[ridecode.CardNo]func(*codeissuer.Card){
		"good":     func(*codeissuer.Card) {},
		"revoked":  func(c *codeissuer.Card) { c.Revoked = true },
		"longago":  func(c *codeissuer.Card) { c.Revoked, c.Received = true, now.AddDate(0, 0, -9) },
		"overdue":  func(c *codeissuer.Card) { c.Disabled, c.DisabledCode = true, "CARD_OVERDUE" },
		"revoking": func(c *codeissuer.Card) { c.Disabled, c.DisabledCode = true, "CARD_REVOKING" },
		"lost":     func(c *codeissuer.Card) { c.Disabled = true },
	} {
		card := codeissuer.Card{Key: codeissuer.CardKey{Type: "GJ310000", No: no}, App: "app1", Received: now}
		change(&card)
		kept[card.Key] = card
	}
	stopped, err := cards.Stopped(t.Context(), "app1", now, codeissuer.DefaultTerms())
	got := map[ridecode.CardNo]bool{}
	for _, card := range stopped {
		got[card.Key.No] = card.Returned
	}
	if returned, is := got["lost"]; err != nil || len(got) != 3 || !got["revoked"] || !got["revoking"] || !is || returned {
		t.Errorf("%+v, %v", got, err)
	}
}
