package fare

import (
	"container/heap"
	"fmt"
	"math"
	"strings"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
)

// matrix is matrix.csv: a row for each station where trips begin, a column for each where they end. An
// empty cell says that there is no such trip.
type matrix struct {
	file    string
	rowOf   map[string]int
	columns map[string]int
	lines   []int         // of each row in the file
	fares   [][]money.Fen // [row][column]; noFare where there is none
}

const noFare money.Fen = -1

func (p *parser) readMatrix(m *matrix) {
	content, there := p.files["matrix.csv"]
	if !there || p.err != nil {
		return
	}
	m.file, m.rowOf, m.columns = p.t.fileName("matrix.csv"), map[string]int{}, map[string]int{}
	table, err := form.ParseCSV(m.file, content, form.Columns{Required: []string{"from"}, Others: true})
	if err != nil {
		p.fail(err)
		return
	}
	if len(table.Names) > maxStations+1 || len(table.Rows) > maxStations {
		p.failFile("matrix.csv", fmt.Sprintf("more than %d stations", maxStations))
		return
	}
	for i, name := range table.Names[1:] {
		if name == "" || strings.TrimSpace(name) != name || table.Names[0] != "from" {
			p.failFile("matrix.csv", fmt.Sprintf("its first line is from and then stations: %q is none", name))
			return
		}
		m.columns[name] = i
	}
	for _, row := range table.Rows {
		p.readMatrixRow(m, table, row)
	}
	for _, name := range sortedKeys(m.rowOf) {
		if _, there := m.columns[name]; !there {
			p.fail(table.Rows[m.rowOf[name]].Fault("from", fmt.Sprintf("%q has a row and no column", name)))
		}
	}
}

func (p *parser) readMatrixRow(m *matrix, table *form.CSV, row form.Row) {
	name := p.text(row, "from")
	if _, twice := m.rowOf[name]; twice {
		p.fail(row.Fault("from", fmt.Sprintf("%q stands twice", name)))
	}
	fares := make([]money.Fen, len(table.Names)-1)
	for i, to := range table.Names[1:] {
		fares[i] = noFare
		if row.Cell(to) != "" {
			fares[i] = p.amount(row, to)
		}
	}
	m.rowOf[name], m.lines, m.fares = len(m.fares), append(m.lines, row.Line), append(m.fares, fares)
}

func (m *matrix) fare(b *ownBasis, from, to string) (cell, error) {
	row, known := m.rowOf[from]
	if !known {
		return cell{}, b.unknown("has no station %q: add its row to matrix.csv", from)
	}
	column, known := m.columns[to]
	if !known {
		return cell{}, b.unknown("has no station %q: add its column to matrix.csv", to)
	}
	if m.fares[row][column] == noFare {
		return cell{}, b.unknown("has no fare from %q to %q: matrix.csv, line %d", from, to, m.lines[row])
	}
	return m.at(row, column), nil
}

func (m *matrix) at(row, column int) cell {
	return cell{fen: m.fares[row][column], source: Source{File: m.file, Row: m.lines[row]}}
}

func (m *matrix) each(at string, leaving bool, take func(cell)) {
	own, known := m.rowOf[at]
	column, knownTo := m.columns[at]
	for row := range m.fares {
		if !leaving && knownTo && m.fares[row][column] != noFare {
			take(m.at(row, column))
		}
	}
	if leaving && known {
		for column, fen := range m.fares[own] {
			if fen != noFare {
				take(m.at(own, column))
			}
		}
	}
}

// distances are links.csv, from which the shortest way follows, and distance.csv, what that costs.
type distances struct {
	index  map[string]int
	metres [][]int32 // [from][to], shortest; noWay where there is none
	bands  []band    // by over, ascending; the first is over 0
}

const noWay = math.MaxInt32

// band is a row of distance.csv: a distance of more than overMetres costs fareFen, and eachFen more for
// each further eachMetres begun, where there are such.
type band struct {
	overMetres int
	fareFen    money.Fen
	eachMetres int
	eachFen    money.Fen
	source     Source
}

const maxMetres = 10_000_000

func (p *parser) readDistances(d *distances) {
	links := p.readLinks(d)
	p.readBands(d)
	if p.err != nil {
		return
	}
	for from := range links {
		d.metres = append(d.metres, shortest(links, from))
	}
}

type link struct {
	to     int
	metres int64
}

// readLinks reads from,to,metres; a link is for both directions.
func (p *parser) readLinks(d *distances) [][]link {
	d.index = map[string]int{}
	var links [][]link
	indexOf := func(row form.Row, column string) int {
		name := p.text(row, column)
		if _, met := d.index[name]; !met {
			d.index[name] = len(links)
			links = append(links, nil)
		}
		return d.index[name]
	}
	seen := map[[2]int]bool{}
	p.each("links.csv", maxRules, form.Columns{Required: []string{"from", "to", "metres"}}, func(row form.Row) {
		from, to, metres := indexOf(row, "from"), indexOf(row, "to"), int64(p.count(row, "metres", 1, maxMetres))
		if from == to || seen[[2]int{from, to}] {
			p.fail(row.Fault("to", "the same station, or a link that stands above already: each counts for both directions"))
		}
		seen[[2]int{from, to}], seen[[2]int{to, from}] = true, true
		links[from], links[to] = append(links[from], link{to, metres}), append(links[to], link{from, metres})
	})
	if len(links) > maxStations {
		p.failFile("links.csv", fmt.Sprintf("more than %d stations", maxStations))
	}
	return links
}

// readBands reads over_metres,fare,each_metres,each_fare.
func (p *parser) readBands(d *distances) {
	columns := form.Columns{Required: []string{"over_metres", "fare"}, Optional: []string{"each_metres", "each_fare"}}
	p.each("distance.csv", maxRules, columns, func(row form.Row) {
		next := band{overMetres: p.count(row, "over_metres", 0, maxMetres), fareFen: p.amount(row, "fare"), source: sourceOf(row)}
		if (row.Cell("each_metres") == "") != (row.Cell("each_fare") == "") {
			p.fail(row.Fault("each_metres", "each_metres and each_fare stand together, or neither does"))
		}
		if row.Cell("each_metres") != "" {
			next.eachMetres, next.eachFen = p.count(row, "each_metres", 1, maxMetres), p.amount(row, "each_fare")
		}
		switch {
		case len(d.bands) == 0 && next.overMetres != 0:
			p.fail(row.Fault("over_metres", "the first row is for distances over 0"))
		case len(d.bands) > 0 && next.overMetres <= d.bands[len(d.bands)-1].overMetres:
			p.fail(row.Fault("over_metres", "not more than in the row above"))
		}
		d.bands = append(d.bands, next)
	})
	if _, there := p.files["distance.csv"]; there && p.err == nil && len(d.bands) == 0 {
		p.failFile("distance.csv", "has no row")
	}
}

// price is what a distance costs; a longer way than any code allows costs what a code allows.
func (d *distances) price(metres int) cell {
	at := d.bands[0]
	for _, next := range d.bands[1:] {
		if metres <= next.overMetres {
			break
		}
		at = next
	}
	fen := at.fareFen
	if further := metres - at.overMetres; at.eachMetres > 0 && further > 0 {
		fen += money.Fen((further+at.eachMetres-1)/at.eachMetres) * at.eachFen
	}
	return cell{fen: min(fen, maxFare), source: at.source}
}

func (d *distances) fare(b *ownBasis, from, to string) (cell, int, error) {
	start, known := d.index[from]
	if !known {
		return cell{}, 0, b.unknown("has no station %q: add its links to links.csv", from)
	}
	end, known := d.index[to]
	if !known {
		return cell{}, 0, b.unknown("has no station %q: add its links to links.csv", to)
	}
	metres := d.metres[start][end]
	if metres == noWay {
		return cell{}, 0, b.unknown("has no way from %q to %q: links.csv does not connect them", from, to)
	}
	return d.price(int(metres)), int(metres), nil
}

func (d *distances) each(at string, take func(cell)) {
	index, known := d.index[at]
	if !known {
		return
	}
	for _, metres := range d.metres[index] {
		if metres != noWay {
			take(d.price(int(metres)))
		}
	}
}

// shortest goes from one station to all others (Dijkstra).
func shortest(links [][]link, from int) []int32 {
	metres := make([]int32, len(links))
	for i := range metres {
		metres[i] = noWay
	}
	metres[from] = 0
	reached := &frontier{{from, 0}}
	for reached.Len() > 0 {
		here := heap.Pop(reached).(link)
		if here.metres > int64(metres[here.to]) {
			continue
		}
		for _, next := range links[here.to] {
			if total := here.metres + next.metres; total < int64(metres[next.to]) {
				metres[next.to] = int32(total)
				heap.Push(reached, link{next.to, total})
			}
		}
	}
	return metres
}

// frontier is a heap of stations by distance.
type frontier []link

func (f frontier) Len() int           { return len(f) }
func (f frontier) Less(i, j int) bool { return f[i].metres < f[j].metres }
func (f frontier) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *frontier) Push(x any)        { *f = append(*f, x.(link)) }

// Pop takes the last, as container/heap asks for it.
func (f *frontier) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}
