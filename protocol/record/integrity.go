package record

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Algorithm names how an integrity value is made. The record does not carry it (document 1 §7.2.5:
// agreed between terminal and payment institution); it is part of a terminal's registration.
type Algorithm string

// The algorithms, from weak to strong.
const (
	// LegacyHMACMD5 is HMAC-MD5 keyed with the user id, 16 bytes, as terminals of 2018 write it
	// (wire-facts). Whoever has the code can compute it: it tells of damage, not of the terminal.
	LegacyHMACMD5 Algorithm = "hmac-md5-user-id"
	// HMACSHA256 is HMAC-SHA256, 32 bytes, under a key that terminal and payment institution share.
	// Either of the two can make it, so it convinces those two and nobody else.
	HMACSHA256 Algorithm = "hmac-sha256"
	// ECDSASHA256 is ECDSA on secp256k1 over SHA-256, r and s in 64 bytes. Only the terminal can make
	// it, so that a dispute may reach a third party; Ed25519 is its successor.
	ECDSASHA256 Algorithm = "ecdsa-secp256k1-sha256"
)

// Integrity checks the integrity value of one terminal's records.
type Integrity interface {
	Algorithm() Algorithm
	// VerifyIntegrity tells whether value was made over message, in a record of a code of user.
	VerifyIntegrity(user ridecode.UserID, message, value []byte) bool
}

// IntegritySigner makes the integrity value of one terminal's records.
type IntegritySigner interface {
	Algorithm() Algorithm
	IntegritySize() int // bytes; the record's header counts them before they are made
	SignIntegrity(user ridecode.UserID, message []byte) ([]byte, error)
}

// Sign writes the record with the integrity value that the terminal makes over it. The user is the
// one of the code; c.Integrity is not read.
func (c *Record) Sign(user ridecode.UserID, terminal IntegritySigner) ([]byte, error) {
	signed, err := c.appendSigned(nil, terminal.IntegritySize())
	if err != nil {
		return nil, err
	}
	value, err := terminal.SignIntegrity(user, signed)
	if err != nil {
		return nil, err
	}
	if len(value) != terminal.IntegritySize() {
		return nil, fieldError("integrity value", clauseIntegrity, "not of the size that the header counted")
	}
	return appendPart(signed, value), nil
}

// VerifyIntegrity tells whether the record's integrity value is the terminal's, over the bytes as
// they came: never over bytes written anew.
func (u *Unverified) VerifyIntegrity(user ridecode.UserID, terminal Integrity) bool {
	return terminal.VerifyIntegrity(user, u.signed, u.record.Integrity)
}

// Legacy is LegacyHMACMD5: it has no key of its own.
type Legacy struct{}

// Algorithm is LegacyHMACMD5.
func (Legacy) Algorithm() Algorithm { return LegacyHMACMD5 }

// IntegritySize is 16 bytes.
func (Legacy) IntegritySize() int { return md5.Size }

// SignIntegrity makes the value; it never fails.
func (Legacy) SignIntegrity(user ridecode.UserID, message []byte) ([]byte, error) {
	mac := hmac.New(md5.New, []byte(user))
	mac.Write(message)
	return mac.Sum(nil), nil
}

// VerifyIntegrity compares in constant time.
func (l Legacy) VerifyIntegrity(user ridecode.UserID, message, value []byte) bool {
	want, _ := l.SignIntegrity(user, message)
	return hmac.Equal(want, value)
}

// SharedKey is HMACSHA256 under its bytes, at least 16.
type SharedKey struct{ key []byte }

// NewSharedKey keeps a copy of key.
func NewSharedKey(key []byte) (SharedKey, error) {
	if len(key) < 16 {
		return SharedKey{}, fieldError("terminal key", clauseIntegrity, "shorter than 16 bytes")
	}
	return SharedKey{key: append([]byte(nil), key...)}, nil
}

// Algorithm is HMACSHA256.
func (SharedKey) Algorithm() Algorithm { return HMACSHA256 }

// IntegritySize is 32 bytes.
func (SharedKey) IntegritySize() int { return sha256.Size }

// SignIntegrity makes the value; it never fails.
func (k SharedKey) SignIntegrity(_ ridecode.UserID, message []byte) ([]byte, error) {
	mac := hmac.New(sha256.New, k.key)
	mac.Write(message)
	return mac.Sum(nil), nil
}

// VerifyIntegrity compares in constant time.
func (k SharedKey) VerifyIntegrity(user ridecode.UserID, message, value []byte) bool {
	want, _ := k.SignIntegrity(user, message)
	return hmac.Equal(want, value)
}

// String hides the key.
func (SharedKey) String() string { return "hmac-sha256 key (hidden)" }

// GoString hides the key.
func (k SharedKey) GoString() string { return k.String() }

// TerminalKey is ECDSASHA256, the payment institution's side of it: the terminal's public key.
type TerminalKey struct{ Public *secp256k1.PublicKey }

// Algorithm is ECDSASHA256.
func (TerminalKey) Algorithm() Algorithm { return ECDSASHA256 }

// VerifyIntegrity takes the value as r and s, 32 bytes each.
func (k TerminalKey) VerifyIntegrity(_ ridecode.UserID, message, value []byte) bool {
	signature, err := secp256k1.ParseFixed(value)
	digest := sha256.Sum256(message)
	return err == nil && k.Public.Verify(digest[:], signature)
}

// TerminalSigner is ECDSASHA256, the terminal's side of it.
type TerminalSigner struct{ Private *secp256k1.PrivateKey }

// Algorithm is ECDSASHA256.
func (TerminalSigner) Algorithm() Algorithm { return ECDSASHA256 }

// IntegritySize is 64 bytes.
func (TerminalSigner) IntegritySize() int { return 64 }

// SignIntegrity makes r and s, 32 bytes each.
func (s TerminalSigner) SignIntegrity(_ ridecode.UserID, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	signature, err := s.Private.Sign(digest[:])
	if err != nil {
		return nil, err
	}
	return signature.AppendFixed(nil), nil
}

// ParseIntegrity reads a terminal's registered key as text: "ed25519=HEX" (a public key),
// "ecdsa-secp256k1-sha256=HEX" (a compressed public key), "hmac-sha256=HEX" or "hmac-md5-user-id",
// which has no key. Errors never repeat the text, which holds one.
func ParseIntegrity(text string) (Integrity, error) {
	name, keyHex, _ := strings.Cut(text, "=")
	key, err := hex.DecodeString(keyHex)
	if err != nil {
		return nil, fieldError("terminal key", clauseIntegrity, "the part after = is not hex")
	}
	switch Algorithm(name) {
	case LegacyHMACMD5:
		return Legacy{}, nil
	case Ed25519:
		return orError(NewEd25519Key(key))
	case HMACSHA256:
		return orError(NewSharedKey(key))
	case ECDSASHA256:
		public, err := secp256k1.ParsePublicKey(key)
		if err != nil {
			return nil, fieldError("terminal key", clauseIntegrity, err.Error())
		}
		return TerminalKey{Public: public}, nil
	}
	return nil, fieldError("terminal key", clauseIntegrity, fmt.Sprintf("the algorithm is none of %s=HEX, %s=HEX, %s=HEX, %s",
		Ed25519, ECDSASHA256, HMACSHA256, LegacyHMACMD5))
}

// orError gives no half-made key beside an error: a zero key in an interface is not nil.
func orError(key Integrity, err error) (Integrity, error) {
	if err != nil {
		return nil, err
	}
	return key, nil
}
