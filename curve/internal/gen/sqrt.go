package main

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// sqrtChain writes x^((p+1)/4) as squarings and products: the exponent is cut into runs of ones, and
// x^(2^m-1) for every needed run length m is built from shorter ones.
func (c *derived) sqrtChain() string {
	e := new(big.Int).Add(c.P, big.NewInt(1))
	e.Rsh(e, 2)
	runs := onesRuns(e)
	w := &chainWriter{have: []int{1}}
	for _, r := range runs {
		w.need(r.ones)
	}
	slices.Sort(w.have)
	w.line("t.set(&x%d)", runs[0].ones)
	for i, r := range runs {
		if i > 0 {
			w.line("t.squareTimes(&t, %d)", r.ones)
			w.line("t.mul(&t, &x%d)", r.ones)
		}
		if r.zeros > 0 {
			w.line("t.squareTimes(&t, %d)", r.zeros)
		}
	}
	return w.String()
}

type bitRun struct{ ones, zeros int }

func onesRuns(e *big.Int) []bitRun {
	var runs []bitRun
	for i := e.BitLen() - 1; i >= 0; {
		var r bitRun
		for ; i >= 0 && e.Bit(i) == 1; i-- {
			r.ones++
		}
		for ; i >= 0 && e.Bit(i) == 0; i-- {
			r.zeros++
		}
		runs = append(runs, r)
	}
	return runs
}

type chainWriter struct {
	strings.Builder
	have []int
}

func (w *chainWriter) line(format string, args ...any) {
	fmt.Fprintf(w, "\t"+format+"\n", args...)
}

// need makes x^(2^m-1) available as the variable xm.
func (w *chainWriter) need(m int) {
	if slices.Contains(w.have, m) {
		return
	}
	low := m / 2
	for _, h := range w.have { // an existing run is cheaper than a new one
		if 2*h >= m && h < m {
			low = m - h
			break
		}
	}
	w.need(low)
	w.need(m - low)
	w.line("var x%d fe // x^(2^%d - 1)", m, m)
	w.line("x%d.squareTimes(&x%d, %d)", m, m-low, low)
	w.line("x%d.mul(&x%d, &x%d)", m, m, low)
	w.have = append(w.have, m)
}
