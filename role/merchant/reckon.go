package merchant

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant/fare"
)

// scope is the fare days of one rider that a change of his taps can reach.
type scope struct {
	rider       Rider
	first, last fare.Day
}

// scopeOf: a tap changes trips that began up to MaxTrip before it or end up to MaxTrip behind it, so the
// fares of these days, and where a table counts over the month those of all days to its end.
func (m *Merchant) scopeOf(rider Rider, from, to time.Time) scope {
	s := scope{rider: rider, first: m.config.Fares.DayOf(from.Add(-m.config.MaxTrip)), last: m.config.Fares.DayOf(to.Add(m.config.MaxTrip))}
	if m.config.Fares.HasMonthly() {
		s.last = s.last.LastOfMonth()
	}
	return s
}

// window is what the store has to read for a scope: its days, and as much around them as a trip can be
// long, so that no trip of these days is seen by half.
func (m *Merchant) window(s scope) Window {
	return Window{Rider: s.rider, From: m.config.Fares.DayStart(s.first).Add(-m.config.MaxTrip), To: m.config.Fares.DayStart(s.last + 1).Add(m.config.MaxTrip),
		SumsFrom: s.first.FirstOfMonth(), SumsBefore: s.first}
}

func (s scope) holds(day fare.Day) bool { return s.first <= day && day <= s.last }

// reckoning is what a rider's taps come to. It is made anew from all of them, each time.
type reckoning struct {
	m     *Merchant
	scope scope
	now   time.Time

	trades map[openapi.OutTradeNo]Trade
	holder map[record.ID]openapi.OutTradeNo // of a tap: the trade that was sent with it
	home   map[record.ID]fare.Day           // of a tap: the day of the trip that it is in
	trips  []Trip                           // of the scope, in the order of time
	fares  []fare.Result                    // of the trips
	days   map[fare.Day]fare.Sums           // what they count towards the monthly sums
	loose  map[openapi.OutTradeNo]Trade     // trades of the scope that were never sent
	fixed  []Trade                          // trades that were

	credits  []credit  // of the day that is looked at
	shortFen money.Fen // of that day: what fixed trades took too little

	wanted    []Trade     // the trades that shall be there instead of the loose ones
	leftOpen  []record.ID // taps that will have no default fare
	openFen   money.Fen   // fares of trips that wait for their other end
	named     []Refund
	failedFen money.Fen // fares of trips whose trades failed
	shortfall money.Fen // what stays unpaid: nobody is charged a second time for a trip
	heldFen   money.Fen // credit that waits for the fare of a trip that nobody can price yet
}

// credit is what a trade that was sent took for no trip, or more than its trip costs.
type credit struct {
	trade Trade
	fen   money.Fen
}

// reckon makes the trips and fares of a scope again and brings trades in line with them:
//
//  1. Taps make trips, trips cost fares: two functions of the taps (and the riders' claims) alone.
//  2. A trip whose taps are just those of a trade that was sent is paid by it. What the trade took beyond
//     the fare is credit; so is all that a trade took whose taps are now parts of other trips.
//  3. The other trips want their fares: first from credit, and where they have a tap that was never
//     sent, the rest as a new trade that holds these taps. A trip that wants nothing more is FREE. One that
//     lacks an end waits until its default fare is due.
//  4. Credit that nobody takes is named as refunds, unless one of its taps is in a trip that has no fare
//     yet. What was taken too little stays so: no trip is charged twice.
//
// Credit stays within a fare day: that of the trip in which the first tap of its trade is now. So what a day
// comes to does not depend on which other days are looked at with it.
//
// A trip that was charged keeps its fare when its table is written anew afterwards.
//
// So what a rider pays in the end, refunds taken off, is what his taps cost, in whatever order they came;
// less only where a trade was sent with too little before a late record showed it.
func (m *Merchant) reckon(s scope, taps []WindowTap, state State, now time.Time) *reckoning {
	r := &reckoning{m: m, scope: s, now: now, trades: state.Trades, holder: map[record.ID]openapi.OutTradeNo{},
		home: map[record.ID]fare.Day{}, loose: map[openapi.OutTradeNo]Trade{}}
	taps = r.divide(taps)
	for _, trip := range pairTrips(taps, pairRules{maxTrip: m.config.MaxTrip, companionWait: m.config.CompanionWait}) {
		day := m.config.Fares.DayOf(trip.begun())
		for _, tap := range trip.Taps() {
			r.home[tap.Record] = day
		}
		if s.holds(day) {
			r.trips = append(r.trips, trip)
		}
	}
	r.fares, r.days = m.priceTrips(r.trips, s.first, state.Sums[s.rider])
	r.settle()
	return r
}

// divide tells trades that were sent from those that were not, and drops the taps at gates that stayed shut.
func (r *reckoning) divide(taps []WindowTap) (rides []WindowTap) {
	seen := map[openapi.OutTradeNo]bool{}
	for _, tap := range taps {
		trade, held := r.trades[tap.Trade]
		isShut := held && trade.State == Failed && trade.Attempts == 0
		isSent := held && trade.Attempts > 0
		if !isShut {
			rides = append(rides, tap)
		}
		if isSent {
			r.holder[tap.Record] = tap.Trade
		}
		if !held || isShut || seen[tap.Trade] {
			continue
		}
		seen[tap.Trade] = true
		switch {
		case isSent:
			r.fixed = append(r.fixed, trade)
		case r.scope.holds(r.m.config.Fares.DayOf(trade.Trip.begun())):
			r.loose[tap.Trade] = trade
		}
	}
	slices.SortFunc(r.fixed, func(a, b Trade) int {
		return cmp.Or(compareTaps(a.Trip.Last(), b.Trip.Last()), cmp.Compare(a.OutTradeNo, b.OutTradeNo))
	})
	return rides
}

// priceTrips prices the trips of one rider from a day on; before is what that day's month counts before it.
// It gives what each day counts.
func (m *Merchant) priceTrips(trips []Trip, first fare.Day, before fare.Sums) ([]fare.Result, map[fare.Day]fare.Sums) {
	byDay := map[fare.Day][]int{}
	for i, trip := range trips {
		day := m.config.Fares.DayOf(trip.begun())
		byDay[day] = append(byDay[day], i)
	}
	results, days := make([]fare.Result, len(trips)), map[fare.Day]fare.Sums{}
	sums, month := before, first.Month()
	for _, day := range slices.Sorted(maps.Keys(byDay)) {
		if day.Month() != month {
			sums, month = nil, day.Month()
		}
		priced := make([]fare.Trip, len(byDay[day]))
		for i, at := range byDay[day] {
			priced[i] = trips[at].priced()
		}
		fares, counted := m.config.Fares.Price(day, priced, sums)
		for i, at := range byDay[day] {
			results[at] = fares[i]
		}
		if len(counted) > 0 {
			days[day], sums = counted, addSums(sums, counted)
		}
	}
	return results, days
}

func addSums(a, b fare.Sums) fare.Sums {
	sum := maps.Clone(a)
	if sum == nil {
		sum = fare.Sums{}
	}
	for name, fen := range b {
		sum[name] += fen
	}
	return sum
}

// settle holds fares against what was paid, day by day.
func (r *reckoning) settle() {
	tripOf, byDay := map[openapi.OutTradeNo]int{}, map[fare.Day][]int{}
	for i, trip := range r.trips {
		if number, whole := r.wholeTrade(trip); whole {
			tripOf[number] = i
			r.keepOldFare(i, r.trades[number])
		} else {
			day := r.home[trip.first().Record]
			byDay[day] = append(byDay[day], i)
		}
	}
	fixed := map[fare.Day][]Trade{}
	for _, trade := range r.fixed {
		day := r.home[trade.Held[0]]
		fixed[day] = append(fixed[day], trade)
	}
	for day := r.scope.first; day <= r.scope.last; day++ {
		r.matchFixed(fixed[day], tripOf)
		r.settleTrips(byDay[day])
		r.nameRefunds()
	}
}

// keepOldFare lets a trip cost what was charged for it where its table was written anew since: a price that is
// changed today changes no ride of yesterday. What was paid for it with another trade's credit is part of that;
// what was refunded since is not.
func (r *reckoning) keepOldFare(i int, trade Trade) {
	unchanged := trade.Table == r.m.config.Fares.TableDigest(r.home[r.trips[i].first().Record])
	if unchanged || trade.State == Failed || !sameTrip(trade.Trip, r.trips[i]) {
		return
	}
	kept := fare.Fare{Lines: slices.DeleteFunc(slices.Clone(trade.Lines), func(line fare.Line) bool { return line.Kind == fare.Credit })}
	if trade.RefundFen > 0 {
		kept.Lines = append(slices.Clone(trade.Lines), fare.Line{Kind: fare.Credit, Why: "named for refund", AmountFen: -trade.RefundFen})
	}
	kept.AmountFen = fare.Sum(kept.Lines)
	r.fares[i] = fare.Result{Fare: kept}
}

// settleTrips pays the trips of a day that no trade has paid as a whole: first those that have no tap left
// to charge.
func (r *reckoning) settleTrips(trips []int) {
	for _, i := range trips {
		if r.fares[i].Err == nil && len(r.freeTaps(r.trips[i])) == 0 {
			r.payFromCredit(r.trips[i], r.fares[i].Fare.AmountFen)
		}
	}
	for _, i := range trips {
		if free := r.freeTaps(r.trips[i]); len(free) > 0 {
			r.want(r.trips[i], free, r.fares[i])
		}
	}
}

// matchFixed holds the trades of a day that were sent against the trips whose taps they hold, and makes
// credit of what they took beyond. A trade that failed took nothing, and its trip is not charged again: why
// it failed stands with it.
func (r *reckoning) matchFixed(trades []Trade, tripOf map[openapi.OutTradeNo]int) {
	r.credits, r.shortFen = nil, 0
	for _, trade := range trades {
		i, matched := tripOf[trade.OutTradeNo]
		switch net := trade.AmountFen - trade.RefundFen; {
		case trade.State == Failed && matched:
			r.failedFen += r.fares[i].Fare.AmountFen
		case trade.State == Failed:
		case !matched || r.fares[i].Err != nil:
			r.addCredit(trade, net)
		case net >= r.fares[i].Fare.AmountFen:
			r.addCredit(trade, net-r.fares[i].Fare.AmountFen)
		default:
			r.shortFen += r.fares[i].Fare.AmountFen - net
		}
	}
}

func (r *reckoning) addCredit(trade Trade, fen money.Fen) {
	if fen > 0 {
		r.credits = append(r.credits, credit{trade, fen})
	}
}

// wholeTrade is the trade that holds all taps of the trip and no others.
func (r *reckoning) wholeTrade(trip Trip) (openapi.OutTradeNo, bool) {
	taps := trip.Taps()
	number := r.holder[taps[0].Record]
	for _, tap := range taps {
		if r.holder[tap.Record] != number {
			return "", false
		}
	}
	return number, number != "" && len(r.trades[number].Held) == len(taps)
}

func (r *reckoning) freeTaps(trip Trip) (free []Tap) {
	for _, tap := range trip.Taps() {
		if r.holder[tap.Record] == "" {
			free = append(free, tap)
		}
	}
	return free
}

// payFromCredit pays a trip that has no tap left to charge. What is missing stays so; it is the failed trade's
// where one of its taps is in such.
func (r *reckoning) payFromCredit(trip Trip, fen money.Fen) {
	_, left := r.take(trip, fen)
	for _, tap := range trip.Taps() {
		if r.trades[r.holder[tap.Record]].State == Failed {
			r.failedFen += left
			return
		}
	}
	r.shortFen += left
}

// take pays from credit, that of the trip's own taps first, and gives a line for each.
func (r *reckoning) take(trip Trip, fen money.Fen) (lines []fare.Line, left money.Fen) {
	own := map[openapi.OutTradeNo]bool{}
	for _, tap := range trip.Taps() {
		own[r.holder[tap.Record]] = true
	}
	for _, wantOwn := range []bool{true, false} {
		for i := range r.credits {
			c := &r.credits[i]
			if taken := min(c.fen, fen); taken > 0 && own[c.trade.OutTradeNo] == wantOwn {
				c.fen, fen = c.fen-taken, fen-taken
				lines = append(lines, fare.Line{Kind: fare.Credit, Why: "paid with trade " + string(c.trade.OutTradeNo), AmountFen: -taken})
			}
		}
	}
	return lines, fen
}

// want makes the trade that a trip needs.
func (r *reckoning) want(trip Trip, free []Tap, result fare.Result) {
	if trip.isOpen() && (result.Err != nil || r.now.Before(r.m.defaultDue(trip))) {
		r.stayOpen(trip, result)
		return
	}
	trade := r.m.makeTrade(trip, free, r.now)
	if result.Err != nil {
		trade.Progress = Progress{State: Aside, Reason: result.Err.Error()}
		r.wanted = append(r.wanted, trade)
		return
	}
	trade.Table = r.m.config.Fares.TableDigest(r.home[trip.first().Record])
	credited, left := r.take(trip, result.Fare.AmountFen)
	trade.AmountFen, trade.Lines = left, append(slices.Clone(result.Fare.Lines), credited...)
	if left == 0 {
		trade.Progress = Progress{State: Free}
	}
	r.wanted = append(r.wanted, trade)
}

// stayOpen lets a trip wait for its other end, or for good where no default fare is known for it.
func (r *reckoning) stayOpen(trip Trip, result fare.Result) {
	r.openFen += result.Fare.AmountFen
	if result.Err != nil && !r.now.Before(r.m.defaultDue(trip)) {
		r.leftOpen = append(r.leftOpen, trip.first().Record)
	}
}

// changes is what the store has to write.
func (r *reckoning) changes() (changes Changes) {
	for _, trade := range r.wanted {
		old, was := r.loose[trade.OutTradeNo]
		delete(r.loose, trade.OutTradeNo)
		if was && old.State == Waiting && trade.State == Waiting {
			trade.NextTry = earlier(old.NextTry, trade.NextTry)
		}
		if was && sameTrade(old, trade) {
			continue
		}
		if was {
			changes.Withdrawn = append(changes.Withdrawn, trade.OutTradeNo)
		}
		changes.Trades = append(changes.Trades, trade)
	}
	changes.Withdrawn = append(changes.Withdrawn, slices.Sorted(maps.Keys(r.loose))...)
	changes.Refunds, changes.Sums, changes.LeftOpen = r.named, r.sums(), r.leftOpen
	return changes
}

// nameRefunds names what nobody of the day took. What other trades took too little is taken off, the
// earliest first.
func (r *reckoning) nameRefunds() {
	short := r.shortFen
	for _, c := range r.credits {
		kept := min(c.fen, short)
		short -= kept
		switch c.fen -= kept; {
		case c.fen == 0:
		case r.isUnpriced(c.trade):
			r.heldFen += c.fen
		default:
			r.named = append(r.named, nameRefund(c, r.now))
		}
	}
	r.shortfall += short
}

// isUnpriced tells whether a tap of the trade is in a trip that has no fare.
func (r *reckoning) isUnpriced(trade Trade) bool {
	for i, trip := range r.trips {
		if r.fares[i].Err == nil {
			continue
		}
		for _, tap := range trip.Taps() {
			if slices.Contains(trade.Held, tap.Record) {
				return true
			}
		}
	}
	return false
}

// nameRefund: the number comes from what was refunded of the trade before, so that a refund that is named
// again after a crash is the same one.
func nameRefund(c credit, now time.Time) Refund {
	digest := sha256.Sum256(fmt.Appendf(nil, "refund %s %d", c.trade.OutTradeNo, c.trade.RefundFen))
	return Refund{Number: "R_" + hex.EncodeToString(digest[:15]), OutTradeNo: c.trade.OutTradeNo, AmountFen: c.fen, Named: now,
		Reason: fmt.Sprintf("%s was charged; with the records and claims that came since, it is %s less", c.trade.AmountFen.Yuan(), c.fen.Yuan())}
}

// sameTrade tells whether a trade made again says the same.
func sameTrade(a, b Trade) bool {
	return a.OutTradeNo == b.OutTradeNo && a.State == b.State && a.AmountFen == b.AmountFen && a.Reason == b.Reason && a.Subject == b.Subject &&
		a.BizContext == b.BizContext && a.SellerLogin == b.SellerLogin && a.Table == b.Table && a.OrderTime.Equal(b.OrderTime) && a.NextTry.Equal(b.NextTry) &&
		slices.Equal(a.Lines, b.Lines) && slices.Equal(a.Held, b.Held) && sameTrip(a.Trip, b.Trip)
}

func sameTrip(a, b Trip) bool {
	return a.Start.Record == b.Start.Record && a.End.Record == b.End.Record && a.Companion == b.Companion && sameClaim(a.Claim, b.Claim)
}

func sameClaim(a, b Claim) bool {
	return a.Station == b.Station && a.Line == b.Line && a.At.Equal(b.At)
}

// sums are what the days of the scope count now.
func (r *reckoning) sums() []DaySums {
	if !r.m.config.Fares.HasMonthly() {
		return nil
	}
	return []DaySums{{Rider: r.scope.rider, First: r.scope.first, Last: r.scope.last, Days: r.days}}
}
