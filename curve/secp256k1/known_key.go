package secp256k1

import "sync"

// Comb widths of NewKnownKey. A table has ceil(256/w)·2^(w-1) points of 64 bytes.
const (
	KnownKeyWindowSmall   = 6  // 86 KiB, for small devices
	KnownKeyWindowDefault = 8  // 256 KiB
	KnownKeyWindowMax     = 10 // 832 KiB
)

// combRowsMax is the number of rows of the narrowest comb.
const combRowsMax = (8*byteLen + KnownKeyWindowSmall - 1) / KnownKeyWindowSmall

// KnownKey is the key of an institution with a table of its multiples, so that a verification needs no
// doublings. It is immutable and safe for concurrent use.
type KnownKey struct {
	key  PublicKey
	id   [PublicKeySize]byte // compressed
	comb comb
	base *comb // of G, as large as suits the device that chose the window
}

// NewKnownKey builds the table for k with windows of w bits; w outside [KnownKeyWindowSmall,
// KnownKeyWindowMax] means KnownKeyWindowDefault. All keys of a process share one table for G: 832 KiB, or
// 86 KiB if no key has a window above KnownKeyWindowSmall. The zero PublicKey gives a KnownKey
// that verifies nothing.
func NewKnownKey(k *PublicKey, w int) *KnownKey {
	if w < KnownKeyWindowSmall || w > KnownKeyWindowMax {
		w = KnownKeyWindowDefault
	}
	known := &KnownKey{key: *k}
	if k.isZero() {
		return known
	}
	k.Append(known.id[:0])
	known.comb = newComb(&k.point, w)
	known.base = generatorComb()
	if w <= KnownKeyWindowSmall {
		known.base = generatorCombSmall()
	}
	return known
}

// PublicKey returns the key of the table.
func (k *KnownKey) PublicKey() *PublicKey {
	key := k.key
	return &key
}

// VerifyDER gives the same answer as PublicKey.VerifyDER.
func (k *KnownKey) VerifyDER(digest, sig []byte) bool {
	var s Signature
	return s.parseDER(sig) == "" && k.Verify(digest, &s)
}

// Verify gives the same answer as PublicKey.Verify.
func (k *KnownKey) Verify(digest []byte, sig *Signature) bool {
	var u1, u2 publicScalar
	if k.key.isZero() || !sig.multipliers(&u1, &u2, digest) {
		return false
	}
	return k.verifyMultiplied(&u1, &u2, sig)
}

// verifyMultiplied adds up u1·G + u2·Q. All table entries are fetched before the first addition, so
// that the waits for memory overlap.
func (k *KnownKey) verifyMultiplied(u1, u2 *publicScalar, sig *Signature) bool {
	var buffer [2 * combRowsMax]affine
	points := k.appendPoints(buffer[:0], u1, u2)
	var p jacobian
	for i := range points {
		p.addAffine(&points[i])
	}
	return p.hasX(&sig.r.v)
}

// appendPoints appends points with the sum u1·G + u2·Q.
func (k *KnownKey) appendPoints(dst []affine, u1, u2 *publicScalar) []affine {
	return k.comb.appendPoints(k.base.appendPoints(dst, u1), u2)
}

// comb holds odd multiples of one public point as signComb does, but is read in variable time.
type comb struct {
	window int
	points []affine
}

var (
	generatorComb      = sync.OnceValue(func() *comb { return newGeneratorComb(KnownKeyWindowMax) })
	generatorCombSmall = sync.OnceValue(func() *comb { return newGeneratorComb(KnownKeyWindowSmall) })
)

func newGeneratorComb(w int) *comb {
	c := newComb(&generator, w)
	return &c
}

func newComb(q *affine, w int) comb {
	return comb{w, combRows(q, w, combRowCount(w))}
}

func combRowCount(w int) int { return (8*byteLen + w - 1) / w }

// appendPoints appends one point of each row, with the sum k·q, in variable time; for k = 0 none.
func (c *comb) appendPoints(dst []affine, k *publicScalar) []affine {
	if k.v.isZero() == 1 {
		return dst
	}
	odd, flip := k.v, k.v[0]&1 == 0
	if flip {
		odd.neg(&k.v)
	}
	rows, length := combRowCount(c.window), 1<<(c.window-1)
	t := oddDigits(&odd, rows*c.window)
	for row := range rows {
		digit := int(bitsAt(&t, row*c.window, c.window)) - length
		negative := digit < 0
		if negative {
			digit = ^digit
		}
		dst = append(dst, c.points[row*length+digit])
		if negative != flip {
			y := &dst[len(dst)-1].y
			y.neg(y)
		}
	}
	return dst
}
