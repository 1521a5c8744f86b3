package main

// The updates of the inversion multiply the signed entries of a matrix with limbs of 62 bits, all of which
// but the top one are not negative. bits.Mul64 is unsigned: a negative factor costs one subtraction of the other
// factor from the high word.

// accumulator is the pair of names of a signed 128-bit number.
type accumulator struct{ hi, lo string }

// addSigned adds entry·limb, where mask is the sign of entry, and topMask that of the limb if it is the top one.
func (e *emitter) addSigned(a accumulator, entry, mask, limb, topMask string) accumulator {
	h, l := e.name("h"), e.name("l")
	e.line("%s, %s := bits.Mul64(%s, %s)", h, l, entry, limb)
	e.line("%s -= %s & %s", h, limb, mask)
	if topMask != "" {
		e.line("%s -= %s & %s", h, entry, topMask)
	}
	if a.lo == "" {
		return accumulator{h, l}
	}
	lo, k, hi := e.name("l"), e.name("k"), e.name("h")
	e.line("%s, %s := bits.Add64(%s, %s, 0)", lo, k, a.lo, l)
	e.line("%s, _ := bits.Add64(%s, %s, %s)", hi, a.hi, h, k)
	return accumulator{hi, lo}
}

// shift62 divides by 2^62, rounding down.
func (e *emitter) shift62(a accumulator) accumulator {
	lo, hi := e.name("l"), e.name("h")
	e.line("%s := %s>>62 | %s<<2", lo, a.lo, a.hi)
	e.line("%s := uint64(int64(%s) >> 62)", hi, a.hi)
	return accumulator{hi, lo}
}

// emitApply writes (a, b) = t·(a, b) / 2^62 for numbers of n limbs; with the modulus, md·m and me·m are
// added on the way, which makes the division exact.
func emitApply(a, b string, n int, withModulus bool) string {
	var e emitter
	for _, entry := range []string{"u", "v", "q", "r"} {
		e.line("%s, %sSign := uint64(t.%s), uint64(t.%s>>63)", entry, entry, entry, entry)
	}
	var x, y accumulator
	for i := range n {
		ai, bi, aTop, bTop := e.name(a), e.name(b), "", ""
		e.line("%s, %s := uint64(%s[%d]), uint64(%s[%d])", ai, bi, a, i, b, i)
		if i == n-1 {
			aTop, bTop = "aSign", "bSign"
			e.line("aSign, bSign := uint64(%s[%d]>>63), uint64(%s[%d]>>63)", a, i, b, i)
		}
		x = e.addSigned(e.addSigned(x, "u", "uSign", ai, aTop), "v", "vSign", bi, bTop)
		y = e.addSigned(e.addSigned(y, "q", "qSign", ai, aTop), "r", "rSign", bi, bTop)
		if withModulus {
			mi := e.name("m")
			e.line("%s := uint64(m.m[%d])", mi, i)
			x = e.addSigned(x, "uint64(md)", "mdSign", mi, "")
			y = e.addSigned(y, "uint64(me)", "meSign", mi, "")
		}
		if i > 0 {
			e.line("%s[%d], %s[%d] = int64(%s&mask62), int64(%s&mask62)", a, i-1, b, i-1, x.lo, y.lo)
		}
		x, y = e.shift62(x), e.shift62(y)
	}
	e.line("_, _ = %s, %s", x.hi, y.hi)
	e.line("%s[%d], %s[%d] = int64(%s), int64(%s)", a, n-1, b, n-1, x.lo, y.lo)
	return e.String()
}
