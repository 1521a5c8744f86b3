package record

import "fmt"

// Finding is one thing that a chain proves: a Gap, a Broken, a Clone, a Restart or a Jump. String is a
// sentence for people. Findings can be compared with ==.
type Finding interface {
	fmt.Stringer
	finding()
}

// Gap is records that the terminal has written and that have not come: on their way, or withheld, or
// lost with the terminal.
type Gap Range

// Broken is a record that names another one before it than the one that came: somewhere before it a
// second line of records exists, or one was replaced.
type Broken struct{ Seq uint64 }

// Clone is two different records under one number. A terminal writes a number once, so two terminals
// hold its key: a copy, or one restored from an old copy of its disk.
type Clone struct {
	Seq  uint64
	A, B StatementID // A came first
}

// Restart is a Clone of number 1 where both records begin a chain: a terminal whose memory was wiped or
// replaced, or a copy that was given the key and no memory.
type Restart struct {
	A, B StatementID // A came first
}

// Jump is a record that names as the one before it a record with another number than its own less one:
// the terminal left out numbers, or used a hash twice.
type Jump struct {
	Seq   uint64
	After uint64 // the number of the record that it names; 0 is the beginning of the chain
}

func (Gap) finding()     {}
func (Broken) finding()  {}
func (Clone) finding()   {}
func (Restart) finding() {}
func (Jump) finding()    {}

func (g Gap) String() string {
	if g.From == g.To {
		return fmt.Sprintf("record %d has not arrived", g.From)
	}
	return fmt.Sprintf("records %d to %d have not arrived (%d records)", g.From, g.To, g.To-g.From+1)
}

func (b Broken) String() string {
	return fmt.Sprintf("record %d does not follow the record %d that arrived: there is another one that it follows", b.Seq, b.Seq-1)
}

func (c Clone) String() string {
	return fmt.Sprintf("two different records have number %d (%.8s… and %.8s…): two terminals hold this key, or one was restored from an old copy",
		c.Seq, c.A, c.B)
}

func (r Restart) String() string {
	return fmt.Sprintf("the terminal began its chain twice (%.8s… and %.8s…): its memory was wiped or replaced, or a second terminal holds its key", r.A, r.B)
}

func (j Jump) String() string {
	return fmt.Sprintf("record %d names record %d as the one before it: its number is not the next one", j.Seq, j.After)
}

// Gaps is what is missing, ascending. A terminal that reports its last number in a heartbeat lets the
// reader see a missing end too: reported, 0 when it is not known.
func (c *Chain) Gaps(reported uint64) []Gap {
	var gaps []Gap
	for i, r := range c.runs[1:] {
		if last := c.runs[i].To; last+1 < r.From {
			gaps = append(gaps, Gap{last + 1, r.From - 1})
		}
	}
	if highest := c.Highest(); reported > highest {
		gaps = append(gaps, Gap{highest + 1, reported})
	}
	return gaps
}

// Doubled is the numbers under which more than one record came, ascending.
func (c *Chain) Doubled() []Range { return append([]Range(nil), c.doubled...) }

// Findings is all that the chain proves now: gaps and broken links as they are at present, and the
// first MaxEvidence clones, restarts and jumps; Doubled counts those beyond.
func (c *Chain) Findings(reported uint64) []Finding {
	var found []Finding
	for _, gap := range c.Gaps(reported) {
		found = append(found, gap)
	}
	for i, r := range c.runs[1:] {
		if c.runs[i].To+1 == r.From {
			found = append(found, Broken{Seq: r.From})
		}
	}
	return append(found, c.evidence...)
}
