// Package fare is what rides cost (票价): tables that an operator can read, and prices that anybody can prove.
//
// It is pure: tables in, trips in, fares out, no clock and no files of its own. Every fare carries its
// reason line by line, and the lines add up to the fare exactly:
//
//	base           what the trip costs by line, zone, matrix, distance or feed
//	time           what the time of day changes
//	identity       what student or senior changes (用户身份, document 1 §6.3.2)
//	step           what the sum of the day or month so far changes (累计优惠)
//	transfer       what the trip before it changes (换乘优惠)
//	cap            what the day or month still allows (封顶)
//	limit          what the code's single-trade limit allows (限额, document 1 §6.3.2)
//
// Rounding. Amounts are whole fen. Percentages are multiplied exactly, as one fraction from the base to the
// transfer, and each line shows the fraction so far rounded in the table's one way to the table's one unit,
// less what stood before: so only one rounding is in the fare, whatever the number of discounts. Amounts
// that are added or taken off, and caps, are not rounded.
//
// Trips are priced in the order in which they began, each with what those before it on that fare day
// have cost: a greedy rule, as a rider at a gate would be told. Where it is not the cheapest way to pay a
// day is written in docs/DIVERGENCES.md.
package fare

import (
	"errors"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
)

// maxFare is the most that any code allows: its limit has two bytes (document 1 §6.3.2).
const maxFare money.Fen = 65535

// Kind is which taps a trip has.
type Kind int

// The kinds.
const (
	Single  Kind = iota // one tap, on a bus
	Through             // entry and exit
	NoExit              // an entry alone
	NoEntry             // an exit alone
)

// Trip is what is priced. Names are compared byte for byte with those of the table.
type Trip struct {
	Kind      Kind
	Line      string // of the first tap
	EndLine   string // of the exit of a Through, which may be another
	From, To  string // stations; may be empty where the table does not ask
	Start     time.Time
	End       time.Time     // of a Through
	Identity  ridecode.Quad // 用户身份
	LimitFen  money.Fen     // 限额: what the code allows; 0: anything
	Companion bool          // somebody who rides with the code's owner: full fare, no discount of his
}

// LineKind is what a line of a reason is about.
type LineKind string

// The kinds of line, in the order in which they stand.
const (
	Base     LineKind = "BASE"
	Default  LineKind = "DEFAULT" // entry or exit is missing
	Grace    LineKind = "GRACE"   // in and out at one station
	Time     LineKind = "TIME"
	Identity LineKind = "IDENTITY"
	Step     LineKind = "STEP"
	Transfer LineKind = "TRANSFER"
	Cap      LineKind = "CAP"
	Limit    LineKind = "LIMIT"
	Credit   LineKind = "CREDIT" // paid already with a trade that was sent; the merchant's, never a table's
)

// Source is the row of a table that a line comes from.
type Source struct {
	File string // "2026-07/matrix.csv"; empty where no table says it
	Row  int    // the line in that file, counted from 1
}

// Line is one line of a reason: what it adds to the fare, and why.
type Line struct {
	Kind      LineKind
	Why       string // for people, one line
	Source    Source
	AmountFen money.Fen // negative: it takes away
}

// Fare is the price of a trip: the sum of its lines, never negative.
type Fare struct {
	AmountFen money.Fen
	Lines     []Line
}

// Sum adds up the lines of a reason.
func Sum(lines []Line) (sum money.Fen) {
	for _, line := range lines {
		sum += line.AmountFen
	}
	return sum
}

// Result is a trip's fare, or why it has none.
type Result struct {
	Fare Fare
	Err  error // *Unknown
}

// ErrNoDefault says that no table has a fare for a trip without entry or exit.
var ErrNoDefault = errors.New("fare: the table has no default fare for a missing entry or exit")

// Unknown says why no fare is known: what the table lacks.
type Unknown struct {
	Why       string
	noDefault bool
}

func (u *Unknown) Error() string { return "fare: " + u.Why }

// Is tells ErrNoDefault from the others.
func (u *Unknown) Is(target error) bool { return target == ErrNoDefault && u.noDefault }

// Sums are what counts towards the monthly sums, by the name of the cap.
type Sums map[string]money.Fen

// Day is a fare day, counted from 1970-01-01 in Beijing. It begins when the tables say, so that the rides
// after midnight belong to the evening before.
type Day int

// Month counts months since the year 0.
func (d Day) Month() int {
	date := d.date()
	return date.Year()*12 + int(date.Month()) - 1
}

// String is the date.
func (d Day) String() string { return d.date().Format(time.DateOnly) }

func (d Day) date() time.Time { return time.Date(1970, 1, 1+int(d), 0, 0, 0, 0, openapi.Beijing()) }

// FirstOfMonth is the first day of the day's month.
func (d Day) FirstOfMonth() Day { return d - Day(d.date().Day()) + 1 }

// LastOfMonth is the last day of the day's month.
func (d Day) LastOfMonth() Day {
	date := d.date()
	return dayOf(time.Date(date.Year(), date.Month()+1, 0, 0, 0, 0, 0, date.Location()))
}

// dayOf is the calendar day of an instant in Beijing.
func dayOf(at time.Time) Day {
	const beijingSec = 8 * 3600
	seconds := at.Unix() + beijingSec
	day := seconds / 86400
	if seconds%86400 < 0 {
		day--
	}
	return Day(day)
}

// ParseDay reads a date like 2026-07-01.
func ParseDay(text string) (Day, error) {
	date, err := time.ParseInLocation(time.DateOnly, text, openapi.Beijing())
	if err != nil {
		return 0, errors.New("not a date like 2026-07-01")
	}
	return dayOf(date), nil
}

// minuteOf is the minute of the calendar day in Beijing.
func minuteOf(at time.Time) int {
	local := at.In(openapi.Beijing())
	return local.Hour()*60 + local.Minute()
}
