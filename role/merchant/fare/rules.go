package fare

import (
	"fmt"
	"maps"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

// timeRule is a row of times.csv.
type timeRule struct {
	name   string
	groups set
	when   when
	pays   price
	source Source
}

// readTimes reads name,group,days,from,until,pays. Of several rows that hold, the first counts. It is the
// moment of the first tap that is looked at.
func (p *parser) readTimes(groups set) {
	columns := form.Columns{Required: append([]string{"name", "group", "pays"}, whenColumns...)}
	p.each("times.csv", maxRules, columns, func(row form.Row) {
		p.t.times = append(p.t.times, timeRule{name: p.text(row, "name"), groups: p.set(row, "group", groups), when: p.when(row),
			pays: p.price(row, "pays", paysPercent), source: sourceOf(row)})
	})
}

// identityRule is a row of identities.csv.
type identityRule struct {
	quad   ridecode.Quad
	name   string
	groups set
	when   when
	pays   price
	source Source
}

// readIdentities reads identity,name,group,days,from,until,pays. Of several rows that hold, the first
// counts; one identity has one name.
func (p *parser) readIdentities(groups set) map[ridecode.Quad]string {
	names := map[ridecode.Quad]string{}
	columns := form.Columns{Required: append([]string{"identity", "name", "group", "pays"}, whenColumns...)}
	p.each("identities.csv", maxRules, columns, func(row form.Row) {
		rule := identityRule{quad: p.quad(row, "identity"), name: p.word(row, "name"), groups: p.set(row, "group", groups), when: p.when(row),
			pays: p.price(row, "pays", paysPercent, paysAtMost), source: sourceOf(row)}
		if had, known := names[rule.quad]; known && had != rule.name {
			p.fail(row.Fault("name", fmt.Sprintf("identity %s is called %q above", rule.quad, had)))
		}
		names[rule.quad] = rule.name
		p.t.identities = append(p.t.identities, rule)
	})
	return names
}

// capRule is the rows of caps.csv with one name: what a rider's day or month costs at most, and how the
// fares fall as the sum grows.
type capRule struct {
	name       string
	monthly    bool
	groups     set
	identities set
	steps      []capStep // by overFen, ascending; a percentage of 0 is the cap, and stands last
}

// capStep: from overFen on a fare pays so much.
type capStep struct {
	overFen money.Fen
	percent int64
	source  Source
}

const maxCaps = 32

// maxCapFen bounds the sum that a step asks for: ten thousand yuan.
const maxCapFen money.Fen = 1_000_000

// readCaps reads cap,period,group,identity,over,pays.
func (p *parser) readCaps() {
	if p.err != nil {
		return
	}
	identities := p.identityNames()
	columns := form.Columns{Required: []string{"cap", "period", "group", "identity", "over", "pays"}}
	p.each("caps.csv", maxRules, columns, func(row form.Row) {
		rule := capRule{name: p.word(row, "cap"), monthly: row.Cell("period") == "month", groups: p.set(row, "group", p.t.basis.groups()),
			identities: p.set(row, "identity", identities)}
		if period := row.Cell("period"); period != "day" && period != "month" {
			p.fail(row.Fault("period", fmt.Sprintf("%q is neither day nor month", period)))
		}
		step := capStep{overFen: p.sum(row, "over"), percent: p.price(row, "pays", paysPercent).percent, source: sourceOf(row)}
		if step.percent > 100 {
			p.fail(row.Fault("pays", "more than 100%: a cap takes away"))
		}
		p.addStep(row, rule, step)
	})
	if len(p.t.caps) > maxCaps {
		p.failFile("caps.csv", "more than 32 caps")
	}
}

func (p *parser) sum(row form.Row, column string) money.Fen {
	amount, err := money.ParseYuan(row.Cell(column))
	if err != nil || amount > maxCapFen {
		p.fail(row.Fault(column, fmt.Sprintf("%q is no amount of yuan up to 10000, like 100.00", row.Cell(column))))
	}
	return amount
}

// addStep joins rows of one cap, which must agree in all but the step.
func (p *parser) addStep(row form.Row, rule capRule, step capStep) {
	for i := range p.t.caps {
		c := &p.t.caps[i]
		if c.name != rule.name {
			continue
		}
		last := c.steps[len(c.steps)-1]
		switch {
		case c.monthly != rule.monthly || !maps.Equal(c.groups, rule.groups) || !maps.Equal(c.identities, rule.identities):
			p.fail(row.Fault("cap", fmt.Sprintf("%q differs above in period, group or identity: rows of one cap are its steps", rule.name)))
		case step.overFen <= last.overFen:
			p.fail(row.Fault("over", "not more than in the row above: steps of one cap go up"))
		case last.percent == 0:
			p.fail(row.Fault("over", "stands behind 0%, which is the end of a cap"))
		}
		c.steps = append(c.steps, step)
		return
	}
	rule.steps = []capStep{step}
	p.t.caps = append(p.t.caps, rule)
}

// identityNames are the names that caps may ask for.
func (p *parser) identityNames() set {
	names := set{"none": true}
	switch b := p.t.basis.(type) {
	case *ownBasis:
		for _, name := range b.names {
			names[name] = true
		}
	case *feedBasis:
		for _, category := range b.categories {
			names[string(category)] = true
		}
	}
	return names
}

// is tells whether a trip counts under the cap.
func (c capRule) is(group, identity string) bool {
	if identity == "" {
		identity = "none"
	}
	return c.groups.has(group) && c.identities.has(identity)
}

// at is the step that holds at a sum.
func (c capRule) at(sum money.Fen) (held capStep, holds bool) {
	for _, step := range c.steps {
		if step.percent > 0 && step.overFen <= sum {
			held, holds = step, true
		}
	}
	return held, holds
}

// end is the cap itself.
func (c capRule) end() (capStep, bool) {
	last := c.steps[len(c.steps)-1]
	return last, last.percent == 0
}

// defaultRule is a row of defaults.csv: what a trip costs whose entry or exit is missing.
type defaultRule struct {
	groups  set
	missing Kind
	most    bool // the highest fare from or to that station
	fen     money.Fen
	source  Source
}

// readDefaults reads group,missing,fare. Of several rows that hold, the first counts.
func (p *parser) readDefaults() {
	if p.err != nil {
		return
	}
	p.each("defaults.csv", maxRules, form.Columns{Required: []string{"group", "missing", "fare"}}, func(row form.Row) {
		rule := defaultRule{groups: p.set(row, "group", p.t.basis.groups()), most: row.Cell("fare") == "most", source: sourceOf(row)}
		switch row.Cell("missing") {
		case "exit":
			rule.missing = NoExit
		case "entry":
			rule.missing = NoEntry
		default:
			p.fail(row.Fault("missing", fmt.Sprintf("%q is neither entry nor exit", row.Cell("missing"))))
		}
		if !rule.most {
			rule.fen = p.amount(row, "fare")
		}
		p.t.defaults = append(p.t.defaults, rule)
	})
}
