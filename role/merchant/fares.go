package merchant

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
)

// Bounds of a fare table.
const (
	maxFaresSize    = 16 << 20 // bytes
	maxStations     = 1000
	maxLines        = 10_000
	maxFareNameSize = 256 // bytes, as a pos_param's text
	// maxFareFen is the most that any code allows: its limit has two bytes (document 1 §6.3.2).
	maxFareFen money.Fen = 65535
)

const clauseFares = "fare table format"

// Fares is a fare table (票价表): flat by line on buses, from origin to destination in the metro. It
// is not changed once it is read.
type Fares struct {
	version  string
	lines    []busLine
	byLine   map[string]money.Fen
	stations []string
	byName   map[string]int // index in stations
	metro    [][]money.Fen  // [origin][destination]; 0 where there is no fare
}

type busLine struct {
	name    string
	fareFen money.Fen
}

// Fare is the price of a trip.
type Fare struct {
	AmountFen money.Fen
	Reason    string // one line for people: which entry of which table
}

// Price finds a trip's fare. The error says what the table lacks.
func (f *Fares) Price(trip Trip) (Fare, error) {
	if trip.isMetro() {
		return f.priceMetro(trip.Start.Station, trip.End.Station)
	}
	amount, known := f.byLine[trip.Start.Line]
	if !known {
		return Fare{}, fmt.Errorf("fare: table %q has no bus line %q", f.version, trip.Start.Line)
	}
	return Fare{AmountFen: amount, Reason: fmt.Sprintf("bus line %q, flat: %s (table %q)", trip.Start.Line, amount.Yuan(), f.version)}, nil
}

func (f *Fares) priceMetro(from, to string) (Fare, error) {
	for _, name := range []string{from, to} {
		if _, known := f.byName[name]; !known {
			return Fare{}, fmt.Errorf("fare: table %q has no metro station %q", f.version, name)
		}
	}
	amount := f.metro[f.byName[from]][f.byName[to]]
	if amount == 0 {
		return Fare{}, fmt.Errorf("fare: table %q has no metro fare from %q to %q", f.version, from, to)
	}
	return Fare{AmountFen: amount, Reason: fmt.Sprintf("metro from %q to %q: %s (table %q)", from, to, amount.Yuan(), f.version)}, nil
}

// ParseFares reads a fare table:
//
//	{"version": "2026-07",
//	 "buses": [{"line": "19", "fare": "2.00"}],
//	 "metro": {"stations": ["A", "B"],
//	           "fares": [["2.00", "3.00"],
//	                     ["3.00", null]]}}
//
// Row i of the metro's fares is for trips that begin at station i, column j for those that end at
// station j; null says that there is no fare. Amounts are yuan as text, from 0.01 to 655.35. buses or
// metro may be left out, not both. Names are compared byte for byte with line and station of a
// pos_param. An unknown, doubled or missing name, and a name or line that stands twice, are errors;
// every error names the entry.
func ParseFares(b []byte) (*Fares, error) {
	if len(b) > maxFaresSize {
		return nil, fareError("table", "longer than 16 MiB")
	}
	members, err := readMembers(b, "table", "version", "buses", "metro")
	if err != nil {
		return nil, err
	}
	f := &Fares{byLine: map[string]money.Fen{}, byName: map[string]int{}}
	if f.version, err = readName(members["version"], "version"); err != nil {
		return nil, err
	}
	if members["buses"] == nil && members["metro"] == nil {
		return nil, fareError("table", "has neither buses nor metro")
	}
	if err := f.readBuses(members["buses"]); err != nil {
		return nil, err
	}
	if err := f.readMetro(members["metro"]); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *Fares) readBuses(b json.RawMessage) error {
	entries, err := readList(b, "buses", maxLines)
	if err != nil {
		return err
	}
	for i, entry := range entries {
		where := fmt.Sprintf("buses entry %d", i)
		members, err := readMembers(entry, where, "line", "fare")
		if err != nil {
			return err
		}
		name, err := readName(members["line"], where+", line")
		if err != nil {
			return err
		}
		if _, twice := f.byLine[name]; twice {
			return fareError(where, fmt.Sprintf("line %q stands twice", name))
		}
		amount, err := readFare(members["fare"], fmt.Sprintf("buses entry %d, fare of line %q", i, name))
		if err != nil {
			return err
		}
		f.byLine[name] = amount
		f.lines = append(f.lines, busLine{name: name, fareFen: amount})
	}
	return nil
}

func (f *Fares) readMetro(b json.RawMessage) error {
	if b == nil {
		return nil
	}
	members, err := readMembers(b, "metro", "stations", "fares")
	if err != nil {
		return err
	}
	if err := f.readStations(members["stations"]); err != nil {
		return err
	}
	rows, err := readList(members["fares"], "metro fares", maxStations)
	if err != nil {
		return err
	}
	if len(rows) != len(f.stations) {
		return fareError("metro fares", fmt.Sprintf("%d rows for %d stations", len(rows), len(f.stations)))
	}
	for i, row := range rows {
		if err := f.readRow(row, f.stations[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fares) readStations(b json.RawMessage) error {
	entries, err := readList(b, "metro stations", maxStations)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return fareError("metro stations", "missing or empty")
	}
	for i, entry := range entries {
		name, err := readName(entry, fmt.Sprintf("metro station %d", i))
		if err != nil {
			return err
		}
		if _, twice := f.byName[name]; twice {
			return fareError(fmt.Sprintf("metro station %d", i), fmt.Sprintf("%q stands twice", name))
		}
		f.byName[name] = i
		f.stations = append(f.stations, name)
	}
	return nil
}

func (f *Fares) readRow(b json.RawMessage, from string) error {
	entries, err := readList(b, fmt.Sprintf("metro fares from %q", from), maxStations)
	if err != nil {
		return err
	}
	if len(entries) != len(f.stations) {
		return fareError(fmt.Sprintf("metro fares from %q", from), fmt.Sprintf("%d columns for %d stations", len(entries), len(f.stations)))
	}
	row := make([]money.Fen, len(entries))
	for i, entry := range entries {
		if string(entry) == "null" {
			continue
		}
		if row[i], err = readFare(entry, fmt.Sprintf("metro fare from %q to %q", from, f.stations[i])); err != nil {
			return err
		}
	}
	f.metro = append(f.metro, row)
	return nil
}

// readMembers takes a JSON object apart. Names are exact and stand once: two readers must not find two
// fares. Those that are not there are nil.
func readMembers(b []byte, where string, names ...string) (map[string]json.RawMessage, error) {
	if !json.Valid(b) {
		return nil, fareError(where, "missing, or not JSON")
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	if opening, err := decoder.Token(); err != nil || opening != json.Delim('{') {
		return nil, fareError(where, "not a JSON object")
	}
	members := map[string]json.RawMessage{}
	for decoder.More() {
		token, err := decoder.Token()
		name, _ := token.(string)
		if err != nil || !slices.Contains(names, name) {
			return nil, fareError(where, fmt.Sprintf("%.40q is none of its names %q", name, names))
		}
		if members[name] != nil {
			return nil, fareError(where, fmt.Sprintf("%q stands twice", name))
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil && !errors.Is(err, io.EOF) {
			return nil, fareError(where, "not JSON")
		}
		members[name] = value
	}
	return members, nil
}

func readList(b json.RawMessage, where string, countMax int) ([]json.RawMessage, error) {
	if b == nil {
		return nil, nil
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(b, &entries); err != nil || entries == nil {
		return nil, fareError(where, "not a JSON list")
	}
	if len(entries) > countMax {
		return nil, fareError(where, fmt.Sprintf("more than %d entries", countMax))
	}
	return entries, nil
}

func readName(b json.RawMessage, where string) (string, error) {
	name, isText := readText(b)
	if !isText || name == "" || len(name) > maxFareNameSize {
		return "", fareError(where, "missing, or not a text of 1 to 256 bytes")
	}
	return name, nil
}

func readFare(b json.RawMessage, where string) (money.Fen, error) {
	text, isText := readText(b)
	if !isText {
		return 0, fareError(where, `missing, or not an amount as text, like "2.00"`)
	}
	amount, err := money.ParseYuan(text)
	if err != nil {
		return 0, fareError(where, err.Error())
	}
	if amount <= 0 || amount > maxFareFen {
		return 0, fareError(where, "not from 0.01 to 655.35, what a code's limit can allow")
	}
	return amount, nil
}

func readText(b json.RawMessage) (string, bool) {
	var text *string
	if b == nil || json.Unmarshal(b, &text) != nil || text == nil {
		return "", false
	}
	return *text, true
}

// AppendJSON writes the table as ParseFares reads it.
func (f *Fares) AppendJSON(dst []byte) []byte {
	dst = form.AppendJSONString(append(dst, `{"version":`...), f.version)
	dst = append(dst, `,"buses":[`...)
	for i, line := range f.lines {
		dst = form.AppendJSONString(append(appendComma(dst, i), `{"line":`...), line.name)
		dst = append(form.AppendJSONString(append(dst, `,"fare":`...), line.fareFen.Yuan()), '}')
	}
	dst = append(dst, ']')
	if len(f.stations) > 0 {
		dst = f.appendMetro(dst)
	}
	return append(dst, '}')
}

func (f *Fares) appendMetro(dst []byte) []byte {
	dst = append(dst, `,"metro":{"stations":[`...)
	for i, name := range f.stations {
		dst = form.AppendJSONString(appendComma(dst, i), name)
	}
	dst = append(dst, `],"fares":[`...)
	for i, row := range f.metro {
		dst = append(appendComma(dst, i), '[')
		for j, amount := range row {
			if dst = appendComma(dst, j); amount == 0 {
				dst = append(dst, "null"...)
			} else {
				dst = form.AppendJSONString(dst, amount.Yuan())
			}
		}
		dst = append(dst, ']')
	}
	return append(dst, "]}"...)
}

func appendComma(dst []byte, index int) []byte {
	if index > 0 {
		dst = append(dst, ',')
	}
	return dst
}

func fareError(where, why string) error {
	return &form.Error{Field: "fares, " + where, Offset: -1, Clause: clauseFares, Why: why}
}
