package record

import (
	"crypto/ed25519"
	"math/big"
	"slices"

	"github.com/shuama/shuama/protocol/ridecode"
)

// Ed25519 is RFC 8032 Ed25519 over the message as it is, 64 bytes. Only the terminal can make it, and
// nobody else can turn one value into a second one, as (r, n−s) does with ECDSA: the one our gates use.
//
// A record starts with 0x1_ or 0x2_, every other text that Shuama signs with Ed25519 with "shuama", so
// that a terminal's value over one is never a value over the other.
const Ed25519 Algorithm = "ed25519"

// Ed25519Key is Ed25519, the payment institution's side of it: the terminal's public key.
type Ed25519Key struct{ public ed25519.PublicKey }

// NewEd25519Key takes the 32 bytes of a public key (RFC 8032 §5.1.2). It refuses what is no point,
// what is not written the one canonical way, and points of order 1, 2, 4 or 8: under such a key
// anybody can make values, so its terminal could deny every record it wrote.
func NewEd25519Key(public []byte) (Ed25519Key, error) {
	if len(public) != ed25519.PublicKeySize {
		return Ed25519Key{}, fieldError("terminal key", clauseIntegrity, "not 32 bytes, which an Ed25519 public key has")
	}
	if why := edwardsFault(public); why != "" {
		return Ed25519Key{}, fieldError("terminal key", clauseIntegrity, why)
	}
	return Ed25519Key{public: slices.Clone(public)}, nil
}

// Algorithm is Ed25519.
func (Ed25519Key) Algorithm() Algorithm { return Ed25519 }

// Bytes is a copy of the public key, 32 bytes.
func (k Ed25519Key) Bytes() []byte { return slices.Clone([]byte(k.public)) }

// VerifyIntegrity takes the value as R and S, 32 bytes each.
func (k Ed25519Key) VerifyIntegrity(_ ridecode.UserID, message, value []byte) bool {
	return len(k.public) == ed25519.PublicKeySize && ed25519.Verify(k.public, message, value)
}

// Ed25519Signer is Ed25519, the terminal's side of it.
type Ed25519Signer struct{ private ed25519.PrivateKey }

// NewEd25519Signer takes the 32 bytes of a private key, the seed of RFC 8032 §5.1.5.
func NewEd25519Signer(seed []byte) (Ed25519Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return Ed25519Signer{}, fieldError("terminal key", clauseIntegrity, "not 32 bytes, which an Ed25519 seed has")
	}
	return Ed25519Signer{private: ed25519.NewKeyFromSeed(seed)}, nil
}

// Algorithm is Ed25519.
func (Ed25519Signer) Algorithm() Algorithm { return Ed25519 }

// IntegritySize is 64 bytes.
func (Ed25519Signer) IntegritySize() int { return ed25519.SignatureSize }

// SignIntegrity makes R and S, 32 bytes each. It fails for a signer that NewEd25519Signer did not make.
func (s Ed25519Signer) SignIntegrity(_ ridecode.UserID, message []byte) ([]byte, error) {
	if len(s.private) != ed25519.PrivateKeySize {
		return nil, fieldError("terminal key", clauseIntegrity, "none")
	}
	return ed25519.Sign(s.private, message), nil
}

// Key is the public half, as a payment institution registers it.
func (s Ed25519Signer) Key() Ed25519Key {
	return Ed25519Key{public: s.private.Public().(ed25519.PublicKey)}
}

// String hides the key.
func (Ed25519Signer) String() string { return "ed25519 key (hidden)" }

// GoString hides the key.
func (s Ed25519Signer) GoString() string { return s.String() }

// edwardsFault tells what is wrong with the encoding of a point on −x² + y² = 1 + d·x²·y², empty when
// nothing is (RFC 8032 §5.1.3). It sees public keys only, once at registration, so it may be slow.
func edwardsFault(encoded []byte) string {
	p, d := edwardsField()
	y := littleEndian(encoded)
	if y.Cmp(p) >= 0 {
		return "the point is not written canonically (RFC 8032 §5.1.3)"
	}
	one, ySquare := big.NewInt(1), new(big.Int).Mul(y, y)
	xSquare := new(big.Int).Mul(d, ySquare) // x² = (y² − 1) / (d·y² + 1); −1/d is no square, so never 0 below
	xSquare.ModInverse(xSquare.Add(xSquare, one).Mod(xSquare, p), p)
	xSquare.Mul(xSquare, new(big.Int).Sub(ySquare, one)).Mod(xSquare, p)
	doubled := new(big.Int).Add(xSquare, ySquare) // 0 where the double has y = 0, so order 8
	switch {
	case big.Jacobi(xSquare, p) < 0:
		return "not a point on the curve of Ed25519"
	case xSquare.Sign() == 0 || y.Sign() == 0 || doubled.Mod(doubled, p).Sign() == 0:
		return "a point of low order: anybody could make values for it"
	}
	return ""
}

// edwardsField is p = 2²⁵⁵ − 19 and d = −121665/121666 (RFC 8032 §5.1).
func edwardsField() (p, d *big.Int) {
	p = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	d = new(big.Int).ModInverse(big.NewInt(121666), p)
	return p, d.Mul(d, big.NewInt(-121665)).Mod(d, p)
}

// littleEndian reads y without the sign bit of x.
func littleEndian(encoded []byte) *big.Int {
	b := slices.Clone(encoded)
	b[len(b)-1] &= 0x7f
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}
