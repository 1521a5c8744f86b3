package terminal_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/terminal"
	"pgregory.net/rapid"
)

// of makes a code the given rider's; it holds for a month, so that clocks may be far off.
func of(rider int) func(*ridecode.Grant) {
	return func(grant *ridecode.Grant) {
		grant.UserID, grant.Expires = ridecode.UserID(fmt.Sprintf("2088%012d", rider)), now.Add(30*24*time.Hour)
	}
}

// accept taps a fresh code of a rider, which must open.
func (g *gate) accept(t testing.TB, rider int, at time.Time) (code []byte) {
	t.Helper()
	code = g.code(t, at, of(rider))
	if got := g.Accept(code, tap, at); got.Verdict != ridecode.Success {
		t.Fatalf("rider %d at %s: %s", rider, at, got.Trace.Reason())
	}
	return code
}

// A clock that was ahead for a while, and is set right, takes no code a second time: by it the codes
// were over long ago.
func TestClockAheadAndBack(t *testing.T) {
	for _, ahead := range []time.Duration{11 * time.Minute, 2 * time.Hour, 24 * time.Hour, 20 * 24 * time.Hour} {
		g := newGate(t, 100)
		old := g.accept(t, 0, now)
		for i := range 20 {
			g.accept(t, 1+i, now.Add(ahead+time.Duration(i)*time.Second))
		}
		if again := g.Accept(old, tap, now.Add(30*time.Second)); again.Verdict != ridecode.QRCodeDuplicated {
			t.Errorf("%s ahead and back: %s", ahead, again.Verdict)
		}
	}
}

// The same for a code that was itself taken while the clock was ahead, by a phone that was too.
func TestTakenWhileAhead(t *testing.T) {
	g := newGate(t, 100)
	ahead := now.Add(11 * time.Minute)
	old := g.accept(t, 0, ahead)
	for i := range 72 {
		g.accept(t, 1+i, now.Add(time.Duration(i)*10*time.Second))
	}
	if again := g.Accept(old, tap, ahead.Add(time.Minute)); again.Verdict != ridecode.QRCodeDuplicated {
		t.Error(again.Verdict)
	}
}

// A full memory takes the room of what is over, the oldest first, and of nothing that still holds:
// neither for a clock that goes on nor for one that is set back.
func TestFullMemory(t *testing.T) {
	g := newGate(t, 3)
	g.accept(t, 0, now)
	second, third := g.accept(t, 1, now.Add(300*time.Second)), g.accept(t, 2, now.Add(310*time.Second))
	at := now.Add(640 * time.Second)
	fourth := g.accept(t, 3, at)
	for name, code := range map[string][]byte{"second": second, "third": third, "fourth": fourth} {
		if again := g.Accept(code, tap, at); again.Verdict != ridecode.QRCodeDuplicated {
			t.Errorf("the %s: %s", name, again.Verdict)
		}
	}
	for _, at := range []time.Time{at, now} {
		if got := g.Accept(g.code(t, at, of(4)), tap, at); got.Verdict != ridecode.NoEnoughMemory {
			t.Errorf("at %s, full of codes that hold: %s", at, got.Verdict)
		}
	}
}

// A clock that is ahead while the journal is read back, and is set right then, is no way to ride twice.
func TestRecallWithClockAhead(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, 0, 11 * time.Minute, 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		g := newGate(t, 100)
		var codes [][]byte
		for i := range 60 {
			codes = append(codes, g.accept(t, i, now.Add(time.Duration(i)*10*time.Second)))
		}
		fresh := newGate(t, 100)
		g.recallInto(t, fresh, now.Add(ahead))
		for i, code := range codes {
			if again := fresh.Accept(code, tap, now.Add(590*time.Second)); again.Verdict != ridecode.QRCodeDuplicated {
				t.Errorf("clock %s ahead, code %d: %s", ahead, i, again.Verdict)
			}
		}
	}
}

func (g *gate) recallInto(t testing.TB, fresh *gate, at time.Time) {
	t.Helper()
	for _, raw := range g.journal.kept {
		if err := fresh.Recall(raw, ridecode.DefaultClock(), at); err != nil {
			t.Fatal(err)
		}
	}
}

// A journal of more records than the memory holds is read back: what is over makes room. One of more
// codes that still hold is an error, and so a gate that does not open.
func TestRecallMore(t *testing.T) {
	g := newGate(t, 100)
	for i := range 100 {
		g.accept(t, i, now.Add(time.Duration(i)*10*time.Second))
	}
	last := now.Add(990 * time.Second)
	g.recallInto(t, newGate(t, 64), last)
	small := newGate(t, 20)
	var err error
	for _, raw := range g.journal.kept {
		err = errors.Join(err, small.Recall(raw, ridecode.DefaultClock(), now))
	}
	if !errors.Is(err, terminal.ErrMemoryFull) {
		t.Errorf("eighty codes too many: %v", err)
	}
	g.recallInto(t, newGate(t, 20), last.Add(time.Hour))
}

// Riders wait as long after a restart as before it, though their codes are over.
func TestRiderAgainAfterRestart(t *testing.T) {
	const againSec = 3 * 60 * 60
	g := newGate(t, 100)
	g.settings.AgainSec = againSec
	g.Configure(g.settings)
	g.accept(t, 1, now)
	for i := range 60 {
		g.accept(t, 2+i, now.Add(time.Duration(1+i)*2*time.Minute))
	}
	for _, ahead := range []time.Duration{2 * time.Hour, 20 * time.Hour} {
		fresh := newGate(t, 100)
		g.recallInto(t, fresh, now.Add(ahead))
		fresh.Configure(g.settings)
		at := now.Add((againSec - 1) * time.Second)
		if got := fresh.Accept(fresh.code(t, at, of(1)), tap, at); got.Verdict != ridecode.RiderTooSoon {
			t.Errorf("a second early, recalled at +%s: %s", ahead, got.Verdict)
		}
		fresh.accept(t, 1, at.Add(time.Second))
	}
}

// Riders who wait are bounded as the codes are: the one of the longest ago is dropped, and the gate
// stays open.
func TestRidersAreBounded(t *testing.T) {
	g := newGate(t, 50)
	g.settings.AgainSec = 24 * 60 * 60
	g.Configure(g.settings)
	for i := range 51 {
		g.accept(t, i, now.Add(time.Duration(i)*time.Minute))
	}
	at := now.Add(52 * time.Minute)
	if got := g.Accept(g.code(t, at, of(1)), tap, at); got.Verdict != ridecode.RiderTooSoon {
		t.Errorf("the last who is remembered: %s", got.Verdict)
	}
	g.accept(t, 0, at)
}

// Whatever the clock does within the hour, one code opens once, over restarts too.
func TestOnceWhateverTheClock(t *testing.T) {
	rapid.Check(t, func(draw *rapid.T) {
		g := newGate(t, 200)
		var codes [][]byte
		for i := range rapid.IntRange(1, 20).Draw(draw, "taps") {
			at := now.Add(time.Duration(rapid.IntRange(-1800, 1800).Draw(draw, "clock")) * time.Second)
			if rapid.IntRange(0, 9).Draw(draw, "restart") == 0 {
				fresh := newGate(t, 200)
				g.recallInto(t, fresh, at)
				fresh.journal.kept = g.journal.kept
				g = fresh
			}
			codes = append(codes, g.accept(t, i, at))
			old := rapid.IntRange(0, i).Draw(draw, "old")
			at = at.Add(time.Duration(rapid.IntRange(-1800, 1800).Draw(draw, "again")) * time.Second)
			if got := g.Accept(codes[old], tap, at); got.Verdict == ridecode.Success {
				draw.Fatalf("code %d opened a second time", old)
			}
		}
	})
}
