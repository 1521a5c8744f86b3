package fare

import (
	"fmt"
	"strings"
)

// Summary is what a tariff says, for somebody who checks it.
type Summary struct {
	Lines    []string // one line each, for people
	Warnings []string // what is allowed, and hardly meant
}

func (s *Summary) add(format string, args ...any) {
	s.Lines = append(s.Lines, fmt.Sprintf(format, args...))
}

// Summary tells what was read.
func (t *Tariff) Summary() Summary {
	s := Summary{Warnings: t.warnings}
	for _, each := range t.tables {
		each.summarize(&s)
	}
	return s
}

func (t *table) untilText() string {
	if t.until == Day(1<<30) {
		return "further notice"
	}
	return t.until.String()
}

func (t *table) summarize(s *Summary) {
	name, validity := t.name, "always valid"
	if name == "" {
		name = "(this folder)"
	}
	if t.from > Day(-1<<30) {
		validity = fmt.Sprintf("valid from %s until %s", t.from, t.untilText())
	}
	s.add("table %s, %s", name, validity)
	t.basis.summarize(s)
	s.add("  fare day from %02d:%02d; discounted fares are rounded %s to %s", t.settings.startMinute/60, t.settings.startMinute%60, t.settings.rounding, t.settings.unitFen.Yuan())
	if t.settings.graceSec > 0 {
		s.add("  in and out at one station within %d min: %s", t.settings.graceSec/60, t.settings.graceFen.Yuan())
	}
	for _, rule := range t.times {
		s.add("  time: %s, %s, for %s", rule.name, rule.pays, nameSet(rule.groups))
	}
	for _, rule := range t.identities {
		s.add("  identity %s: %s, %s, for %s", rule.quad, rule.name, rule.pays, nameSet(rule.groups))
	}
	t.transfers.summarize(s)
	for _, rule := range t.caps {
		s.add("  cap %s: %s", rule.name, rule.text())
	}
	for _, rule := range t.defaults {
		amount := rule.fen.Yuan()
		if rule.most {
			amount = "the highest fare of the station"
		}
		s.add("  no %s: %s, for %s", map[Kind]string{NoExit: "exit", NoEntry: "entry"}[rule.missing], amount, nameSet(rule.groups))
	}
}

func nameSet(s set) string {
	if s[everything] {
		return "all"
	}
	return strings.Join(sortedKeys(s), " ")
}

func (c capRule) text() string {
	var steps []string
	for _, step := range c.steps {
		if step.percent == 0 {
			steps = append(steps, "at most "+step.overFen.Yuan())
		} else {
			steps = append(steps, fmt.Sprintf("over %s pays %d %%", step.overFen.Yuan(), step.percent))
		}
	}
	return fmt.Sprintf("a %s, %s, for %s, identity %s", c.period(), strings.Join(steps, ", "), nameSet(c.groups), nameSet(c.identities))
}

func (b *ownBasis) summarize(s *Summary) {
	counts := map[string]int{}
	for _, l := range b.lines {
		counts[fmt.Sprintf("%s lines of group %s", l.method, l.group)]++
	}
	for _, what := range sortedKeys(counts) {
		s.add("  %d %s", counts[what], what)
	}
	if len(b.matrix.fares) > 0 {
		s.add("  matrix: %d stations", len(b.matrix.columns))
	}
	if len(b.stations) > 0 {
		s.add("  zones: %d stations, %d pairs of zones", len(b.stations), len(b.zones))
	}
	if len(b.distances.bands) > 0 {
		s.add("  distance: %d stations, %d bands", len(b.distances.index), len(b.distances.bands))
	}
}

func (rules ownTransfers) summarize(s *Summary) {
	for _, rule := range rules {
		times := "any number of times"
		if rule.times > 0 {
			times = fmt.Sprintf("%d in one chain", rule.times)
		}
		s.add("  transfer %s: from %s to %s within %.0f min of %s, %s, %s", rule.name, rule.fromCells, rule.toCells, rule.within.Minutes(), rule.counted, rule.pays, times)
	}
}

func (b *feedBasis) summarize(s *Summary) {
	s.add("  GTFS feed %q: %d stops, %d routes, %d networks, %d products, %d leg rules", b.feed.Version, len(b.feed.Stops), len(b.feed.Routes),
		len(b.feed.Networks), len(b.feed.Products), len(b.feed.Legs))
	for _, quad := range b.identities() {
		s.add("  identity %s is rider category %s", quad, b.categories[quad])
	}
}

func (f *feedTransfers) summarize(s *Summary) {
	if len(f.rules) > 0 {
		s.add("  %d transfer rules", len(f.rules))
	}
}
