package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/shuama/shuama/conformance"
)

// tally counts cases by how they ended.
type tally map[conformance.Outcome]int

func (t tally) right() int { return t[conformance.Right] }

// asked leaves out cases that need a clock that can be set.
func (t tally) asked() int {
	sum := 0
	for outcome, count := range t {
		if outcome != conformance.NotAsked {
			sum += count
		}
	}
	return sum
}

// conformanceReport is the score of one verifier.
type conformanceReport struct {
	against string
	live    bool
	results []conformance.Result
	groups  map[string]tally
	all     tally
}

func scoreOf(against string, live bool, results []conformance.Result) conformanceReport {
	r := conformanceReport{against: against, live: live, results: results, groups: map[string]tally{}, all: tally{}}
	for _, result := range results {
		group := r.groups[result.Vector.Group]
		if group == nil {
			group = tally{}
			r.groups[result.Vector.Group] = group
		}
		group[result.Outcome]++
		r.all[result.Outcome]++
	}
	return r
}

// columns are the outcomes of the table, from good to bad.
func columns() []struct {
	outcome conformance.Outcome
	title   string
} {
	return []struct {
		outcome conformance.Outcome
		title   string
	}{{conformance.Right, "right"}, {conformance.OtherReason, "other reason"}, {conformance.TurnedAway, "turned away"},
		{conformance.NoAnswer, "no answer"}, {conformance.LetThrough, "LET THROUGH"}, {conformance.NotAsked, "not asked"}}
}

func titleOf(outcome conformance.Outcome) string {
	for _, column := range columns() {
		if column.outcome == outcome {
			return column.title
		}
	}
	return string(outcome)
}

// writeText is for people: the table by group, each miss with what it means, and the score last.
func (r conformanceReport) writeText(out io.Writer, verbose bool) error {
	p := &printer{}
	clock := "each at its own clock"
	if r.live {
		clock = "signed for the present moment"
	}
	p.printf("Conformance of %s: %d cases, %s\n\n", r.against, len(r.results), clock)
	r.table(p)
	for _, result := range r.results {
		p.result(result, verbose)
	}
	p.notAsked(r.results)
	p.printf("\n%s\n", r.score())
	_, err := io.WriteString(out, p.text.String())
	return err
}

func (r conformanceReport) table(p *printer) {
	p.printf("  %-12s", "")
	for _, column := range columns() {
		p.printf(" %12s", column.title)
	}
	p.printf("\n")
	names, about := conformance.GroupNames()
	for _, name := range names {
		if group := r.groups[name]; group != nil {
			p.tally(name, group, about[name])
		}
	}
	p.tally("all", r.all, "")
}

func (p *printer) tally(name string, t tally, about string) {
	var line strings.Builder
	fmt.Fprintf(&line, "  %-12s", name)
	for _, column := range columns() {
		count := "-"
		if t[column.outcome] > 0 {
			count = fmt.Sprint(t[column.outcome])
		}
		fmt.Fprintf(&line, " %12s", count)
	}
	if about != "" {
		line.WriteString("   " + about)
	}
	p.printf("%s\n", line.String())
}

func (p *printer) result(r conformance.Result, verbose bool) {
	name := r.Vector.Group + "/" + r.Vector.Name
	switch {
	case r.Outcome == conformance.Right && verbose:
		p.printf("\nok  %s: %s (%d)\n    %s\n", name, r.Got.Verdict, r.Got.Verdict, r.Vector.About)
	case r.Outcome == conformance.Right, r.Outcome == conformance.NotAsked:
	default:
		p.printf("\nNO  %s, step %d: %s\n", name, r.Step, titleOf(r.Outcome))
		p.printf("    %s (%s)\n", r.Vector.About, r.Vector.Clause)
		p.printf("    want %s (%d), got %s\n", r.Want, r.Want, saidBy(r))
		p.printf("    allows: %s\n", allowsBy(r))
	}
}

// notAsked names what the score leaves out.
func (p *printer) notAsked(results []conformance.Result) {
	var names []string
	for _, r := range results {
		if r.Outcome == conformance.NotAsked {
			names = append(names, r.Vector.Group+"/"+r.Vector.Name)
		}
	}
	if len(names) > 0 {
		p.printf("\n--  not asked, they need a clock that can be set:\n    %s\n", strings.Join(names, ", "))
	}
}

func saidBy(r conformance.Result) string {
	if r.Err != nil {
		return r.Err.Error()
	}
	return fmt.Sprintf("%s (%d)", r.Got.Verdict, r.Got.Verdict)
}

// allowsBy is what the vector says of a code that is let through; a refusal under another name lets nobody in.
func allowsBy(r conformance.Result) string {
	switch r.Outcome {
	case conformance.OtherReason:
		return "nobody gets through, but the rider gets the wrong advice"
	case conformance.TurnedAway:
		return "nothing, but honest riders are turned away"
	case conformance.NoAnswer:
		return "whoever shows such a code stops the gate"
	}
	return r.Vector.Allows
}

func (r conformanceReport) score() string {
	right, asked := r.all.right(), r.all.asked()
	text := fmt.Sprintf("Score: %d of %d", right, asked)
	if asked > 0 {
		text += fmt.Sprintf(" (%.1f %%)", float64(100*right)/float64(asked))
	}
	if through := r.all[conformance.LetThrough]; through > 0 {
		text += fmt.Sprintf("; %d attacks were let through", through)
	}
	if skipped := r.all[conformance.NotAsked]; skipped > 0 {
		text += fmt.Sprintf("; %d were not asked", skipped)
	}
	return text
}

// reportJSON is the answer of conformance --json.
type reportJSON struct {
	Against  string      `json:"against"`
	Live     bool        `json:"live"`
	Cases    int         `json:"cases"`
	Asked    int         `json:"asked"`
	Right    int         `json:"right"`
	Outcomes tally       `json:"outcomes"`
	Groups   []groupJSON `json:"groups"`
	Listed   []caseJSON  `json:"listed"` // all that are not right; with --verbose all
}

type groupJSON struct {
	Name     string `json:"name"`
	About    string `json:"about"`
	Outcomes tally  `json:"outcomes"`
}

type caseJSON struct {
	Case    string `json:"case"`
	Clause  string `json:"clause"`
	About   string `json:"about"`
	Outcome string `json:"outcome"`
	Step    int    `json:"step,omitempty"`
	Want    int    `json:"want,omitempty"`
	Got     int    `json:"got,omitempty"`
	Error   string `json:"error,omitempty"`
	Allows  string `json:"allows,omitempty"`
}

func (r conformanceReport) writeJSON(out io.Writer, verbose bool) error {
	answer := reportJSON{Against: r.against, Live: r.live, Cases: len(r.results), Asked: r.all.asked(), Right: r.all.right(), Outcomes: r.all, Listed: []caseJSON{}}
	names, about := conformance.GroupNames()
	for _, name := range names {
		if group := r.groups[name]; group != nil {
			answer.Groups = append(answer.Groups, groupJSON{name, about[name], group})
		}
	}
	for _, result := range r.results {
		if verbose || result.Outcome != conformance.Right {
			answer.Listed = append(answer.Listed, caseOf(result))
		}
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(answer)
}

func caseOf(r conformance.Result) caseJSON {
	c := caseJSON{Case: r.Vector.Group + "/" + r.Vector.Name, Clause: r.Vector.Clause, About: r.Vector.About, Outcome: string(r.Outcome),
		Step: r.Step, Want: int(r.Want), Got: int(r.Got.Verdict)}
	if r.Err != nil {
		c.Error = r.Err.Error()
	}
	if r.Outcome != conformance.Right && r.Outcome != conformance.NotAsked {
		c.Allows = allowsBy(r)
	}
	return c
}
