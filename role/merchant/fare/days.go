package fare

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/form"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// dayKinds tells working days from days off: in China a feast moves both.
type dayKinds struct{ changed map[Day]bool } // true: counts as a weekday

func (p *parser) readHolidays() {
	p.t.days.changed = map[Day]bool{}
	p.each("holidays.csv", maxRules, form.Columns{Required: []string{"date", "counts_as"}}, func(row form.Row) {
		day, err := ParseDay(row.Cell("date"))
		if err != nil {
			p.fail(row.Fault("date", fmt.Sprintf("%q is %v", row.Cell("date"), err)))
		}
		if _, twice := p.t.days.changed[day]; twice {
			p.fail(row.Fault("date", "stands twice"))
		}
		kind := row.Cell("counts_as")
		if kind != "weekday" && kind != "weekend" {
			p.fail(row.Fault("counts_as", fmt.Sprintf("%q is neither weekday nor weekend", kind)))
		}
		p.t.days.changed[day] = kind == "weekday"
	})
}

func (k dayKinds) isWeekday(day Day) bool {
	if weekday, changed := k.changed[day]; changed {
		return weekday
	}
	weekday := day.date().Weekday()
	return weekday != time.Saturday && weekday != time.Sunday
}

// when is a time of day on some days. One that ends before it begins goes over midnight, and belongs to
// the day on which it began.
type when struct {
	days        set // names of dayNames
	from, until int // minutes of the day, until not included
}

var dayNames = set{"weekday": true, "weekend": true, "mon": true, "tue": true, "wed": true, "thu": true, "fri": true, "sat": true, "sun": true}

// whenColumns are the columns of a when.
var whenColumns = []string{"days", "from", "until"}

func (p *parser) when(row form.Row) when {
	w := when{days: p.set(row, "days", dayNames), from: p.clock(row, "from"), until: p.clock(row, "until")}
	if w.from == w.until || w.from == minutesOfDay {
		p.fail(row.Fault("until", "as early as from: the whole day is 00:00 to 24:00"))
	}
	return w
}

func (w when) holds(at time.Time, kinds dayKinds) bool {
	day, minute := dayOf(at), minuteOf(at)
	if w.from < w.until {
		return w.from <= minute && minute < w.until && w.onDay(day, kinds)
	}
	return minute >= w.from && w.onDay(day, kinds) || minute < w.until && w.onDay(day-1, kinds)
}

func (w when) onDay(day Day, kinds dayKinds) bool {
	name := strings.ToLower(day.date().Weekday().String()[:3])
	return w.days[everything] || w.days[name] || kinds.isWeekday(day) && w.days["weekday"] || !kinds.isWeekday(day) && w.days["weekend"]
}
