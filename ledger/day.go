package ledger

import (
	"fmt"
	"time"
)

// Day is an accounting day (会计日, 清算日) as a number that people can read: 20261126. Days compare as they
// follow one another.
type Day int32

// DayOf is the calendar day of t, in the zone of t.
func DayOf(t time.Time) Day {
	year, month, day := t.Date()
	return Day(year*10000 + int(month)*100 + day)
}

// ParseDay reads 2026-11-26 or 20261126.
func ParseDay(text string) (Day, error) {
	for _, layout := range []string{time.DateOnly, "20060102"} {
		if t, err := time.Parse(layout, text); err == nil {
			return DayOf(t), nil
		}
	}
	return 0, fmt.Errorf("ledger: %.20q is not a day like 2026-11-26", text)
}

// Next is the day after.
func (d Day) Next() Day { return DayOf(d.midnight().AddDate(0, 0, 1)) }

// Previous is the day before.
func (d Day) Previous() Day { return DayOf(d.midnight().AddDate(0, 0, -1)) }

// Back is so many days before.
func (d Day) Back(days int) Day { return DayOf(d.midnight().AddDate(0, 0, -days)) }

// Start is midnight of the day in a zone.
func (d Day) Start(zone *time.Location) time.Time {
	return time.Date(int(d/10000), time.Month(d/100%100), int(d%100), 0, 0, 0, 0, zone)
}

func (d Day) midnight() time.Time { return d.Start(time.UTC) }

// Valid tells whether there is such a day.
func (d Day) Valid() bool { return d >= 1_01_01 && d <= 9999_12_31 && DayOf(d.midnight()) == d }

func (d Day) String() string { return fmt.Sprintf("%04d-%02d-%02d", d/10000, d/100%100, d%100) }
