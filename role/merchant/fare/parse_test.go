package fare_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/role/merchant/fare"
)

const (
	times      = "name,group,days,from,until,pays\n"
	transfers  = "name,from,to,same_line,within_minutes,counted_from,times,pays\n"
	identities = "identity,name,group,days,from,until,pays\n"
	caps       = "cap,period,group,identity,over,pays\n"
)

// refused is one file of the small city written anew, and what is said of it.
var refused = map[string]struct{ file, text, want string }{
	"no lines":            {"lines.csv", "line,group,fare\n", "lines.csv: names no line"},
	"line twice":          {"lines.csv", "line,group,fare\n1,bus,2.00\n1,bus,3.00\n", `lines.csv, line 3, column "line": "1" stands twice`},
	"no amount":           {"lines.csv", "line,group,fare\n1,bus,two\n", `"two" is no amount of yuan, like 2.00, and none of zone, matrix, distance`},
	"too dear":            {"lines.csv", "line,group,fare\n1,bus,655.36\n", "is more than 655.35"},
	"a third decimal":     {"lines.csv", "line,group,fare\n1,bus,2.005\n", "is no amount of yuan"},
	"group of two words":  {"lines.csv", "line,group,fare\n1,bus lines,2.00\n", `"bus lines" is no name: one word`},
	"group *":             {"lines.csv", "line,group,fare\n1,*,2.00\n", `"*" is no name`},
	"a strange file":      {"cap.csv", "", "cap.csv: no file of this kind of fare table"},
	"other case":          {"Caps.CSV", "", "Caps.CSV: no file of this kind"},
	"riders without feed": {"riders.csv", "identity,rider_category\n", "riders.csv: no file of this kind"},
	"a feed beside":       {"gtfs/stops.txt", "", "lines.csv: stands beside a GTFS feed"},
	"matrix row twice":    {"matrix.csv", "from,A\nA,1.00\nA,1.00\n", `"A" stands twice`},
	"matrix no column":    {"matrix.csv", "from,A\nB,1.00\n", `matrix.csv, line 2, column "from": "B" has a row and no column`},
	"matrix cell":         {"matrix.csv", "from,A\nA,x\n", `matrix.csv, line 2, column "A": "x" is no amount`},
	"matrix name":         {"matrix.csv", "from, A\nA,1.00\n", `" A" is none`},
	"zone unknown":        {"zones.csv", "from,to,fare\n1,9,2.00\n", `no station of stations.csv lies in zone "9"`},
	"zones twice":         {"zones.csv", "from,to,fare\n1,1,2.00\n1,1,2.00\n", `"1" to "1" stands twice`},
	"link twice":          {"links.csv", "from,to,metres\nA,B,1\nB,A,1\n", "stands above already"},
	"link to itself":      {"links.csv", "from,to,metres\nA,A,1\n", "the same station"},
	"link of nothing":     {"links.csv", "from,to,metres\nA,B,0\n", `"0" is no whole number from 1`},
	"bands from 1":        {"distance.csv", "over_metres,fare\n1,2.00\n", "the first row is for distances over 0"},
	"bands fall":          {"distance.csv", "over_metres,fare\n0,2.00\n0,3.00\n", "not more than in the row above"},
	"half a step":         {"distance.csv", "over_metres,fare,each_metres,each_fare\n0,2.00,5,\n", "stand together"},
	"no bands":            {"distance.csv", "over_metres,fare\n", "has no row"},
	"time group":          {"times.csv", times + "x,boat,*,00:00,24:00,50%\n", `"boat" is not known here: * or bus, metro, rail, shuttle, tram`},
	"time days":           {"times.csv", times + "x,*,montag,00:00,24:00,50%\n", `"montag" is not known here`},
	"time * and more":     {"times.csv", times + "x,* bus,*,00:00,24:00,50%\n", "* stands for everything, and alone"},
	"time nothing":        {"times.csv", times + "x,,*,00:00,24:00,50%\n", "empty: write * for everything"},
	"time of day":         {"times.csv", times + "x,*,*,7:00,24:00,50%\n", `"7:00" is no time of day, like 07:00`},
	"time of no length":   {"times.csv", times + "x,*,*,07:00,07:00,50%\n", "as early as from"},
	"time amount":         {"times.csv", times + "x,*,*,07:00,08:00,1.00\n", `"1.00" is none of: 50% (of the fare)`},
	"time 1001%":          {"times.csv", times + "x,*,*,07:00,08:00,1001%\n", `"1001%" is none of`},
	"time 05%":            {"times.csv", times + "x,*,*,07:00,08:00,05%\n", `"05%" is none of`},
	"identity":            {"identities.csv", identities + "1,student,*,*,00:00,24:00,50%\n", `"1" is no identity: 8 digits of hex`},
	"identity of nobody":  {"identities.csv", identities + "00000000,student,*,*,00:00,24:00,50%\n", "is a rider without one"},
	"identity, 2 names":   {"identities.csv", identities + "00000001,student,*,*,00:00,24:00,50%\n00000001,pupil,*,*,00:00,24:00,50%\n", `identity 00000001 is called "student" above`},
	"transfer from":       {"transfers.csv", transfers + "x,boat,bus,no,30,exit,,0%\n", `"boat" is not known here`},
	"transfer same":       {"transfers.csv", transfers + "x,bus,bus,,30,exit,,0%\n", `"" is neither yes nor no`},
	"transfer counted":    {"transfers.csv", transfers + "x,bus,bus,no,30,end,,0%\n", `"end" is none of entry, exit`},
	"transfer times":      {"transfers.csv", transfers + "x,bus,bus,no,30,exit,0,0%\n", `"0" is no whole number from 1`},
	"transfer dearer":     {"transfers.csv", transfers + "x,bus,bus,no,30,exit,,101%\n", "a transfer takes away"},
	"cap period":          {"caps.csv", caps + "x,week,*,*,20.00,0%\n", `"week" is neither day nor month`},
	"cap identity":        {"caps.csv", caps + "x,day,*,pupil,20.00,0%\n", `"pupil" is not known here: * or none, senior, student`},
	"cap rises":           {"caps.csv", caps + "x,day,*,*,20.00,110%\n", "a cap takes away"},
	"cap steps fall":      {"caps.csv", caps + "x,day,*,*,20.00,80%\nx,day,*,*,20.00,50%\n", "steps of one cap go up"},
	"cap beyond its end":  {"caps.csv", caps + "x,day,*,*,20.00,0%\nx,day,*,*,30.00,50%\n", "stands behind 0%"},
	"cap of two periods":  {"caps.csv", caps + "x,day,*,*,20.00,80%\nx,month,*,*,30.00,50%\n", `"x" differs above in period`},
	"default":             {"defaults.csv", "group,missing,fare\nmetro,ticket,8.00\n", `"ticket" is neither entry nor exit`},
	"default fare":        {"defaults.csv", "group,missing,fare\nmetro,exit,max\n", `"max" is no amount`},
	"holiday":             {"holidays.csv", "date,counts_as\n2026-02-30,weekend\n", `"2026-02-30" is not a date like 2026-07-01`},
	"holiday kind":        {"holidays.csv", "date,counts_as\n2026-02-01,feast\n", `"feast" is neither weekday nor weekend`},
	"holiday twice":       {"holidays.csv", "date,counts_as\n2026-02-01,weekend\n2026-02-01,weekday\n", "stands twice"},
	"setting":             {"settings.csv", "name,value\nround,0.10\n", `"round" is no setting`},
	"setting twice":       {"settings.csv", "name,value\nrounding,up\nrounding,down\n", `"rounding" stands twice`},
	"round to nothing":    {"settings.csv", "name,value\nround_to,0.00\n", "fares are rounded to at least 0.01"},
	"rounding":            {"settings.csv", "name,value\nrounding,half\n", `"half" is none of down, up, half_up`},
	"media without feed":  {"settings.csv", "name,value\nmedia,app\n", `"media" is no setting`},
	"grace fare alone":    {"settings.csv", "name,value\ngrace_fare,1.00\n", "has a grace_fare and no grace_minutes"},
	"date":                {"tables.csv", "table,valid_from,valid_until\nx,2026-1-1,\n", `"2026-1-1" is not a date`},
	"no folder":           {"tables.csv", "table,valid_from,valid_until\nx,2026-01-01,\n", `there is no folder "x" here`},
	"a way out":           {"tables.csv", "table,valid_from,valid_until\n..,2026-01-01,\n", `".." is no name of a folder here`},
	"no table":            {"tables.csv", "table,valid_from,valid_until\n", "names no table"},
}

func TestParseRefuses(t *testing.T) {
	for name, c := range refused {
		files := shanghai()
		files[c.file] = []byte(c.text)
		tariff, err := fare.Parse(files)
		var fault *form.CellError
		if tariff != nil || !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestParseRefusesTables(t *testing.T) {
	line := []byte("line,group,fare\n19,bus,2.00\n")
	for name, c := range map[string]struct {
		files fare.Files
		want  string
	}{
		"nothing":       {fare.Files{}, "lines.csv: missing: a fare table names its lines there"},
		"overlap":       {fare.Files{"tables.csv": []byte("table,valid_from,valid_until\na,2026-01-01,2026-07-01\nb,2026-07-01,\n"), "a/lines.csv": line, "b/lines.csv": line}, "on that day there would be two fares"},
		"backwards":     {fare.Files{"tables.csv": []byte("table,valid_from,valid_until\na,2026-07-01,2026-01-01\n"), "a/lines.csv": line}, "before valid_from"},
		"twice":         {fare.Files{"tables.csv": []byte("table,valid_from,valid_until\na,2026-01-01,2026-01-02\na,2026-07-01,\n"), "a/lines.csv": line}, "stands twice"},
		"not named":     {fare.Files{"tables.csv": []byte("table,valid_from,valid_until\na,2026-01-01,\n"), "a/lines.csv": line, "b/lines.csv": line}, "b/lines.csv: is part of no table"},
		"beside":        {fare.Files{"tables.csv": []byte("table,valid_from,valid_until\na,2026-01-01,\n"), "a/lines.csv": line, "lines.csv": line}, "lines.csv: is part of no table"},
		"two days":      {fare.Files{"tables.csv": []byte("table,valid_from,valid_until\na,2026-01-01,2026-01-02\nb,2026-07-01,\n"), "a/lines.csv": line, "b/lines.csv": line, "b/settings.csv": []byte("name,value\nday_starts,03:00\n")}, "b/settings.csv: day_starts differs"},
		"matrix needed": {fare.Files{"lines.csv": []byte("line,group,fare\nM,metro,matrix\n")}, `line "M" is priced by matrix, and there is no matrix.csv`},
		"a bad feed":    {fare.Files{"gtfs.zip": []byte("PK")}, "gtfs.zip"},
		"feed twice":    {fare.Files{"gtfs.zip": []byte("PK"), "gtfs/stops.txt": nil}, "keep one of the two"},
	} {
		tariff, err := fare.Parse(c.files)
		if tariff != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// FuzzParse writes one file of a table anew; what is taken prices trips, and its lines add up.
func FuzzParse(f *testing.F) {
	names := slices.Sorted(maps.Keys(shanghai()))
	for i, name := range names {
		f.Add(uint8(i), shanghai()[name])
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		files := shanghai()
		files[names[int(which)%len(names)]] = content
		tariff, err := fare.Parse(files)
		if err != nil {
			var fault *form.CellError
			if !errors.As(err, &fault) || fault.File == "" {
				t.Fatal(err)
			}
			return
		}
		start := time.Unix(1782864000, 0).UTC()
		trips := []fare.Trip{{Line: "19", Start: start}, {Kind: fare.Through, Line: "metro2", EndLine: "metro9", From: "人民广场", To: "徐家汇", Start: start, End: start.Add(time.Hour)},
			{Kind: fare.Through, Line: "R1", EndLine: "R1", From: "A", To: "C", Start: start, End: start.Add(time.Hour)}, {Kind: fare.NoExit, Line: "T1", From: "东", Start: start}}
		for range 3 {
			trips = append(trips, trips...)
		}
		results, _ := tariff.Price(tariff.DayOf(start), trips, fare.Sums{"month": 120_00})
		for _, result := range results {
			if result.Err == nil && (fare.Sum(result.Fare.Lines) != result.Fare.AmountFen || result.Fare.AmountFen < 0) {
				t.Fatalf("%+v", result)
			}
		}
		tariff.Summary()
	})
}

func FuzzParseLines(f *testing.F) {
	f.Add([]byte(`[{"kind":"BASE","why":"x","file":"a.csv","row":2,"fen":200},{"kind":"CAP","why":"","fen":-1}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, err := fare.ParseLines(b)
		if err != nil {
			return
		}
		text := fare.AppendLines(nil, lines)
		if again, err := fare.ParseLines(text); err != nil || !slices.Equal(again, lines) {
			t.Fatalf("%s became %s (%v)", b, text, err)
		}
	})
}
