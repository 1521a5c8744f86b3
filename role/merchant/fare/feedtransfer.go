package fare

import (
	"fmt"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/gtfs"
)

// feedTransfers are the rules of fare_transfer_rules.txt.
type feedTransfers struct {
	b          *feedBasis
	rules      []gtfs.TransferRule
	listedFrom map[gtfs.LegGroup]bool
	listedTo   map[gtfs.LegGroup]bool
}

func (p *parser) readFeedTransfers(b *feedBasis) {
	rules := &feedTransfers{b: b, rules: b.feed.Transfers, listedFrom: map[gtfs.LegGroup]bool{}, listedTo: map[gtfs.LegGroup]bool{}}
	for _, rule := range rules.rules {
		rules.listedFrom[rule.From], rules.listedTo[rule.To] = true, true
		if rule.Cost == gtfs.BesidesNext && rules.worst(rule) > 0 {
			p.refuseTransfer(rule, "not supported: fare_transfer_type 1 with a price: no rider would take a transfer that costs more than two trips")
		}
		if rule.Cost == gtfs.InsteadOfBoth {
			p.refuseRepayment(b, rule)
		}
	}
	p.t.transfers = rules
}

// refuseRepayment: a first trip is paid when it was made. Where both together cost less than it alone,
// money would have to go back.
func (p *parser) refuseRepayment(b *feedBasis, rule gtfs.TransferRule) {
	least, _ := b.productFor(rule.Product, b.standard)
	for _, category := range b.categoriesInUse() {
		both, _ := b.productFor(rule.Product, category)
		least.AmountFen = min(least.AmountFen, both.AmountFen)
	}
	for _, leg := range b.feed.Legs {
		first, sold := b.productFor(leg.Product, b.standard)
		if (leg.Group == rule.From || rule.From == "") && leg.Group != "" && sold && first.AmountFen > least.AmountFen {
			p.refuseTransfer(rule, fmt.Sprintf("not supported: fare_transfer_type 2 costs %s, and the first leg alone %s (fare_leg_rules.txt, line %d): money would have to go back",
				least.AmountFen.Yuan(), first.AmountFen.Yuan(), leg.Line))
		}
	}
}

func (p *parser) refuseTransfer(rule gtfs.TransferRule, why string) {
	p.fail(&form.CellError{File: p.t.fileName("fare_transfer_rules.txt"), Line: rule.Line, Column: "fare_transfer_type", Why: why})
}

func (b *feedBasis) categoriesInUse() []gtfs.Category {
	var used []gtfs.Category
	for _, category := range b.categories {
		used = append(used, category)
	}
	return used
}

// worst is the highest price of a rule's product.
func (f *feedTransfers) worst(rule gtfs.TransferRule) (highest money.Fen) {
	for _, row := range f.b.feed.Products[rule.Product] {
		highest = max(highest, row.AmountFen)
	}
	return highest
}

// find takes the rules that match the two leg groups and whose duration holds; of these, those with the
// least transfer_count that is not used up; of these, the one that leaves the least to pay.
func (f *feedTransfers) find(c *chain, next leg, fullFen money.Fen) (transfer, bool) {
	from, to := gtfs.LegGroup(c.last.ticket), gtfs.LegGroup(next.ticket)
	if from == "" || to == "" {
		return transfer{}, false
	}
	run := [2]string{string(from), string(to)}
	used, first := 0, c.last
	if c.run == run {
		used, first = c.runCount, c.runFirst
	}
	category := f.b.standard
	if own, known := f.b.categories[next.trip.Identity]; known {
		category = own
	}
	var best transfer
	var bestRule gtfs.TransferRule
	var bestFen money.Fen
	found := false
	for _, rule := range f.rules {
		if !f.matches(rule, from, to) || !withinLimit(rule, first, next) || rule.Count > 0 && rule.Count <= used {
			continue
		}
		product, sold := f.b.productFor(rule.Product, category)
		if rule.Product != "" && !sold {
			continue
		}
		candidate := f.transferBy(rule, product.AmountFen, c.last, run)
		costs := candidate.apply(c, fullFen)
		if !found || narrower(rule, bestRule) || !narrower(bestRule, rule) && costs < bestFen {
			best, bestRule, bestFen, found = candidate, rule, costs, true
		}
	}
	return best, found
}

// narrower: a smaller transfer_count goes first; none, and -1, are without limit.
func narrower(a, b gtfs.TransferRule) bool {
	return a.Count > 0 && (b.Count <= 0 || a.Count < b.Count)
}

func (f *feedTransfers) matches(rule gtfs.TransferRule, from, to gtfs.LegGroup) bool {
	return (rule.From == from || rule.From == "" && !f.listedFrom[from]) && (rule.To == to || rule.To == "" && !f.listedTo[to])
}

// withinLimit measures from the first leg of the transfers that this rule has made one after another.
func withinLimit(rule gtfs.TransferRule, first, next leg) bool {
	if rule.LimitSec == 0 {
		return true
	}
	since, until := first.trip.Start, next.trip.Start
	if rule.Between == gtfs.ArrivalToDeparture || rule.Between == gtfs.ArrivalToArrival {
		since = first.endOf()
	}
	if rule.Between == gtfs.DepartureToArrival || rule.Between == gtfs.ArrivalToArrival {
		until = next.endOf()
	}
	return until.Sub(since) <= time.Duration(rule.LimitSec)*time.Second
}

func (f *feedTransfers) transferBy(rule gtfs.TransferRule, productFen money.Fen, last leg, run [2]string) transfer {
	t := transfer{run: run, source: Source{File: f.b.file("fare_transfer_rules.txt"), Row: rule.Line},
		why: fmt.Sprintf("transfer from %s, %s to %s", nameOfLeg(last), run[0], run[1])}
	switch rule.Cost {
	case gtfs.InsteadOfNext:
		t.apply = func(*chain, money.Fen) money.Fen { return productFen }
	case gtfs.BesidesNext:
		t.apply = func(_ *chain, full money.Fen) money.Fen { return max(0, full+productFen) }
	case gtfs.InsteadOfBoth:
		t.apply = func(c *chain, _ money.Fen) money.Fen {
			if c.count > 0 {
				return productFen // what came before is one sum already: S + BC
			}
			return max(0, productFen-c.paidFen)
		}
	}
	return t
}
