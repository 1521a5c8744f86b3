package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/shuama/shuama/money"
)

// print tells the result in words.
func (r *simulated) print(out io.Writer) {
	if r.Interrupted {
		fmt.Fprintln(out, "\nInterrupted: this is what there was until then.")
	}
	fmt.Fprintf(out, "\n%d riders, %d gates, %.1f days in %.1f s: %d codes shown, %.0f a second; %d gates opened\n",
		r.Riders, r.Gates, r.Days, r.LastedSec, r.Presented, r.RidesASecond, r.Accepted)
	f := r.Faults
	fmt.Fprintf(out, "%d power cuts while a record was written, %d outages of a network, %d records uploaded twice, %d requests or answers lost,\n%d codes given on, %d rides on a stolen key\n",
		f.PowerCuts, f.Outages, f.UploadedTwice, f.LostOnLine, f.Shared, f.Stolen)
	fmt.Fprintln(out, "\nTurned away at gates:")
	for _, cause := range slices.Sorted(maps.Keys(r.Refused)) {
		fmt.Fprintf(out, "  %8d  %s\n", r.Refused[cause], cause)
	}
	fmt.Fprintf(out, "\nLost, of 10 000 rides: %.1f\n", r.LossPer10000)
	for _, l := range r.Losses {
		fmt.Fprintf(out, "  %8.1f  %s\n", l.Per10000, l.Cause)
	}
	fmt.Fprintln(out, "\nMoney, in yuan:")
	for _, s := range r.Money {
		fmt.Fprintf(out, "  %14s  %s\n", s.Yuan(), s.Name)
	}
	fmt.Fprintln(out, "\nCounted in two ways:")
	for _, c := range r.Checks {
		fmt.Fprintf(out, "  %s %14s  %s\n", c.Mark(), yuanOf(c.OneFen), c.Name)
		if !c.holds() {
			fmt.Fprintf(out, "     %14s  is the other side: %s apart\n", yuanOf(c.OtherFen), yuanOf(c.OneFen-c.OtherFen))
		}
	}
	for _, fault := range r.AuditFaults {
		fmt.Fprintln(out, "  NO  audit:", fault)
	}
	if r.Steadiness != "" {
		fmt.Fprintln(out, "\nA minute after the other:", r.Steadiness)
	}
	fmt.Fprintln(out, "\n"+r.Conclusion())
}

// Conclusion is the result in one sentence.
func (r *simulated) Conclusion() string {
	if r.Explained {
		return "Every fen is explained."
	}
	return "NOT every fen is explained: look at the lines marked NO."
}

// Yuan is the amount as people write it.
func (s sum) Yuan() string { return yuanOf(s.AmountFen) }

// One and Other are the two sides as people write them.
func (c simCheck) One() string   { return yuanOf(c.OneFen) }
func (c simCheck) Other() string { return yuanOf(c.OtherFen) }

// Mark is whether they are the same.
func (c simCheck) Mark() string {
	if c.holds() {
		return "ok"
	}
	return "NO"
}

func yuanOf(amount money.Fen) string {
	if amount < 0 {
		return "-" + (-amount).Yuan()
	}
	return amount.Yuan()
}

//go:embed simulate_report.html
var simulatePage string

// page is the report as one file that needs no other.
func (r *simulated) page() ([]byte, error) {
	parsed, err := template.New("report").Parse(simulatePage)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, struct {
		*simulated
		Turned        []turned
		Rates, Memory curve
	}{r, r.turnedAway(), r.curveOf(func(m minute) float64 { return float64(m.Rides) }), r.curveOf(func(m minute) float64 { return float64(m.HeapBytes) / 1e6 })})
	return out.Bytes(), err
}

// turned is a bar of the page.
type turned struct {
	Cause string
	Count int
	Width float64 // 0 to 100
}

func (r *simulated) turnedAway() (bars []turned) {
	most := 1
	for _, count := range r.Refused {
		most = max(most, count)
	}
	for _, cause := range slices.Sorted(maps.Keys(r.Refused)) {
		bars = append(bars, turned{cause, r.Refused[cause], 100 * float64(r.Refused[cause]) / float64(most)})
	}
	return bars
}

// curve is a line in a picture of 600 by 120.
type curve struct {
	Points string
	Most   float64
}

func (r *simulated) curveOf(value func(minute) float64) (c curve) {
	for _, m := range r.Minutes {
		c.Most = max(c.Most, value(m))
	}
	if len(r.Minutes) < 2 || c.Most == 0 {
		return c
	}
	var points strings.Builder
	for i, m := range r.Minutes {
		fmt.Fprintf(&points, "%.1f,%.1f ", 600*float64(i)/float64(len(r.Minutes)-1), 120-110*value(m)/c.Most)
	}
	c.Points = points.String()
	return c
}
