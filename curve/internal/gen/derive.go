package main

import (
	"fmt"
	"math/big"
)

// domain is what SEC 2 states of a curve y² = x³ + b; all else is derived.
type domain struct {
	name   string
	bits   int
	p, n   string
	b      int64
	gx, gy string
}

var domains = map[string]domain{
	"secp192k1": {
		name: "secp192k1", bits: 192,
		p:  "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFEE37",
		n:  "FFFFFFFFFFFFFFFFFFFFFFFE26F2FC170F69466A74DEFD8D",
		b:  3,
		gx: "DB4FF10EC057E9AE26B07D0280B7F4341DA5D1B1EAE06C7D",
		gy: "9B2F2F6D9C5628A7844163D015BE86344082AA88D95E2F9D",
	},
	"secp256k1": {
		name: "secp256k1", bits: 256,
		p:  "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F",
		n:  "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141",
		b:  7,
		gx: "79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798",
		gy: "483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8",
	},
}

// derived is a curve with every constant the templates use.
type derived struct {
	Name     string
	Bits     int
	N        int // limbs of 64 bits
	Bytes    int
	L62      int // limbs of 62 bits in the inversion
	B        int64
	P, Order *big.Int
	Gx, Gy   *big.Int
	FieldC   *big.Int // 2^bits - p
	OrderC   *big.Int // 2^bits - n

	Beta, Lambda *big.Int // λ·(x, y) = (β·x, y)
	A1, B1       *big.Int // short vectors of the lattice {(a, b): a + bλ = 0 mod n}
	A2, B2       *big.Int
	SplitShift   int // both quotients are (k·G) >> SplitShift, rounded
	HalfBits     int // both halves are below 2^HalfBits in absolute value
}

func fromHex(s string) *big.Int {
	v, ok := new(big.Int).SetString(s, 16)
	if !ok {
		panic("gen: internal error: bad hexadecimal constant")
	}
	return v
}

// derive computes and checks every constant of the curve.
func derive(name string) (*derived, error) {
	d, ok := domains[name]
	if !ok {
		return nil, fmt.Errorf("unknown curve %q", name)
	}
	c := &derived{
		Name: d.name, Bits: d.bits, N: d.bits / 64, Bytes: d.bits / 8, L62: d.bits/62 + 1, B: d.b,
		P: fromHex(d.p), Order: fromHex(d.n), Gx: fromHex(d.gx), Gy: fromHex(d.gy),
	}
	top := new(big.Int).Lsh(big.NewInt(1), uint(d.bits))
	c.FieldC = new(big.Int).Sub(top, c.P)
	c.OrderC = new(big.Int).Sub(top, c.Order)
	if err := c.checkDomain(); err != nil {
		return nil, err
	}
	if err := c.deriveEndomorphism(); err != nil {
		return nil, err
	}
	c.deriveLattice()
	return c, c.checkLattice()
}

// checkDomain proves what the code relies on: primes, the shape of p, G on the curve and of order n.
func (c *derived) checkDomain() error {
	switch {
	case !c.P.ProbablyPrime(64) || !c.Order.ProbablyPrime(64):
		return fmt.Errorf("%s: p or n is not prime", c.Name)
	case c.FieldC.BitLen() > 33:
		return fmt.Errorf("%s: 2^k - p does not fit 33 bits", c.Name)
	case c.P.Bit(0) != 1 || c.P.Bit(1) != 1:
		return fmt.Errorf("%s: p is not 3 mod 4", c.Name)
	case c.Order.Cmp(c.P) >= 0:
		return fmt.Errorf("%s: n is not below p", c.Name)
	case c.OrderC.BitLen() > c.Bits/2+2:
		return fmt.Errorf("%s: 2^k - n is too long", c.Name)
	}
	g := point{c.Gx, c.Gy}
	if !c.onCurve(g) {
		return fmt.Errorf("%s: G is not on the curve", c.Name)
	}
	if q := c.scalarMult(c.Order, g); q.x != nil {
		return fmt.Errorf("%s: G does not have order n", c.Name)
	}
	return nil
}

// deriveEndomorphism finds the cube roots of one β mod p and λ mod n that belong together.
func (c *derived) deriveEndomorphism() error {
	g := point{c.Gx, c.Gy}
	for base := int64(2); base < 50; base++ {
		beta := cubeRootOfOne(base, c.P)
		lambda := cubeRootOfOne(base, c.Order)
		if beta == nil || lambda == nil {
			continue
		}
		// of the two candidates for λ the smaller is taken, with the β that fits
		if other := square(lambda, c.Order); other.Cmp(lambda) < 0 && c.Name == "secp256k1" {
			lambda = other
		} else if other.Cmp(lambda) > 0 && c.Name == "secp192k1" {
			lambda = other
		}
		q := c.scalarMult(lambda, g)
		for range 2 {
			bx := new(big.Int).Mul(beta, c.Gx)
			if bx.Mod(bx, c.P).Cmp(q.x) == 0 && q.y.Cmp(c.Gy) == 0 {
				c.Beta, c.Lambda = beta, lambda
				return nil
			}
			beta = square(beta, c.P)
		}
	}
	return fmt.Errorf("%s: no endomorphism found", c.Name)
}

func square(v, m *big.Int) *big.Int {
	r := new(big.Int).Mul(v, v)
	return r.Mod(r, m)
}

// cubeRootOfOne returns base^((m-1)/3), or nil if that is one.
func cubeRootOfOne(base int64, m *big.Int) *big.Int {
	e := new(big.Int).Sub(m, big.NewInt(1))
	e.Div(e, big.NewInt(3))
	v := new(big.Int).Exp(big.NewInt(base), e, m)
	if v.Cmp(big.NewInt(1)) == 0 {
		return nil
	}
	return v
}

// deriveLattice runs Euclid on (n, λ) and keeps the two short vectors around √n.
func (c *derived) deriveLattice() {
	root := new(big.Int).Sqrt(c.Order)
	r0, r1 := new(big.Int).Set(c.Order), new(big.Int).Set(c.Lambda)
	t0, t1 := big.NewInt(0), big.NewInt(1)
	step := func() {
		q := new(big.Int).Div(r0, r1)
		r0, r1 = r1, new(big.Int).Sub(r0, new(big.Int).Mul(q, r1))
		t0, t1 = t1, new(big.Int).Sub(t0, new(big.Int).Mul(q, t1))
	}
	for r1.Cmp(root) >= 0 {
		step()
	}
	c.A1, c.B1 = new(big.Int).Set(r1), new(big.Int).Neg(t1)
	before := point{new(big.Int).Set(r0), new(big.Int).Neg(t0)}
	step()
	after := point{new(big.Int).Set(r1), new(big.Int).Neg(t1)}
	c.A2, c.B2 = before.x, before.y
	if norm(after).Cmp(norm(before)) < 0 {
		c.A2, c.B2 = after.x, after.y
	}
	if c.B1.Sign() > 0 { // the split assumes b1 < 0 < b2
		c.A1, c.B1, c.A2, c.B2 = c.A2, c.B2, c.A1, c.B1
	}
	c.SplitShift = c.Bits/2/64*64 + c.Bits
	if c.Bits%128 != 0 {
		c.SplitShift = 256
	}
}

func norm(v point) *big.Int {
	a := new(big.Int).Mul(v.x, v.x)
	return a.Add(a, new(big.Int).Mul(v.y, v.y))
}

// checkLattice proves both vectors and bounds the halves: |k1|, |k2| <= (|a1|+|a2|)/2+1, likewise b, with
// room for the error of the rounded quotients.
func (c *derived) checkLattice() error {
	for _, v := range []point{{c.A1, c.B1}, {c.A2, c.B2}} {
		s := new(big.Int).Mul(v.y, c.Lambda)
		s.Add(s, v.x)
		if s.Mod(s, c.Order).Sign() != 0 {
			return fmt.Errorf("%s: vector is not in the lattice", c.Name)
		}
	}
	if c.B1.Sign() >= 0 || c.B2.Sign() <= 0 {
		return fmt.Errorf("%s: lattice signs are not b1 < 0 < b2", c.Name)
	}
	det := new(big.Int).Mul(c.A1, c.B2)
	det.Sub(det, new(big.Int).Mul(c.A2, c.B1))
	if det.Cmp(c.Order) != 0 {
		return fmt.Errorf("%s: lattice determinant is not n", c.Name)
	}
	for _, pair := range [][2]*big.Int{{c.A1, c.A2}, {c.B1, c.B2}} {
		sum := new(big.Int).Add(new(big.Int).Abs(pair[0]), new(big.Int).Abs(pair[1]))
		rounding := new(big.Int).Rsh(sum, 60) // the quotients are exact to 2^-60
		sum.Rsh(sum, 1).Add(sum, rounding).Add(sum, big.NewInt(1))
		c.HalfBits = max(c.HalfBits, sum.BitLen())
	}
	return nil
}

// quotient returns round(2^SplitShift · v / n).
func (c *derived) quotient(v *big.Int) *big.Int {
	q := new(big.Int).Lsh(v, uint(c.SplitShift))
	q.Add(q, new(big.Int).Rsh(c.Order, 1))
	return q.Div(q, c.Order)
}
