package merchant

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/record"
)

const goodFares = `{"version": "2026-07", "buses": [{"line": "19", "fare": "2"}, {"line": "19 路", "fare": "655.35"}],
 "metro": {"stations": ["松江大学城", "B"], "fares": [["2.00", "3.5"], ["0.01", null]]}}`

func metroTrip(from, to string) Trip {
	return Trip{Start: Tap{Kind: record.Entry, Station: from}, End: Tap{Kind: record.Exit, Station: to}}
}

func busTrip(line string) Trip { return Trip{Start: Tap{Kind: record.Single, Line: line}} }

func TestPrice(t *testing.T) {
	fares, err := ParseFares([]byte(goodFares))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		trip Trip
		want string // amount and reason, or the error
	}{
		{busTrip("19"), `2.00 bus line "19", flat: 2.00 (table "2026-07")`},
		{busTrip("19 路"), `655.35 bus line "19 路", flat: 655.35 (table "2026-07")`},
		{busTrip("1"), `fare: table "2026-07" has no bus line "1"`},
		{busTrip(""), `fare: table "2026-07" has no bus line ""`},
		{metroTrip("松江大学城", "B"), `3.50 metro from "松江大学城" to "B": 3.50 (table "2026-07")`},
		{metroTrip("B", "松江大学城"), `0.01 metro from "B" to "松江大学城": 0.01 (table "2026-07")`},
		{metroTrip("松江大学城", "松江大学城"), `2.00 metro from "松江大学城" to "松江大学城": 2.00 (table "2026-07")`},
		{metroTrip("B", "B"), `fare: table "2026-07" has no metro fare from "B" to "B"`},
		{metroTrip("b", "B"), `fare: table "2026-07" has no metro station "b"`},
		{metroTrip("B", ""), `fare: table "2026-07" has no metro station ""`},
	} {
		fare, err := fares.Price(c.trip)
		got := fare.AmountFen.Yuan() + " " + fare.Reason
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v: %s, want %s", c.trip, got, c.want)
		}
	}
}

func TestParseFaresRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, where string }{
		"nothing":            {``, "table: missing, or not JSON"},
		"a list":             {`[]`, "table: not a JSON object"},
		"two tables":         {goodFares + goodFares, "table: missing, or not JSON"},
		"unknown name":       {`{"version":"1","bus":[]}`, `table: "bus" is none of its names`},
		"other case":         {`{"Version":"1","buses":[]}`, `table: "Version" is none of its names`},
		"name twice":         {`{"version":"1","version":"1","buses":[]}`, `table: "version" stands twice`},
		"null twice":         {`{"version":"1","buses":null,"buses":[]}`, `table: "buses" stands twice`},
		"no version":         {`{"buses":[]}`, "version: missing"},
		"empty version":      {`{"version":"","buses":[]}`, "version: missing, or not a text of 1 to 256 bytes"},
		"nothing priced":     {`{"version":"1"}`, "neither buses nor metro"},
		"buses null":         {`{"version":"1","buses":null}`, "buses: not a JSON list"},
		"entry no object":    {`{"version":"1","buses":["19"]}`, "buses entry 0: not a JSON object"},
		"entry without line": {`{"version":"1","buses":[{"fare":"1"}]}`, "buses entry 0, line: missing"},
		"entry without fare": {`{"version":"1","buses":[{"line":"19"}]}`, `buses entry 0, fare of line "19": missing`},
		"fare a number":      {`{"version":"1","buses":[{"line":"19","fare":2}]}`, `buses entry 0, fare of line "19": missing, or not an amount as text`},
		"fare null":          {`{"version":"1","buses":[{"line":"19","fare":null}]}`, `fare of line "19": missing, or not an amount as text`},
		"fare too fine":      {`{"version":"1","buses":[{"line":"19","fare":"2.005"}]}`, `fare of line "19": money: an amount in yuan has at most two decimals`},
		"fare negative":      {`{"version":"1","buses":[{"line":"19","fare":"-2"}]}`, `fare of line "19": money: not an amount`},
		"fare nought":        {`{"version":"1","buses":[{"line":"19","fare":"0.00"}]}`, `fare of line "19": not from 0.01 to 655.35`},
		"fare too much":      {`{"version":"1","buses":[{"line":"19","fare":"655.36"}]}`, `fare of line "19": not from 0.01 to 655.35`},
		"line twice":         {`{"version":"1","buses":[{"line":"19","fare":"2"},{"line":"19","fare":"3"}]}`, `buses entry 1: line "19" stands twice`},
		"no stations":        {`{"version":"1","metro":{"fares":[]}}`, "metro stations: missing or empty"},
		"station twice":      {`{"version":"1","metro":{"stations":["A","A"],"fares":[]}}`, `metro station 1: "A" stands twice`},
		"station a number":   {`{"version":"1","metro":{"stations":[1],"fares":[]}}`, "metro station 0: missing, or not a text"},
		"no rows":            {`{"version":"1","metro":{"stations":["A"]}}`, "metro fares: 0 rows for 1 stations"},
		"too many rows":      {`{"version":"1","metro":{"stations":["A"],"fares":[["1"],["1"]]}}`, "metro fares: 2 rows for 1 stations"},
		"short row":          {`{"version":"1","metro":{"stations":["A","B"],"fares":[["1","1"],["1"]]}}`, `metro fares from "B": 1 columns for 2 stations`},
		"wrong cell":         {`{"version":"1","metro":{"stations":["A","B"],"fares":[["1","1"],["x","1"]]}}`, `metro fare from "B" to "A": money: not an amount`},
		"row null":           {`{"version":"1","metro":{"stations":["A"],"fares":[null]}}`, `metro fares from "A": not a JSON list`},
		"too long":           {strings.Repeat(" ", maxFaresSize+1), "table: longer than 16 MiB"},
	} {
		fares, err := ParseFares([]byte(c.text))
		var fault *form.Error
		if fares != nil || !errors.As(err, &fault) || !strings.Contains(err.Error(), c.where) {
			t.Errorf("%s: %v, want %s", name, err, c.where)
		}
	}
}

func FuzzParseFares(f *testing.F) {
	f.Add([]byte(goodFares))
	f.Add([]byte(`{"version":"1","buses":[]}`))
	f.Add([]byte("{\"version\":\"\\ud800\xff\",\"metro\":{\"stations\":[\"\\u0000\"],\"fares\":[[null]]}}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fares, err := ParseFares(b)
		if err != nil {
			return
		}
		text := fares.AppendJSON(nil)
		again, err := ParseFares(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !bytes.Equal(again.AppendJSON(nil), text) {
			t.Fatalf("%s is read as %s", text, again.AppendJSON(nil))
		}
		for _, line := range fares.lines {
			if fare, err := again.Price(busTrip(line.name)); err != nil || fare.AmountFen != line.fareFen || strings.ContainsAny(fare.Reason, "\r\n") {
				t.Fatalf("line %q: %+v, %v", line.name, fare, err)
			}
		}
	})
}
