package payment

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a station table.
const (
	StationsSizeMax = 16 << 20 // bytes
	stationsMax     = 200_000
	stationNameMax  = 128 // characters
)

// Stations is where stations are (站点表). The zero value knows none.
type Stations struct{ places map[stationName]Place }

type stationName struct {
	app     AppID // empty: any
	station string
}

// stationColumns is the first line of a station table.
func stationColumns() []string {
	return []string{"app_id", "station", "adcode", "longitude", "latitude"}
}

// ParseStations reads a station table: CSV with the columns app_id, station, adcode, longitude and latitude under
// these names. station is what gates write into their records, or the station's id or name in ride data; where it is
// empty, the line is for every station of the app. An empty app_id is every app's. adcode is six digits (GB/T 2260);
// coordinates are degrees, both or none. Nothing stands twice.
func ParseStations(r io.Reader) (Stations, error) {
	lines := csv.NewReader(io.LimitReader(r, StationsSizeMax+1))
	lines.FieldsPerRecord, lines.ReuseRecord = len(stationColumns()), true
	head, err := lines.Read()
	if err != nil || !slices.Equal(head, stationColumns()) {
		return Stations{}, fmt.Errorf("stations: the first line is not %s", strings.Join(stationColumns(), ","))
	}
	s := Stations{places: map[stationName]Place{}}
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err == nil {
			line, _ := lines.FieldPos(0)
			if err = s.add(fields); err != nil {
				err = fmt.Errorf("line %d: %w", line, err)
			}
		}
		switch {
		case err != nil:
			return Stations{}, fmt.Errorf("stations: %w", err)
		case lines.InputOffset() > StationsSizeMax || len(s.places) > stationsMax:
			return Stations{}, fmt.Errorf("stations: over %d stations, or %d bytes", stationsMax, StationsSizeMax)
		}
	}
}

func isPrintable(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func (s Stations) add(fields []string) error {
	name, place := stationName{AppID(strings.Clone(fields[0])), strings.Clone(fields[1])}, Place{}
	for i, field := range fields[:2] {
		if len([]rune(field)) > stationNameMax || field != "" && !isPrintable(field) {
			return fmt.Errorf("%s: over %d characters, or not printable", stationColumns()[i], stationNameMax)
		}
	}
	if name == (stationName{}) {
		return errors.New("app_id: one of app_id and station is needed")
	}
	if _, twice := s.places[name]; twice {
		return errors.New("station: it stands here twice for its app")
	}
	if adcode := fields[2]; adcode != "" {
		if place.City = CityOf(adcode); place.City == "" {
			return errors.New("adcode: not six digits that name a city or a district of one (GB/T 2260)")
		}
	}
	err := place.locate(fields[3], fields[4])
	s.places[name] = place
	return err
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

func (p *Place) locate(longitude, latitude string) (err error) {
	if longitude == "" && latitude == "" {
		return nil
	}
	if p.Longitude, err = degrees(longitude, 180); err != nil {
		return fmt.Errorf("longitude: %w", err)
	}
	if p.Latitude, err = degrees(latitude, 90); err != nil {
		return fmt.Errorf("latitude: %w", err)
	}
	p.Known = true
	return nil
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
	if longitude == "" || located.locate(longitude, latitude) != nil {
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
