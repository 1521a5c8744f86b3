package merchant

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant/fare"
)

// Trip is what a fare is asked for: one tap on a bus, entry and exit in the metro (document 2 §1.2,
// 脱机操作), or one of these two alone.
type Trip struct {
	Start     Tap   // zero: an exit whose entry is missing
	End       Tap   // zero: a bus, or an entry whose exit is missing
	Claim     Claim // what the rider said of the missing end; zero: nothing
	Companion bool  // of somebody who rides with the code's owner
}

// Last is the last tap of the trip.
func (t Trip) Last() Tap {
	if t.hasEnd() {
		return t.End
	}
	return t.Start
}

// Taps are the trip's taps in the order of the ride.
func (t Trip) Taps() (taps []Tap) {
	if t.hasStart() {
		taps = append(taps, t.Start)
	}
	if t.hasEnd() {
		taps = append(taps, t.End)
	}
	return taps
}

func (t Trip) first() Tap { return t.Taps()[0] }

func (t Trip) hasStart() bool { return t.Start.Kind != "" }

func (t Trip) hasEnd() bool { return t.End.Kind != "" }

func (t Trip) isMetro() bool { return t.Start.Kind == record.Entry || t.hasEnd() }

// lacksEnd tells of a metro trip with one tap, claimed or not.
func (t Trip) lacksEnd() bool { return t.isMetro() && t.hasStart() != t.hasEnd() }

// isOpen tells of a metro trip with one tap of which nobody has said the rest.
func (t Trip) isOpen() bool { return t.lacksEnd() && t.Claim.Station == "" }

// begun is when the trip began, as far as anybody knows: it decides its fare day.
func (t Trip) begun() time.Time { return t.first().At }

// priced is the trip as a fare table looks at it.
func (t Trip) priced() fare.Trip {
	tap := t.first()
	p := fare.Trip{Kind: fare.Single, Line: tap.Line, From: tap.Station, Start: tap.At, Identity: tap.Identity, LimitFen: limitOf(t), Companion: t.Companion}
	switch claim := t.Claim; {
	case !t.isMetro():
	case t.hasStart() && t.hasEnd():
		p.Kind, p.EndLine, p.To, p.End = fare.Through, t.End.Line, t.End.Station, t.End.At
	case t.hasStart() && claim.Station != "":
		p.Kind, p.EndLine, p.To, p.End = fare.Through, cmp.Or(claim.Line, tap.Line), claim.Station, claim.At
	case t.hasStart():
		p.Kind = fare.NoExit
	case claim.Station != "":
		p.Kind, p.Line, p.From, p.Start = fare.Through, cmp.Or(claim.Line, tap.Line), claim.Station, claim.At
		p.EndLine, p.To, p.End = tap.Line, tap.Station, tap.At
	default:
		p.Kind, p.From, p.To = fare.NoEntry, "", tap.Station
	}
	return p
}

// limitOf is the least that the trip's codes allow: the payment institution holds the trade to each.
func limitOf(t Trip) (limitFen money.Fen) {
	for i, tap := range t.Taps() {
		if i == 0 || tap.LimitFen < limitFen {
			limitFen = tap.LimitFen
		}
	}
	return limitFen
}

// pairRules are how taps make trips.
type pairRules struct {
	maxTrip       time.Duration
	companionWait time.Duration
}

// pairTrips makes the trips of one rider, in the order of their last taps. It is a function of the set of
// taps, so the order in which records arrive does not matter.
//
// An exit ends the entry right before it, unless that is more than maxTrip ago. Entries at one station,
// each within companionWait of the one before, are a party that one code let in: each exit that follows
// ends one of them, the last first. Taps on one bus line as close together are a party too. The code's owner
// is whose trip is whole first; the others of a party are companions.
func pairTrips(taps []WindowTap, rules pairRules) []Trip {
	sorted := slices.SortedFunc(slices.Values(taps), func(a, b WindowTap) int { return compareTaps(a.Tap, b.Tap) })
	p := pairing{rules: rules, claims: map[record.ID]Claim{}}
	for _, tap := range sorted {
		p.claims[tap.Record] = tap.Claim
		switch tap.Kind {
		case record.Single, record.Online:
			p.board(tap.Tap)
		case record.Entry:
			p.enter(tap.Tap)
		case record.Exit:
			p.leave(tap.Tap)
		}
	}
	p.closeParty()
	slices.SortStableFunc(p.trips, func(a, b Trip) int { return compareTaps(a.Last(), b.Last()) })
	return p.trips
}

// pairing is taps in the order of time, as far as they were gone through.
type pairing struct {
	rules  pairRules
	claims map[record.ID]Claim
	trips  []Trip
	bus    Tap   // the last one
	party  []Tap // entries that wait for their exits
	left   bool  // somebody of the party has left
}

func (p *pairing) board(tap Tap) {
	p.trips = append(p.trips, Trip{Start: tap, Companion: p.goesWith(p.bus, tap)})
	p.bus = tap
}

// goesWith tells whether two taps of one rider follow each other as those of a party do.
func (p *pairing) goesWith(before, tap Tap) bool {
	return before.Kind == tap.Kind && before.Line == tap.Line && before.Station == tap.Station && tap.At.Sub(before.At) <= p.rules.companionWait
}

func (p *pairing) enter(tap Tap) {
	if len(p.party) == 0 || p.left || !p.goesWith(p.party[len(p.party)-1], tap) {
		p.closeParty()
	}
	p.party = append(p.party, tap)
}

func (p *pairing) leave(tap Tap) {
	last := len(p.party) - 1
	if last < 0 || tap.At.Sub(p.party[last].At) > p.rules.maxTrip {
		p.trips = append(p.trips, Trip{End: tap, Claim: p.claims[tap.Record]})
		return
	}
	p.trips = append(p.trips, Trip{Start: p.party[last], End: tap, Companion: p.left})
	p.party, p.left = p.party[:last], true
}

// closeParty gives up on exits for who is left.
func (p *pairing) closeParty() {
	for i, entry := range p.party {
		p.trips = append(p.trips, Trip{Start: entry, Claim: p.claims[entry.Record], Companion: p.left || i > 0})
	}
	p.party, p.left = nil, false
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
