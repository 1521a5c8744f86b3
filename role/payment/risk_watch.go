package payment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// RiderScan is a scan and whose code it was.
type RiderScan struct {
	User ridecode.UserID
	Scan
}

// Places tells where a station of an app is; Stations is one.
type Places interface {
	Place(app AppID, station string) Place
}

const (
	findingsMax = 1000 // of a rider that are looked at: some years of daily ones
	// watchChunk is how many trades are looked at in one transaction: the books are held for some milliseconds.
	watchChunk = 100
	// watchDays is how far back the first look goes: who has not ridden since is new.
	watchDays = 30
)

// WatchTrades looks at trades that were settled since the last look, at most about so many in each bucket, and
// keeps what risk rules find. It stands beside the settlement, and never in its way. It gives how many it has looked
// at; several may do it at once, and none of it is done twice.
func (p *Payment) WatchTrades(ctx context.Context, places Places, most int, now time.Time) (seen int, err error) {
	for bucket := range p.store.Buckets() {
		for budget := most; budget > 0; {
			count, more, err := p.watchSome(ctx, bucket, places, now)
			if seen += count; err != nil {
				return seen, err
			}
			if !more {
				break
			}
			budget -= max(1, count)
		}
	}
	return seen, nil
}

// watchSome looks at the next trades of a bucket.
func (p *Payment) watchSome(ctx context.Context, bucket int, places Places, now time.Time) (count int, more bool, err error) {
	state, err := p.store.View(ctx, Need{Bucket: bucket, RiskSeen: true})
	if err != nil || state.Open == 0 {
		return 0, false, err
	}
	from := state.RiskSeen
	if from.Day == 0 {
		from.Day = daysBefore(min(state.Open, p.policy.DayOf(now)), watchDays)
	}
	trades, err := p.store.TradesAfter(ctx, bucket, from.Day, from.After, watchChunk)
	if err != nil {
		return 0, false, err
	}
	isOver := state.Open > from.Day || p.policy.DayOf(now) > from.Day.Next()
	next, more := from.follow(trades, isOver)
	if next == state.RiskSeen {
		return 0, false, nil
	}
	var scans []RiderScan
	for _, trade := range trades {
		scans = append(scans, scansOfTrade(trade, places)...)
	}
	return len(trades), more, p.watch(ctx, bucket, scans, now, &looked{state.RiskSeen, next})
}

func daysBefore(day ledger.Day, count int) ledger.Day {
	for range count {
		day = day.Previous()
	}
	return day
}

// follow is how far one has looked after these trades, of a day that is over or not. more says that there may be
// others now.
func (m RiskMark) follow(trades []SettledTrade, isOver bool) (next RiskMark, more bool) {
	isFirst := m.After == 0
	if len(trades) > 0 {
		_, _, m.After, _ = trades[len(trades)-1].TradeNo.Parse()
	}
	switch {
	case len(trades) == watchChunk:
		return m, true
	case !isOver:
		return m, false
	case m.Again || isFirst:
		return RiskMark{Day: m.Day.Next()}, true
	}
	return RiskMark{Day: m.Day, Again: true}, true
}

// scansOfTrade is the scans that the records of a settled trade prove. They were verified when it was settled.
func scansOfTrade(trade SettledTrade, places Places) (scans []RiderScan) {
	for i, raw := range trade.Content.Records {
		u, err := record.Parse(raw)
		if err != nil {
			continue // nothing unreadable was settled: what has spoiled it is the audit's to find
		}
		taken := u.SkipVerification()
		info, err := record.ParseTerminalInfo(taken.Terminal)
		if err != nil {
			continue
		}
		scans = append(scans, RiderScan{trade.Content.UserID, Scan{Ref: string(trade.TradeNo) + "/" + strconv.Itoa(i), Ride: string(trade.TradeNo),
			Source: FromRecord, At: taken.Time.UTC(), App: trade.Key.App, Station: info.Station, Place: places.Place(trade.Key.App, info.Station)}})
	}
	return scans
}

// WatchScans looks at scans that merchants tell of, and keeps what risk rules find. Those of users who have no
// account here are left out. Told again they change nothing; after an error nobody knows: tell them again.
func (p *Payment) WatchScans(ctx context.Context, scans []RiderScan, now time.Time) error {
	byBucket := map[int][]RiderScan{}
	for _, s := range scans {
		byBucket[p.bucket(s.User)] = append(byBucket[p.bucket(s.User)], s)
	}
	for bucket, all := range byBucket {
		for part := range slices.Chunk(all, watchChunk) {
			if err := p.watch(ctx, bucket, part, now, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// looked is how far one had looked before, and has then.
type looked struct{ before, after RiskMark }

var errOvertaken = errors.New("payment: somebody else has looked at these trades")

// watch keeps scans, and what they prove together with those that are known, in one transaction.
func (p *Payment) watch(ctx context.Context, bucket int, scans []RiderScan, now time.Time, l *looked) error {
	now = storedTime(now)
	byUser := map[ridecode.UserID][]Scan{}
	var users []ridecode.UserID
	for _, s := range scans {
		if byUser[s.User] == nil {
			users = append(users, s.User)
		}
		byUser[s.User] = append(byUser[s.User], s.Scan)
	}
	need := ridersNeed(bucket, users...)
	need.RiskSeen = l != nil
	for _, user := range users {
		need.Risk = append(need.Risk, around(user, byUser[user]))
	}
	err := p.store.Update(ctx, need, func(state State) (changes Changes, _ error) {
		if l != nil && state.RiskSeen != l.before {
			return Changes{}, errOvertaken
		}
		for _, user := range users {
			p.take(&changes, riderOf(state, user), scansOf(state, user), byUser[user], now)
		}
		if l != nil {
			changes.RiskSeen = &l.after
		}
		return changes, nil
	})
	if errors.Is(err, errOvertaken) {
		return nil
	}
	return err
}

// around is every scan that may have to do with these.
func around(user ridecode.UserID, scans []Scan) RiskNeed {
	need := RiskNeed{User: user, Kind: RiskScan, From: scans[0].At, To: scans[0].At, Limit: riskScansMax}
	for _, s := range scans {
		need.From, need.To = earlier(need.From, s.At), later(need.To, s.At)
	}
	need.From, need.To = need.From.Add(-riskBack), need.To.Add(riskBack)
	return need
}

// take adds a rider's scans to what is known of him, and what follows from them. A finding that was set aside stays
// so; what scans prove that have come since is a new one.
func (p *Payment) take(changes *Changes, known knownRider, old, told []Scan, now time.Time) {
	if !known.exists {
		return
	}
	all, fresh := merged(old, told)
	if len(fresh) == 0 {
		return
	}
	for _, s := range all[len(old):] {
		changes.Risk = append(changes.Risk, s.entry(known.User))
	}
	before := p.stopped(known, now)
	again := p.policy.find(all, func(s Scan) bool { return fresh[s.Ref] })
	for _, f := range p.policy.find(all, nil) {
		if f, isNew := known.adds(f, again); isNew {
			f.No, f.Found = len(known.findings)+1, now
			known.findings = append(known.findings, f)
			changes.Risk = append(changes.Risk, f.entry(known.User))
		}
	}
	if denied, is := p.denied(known, now); is && !before {
		changes.Notices = append(changes.Notices, Notice{Kind: RiderDenied, User: denied.User, Number: strconv.Itoa(len(known.findings)), At: now})
	}
}

// merged is what is known with what is told beside it, each once, and the names of the latter.
func merged(old, told []Scan) (all []Scan, fresh map[string]bool) {
	seen := map[string]bool{}
	for _, s := range old {
		seen[s.Ref] = true
	}
	all, fresh = slices.Clone(old), map[string]bool{}
	for _, s := range told {
		if !seen[s.Ref] {
			seen[s.Ref], fresh[s.Ref] = true, true
			all = append(all, s)
		}
	}
	return all, fresh
}

// adds tells whether a finding is to be kept, and under which name: one of its rule and day is, and one more for
// each that was set aside, if scans prove it that have come since.
func (k knownRider) adds(f Finding, again []Finding) (Finding, bool) {
	generation, key := 0, f.key
	for _, other := range k.findings {
		if other.Rule == f.Rule && other.Proven == f.Proven && other.at.Equal(f.at) {
			if other.Appeal == nil {
				return f, false
			}
			generation++
		}
	}
	if generation == 0 {
		return f, true
	}
	for _, newer := range again {
		if newer.key == key && newer.at.Equal(f.at) {
			newer.key = fmt.Sprintf("%s/%d", key, generation+1)
			return newer, true
		}
	}
	return f, false
}
