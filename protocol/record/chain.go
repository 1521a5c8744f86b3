package record

import (
	"fmt"
	"slices"
	"sort"
)

// Bounds of a chain's state. A terminal that loses every second of its records for years reaches them,
// an honest one in service does not.
const (
	MaxRuns     = 4096 // runs, and as many ranges of doubled numbers
	MaxEvidence = 16   // clones, restarts and jumps that are kept with the names of their records
)

// Chain is the reader's side of a terminal's record chain (记录链). It takes the records of one terminal
// in any order, across days, and proves what is missing, what does not follow, and what exists twice.
//
// It is a deterministic machine: no clock, no I/O. Its state is small, for it keeps runs of records and
// not the records: Append writes it, ParseChain reads it. What it needs of single records it asks of
// Kept, and only when a number comes a second time or names a record it cannot see.
//
// Give it records whose integrity value was verified, and no others: see Place. It is not safe for
// concurrent use.
type Chain struct {
	posID    string
	runs     []run   // ascending; the first begins with number 0, which is Genesis
	doubled  []Range // ascending, never touching: numbers under which two records exist
	evidence []Finding
}

// run is records of which each names the one before.
type run struct {
	Range
	before StatementID // what the first names as the one before it; zero in the run of number 0
	head   StatementID // the last
}

// Range is numbers of records, both ends included.
type Range struct{ From, To uint64 }

// Kept answers what the reader has kept of this terminal. Register is one in memory; a table of
// terminal, number and statement is another.
type Kept interface {
	// StatementAt is the record kept under a number, the first one if there were several.
	StatementAt(seq uint64) (StatementID, bool)
	// SeqOf is the number of a record that is kept, be it the first under it or not.
	SeqOf(id StatementID) (uint64, bool)
}

// Outcome is what became of a record.
type Outcome uint8

// The outcomes.
const (
	Follows    Outcome = iota + 1 // the one after the highest number so far
	Ahead                         // beyond that: numbers between are missing now
	Late                          // out of order: it fills a place that was missing
	Duplicate                     // the same record again: nothing changed
	Doubled                       // another record under a number that is taken: a Clone or a Restart
	CannotTell                    // the number is taken, and Kept no longer has its record to compare with
)

// Arrival is the answer to one record: its outcome, and what it proves, if anything.
type Arrival struct {
	Outcome  Outcome
	Findings []Finding
}

// NewChain is a chain of which no record has come yet.
func NewChain(posID string) *Chain {
	return &Chain{posID: posID, runs: []run{{head: Genesis(posID)}}}
}

// POSID is the terminal whose chain it is.
func (c *Chain) POSID() string { return c.posID }

// Highest is the highest number so far, 0 when there is none.
func (c *Chain) Highest() uint64 { return c.runs[len(c.runs)-1].To }

// Add takes one record. The caller puts it into what Kept reads afterwards, whatever the outcome. An
// error says that the record was not taken and nothing changed: it is of another terminal, its number
// is out of bounds, or the chain has more holes than a state may hold.
func (c *Chain) Add(p Place, kept Kept) (Arrival, error) {
	if p.POSID != c.posID {
		return Arrival{}, fieldError("pos_param pos_id", clauseChain, "of another terminal than the chain")
	}
	if p.Seq == 0 || p.Seq > MaxSeq {
		return Arrival{}, fieldError("pos_param seq", clauseChain, "not from 1 to 9223372036854775807")
	}
	at := sort.Search(len(c.runs), func(i int) bool { return c.runs[i].To >= p.Seq })
	if at < len(c.runs) && c.runs[at].From <= p.Seq {
		return c.meet(p, kept)
	}
	return c.place(at, p, kept)
}

// meet answers a record whose number is taken.
func (c *Chain) meet(p Place, kept Kept) (Arrival, error) {
	first, known := kept.StatementAt(p.Seq)
	switch {
	case !known:
		return Arrival{Outcome: CannotTell}, nil
	case first == p.ID:
		return Arrival{Outcome: Duplicate}, nil
	}
	doubled := withNumber(c.doubled, p.Seq)
	if len(doubled) > MaxRuns {
		return Arrival{}, tooMany()
	}
	c.doubled = doubled
	var found Finding = Clone{Seq: p.Seq, A: first, B: p.ID}
	if p.Seq == 1 && p.Prev == Genesis(c.posID) && c.runs[0].To >= 1 {
		found = Restart{A: first, B: p.ID}
	}
	return Arrival{Outcome: Doubled, Findings: c.witness(nil, found)}, nil
}

// place puts a record between the runs at−1 and at.
func (c *Chain) place(at int, p Place, kept Kept) (Arrival, error) {
	arrival := Arrival{Outcome: c.outcome(p.Seq)}
	left, right := c.runs[at-1].follow(p), at < len(c.runs) && p.Seq+1 == c.runs[at].From && c.runs[at].before == p.ID
	if !left && !right && len(c.runs) >= MaxRuns {
		return Arrival{}, tooMany()
	}
	if !left && c.runs[at-1].To+1 == p.Seq {
		arrival.Findings = append(arrival.Findings, Broken{Seq: p.Seq})
	}
	if !right && at < len(c.runs) && p.Seq+1 == c.runs[at].From {
		arrival.Findings = append(arrival.Findings, Broken{Seq: p.Seq + 1})
	}
	arrival.Findings = c.jumps(p, kept, arrival.Findings)
	c.join(at, p, left, right)
	return arrival, nil
}

func (r run) follow(p Place) bool { return r.To+1 == p.Seq && r.head == p.Prev }

func (c *Chain) join(at int, p Place, left, right bool) {
	switch {
	case left && right:
		c.runs[at-1].To, c.runs[at-1].head = c.runs[at].To, c.runs[at].head
		c.runs = slices.Delete(c.runs, at, at+1)
	case left:
		c.runs[at-1].To, c.runs[at-1].head = p.Seq, p.ID
	case right:
		c.runs[at].From, c.runs[at].before = p.Seq, p.Prev
	default:
		c.runs = slices.Insert(c.runs, at, run{Range: Range{p.Seq, p.Seq}, before: p.Prev, head: p.ID})
	}
}

// jumps finds records that name one before them which stands under another number than theirs less
// one: this record itself, and the first of any run that waited for it.
func (c *Chain) jumps(p Place, kept Kept, found []Finding) []Finding {
	after, known := uint64(0), p.Prev == Genesis(c.posID)
	if !known {
		after, known = kept.SeqOf(p.Prev)
	}
	if known && after != p.Seq-1 {
		found = c.witness(found, Jump{Seq: p.Seq, After: after})
	}
	for _, r := range c.runs[1:] {
		if r.before == p.ID && r.From != p.Seq+1 {
			found = c.witness(found, Jump{Seq: r.From, After: p.Seq})
		}
	}
	return found
}

func (c *Chain) outcome(seq uint64) Outcome {
	switch highest := c.Highest(); {
	case seq == highest+1:
		return Follows
	case seq > highest:
		return Ahead
	}
	return Late
}

// witness keeps a finding with its records, the first few of them. Two names make a clone whichever
// came first.
func (c *Chain) witness(found []Finding, f Finding) []Finding {
	if !slices.Contains(c.evidence, f) && len(c.evidence) < MaxEvidence {
		c.evidence = append(c.evidence, f)
	}
	return append(found, f)
}

func tooMany() error {
	return fieldError("record chain", clauseChain, fmt.Sprintf("more than %d holes: settle the older ones first", MaxRuns))
}

// withNumber gives the ranges with one number more.
func withNumber(ranges []Range, n uint64) []Range {
	at := sort.Search(len(ranges), func(i int) bool { return ranges[i].To+1 >= n })
	if at == len(ranges) || ranges[at].From > n+1 {
		return slices.Insert(slices.Clone(ranges), at, Range{n, n})
	}
	out := slices.Clone(ranges)
	out[at] = Range{min(out[at].From, n), max(out[at].To, n)}
	if at+1 < len(out) && out[at].To+1 == out[at+1].From {
		out[at].To = out[at+1].To
		out = slices.Delete(out, at+1, at+2)
	}
	return out
}

// Register is a Kept in memory.
type Register struct {
	bySeq map[uint64]StatementID
	seqOf map[StatementID]uint64
}

// NewRegister is an empty one.
func NewRegister() *Register {
	return &Register{bySeq: map[uint64]StatementID{}, seqOf: map[StatementID]uint64{}}
}

// Put keeps a record; the first under a number stays the first.
func (r *Register) Put(p Place) {
	if _, taken := r.bySeq[p.Seq]; !taken {
		r.bySeq[p.Seq] = p.ID
	}
	r.seqOf[p.ID] = p.Seq
}

// StatementAt is the first record under a number.
func (r *Register) StatementAt(seq uint64) (StatementID, bool) {
	id, known := r.bySeq[seq]
	return id, known
}

// SeqOf is the number of a record.
func (r *Register) SeqOf(id StatementID) (uint64, bool) {
	seq, known := r.seqOf[id]
	return seq, known
}
