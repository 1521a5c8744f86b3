package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"
)

// Texts before what is signed, so that a signature over one kind of document is none over another.
const (
	domainBundle = "shuama trust bundle 1\n"
	domainDelta  = "shuama trust delta 1\n"
)

// Reason says why a document that has its form is not taken. errors.Is finds it in an error.
type Reason string

// The reasons, in order of precedence. UnknownSigner is "I cannot tell": the reader's key may be the
// older one. It is never reported as fraud.
const (
	UnknownSigner Reason = "unknown_signer" // by none of the keys known here
	BadSignature  Reason = "bad_signature"  // by a known key it says, and it is not
	RolledBack    Reason = "rolled_back"    // older than what the terminal has
	Forked        Reason = "forked"         // of the same serial as what the terminal has, and not the same
	WrongBase     Reason = "wrong_base"     // a delta from another bundle than the one at hand
	WrongResult   Reason = "wrong_result"   // a delta that does not lead to the bundle that it announces
	Unusable      Reason = "unusable"       // no key or no card rule that this reader can use
)

func (r Reason) Error() string { return string(r) }

// Refusal is the error of a document that is not taken.
type Refusal struct {
	Reason Reason
	Why    string // one sentence, for people
}

func (e *Refusal) Error() string { return string(e.Reason) + ": " + e.Why }

// Unwrap gives the reason to errors.Is.
func (e *Refusal) Unwrap() error { return e.Reason }

func refuse(reason Reason, format string, args ...any) error {
	return &Refusal{Reason: reason, Why: fmt.Sprintf(format, args...)}
}

// Authority is the one or two public keys whose bundles a reader takes. It comes from outside, never
// from a bundle: a bundle that named its own key would prove nothing. Two are for rotation: give
// terminals the new one beside the old, sign with the new, take the old away.
type Authority struct{ keys []ed25519.PublicKey }

// NewAuthority takes one or two Ed25519 public keys.
func NewAuthority(keys ...ed25519.PublicKey) (Authority, error) {
	if len(keys) == 0 || len(keys) > 2 || len(keys) == 2 && keys[0].Equal(keys[1]) {
		return Authority{}, bundleError("authority keys", "not one key, or two different ones")
	}
	var a Authority
	for _, key := range keys {
		if len(key) != ed25519.PublicKeySize {
			return Authority{}, bundleError("authority keys", "not 32 bytes, which an Ed25519 public key has")
		}
		a.keys = append(a.keys, slices.Clone(key))
	}
	return a, nil
}

const signerSize = 8

// SignerID names a key in a document, so that "not by a key known here" and "forged" are told apart.
type SignerID [signerSize]byte

// NameSigner is the first eight bytes of SHA-256 of the public key.
func NameSigner(public ed25519.PublicKey) SignerID {
	digest := sha256.Sum256(public)
	return SignerID(digest[:signerSize])
}

func (a Authority) check(signer SignerID, domain string, signed, signature []byte) error {
	for _, key := range a.keys {
		if NameSigner(key) != signer {
			continue
		}
		if !ed25519.Verify(key, append([]byte(domain), signed...), signature) {
			return refuse(BadSignature, "not made by the key %x that it names, over these bytes", signer)
		}
		return nil
	}
	return refuse(UnknownSigner, "made by the key %x, which is not known here", signer)
}

// Verify checks the signature and loads what this reader can use. A key or card rule that cannot be
// used is rejected alone and stands in the report; a bundle that leaves no key or no card rule is
// refused, so that a terminal keeps the one it has. Whether it is newer, Succeeds says; whether it still
// holds, Staleness.
func (u *Unverified) Verify(authority Authority) (*Bundle, error) {
	if err := authority.check(u.head.signer, domainBundle, u.signed, u.raw[len(u.signed):]); err != nil {
		return nil, err
	}
	b := &Bundle{u: u}
	b.load()
	if len(b.keys) == 0 || len(b.cardRules) == 0 {
		return nil, refuse(Unusable, "%s: without a key and a card rule no code can be taken", b.report)
	}
	return b, nil
}

func (b *Bundle) load() {
	u := b.u
	reject := func(item string, err error) {
		b.report.Rejected = append(b.report.Rejected, Rejection{Item: item, Why: err.Error()})
	}
	for _, encoded := range u.keys {
		if key, err := encoded.decode(); err == nil {
			b.keys = append(b.keys, key)
		} else {
			reject(fmt.Sprintf("key %d", encoded.ID), err)
		}
	}
	for i, encoded := range u.cardRules {
		if rule, err := decodeCardRule(encoded); err == nil {
			b.cardRules = append(b.cardRules, rule)
		} else {
			reject(fmt.Sprintf("card rule %d", i), err)
		}
	}
	b.report.KeyCount, b.report.CardRuleCount, b.report.Versions = len(b.keys), len(b.cardRules), u.versions()
	b.report.DeniedUserCount, b.report.DeniedCardCount = u.denied.userCount(), len(u.denied.cardAt)
}

// Mark is how far a terminal has come. Keep it apart from the bundle's file, so that putting an old
// file back does not take the mark back with it.
type Mark struct {
	Serial   uint64
	Digest   Digest
	Issued   time.Time
	Versions Versions
}

// Mark is the one of this bundle.
func (b *Bundle) Mark() Mark {
	return Mark{Serial: b.Serial(), Digest: b.Digest(), Issued: b.Issued(), Versions: b.Versions()}
}

// Succeeds tells whether a terminal that has come to mark may take this bundle; nil: it may. The same
// bundle again may be taken, an older one never: whoever replays it would bring back lost cards and
// stolen keys. The zero Mark is that of a new terminal.
func (b *Bundle) Succeeds(mark Mark) error {
	have, old := b.Versions(), mark.Versions
	switch {
	case b.Serial() < mark.Serial:
		return refuse(RolledBack, "serial %d, and %d is here already", b.Serial(), mark.Serial)
	case b.Serial() == mark.Serial && b.Digest() != mark.Digest:
		return refuse(Forked, "another bundle of serial %d is here already", mark.Serial)
	case b.Issued().Before(mark.Issued):
		return refuse(RolledBack, "issued at %s, before the one that is here", b.Issued().Format(time.RFC3339))
	case have.Keys < old.Keys || have.CardRules < old.CardRules || have.DenyList < old.DenyList || have.Clock < old.Clock:
		return refuse(RolledBack, "a section is of an older version than the one that is here")
	}
	return nil
}
