// Package curve (椭圆曲线) is the vocabulary that the two curves of the ride code (票卡二维码) share:
// why a key, a signature or a digest was refused.
//
// Document 1 names two algorithms, ECDSA256 on secp256k1 for the institution and ECDSA192 on
// secp192k1 for the user (document 1 §6.3.1, §8). Each has its own package below this one; both return
// *Error, whose Reason is a value that errors.Is understands:
//
//	if _, err := secp192k1.ParsePublicKey(b); errors.Is(err, curve.ReasonOffCurve) { ... }
package curve

// Reason says in one fixed phrase why bytes were refused. It is an error itself, so that callers can
// branch with errors.Is(err, curve.ReasonOffCurve).
type Reason string

// The reasons, in the order in which the parsers check. Of two faults the first is reported.
const (
	ReasonLength      Reason = "wrong length"
	ReasonPrefix      Reason = "prefix is not 02 or 03"
	ReasonCoordinate  Reason = "x is not below the field prime"
	ReasonOffCurve    Reason = "no point of the curve has this x"
	ReasonSequence    Reason = "not a DER SEQUENCE with a minimal definite length"
	ReasonTrailing    Reason = "bytes after the end of the structure"
	ReasonInteger     Reason = "not a DER INTEGER with a minimal definite length"
	ReasonNegative    Reason = "INTEGER is negative"
	ReasonPadding     Reason = "INTEGER has a superfluous leading zero"
	ReasonZero        Reason = "value is zero"
	ReasonOrder       Reason = "value is not below the group order"
	ReasonEmptyDigest Reason = "digest is empty"
	ReasonEntropy     Reason = "the random source failed"
)

// Error returns the phrase.
func (r Reason) Error() string { return string(r) }

// Error is the only error type of the two curve packages. It never holds input bytes, so it can be logged.
type Error struct {
	Curve  string // "secp192k1" or "secp256k1"
	Field  string // what was read: "public key", "signature", "signature r", "private key", "digest", ...
	Reason Reason
}

// Error formats "secp192k1: public key: no point of the curve has this x".
func (e *Error) Error() string { return e.Curve + ": " + e.Field + ": " + string(e.Reason) }

// Unwrap gives the Reason to errors.Is.
func (e *Error) Unwrap() error { return e.Reason }
