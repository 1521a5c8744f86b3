package fare

import (
	"fmt"
	"strings"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

// ownBasis is a table of our own files.
type ownBasis struct {
	table     string
	lines     map[string]line
	groupSet  set
	names     map[ridecode.Quad]string // of identities
	stations  map[string]station       // of stations.csv
	zones     map[[2]string]cell       // of zones.csv, both ways
	matrix    matrix
	distances distances
}

// line is a row of lines.csv.
type line struct {
	group  string
	method method
	fen    money.Fen // of a flat fare
	source Source
}

// method is how a line's fares are found.
type method string

// The methods; any other cell is an amount.
const (
	flat       method = "flat"
	byZone     method = "zone"
	byMatrix   method = "matrix"
	byDistance method = "distance"
)

type station struct {
	zone   string
	source Source
}

// cell is an amount and where it stands.
type cell struct {
	fen    money.Fen
	source Source
}

func (p *parser) readOwn() {
	b := &ownBasis{table: p.t.name, lines: map[string]line{}, groupSet: set{}, stations: map[string]station{}, zones: map[[2]string]cell{}}
	p.t.basis = b
	p.readLines(b)
	p.readStations(b)
	p.readZones(b)
	p.readMatrix(&b.matrix)
	p.readDistances(&b.distances)
	p.checkMethods(b)
	p.readTimes(b.groupSet)
	b.names = p.readIdentities(b.groupSet)
	p.readTransfers(b)
}

// readLines reads line,group,fare: an amount, or zone, matrix or distance.
func (p *parser) readLines(b *ownBasis) {
	p.each("lines.csv", maxLinesCount, form.Columns{Required: []string{"line", "group", "fare"}}, func(row form.Row) {
		name, l := p.text(row, "line"), line{group: p.word(row, "group"), method: method(row.Cell("fare")), source: sourceOf(row)}
		if _, twice := b.lines[name]; twice {
			p.fail(row.Fault("line", fmt.Sprintf("%q stands twice", name)))
		}
		if l.method != byZone && l.method != byMatrix && l.method != byDistance {
			var why string
			if l.fen, why = readAmount(row.Cell("fare")); why != "" {
				p.fail(row.Fault("fare", why+", and none of zone, matrix, distance"))
			}
			l.method = flat
		}
		b.lines[name], b.groupSet[l.group] = l, true
	})
	if p.err == nil && len(b.lines) == 0 {
		p.failFile("lines.csv", "names no line")
	}
}

// readStations reads station,zone.
func (p *parser) readStations(b *ownBasis) {
	p.each("stations.csv", maxLinesCount, form.Columns{Required: []string{"station", "zone"}}, func(row form.Row) {
		name := p.text(row, "station")
		if _, twice := b.stations[name]; twice {
			p.fail(row.Fault("station", fmt.Sprintf("%q stands twice", name)))
		}
		b.stations[name] = station{zone: p.text(row, "zone"), source: sourceOf(row)}
	})
}

// readZones reads from,to,fare. A row is for both directions, unless the other has a row of its own.
func (p *parser) readZones(b *ownBasis) {
	known := map[string]bool{}
	for _, s := range b.stations {
		known[s.zone] = true
	}
	reverse := map[[2]string]cell{}
	p.each("zones.csv", maxRules, form.Columns{Required: []string{"from", "to", "fare"}}, func(row form.Row) {
		pair := [2]string{row.Cell("from"), row.Cell("to")}
		for i, column := range []string{"from", "to"} {
			if !known[pair[i]] {
				p.fail(row.Fault(column, fmt.Sprintf("no station of stations.csv lies in zone %q", pair[i])))
			}
		}
		if _, twice := b.zones[pair]; twice {
			p.fail(row.Fault("from", fmt.Sprintf("%q to %q stands twice", pair[0], pair[1])))
		}
		b.zones[pair] = cell{fen: p.amount(row, "fare"), source: sourceOf(row)}
		reverse[[2]string{pair[1], pair[0]}] = b.zones[pair]
	})
	for pair, backwards := range reverse {
		if _, own := b.zones[pair]; !own {
			b.zones[pair] = backwards
		}
	}
}

// checkMethods wants the file that a line's method asks for.
func (p *parser) checkMethods(b *ownBasis) {
	needs := map[method][]string{byZone: {"stations.csv", "zones.csv"}, byMatrix: {"matrix.csv"}, byDistance: {"links.csv", "distance.csv"}}
	for _, name := range sortedKeys(b.lines) {
		l := b.lines[name]
		for _, file := range needs[l.method] {
			if _, there := p.files[file]; !there {
				p.fail(&form.CellError{File: l.source.File, Line: l.source.Row, Column: "fare",
					Why: fmt.Sprintf("line %q is priced by %s, and there is no %s", name, l.method, file)})
			}
		}
	}
}

func (b *ownBasis) groups() set                        { return b.groupSet }
func (b *ownBasis) identity(quad ridecode.Quad) string { return b.names[quad] }

func (b *ownBasis) unknown(format string, args ...any) error {
	if b.table != "" {
		format = "table " + strings.ReplaceAll(b.table, "%", "%%") + " " + format
	} else {
		format = "the table " + format
	}
	return &Unknown{Why: fmt.Sprintf(format, args...)}
}

func (b *ownBasis) lineOf(name string) (line, error) {
	l, known := b.lines[name]
	if !known {
		return line{}, b.unknown("has no line %q: add it to lines.csv", name)
	}
	return l, nil
}

func (b *ownBasis) groupOf(trip Trip) (string, error) {
	l, err := b.lineOf(trip.Line)
	return l.group, err
}

func (b *ownBasis) leg(trip Trip) (leg, error) {
	l, err := b.lineOf(trip.Line)
	if err != nil {
		return leg{}, err
	}
	if trip.Kind == Through && trip.EndLine != trip.Line {
		end, err := b.lineOf(trip.EndLine)
		if err != nil {
			return leg{}, err
		}
		if end.group != l.group {
			return leg{}, b.unknown("has no fare from line %q (%s) out of line %q (%s): they are of two groups", trip.Line, l.group, trip.EndLine, end.group)
		}
	}
	if trip.Kind == Single && l.method != flat {
		return leg{}, b.unknown("prices line %q by %s, and this tap has no exit", trip.Line, l.method)
	}
	amount, why, err := b.fareOf(l, trip)
	if err != nil {
		return leg{}, err
	}
	base := Line{Kind: Base, Why: why, Source: amount.source, AmountFen: amount.fen}
	return leg{trip: trip, group: l.group, ticket: l.group, lines: []Line{base}, fullFen: amount.fen}, nil
}

func (b *ownBasis) fareOf(l line, trip Trip) (amount cell, why string, err error) {
	switch l.method {
	case flat:
		return cell{l.fen, l.source}, fmt.Sprintf("line %s, flat", trip.Line), nil
	case byZone:
		return b.zoneFare(trip)
	case byMatrix:
		amount, err := b.matrix.fare(b, trip.From, trip.To)
		return amount, fmt.Sprintf("%s to %s", trip.From, trip.To), err
	}
	amount, metres, err := b.distances.fare(b, trip.From, trip.To)
	return amount, fmt.Sprintf("%s to %s, %d m", trip.From, trip.To, metres), err
}

func (b *ownBasis) zoneFare(trip Trip) (cell, string, error) {
	from, known := b.stations[trip.From]
	if !known {
		return cell{}, "", b.unknown("has no station %q: add it to stations.csv", trip.From)
	}
	to, known := b.stations[trip.To]
	if !known {
		return cell{}, "", b.unknown("has no station %q: add it to stations.csv", trip.To)
	}
	amount, known := b.zones[[2]string{from.zone, to.zone}]
	if !known {
		return cell{}, "", b.unknown("has no fare from zone %q to zone %q: add it to zones.csv", from.zone, to.zone)
	}
	return amount, fmt.Sprintf("%s (zone %s) to %s (zone %s)", trip.From, from.zone, trip.To, to.zone), nil
}

// most is the highest fare from the station of an entry, or to that of an exit.
func (b *ownBasis) most(trip Trip) (money.Fen, Source, error) {
	l, err := b.lineOf(trip.Line)
	if err != nil {
		return 0, Source{}, err
	}
	at, leaving := trip.From, true
	if trip.Kind == NoEntry {
		at, leaving = trip.To, false
	}
	var highest cell
	found := false
	take := func(amount cell) {
		if !found || amount.fen > highest.fen {
			highest, found = amount, true
		}
	}
	switch l.method {
	case flat:
		take(cell{l.fen, l.source})
	case byZone:
		b.eachZone(at, leaving, take)
	case byMatrix:
		b.matrix.each(at, leaving, take)
	case byDistance:
		b.distances.each(at, take)
	}
	if !found {
		return 0, Source{}, b.unknown("has no fare from or to %q", at)
	}
	return highest.fen, highest.source, nil
}

func (b *ownBasis) eachZone(at string, leaving bool, take func(cell)) {
	s, known := b.stations[at]
	for pair, amount := range b.zones {
		if known && (leaving && pair[0] == s.zone || !leaving && pair[1] == s.zone) {
			take(amount)
		}
	}
}
