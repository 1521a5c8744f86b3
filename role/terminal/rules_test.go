package terminal_test

import (
	"errors"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/terminal"
)

// denyEverybody is a rule that a test can switch.
type denyEverybody struct{ asked *int }

func (d denyEverybody) Ask(_ *ridecode.Code, _ terminal.Tap, _ time.Time, trace *ridecode.Trace) {
	*d.asked++
	trace.Fail("deny_list", ridecode.UserDenied, "on the deny list")
}

// A rule is asked about good codes only; its no leaves no trace in memory or journal.
func TestRules(t *testing.T) {
	g := newGate(t, 10)
	asked := 0
	code := g.code(t, now)
	with := g.settings
	with.Rules = append(with.Rules, denyEverybody{&asked})
	g.Configure(with)
	if got := g.Accept(code, tap, now.Add(time.Hour)); got.Verdict != ridecode.QRCodeInfoExpired || asked != 0 {
		t.Errorf("an old code: %s, the rule was asked %d times", got.Verdict, asked)
	}
	if got := g.Accept(code, tap, now); got.Verdict != ridecode.UserDenied || got.Record != nil || len(g.journal.kept) != 0 {
		t.Errorf("%s", got.Verdict)
	}
	g.Configure(g.settings)
	if got := g.Accept(code, tap, now); got.Verdict != ridecode.Success {
		t.Errorf("once the rule is gone: %s", got.Trace.Reason())
	}
}

// One rider's second code is turned away for a while, and so is a repeated code, each with its word;
// another rider is not; a fault of the journal counts for nothing.
func TestRiderAgain(t *testing.T) {
	g := newGate(t, 100)
	g.settings.AgainSec = 5
	g.Configure(g.settings)
	first := g.code(t, now)
	g.journal.fault = errors.New("disk full")
	if got := g.Accept(first, tap, now); got.Verdict != ridecode.SystemError {
		t.Fatal(got.Verdict)
	}
	g.journal.fault = nil
	other := func(grant *ridecode.Grant) { grant.UserID = "2088000099999999" }
	for _, step := range []struct {
		after time.Duration
		code  []byte
		want  ridecode.Verdict
	}{
		{0, first, ridecode.Success},
		{time.Second, first, ridecode.QRCodeDuplicated},
		{4 * time.Second, g.code(t, now.Add(4*time.Second)), ridecode.RiderTooSoon},
		{4 * time.Second, g.code(t, now.Add(4*time.Second), other), ridecode.Success},
		{5 * time.Second, g.code(t, now.Add(5*time.Second)), ridecode.Success},
		{590 * time.Second, g.code(t, now.Add(590*time.Second)), ridecode.Success},
		{622 * time.Second, g.code(t, now.Add(622*time.Second)), ridecode.Success},
	} {
		if got := g.Accept(step.code, tap, now.Add(step.after)); got.Verdict != step.want {
			t.Errorf("after %s: %s because %q, want %s", step.after, got.Verdict, got.Trace.Reason(), step.want)
		}
	}
}

// A memory of a hundred codes serves two thousand riders, one a second: it forgets what is over.
func TestMemoryStaysSmall(t *testing.T) {
	g := newGate(t, 100)
	for i := range 2000 {
		at := now.Add(time.Duration(i) * time.Second)
		code := g.code(t, at, func(grant *ridecode.Grant) { grant.ValidSec = 60; grant.Expires = now.Add(24 * time.Hour) })
		if got := g.Accept(code, tap, at); got.Verdict != ridecode.Success {
			t.Fatalf("tap %d: %s", i, got.Trace.Reason())
		}
	}
}

// Chained records follow one another, over a restart and a fault of the journal too.
func TestChain(t *testing.T) {
	g := newGate(t, 100)
	g.settings.Chained = true
	g.Configure(g.settings)
	for i := range 5 {
		if i == 2 {
			g.journal.fault = errors.New("disk full")
		}
		if i == 3 {
			g = restarted(t, g)
		}
		at := now.Add(time.Duration(i) * time.Second)
		g.Accept(g.code(t, at), tap, at)
	}
	chain, register := record.NewChain("sh001"), record.NewRegister()
	for i, raw := range g.journal.kept {
		u, err := record.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		place, linked, err := u.Place()
		if err != nil || !linked || place.Seq != uint64(i+1) {
			t.Fatalf("record %d stands at %+v, %v, %v", i, place, linked, err)
		}
		if arrival, err := chain.Add(place, register); err != nil || arrival.Outcome != record.Follows || len(arrival.Findings) > 0 {
			t.Errorf("record %d: %+v, %v", i, arrival, err)
		}
		register.Put(place)
	}
	if chain.Highest() != 4 || len(chain.Gaps(4)) != 0 {
		t.Errorf("the chain ends at %d with gaps %v", chain.Highest(), chain.Gaps(4))
	}
}

func restarted(t *testing.T, old *gate) *gate {
	t.Helper()
	g := newGate(t, 100)
	g.settings.Chained = true
	g.Configure(g.settings)
	for _, raw := range old.journal.kept {
		if err := g.Recall(raw, ridecode.DefaultClock(), now); err != nil {
			t.Fatal(err)
		}
	}
	g.journal.kept = old.journal.kept
	return g
}
