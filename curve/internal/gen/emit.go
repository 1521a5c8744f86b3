package main

import (
	"fmt"
	"slices"
	"strings"
)

// emitter writes straight-line limb code. Names are fresh, so that every value is assigned once.
type emitter struct {
	strings.Builder
	fresh int
}

func (e *emitter) line(format string, args ...any) {
	fmt.Fprintf(e, "\t"+format+"\n", args...)
}

func (e *emitter) name(prefix string) string {
	e.fresh++
	return fmt.Sprintf("%s%d", prefix, e.fresh)
}

// chain adds two equally long lists with carry and returns the sums and the name of the last carry.
// A missing ("") right operand means zero.
func (e *emitter) chain(left, right []string) (sums []string, carry string) {
	carry = "0"
	for i := range left {
		s, c := e.name("s"), e.name("k")
		r := right[i]
		if r == "" {
			r = "0"
		}
		e.line("%s, %s := bits.Add64(%s, %s, %s)", s, c, left[i], r, carry)
		sums, carry = append(sums, s), c
	}
	return sums, carry
}

// top adds a carry to a limb that cannot overflow.
func (e *emitter) top(limb, carry string) string {
	t := e.name("t")
	e.line("%s, _ := bits.Add64(%s, 0, %s)", t, limb, carry)
	return t
}

// subChain subtracts two equally long lists with borrow.
func (e *emitter) subChain(left, right []string) (differences []string, borrow string) {
	borrow = "0"
	for i := range left {
		d, b := e.name("d"), e.name("b")
		e.line("%s, %s := bits.Sub64(%s, %s, %s)", d, b, left[i], right[i], borrow)
		differences, borrow = append(differences, d), b
	}
	return differences, borrow
}

// row multiplies the limbs of y by one limb and returns len(y)+1 limbs.
func (e *emitter) row(x string, y []string) []string {
	var high, low []string
	for _, limb := range y {
		h, l := e.name("h"), e.name("l")
		e.line("%s, %s := bits.Mul64(%s, %s)", h, l, x, limb)
		high, low = append(high, h), append(low, l)
	}
	n := len(y)
	if n == 1 {
		return []string{low[0], high[0]}
	}
	sums, carry := e.chain(low[1:], high[:n-1])
	return append(append([]string{low[0]}, sums...), e.top(high[n-1], carry))
}

// limbs loads name[0..n-1] into locals.
func (e *emitter) limbs(name string, n int) []string {
	var out []string
	for i := range n {
		v := e.name(name)
		e.line("%s := %s[%d]", v, name, i)
		out = append(out, v)
	}
	return out
}

// product returns the len(x)+len(y) limbs of x·y.
func (e *emitter) product(x, y []string) []string {
	acc := e.row(x[0], y)
	var done []string
	for _, limb := range x[1:] {
		done = append(done, acc[0])
		row := e.row(limb, y)
		sums, carry := e.chain(acc[1:], row[:len(y)])
		acc = append(sums, e.top(row[len(y)], carry))
	}
	return append(done, acc...)
}

// square returns the 2n limbs of x²: products below the diagonal once, doubled, and the diagonal added.
func (e *emitter) square(x []string) []string {
	n := len(x)
	acc := e.row(x[0], x[1:]) // limbs 1..n
	cross := []string{"", acc[0], acc[1]}
	acc = acc[2:]
	for i := 1; i < n-1; i++ {
		row := e.row(x[i], x[i+1:]) // limbs 2i+1 .. i+n
		sums, carry := e.chain(acc, row[:len(acc)])
		acc = append(sums, e.top(row[len(row)-1], carry))
		take := min(2, len(acc))
		cross, acc = append(cross, acc[:take]...), acc[take:]
	}
	cross = append(cross, acc...)
	doubled, over := e.chain(cross[1:], cross[1:])
	doubled = append(append([]string{"0"}, doubled...), over)
	var diagonal []string
	for _, limb := range x {
		h, l := e.name("h"), e.name("l")
		e.line("%s, %s := bits.Mul64(%s, %s)", h, l, limb, limb)
		diagonal = append(diagonal, l, h)
	}
	sums, carry := e.chain(doubled[1:2*n-1], diagonal[1:2*n-1])
	top := e.name("t")
	e.line("%s, _ := bits.Add64(%s, %s, %s)", top, doubled[2*n-1], diagonal[2*n-1], carry)
	return append(append([]string{diagonal[0]}, sums...), top)
}

// halve reduces 2n limbs to n limbs and a top limb of at most 2^33+1, as fieldC has 33 bits.
func (e *emitter) halve(r []string) (low []string, top string) {
	n := len(r) / 2
	row := e.row("fieldC", r[n:])
	sums, carry := e.chain(r[:n], row[:n])
	return sums, e.top(row[n], carry)
}

// fold reduces 2n limbs to n limbs modulo 2^64n - fieldC, loosely.
func (e *emitter) fold(r []string) []string { return e.foldTop(e.halve(r)) }

// foldMinus is fold of r minus the given lists of n limbs.
func (e *emitter) foldMinus(r []string, minus ...[]string) []string {
	low, top := e.halve(r)
	for _, m := range minus {
		var borrow string
		low, borrow = e.subChain(low, m)
		t := e.name("t")
		e.line("%s := %s - %s", t, top, borrow)
		top = t
	}
	return e.foldSigned(low, top)
}

// foldDifference is fold of r - q, both of 2n limbs: a borrow is worth fieldC at the top.
func (e *emitter) foldDifference(r, q []string) []string {
	d, borrow := e.subChain(r, q)
	low, top := e.halve(d)
	t := e.name("t")
	e.line("%s := %s - -%s&fieldC", t, top, borrow)
	return e.foldSigned(low, t)
}

// foldSigned is foldTop for a top limb that may be negative, above -2^34.
func (e *emitter) foldSigned(low []string, top string) []string {
	sign, h, l := e.name("n"), e.name("h"), e.name("l")
	e.line("%s := uint64(int64(%s) >> 63)", sign, top)
	e.line("%s, %s := bits.Mul64(%s, fieldC)", h, l, top)
	e.line("%s -= %s & fieldC", h, sign)
	right := []string{l, h}
	for range len(low) - 2 {
		right = append(right, sign)
	}
	sums, carry := e.chain(low, right)
	// The value is sums + d·2^64n with d in {-1, 0, 1}. If d is 1 the sums are below 2^68, if it is -1
	// they are above 2^64n - 2^68: either way fieldC cannot carry beyond the second limb.
	d, s0, k, s1 := e.name("d"), e.name("s"), e.name("k"), e.name("s")
	e.line("%s := %s + %s", d, carry, sign)
	e.line("%s, %s := bits.Add64(%s, %s*fieldC, 0)", s0, k, sums[0], d)
	e.line("%s := %s + uint64(int64(%s)>>63) + %s", s1, sums[1], d, k)
	return append([]string{s0, s1}, sums[2:]...)
}

// foldTop reduces n limbs and a top limb below 2^34.
func (e *emitter) foldTop(low []string, top string) []string {
	h, l := e.name("h"), e.name("l")
	e.line("%s, %s := bits.Mul64(%s, fieldC)", h, l, top)
	right := make([]string, len(low))
	right[0], right[1] = l, h
	sums, carry := e.chain(low, right)
	return e.foldCarry(sums, carry)
}

// foldCarry folds one carry bit into n limbs that, if it is set, are below 2^68, so that the
// second limb cannot overflow.
func (e *emitter) foldCarry(low []string, carry string) []string {
	s0, k := e.name("s"), e.name("k")
	e.line("%s, %s := bits.Add64(%s, -%s&fieldC, 0)", s0, k, low[0], carry)
	s1 := e.name("s")
	e.line("%s := %s + %s", s1, low[1], k)
	return append([]string{s0, s1}, low[2:]...)
}

func (e *emitter) store(name string, limbs []string) {
	for i, v := range limbs {
		e.line("%s[%d] = %s", name, i, v)
	}
}

func emitMul(n int) string {
	var e emitter
	r := e.product(e.limbs("x", n), e.limbs("y", n))
	e.store("z", e.fold(r))
	return e.String()
}

func emitSquare(n int) string {
	var e emitter
	e.store("z", e.fold(e.square(e.limbs("x", n))))
	return e.String()
}

// sum adds and folds loosely.
func (e *emitter) sum(x, y []string) []string {
	sums, carry := e.chain(x, y)
	// The first carry adds fieldC, which may carry once more; then the value is below fieldC.
	right := make([]string, len(x))
	right[0] = fmt.Sprintf("-%s&fieldC", carry)
	sums, carry = e.chain(sums, right)
	s0 := e.name("s")
	e.line("%s := %s + -%s&fieldC", s0, sums[0], carry)
	return append([]string{s0}, sums[1:]...)
}

// half divides by two: an odd number has p added first.
func (e *emitter) half(x []string) []string {
	odd := e.name("n")
	e.line("%s := -(%s & 1)", odd, x[0])
	var p []string
	for i := range x {
		p = append(p, fmt.Sprintf("%s&prime%d", odd, i))
	}
	t, carry := e.chain(x, p)
	t = append(t, carry)
	var out []string
	for i := range x {
		h := e.name("h")
		e.line("%s := %s>>1 | %s<<63", h, t[i], t[i+1])
		out = append(out, h)
	}
	return out
}

func emitAdd(n int) string {
	var e emitter
	e.store("z", e.sum(e.limbs("x", n), e.limbs("y", n)))
	return e.String()
}

// emitSquareThreeHalves is 3x²/2.
func emitSquareThreeHalves(n int) string {
	var e emitter
	l := e.fold(e.square(e.limbs("x", n)))
	e.store("z", e.sum(l, e.half(l)))
	return e.String()
}

// emitSquareMinus is x² - u - v - v.
func emitSquareMinus(n int) string {
	var e emitter
	r := e.square(e.limbs("x", n))
	v := e.limbs("v", n)
	e.store("z", e.foldMinus(r, e.limbs("u", n), v, v))
	return e.String()
}

// emitSquareMinusTwice is x² - v - v.
func emitSquareMinusTwice(n int) string {
	var e emitter
	r := e.square(e.limbs("x", n))
	v := e.limbs("v", n)
	e.store("z", e.foldMinus(r, v, v))
	return e.String()
}

// emitSquareTimes squares in a loop whose values stay in registers.
func emitSquareTimes(n int) string {
	var e emitter
	x := e.limbs("x", n)
	e.line("for range count {")
	squared := e.fold(e.square(x))
	e.line("%s = %s", strings.Join(x, ", "), strings.Join(squared, ", "))
	e.line("}")
	e.store("z", x)
	return e.String()
}

// emitSquareMinusOne is x² - v.
func emitSquareMinusOne(n int) string {
	var e emitter
	r := e.square(e.limbs("x", n))
	e.store("z", e.foldMinus(r, e.limbs("v", n)))
	return e.String()
}

// emitMulMinus is x·y - v.
func emitMulMinus(n int) string {
	var e emitter
	r := e.product(e.limbs("x", n), e.limbs("y", n))
	e.store("z", e.foldMinus(r, e.limbs("v", n)))
	return e.String()
}

// emitMulMinusSquare is x·y - v².
func emitMulMinusSquare(n int) string {
	var e emitter
	r := e.product(e.limbs("x", n), e.limbs("y", n))
	e.store("z", e.foldDifference(r, e.square(e.limbs("v", n))))
	return e.String()
}

// emitMulMinusMul is x·y - u·v.
func emitMulMinusMul(n int) string {
	var e emitter
	r := e.product(e.limbs("x", n), e.limbs("y", n))
	e.store("z", e.foldDifference(r, e.product(e.limbs("u", n), e.limbs("v", n))))
	return e.String()
}

func emitSub(n int) string {
	var e emitter
	d, borrow := e.subChain(e.limbs("x", n), e.limbs("y", n))
	right := []string{fmt.Sprintf("-%s&fieldC", borrow)}
	for range n - 1 {
		right = append(right, "0")
	}
	d, borrow = e.subChain(d, right)
	e.line("z[0] = %s - -%s&fieldC // after a second borrow the value is above 2^%d - fieldC", d[0], borrow, 64*n)
	for i, v := range d[1:] {
		e.line("z[%d] = %s", i+1, v)
	}
	return e.String()
}

// emitMulSmall multiplies by a constant below 2^31.
func emitMulSmall(n int) string {
	var e emitter
	row := e.row("k", e.limbs("x", n))
	e.store("z", e.foldTop(row[:n], row[n]))
	return e.String()
}

// emitReduceWide reduces 2n limbs modulo n = 2^64n - orderC, where orderC has m = n/2+1 limbs. Every round
// replaces high·2^64n by high·orderC, which has about half the bits of high less.
func emitReduceWide(n int) string {
	var e emitter
	m := n/2 + 1
	var c []string
	for i := range m {
		c = append(c, fmt.Sprintf("orderC%d", i))
	}
	t := e.limbs("t", 2*n)
	first := e.product(t[n:], c)
	sums, none := e.chain(first, padded(t[:n], len(first)))
	e.line("_ = %s // no carry: high·orderC + low fits", none)
	second := e.product(sums[n:], c)
	sums, none = e.chain(second, padded(sums[:n], len(second)))
	e.line("_, _ = %s, %s // the value is below 2^(64n+4)", none, sums[len(sums)-1])
	third := e.product(sums[n:n+1], c)
	low, carry := e.chain(sums[:n], padded(third, n))
	e.store("low", low)
	e.line("z.reduceOnce(&low, %s)", carry)
	return e.String()
}

// padded appends empty operands.
func padded(v []string, length int) []string {
	return append(slices.Clone(v), make([]string, length-len(v))...)
}

// emitLookup keeps the entry number index of a row, with all limbs in registers.
func emitLookup(n int) string {
	var e emitter
	var names, sources []string
	for _, coordinate := range []string{"x", "y"} {
		for i := range n {
			names = append(names, fmt.Sprintf("%s%d", coordinate, i))
			sources = append(sources, fmt.Sprintf("entry.%s[%d]", coordinate, i))
		}
	}
	e.line("var %s uint64", strings.Join(names, ", "))
	e.line("for i := range row {")
	e.line("entry := &row[i]")
	e.line("mask := -(((index ^ uint64(i)) - 1) >> 63) // all ones for i = index")
	for i := range names {
		e.line("%s |= %s & mask", names[i], sources[i])
	}
	e.line("}")
	e.line("*z = affine{fe{%s}, fe{%s}}", strings.Join(names[:n], ", "), strings.Join(names[n:], ", "))
	return e.String()
}

func emitWideMul(n int) string {
	var e emitter
	e.store("z", e.product(e.limbs("x", n), e.limbs("y", n)))
	return e.String()
}
