package fare_test

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"

	"github.com/shuama/shuama/role/merchant/fare"
)

// feedCity is a GTFS feed with what stands beside it.
func feedCity() fare.Files {
	return fare.Files{
		"gtfs/agency.txt":              []byte("agency_id,agency_timezone\nsh,Asia/Shanghai\n"),
		"gtfs/stops.txt":               []byte("stop_id,stop_name,location_type,parent_station\nS1,人民广场,1,\nS1a,人民广场,0,S1\nS2,松江大学城,1,\nS3,双名,0,\nS4,双名,0,\n"),
		"gtfs/routes.txt":              []byte("route_id,route_short_name,route_long_name,network_id\nM9,9,地铁9号线,metro\nM2,2,,metro\nB19,19,,bus\nB2,2,,bus\n"),
		"gtfs/areas.txt":               []byte("area_id\ninner\nouter\n"),
		"gtfs/stop_areas.txt":          []byte("area_id,stop_id\ninner,S1\nouter,S2\ninner,S3\nouter,S4\n"),
		"gtfs/rider_categories.txt":    []byte("rider_category_id,rider_category_name,is_default_fare_category\nadult,成人,1\nstudent,学生,0\n"),
		"gtfs/fare_media.txt":          []byte("fare_media_id,fare_media_type\ncard,2\napp,4\n"),
		"gtfs/calendar.txt":            []byte("service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\nwork,1,1,1,1,1,0,0,20260101,20261231\n"),
		"gtfs/timeframes.txt":          []byte("timeframe_group_id,start_time,end_time,service_id\nearly,05:00:00,07:00:00,work\n"),
		"gtfs/fare_products.txt":       []byte("fare_product_id,rider_category_id,fare_media_id,amount,currency\nnear,adult,,3.00,CNY\nnear,student,app,1.50,CNY\nfar,,,6.00,CNY\nfar,,card,1.00,CNY\nearly,,,4.00,CNY\nflat,,,2.00,CNY\noff,,,-1.00,CNY\nboth,,,6.00,CNY\n"),
		"gtfs/fare_leg_rules.txt":      []byte("leg_group_id,network_id,from_area_id,to_area_id,from_timeframe_group_id,fare_product_id\nmetro,metro,inner,inner,,near\nmetro,metro,inner,outer,,far\nmetro,metro,inner,outer,early,early\nmetro,metro,outer,,,far\nbus,bus,,,,flat\n"),
		"gtfs/fare_transfer_rules.txt": []byte("from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type,fare_product_id\nmetro,bus,,5400,2,1,off\nbus,bus,1,3600,1,0,\nbus,metro,,3600,1,2,both\n"),
		"riders.csv":                   []byte("identity,rider_category\n00000001,student\n"),
		"defaults.csv":                 []byte("group,missing,fare\nmetro,exit,most\nmetro,entry,9.00\n"),
		"caps.csv":                     []byte("cap,period,group,identity,over,pays\nday,day,metro bus,none,13.00,0%\n"),
	}
}

func TestFeed(t *testing.T) {
	tariff := parse(t, feedCity())
	const day = "2026-07-01 "
	ride := func(from, to, when string) fare.Trip { return metro(t, "M9", from, to, day+when, 40) }
	noExit := ride("S1", "", "08:00")
	noExit.Kind = fare.NoExit
	named := ride("人民广场", "松江大学城", "08:00")
	named.Line, named.EndLine = "9", "地铁9号线"
	for name, c := range map[string]struct {
		trips []fare.Trip
		want  []string
	}{
		"near":             {[]fare.Trip{ride("S1", "S1a", "08:00")}, []string{"3.00 = BASE 3.00"}},
		"student":          {[]fare.Trip{as(ride("S1", "S1a", "08:00"), 1)}, []string{"1.50 = BASE 1.50"}},
		"far, not by card": {[]fare.Trip{ride("S1", "S2", "08:00")}, []string{"6.00 = BASE 6.00"}},
		"by name":          {[]fare.Trip{named}, []string{"6.00 = BASE 6.00"}},
		"early":            {[]fare.Trip{ride("S1", "S2", "06:00")}, []string{"4.00 = BASE 4.00"}},
		"back":             {[]fare.Trip{ride("S2", "S1", "08:00")}, []string{`fare: the feed has no fare for line "M9" from "S2" to "S1" at 08:00, on the media of ride codes (fare_leg_rules.txt)`}},
		"two routes 2":     {[]fare.Trip{bus(t, "2", day+"08:00")}, []string{`fare: the feed has several routes "2": let terminals write the route_id`}},
		"two stops":        {[]fare.Trip{ride("双名", "S1", "08:00")}, []string{`fare: the feed has several stops "双名" in different areas: let terminals write the stop_id`}},
		"bus":              {[]fare.Trip{bus(t, "B19", day+"08:00")}, []string{"2.00 = BASE 2.00"}},
		"metro, bus":       {[]fare.Trip{ride("S1", "S2", "08:00"), bus(t, "19", day+"10:10")}, []string{"6.00 = BASE 6.00", "1.00 = BASE 2.00 TRANSFER -1.00"}},
		"metro, bus, late": {[]fare.Trip{ride("S1", "S2", "08:00"), bus(t, "19", day+"10:11")}, []string{"6.00 = BASE 6.00", "2.00 = BASE 2.00"}},
		"bus, bus, bus":    {[]fare.Trip{bus(t, "19", day+"08:00"), bus(t, "19", day+"08:10"), bus(t, "19", day+"08:20")}, []string{"2.00 = BASE 2.00", "0.00 = BASE 2.00 TRANSFER -2.00", "2.00 = BASE 2.00"}},
		"both together":    {[]fare.Trip{bus(t, "19", day+"08:00"), ride("S1", "S2", "08:30")}, []string{"2.00 = BASE 2.00", "4.00 = BASE 6.00 TRANSFER -2.00"}},
		"cap":              {[]fare.Trip{ride("S1", "S2", "08:00"), ride("S1", "S2", "10:00"), ride("S1", "S2", "12:00")}, []string{"6.00 = BASE 6.00", "6.00 = BASE 6.00", "1.00 = BASE 6.00 CAP -5.00"}},
		"no exit":          {[]fare.Trip{noExit}, []string{"6.00 = DEFAULT 6.00"}},
	} {
		results, _ := tariff.Price(tariff.DayOf(c.trips[0].Start), c.trips, nil)
		if got := describe(t, results); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// With priorities an empty cell matches anything, and the highest priority decides.
func TestFeedPriority(t *testing.T) {
	files := feedCity()
	files["gtfs/fare_leg_rules.txt"] = []byte("leg_group_id,network_id,from_area_id,fare_product_id,rule_priority\nbus,,,flat,\nmetro,metro,,far,1\nmetro,metro,inner,near,2\n")
	delete(files, "gtfs/fare_transfer_rules.txt")
	tariff := parse(t, files)
	for from, want := range map[string]string{"S1": "3.00 = BASE 3.00", "S2": "6.00 = BASE 6.00"} {
		results, _ := tariff.Price(tariff.DayOf(at(t, "2026-07-01 08:00")), []fare.Trip{metro(t, "M9", from, "S2", "2026-07-01 08:00", 30)}, nil)
		if got := describe(t, results)[0]; got != want {
			t.Errorf("from %s: %s, want %s", from, got, want)
		}
	}
}

func TestFeedRefuses(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"own rules":       {"transfers.csv", "", "transfers.csv: no file of this kind of fare table"},
		"no medium":       {"settings.csv", "name,value\nmedia,watch\n", `media "watch" does not stand in fare_media.txt`},
		"no category":     {"riders.csv", "identity,rider_category\n00000001,pupil\n", `"pupil" does not stand in rider_categories.txt`},
		"no network":      {"caps.csv", "cap,period,group,identity,over,pays\nx,day,tram,*,1.00,0%\n", `"tram" is not known here: * or bus, metro`},
		"a dear transfer": {"gtfs/fare_transfer_rules.txt", "from_leg_group_id,to_leg_group_id,fare_transfer_type,fare_product_id\nmetro,bus,1,flat\n", "fare_transfer_type 1 with a price"},
		"money back":      {"gtfs/fare_transfer_rules.txt", "from_leg_group_id,to_leg_group_id,fare_transfer_type,fare_product_id\nmetro,bus,2,flat\n", "money would have to go back"},
		"the feed's own":  {"gtfs/agency.txt", "agency_timezone\nUTC\n", `agency.txt, line 2, column "agency_timezone": "UTC" is not supported`},
	} {
		files := feedCity()
		files[c.file] = []byte(c.text)
		if _, err := fare.Parse(files); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// A feed may be packed, and it may be the folder itself.
func TestFeedForms(t *testing.T) {
	packed, bare := fare.Files{}, fare.Files{}
	var archive bytes.Buffer
	writer := zip.NewWriter(&archive)
	for name, content := range feedCity() {
		file, inFeed := strings.CutPrefix(name, "gtfs/")
		if !inFeed {
			packed[name], bare[name] = content, content
			continue
		}
		bare[file] = content
		entry, err := writer.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	packed["gtfs.zip"] = archive.Bytes()
	want := strings.Join(parse(t, feedCity()).Summary().Lines, "\n")
	for name, files := range map[string]fare.Files{"packed": packed, "bare": bare} {
		if got := strings.Join(parse(t, files).Summary().Lines, "\n"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}
