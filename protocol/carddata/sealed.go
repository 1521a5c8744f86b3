package carddata

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/emmansun/gmsm/sm4"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Algorithm is a cipher with 128 bits of authentication.
type Algorithm uint8

// The algorithms. The number is authenticated and not sent: the key decides, never the data.
const (
	AES256GCM Algorithm = 1 // NIST SP 800-38D; keys of 32 bytes
	SM4GCM    Algorithm = 2 // RFC 8998, GB/T 32907; keys of 16 bytes
)

// String is the algorithm's usual name.
func (a Algorithm) String() string {
	switch a {
	case AES256GCM:
		return "AES-256-GCM"
	case SM4GCM:
		return "SM4-GCM"
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// KeyID is the number of a sealing key: a card issuer rotates keys, and codes live for a week.
type KeyID uint8

// Key is a sealing key with its number. One number is never given to two keys.
type Key struct {
	ID        KeyID
	Algorithm Algorithm
	Bytes     []byte
}

// String hides the key.
func (k Key) String() string { return fmt.Sprintf("%s key %d (hidden)", k.Algorithm, k.ID) }

// GoString hides the key.
func (k Key) GoString() string { return k.String() }

const (
	keyIDSize   = 1
	nonceSize   = 12
	expirySize  = 4
	tagSize     = 16
	minSize     = keyIDSize + nonceSize + expirySize + tagSize
	sealedMax   = minSize + MaxPayload // 53
	domainText  = "shuama card data 1"
	userIDSize  = 16 // document 1 §6.3.2, as the next
	cardTypeLen = 8
)

// Layout of card data:
//
//	[1]    key id
//	[12]   nonce
//	uint32 expiry, big-endian Unix seconds
//	[n]    payload, encrypted, 0 to 20
//	[16]   tag
//
// The tag covers, as associated data, big-endian and with every length fixed or written:
//
//	[18]   "shuama card data 1"
//	uint8  algorithm
//	[1]    key id
//	[4]    institution code
//	[8]    card type
//	uint8  n, then [n] card number
//	[16]   user id
//	uint32 expiry
//
// Nonces are random and not counted, because an issuer seals on several machines that share no
// counter. For 2^32 cards under one key the chance that any two of them have the same 96-bit nonce is
// below 2^-32, the bound of NIST SP 800-38D §8.3: change the key before.

// Sealed is a Rule of AES-256-GCM and SM4-GCM keys.
type Sealed struct {
	ciphers  map[KeyID]keyed
	sealWith KeyID
}

type keyed struct {
	algorithm Algorithm
	aead      cipher.AEAD
}

// NewSealed is a rule that opens with any of keys and seals with the one numbered sealWith.
func NewSealed(keys []Key, sealWith KeyID) (*Sealed, error) {
	s := &Sealed{ciphers: map[KeyID]keyed{}, sealWith: sealWith}
	for _, key := range keys {
		if _, twice := s.ciphers[key.ID]; twice {
			return nil, fieldError("card data keys", clauseData, fmt.Sprintf("key id %d stands twice", key.ID))
		}
		aead, err := newAEAD(key)
		if err != nil {
			return nil, err
		}
		s.ciphers[key.ID] = keyed{algorithm: key.Algorithm, aead: aead}
	}
	if _, known := s.ciphers[sealWith]; !known {
		return nil, fieldError("card data keys", clauseData, fmt.Sprintf("no key has the id %d, to seal with", sealWith))
	}
	return s, nil
}

func newAEAD(key Key) (cipher.AEAD, error) {
	var block cipher.Block
	var err error
	switch {
	case key.Algorithm == AES256GCM && len(key.Bytes) == 32:
		block, err = aes.NewCipher(key.Bytes)
	case key.Algorithm == SM4GCM && len(key.Bytes) == sm4.BlockSize:
		block, err = sm4.NewCipher(key.Bytes)
	default:
		return nil, fieldError("card data keys", clauseData, fmt.Sprintf("key %d is not 32 bytes of %s or 16 of %s", key.ID, AES256GCM, SM4GCM))
	}
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Seal makes card data of at most 53 bytes.
func (s *Sealed) Seal(card Card, content Content, nonces io.Reader) ([]byte, error) {
	if err := check(card, content); err != nil {
		return nil, err
	}
	data := make([]byte, keyIDSize+nonceSize, sealedMax)
	data[0] = byte(s.sealWith)
	nonce := data[keyIDSize : keyIDSize+nonceSize]
	if _, err := io.ReadFull(nonces, nonce); err != nil {
		return nil, fmt.Errorf("card data: no nonce, so nothing was sealed: %w", err)
	}
	expires := uint32(content.Expires.Unix())
	data = binary.BigEndian.AppendUint32(data, expires)
	key := s.ciphers[s.sealWith]
	return key.aead.Seal(data, nonce, content.Payload, bound(key.algorithm, s.sealWith, card, expires)), nil
}

// Open reads card data: form, key, genuineness for this very card, expiry, in this order.
func (s *Sealed) Open(card Card, data []byte, now time.Time) (Content, error) {
	if err := checkCard(card); err != nil {
		return Content{}, err
	}
	r := form.NewReader(data, 0)
	id := KeyID(r.Uint8("card data key id", clauseData))
	nonce := r.Bytes("card data nonce", clauseData, nonceSize)
	expires := r.Uint32("card data expiry", clauseData)
	sealed := r.Bytes("card data payload and tag", clauseData, max(tagSize, len(data)-minSize+tagSize))
	if len(data) > sealedMax {
		r.Fail("card data", clauseData, len(data), "longer than 53 bytes")
	}
	if err := r.Err(); err != nil {
		return Content{}, err
	}
	return s.open(card, id, nonce, sealed, expires, now)
}

func (s *Sealed) open(card Card, id KeyID, nonce, sealed []byte, expires uint32, now time.Time) (Content, error) {
	key, known := s.ciphers[id]
	if !known {
		return Content{}, &Refusal{UnknownKey, fmt.Sprintf("sealed with key %d, which is not known here", id)}
	}
	payload, err := key.aead.Open(nil, nonce, sealed, bound(key.algorithm, id, card, expires))
	if err != nil {
		return Content{}, &Refusal{NotGenuine, fmt.Sprintf("not sealed with key %d for this card, user and institution", id)}
	}
	until := time.Unix(int64(expires), 0).UTC()
	if now.Unix() > until.Unix() {
		return Content{}, &Refusal{Expired, "the card data ended at " + until.Format(time.RFC3339)}
	}
	return Content{Payload: payload, Expires: until}, nil
}

// bound is what card data is bound to.
func bound(algorithm Algorithm, id KeyID, card Card, expires uint32) []byte {
	out := append(make([]byte, 0, 96), domainText...)
	out = append(out, byte(algorithm), byte(id))
	out = append(append(out, card.Institution[:]...), card.Type...)
	out = append(append(out, byte(len(card.No))), card.No...)
	return binary.BigEndian.AppendUint32(append(out, card.User...), expires)
}

func check(card Card, content Content) error {
	if err := checkCard(card); err != nil {
		return err
	}
	switch seconds := content.Expires.Unix(); {
	case len(content.Payload) > MaxPayload:
		return fieldError("card data payload", clauseData, "longer than 20 bytes")
	case seconds < 0 || seconds > 1<<32-1:
		return fieldError("card data expiry", clauseData, "not a time between 1970 and 2106")
	case len(card.No)+sealedMax > ridecode.MaxCardSize:
		return fieldError("card number", clauseCard, "leaves no room for card data in a grant")
	}
	return nil
}

// checkCard refuses names of other sizes: fields that could run into each other bind nothing.
func checkCard(card Card) error {
	switch {
	case len(card.Type) != cardTypeLen || !form.IsPrintable(card.Type):
		return fieldError("card type", clauseCard, "not 8 characters of printable ASCII")
	case len(card.User) != userIDSize || !form.IsPrintable(card.User):
		return fieldError("user id", clauseCard, "not 16 characters of printable ASCII")
	case len(card.No) > 255 || !form.IsPrintable(card.No):
		return fieldError("card number", clauseCard, "not at most 255 characters of printable ASCII")
	}
	return nil
}
