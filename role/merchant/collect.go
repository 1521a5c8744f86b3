package merchant

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
)

// Standing is what became of an uploaded record.
type Standing string

// The standings. With each of them the merchant has the record for good, and the terminal may forget it.
const (
	Taken      Standing = "TAKEN"
	AlreadyHad Standing = "ALREADY_HAD"
	SetAside   Standing = "SET_ASIDE" // kept, but no trade comes of it as things are: Reason says why
)

// Answer is about one record of a batch.
type Answer struct {
	Record   record.ID
	Standing Standing
	Reason   string // why it, or the trip it made just now, stands aside; of a record already had, its own reason alone
}

// Collect takes a batch of uploaded records in (document 2 §2.1.1, steps 5 and 6) and answers each, in
// the batch's order. It may be repeated with the same records in any order and mixture: the result is
// the same. now is when the batch came.
//
// An error means that the outcome is not known, or that the batch is over MaxBatchRecords or
// MaxBatchBytes and nothing was taken; the terminal keeps its records and sends them again. Answers
// are durable.
func (m *Merchant) Collect(ctx context.Context, batch [][]byte, now time.Time) ([]Answer, error) {
	if err := checkBatch(batch); err != nil {
		return nil, err
	}
	now = storedTime(now)
	ids := identifyAll(batch)
	known, err := m.store.View(ctx, Need{Records: ids})
	if err != nil {
		return nil, fmt.Errorf("merchant: collect: %w", err)
	}
	intakes := m.readBatch(batch, ids, known, now)
	var answers []Answer
	err = m.store.Update(ctx, m.needOf(ids, intakes), func(state State) (Changes, error) {
		fresh := stillUnknown(intakes, state)
		changes := m.takeIn(fresh, state, now)
		answers = answer(ids, state, changes)
		return changes, nil
	})
	if err != nil {
		return nil, fmt.Errorf("merchant: collect: %w", err)
	}
	return answers, nil
}

func checkBatch(batch [][]byte) error {
	if len(batch) > MaxBatchRecords {
		return fmt.Errorf("merchant: collect: %d records, at most %d in one batch", len(batch), MaxBatchRecords)
	}
	size := 0
	for _, b := range batch {
		size += len(b)
	}
	if size > MaxBatchBytes {
		return fmt.Errorf("merchant: collect: %d bytes, at most %d in one batch", size, MaxBatchBytes)
	}
	return nil
}

func identifyAll(batch [][]byte) []record.ID {
	ids := make([]record.ID, len(batch))
	for i, b := range batch {
		ids[i] = record.Identify(b)
	}
	return ids
}

// storedTime is what a Store gives back: UTC, whole microseconds.
func storedTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// intake is a record on its way in, with the tap that it is, unless it stands aside.
type intake struct {
	stored StoredRecord
	tap    Tap
}

func (in *intake) isAside() bool { return in.stored.Reason != "" }

// readBatch checks the records that are new, each once. Signatures are checked here, before the
// transaction, because they take longer than it does.
func (m *Merchant) readBatch(batch [][]byte, ids []record.ID, known State, now time.Time) []intake {
	seen := map[record.ID]bool{}
	var intakes []intake
	for i, b := range batch {
		if _, had := known.Records[ids[i]]; had || seen[ids[i]] {
			continue
		}
		seen[ids[i]] = true
		intakes = append(intakes, m.read(StoredRecord{ID: ids[i], Bytes: b, Received: now}))
	}
	return intakes
}

func (m *Merchant) read(stored StoredRecord) intake {
	tap, err := m.readTap(stored.Bytes)
	stored.Reason = ""
	if err != nil {
		stored.Reason = err.Error()
	}
	return intake{stored: stored, tap: tap}
}

// needOf names what the intakes can touch: for each rider the taps that are near enough in time to
// make a trip with a new one.
func (m *Merchant) needOf(ids []record.ID, intakes []intake) Need {
	windows := map[Rider]Window{}
	for _, in := range intakes {
		if in.isAside() || in.tap.Kind == record.Single {
			continue
		}
		from, to := in.tap.At.Add(-m.config.MaxTrip), in.tap.At.Add(m.config.MaxTrip)
		if had, more := windows[in.tap.Rider]; more {
			from, to = earlier(from, had.From), later(to, had.To)
		}
		windows[in.tap.Rider] = Window{Rider: in.tap.Rider, From: from, To: to}
	}
	return Need{Records: ids, Windows: slices.Collect(maps.Values(windows))}
}

// stillUnknown drops what another call has taken since.
func stillUnknown(intakes []intake, state State) []intake {
	return slices.DeleteFunc(slices.Clone(intakes), func(in intake) bool {
		_, had := state.Records[in.stored.ID]
		return had
	})
}

// takeIn decides what new records change.
func (m *Merchant) takeIn(fresh []intake, state State, now time.Time) Changes {
	var changes Changes
	moved := map[Rider][]Tap{}
	for _, in := range fresh {
		changes.Records = append(changes.Records, in.stored)
		if in.isAside() {
			continue
		}
		changes.Taps = append(changes.Taps, in.tap)
		if in.tap.Kind == record.Single {
			changes.Trades = append(changes.Trades, m.makeTrade(Trip{Start: in.tap}, now))
			continue
		}
		moved[in.tap.Rider] = append(moved[in.tap.Rider], in.tap)
	}
	for _, rider := range slices.SortedFunc(maps.Keys(moved), compareRiders) {
		m.pairAnew(rider, moved[rider], state, &changes, now)
	}
	return changes
}

// pairAnew makes the trips of a rider again with new taps among the old ones. Trades that were never
// sent follow: those that no longer stand are withdrawn, those that are new are made.
//
// A trade that was sent, or that reaches out of the window, is pinned. The latter cannot be touched by
// a new tap: the window reaches MaxTrip beyond every one of them.
func (m *Merchant) pairAnew(rider Rider, added []Tap, state State, changes *Changes, now time.Time) {
	taps, pinned := slices.Clone(added), map[record.ID]bool{}
	loose := looseTrades(state.Windows[rider], state.Trades)
	for _, tap := range state.Windows[rider] {
		taps = append(taps, tap.Tap)
		pinned[tap.Record] = tap.Trade != "" && !loose[tap.Trade]
	}
	for _, trip := range pairTrips(taps, pinned, m.config.MaxTrip) {
		number := numberTrade(trip)
		if loose[number] {
			delete(loose, number)
			continue
		}
		changes.Trades = append(changes.Trades, m.makeTrade(trip, now))
	}
	changes.Withdrawn = append(changes.Withdrawn, slices.Sorted(maps.Keys(loose))...)
}

// looseTrades are those that may be undone: never sent, and wholly in the window.
func looseTrades(window []WindowTap, trades map[openapi.OutTradeNo]Trade) map[openapi.OutTradeNo]bool {
	held := map[openapi.OutTradeNo]int{}
	for _, tap := range window {
		held[tap.Trade]++
	}
	loose := map[openapi.OutTradeNo]bool{}
	for number, count := range held {
		trade, known := trades[number]
		if known && count == len(trade.Trip.Taps()) && (trade.State == Waiting || trade.State == Aside) {
			loose[number] = true
		}
	}
	return loose
}

// answer tells each record's standing: had is what was there before, changes is what was decided now.
func answer(ids []record.ID, had State, changes Changes) []Answer {
	reasons := map[record.ID]string{}
	for _, trade := range changes.Trades {
		for _, tap := range trade.Trip.Taps() {
			reasons[tap.Record] = trade.Reason
		}
	}
	for _, stored := range changes.Records {
		if stored.Reason != "" {
			reasons[stored.ID] = stored.Reason
		}
	}
	answers, seen := make([]Answer, len(ids)), map[record.ID]bool{}
	for i, id := range ids {
		stored, before := had.Records[id]
		switch {
		case before:
			answers[i] = Answer{Record: id, Standing: AlreadyHad, Reason: stored.Reason}
		case seen[id]:
			answers[i] = Answer{Record: id, Standing: AlreadyHad, Reason: reasons[id]}
		case reasons[id] != "":
			answers[i] = Answer{Record: id, Standing: SetAside, Reason: reasons[id]}
		default:
			answers[i] = Answer{Record: id, Standing: Taken}
		}
		seen[id] = true
	}
	return answers
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
