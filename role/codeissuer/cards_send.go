package codeissuer

import (
	"bytes"
	"context"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// CardAction is what a merchant tells of a card (action, document 2 §4.2.4.5).
type CardAction string

// The actions.
const (
	IssueCard  CardAction = "ISSUE"
	UpdateCard CardAction = "UPDATE"
	RevokeCard CardAction = "REVOKE"
)

// CardMessage is one message about a card. A nil member was not sent: the card keeps what it has.
type CardMessage struct {
	Action       CardAction
	SubAction    string
	Key          CardKey
	User         ridecode.UserID
	OpenID       string
	LastUpdate   time.Time
	Data         []byte
	BalanceFen   *money.Fen
	Disabled     *bool
	DisabledCode *string
	DisabledTips *string
	Scene        *string
	ExtInfo      *string
}

// CardFault is why a message changed nothing (sub_error_code; document 2 §4.2.4.7 gives CARD_NOT_EXIST and leaves
// the others open, DIVERGENCES). With several it is the first of this list.
type CardFault string

// The faults, in order of precedence.
const (
	CardTypeNotRegistered CardFault = "CARD_TYPE_NOT_REGISTERED" // or another app's: nobody is told which
	CardTimeInFuture      CardFault = "LAST_UPDATE_TIME_IN_FUTURE"
	CardNotExist          CardFault = "CARD_NOT_EXIST"
	CardOfOtherUser       CardFault = "CARD_USER_MISMATCH"
	CardOutdated          CardFault = "CARD_DATA_OUTDATED"
	CardIsRevoked         CardFault = "CARD_REVOKED"
	CardNotAgreed         CardFault = "AGREEMENT_NOT_SIGNED" // a postpaid card, and its rider has not signed up
)

// CardError says that a message changed nothing, and why.
type CardError struct{ Fault CardFault }

func (e *CardError) Error() string { return "codeissuer: card: " + string(e.Fault) }

// cardFuture is how far ahead of our clock a last_update_time may be. Clients write their local time as if it
// were Beijing's (gateway-facts §7): half a day is honest. Further ahead it would lock the card for good.
const cardFuture = 24 * time.Hour

// Send takes a message of an app and gives the card as it stands then. A message that comes again changes
// nothing and is answered alike. Errors: *CardError; any other means that nobody knows: send it again.
func (c *Cards) Send(ctx context.Context, app AppID, m CardMessage, now time.Time) (Card, error) {
	if owner, registered := c.types.CardTypeOwner(m.Key.Type); !registered || owner != app {
		return Card{}, &CardError{CardTypeNotRegistered}
	}
	if m.LastUpdate.After(now.Add(cardFuture)) {
		return Card{}, &CardError{CardTimeInFuture}
	}
	missing, err := c.lacksAgreement(ctx, m)
	if err != nil {
		return Card{}, err
	}
	var kept Card
	err = c.store.Change(ctx, m.Key, func(card Card, exists bool) (Card, bool, error) {
		next, err := m.apply(app, card, exists)
		if err == nil && missing && (!exists || card.Revoked) {
			err = &CardError{CardNotAgreed}
		}
		changed := err == nil && !card.same(next)
		if changed {
			next.Received = now
		}
		kept = next
		return next, changed, err
	})
	if err != nil {
		return Card{}, err
	}
	return kept, nil
}

// apply gives the card after the message. It is pure.
func (m *CardMessage) apply(app AppID, card Card, exists bool) (Card, error) {
	switch {
	case !exists && m.Action != IssueCard, exists && card.App != app:
		return Card{}, &CardError{CardNotExist}
	case !exists:
		return m.over(Card{Key: m.Key, App: app, User: m.User}), nil
	case card.User != m.User:
		return Card{}, &CardError{CardOfOtherUser}
	}
	next := m.over(card)
	if card.Revoked && m.Action == IssueCard { // a card that is issued again begins anew
		next = m.over(Card{Key: card.Key, App: card.App, User: card.User})
	}
	switch {
	case card.same(next):
		return card, nil
	case m.LastUpdate.Before(card.LastUpdate):
		return Card{}, &CardError{CardOutdated}
	case card.Revoked && m.Action == UpdateCard:
		return Card{}, &CardError{CardIsRevoked}
	}
	return next, nil
}

// over lays what was sent over the card. Of two messages of one second, the later to come counts.
func (m *CardMessage) over(card Card) Card {
	card.LastUpdate, card.SubAction, card.Revoked = m.LastUpdate, m.SubAction, m.Action == RevokeCard
	if m.OpenID != "" {
		card.OpenID = m.OpenID
	}
	if m.Data != nil {
		card.Data = m.Data
	}
	if m.BalanceFen != nil {
		card.BalanceFen = m.BalanceFen
	}
	if m.Disabled != nil {
		card.Disabled = *m.Disabled
	}
	for _, member := range []struct {
		sent *string
		kept *string
	}{{m.DisabledCode, &card.DisabledCode}, {m.DisabledTips, &card.DisabledTips}, {m.Scene, &card.Scene}, {m.ExtInfo, &card.ExtInfo}} {
		if member.sent != nil {
			*member.kept = *member.sent
		}
	}
	if !card.Disabled {
		card.DisabledCode, card.DisabledTips = "", ""
	}
	return card
}

// same compares all but when the message came.
func (c Card) same(other Card) bool {
	sameBalance := (c.BalanceFen == nil) == (other.BalanceFen == nil) && (c.BalanceFen == nil || *c.BalanceFen == *other.BalanceFen)
	return sameBalance && c.Key == other.Key && c.App == other.App && c.User == other.User && c.OpenID == other.OpenID &&
		bytes.Equal(c.Data, other.Data) && c.Disabled == other.Disabled && c.DisabledCode == other.DisabledCode &&
		c.DisabledTips == other.DisabledTips && c.Scene == other.Scene && c.ExtInfo == other.ExtInfo &&
		c.SubAction == other.SubAction && c.Revoked == other.Revoked && c.LastUpdate.Equal(other.LastUpdate)
}
