package codeissuer

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// CardBook finds virtual cards; *Cards is one.
type CardBook interface {
	// Granted gives the card of a user as it may be shown now, or a *CardRefusal. Any other error means that it
	// cannot be told.
	Granted(ctx context.Context, key CardKey, user ridecode.UserID) (Card, error)
}

// CardRefusal says why a card gets no grant, and what its rider is told (document 2 §4.2.4.5).
type CardRefusal struct {
	Code string // CARD_OVERDUE, CARD_REVOKING, or one of ours
	Tips string // the card issuer's own words, or ours
}

// Codes of a CardRefusal beside those that a card issuer may send.
const (
	RefusedOverdue  = "CARD_OVERDUE"
	RefusedRevoking = "CARD_REVOKING"
	RefusedNone     = "CARD_NOT_EXIST" // or another user's: nobody is told which
	RefusedRevoked  = "CARD_REVOKED"
	RefusedDisabled = "CARD_DISABLED"
	RefusedNotYet   = "AGREEMENT_NOT_SIGNED"
)

func (r *CardRefusal) Error() string {
	return "codeissuer: no grant for this card: " + r.Code + ": " + r.Tips
}

// ErrCardData is the error of a request that says what a card's data is.
var ErrCardData = errors.New("codeissuer: a virtual card carries the card data that its card issuer has sent, and no other (document 2 §4.2.4.5)")

// takeCard puts the card into the request as its card issuer told it last: type, number and data. The plain
// payment code needs none.
func (i *Issuer) takeCard(ctx context.Context, request Request) (Request, error) {
	if request.CardType == "" || request.CardType == ridecode.PlainCardType {
		return request, nil
	}
	if i.cards == nil {
		return request, &CardRefusal{RefusedNone, "本机构不发行虚拟卡"}
	}
	card, err := i.cards.Granted(ctx, CardKey{Type: request.CardType, No: request.CardNo}, request.UserID)
	if err != nil {
		return request, err
	}
	if len(request.CardData) > 0 && !bytes.Equal(request.CardData, card.Data) {
		return request, ErrCardData
	}
	request.CardData = card.Data
	return request, nil
}

// Granted implements CardBook.
func (c *Cards) Granted(ctx context.Context, key CardKey, user ridecode.UserID) (Card, error) {
	card, exists, err := c.Shown(ctx, key, user)
	if err != nil {
		return Card{}, err
	}
	if !exists {
		return Card{}, &CardRefusal{RefusedNone, "卡片不存在，请先在发卡商户处开通"}
	}
	if refusal := card.refusal(); refusal != nil {
		return card, refusal
	}
	missing, err := c.agreements.missing(ctx, user, key.Type)
	if err == nil && missing {
		err = &CardRefusal{RefusedNotYet, "尚未签约公交付款服务，请先签约"}
	}
	return card, err
}

// Shown gives the card of a user, in whatever state. A card of a type that is not registered any more is none.
func (c *Cards) Shown(ctx context.Context, key CardKey, user ridecode.UserID) (card Card, exists bool, err error) {
	app, registered := c.types.CardTypeOwner(key.Type)
	if !registered || key.No == "" {
		return Card{}, false, nil
	}
	cards, err := c.store.Find(ctx, CardQuery{App: app, User: user, Type: key.Type, No: key.No, Revoked: true, Limit: 1})
	if err != nil || len(cards) == 0 || cards[0].User != user {
		return Card{}, false, err
	}
	return cards[0], true, nil
}

func (c Card) refusal() *CardRefusal {
	switch {
	case c.Revoked:
		return &CardRefusal{RefusedRevoked, "卡片已注销"}
	case c.Disabled && c.DisabledCode != "":
		return &CardRefusal{c.DisabledCode, c.DisabledTips}
	case c.Disabled:
		return &CardRefusal{RefusedDisabled, c.DisabledTips}
	}
	return nil
}

// StoppedCard is a card that gates turn away.
type StoppedCard struct {
	Key      CardKey
	Returned bool // revoked, or on the way there; else its card issuer has stopped it
}

// Stopped gives the cards of an app that belong on the deny list: those that were revoked or stopped, for as long
// as a grant from before may hold. A card that only owes is not among them: it gets no further grant, and a
// top-up is not to wait for the next list.
func (c *Cards) Stopped(ctx context.Context, app AppID, now time.Time, terms Terms) ([]StoppedCard, error) {
	const most = 1 << 30
	cards, err := c.store.Find(ctx, CardQuery{App: app, Revoked: true, Stopped: true, Since: now.Add(-terms.Lasts - 24*time.Hour), Limit: most})
	var stopped []StoppedCard
	for _, card := range cards {
		if card.Revoked || card.DisabledCode != RefusedOverdue {
			stopped = append(stopped, StoppedCard{Key: card.Key, Returned: card.Revoked || card.DisabledCode == RefusedRevoking})
		}
	}
	return stopped, err
}
