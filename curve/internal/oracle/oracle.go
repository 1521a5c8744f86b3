// Package oracle (对照实现) is ECDSA on math/big, written for the tests of the curve packages to be compared
// with: short, slow, affine, without any trick of the fast code. Nothing that ships imports it.
package oracle

import (
	"crypto/hmac"
	"crypto/sha256"
	"math/big"
)

// Curve is y² = x³ + B over the field of P elements with the generator (Gx, Gy) of order N.
type Curve struct {
	P, N, B, Gx, Gy *big.Int
	Bytes           int
}

// Point is affine; X == nil is infinity.
type Point struct{ X, Y *big.Int }

func hex(s string) *big.Int {
	v, _ := new(big.Int).SetString(s, 16)
	return v
}

// Secp192k1 returns the curve of SEC 2 version 2 §2.2.1.
func Secp192k1() *Curve {
	return &Curve{
		P:  hex("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFEE37"),
		N:  hex("FFFFFFFFFFFFFFFFFFFFFFFE26F2FC170F69466A74DEFD8D"),
		B:  big.NewInt(3),
		Gx: hex("DB4FF10EC057E9AE26B07D0280B7F4341DA5D1B1EAE06C7D"),
		Gy: hex("9B2F2F6D9C5628A7844163D015BE86344082AA88D95E2F9D"), Bytes: 24,
	}
}

// Secp256k1 returns the curve of SEC 2 version 2 §2.4.1.
func Secp256k1() *Curve {
	return &Curve{
		P:  hex("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F"),
		N:  hex("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141"),
		B:  big.NewInt(7),
		Gx: hex("79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798"),
		Gy: hex("483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8"), Bytes: 32,
	}
}

// Generator returns G.
func (c *Curve) Generator() Point { return Point{c.Gx, c.Gy} }

// Add returns a + b.
func (c *Curve) Add(a, b Point) Point {
	if a.X == nil {
		return b
	}
	if b.X == nil {
		return a
	}
	slope := new(big.Int)
	switch {
	case a.X.Cmp(b.X) != 0:
		dx := new(big.Int).Sub(b.X, a.X)
		slope.Sub(b.Y, a.Y).Mul(slope, dx.ModInverse(dx.Mod(dx, c.P), c.P))
	case a.Y.Cmp(b.Y) == 0:
		two := new(big.Int).Lsh(a.Y, 1)
		slope.Mul(a.X, a.X).Mul(slope, big.NewInt(3)).Mul(slope, two.ModInverse(two, c.P))
	default:
		return Point{}
	}
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, a.X).Sub(x, b.X).Mod(x, c.P)
	y := new(big.Int).Sub(a.X, x)
	y.Mul(y, slope).Sub(y, a.Y).Mod(y, c.P)
	return Point{x, y}
}

// Mult returns k·a by doubling and adding.
func (c *Curve) Mult(k *big.Int, a Point) Point {
	var sum Point
	for i := k.BitLen() - 1; i >= 0; i-- {
		sum = c.Add(sum, sum)
		if k.Bit(i) == 1 {
			sum = c.Add(sum, a)
		}
	}
	return sum
}

// Decompress reads 02/03 ‖ x; ok is false if x is too big or no point has it.
func (c *Curve) Decompress(b []byte) (q Point, ok bool) {
	x := new(big.Int).SetBytes(b[1:])
	y := new(big.Int).Exp(x, big.NewInt(3), c.P)
	y.Add(y, c.B).Mod(y, c.P)
	if x.Cmp(c.P) >= 0 || y.ModSqrt(y, c.P) == nil {
		return Point{}, false
	}
	if y.Bit(0) != uint(b[0]&1) {
		y.Sub(c.P, y)
	}
	return Point{x, y}, true
}

// Compress writes 02/03 ‖ x.
func (c *Curve) Compress(q Point) []byte {
	return append([]byte{2 | byte(q.Y.Bit(0))}, q.X.FillBytes(make([]byte, c.Bytes))...)
}

// Digest returns the leftmost bits of the digest as a number, not reduced.
func (c *Curve) Digest(digest []byte) *big.Int {
	return new(big.Int).SetBytes(digest[:min(len(digest), c.Bytes)])
}

// Verify is SEC 1 §4.1.4.
func (c *Curve) Verify(q Point, digest []byte, r, s *big.Int) bool {
	for _, v := range []*big.Int{r, s} {
		if v.Sign() <= 0 || v.Cmp(c.N) >= 0 {
			return false
		}
	}
	w := new(big.Int).ModInverse(s, c.N)
	u1 := new(big.Int).Mul(c.Digest(digest), w)
	u2 := new(big.Int).Mul(r, w)
	p := c.Add(c.Mult(u1.Mod(u1, c.N), c.Generator()), c.Mult(u2.Mod(u2, c.N), q))
	return p.X != nil && new(big.Int).Mod(p.X, c.N).Cmp(r) == 0
}

// Sign is SEC 1 §4.1.3 with the nonces of RFC 6979 (HMAC-SHA-256).
func (c *Curve) Sign(d *big.Int, digest []byte) (r, s *big.Int) {
	for nonce := range c.Nonces(d, digest) {
		r = new(big.Int).Mod(c.Mult(nonce, c.Generator()).X, c.N)
		s = new(big.Int).Mul(r, d)
		s.Add(s, c.Digest(digest)).Mul(s, nonce.ModInverse(nonce, c.N)).Mod(s, c.N)
		if r.Sign() != 0 && s.Sign() != 0 {
			break
		}
	}
	return r, s
}

// Nonces yields the candidates of RFC 6979 §3.2 that are in range.
func (c *Curve) Nonces(d *big.Int, digest []byte) func(yield func(*big.Int) bool) {
	e := new(big.Int).Mod(c.Digest(digest), c.N)
	seed := append(d.FillBytes(make([]byte, c.Bytes)), e.FillBytes(make([]byte, c.Bytes))...)
	v, k := make([]byte, 32), make([]byte, 32)
	for i := range v {
		v[i] = 1
	}
	for _, separator := range []byte{0, 1} {
		k = mac(k, v, []byte{separator}, seed)
		v = mac(k, v)
	}
	return func(yield func(*big.Int) bool) {
		for {
			v = mac(k, v)
			nonce := new(big.Int).SetBytes(v[:c.Bytes])
			if nonce.Sign() > 0 && nonce.Cmp(c.N) < 0 && !yield(nonce) {
				return
			}
			k = mac(k, v, []byte{0})
			v = mac(k, v)
		}
	}
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
