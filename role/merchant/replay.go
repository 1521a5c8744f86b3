package merchant

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/merchant/fare"
)

// ReplayOptions are what a replay leaves open.
type ReplayOptions struct {
	First, Last fare.Day                // fare days, both included; sums of a month begin at 0 on First
	Top         int                     // how many riders are told singly
	Pseudonym   func(Rider) string      // the name under which a rider is told
	Progress    func(riders, trips int) // called now and then; may be nil
}

// Replay is what other fare tables make of some days: who pays more, and who less.
type Replay struct {
	First, Last  fare.Day
	Riders       int // who have a trip with both fares
	Trips        int // with both fares
	OldFen       money.Fen
	NewFen       money.Fen
	More, Less   Side // riders who would pay more, or less; the others pay the same
	Distribution []Bucket
	Most         []Affected // the riders whose sum changes most
	Lines        []LineChange
	OnlyOld      []Unpriced // trips that the other tables cannot price, by why
	OnlyNew      []Unpriced // trips that only the other tables can price, by why not
	Neither      int
}

// Side is riders who pay more, or less, and by how much in all.
type Side struct {
	Riders    int
	AmountFen money.Fen // of the difference; positive on both sides
}

// Bucket is riders whose difference lies from FromFen to UntilFen, the latter not included.
type Bucket struct {
	FromFen, UntilFen money.Fen
	Riders            int
}

// Affected is one rider.
type Affected struct {
	Pseudonym      string
	Trips          int
	OldFen, NewFen money.Fen
}

// LineChange is the trips that began on one line.
type LineChange struct {
	Line           string
	Trips          int
	OldFen, NewFen money.Fen
}

// Unpriced counts trips without a fare by the reason.
type Unpriced struct {
	Why   string
	Trips int
}

// bucketEdges are the bounds of the distribution, in fen a rider.
var bucketEdges = []money.Fen{-1 << 62, -100_00, -50_00, -20_00, -10_00, -5_00, -2_00, -1_00, 0, 1, 1_01, 2_01, 5_01, 10_01, 20_01, 50_01, 100_01, 1 << 62}

// Replay prices the trips of some days under the fare tables of this merchant and under others, side by
// side, and writes nothing. Both sides are reckoned from the same taps, so that the difference is the
// tables' alone: not what was sent, credited or refunded.
func (m *Merchant) Replay(ctx context.Context, other *fare.Tariff, options ReplayOptions) (Replay, error) {
	config := m.config
	config.Fares = other
	r := replay{old: m, new: &Merchant{config: config}, options: options, lines: map[string]*LineChange{}, onlyOld: map[string]int{}, onlyNew: map[string]int{},
		report: Replay{First: options.First, Last: options.Last}}
	for _, edge := range bucketEdges[:len(bucketEdges)-1] {
		r.report.Distribution = append(r.report.Distribution, Bucket{FromFen: edge})
	}
	for i := range r.report.Distribution {
		r.report.Distribution[i].UntilFen = bucketEdges[i+1]
	}
	seen := 0
	for riders, err := range m.riderPages(ctx) {
		if err == nil {
			err = r.page(ctx, riders)
		}
		if err != nil {
			return Replay{}, fmt.Errorf("merchant: replay: %w", err)
		}
		if seen += len(riders); options.Progress != nil {
			options.Progress(seen, r.report.Trips)
		}
	}
	r.finish()
	return r.report, nil
}

// replay is a replay at work.
type replay struct {
	old, new         *Merchant
	options          ReplayOptions
	report           Replay
	lines            map[string]*LineChange
	onlyOld, onlyNew map[string]int
}

func (r *replay) page(ctx context.Context, riders []Rider) error {
	var need Need
	for _, rider := range riders {
		window := r.old.window(scope{rider, r.options.First, r.options.Last})
		window.TapsOnly = true
		need.Windows = append(need.Windows, window)
	}
	state, err := r.old.store.View(ctx, need)
	if err != nil {
		return err
	}
	for _, rider := range riders {
		r.rider(rider, state.Windows[rider])
	}
	return nil
}

func (r *replay) rider(rider Rider, taps []WindowTap) {
	taps = slices.DeleteFunc(taps, func(tap WindowTap) bool { return tap.Shut })
	var trips []Trip
	for _, trip := range pairTrips(taps, pairRules{maxTrip: r.old.config.MaxTrip, companionWait: r.old.config.CompanionWait}) {
		if day := r.old.config.Fares.DayOf(trip.begun()); r.options.First <= day && day <= r.options.Last {
			trips = append(trips, trip)
		}
	}
	if len(trips) == 0 {
		return
	}
	before, _ := r.old.priceTrips(trips, r.options.First, nil)
	after, _ := r.new.priceTrips(trips, r.new.config.Fares.DayOf(trips[0].begun()), nil)
	sum := Affected{Pseudonym: r.options.Pseudonym(rider)}
	for i, trip := range trips {
		r.trip(trip, before[i], after[i], &sum)
	}
	if sum.Trips > 0 {
		r.add(sum)
	}
}

func (r *replay) trip(trip Trip, before, after fare.Result, sum *Affected) {
	switch {
	case before.Err != nil && after.Err != nil:
		r.report.Neither++
		return
	case before.Err != nil:
		r.onlyNew[before.Err.Error()]++
		return
	case after.Err != nil:
		r.onlyOld[after.Err.Error()]++
		return
	}
	line := trip.first().Line
	if r.lines[line] == nil {
		r.lines[line] = &LineChange{Line: line}
	}
	change := r.lines[line]
	change.Trips, sum.Trips, r.report.Trips = change.Trips+1, sum.Trips+1, r.report.Trips+1
	change.OldFen, sum.OldFen = change.OldFen+before.Fare.AmountFen, sum.OldFen+before.Fare.AmountFen
	change.NewFen, sum.NewFen = change.NewFen+after.Fare.AmountFen, sum.NewFen+after.Fare.AmountFen
}

func (r *replay) add(sum Affected) {
	report, difference := &r.report, sum.NewFen-sum.OldFen
	report.Riders++
	report.OldFen, report.NewFen = report.OldFen+sum.OldFen, report.NewFen+sum.NewFen
	switch {
	case difference > 0:
		report.More.Riders, report.More.AmountFen = report.More.Riders+1, report.More.AmountFen+difference
	case difference < 0:
		report.Less.Riders, report.Less.AmountFen = report.Less.Riders+1, report.Less.AmountFen-difference
	}
	for i := range report.Distribution {
		if b := &report.Distribution[i]; b.FromFen <= difference && difference < b.UntilFen {
			b.Riders++
		}
	}
	if difference == 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(report.Most, sum, compareAffected)
	if at < r.options.Top {
		report.Most = slices.Insert(report.Most, at, sum)
		report.Most = report.Most[:min(len(report.Most), r.options.Top)]
	}
}

// compareAffected puts the largest change first, whichever way it goes.
func compareAffected(a, b Affected) int {
	size := func(x Affected) money.Fen { return max(x.NewFen-x.OldFen, x.OldFen-x.NewFen) }
	return cmp.Or(cmp.Compare(size(b), size(a)), cmp.Compare(a.Pseudonym, b.Pseudonym))
}

func (r *replay) finish() {
	for _, line := range slices.Sorted(maps.Keys(r.lines)) {
		r.report.Lines = append(r.report.Lines, *r.lines[line])
	}
	r.report.OnlyOld, r.report.OnlyNew = countedReasons(r.onlyOld), countedReasons(r.onlyNew)
}

// countedReasons are the most frequent first.
func countedReasons(counts map[string]int) []Unpriced {
	var all []Unpriced
	for why, trips := range counts {
		all = append(all, Unpriced{why, trips})
	}
	slices.SortFunc(all, func(a, b Unpriced) int { return cmp.Or(cmp.Compare(b.Trips, a.Trips), cmp.Compare(a.Why, b.Why)) })
	return all
}
