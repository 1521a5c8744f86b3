package main

import (
	"fmt"
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
	top := e.name("t")
	e.line("%s := %s + %s", top, high[n-1], carry)
	return append(append([]string{low[0]}, sums...), top)
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
		top := e.name("t")
		e.line("%s := %s + %s", top, row[len(y)], carry)
		acc = append(sums, top)
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
		top := e.name("t")
		e.line("%s := %s + %s", top, row[len(row)-1], carry)
		acc = append(sums, top)
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
	e.line("%s := %s + %s + %s", top, doubled[2*n-1], diagonal[2*n-1], carry)
	return append(append([]string{diagonal[0]}, sums...), top)
}

// fold reduces 2n limbs to n limbs modulo 2^64n - fieldC, loosely.
func (e *emitter) fold(r []string) []string {
	n := len(r) / 2
	row := e.row("fieldC", r[n:])
	sums, carry := e.chain(r[:n], row[:n])
	top := e.name("t")
	e.line("%s := %s + %s // at most 2^34: fieldC has 33 bits", top, row[n], carry)
	return e.foldTop(sums, top)
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

func emitAdd(n int) string {
	var e emitter
	sums, carry := e.chain(e.limbs("x", n), e.limbs("y", n))
	c0, c := e.name("s"), e.name("k")
	// first carry: the sum is below 2^64n - 1, and adding fieldC may carry once more
	e.line("%s, %s := bits.Add64(%s, -%s&fieldC, 0)", c0, c, sums[0], carry)
	out := []string{c0}
	for _, s := range sums[1:] {
		v, k := e.name("s"), e.name("k")
		e.line("%s, %s := bits.Add64(%s, 0, %s)", v, k, s, c)
		out, c = append(out, v), k
	}
	e.line("z[0] = %s + -%s&fieldC // after a second carry the value is below fieldC", out[0], c)
	for i, v := range out[1:] {
		e.line("z[%d] = %s", i+1, v)
	}
	return e.String()
}

func emitSub(n int) string {
	var e emitter
	x, y := e.limbs("x", n), e.limbs("y", n)
	borrow := "0"
	var d []string
	for i := range n {
		v, b := e.name("d"), e.name("b")
		e.line("%s, %s := bits.Sub64(%s, %s, %s)", v, b, x[i], y[i], borrow)
		d, borrow = append(d, v), b
	}
	sub := fmt.Sprintf("-%s&fieldC", borrow)
	borrow = "0"
	for i := range n {
		v, b := e.name("d"), e.name("b")
		e.line("%s, %s := bits.Sub64(%s, %s, %s)", v, b, d[i], sub, borrow)
		d[i], borrow, sub = v, b, "0"
	}
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

func emitWideMul(n int) string {
	var e emitter
	e.store("z", e.product(e.limbs("x", n), e.limbs("y", n)))
	return e.String()
}
