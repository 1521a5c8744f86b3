package fare

import (
	"fmt"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
)

// transferRules tells what a trip costs less for the one before it.
type transferRules interface {
	// find gives the rule by which next follows the chain.
	find(c *chain, next leg, fullFen money.Fen) (found transfer, ok bool)
	summarize(*Summary)
}

// transfer is a rule as it holds for one trip.
type transfer struct {
	pays   price
	apply  func(c *chain, fullFen money.Fen) money.Fen // instead of pays; nil: pays says it
	why    string
	source Source
	run    [2]string // of the rule, for those that count how often they were used
}

// chain is trips that follow each other as transfers. The first one paid its own fare.
type chain struct {
	first, last leg
	count       int       // transfers so far
	topFen      money.Fen // the dearest fare of its trips, before any transfer
	paidFen     money.Fen // what they cost in all

	run      [2]string // of the last transfers of one rule
	runFirst leg
	runCount int
}

// start begins a chain with a trip.
func startChain(first leg, fullFen, paidFen money.Fen) *chain {
	return &chain{first: first, last: first, topFen: fullFen, paidFen: paidFen}
}

// extend adds a trip that was priced as a transfer.
func (c *chain) extend(next leg, run [2]string, fullFen, paidFen money.Fen) {
	if c.run != run || c.runCount == 0 {
		c.run, c.runFirst, c.runCount = run, c.last, 0
	}
	c.runCount++
	c.last, c.count, c.topFen, c.paidFen = next, c.count+1, max(c.topFen, fullFen), c.paidFen+paidFen
}

// endOf is when a trip ended; a bus knows only when it began.
func (l leg) endOf() time.Time {
	if l.trip.Kind == Through {
		return l.trip.End
	}
	return l.trip.Start
}

// ownTransfer is a row of transfers.csv.
type ownTransfer struct {
	from, to  set // groups and lines
	sameLine  bool
	within    time.Duration
	counted   string
	times     int // 0: any
	pays      price
	name      string
	fromCells string
	toCells   string
	source    Source
}

type ownTransfers []ownTransfer

// Where the window of a transfer is counted from: the last trip's entry or exit, or the entry of the
// first trip of the chain. It ends when the next trip begins.
var countedFrom = []string{"entry", "exit", "first"}

// readTransfers reads name,from,to,same_line,within_minutes,counted_from,times,pays. Of several rows that
// hold, the first counts.
func (p *parser) readTransfers(b *ownBasis) {
	known := set{}
	for group := range b.groupSet {
		known[group] = true
	}
	for name := range b.lines {
		known[name] = true
	}
	columns := form.Columns{Required: []string{"name", "from", "to", "same_line", "within_minutes", "counted_from", "times", "pays"}}
	var rules ownTransfers
	p.each("transfers.csv", maxRules, columns, func(row form.Row) {
		rule := ownTransfer{name: p.text(row, "name"), from: p.set(row, "from", known), to: p.set(row, "to", known), counted: row.Cell("counted_from"),
			within: time.Duration(p.count(row, "within_minutes", 1, 24*60)) * time.Minute, sameLine: row.Cell("same_line") == "yes",
			pays: p.price(row, "pays", paysPercent, paysAtMost, paysLess, paysHigher), source: sourceOf(row)}
		rule.fromCells, rule.toCells = row.Cell("from"), row.Cell("to")
		if same := row.Cell("same_line"); same != "yes" && same != "no" {
			p.fail(row.Fault("same_line", fmt.Sprintf("%q is neither yes nor no: may a rider change into the line that he comes from?", same)))
		}
		if !contains(countedFrom, rule.counted) {
			p.fail(row.Fault("counted_from", fmt.Sprintf("%q is none of entry, exit (of the trip before), first (entry of the first trip)", rule.counted)))
		}
		if row.Cell("times") != "" {
			rule.times = p.count(row, "times", 1, 1000)
		}
		if rule.pays.kind == paysPercent && rule.pays.percent > 100 {
			p.fail(row.Fault("pays", "more than 100%: a transfer takes away"))
		}
		rules = append(rules, rule)
	})
	p.t.transfers = rules
}

func (rules ownTransfers) find(c *chain, next leg, _ money.Fen) (transfer, bool) {
	for _, rule := range rules {
		if rule.holds(c, next) {
			why := fmt.Sprintf("%s: from %s, %s", rule.name, nameOfLeg(c.last), rule.pays)
			return transfer{pays: rule.pays, why: why, source: rule.source}, true
		}
	}
	return transfer{}, false
}

func (r ownTransfer) holds(c *chain, next leg) bool {
	from, to := c.last.trip.Line, next.trip.Line
	if c.last.trip.Kind == Through {
		from = c.last.trip.EndLine
	}
	matches := (r.from.has(c.last.group) || r.from[from]) && (r.to.has(next.group) || r.to[to])
	if !matches || from == to && !r.sameLine || r.times > 0 && c.count >= r.times {
		return false
	}
	since := c.last.trip.Start
	switch r.counted {
	case "exit":
		since = c.last.endOf()
	case "first":
		since = c.first.trip.Start
	}
	return next.trip.Start.Sub(since) <= r.within
}

func nameOfLeg(l leg) string {
	name := "line " + l.trip.Line
	if l.trip.Kind == Through && l.trip.EndLine != l.trip.Line {
		name = "line " + l.trip.EndLine
	}
	return name + " at " + beijingClock(l.trip.Start)
}
