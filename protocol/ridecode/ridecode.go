// Package ridecode is the ride code (票卡二维码, document 1 §6): what a phone shows to a gate.
//
// A code carries two statements. In the grant (机构授权数据) an institution says that a user may ride:
// until when, up to which amount, with which card, and which key the phone signs with. In the proof
// (用户授权数据) the phone says: shown at this moment. Whoever has the institution's public key can
// check both without a network.
//
// Bytes come in through Parse, which gives an Unverified: it has the form of a code, and nobody has
// checked who made it. Only Examine, which checks signatures and times, gives a Code together with
// the verdict and the trace that explains it.
//
// Algorithm 1, the only one there is, hashes with SHA-1 (wire-facts: fixed by interoperability). What
// is signed is chosen by honest parties, so a forger would need a second preimage, not a collision;
// the user's key has 96 bits of strength, enough for what its grant allows for a week.
package ridecode

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/shuama/shuama/money"
)

// Bounds of the format, in bytes.
const (
	Version    = 2 // the only version seen in codes (wire-facts)
	Algorithm1 = 1 // ECDSA on secp256k1 and secp192k1 over SHA-1 (document 1 §8)

	headerSize    = 3  // version, algorithm, key id
	userIDSize    = 16 // document 1 §6.3.2
	userKeySize   = 25 // SEC 1 compressed point on secp192k1
	cardTypeSize  = 8
	fixedSize     = 71 // institution data without card number and card data
	grantDataMax  = 255
	generatedSize = 4

	// MaxSize bounds any code: every length byte at its most.
	MaxSize = headerSize + 1 + grantDataMax + 1 + 255 + 1 + generatedSize + 1 + 255
	// MaxCardSize bounds card number and card data together, in bytes.
	MaxCardSize = grantDataMax - fixedSize
)

// Typed names, so that none is taken for another.
type (
	// KeyID is the number of an institution key (密钥ID), one of usually 32.
	KeyID uint8
	// UserID is the payment institution's number of a user (用户ID): 16 printable ASCII characters.
	UserID string
	// CardType names a kind of card (票卡类型): 8 printable ASCII characters.
	CardType string
	// CardNo is a card number (票卡编号), printable ASCII. Mask it wherever people read it.
	CardNo string
	// Quad is four bytes that are not text: identity, institution code, reserved.
	Quad [4]byte
	// UserKey is the phone's public key (用户公钥), a compressed point on secp192k1.
	UserKey [userKeySize]byte
	// ID is a code's identity: see Code.ID.
	ID [sha256.Size]byte
)

// PlainCardType is the payment code itself, without a card (document 2 §4.1.2.1).
const PlainCardType CardType = "ANT00001"

// String is the four bytes in hex.
func (q Quad) String() string { return hex.EncodeToString(q[:]) }

// String is the identity in hex.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Mask hides all of a card number but its last four characters.
func (n CardNo) Mask() string {
	if len(n) <= 4 {
		return "****"
	}
	return "****" + string(n[len(n)-4:])
}

// Grant is what the institution says (机构授权数据, document 1 §6.3.2), without its signature.
type Grant struct {
	UserID      UserID
	Expires     time.Time // 过期时间, whole seconds, UTC; the grant holds up to and including this second
	ValidSec    uint16    // 码有效时间: how long a shown code holds, seconds
	LimitFen    money.Fen // 限额: the most that one trade may cost; 0 … 65535
	Identity    Quad      // 用户身份, as student or senior
	Institution Quad      // 机构编码
	Reserved    Quad      // 保留字段, carried and signed, not read
	UserKey     UserKey
	CardType    CardType
	CardNo      CardNo
	CardData    []byte // 票卡数据, the card issuer's own; may be empty
}

// Code is a ride code taken apart.
type Code struct {
	Version        uint8
	Algorithm      uint8
	KeyID          KeyID
	Grant          Grant
	GrantSignature []byte // DER, the institution's
	Generated      time.Time
	ProofSignature []byte // DER, the phone's
}

// Signer signs a digest and answers with a DER signature. A role holds a Signer, never a private key,
// and a Signer signs one kind of document, so that none becomes an oracle for another.
type Signer interface {
	SignDER(digest []byte) ([]byte, error)
}

// Verifier checks a DER signature of a digest.
type Verifier interface {
	VerifyDER(digest, signature []byte) bool
}

// IssuerKeys finds an institution's public key by its id; trust.KeyRing is one.
type IssuerKeys interface {
	IssuerKey(KeyID) (Verifier, bool)
}

// ID names what the two parties said, whatever their signatures look like: SHA-256 over everything
// the phone signed. Anybody can turn an ECDSA signature (r, s) into (r, n−s), which verifies too; an
// identity over the whole code would let such a twin pass as a second code.
func (c *Code) ID() ID { return sha256.Sum256(c.appendSignedByUser(nil)) }

// ValidUntil is the last second at which the code may be shown: generation time plus validity.
func (c *Code) ValidUntil() time.Time {
	return c.Generated.Add(time.Duration(c.Grant.ValidSec) * time.Second)
}

// Append writes the code as it is on the wire. Fields that cannot be written are errors that name
// them: a code that came from Parse always can, and gives back the same bytes.
func (c *Code) Append(dst []byte) ([]byte, error) {
	if err := c.checkSignatures(); err != nil {
		return dst, err
	}
	if err := c.Grant.check(); err != nil {
		return dst, err
	}
	dst = c.appendSignedByUser(dst)
	dst = append(dst, byte(len(c.ProofSignature)))
	return append(dst, c.ProofSignature...), nil
}

// appendSignedByUser writes everything from the version through the generation time.
func (c *Code) appendSignedByUser(dst []byte) []byte {
	dst = appendSignedGrant(dst, c.Version, c.Algorithm, c.KeyID, c.Grant.appendData(nil), c.GrantSignature)
	dst = append(dst, generatedSize)
	return binary.BigEndian.AppendUint32(dst, uint32(c.Generated.Unix()))
}

func (c *Code) checkSignatures() error {
	if len(c.GrantSignature) > 255 {
		return fieldError("institution signature", clauseGrant, "longer than its length byte can say")
	}
	if len(c.ProofSignature) > 255 {
		return fieldError("user signature", clauseProof, "longer than its length byte can say")
	}
	return checkTime("generation time", clauseProof, c.Generated)
}

func grantDigest(data []byte) []byte {
	digest := sha1.Sum(data)
	return digest[:]
}
