package trust

import (
	"fmt"
	"time"

	"github.com/shuama/shuama/money"
)

// State is how far a bundle's time has gone.
type State uint8

// The states.
const (
	Fresh State = iota + 1 // up to and including StaleAfter
	Stale                  // up to and including DeadAfter: small trades only
	Dead                   // after it: none
)

// String is for a display.
func (s State) String() string {
	switch s {
	case Fresh:
		return "fresh"
	case Stale:
		return "stale"
	case Dead:
		return "dead"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Staleness is what a bundle's age means at one moment. A trust list that nobody renewed once closed
// every gate of a country in one second: here an alarm comes first, then a time with small trades.
type Staleness struct {
	State    State
	Until    time.Time // the last second of this state; zero when dead
	Alarm    bool      // fetch a newer bundle now, and tell the keeper
	DeadFrom time.Time // the first second at which nothing is taken

	// BehindSec is more than 0 when the bundle was issued that many seconds after this moment, and that
	// is more than the clock policy allows: not the bundle is wrong, but the terminal's clock.
	BehindSec int64

	graceLimitFen money.Fen
}

// Staleness tells what the bundle's age means at the moment now.
func (b *Bundle) Staleness(now time.Time) Staleness {
	h, at := b.u.head, now.Unix()
	s := Staleness{State: Fresh, Until: h.staleAfter, Alarm: at >= h.alarmFrom.Unix(),
		DeadFrom: h.deadAfter.Add(time.Second), graceLimitFen: h.graceLimitFen}
	if at > h.staleAfter.Unix() {
		s.State, s.Until = Stale, h.deadAfter
	}
	if at > h.deadAfter.Unix() {
		s.State, s.Until = Dead, time.Time{}
	}
	if behind := h.issued.Unix() - at; behind > int64(b.u.clock.MaxSkewSec) {
		s.BehindSec = behind
	}
	return s
}

// Allows tells whether a trade may be taken: any while fresh, up to the grace limit while stale, none
// when dead. An amount of 0, not known yet as at a metro entry, is within any limit, as for a code.
func (s Staleness) Allows(amountFen money.Fen) bool {
	return s.State == Fresh || s.State == Stale && amountFen <= s.graceLimitFen
}

// String is a sentence for the keeper of a terminal, times in UTC.
func (s Staleness) String() string {
	text := fmt.Sprintf("the trust bundle is %s until %s", s.State, s.Until.UTC().Format(time.RFC3339))
	switch {
	case s.State == Dead:
		text = fmt.Sprintf("the trust bundle is dead since %s: nothing is taken", s.DeadFrom.UTC().Format(time.RFC3339))
	case s.State == Stale:
		text += fmt.Sprintf(", trades up to %s yuan are taken: fetch a newer one", s.graceLimitFen.Yuan())
	case s.Alarm:
		text += ": fetch a newer one"
	}
	if s.BehindSec > 0 {
		text += fmt.Sprintf("; this clock is at least %d s behind, for it says a time before the bundle was issued", s.BehindSec)
	}
	return text
}
