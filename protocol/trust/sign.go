package trust

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"sort"
	"time"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Signer signs trust bundles and deltas, and nothing else, so that it is no oracle: what it is given
// begins with "shuama trust ".
type Signer interface {
	PublicKey() ed25519.PublicKey
	SignTrust(message []byte) ([]byte, error) // Ed25519, 64 bytes
}

// SeedSigner is a Signer with its private key in memory.
type SeedSigner struct{ private ed25519.PrivateKey }

// NewSeedSigner takes the 32 bytes of a private key, the seed of RFC 8032 §5.1.5.
func NewSeedSigner(seed []byte) (SeedSigner, error) {
	if len(seed) != ed25519.SeedSize {
		return SeedSigner{}, bundleError("authority seed", "not 32 bytes")
	}
	return SeedSigner{private: ed25519.NewKeyFromSeed(seed)}, nil
}

// PublicKey is what terminals are given.
func (s SeedSigner) PublicKey() ed25519.PublicKey { return s.private.Public().(ed25519.PublicKey) }

// SignTrust refuses what is not one of this package's documents.
func (s SeedSigner) SignTrust(message []byte) ([]byte, error) {
	if !bytes.HasPrefix(message, []byte(domainBundle)) && !bytes.HasPrefix(message, []byte(domainDelta)) {
		return nil, bundleError("what is signed", "neither a trust bundle nor a delta")
	}
	return ed25519.Sign(s.private, message), nil
}

// String hides the key.
func (SeedSigner) String() string { return "trust authority key (hidden)" }

// GoString hides the key.
func (s SeedSigner) GoString() string { return s.String() }

// Sign writes the bundle. The first field that does not fit is the error. A bundle that terminals would
// refuse as a whole is not written.
func (d Draft) Sign(authority Signer) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	sections, err := d.sections()
	if err != nil {
		return nil, err
	}
	h := head{signer: NameSigner(authority.PublicKey()), serial: d.Serial, issued: d.Issued, alarmFrom: d.AlarmFrom,
		staleAfter: d.StaleAfter, deadAfter: d.DeadAfter, graceLimitFen: d.GraceLimitFen}
	body := h.append(nil)
	for _, s := range sections {
		body = s.append(body)
	}
	signed, err := appendSignature(body, domainBundle, authority)
	if err != nil {
		return nil, err
	}
	_, err = parseAndVerify(signed, authority.PublicKey())
	return signed, err
}

// parseAndVerify is what a terminal will do with it.
func parseAndVerify(b []byte, public ed25519.PublicKey) (*Bundle, error) {
	u, err := Parse(b)
	if err != nil {
		return nil, err
	}
	authority, err := NewAuthority(public)
	if err != nil {
		return nil, err
	}
	return u.Verify(authority)
}

func appendSignature(body []byte, domain string, authority Signer) ([]byte, error) {
	signature, err := authority.SignTrust(append([]byte(domain), body...))
	if err != nil {
		return nil, err
	}
	if len(signature) != ed25519.SignatureSize {
		return nil, bundleError("signature", "the signer did not give 64 bytes")
	}
	return append(body, signature...), nil
}

func (d Draft) check() error {
	for _, t := range []struct {
		name string
		time time.Time
	}{{"issued", d.Issued}, {"alarm from", d.AlarmFrom}, {"stale after", d.StaleAfter}, {"dead after", d.DeadAfter}} {
		if seconds := t.time.Unix(); seconds < 0 || seconds > 1<<32-1 {
			return bundleError(t.name, "not a time between 1970 and 2106")
		}
	}
	switch {
	case d.GraceLimitFen < 0 || d.GraceLimitFen > 65535:
		return bundleError("grace limit", "not from 0 to 65535 fen")
	case d.Clock.Policy.FutureSec < 0 || d.Clock.Policy.FutureSec > 65535:
		return bundleError("future", "not from 0 to 65535 s")
	case len(d.Keys) > MaxKeys || len(d.CardRules) > MaxCardRules:
		return bundleError("keys or card rules", "more than 256 keys or 4096 card rules")
	}
	for _, key := range d.Keys {
		if len(key.Public) > 255 {
			return bundleError("key", "longer than 255 bytes")
		}
	}
	return d.checkCards()
}

func (d Draft) checkCards() error {
	for _, rule := range d.CardRules {
		if len(rule.Type) != typeSize || !form.IsPrintable(rule.Type) {
			return bundleError("card rule", "the card type is not 8 characters of printable ASCII")
		}
	}
	for _, denied := range d.DeniedUsers {
		if !validUser(denied.User) {
			return bundleError("denied users", "a user id is not 16 characters of printable ASCII")
		}
	}
	for _, denied := range d.DeniedCards {
		if len(denied.Card.Type) != typeSize || denied.Card.No == "" || len(denied.Card.No) > cardNoSize ||
			!form.IsPrintable(denied.Card.Type) || !form.IsPrintable(denied.Card.No) {
			return bundleError("denied cards", "a card has no number, or type or number is not printable ASCII")
		}
	}
	return nil
}

func validUser(user ridecode.UserID) bool { return len(user) == userSize && form.IsPrintable(user) }

func (d Draft) sections() ([sectionCount]section, error) {
	denied, err := newDenyList(d.DeniedUsers, d.DeniedCards)
	if err != nil {
		return [sectionCount]section{}, err
	}
	keys := slices.Clone(d.Keys)
	sort.SliceStable(keys, func(i, j int) bool { return keys[i].ID < keys[j].ID })
	return [sectionCount]section{
		sectionKeys:      {d.Versions.Keys, appendKeys(nil, keys)},
		sectionCardRules: {d.Versions.CardRules, appendCardRules(nil, d.CardRules)},
		sectionDenyList:  {d.Versions.DenyList, denied.append(nil)},
		sectionClock:     {d.Versions.Clock, d.Clock.append(nil)},
	}, nil
}
