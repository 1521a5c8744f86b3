package merchant

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

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
	scopes := m.scopes(tapsOf(intakes))
	var answers []Answer
	err = m.store.Update(ctx, m.needOf(ids, scopes), func(state State) (Changes, error) {
		fresh := stillUnknown(intakes, state)
		changes := m.takeIn(fresh, scopes, state, now)
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

// read sets aside what is no good record, and what came so late that the fares of its day may have been
// told, paid and refunded for long. Whoever wants it all the same raises MaxLate and reconsiders.
func (m *Merchant) read(stored StoredRecord) intake {
	tap, err := m.readTap(stored.Bytes)
	stored.Reason = ""
	switch late := stored.Received.Sub(tap.At); {
	case err != nil:
		stored.Reason = err.Error()
	case late > m.config.MaxLate:
		stored.Reason = fmt.Sprintf("came %.1f days after its tap, later than the %.1f days that are set", late.Hours()/24, m.config.MaxLate.Hours()/24)
	}
	return intake{stored: stored, tap: tap}
}

// tapsOf are those of the intakes that do not stand aside.
func tapsOf(intakes []intake) (taps []Tap) {
	for _, in := range intakes {
		if !in.isAside() {
			taps = append(taps, in.tap)
		}
	}
	return taps
}

// scopes are what taps can touch, by rider.
func (m *Merchant) scopes(taps []Tap) map[Rider]scope {
	type span struct{ from, to time.Time }
	spans := map[Rider]span{}
	for _, tap := range taps {
		from, to := tap.At, tap.At
		if had, more := spans[tap.Rider]; more {
			from, to = earlier(from, had.from), later(to, had.to)
		}
		spans[tap.Rider] = span{from, to}
	}
	scopes := map[Rider]scope{}
	for rider, s := range spans {
		scopes[rider] = m.scopeOf(rider, s.from, s.to)
	}
	return scopes
}

// needOf names the records and all that the scopes hold.
func (m *Merchant) needOf(ids []record.ID, scopes map[Rider]scope) Need {
	need := Need{Records: ids}
	for _, s := range scopes {
		need.Windows = append(need.Windows, m.window(s))
	}
	return need
}

// stillUnknown drops what another call has taken since.
func stillUnknown(intakes []intake, state State) []intake {
	return slices.DeleteFunc(slices.Clone(intakes), func(in intake) bool {
		_, had := state.Records[in.stored.ID]
		return had
	})
}

// takeIn decides what new records change.
func (m *Merchant) takeIn(fresh []intake, scopes map[Rider]scope, state State, now time.Time) Changes {
	var changes Changes
	added := map[Rider][]WindowTap{}
	for _, in := range fresh {
		changes.Records = append(changes.Records, in.stored)
		if in.isAside() {
			continue
		}
		changes.Taps = append(changes.Taps, in.tap)
		added[in.tap.Rider] = append(added[in.tap.Rider], WindowTap{Tap: in.tap})
	}
	for _, rider := range slices.SortedFunc(maps.Keys(added), compareRiders) {
		taps := slices.Concat(state.Windows[rider], added[rider])
		changes.join(m.reckon(scopes[rider], taps, state, now).changes())
	}
	return changes
}

// join adds what another rider's reckoning changes.
func (c *Changes) join(other Changes) {
	c.Withdrawn = append(c.Withdrawn, other.Withdrawn...)
	c.Trades = append(c.Trades, other.Trades...)
	c.Refunds = append(c.Refunds, other.Refunds...)
	c.Sums = append(c.Sums, other.Sums...)
	c.LeftOpen = append(c.LeftOpen, other.LeftOpen...)
}

// answer tells each record's standing: had is what was there before, changes is what was decided now.
func answer(ids []record.ID, had State, changes Changes) []Answer {
	reasons := map[record.ID]string{}
	for _, trade := range changes.Trades {
		for _, id := range trade.Held {
			reasons[id] = trade.Reason
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
