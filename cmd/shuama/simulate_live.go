package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"github.com/shuama/shuama/edge/journal"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/payment"
)

const (
	tick          = 5 * time.Minute
	ticksADay     = int(24 * time.Hour / tick)
	uploadAtATime = 500
	tailMost      = 10 * 24 * time.Hour // after the last ride: then the last settlement is overdue
)

// simTally is what has happened, in a shard or in all of them.
type simTally struct {
	Presented, Accepted, Shared, Stolen, PowerCuts int
	TakenFen                                       money.Fen // by gates that have opened
	ToppedUpFen                                    money.Fen
	Refused                                        map[string]int
	Uploaded, UploadedTwice, Outages               int
	AsideFen                                       money.Fen
	Aside                                          map[string]int // records that the merchant set aside, by reason
}

func newSimTally() simTally { return simTally{Refused: map[string]int{}, Aside: map[string]int{}} }

func (t *simTally) add(o *simTally) {
	t.Presented, t.Accepted, t.Shared, t.Stolen, t.PowerCuts = t.Presented+o.Presented, t.Accepted+o.Accepted, t.Shared+o.Shared, t.Stolen+o.Stolen, t.PowerCuts+o.PowerCuts
	t.TakenFen += o.TakenFen
	for cause, count := range o.Refused {
		t.Refused[cause] += count
	}
	*o = newSimTally()
}

// live lets the days pass, and then waits until every ride has its final answer.
func (t *town) live(ctx context.Context) error {
	t.progress.began = time.Now()
	for day := 0; t.goesOn(day); day++ {
		if err := t.liveDay(ctx, day); err != nil {
			return err
		}
	}
	return t.finish(ctx)
}

func (t *town) goesOn(day int) bool {
	if t.plan.Lasts > 0 {
		return t.progress.lasted() < t.plan.Lasts
	}
	return day < t.plan.Days
}

func (t *town) liveDay(ctx context.Context, day int) error {
	if day > 0 {
		if err := t.startDay(ctx, day); err != nil {
			return err
		}
	}
	for n := range ticksADay {
		if err := ctx.Err(); err != nil {
			return err
		}
		from := t.start.AddDate(0, 0, day).Add(time.Duration(n) * tick)
		t.clock.Store(from.Unix())
		if n%int(time.Hour/tick) == 0 {
			if err := t.strike(ctx, day, n/int(time.Hour/tick)); err != nil {
				return err
			}
		}
		if err := t.ride(ctx, from, ridesInTick(t.plan.ridesADay(), n), day == 0 && t.thiefIsAbout(n)); err != nil {
			return err
		}
		t.clock.Store(from.Add(tick).Unix())
		if err := t.upload(ctx); err != nil {
			return err
		}
		if err := t.settle(ctx); err != nil {
			return err
		}
		t.progress.show(t)
	}
	return nil
}

// The simulated day begins at four in the morning.
const firstHour = 4

func (t *town) thiefIsAbout(n int) bool {
	hour := firstHour + n/int(time.Hour/tick)
	return t.plan.LeakedKey && hour >= 8 && hour < 16
}

// ridesInTick spreads a day's rides: two peaks, and a night.
func ridesInTick(rides, n int) int {
	weights := [24]int{1, 2, 6, 14, 16, 8, 5, 5, 6, 6, 5, 5, 7, 14, 16, 9, 6, 4, 3, 2, 1, 0, 0, 0} // from four o'clock on
	sum, before := 0, 0
	perHour := ticksADay / 24
	for hour, weight := range weights {
		sum += weight * perHour
		if hour < n/perHour {
			before += weight * perHour
		}
	}
	before += weights[n/perHour] * (n % perHour)
	return rides*(before+weights[n/perHour])/sum - rides*before/sum
}

// strike does what is done at the full hour.
func (t *town) strike(ctx context.Context, day, hour int) error {
	if day == 0 && firstHour+hour == 9 {
		for n := range t.plan.Riders {
			if !t.isStopped(n) {
				continue
			}
			if err := t.payment.Block(ctx, riderID(n), "simulated"); err != nil {
				return err
			}
		}
	}
	if day == 0 && firstHour+hour == 12 && t.plan.LeakedKey {
		t.revoked = true
	}
	if err := t.publish(ctx); err != nil {
		return err
	}
	for _, s := range t.shards {
		for _, g := range s.gates {
			if t.now().Before(g.away) {
				continue
			}
			g.hear(t)
			if t.random.Float64() < t.plan.Outage {
				g.away = t.now().Add(time.Hour + time.Duration(t.random.IntN(29*60))*time.Minute)
				t.tally.Outages++
			}
		}
	}
	return nil
}

// startDay closes the day before, and tops riders up: half of the poor never are.
func (t *town) startDay(ctx context.Context, day int) error {
	t.clock.Store(t.start.AddDate(0, 0, day).Unix())
	if err := t.closeDays(ctx); err != nil {
		return err
	}
	if day%topUpEachDays != 0 {
		return nil
	}
	for n := range t.plan.Riders {
		if t.isPoor(n) && n%2 == 0 {
			continue
		}
		if err := t.topUp(ctx, fmt.Sprintf("day %d rider %d", day, n), payment.UserAccount(riderID(n)), topUpFen); err != nil {
			return err
		}
	}
	return nil
}

func (t *town) closeDays(ctx context.Context) error {
	yesterday := payment.DefaultPolicy().DayOf(t.now().AddDate(0, 0, -1))
	if payment.DefaultPolicy().DayOver(yesterday, t.now()) {
		return t.payment.CloseDay(ctx, yesterday, t.now())
	}
	return nil
}

// ride lets all shards ride, on all cores.
func (t *town) ride(ctx context.Context, from time.Time, count int, thief bool) error {
	errs := make([]error, shardsCount)
	var wait sync.WaitGroup
	for n, s := range t.shards {
		mine := count / shardsCount
		if (n+int(from.Unix()/int64(tick/time.Second)))%shardsCount < count%shardsCount {
			mine++ // those that are over go to one shard after the other
		}
		if len(s.riders) == 0 {
			continue
		}
		wait.Go(func() { errs[n] = s.ride(ctx, from, mine, thief) })
	}
	wait.Wait()
	for _, s := range t.shards {
		t.tally.add(&s.tally)
	}
	return errors.Join(errs...)
}

// upload sends what gates with a network have, many gates together: once, or twice.
func (t *town) upload(ctx context.Context) error {
	var batch [][]byte
	var fares []money.Fen
	for _, s := range t.shards {
		for _, g := range s.gates {
			if t.now().Before(g.away) || g.uploaded >= g.journal.LastSeq() {
				continue
			}
			err := g.journal.Replay(g.uploaded+1, func(entry journal.Entry) error {
				batch, fares = append(batch, slices.Clone(entry.Payload)), append(fares, lineFare(g.line))
				return nil
			})
			if err != nil {
				return err
			}
			g.uploaded = g.journal.LastSeq()
		}
	}
	for first := 0; first < len(batch); first += uploadAtATime {
		end := min(first+uploadAtATime, len(batch))
		if err := t.collect(ctx, batch[first:end], fares[first:end]); err != nil {
			return err
		}
	}
	return nil
}

func (t *town) collect(ctx context.Context, batch [][]byte, fares []money.Fen) error {
	answers, err := t.merchant.Collect(ctx, batch, t.now())
	if err != nil {
		return err
	}
	for i, answer := range answers {
		if answer.Standing != merchant.Taken {
			t.tally.Aside[answer.Reason]++
			t.tally.AsideFen += fares[i]
		}
	}
	t.tally.Uploaded += len(batch)
	if t.random.Float64() < t.plan.Duplicate {
		slices.Reverse(batch)
		t.tally.UploadedTwice += len(batch)
		_, err = t.merchant.Collect(ctx, batch, t.now())
	}
	return err
}

// settle sends what is due until nothing is.
func (t *town) settle(ctx context.Context) error {
	for {
		report, err := t.merchant.SettleDue(ctx, t.now())
		if err != nil {
			return err
		}
		if len(report.Strange) > 0 {
			return fmt.Errorf("simulate: %v", report.Strange)
		}
		t.progress.settled += report.Settled
		t.progress.failed += report.Failed
		if report.Sent == 0 || report.Fault != nil {
			return nil // what was lost is due again later
		}
	}
}

// finish lets hours pass until every gate has its network back, and every trade its final answer.
func (t *town) finish(ctx context.Context) error {
	for end := t.now().Add(tailMost); t.now().Before(end); t.clock.Add(int64(time.Hour / time.Second)) {
		if err := errors.Join(ctx.Err(), t.upload(ctx), t.settle(ctx), t.closeDays(ctx)); err != nil {
			return err
		}
		t.progress.show(t)
		if t.progress.settled+t.progress.failed == t.tally.Accepted-t.asideCount() {
			break
		}
	}
	t.clock.Add(int64(24 * time.Hour / time.Second)) // the last day is over, too
	return t.closeDays(ctx)
}

func (t *town) asideCount() (count int) {
	for _, n := range t.tally.Aside {
		count += n
	}
	return count
}

// progress tells on the way how it goes, and keeps what a soak test is about: a figure a minute.
type progress struct {
	out             io.Writer
	isTerminal      bool
	began, shown    time.Time
	settled, failed int
	minutes         []minute
	ridesBefore     int
}

// minute is one minute of the clock on the wall.
type minute struct {
	Rides     int    `json:"rides"`
	HeapBytes uint64 `json:"heap_bytes"`
}

func (p *progress) begin(w *world) {
	p.out, p.began = w.stderr, time.Now()
	if file, is := w.stderr.(*os.File); is {
		info, err := file.Stat()
		p.isTerminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
}

func (p *progress) lasted() time.Duration { return time.Since(p.began) }

// say writes at most a line every few seconds, and over the last one where somebody looks on.
func (p *progress) say(format string, args ...any) {
	every, end := 5*time.Second, "\n"
	if p.isTerminal {
		every, end = 200*time.Millisecond, "\x1b[K\r"
	}
	if time.Since(p.shown) < every {
		return
	}
	p.shown = time.Now()
	fmt.Fprintf(p.out, format+end, args...)
}

func (p *progress) show(t *town) {
	for int(p.lasted()/time.Minute) > len(p.minutes) {
		p.minutes = append(p.minutes, minute{Rides: t.tally.Presented - p.ridesBefore, HeapBytes: liveHeap()})
		p.ridesBefore = t.tally.Presented
	}
	p.say("%s  %d rides, %.0f a second; %d settled, %d failed, %d on their way; %d power cuts, %d lost on the line; %d MB",
		t.now().In(openapi.Beijing()).Format("Mon 15:04"), t.tally.Presented, float64(t.tally.Presented)/p.lasted().Seconds(), p.settled, p.failed,
		t.tally.Accepted-p.settled-p.failed, t.tally.PowerCuts, t.line.losses, liveHeap()>>20)
}

// liveHeap is what the last garbage collection has left.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
