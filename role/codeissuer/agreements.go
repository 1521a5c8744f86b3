package codeissuer

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// Agreement is a user's word that rides with cards of a type are taken from his payment account (公交付款服务签约,
// document 2 §4.3.1.1).
type Agreement struct {
	Number   string // 协议号, unique
	User     ridecode.UserID
	CardType ridecode.CardType
	App      AppID             // whose card type it was
	Text     [sha256.Size]byte // of the agreement that was shown
	Signed   time.Time
	Ended    time.Time // zero: it holds
}

// AgreementStore keeps agreements. An implementation is durable. edge/store has one on SQLite, edge/store/postgres
// one on PostgreSQL. Instants are kept to the microsecond. Agreements are ended, never changed or removed.
type AgreementStore interface {
	// Sign keeps an agreement, unless the user has one that holds for the card type, and gives the one that holds.
	Sign(ctx context.Context, agreement Agreement) (Agreement, error)
	// Current gives the one that holds.
	Current(ctx context.Context, user ridecode.UserID, cardType ridecode.CardType) (agreement Agreement, holds bool, err error)
	// End ends the one that holds; where none does, nothing happens.
	End(ctx context.Context, user ridecode.UserID, cardType ridecode.CardType, at time.Time) error
}

// PostpaidTypes tells which card types need an agreement.
type PostpaidTypes interface {
	IsPostpaid(cardType ridecode.CardType) bool
}

// Agreements is who has signed up to what. It is safe for concurrent use.
type Agreements struct {
	store AgreementStore
	types interface {
		CardTypes
		PostpaidTypes
	}
}

// NewAgreements makes a register of what the store keeps.
func NewAgreements(store AgreementStore, types interface {
	CardTypes
	PostpaidTypes
}) *Agreements {
	return &Agreements{store: store, types: types}
}

// WithAgreements is the register that takes no postpaid card whose rider has not signed up: the redirect that tells
// a merchant of it (isCreditOpened) is carried by the rider, who may write there what he likes.
func (c *Cards) WithAgreements(agreements *Agreements) *Cards {
	return &Cards{store: c.store, types: c.types, agreements: agreements}
}

// ErrNoCardType is the error of an agreement about a type that nobody has registered.
var ErrNoCardType = errors.New("codeissuer: this card type is not registered (document 2 §4.2.4.3)")

// Sign keeps a user's word. Signed again it stays the agreement of the first time.
func (a *Agreements) Sign(ctx context.Context, number string, user ridecode.UserID, cardType ridecode.CardType, text string, now time.Time) (Agreement, error) {
	app, registered := a.types.CardTypeOwner(cardType)
	if !registered {
		return Agreement{}, ErrNoCardType
	}
	return a.store.Sign(ctx, Agreement{Number: number, User: user, CardType: cardType, App: app, Text: sha256.Sum256([]byte(text)),
		Signed: now.UTC().Truncate(time.Microsecond)})
}

// Current gives the agreement that holds.
func (a *Agreements) Current(ctx context.Context, user ridecode.UserID, cardType ridecode.CardType) (Agreement, bool, error) {
	return a.store.Current(ctx, user, cardType)
}

// End ends an agreement (解约): the user's postpaid cards of this type get no further grant.
func (a *Agreements) End(ctx context.Context, user ridecode.UserID, cardType ridecode.CardType, now time.Time) error {
	return a.store.End(ctx, user, cardType, now.UTC().Truncate(time.Microsecond))
}

// missing tells whether a card of this type waits for its user's agreement.
func (a *Agreements) missing(ctx context.Context, user ridecode.UserID, cardType ridecode.CardType) (bool, error) {
	if a == nil || !a.types.IsPostpaid(cardType) {
		return false, nil
	}
	_, holds, err := a.store.Current(ctx, user, cardType)
	return !holds, err
}

// lacksAgreement asks for the card that a message issues.
func (c *Cards) lacksAgreement(ctx context.Context, m CardMessage) (bool, error) {
	if m.Action != IssueCard {
		return false, nil
	}
	return c.agreements.missing(ctx, m.User, m.Key.Type)
}
