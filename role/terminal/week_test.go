package terminal_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/terminal"
)

// discard keeps nothing, so that what grows is the terminal's own.
type discard struct{}

func (discard) Keep([]byte) error { return nil }

// A week of a busy gate, fifty thousand taps of ten thousand riders: the memory at the end is what it
// was after the first day.
func TestBusyWeek(t *testing.T) {
	g := newGate(t, 100_000)
	busy := terminal.New(discard{}, 100_000)
	g.settings.AgainSec, g.settings.Chained = 5, true
	busy.Configure(g.settings)
	var firstDay, end uint64
	const taps, week = 50_000, 7 * 24 * time.Hour
	for i := range taps {
		at := now.Add(week / taps * time.Duration(i)).Truncate(time.Second)
		code := g.code(t, at, func(grant *ridecode.Grant) {
			grant.Expires, grant.UserID = now.Add(2*week), ridecode.UserID(fmt.Sprintf("2088%012d", i%10_000))
		})
		if got := busy.Accept(code, tap, at); got.Verdict != ridecode.Success {
			t.Fatalf("tap %d: %s", i, got.Trace.Reason())
		}
		switch i {
		case taps / 7:
			firstDay = heapInUse()
		case taps - 1:
			end = heapInUse()
		}
	}
	if end > firstDay+256<<10 {
		t.Errorf("%d KiB after a day, %d KiB after a week", firstDay>>10, end>>10)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
