package fare

import (
	"fmt"
	"slices"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
)

// Price prices the trips of one rider that began on one fare day. before is what the earlier days of the
// month count towards the monthly sums. The results are in the order of the trips; counted is what
// this day adds.
//
// Trips without entry or exit cost their default fare, companions the full one, and a turn at the same
// station its grace fare: none of these is discounted, counts towards a cap, or is part of a transfer.
func (t *Tariff) Price(day Day, trips []Trip, before Sums) (results []Result, counted Sums) {
	results = make([]Result, len(trips))
	table, known := t.tableOn(day)
	if !known {
		for i := range results {
			results[i].Err = &Unknown{Why: fmt.Sprintf("no table is valid on %s", day)}
		}
		return results, nil
	}
	order := make([]int, len(trips))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return trips[a].Start.Compare(trips[b].Start) })
	d := &dayPricer{table: table, monthly: Sums{}, daily: Sums{}, counted: Sums{}}
	for name, fen := range before {
		d.monthly[name] = fen
	}
	for _, i := range order {
		results[i] = d.price(trips[i])
	}
	return results, d.counted
}

// dayPricer is a rider's day as far as it is priced.
type dayPricer struct {
	table          *table
	chain          *chain
	monthly, daily Sums // so far, by cap
	counted        Sums // of this day, by monthly cap
}

func (d *dayPricer) price(trip Trip) Result {
	fare, err := d.fareOf(trip)
	if err != nil {
		return Result{Err: err}
	}
	if trip.LimitFen > 0 && fare.AmountFen > trip.LimitFen {
		fare.add(Line{Kind: Limit, Why: fmt.Sprintf("the code allows at most %s", trip.LimitFen.Yuan()), AmountFen: trip.LimitFen - fare.AmountFen})
	}
	return Result{Fare: fare}
}

func (d *dayPricer) fareOf(trip Trip) (Fare, error) {
	if trip.Kind == NoExit || trip.Kind == NoEntry {
		return d.table.defaultFare(trip)
	}
	if fare, turned := d.table.graceFare(trip); turned {
		return fare, nil
	}
	next, err := d.table.basis.leg(trip)
	if err != nil {
		return Fare{}, err
	}
	r := d.newReckoning(next)
	d.table.applyTime(r, next)
	if trip.Companion {
		return r.fare, nil
	}
	identity := d.table.basis.identity(trip.Identity)
	d.table.applyIdentity(r, next)
	d.applySteps(r, next, identity)
	full := r.fare.AmountFen
	changed := d.applyTransfer(r, next)
	d.applyCaps(r, next, identity)
	if limit := trip.LimitFen; limit > 0 {
		d.count(next, identity, min(limit, r.fare.AmountFen))
	} else {
		d.count(next, identity, r.fare.AmountFen)
	}
	d.extendChain(changed, next, full, r.fare.AmountFen)
	return r.fare, nil
}

// add adds a line, and its amount.
func (f *Fare) add(line Line) {
	f.Lines = append(f.Lines, line)
	f.AmountFen += line.AmountFen
}

func (t *table) defaultFare(trip Trip) (Fare, error) {
	group, err := t.basis.groupOf(trip)
	if err != nil {
		return Fare{}, err
	}
	for _, rule := range t.defaults {
		if rule.missing != trip.Kind || !rule.groups.has(group) {
			continue
		}
		missing := map[Kind]string{NoExit: "no exit from " + shown(trip.From), NoEntry: "no entry to " + shown(trip.To)}[trip.Kind]
		line := Line{Kind: Default, Why: missing + ": default fare", Source: rule.source, AmountFen: rule.fen}
		if rule.most {
			if line.AmountFen, line.Source, err = t.basis.most(trip); err != nil {
				return Fare{}, err
			}
			line.Why = missing + ": the highest fare there"
		}
		return Fare{AmountFen: line.AmountFen, Lines: []Line{line}}, nil
	}
	return Fare{}, &Unknown{Why: "no default fare of group " + group + " for a missing entry or exit: add it to defaults.csv", noDefault: true}
}

// graceFare is for somebody who turned round: he saw the platform, or forgot something.
func (t *table) graceFare(trip Trip) (Fare, bool) {
	s := t.settings
	if trip.Kind != Through || trip.From != trip.To || trip.From == "" || s.graceSec == 0 || trip.End.Unix()-trip.Start.Unix() > s.graceSec {
		return Fare{}, false
	}
	why := fmt.Sprintf("in and out at %s within %d min", shown(trip.From), s.graceSec/60)
	return Fare{AmountFen: s.graceFen, Lines: []Line{{Kind: Grace, Why: why, Source: s.graceFrom, AmountFen: s.graceFen}}}, true
}

// reckoning is a fare on its way: the exact fraction, and what it is rounded to.
type reckoning struct {
	fare     Fare
	num, den int64 // the exact amount, fen; as long as nothing but percentages was applied
	unit     money.Fen
	rounding rounding
}

func (d *dayPricer) newReckoning(next leg) *reckoning {
	r := &reckoning{num: int64(next.fullFen), den: 1, unit: d.table.settings.unitFen, rounding: d.table.settings.rounding}
	for _, line := range next.lines {
		r.fare.add(line)
	}
	return r
}

// percent multiplies. There are at most four in one fare, of at most 1000 % each, and no base is over
// 65535 fen: the fraction fits.
func (r *reckoning) percent(kind LineKind, percent int64, why string, source Source) {
	r.num, r.den = r.num*percent, r.den*100
	r.addUpTo(r.rounded(), Line{Kind: kind, Why: why, Source: source})
}

// set makes the fare an amount.
func (r *reckoning) set(kind LineKind, fen money.Fen, why string, source Source) {
	r.num, r.den = int64(fen), 1
	r.addUpTo(fen, Line{Kind: kind, Why: why, Source: source})
}

func (r *reckoning) addUpTo(fen money.Fen, line Line) {
	line.AmountFen = fen - r.fare.AmountFen
	r.fare.add(line)
}

// rounded is the fraction in whole units, the one way that the table says.
func (r *reckoning) rounded() money.Fen {
	unit := r.den * int64(r.unit)
	whole, rest := r.num/unit, r.num%unit
	if r.rounding == roundUp && rest > 0 || r.rounding == roundHalfUp && 2*rest >= unit {
		whole++
	}
	return money.Fen(whole) * r.unit
}

// apply is what a price makes of the fare.
func (r *reckoning) apply(kind LineKind, pays price, why string, source Source) {
	switch pays.kind {
	case paysPercent:
		r.percent(kind, pays.percent, why, source)
	case paysAtMost:
		r.set(kind, min(r.fare.AmountFen, pays.fen), why, source)
	case paysLess:
		r.set(kind, max(0, r.fare.AmountFen-pays.fen), why, source)
	}
}

func (t *table) applyTime(r *reckoning, next leg) {
	for _, rule := range t.times {
		if rule.groups.has(next.group) && rule.when.holds(next.trip.Start, t.days) {
			r.apply(Time, rule.pays, rule.name+", "+rule.pays.String(), rule.source)
			return
		}
	}
}

func (t *table) applyIdentity(r *reckoning, next leg) {
	for _, rule := range t.identities {
		if rule.quad == next.trip.Identity && rule.groups.has(next.group) && rule.when.holds(next.trip.Start, t.days) {
			r.apply(Identity, rule.pays, rule.name+", "+rule.pays.String(), rule.source)
			return
		}
	}
}

// applySteps lets the fare fall with the sum so far: of several caps the one that leaves the least.
func (d *dayPricer) applySteps(r *reckoning, next leg, identity string) {
	var best capStep
	var of capRule
	found := false
	for _, c := range d.table.caps {
		if !c.is(next.group, identity) {
			continue
		}
		if step, holds := c.at(d.sums(c)[c.name]); holds && (!found || step.percent < best.percent) {
			best, of, found = step, c, true
		}
	}
	if found {
		why := fmt.Sprintf("%s: over %s this %s, pays %d %%", of.name, best.overFen.Yuan(), of.period(), best.percent)
		r.percent(Step, best.percent, why, best.source)
	}
}

func (c capRule) period() string {
	if c.monthly {
		return "month"
	}
	return "day"
}

func (d *dayPricer) sums(c capRule) Sums {
	if c.monthly {
		return d.monthly
	}
	return d.daily
}

// applyTransfer takes the transfer that the rules give, unless the trip is cheaper by itself.
func (d *dayPricer) applyTransfer(r *reckoning, next leg) *transfer {
	if d.chain == nil || d.table.transfers == nil {
		return nil
	}
	full := r.fare.AmountFen
	found, ok := d.table.transfers.find(d.chain, next, full)
	if !ok {
		return nil
	}
	before := *r
	switch {
	case found.apply != nil:
		r.set(Transfer, found.apply(d.chain, full), found.why, found.source)
	case found.pays.kind == paysHigher:
		r.set(Transfer, max(0, full-d.chain.topFen), found.why, found.source)
	default:
		r.apply(Transfer, found.pays, found.why, found.source)
	}
	if r.fare.AmountFen > full {
		*r = before
		return nil
	}
	return &found
}

func (d *dayPricer) extendChain(changed *transfer, next leg, full, paid money.Fen) {
	if changed == nil {
		d.chain = startChain(next, full, paid)
		return
	}
	d.chain.extend(next, changed.run, full, paid)
}

// applyCaps cuts the fare at what each cap still allows.
func (d *dayPricer) applyCaps(r *reckoning, next leg, identity string) {
	for _, c := range d.table.caps {
		end, ends := c.end()
		if !ends || !c.is(next.group, identity) {
			continue
		}
		sum := d.sums(c)[c.name]
		if room := max(0, end.overFen-sum); r.fare.AmountFen > room {
			why := fmt.Sprintf("%s: at most %s a %s, %s before", c.name, end.overFen.Yuan(), c.period(), sum.Yuan())
			r.set(Cap, room, why, end.source)
		}
	}
}

// count adds what the trip cost to every sum that it counts towards.
func (d *dayPricer) count(next leg, identity string, paid money.Fen) {
	for _, c := range d.table.caps {
		if !c.is(next.group, identity) {
			continue
		}
		d.sums(c)[c.name] += paid
		if c.monthly {
			d.counted[c.name] += paid
		}
	}
}

func beijingClock(at time.Time) string { return at.In(openapi.Beijing()).Format("15:04") }
