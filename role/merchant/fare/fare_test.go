package fare_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant/fare"
)

// shanghai is a small city: two buses, a metro by matrix, a suburban line by distance, a tram by zone.
func shanghai() fare.Files {
	return fare.Files{
		"lines.csv":    []byte("line,group,fare\n19,bus,2.00\n49,bus,1.00\nmetro2,metro,matrix\nmetro9,metro,matrix\nR1,rail,distance\nT1,tram,zone\nfree,shuttle,0.00\n"),
		"matrix.csv":   []byte("from,人民广场,松江大学城,徐家汇\n人民广场,3.00,6.00,3.00\n松江大学城,6.00,3.00,5.00\n徐家汇,3.00,5.00,\n"),
		"links.csv":    []byte("from,to,metres\nA,B,4000\nB,C,5000\nA,C,20000\nX,Y,100\n"),
		"distance.csv": []byte("over_metres,fare,each_metres,each_fare\n0,3.00,,\n6000,4.00,,\n12000,4.00,10000,1.00\n"),
		"stations.csv": []byte("station,zone\n东,1\n西,2\n北,2\n"),
		"zones.csv":    []byte("from,to,fare\n1,1,2.00\n1,2,4.00\n2,1,3.50\n2,2,2.00\n"),
		"holidays.csv": []byte("date,counts_as\n2026-10-01,weekend\n2026-10-10,weekday\n"),
		"times.csv":    []byte("name,group,days,from,until,pays\nearly,metro,weekday,05:00,07:00,50%\nnight,bus,*,22:00,05:00,150%\n"),
		"identities.csv": []byte("identity,name,group,days,from,until,pays\n00000001,student,*,*,00:00,24:00,50%\n" +
			"00000002,senior,bus,*,00:00,24:00,0%\n00000002,senior,metro,*,09:00,16:00,1.00\n"),
		"transfers.csv": []byte("name,from,to,same_line,within_minutes,counted_from,times,pays\nchange,metro,bus,no,30,exit,1,-1.00\nbuses,bus,bus,no,90,first,,0%\n"),
		"caps.csv":      []byte("cap,period,group,identity,over,pays\nday,day,metro,*,15.00,0%\nmonth,month,metro,none,100.00,80%\nmonth,month,metro,none,150.00,50%\n"),
		"defaults.csv":  []byte("group,missing,fare\nmetro,exit,most\nmetro,entry,8.00\nrail,exit,most\ntram,entry,most\n"),
		"settings.csv":  []byte("name,value\nround_to,0.10\nrounding,down\ngrace_minutes,20\ngrace_fare,1.00\n"),
	}
}

func parse(t testing.TB, files fare.Files) *fare.Tariff {
	t.Helper()
	tariff, err := fare.Parse(files)
	if err != nil {
		t.Fatal(err)
	}
	return tariff
}

// at reads a time in Beijing.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	moment, err := time.ParseInLocation("2006-01-02 15:04", text, openapi.Beijing())
	if err != nil {
		t.Fatal(err)
	}
	return moment.UTC()
}

func bus(t testing.TB, line, when string) fare.Trip {
	return fare.Trip{Kind: fare.Single, Line: line, Start: at(t, when)}
}

func metro(t testing.TB, line, from, to, when string, minutes int) fare.Trip {
	start := at(t, when)
	return fare.Trip{Kind: fare.Through, Line: line, EndLine: line, From: from, To: to, Start: start, End: start.Add(time.Duration(minutes) * time.Minute)}
}

func as(trip fare.Trip, identity byte) fare.Trip {
	trip.Identity = ridecode.Quad{3: identity}
	return trip
}

// describe writes results as "6.00 = BASE +6.00" or the error.
func describe(t testing.TB, results []fare.Result) []string {
	t.Helper()
	var all []string
	for _, result := range results {
		if result.Err != nil {
			all = append(all, result.Err.Error())
			continue
		}
		text := result.Fare.AmountFen.Yuan() + " ="
		for _, line := range result.Fare.Lines {
			text += fmt.Sprintf(" %s %s", line.Kind, line.AmountFen.Yuan())
		}
		if fare.Sum(result.Fare.Lines) != result.Fare.AmountFen || result.Fare.AmountFen < 0 {
			t.Errorf("%s: the lines add up to %s", text, fare.Sum(result.Fare.Lines))
		}
		all = append(all, text)
	}
	return all
}

func TestPrice(t *testing.T) {
	tariff := parse(t, shanghai())
	const day = "2026-07-01" // a Wednesday
	limited := bus(t, "19", day+" 08:00")
	limited.LimitFen = 150
	friend := as(bus(t, "19", day+" 08:00"), 1)
	friend.Companion = true
	noExit, noEntry := metro(t, "metro2", "松江大学城", "", day+" 08:00", 0), metro(t, "metro2", "", "徐家汇", day+" 08:00", 0)
	noExit.Kind, noEntry.Kind = fare.NoExit, fare.NoEntry
	railExit, tramEntry, tramExit := noExit, noEntry, noExit
	railExit.Line, railExit.From = "R1", "A"
	tramEntry.Line, tramEntry.To = "T1", "西"
	tramExit.Line, tramExit.From = "T1", "西"
	through := metro(t, "metro2", "人民广场", "松江大学城", day+" 08:00", 40)
	through.EndLine = "metro9"
	out := through
	out.EndLine = "R1"
	for name, c := range map[string]struct {
		trip fare.Trip
		want string
	}{
		"flat":                     {bus(t, "19", day+" 08:00"), "2.00 = BASE 2.00"},
		"free":                     {bus(t, "free", day+" 08:00"), "0.00 = BASE 0.00"},
		"no line":                  {bus(t, "20", day+" 08:00"), `fare: the table has no line "20": add it to lines.csv`},
		"night":                    {bus(t, "19", day+" 23:30"), "3.00 = BASE 2.00 TIME 1.00"},
		"after midnight":           {bus(t, "19", "2026-07-02 03:59"), "3.00 = BASE 2.00 TIME 1.00"},
		"matrix":                   {metro(t, "metro2", "人民广场", "松江大学城", day+" 08:00", 40), "6.00 = BASE 6.00"},
		"two lines":                {through, "6.00 = BASE 6.00"},
		"two groups":               {out, `fare: the table has no fare from line "metro2" (metro) out of line "R1" (rail): they are of two groups`},
		"no such trip":             {metro(t, "metro2", "徐家汇", "徐家汇", day+" 08:00", 40), `fare: the table has no fare from "徐家汇" to "徐家汇": matrix.csv, line 4`},
		"no station":               {metro(t, "metro2", "徐家汇", "x", day+" 08:00", 40), `fare: the table has no station "x": add its column to matrix.csv`},
		"a bus tap in the metro":   {bus(t, "metro2", day+" 08:00"), `fare: the table prices line "metro2" by matrix, and this tap has no exit`},
		"turned round":             {metro(t, "metro2", "人民广场", "人民广场", day+" 08:00", 20), "1.00 = GRACE 1.00"},
		"turned too late":          {metro(t, "metro2", "人民广场", "人民广场", day+" 08:00", 21), "3.00 = BASE 3.00"},
		"near":                     {metro(t, "R1", "A", "B", day+" 08:00", 40), "3.00 = BASE 3.00"},
		"shortest way":             {metro(t, "R1", "A", "C", day+" 08:00", 40), "4.00 = BASE 4.00"},
		"not connected":            {metro(t, "R1", "A", "X", day+" 08:00", 40), `fare: the table has no way from "A" to "X": links.csv does not connect them`},
		"zones":                    {metro(t, "T1", "东", "西", day+" 08:00", 40), "4.00 = BASE 4.00"},
		"zones, back":              {metro(t, "T1", "西", "东", day+" 08:00", 40), "3.50 = BASE 3.50"},
		"early":                    {metro(t, "metro2", "人民广场", "徐家汇", day+" 06:59", 40), "1.50 = BASE 3.00 TIME -1.50"},
		"not early":                {metro(t, "metro2", "人民广场", "徐家汇", day+" 07:00", 40), "3.00 = BASE 3.00"},
		"early on Saturday":        {metro(t, "metro2", "人民广场", "徐家汇", "2026-07-04 06:00", 40), "3.00 = BASE 3.00"},
		"early on a feast":         {metro(t, "metro2", "人民广场", "徐家汇", "2026-10-01 06:00", 40), "3.00 = BASE 3.00"},
		"early on a worked Sat.":   {metro(t, "metro2", "人民广场", "徐家汇", "2026-10-10 06:00", 40), "1.50 = BASE 3.00 TIME -1.50"},
		"student":                  {as(bus(t, "49", day+" 08:00"), 1), "0.50 = BASE 1.00 IDENTITY -0.50"},
		"early student":            {as(metro(t, "metro2", "松江大学城", "徐家汇", day+" 06:00", 40), 1), "1.20 = BASE 5.00 TIME -2.50 IDENTITY -1.30"},
		"senior":                   {as(bus(t, "19", day+" 08:00"), 2), "0.00 = BASE 2.00 IDENTITY -2.00"},
		"senior, metro, rush hour": {as(metro(t, "metro2", "人民广场", "徐家汇", day+" 08:00", 40), 2), "3.00 = BASE 3.00"},
		"senior, metro, noon":      {as(metro(t, "metro2", "人民广场", "徐家汇", day+" 12:00", 40), 2), "1.00 = BASE 3.00 IDENTITY -2.00"},
		"unknown identity":         {as(bus(t, "19", day+" 08:00"), 9), "2.00 = BASE 2.00"},
		"limit":                    {limited, "1.50 = BASE 2.00 LIMIT -0.50"},
		"companion":                {friend, "2.00 = BASE 2.00"},
		"no exit":                  {noExit, "6.00 = DEFAULT 6.00"},
		"no entry":                 {noEntry, "8.00 = DEFAULT 8.00"},
		"no exit, rail":            {railExit, "4.00 = DEFAULT 4.00"},
		"no entry, tram":           {tramEntry, "4.00 = DEFAULT 4.00"},
		"no exit, tram":            {tramExit, "fare: no default fare of group tram for a missing entry or exit: add it to defaults.csv"},
	} {
		results, _ := tariff.Price(tariff.DayOf(c.trip.Start), []fare.Trip{c.trip}, nil)
		if got := describe(t, results)[0]; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if missing := errors.Is(results[0].Err, fare.ErrNoDefault); missing != (name == "no exit, tram") {
			t.Errorf("%s: ErrNoDefault %v", name, missing)
		}
	}
}

// What a terminal wrote, and no table knows, forges nothing in a reason.
func TestReasonsArePlain(t *testing.T) {
	tariff := parse(t, shanghai())
	forged := "A\x1b[2J\nBASE +0.00\u202e\xff" + strings.Repeat("站", 80)
	noEntry := fare.Trip{Kind: fare.NoEntry, Line: "metro2", To: forged, Start: at(t, "2026-07-01 08:00")}
	turned := metro(t, "metro2", forged, forged, "2026-07-01 10:00", 5)
	results, _ := tariff.Price(tariff.DayOf(noEntry.Start), []fare.Trip{noEntry, turned}, nil)
	for _, result := range results {
		line := result.Fare.Lines[0]
		again, err := fare.ParseLines(fare.AppendLines(nil, result.Fare.Lines))
		if result.Err != nil || strings.ContainsAny(line.Why, "\x1b\n\u202e\ufffd") || len(line.Why) > 120 || err != nil || again[0] != line {
			t.Errorf("%+v, %v", result, err)
		}
	}
}

func TestPriceDay(t *testing.T) {
	tariff := parse(t, shanghai())
	const day = "2026-07-01"
	far := func(when string) fare.Trip {
		return metro(t, "metro2", "人民广场", "松江大学城", day+" "+when, 40)
	}
	for name, c := range map[string]struct {
		trips  []fare.Trip
		before fare.Sums
		want   []string
	}{
		"metro then bus":         {[]fare.Trip{far("08:00"), bus(t, "19", day+" 09:10")}, nil, []string{"6.00 = BASE 6.00", "1.00 = BASE 2.00 TRANSFER -1.00"}},
		"given out of order":     {[]fare.Trip{bus(t, "19", day+" 09:10"), far("08:00")}, nil, []string{"1.00 = BASE 2.00 TRANSFER -1.00", "6.00 = BASE 6.00"}},
		"too late":               {[]fare.Trip{far("08:00"), bus(t, "19", day+" 09:11")}, nil, []string{"6.00 = BASE 6.00", "2.00 = BASE 2.00"}},
		"bus then metro":         {[]fare.Trip{bus(t, "19", day+" 08:00"), far("08:10")}, nil, []string{"2.00 = BASE 2.00", "6.00 = BASE 6.00"}},
		"buses":                  {[]fare.Trip{bus(t, "19", day+" 08:00"), bus(t, "49", day+" 08:40"), bus(t, "19", day+" 09:30"), bus(t, "49", day+" 09:31")}, nil, []string{"2.00 = BASE 2.00", "0.00 = BASE 1.00 TRANSFER -1.00", "0.00 = BASE 2.00 TRANSFER -2.00", "1.00 = BASE 1.00"}},
		"the same bus line":      {[]fare.Trip{bus(t, "19", day+" 08:00"), bus(t, "19", day+" 08:40")}, nil, []string{"2.00 = BASE 2.00", "2.00 = BASE 2.00"}},
		"day cap":                {[]fare.Trip{far("08:00"), far("10:00"), far("12:00"), far("14:00")}, nil, []string{"6.00 = BASE 6.00", "6.00 = BASE 6.00", "3.00 = BASE 6.00 CAP -3.00", "0.00 = BASE 6.00 CAP -6.00"}},
		"month, first step":      {[]fare.Trip{far("08:00")}, fare.Sums{"month": 100_00}, []string{"4.80 = BASE 6.00 STEP -1.20"}},
		"month, not yet":         {[]fare.Trip{far("08:00"), far("10:00")}, fare.Sums{"month": 99_99}, []string{"6.00 = BASE 6.00", "4.80 = BASE 6.00 STEP -1.20"}},
		"month, second step":     {[]fare.Trip{far("08:00")}, fare.Sums{"month": 150_00}, []string{"3.00 = BASE 6.00 STEP -3.00"}},
		"month, student":         {[]fare.Trip{as(far("08:00"), 1)}, fare.Sums{"month": 150_00}, []string{"3.00 = BASE 6.00 IDENTITY -3.00"}},
		"default counts nowhere": {[]fare.Trip{{Kind: fare.NoExit, Line: "metro2", From: "人民广场", Start: at(t, day+" 08:00")}, bus(t, "19", day+" 08:10")}, nil, []string{"6.00 = DEFAULT 6.00", "2.00 = BASE 2.00"}},
	} {
		results, counted := tariff.Price(tariff.DayOf(c.trips[0].Start), c.trips, c.before)
		if got := describe(t, results); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		if c.before != nil && c.before["month"] > 150_00 {
			t.Errorf("%s: the sums that were given have changed", name)
		}
		if name == "month, not yet" && counted["month"] != 10_80 {
			t.Errorf("%s: counted %v", name, counted)
		}
	}
}

// The one rounding: half of a third of an amount is rounded once, whatever the number of discounts.
func TestRoundedOnce(t *testing.T) {
	for _, c := range []struct{ unit, way, want string }{
		{"0.01", "down", "1.03 = BASE 3.33 TIME -1.27 IDENTITY -1.03"}, // 3.33 × 62 % × 50 % = 1.0323
		{"0.01", "up", "1.04 = BASE 3.33 TIME -1.26 IDENTITY -1.03"},
		{"0.01", "half_up", "1.03 = BASE 3.33 TIME -1.27 IDENTITY -1.03"},
		{"0.10", "down", "1.00 = BASE 3.33 TIME -1.33 IDENTITY -1.00"},
		{"0.10", "up", "1.10 = BASE 3.33 TIME -1.23 IDENTITY -1.00"},
		{"0.50", "half_up", "1.00 = BASE 3.33 TIME -1.33 IDENTITY -1.00"},
	} {
		tariff := parse(t, fare.Files{
			"lines.csv":      []byte("line,group,fare\n1,bus,3.33\n"),
			"times.csv":      []byte("name,group,days,from,until,pays\nx,*,*,00:00,24:00,62%\n"),
			"identities.csv": []byte("identity,name,group,days,from,until,pays\n00000001,student,*,*,00:00,24:00,50%\n"),
			"settings.csv":   []byte("name,value\nround_to," + c.unit + "\nrounding," + c.way + "\n"),
		})
		trip := as(bus(t, "1", "2026-07-01 08:00"), 1)
		results, _ := tariff.Price(tariff.DayOf(trip.Start), []fare.Trip{trip}, nil)
		if got := describe(t, results)[0]; got != c.want {
			t.Errorf("to %s, %s: %s, want %s", c.unit, c.way, got, c.want)
		}
	}
}

func TestTables(t *testing.T) {
	files := fare.Files{
		"tables.csv":        []byte("table,valid_from,valid_until\nnew,2026-07-01,\nold,2026-01-01,2026-06-29\n"),
		"old/lines.csv":     []byte("line,group,fare\n19,bus,2.00\n"),
		"new/lines.csv":     []byte("line,group,fare\n19,bus,3.00\n"),
		"new/README.md":     []byte("whatever"),
		"new/settings.csv":  []byte("name,value\nday_starts,04:00\n"),
		"new/transfers.csv": []byte("name,from,to,same_line,within_minutes,counted_from,times,pays\nx,*,*,yes,30,entry,,50%\n"),
	}
	tariff := parse(t, files)
	for when, want := range map[string]string{
		"2026-06-29 08:00": "2.00 = BASE 2.00", "2026-06-30 03:59": "2.00 = BASE 2.00", "2026-06-30 04:00": "fare: no table is valid on 2026-06-30",
		"2026-07-01 03:59": "fare: no table is valid on 2026-06-30", "2026-07-01 04:00": "3.00 = BASE 3.00", "2025-12-31 12:00": "fare: no table is valid on 2025-12-31",
	} {
		trip := bus(t, "19", when)
		results, _ := tariff.Price(tariff.DayOf(trip.Start), []fare.Trip{trip}, nil)
		if got := describe(t, results)[0]; got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	summary := tariff.Summary()
	if len(summary.Warnings) != 1 || !strings.Contains(summary.Warnings[0], "no table is valid from 2026-06-30 to 2026-06-30") {
		t.Errorf("warnings %q", summary.Warnings)
	}
	if all := strings.Join(summary.Lines, "\n"); !strings.Contains(all, "table new, valid from 2026-07-01 until further notice") || !strings.Contains(all, "transfer x") {
		t.Errorf("summary\n%s", all)
	}
	day := tariff.DayOf(at(t, "2026-02-28 12:00"))
	if day.String() != "2026-02-28" || day.FirstOfMonth().String() != "2026-02-01" || day.LastOfMonth() != day || day.Month()+1 != (day+1).Month() || !tariff.DayStart(day).Equal(at(t, "2026-02-28 04:00")) {
		t.Errorf("%s from %s", day, tariff.DayStart(day))
	}
}

func TestReason(t *testing.T) {
	tariff := parse(t, shanghai())
	trips := []fare.Trip{as(metro(t, "metro2", "人民广场", "松江大学城", "2026-07-01 08:00", 40), 1), bus(t, "19", "2026-07-01 08:50")}
	results, _ := tariff.Price(tariff.DayOf(trips[0].Start), trips, nil)
	want := "BASE         +6.00     6.00  人民广场 to 松江大学城 (matrix.csv:2)\nIDENTITY     -3.00     3.00  student, pays 50 % (identities.csv:2)\n"
	if got := fare.Text(results[0].Fare.Lines); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got, want := fare.OneLine(results[1].Fare.Lines), "2.00 line 19, flat; -1.00 change: from line metro2 at 08:00, 1.00 less"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, result := range results {
		text := fare.AppendLines(nil, result.Fare.Lines)
		again, err := fare.ParseLines(text)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(result.Fare.Lines) {
			t.Errorf("%s became %v, %v", text, again, err)
		}
	}
}
