package ledger_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/ledger"
)

func TestDays(t *testing.T) {
	for text, want := range map[string]ledger.Day{"2026-11-26": 2026_11_26, "20261126": 2026_11_26, "2024-02-29": 2024_02_29, "0001-01-01": 1_01_01} {
		if day, err := ledger.ParseDay(text); err != nil || day != want || !day.Valid() {
			t.Errorf("%s: %d, %v", text, day, err)
		}
	}
	for _, text := range []string{"", "2026-02-29", "2026-1-1", "26-11-26", "20261301", "2026-11-26 ", "today"} {
		if day, err := ledger.ParseDay(text); err == nil {
			t.Errorf("%q is taken for %s", text, day)
		}
	}
	for _, day := range []ledger.Day{0, -1, 2026_02_29, 2026_13_01, 2026_00_10, 100_000_000} {
		if day.Valid() {
			t.Errorf("%d is taken for a day", int(day))
		}
	}
	if day := ledger.Day(2026_11_26); day.String() != "2026-11-26" || day.Start(time.UTC).Hour() != 0 {
		t.Errorf("%s begins %v", day, day.Start(time.UTC))
	}
}

// Days follow one another as they do in the calendar, and compare so.
func TestDaysFollow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-60_000_000_000, 250_000_000_000).Draw(t, "second"), 0).UTC()
		day := ledger.DayOf(at)
		next := ledger.DayOf(at.AddDate(0, 0, 1))
		if day.Next() != next || next.Previous() != day || next <= day || !day.Valid() {
			t.Fatalf("%s, then %s; Next says %s", day, next, day.Next())
		}
		if again, err := ledger.ParseDay(day.String()); err != nil || again != day {
			t.Fatalf("%s is read as %s, %v", day, again, err)
		}
	})
}
