package openapi

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Signer signs the text of one envelope. The answering side and the asking side each have their own key:
// the official Java client refuses a platform whose key is the app's (gateway-facts §2).
type Signer interface {
	Sign(signType SignType, text []byte) ([]byte, error)
}

// Verifier checks the signature of one envelope.
type Verifier interface {
	Verify(signType SignType, text, signature []byte) bool
}

// PrivateKey is a Signer over an RSA key, in memory or in a key store.
type PrivateKey struct{ key crypto.Signer }

// NewPrivateKey takes any RSA signer of at least MinKeyBits.
func NewPrivateKey(key crypto.Signer) (PrivateKey, error) {
	public, isRSA := key.Public().(*rsa.PublicKey)
	if !isRSA {
		return PrivateKey{}, errors.New("openapi: the private key is not an RSA key")
	}
	if err := checkKey(public); err != nil {
		return PrivateKey{}, err
	}
	return PrivateKey{key: key}, nil
}

// GenerateKey makes a key of MinKeyBits that is kept nowhere.
func GenerateKey(random io.Reader) (PrivateKey, error) {
	private, err := rsa.GenerateKey(random, MinKeyBits)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("openapi: %w", err)
	}
	return NewPrivateKey(private)
}

// Sign makes an RSASSA-PKCS1-v1_5 signature.
func (k PrivateKey) Sign(signType SignType, text []byte) ([]byte, error) {
	hash, digest, known := signType.digest(text)
	if !known {
		return nil, errors.New("openapi: sign_type is neither RSA2 nor RSA")
	}
	return k.key.Sign(rand.Reader, digest, hash)
}

// Public is the key that the other side needs.
func (k PrivateKey) Public() PublicKey { return PublicKey{key: k.key.Public().(*rsa.PublicKey)} }

// String hides the key.
func (PrivateKey) String() string { return "RSA private key (hidden)" }

// GoString hides the key.
func (k PrivateKey) GoString() string { return k.String() }

// PublicKey is a Verifier over an RSA key.
type PublicKey struct{ key *rsa.PublicKey }

// NewPublicKey takes an RSA key of at least MinKeyBits.
func NewPublicKey(key *rsa.PublicKey) (PublicKey, error) {
	if key == nil || key.N == nil {
		return PublicKey{}, errors.New("openapi: no public key")
	}
	if err := checkKey(key); err != nil {
		return PublicKey{}, err
	}
	return PublicKey{key: key}, nil
}

// Verify checks an RSASSA-PKCS1-v1_5 signature.
func (k PublicKey) Verify(signType SignType, text, signature []byte) bool {
	hash, digest, known := signType.digest(text)
	return known && k.key != nil && rsa.VerifyPKCS1v15(k.key, hash, digest, signature) == nil
}

func (t SignType) digest(text []byte) (crypto.Hash, []byte, bool) {
	switch t {
	case RSA2:
		digest := sha256.Sum256(text)
		return crypto.SHA256, digest[:], true
	case RSA:
		digest := sha1.Sum(text)
		return crypto.SHA1, digest[:], true
	}
	return 0, nil, false
}

// strictBase64 takes padded standard base64 and nothing else: the library would skip newlines, so
// that one signature had many spellings.
func strictBase64(text string) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	return raw, err == nil
}
