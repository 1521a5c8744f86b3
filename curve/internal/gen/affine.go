package main

import "math/big"

// point is an affine point in big numbers; x == nil is infinity. Slow and plain: it only checks constants.
type point struct{ x, y *big.Int }

func (c *derived) onCurve(a point) bool {
	l := square(a.y, c.P)
	r := new(big.Int).Exp(a.x, big.NewInt(3), c.P)
	r.Add(r, big.NewInt(c.B)).Mod(r, c.P)
	return l.Cmp(r) == 0
}

func (c *derived) add(a, b point) point {
	if a.x == nil {
		return b
	}
	if b.x == nil {
		return a
	}
	var slope *big.Int
	if a.x.Cmp(b.x) != 0 {
		dx := new(big.Int).Sub(b.x, a.x)
		slope = new(big.Int).Sub(b.y, a.y)
		slope.Mul(slope, dx.ModInverse(dx.Mod(dx, c.P), c.P))
	} else if a.y.Cmp(b.y) == 0 {
		slope = new(big.Int).Mul(a.x, a.x)
		slope.Mul(slope, big.NewInt(3))
		two := new(big.Int).Lsh(a.y, 1)
		slope.Mul(slope, two.ModInverse(two, c.P))
	} else {
		return point{}
	}
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, a.x).Sub(x, b.x).Mod(x, c.P)
	y := new(big.Int).Sub(a.x, x)
	y.Mul(y, slope).Sub(y, a.y).Mod(y, c.P)
	return point{x, y}
}

func (c *derived) scalarMult(k *big.Int, a point) point {
	var sum point
	for i := k.BitLen() - 1; i >= 0; i-- {
		sum = c.add(sum, sum)
		if k.Bit(i) == 1 {
			sum = c.add(sum, a)
		}
	}
	return sum
}
