package record

import (
	"encoding/binary"
	"slices"

	"github.com/shuama/shuama/protocol/form"
)

const (
	clauseState  = "record chain, saved state"
	stateMagic   = "SMCH"
	stateVersion = 1
)

// Layout of a saved chain, all big-endian:
//
//	[4]    "SMCH"
//	uint8  1
//	uint16 n, then [n] pos_id
//	uint32 count of runs, the first of which begins with 0; for each:
//	       uint64 from, uint64 to, [32] before, [32] head
//	uint32 count of doubled ranges; for each: uint64 from, uint64 to
//	uint8  count of findings; for each:
//	       uint8 1 Clone, 2 Restart, 3 Jump; uint64 seq; uint64 after; [32] a; [32] b

// Append writes the chain's state, 80 bytes for each run.
func (c *Chain) Append(dst []byte) []byte {
	dst = append(append(dst, stateMagic...), stateVersion)
	dst = appendPart(dst, c.posID)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(c.runs)))
	for _, r := range c.runs {
		dst = append(append(appendRange(dst, r.Range), r.before[:]...), r.head[:]...)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(c.doubled)))
	for _, r := range c.doubled {
		dst = appendRange(dst, r)
	}
	dst = append(dst, byte(len(c.evidence)))
	for _, found := range c.evidence {
		dst = appendFinding(dst, found)
	}
	return dst
}

func appendRange(dst []byte, r Range) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, r.From), r.To)
}

func appendFinding(dst []byte, found Finding) []byte {
	var kind byte
	var seq, after uint64
	var a, b StatementID
	switch f := found.(type) {
	case Clone:
		kind, seq, a, b = 1, f.Seq, f.A, f.B
	case Restart:
		kind, seq, a, b = 2, 1, f.A, f.B
	case Jump:
		kind, seq, after = 3, f.Seq, f.After
	}
	dst = appendRange(append(dst, kind), Range{seq, after})
	return append(append(dst, a[:]...), b[:]...)
}

// ParseChain reads a state that Append wrote, and nothing else: what it takes, Append writes again to
// the same bytes.
func ParseChain(b []byte) (*Chain, error) {
	r := form.NewReader(b, 0)
	if magic := r.Bytes("chain", clauseState, len(stateMagic)); r.Err() == nil && string(magic) != stateMagic {
		r.Fail("chain", clauseState, len(stateMagic), "not the state of a record chain")
	}
	if version := r.Uint8("chain version", clauseState); r.Err() == nil && version != stateVersion {
		r.Fail("chain version", clauseState, 1, "not 1")
	}
	c := &Chain{posID: string(r.Bytes("pos_id", clauseState, int(r.Uint16("pos_id length", clauseState))))}
	c.readRuns(r)
	c.readDoubled(r)
	c.readEvidence(r)
	r.End("end of the chain", clauseState)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Chain) readRuns(r *form.Reader) {
	for i := range readCount(r, "count of runs", MaxRuns) {
		next := run{Range: readRange(r, "run")}
		copy(next.before[:], r.Bytes("run's record before", clauseState, len(next.before)))
		copy(next.head[:], r.Bytes("run's last record", clauseState, len(next.head)))
		if r.Err() == nil && !c.mayFollow(i, next) {
			r.Fail("run", clauseState, 80, "does not follow the run before it, or is part of it")
		}
		if r.Err() != nil {
			return
		}
		c.runs = append(c.runs, next)
	}
	if r.Err() == nil && len(c.runs) == 0 {
		r.Fail("count of runs", clauseState, 4, "0: a chain begins with the run of number 0")
	}
}

func (c *Chain) mayFollow(i int, next run) bool {
	if i == 0 {
		return next.From == 0 && next.before == StatementID{} && (next.To != 0 || next.head == Genesis(c.posID))
	}
	last := c.runs[i-1]
	return next.From > last.To && (next.From != last.To+1 || next.before != last.head)
}

func (c *Chain) readDoubled(r *form.Reader) {
	for i := range readCount(r, "count of doubled numbers", MaxRuns) {
		next := readRange(r, "doubled numbers")
		if r.Err() == nil && (next.From == 0 || i > 0 && next.From <= c.doubled[i-1].To+1) {
			r.Fail("doubled numbers", clauseState, 16, "not ascending, or part of the range before")
		}
		if r.Err() != nil {
			return
		}
		c.doubled = append(c.doubled, next)
	}
}

func (c *Chain) readEvidence(r *form.Reader) {
	count := int(r.Uint8("count of findings", clauseState))
	if count > MaxEvidence {
		r.Fail("count of findings", clauseState, 1, "more than 16")
	}
	for range count {
		found := readFinding(r)
		if r.Err() == nil && (found == nil || slices.Contains(c.evidence, found)) {
			r.Fail("finding", clauseState, findingSize, "of no kind known here, with fields that are not its own, or a second time")
		}
		if r.Err() != nil {
			return
		}
		c.evidence = append(c.evidence, found)
	}
}

const findingSize = 1 + 16 + 64

// readFinding answers nil for what appendFinding does not write.
func readFinding(r *form.Reader) Finding {
	kind := r.Uint8("finding's kind", clauseState)
	seq, after := readUint64(r, "finding's number"), readUint64(r, "finding's number")
	var a, b, zero StatementID
	copy(a[:], r.Bytes("finding's record", clauseState, len(a)))
	copy(b[:], r.Bytes("finding's record", clauseState, len(b)))
	numbered := seq > 0 && seq <= MaxSeq && after <= MaxSeq
	switch {
	case kind == 1 && numbered && after == 0:
		return Clone{Seq: seq, A: a, B: b}
	case kind == 2 && seq == 1 && after == 0:
		return Restart{A: a, B: b}
	case kind == 3 && numbered && a == zero && b == zero:
		return Jump{Seq: seq, After: after}
	}
	return nil
}

func readCount(r *form.Reader, field string, countMax uint32) int {
	count := r.Uint32(field, clauseState)
	if count > countMax {
		r.Fail(field, clauseState, 4, "more than a state may hold")
		return 0
	}
	return int(count)
}

func readRange(r *form.Reader, field string) Range {
	got := Range{From: readUint64(r, field), To: readUint64(r, field)}
	if r.Err() == nil && (got.From > got.To || got.To > MaxSeq) {
		r.Fail(field, clauseState, 16, "ends before it begins, or beyond the last number")
	}
	return got
}

func readUint64(r *form.Reader, field string) uint64 {
	if b := r.Bytes(field, clauseState, 8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}
