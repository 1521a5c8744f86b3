package reconcile

import (
	"fmt"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
)

// Day is an accounting day (会计日) of the platform, counted from 1970-01-01.
type Day int

// ParseDay reads 2026-11-26.
func ParseDay(text string) (Day, error) {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fmt.Errorf("%.20q is not a day like 2026-11-26", text)
	}
	return Day(at.Unix() / (24 * 60 * 60)), nil
}

func (d Day) String() string { return time.Unix(int64(d)*24*60*60, 0).UTC().Format(time.DateOnly) }

// DayOf is the accounting day of an instant, where days end at a time of day in Beijing.
func DayOf(at time.Time, ends time.Duration) Day {
	local := at.In(openapi.Beijing()).Add(24*time.Hour - ends)
	return Day(time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60))
}

// Bounds are the first instant of a day, and the first of the next one.
func (d Day) Bounds(ends time.Duration) (from, to time.Time) {
	midnight := time.Date(1970, 1, 1+int(d), 0, 0, 0, 0, openapi.Beijing())
	from = midnight.Add(ends - 24*time.Hour).UTC()
	return from, from.Add(24 * time.Hour)
}
