// Package money is amounts of renminbi (人民币金额): whole fen, checked arithmetic, and yuan text.
//
// Nothing in Shuama holds money in a float, and no addition may wrap: a wrapped sum is a fortune
// given away, so every operation that could overflow says so.
package money

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Fen is an amount of money in fen (分), one hundredth of a yuan (元). It may be negative: a debit.
type Fen int64

// MaxFen bounds any single amount that is read from text: ten thousand million yuan. It leaves room
// to add a million of them before int64 ends.
const MaxFen Fen = 1_000_000_000_000

// Errors of this package, for errors.Is.
var (
	ErrOverflow  = errors.New("money: the sum does not fit into an amount")
	ErrNotAmount = errors.New("money: not an amount in yuan (like 2, 2.0 or 2.00)")
	ErrTooFine   = errors.New("money: an amount in yuan has at most two decimals")
	ErrTooLarge  = errors.New("money: the amount is too large")
)

// ParseYuan reads an amount in yuan as document 2 §4.2.3.5 writes it: digits, and up to two decimals
// after a point. A sign, an exponent, white space and a third decimal (even a zero) are refused:
// what two readers could understand differently is not an amount.
func ParseYuan(text string) (Fen, error) {
	fen, err := ParseSum(text)
	if err == nil && fen > MaxFen {
		return 0, ErrTooLarge
	}
	return fen, err
}

// ParseSum is ParseYuan for the sum of many amounts, which is bounded by what fits alone.
func ParseSum(text string) (Fen, error) {
	whole, decimals, pointed := strings.Cut(text, ".")
	if !isDigits(whole) || pointed && !isDigits(decimals) {
		return 0, ErrNotAmount
	}
	if len(decimals) > 2 {
		return 0, ErrTooFine
	}
	fen, err := strconv.ParseInt(whole+(decimals + "00")[:2], 10, 64)
	if err != nil {
		return 0, ErrTooLarge
	}
	return Fen(fen), nil
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// Yuan writes the amount in yuan with two decimals, as "2.00" or "-0.05".
func (f Fen) Yuan() string {
	sign, rest := "", uint64(f)
	if f < 0 {
		sign, rest = "-", -uint64(f)
	}
	cents := strconv.FormatUint(rest%100, 10)
	if len(cents) == 1 {
		cents = "0" + cents
	}
	return sign + strconv.FormatUint(rest/100, 10) + "." + cents
}

// String is Yuan with the unit, for people: "2.00 yuan".
func (f Fen) String() string { return f.Yuan() + " yuan" }

// Add returns f + g, or ErrOverflow.
func (f Fen) Add(g Fen) (Fen, error) {
	sum := f + g
	if (sum > f) != (g > 0) {
		return 0, ErrOverflow
	}
	return sum, nil
}

// Negate returns -f, or ErrOverflow for the one amount that has no opposite.
func (f Fen) Negate() (Fen, error) {
	if f == math.MinInt64 {
		return 0, ErrOverflow
	}
	return -f, nil
}
