package secp256k1

import "sync"

// Comb widths of NewKnownKey. A table has ceil(256/w)·2^(w-1) points of 64 bytes.
const (
	KnownKeyWindowMin     = 4  // 32 KiB
	KnownKeyWindowSmall   = 6  // 86 KiB, for small devices
	KnownKeyWindowDefault = 8  // 256 KiB
	KnownKeyWindowMax     = 10 // 832 KiB
)

// KnownKey is the key of an institution with a table of its multiples, so that a verification needs no
// doublings. It is immutable and safe for concurrent use.
type KnownKey struct {
	key  PublicKey
	comb comb
}

// NewKnownKey builds the table for k with windows of w bits; w outside [KnownKeyWindowMin,
// KnownKeyWindowMax] means KnownKeyWindowDefault.
func NewKnownKey(k *PublicKey, w int) *KnownKey {
	if w < KnownKeyWindowMin || w > KnownKeyWindowMax {
		w = KnownKeyWindowDefault
	}
	return &KnownKey{*k, newComb(&k.point, w)}
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
	var p jacobian
	generatorComb().addMultiple(&p, &u1)
	k.comb.addMultiple(&p, &u2)
	return p.hasX(&sig.r.v)
}

// comb holds odd multiples of one public point as in signComb, but is read in variable time.
type comb struct {
	window int
	points []affine
}

// generatorComb is the comb of G.
var generatorComb = sync.OnceValue(func() *comb {
	c := newComb(&generator, KnownKeyWindowDefault)
	return &c
})

func newComb(q *affine, w int) comb {
	return comb{w, combRows(q, w, combRowCount(w))}
}

func combRowCount(w int) int { return (8*byteLen + w - 1) / w }

// addMultiple sets p = p + k·q in variable time.
func (c *comb) addMultiple(p *jacobian, k *publicScalar) {
	if k.v.isZero() == 1 {
		return
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
		q := c.points[row*length+digit]
		if negative != flip {
			q.y.neg(&q.y)
		}
		p.addAffine(&q)
	}
}
