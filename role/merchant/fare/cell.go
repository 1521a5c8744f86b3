package fare

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

const minutesOfDay = 24 * 60

// amount reads yuan with up to two decimals, from 0 to what a code can allow.
func (p *parser) amount(row form.Row, column string) money.Fen {
	amount, why := readAmount(row.Cell(column))
	if why != "" {
		p.fail(row.Fault(column, why))
	}
	return amount
}

func readAmount(text string) (money.Fen, string) {
	amount, err := money.ParseYuan(text)
	switch {
	case err != nil:
		return 0, fmt.Sprintf("%q is no amount of yuan, like 2.00", text)
	case amount > maxFare:
		return 0, fmt.Sprintf("%q is more than 655.35, the most that a code's limit can allow", text)
	}
	return amount, ""
}

// price is what a rule makes of a fare: a percentage, an amount that it then costs at most, an amount
// that is taken off, or the higher of two.
type price struct {
	kind    priceKind
	percent int64
	fen     money.Fen
}

type priceKind int

const (
	paysPercent priceKind = iota
	paysAtMost
	paysLess
	paysHigher // the two trips together cost the dearer one
)

// maxPercent bounds a surcharge.
const maxPercent = 1000

// price reads "50%", and where they are allowed "1.00", "-1.00" and "higher".
func (p *parser) price(row form.Row, column string, allowed ...priceKind) price {
	text := row.Cell(column)
	got, good := readPrice(text)
	for _, kind := range allowed {
		if good && got.kind == kind {
			return got
		}
	}
	examples := map[priceKind]string{paysPercent: "50% (of the fare)", paysAtMost: "1.00 (instead of it)", paysLess: "-1.00 (taken off)", paysHigher: "higher (both trips together cost the dearer one)"}
	var says []string
	for _, kind := range allowed {
		says = append(says, examples[kind])
	}
	p.fail(row.Fault(column, fmt.Sprintf("%q is none of: %s", text, strings.Join(says, ", "))))
	return price{}
}

func readPrice(text string) (price, bool) {
	if digits, isPercent := strings.CutSuffix(text, "%"); isPercent {
		percent, err := strconv.ParseUint(digits, 10, 32)
		return price{kind: paysPercent, percent: int64(percent)}, err == nil && percent <= maxPercent && strconv.FormatUint(percent, 10) == digits
	}
	if text == "higher" {
		return price{kind: paysHigher}, true
	}
	digits, less := strings.CutPrefix(text, "-")
	amount, why := readAmount(digits)
	if less {
		return price{kind: paysLess, fen: amount}, why == ""
	}
	return price{kind: paysAtMost, fen: amount}, why == ""
}

func (c price) String() string {
	switch c.kind {
	case paysPercent:
		return fmt.Sprintf("pays %d %%", c.percent)
	case paysAtMost:
		return "pays " + c.fen.Yuan()
	case paysLess:
		return c.fen.Yuan() + " less"
	}
	return "the dearer of the trips"
}

// count reads a whole number.
func (p *parser) count(row form.Row, column string, least, most int) int {
	n, err := strconv.Atoi(row.Cell(column))
	if err != nil || n < least || n > most {
		p.fail(row.Fault(column, fmt.Sprintf("%q is no whole number from %d to %d", row.Cell(column), least, most)))
	}
	return n
}

// clock reads a time of day, 00:00 to 24:00, in minutes.
func (p *parser) clock(row form.Row, column string) int {
	text := row.Cell(column)
	if text == "24:00" {
		return minutesOfDay
	}
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != 5 {
		p.fail(row.Fault(column, fmt.Sprintf("%q is no time of day, like 07:00", text)))
	}
	return at.Hour()*60 + at.Minute()
}

// word reads a name that rules can refer to: a group or an identity.
func (p *parser) word(row form.Row, column string) string {
	text := row.Cell(column)
	if text == "" || text == "*" || text == "none" || strings.ContainsAny(text, " \t") {
		p.fail(row.Fault(column, fmt.Sprintf("%q is no name: one word, neither * nor none", text)))
	}
	return text
}

// text reads a cell that must not be empty.
func (p *parser) text(row form.Row, column string) string {
	if row.Cell(column) == "" {
		p.fail(row.Fault(column, "empty"))
	}
	return row.Cell(column)
}

// quad reads the four bytes of an identity.
func (p *parser) quad(row form.Row, column string) (quad ridecode.Quad) {
	text := row.Cell(column)
	for i := range quad {
		if len(text) != 2*len(quad) {
			break
		}
		b, err := strconv.ParseUint(text[2*i:2*i+2], 16, 8)
		if err != nil {
			text = ""
			break
		}
		quad[i] = byte(b)
	}
	if len(text) != 2*len(quad) || quad == (ridecode.Quad{}) {
		p.fail(row.Fault(column, fmt.Sprintf("%q is no identity: 8 digits of hex, as a grant has it (document 1 §6.3.2); 00000000 is a rider without one", row.Cell(column))))
	}
	return quad
}

// set is names that a rule is for.
type set map[string]bool

// everything is what * is for.
const everything = "*"

func (s set) has(name string) bool { return s[everything] || s[name] }

// set reads * or names with spaces between; each must be known.
func (p *parser) set(row form.Row, column string, known set) set {
	names := strings.Fields(row.Cell(column))
	got := set{}
	for _, name := range names {
		switch {
		case name == everything && len(names) > 1:
			p.fail(row.Fault(column, "* stands for everything, and alone"))
		case name != everything && !known[name]:
			p.fail(row.Fault(column, fmt.Sprintf("%q is not known here: %s", name, known)))
		}
		got[name] = true
	}
	if len(names) == 0 {
		p.fail(row.Fault(column, "empty: write * for everything"))
	}
	return got
}

func (s set) String() string {
	names := sortedKeys(s)
	if len(names) > 12 {
		names = append(names[:12], "…")
	}
	return "* or " + strings.Join(names, ", ")
}
