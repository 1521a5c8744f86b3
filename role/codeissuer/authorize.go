// Package codeissuer is the code issuer (二维码发行机构, document 1 §5.1): it qualifies a user and signs the
// grant that the phone shows codes with.
package codeissuer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
)

// SlotCount is how many institution keys there are at the most (document 2 §4.2.1.1: usually 32).
const SlotCount = 32

// Slot is one institution key: its public half, and somebody who signs with the private one. The
// private key itself never comes here.
type Slot struct {
	ID     ridecode.KeyID
	Public *secp256k1.PublicKey
	Signer ridecode.Signer
}

// Qualifier tells whether a user may ride at all (document 1 §5.5: identity, credit, no debts). A
// payment institution can answer it.
type Qualifier interface {
	MayRide(ctx context.Context, user ridecode.UserID, now time.Time) (bool, error)
}

// Terms are what a grant allows. Each is also the most that a request may ask for.
type Terms struct {
	Lasts    time.Duration // how long the phone needs no network
	ValidSec uint16        // how long a shown code holds, seconds
	LimitFen money.Fen     // the most that one trade may cost
}

// DefaultTerms are those of production codes (wire-facts): a week, ten minutes, 30 yuan.
func DefaultTerms() Terms {
	return Terms{Lasts: 7 * 24 * time.Hour, ValidSec: 600, LimitFen: 3000}
}

// Issuer is one code issuer. It is safe for concurrent use.
type Issuer struct {
	institution ridecode.Quad
	slots       map[ridecode.KeyID]Slot
	list        []trust.Key
	active      KeyPolicy
	terms       Terms
	users       Qualifier
	risk        Risk
	cards       CardBook
	random      io.Reader
}

// Config is what an issuer is made of.
type Config struct {
	Institution ridecode.Quad // 机构编码
	Slots       []Slot        // 1 to 32, ids 0 to 31, each once
	Active      KeyPolicy
	Terms       Terms
	Users       Qualifier
	Risk        Risk      // nil: every grant may have all of Terms
	Cards       CardBook  // virtual cards; nil: none is granted, but the plain payment code
	Random      io.Reader // for user keys that the issuer makes
}

// New checks the slots and makes an issuer.
func New(c Config) (*Issuer, error) {
	if len(c.Slots) == 0 || len(c.Slots) > SlotCount {
		return nil, fmt.Errorf("codeissuer: %d institution keys, not 1 to %d (document 2 §4.2.1.1)", len(c.Slots), SlotCount)
	}
	i := &Issuer{institution: c.Institution, slots: make(map[ridecode.KeyID]Slot, len(c.Slots)),
		active: c.Active, terms: c.Terms, users: c.Users, risk: c.Risk, cards: c.Cards, random: c.Random}
	for _, slot := range c.Slots {
		if _, twice := i.slots[slot.ID]; twice || slot.ID >= SlotCount {
			return nil, fmt.Errorf("codeissuer: key id %d stands twice or is not below %d", slot.ID, SlotCount)
		}
		i.slots[slot.ID] = slot
		i.list = append(i.list, trust.Key{ID: slot.ID, Public: slot.Public})
	}
	return i, nil
}

// Keys is the list of public keys that key.query gives to terminals (document 2 §4.2.1).
func (i *Issuer) Keys() []trust.Key { return append([]trust.Key(nil), i.list...) }

// Request asks for a grant.
type Request struct {
	UserID   ridecode.UserID
	CardType ridecode.CardType // empty: the plain payment code
	CardNo   ridecode.CardNo   // empty: the user id, as production codes have it
	CardData []byte            // of a virtual card: empty, its card issuer has said it already
	Identity ridecode.Quad
	Terms    Terms // a zero field: the issuer's own
	// DeviceKey is the phone's public key when the phone made its pair; nil asks the issuer to make
	// one (document 1 §8.2.1).
	DeviceKey *secp192k1.PublicKey
}

// Authorization is what goes to the phone.
type Authorization struct {
	Grant   ridecode.SignedGrant
	UserKey *secp192k1.PrivateKey // nil when the phone brought its own
}

// Errors of Authorize, for errors.Is.
var (
	ErrNotQualified = errors.New("codeissuer: this user does not qualify for a grant now (document 1 §5.5)")
	ErrTerms        = errors.New("codeissuer: the terms asked for go beyond the issuer's")
	ErrNoActiveKey  = errors.New("codeissuer: the policy names a key that is in no slot")
)

// Authorize qualifies the user and signs a grant with the key that the policy names at this moment.
func (i *Issuer) Authorize(ctx context.Context, request Request, now time.Time) (Authorization, error) {
	terms, err := i.agree(request.Terms)
	if err != nil {
		return Authorization{}, err
	}
	if terms, err = i.bound(ctx, request.UserID, terms, now); err != nil {
		return Authorization{}, err
	}
	if err := i.qualify(ctx, request.UserID, now); err != nil {
		return Authorization{}, err
	}
	if request, err = i.takeCard(ctx, request); err != nil {
		return Authorization{}, err
	}
	slot, present := i.slots[i.active(now, i.list)]
	if !present {
		return Authorization{}, ErrNoActiveKey
	}
	public, private, err := i.userKey(request.DeviceKey)
	if err != nil {
		return Authorization{}, err
	}
	grant, err := i.grant(request, terms, public, now).Sign(slot.ID, slot.Signer)
	if err != nil {
		return Authorization{}, err
	}
	return Authorization{Grant: grant, UserKey: private}, nil
}

// Qualifies tells whether the user would get a grant now: nil, or what wraps ErrNotQualified.
func (i *Issuer) Qualifies(ctx context.Context, user ridecode.UserID, now time.Time) error {
	if _, err := i.bound(ctx, user, i.terms, now); err != nil {
		return err
	}
	return i.qualify(ctx, user, now)
}

func (i *Issuer) agree(asked Terms) (Terms, error) {
	terms := i.terms
	if asked.Lasts > terms.Lasts || asked.ValidSec > terms.ValidSec || asked.LimitFen > terms.LimitFen ||
		asked.Lasts < 0 || asked.LimitFen < 0 {
		return Terms{}, ErrTerms
	}
	if asked.Lasts > 0 {
		terms.Lasts = asked.Lasts
	}
	if asked.ValidSec > 0 {
		terms.ValidSec = asked.ValidSec
	}
	if asked.LimitFen > 0 {
		terms.LimitFen = asked.LimitFen
	}
	return terms, nil
}

func (i *Issuer) qualify(ctx context.Context, user ridecode.UserID, now time.Time) error {
	qualified, err := i.users.MayRide(ctx, user, now)
	if err != nil {
		return err
	}
	if !qualified {
		return ErrNotQualified
	}
	return nil
}

func (i *Issuer) userKey(device *secp192k1.PublicKey) (*secp192k1.PublicKey, *secp192k1.PrivateKey, error) {
	if device != nil {
		return device, nil, nil
	}
	private, err := secp192k1.GenerateKey(i.random)
	if err != nil {
		return nil, nil, err
	}
	return private.PublicKey(), private, nil
}

func (i *Issuer) grant(request Request, terms Terms, public *secp192k1.PublicKey, now time.Time) ridecode.Grant {
	grant := ridecode.Grant{
		UserID: request.UserID, Expires: now.Add(terms.Lasts), ValidSec: terms.ValidSec, LimitFen: terms.LimitFen,
		Identity: request.Identity, Institution: i.institution, UserKey: ridecode.UserKey(public.Bytes()),
		CardType: request.CardType, CardNo: request.CardNo, CardData: request.CardData,
	}
	if grant.CardType == "" {
		grant.CardType = ridecode.PlainCardType
	}
	if grant.CardNo == "" {
		grant.CardNo = ridecode.CardNo(request.UserID)
	}
	return grant
}
