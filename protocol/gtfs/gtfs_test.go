package gtfs_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/gtfs"
)

// city is a feed of a bus and a metro of two zones.
func city() gtfs.Files {
	return gtfs.Files{
		"agency.txt":              []byte("agency_id,agency_name,agency_url,agency_timezone\nsh,上海,https://example.com,Asia/Shanghai\n"),
		"feed_info.txt":           []byte("feed_publisher_name,feed_version\nx,2026-07\n"),
		"stops.txt":               []byte("stop_id,stop_name,stop_lat,location_type,parent_station\nS1,人民广场,31.2,1,\nS1a,人民广场,31.2,0,S1\nS1b,人民广场,31.2,0,S1\nS2,松江大学城,31.0,1,\n"),
		"routes.txt":              []byte("route_id,route_short_name,route_long_name,route_type\nM9,9,地铁9号线,1\nB19,19,19路,3\n"),
		"areas.txt":               []byte("area_id,area_name\ninner,内环\nouter,\nplatform,\n"),
		"stop_areas.txt":          []byte("area_id,stop_id\ninner,S1\nplatform,S1b\nouter,S2\n"),
		"networks.txt":            []byte("network_id,network_name\nmetro,地铁\nbus,\n"),
		"route_networks.txt":      []byte("network_id,route_id\nmetro,M9\nbus,B19\n"),
		"rider_categories.txt":    []byte("rider_category_id,rider_category_name,is_default_fare_category\nadult,成人,1\nstudent,学生,0\n"),
		"fare_media.txt":          []byte("fare_media_id,fare_media_name,fare_media_type\ncard,交通卡,2\napp,乘车码,4\n"),
		"calendar.txt":            []byte("service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\nwork,1,1,1,1,1,0,0,20260101,20261231\n"),
		"calendar_dates.txt":      []byte("service_id,date,exception_type\nwork,20261001,2\nwork,20261010,1\nfeast,20261001,1\n"),
		"timeframes.txt":          []byte("timeframe_group_id,start_time,end_time,service_id\nearly,5:00:00,07:00:00,work\nfeast,,,feast\n"),
		"fare_products.txt":       []byte("fare_product_id,fare_product_name,rider_category_id,fare_media_id,amount,currency\nnear,近,adult,,3.00,CNY\nnear,近,student,app,1.50,CNY\nfar,远,,,6.00,CNY\nflat,,,,2.00,CNY\noff,,,,-1.00,CNY\n"),
		"fare_leg_rules.txt":      []byte("leg_group_id,network_id,from_area_id,to_area_id,from_timeframe_group_id,fare_product_id\nmetro,metro,inner,inner,,near\nmetro,metro,inner,outer,early,near\nmetro,metro,inner,outer,,far\nbus,bus,,,,flat\n"),
		"fare_transfer_rules.txt": []byte("from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type,fare_product_id\nmetro,bus,,5400,2,1,off\nbus,bus,-1,3600,1,0,\n"),
		"stop_times.txt":          nil,
		"fare_attributes.txt":     nil,
	}
}

func TestParse(t *testing.T) {
	feed, err := gtfs.Parse(city())
	if err != nil {
		t.Fatal(err)
	}
	if feed.Version != "2026-07" || feed.Routes["B19"] != (gtfs.Route{ShortName: "19", LongName: "19路", Network: "bus"}) || feed.HasPriority || len(feed.Legs) != 4 {
		t.Errorf("%+v", feed)
	}
	for stop, want := range map[gtfs.StopID]string{"S1": "inner", "S1a": "inner", "S1b": "platform", "S2": "outer"} {
		if got := feed.Stops[stop].Areas; len(got) != 1 || string(got[0]) != want {
			t.Errorf("stop %s is in %v, want %s", stop, got, want)
		}
	}
	if near := feed.Products["near"]; len(near) != 2 || near[1].Category != "student" || near[1].Media != "app" || near[1].AmountFen != 150 || near[1].Line != 3 {
		t.Errorf("%+v", near)
	}
	if feed.Products["off"][0].AmountFen != -100 || feed.Media["app"].Type != gtfs.MobileApp || !feed.Categories["adult"].IsDefault {
		t.Errorf("%+v", feed)
	}
	want := gtfs.TransferRule{From: "metro", To: "bus", LimitSec: 5400, Between: gtfs.ArrivalToDeparture, Cost: gtfs.BesidesNext, Product: "off", Line: 2}
	if feed.Transfers[0] != want || feed.Transfers[1].Count != gtfs.NoTransferLimit {
		t.Errorf("%+v", feed.Transfers)
	}
}

func TestTimeframes(t *testing.T) {
	feed, err := gtfs.Parse(city())
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{
		"2026-07-01 05:00:00": "early", "2026-07-01 04:59:59": "", "2026-07-01 06:59:59": "early", "2026-07-01 07:00:00": "",
		"2026-07-04 06:00:00": "", "2026-10-01 06:00:00": "feast", "2026-10-10 06:00:00": "early", "2027-01-01 06:00:00": "",
		"2026-10-01 00:00:00": "feast", "2026-10-01 23:59:59": "feast", "2026-10-02 00:00:00": "",
	} {
		moment, err := time.Parse(time.DateTime, at)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, frame := range []gtfs.Timeframe{"early", "feast"} {
			if feed.In(frame, moment) {
				got += string(frame)
			}
		}
		if got != want {
			t.Errorf("%s is in %q, want %q", at, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"caps":                {"fare_capping.txt", "", "fare_capping.txt: not supported"},
		"area sets":           {"area_set_elements.txt", "", "area_set_elements.txt: not supported"},
		"joins":               {"fare_leg_join_rules.txt", "from_network_id,to_network_id\nmetro,metro\n", "fare_leg_join_rules.txt, line 2: not supported"},
		"a strange column":    {"fare_leg_rules.txt", "fare_product_id,min_distance\nflat,1\n", `column "min_distance": no such column here`},
		"dollars":             {"fare_products.txt", "fare_product_id,amount,currency\nflat,2.00,USD\n", `"USD" is not supported: amounts are in CNY`},
		"three decimals":      {"fare_products.txt", "fare_product_id,amount,currency\nflat,2.000,CNY\n", `"2.000" is no amount of yuan with two decimals`},
		"no decimals":         {"fare_products.txt", "fare_product_id,amount,currency\nflat,2,CNY\n", `"2" is no amount of yuan with two decimals`},
		"too dear":            {"fare_products.txt", "fare_product_id,amount,currency\nflat,655.36,CNY\n", "no amount of yuan"},
		"product twice":       {"fare_products.txt", "fare_product_id,amount,currency\nflat,2.00,CNY\nflat,3.00,CNY\n", `"flat" stands twice for one rider category and one medium (line 2)`},
		"no product":          {"fare_leg_rules.txt", "fare_product_id\nnone\n", `"none" does not stand in fare_products.txt`},
		"no area":             {"fare_leg_rules.txt", "fare_product_id,from_area_id\nflat,none\n", `"none" does not stand in areas.txt`},
		"rule twice":          {"fare_leg_rules.txt", "fare_product_id\nflat\nflat\n", "says the same as line 2"},
		"no rules":            {"fare_leg_rules.txt", "fare_product_id\n", "has no rule"},
		"a leg that gives":    {"fare_leg_rules.txt", "fare_product_id\noff\n", "costs less than nothing"},
		"another timezone":    {"agency.txt", "agency_timezone\nEurope/Paris\n", `"Europe/Paris" is not supported`},
		"stop timezone":       {"stops.txt", "stop_id,stop_timezone\nS1,Europe/Paris\n", `"Europe/Paris" is not supported`},
		"stop twice":          {"stops.txt", "stop_id\nS1\nS1\n", `"S1" stands twice`},
		"no station":          {"stops.txt", "stop_id,parent_station\nS1,S9\n", `"S9" does not stand in stops.txt`},
		"two networks":        {"route_networks.txt", "network_id,route_id\nmetro,M9\nbus,M9\n", `"M9" is in network "metro" already`},
		"two defaults":        {"rider_categories.txt", "rider_category_id,rider_category_name,is_default_fare_category\nadult,a,1\nstudent,b,1\n", `"adult" is the default already`},
		"frames overlap":      {"timeframes.txt", "timeframe_group_id,start_time,end_time,service_id\nearly,5:00:00,7:00:00,work\nearly,6:59:59,8:00:00,work\n", "overlaps another row"},
		"frame backwards":     {"timeframes.txt", "timeframe_group_id,start_time,end_time,service_id\nearly,7:00:00,5:00:00,work\n", "not after start_time"},
		"frame beyond":        {"timeframes.txt", "timeframe_group_id,start_time,end_time,service_id\nearly,7:00:00,24:00:01,work\n", `"24:00:01" is no time of day`},
		"half a frame":        {"timeframes.txt", "timeframe_group_id,start_time,end_time,service_id\nearly,7:00:00,,work\n", "stand together"},
		"no such service":     {"timeframes.txt", "timeframe_group_id,service_id\nearly,none\n", `"none" does not stand in calendar.txt`},
		"no date":             {"calendar_dates.txt", "service_id,date,exception_type\nwork,20260230,1\n", `"20260230" is no date`},
		"count where none is": {"fare_transfer_rules.txt", "from_leg_group_id,to_leg_group_id,transfer_count,fare_transfer_type\nmetro,bus,1,0\n", "transfer_count"},
		"count missing":       {"fare_transfer_rules.txt", "from_leg_group_id,to_leg_group_id,fare_transfer_type\nbus,bus,0\n", "transfer_count"},
		"count of 0":          {"fare_transfer_rules.txt", "from_leg_group_id,to_leg_group_id,transfer_count,fare_transfer_type\nbus,bus,0,0\n", "it is -1 (no limit) or at least 1"},
		"limit without type":  {"fare_transfer_rules.txt", "from_leg_group_id,to_leg_group_id,duration_limit,fare_transfer_type\nmetro,bus,60,0\n", "duration_limit_type"},
		"a gift":              {"fare_transfer_rules.txt", "from_leg_group_id,to_leg_group_id,fare_transfer_type,fare_product_id\nmetro,bus,0,off\n", "only fare_transfer_type 1 can take off"},
		"no group":            {"fare_transfer_rules.txt", "from_leg_group_id,to_leg_group_id,fare_transfer_type\nmetro,tram,0\n", `"tram" does not stand in fare_leg_rules.txt`},
		"an unknown cost":     {"fare_transfer_rules.txt", "from_leg_group_id,to_leg_group_id,fare_transfer_type\nmetro,bus,3\n", `"3" is no whole number from 0 to 2`},
	} {
		files := city()
		files[c.file] = []byte(c.text)
		feed, err := gtfs.Parse(files)
		var fault *form.CellError
		if feed != nil || !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestParseMissing(t *testing.T) {
	for file, want := range map[string]string{
		"stops.txt": "stops.txt: missing", "fare_products.txt": "fare_products.txt: missing", "fare_leg_rules.txt": "fares of version 1 are not supported",
		"networks.txt": "route_networks.txt: stands without networks.txt", "areas.txt": "does not stand in areas.txt", "stop_areas.txt": "", "stop_times.txt": "",
	} {
		files := city()
		delete(files, file)
		_, err := gtfs.Parse(files)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v, want %q", file, err, want)
		}
	}
}

func archive(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := zip.NewWriter(&out)
	for name, content := range files {
		entry, err := writer.Create(name)
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
	return out.Bytes()
}

func TestUnzip(t *testing.T) {
	packed := city()
	packed["stop_times.txt"] = []byte("not read")
	packed["__MACOSX/._stops.txt"] = []byte("not read")
	files, err := gtfs.Unzip(archive(t, packed))
	if err != nil {
		t.Fatal(err)
	}
	want := city()
	if !maps.EqualFunc(files, want, bytes.Equal) {
		t.Errorf("%d files, want %d", len(files), len(want))
	}
	if _, err := gtfs.Parse(files); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		bytes []byte
		want  string
	}{
		"no archive":  {[]byte("stop_id\n"), "not a zip archive"},
		"in a folder": {archive(t, map[string][]byte{"feed/stops.txt": nil}), "feed/stops.txt: the files of a feed stand at the top"},
		"a bomb":      {archive(t, map[string][]byte{"stops.txt": make([]byte, 256<<20+1)}), "longer than 256 MiB together"},
	} {
		if _, err := gtfs.Unzip(c.bytes); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// fuzzed are the files that a fuzz target writes anew.
var fuzzed = []string{"stops.txt", "routes.txt", "stop_areas.txt", "timeframes.txt", "fare_products.txt", "fare_leg_rules.txt", "fare_transfer_rules.txt", "calendar.txt"}

func FuzzParse(f *testing.F) {
	for i, name := range fuzzed {
		f.Add(uint8(i), city()[name])
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		files := city()
		files[fuzzed[int(which)%len(fuzzed)]] = content
		feed, err := gtfs.Parse(files)
		if err != nil {
			var fault *form.CellError
			if !errors.As(err, &fault) || fault.File == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, rule := range feed.Legs {
			if len(feed.Products[rule.Product]) == 0 {
				t.Fatalf("rule %+v has no product", rule)
			}
		}
		for frame := range feed.Timeframes {
			feed.In(frame, time.Unix(1780000000, 0).UTC())
		}
	})
}

func FuzzUnzip(f *testing.F) {
	f.Add(archive(f, map[string][]byte{"stops.txt": []byte("stop_id\n1\n"), "trips.txt": []byte("x")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if files, err := gtfs.Unzip(b); err == nil {
			_, _ = gtfs.Parse(files)
		}
	})
}
