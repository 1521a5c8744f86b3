package merchant

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/shuama/shuama/protocol/record"
)

// Trip is what a fare is asked for: one tap on a bus, entry and exit in the metro (document 2 §1.2,
// 脱机操作). A trip that lacks its exit is not one yet: its entry is an open tap.
type Trip struct {
	Start Tap
	End   Tap // zero for a bus
}

// Last is the tap that made the trip whole.
func (t Trip) Last() Tap {
	if t.isMetro() {
		return t.End
	}
	return t.Start
}

// Taps are the trip's taps in the order of the ride.
func (t Trip) Taps() []Tap {
	if t.isMetro() {
		return []Tap{t.Start, t.End}
	}
	return []Tap{t.Start}
}

func (t Trip) isMetro() bool { return t.Start.Kind == record.Entry }

// pairTrips makes the trips of one rider: an exit ends the entry right before it, unless that is more
// than maxTrip ago. It is a function of the set of taps, so the order in which records arrive does not
// matter. A pinned tap belongs to a trade that cannot be undone; it stays where it is and nothing is
// paired across it.
func pairTrips(taps []Tap, pinned map[record.ID]bool, maxTrip time.Duration) []Trip {
	sorted := slices.SortedFunc(slices.Values(taps), compareTaps)
	var trips []Trip
	for i := 1; i < len(sorted); i++ {
		entry, exit := sorted[i-1], sorted[i]
		if entry.Kind == record.Entry && exit.Kind == record.Exit && exit.At.Sub(entry.At) <= maxTrip &&
			!pinned[entry.Record] && !pinned[exit.Record] {
			trips = append(trips, Trip{Start: entry, End: exit})
		}
	}
	return trips
}

// compareTaps orders by time. In one second exits go first: no ride takes less, so the exit ends an
// earlier entry. The record's identity makes the order total.
func compareTaps(a, b Tap) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(kindRank(a.Kind), kindRank(b.Kind)), bytes.Compare(a.Record[:], b.Record[:]))
}

func kindRank(kind record.Kind) int {
	if kind == record.Exit {
		return 0
	}
	return 1
}

func compareRiders(a, b Rider) int {
	return cmp.Or(cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.CardType, b.CardType), cmp.Compare(a.CardNo, b.CardNo))
}
