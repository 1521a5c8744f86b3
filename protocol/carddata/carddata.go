// Package carddata is the rule of card data (票卡数据规则): how a card issuer seals what it says of a card
// into the card data of a ride code, and how a terminal opens it (document 1 §5.2 steps 1 and 5;
// document 2 §3.1.1 step 8).
//
// The documents leave the rule to the two of them. Rule is what a terminal needs of any: a rule of an
// issuer's own, or one behind a PSAM (terminal-facts R16), is another implementation. The two here are
// AES-256-GCM and SM4-GCM.
//
// A terminal that opens card data could also seal some, for both are done with one key. That is enough
// only because the code issuer signs the card data within its grant: sealing keeps riders from reading
// and from moving card data, the grant's signature keeps everybody from inventing it.
package carddata

import (
	"io"
	"time"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Bounds, in bytes.
const (
	// MaxSize bounds card data: the buffers of the SDK take 65 with their end (document 2 §4.1.3.6).
	MaxSize = 64
	// MaxPayload bounds what an issuer says of a card.
	MaxPayload = 20
)

const (
	clauseData = "document 1 §6.3.2, card data"
	clauseCard = "document 1 §6.3.2"
)

// Card is the card that card data belongs to, as the code around it names it.
type Card struct {
	Institution ridecode.Quad // 机构编码
	Type        ridecode.CardType
	No          ridecode.CardNo
	User        ridecode.UserID
}

// CardOf is the card of a grant.
func CardOf(grant *ridecode.Grant) Card {
	return Card{Institution: grant.Institution, Type: grant.CardType, No: grant.CardNo, User: grant.UserID}
}

// Content is what a card issuer says of a card.
type Content struct {
	Payload []byte    // at most MaxPayload bytes, the issuer's own; nobody else can read it
	Expires time.Time // the last second at which it holds; whole seconds, UTC; anybody can read it
}

// Rule is what card issuer and terminal agreed on. Implementations are safe for concurrent use.
type Rule interface {
	// Seal makes card data for one card. The nonces are random bytes, as from crypto/rand.
	Seal(card Card, content Content, nonces io.Reader) ([]byte, error)
	// Open reads the card data of a verified code, at the moment now. The error is a *form.Error for
	// data without the form, or a *Refusal; the content is then empty.
	Open(card Card, data []byte, now time.Time) (Content, error)
}

// Reason says why card data that has its form is not taken. errors.Is finds it in an error.
type Reason string

// The reasons, in order of precedence. UnknownKey is "I cannot tell": the terminal's keys may be the
// older ones. It is never reported as fraud.
const (
	UnknownKey Reason = "unknown_key" // sealed with a key that is not known here
	NotGenuine Reason = "not_genuine" // changed, or of another card
	Expired    Reason = "expired"     // of this card, and over
)

func (r Reason) Error() string { return string(r) }

// Refusal is the error of card data that is not taken.
type Refusal struct {
	Reason Reason
	Why    string // one sentence, for people; no content, no card number
}

func (e *Refusal) Error() string { return string(e.Reason) + ": " + e.Why }

// Unwrap gives the reason to errors.Is.
func (e *Refusal) Unwrap() error { return e.Reason }

func fieldError(field, clause, why string) error {
	return &form.Error{Field: field, Offset: -1, Clause: clause, Why: why}
}
