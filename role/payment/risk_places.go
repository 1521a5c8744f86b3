package payment

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shuama/shuama/protocol/form"
)

// Bounds of a station table.
const (
	stationsMax    = 200_000
	stationNameMax = 128 // characters
)

// Stations is where stations are (站点表). The zero value knows none.
type Stations struct{ places map[stationName]Place }

type stationName struct {
	app     AppID // empty: any
	station string
}

// ParseStations reads a station table: CSV with the columns app_id, station, adcode, longitude and latitude under
// these names. station is what gates write into their records, or the station's id or name in ride data; where it is
// empty, the line is for every station of the app. An empty app_id is every app's. adcode is six digits (GB/T 2260);
// coordinates are degrees, both or none. Nothing stands twice. Errors are *form.CellError.
func ParseStations(file string, content []byte) (Stations, error) {
	table, err := form.ParseCSV(file, content, form.Columns{Required: []string{"app_id", "station", "adcode", "longitude", "latitude"}})
	if err != nil {
		return Stations{}, err
	}
	s := Stations{places: make(map[stationName]Place, len(table.Rows))}
	for _, row := range table.Rows {
		if err := s.add(row); err != nil {
			return Stations{}, err
		}
	}
	return s, nil
}

func (s Stations) add(row form.Row) error {
	name, place := stationName{AppID(row.Cell("app_id")), row.Cell("station")}, Place{}
	for _, column := range []string{"app_id", "station"} {
		if text := row.Cell(column); len([]rune(text)) > stationNameMax || !isPrintable(text) {
			return row.Fault(column, fmt.Sprintf("over %d characters, or not printable", stationNameMax))
		}
	}
	if name == (stationName{}) {
		return row.Fault("app_id", "one of app_id and station is needed")
	}
	if _, twice := s.places[name]; twice {
		return row.Fault("station", "it stands here twice for its app")
	}
	if len(s.places) == stationsMax {
		return row.Fault("", fmt.Sprintf("more than %d stations", stationsMax))
	}
	if adcode := row.Cell("adcode"); adcode != "" {
		if place.City = CityOf(adcode); place.City == "" {
			return row.Fault("adcode", "not six digits that name a city or a district of one (GB/T 2260)")
		}
	}
	column, err := place.locate(row.Cell("longitude"), row.Cell("latitude"))
	if err != nil {
		return row.Fault(column, err.Error())
	}
	s.places[name] = place
	return nil
}

func isPrintable(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// CityOf is the city in an administrative division's number of six digits (GB/T 2260): its first four, or, in the four
// municipalities whose districts have numbers like cities, the first two and 00. It is empty where none is named, as by
// a province's number.
func CityOf(adcode string) string {
	if len(adcode) != 6 || strings.Trim(adcode, "0123456789") != "" {
		return ""
	}
	switch province := adcode[:2]; {
	case slices.Contains([]string{"11", "12", "31", "50"}, province):
		return province + "00"
	case adcode[2:4] == "00":
		return ""
	}
	return strings.Clone(adcode[:4])
}

// locate reads coordinates; a fault names the one that is wrong.
func (p *Place) locate(longitude, latitude string) (column string, err error) {
	if longitude == "" && latitude == "" {
		return "", nil
	}
	if p.Longitude, err = degrees(longitude, 180); err != nil {
		return "longitude", err
	}
	if p.Latitude, err = degrees(latitude, 90); err != nil {
		return "latitude", err
	}
	p.Known = true
	return "", nil
}

const degreesSizeMax = 24 // characters

func degrees(text string, most float64) (float64, error) {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || len(text) > degreesSizeMax || !(value >= -most && value <= most) || strings.Trim(text, "0123456789.-") != "" {
		return 0, fmt.Errorf("not degrees from -%.0f to %.0f, as 116.397", most, most)
	}
	return value, nil
}

// At is p with coordinates as ride data has them: longitude and latitude with a comma between. Others change nothing.
func (p Place) At(lbs string) Place {
	longitude, latitude, _ := strings.Cut(lbs, ",")
	located := p
	if _, err := located.locate(longitude, latitude); err != nil {
		return p
	}
	return located
}

// Place implements Places: what the table says of this station of the app, or of any app's, or else of all stations
// of the app.
func (s Stations) Place(app AppID, station string) Place {
	for _, name := range []stationName{{app, station}, {"", station}, {app, ""}} {
		if place, there := s.places[name]; there && name != (stationName{}) {
			return place
		}
	}
	return Place{}
}

// Count is how many lines the table has.
func (s Stations) Count() int { return len(s.places) }
