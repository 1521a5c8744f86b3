package fare_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/merchant/fare"
)

// The oracle prices a day as a journey planner does: it tries every way to cut the day's legs into
// journeys whose legs follow each other as transfers, and takes the cheapest that the rules allow. It
// shares no code with the engine; it reads no CSV; its arithmetic is that of fractions.

// oracleTable is a table as the oracle knows it.
type oracleTable struct {
	flat      []money.Fen    // by bus
	matrix    [][]money.Fen  // by station
	percent   map[byte]int64 // by identity
	transfers map[[2]string]oracleTransfer
	capFen    money.Fen // of a day; 0: none
	unitFen   money.Fen
}

type oracleTransfer struct {
	withinMin int
	counted   string // entry, exit or first
	times     int    // 0: any
	pays      string // as the file has it
}

// oracleLeg is a ride as the oracle knows it.
type oracleLeg struct {
	line            string
	group           string
	fullFen         *big.Rat // exact, after the identity
	startMin, exits int      // minutes of the day
}

func (o oracleTable) files() fare.Files {
	var lines, matrix, identities, transfers strings.Builder
	lines.WriteString("line,group,fare\n")
	for i, fen := range o.flat {
		fmt.Fprintf(&lines, "b%d,bus,%s\n", i, fen.Yuan())
	}
	lines.WriteString("m,metro,matrix\n")
	matrix.WriteString("from")
	for i := range o.matrix {
		fmt.Fprintf(&matrix, ",s%d", i)
	}
	for i, row := range o.matrix {
		fmt.Fprintf(&matrix, "\ns%d", i)
		for _, fen := range row {
			fmt.Fprintf(&matrix, ",%s", fen.Yuan())
		}
	}
	identities.WriteString("identity,name,group,days,from,until,pays\n")
	for id, percent := range o.percent {
		fmt.Fprintf(&identities, "000000%02x,id%d,*,*,00:00,24:00,%d%%\n", id, id, percent)
	}
	transfers.WriteString("name,from,to,same_line,within_minutes,counted_from,times,pays\n")
	for pair, rule := range o.transfers {
		times := ""
		if rule.times > 0 {
			times = fmt.Sprint(rule.times)
		}
		fmt.Fprintf(&transfers, "t,%s,%s,yes,%d,%s,%s,%s\n", pair[0], pair[1], rule.withinMin, rule.counted, times, rule.pays)
	}
	files := fare.Files{"lines.csv": []byte(lines.String()), "matrix.csv": []byte(matrix.String() + "\n"), "identities.csv": []byte(identities.String()),
		"transfers.csv": []byte(transfers.String()), "settings.csv": []byte("name,value\nround_to," + o.unitFen.Yuan() + "\n")}
	if o.capFen > 0 {
		files["caps.csv"] = []byte("cap,period,group,identity,over,pays\nday,day,*,*," + o.capFen.Yuan() + ",0%\n")
	}
	return files
}

// drawTable draws a table. Where cheapest is set the rules are such that the cheapest way is the right
// one: no transfer depends on more than the trip before it.
func drawTable(rt *rapid.T, cheapest bool) oracleTable {
	amount := rapid.Custom(func(rt *rapid.T) money.Fen { return money.Fen(rapid.IntRange(0, 60).Draw(rt, "10 fen") * 10) })
	o := oracleTable{percent: map[byte]int64{}, transfers: map[[2]string]oracleTransfer{}}
	o.flat = rapid.SliceOfN(amount, 1, 3).Draw(rt, "flat")
	stations := rapid.IntRange(1, 4).Draw(rt, "stations")
	for range stations {
		o.matrix = append(o.matrix, rapid.SliceOfN(amount, stations, stations).Draw(rt, "row"))
	}
	for id := range rapid.IntRange(0, 2).Draw(rt, "identities") {
		o.percent[byte(id+1)] = rapid.Int64Range(0, 100).Draw(rt, "percent")
	}
	for _, pair := range [][2]string{{"bus", "bus"}, {"bus", "metro"}, {"metro", "bus"}, {"metro", "metro"}} {
		if rapid.Bool().Draw(rt, "transfer") {
			o.transfers[pair] = drawTransfer(rt, cheapest)
		}
	}
	if rapid.Bool().Draw(rt, "cap") {
		o.capFen = money.Fen(rapid.IntRange(1, 30).Draw(rt, "cap yuan")) * 100
	}
	o.unitFen = rapid.SampledFrom([]money.Fen{1, 10, 50}).Draw(rt, "unit")
	return o
}

func drawTransfer(rt *rapid.T, cheapest bool) oracleTransfer {
	rule := oracleTransfer{withinMin: rapid.IntRange(1, 180).Draw(rt, "within"), counted: rapid.SampledFrom([]string{"entry", "exit"}).Draw(rt, "counted")}
	pays := []string{"0%", "33%", "50%", "100%", "1.00", "-1.00", "-0.50"}
	if !cheapest {
		pays = append(pays, "higher")
		rule.counted = rapid.SampledFrom([]string{"entry", "exit", "first"}).Draw(rt, "counted")
		rule.times = rapid.IntRange(0, 2).Draw(rt, "times")
	}
	rule.pays = rapid.SampledFrom(pays).Draw(rt, "pays")
	return rule
}

// drawDay draws the legs of a day, as the engine and as the oracle take them, in order of time.
func drawDay(rt *rapid.T, o oracleTable) ([]fare.Trip, []oracleLeg) {
	midnight := time.Date(2026, 7, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600))
	identity := byte(rapid.IntRange(0, 3).Draw(rt, "identity"))
	minute := 5 * 60
	var trips []fare.Trip
	var legs []oracleLeg
	for range rapid.IntRange(0, 7).Draw(rt, "legs") {
		minute += rapid.IntRange(1, 120).Draw(rt, "later")
		ride, base := oracleLeg{startMin: minute, exits: minute}, money.Fen(0)
		trip := fare.Trip{Start: midnight.Add(time.Duration(minute) * time.Minute).UTC()}
		if rapid.Bool().Draw(rt, "bus") {
			at := rapid.IntRange(0, len(o.flat)-1).Draw(rt, "line")
			ride.line, ride.group, base = fmt.Sprint("b", at), "bus", o.flat[at]
		} else {
			from, to := rapid.IntRange(0, len(o.matrix)-1).Draw(rt, "from"), rapid.IntRange(0, len(o.matrix)-1).Draw(rt, "to")
			minute += rapid.IntRange(1, 60).Draw(rt, "ride")
			ride.line, ride.group, ride.exits, base = "m", "metro", minute, o.matrix[from][to]
			trip.Kind, trip.EndLine, trip.From, trip.To = fare.Through, "m", fmt.Sprint("s", from), fmt.Sprint("s", to)
			trip.End = midnight.Add(time.Duration(minute) * time.Minute).UTC()
		}
		ride.fullFen = new(big.Rat).SetInt64(int64(base))
		if percent, known := o.percent[identity]; known {
			ride.fullFen.Mul(ride.fullFen, big.NewRat(percent, 100))
		}
		trip.Line, trip.Identity[3] = ride.line, identity
		trips, legs = append(trips, trip), append(legs, ride)
	}
	return trips, legs
}

// rounded is an exact amount rounded down to the unit, unless no percentage was applied to it.
func (o oracleTable) rounded(exact *big.Rat, percent bool) money.Fen {
	if !percent {
		return money.Fen(exact.Num().Int64())
	}
	units := new(big.Rat).Quo(exact, big.NewRat(int64(o.unitFen), 1))
	return money.Fen(new(big.Int).Quo(units.Num(), units.Denom()).Int64()) * o.unitFen
}

func (o oracleTable) full(l oracleLeg, identity bool) money.Fen {
	return o.rounded(l.fullFen, identity)
}

// journey is what legs cost that follow each other as transfers; false where the rules do not allow it.
func (o oracleTable) journey(legs []oracleLeg, identity bool) (money.Fen, bool) {
	cost := o.full(legs[0], identity)
	top := cost
	for i, next := range legs[1:] {
		before := legs[i]
		rule, known := o.transfers[[2]string{before.group, next.group}]
		since := map[string]int{"entry": before.startMin, "exit": before.exits, "first": legs[0].startMin}[rule.counted]
		if !known || next.startMin-since > rule.withinMin || rule.times > 0 && i >= rule.times {
			return 0, false
		}
		full := o.full(next, identity)
		cost += o.changed(next, rule.pays, full, top)
		top = max(top, full)
	}
	return cost, true
}

func (o oracleTable) changed(next oracleLeg, pays string, full, top money.Fen) money.Fen {
	var percent int64
	if n, _ := fmt.Sscanf(pays, "%d%%", &percent); n == 1 && strings.HasSuffix(pays, "%") {
		return o.rounded(new(big.Rat).Mul(next.fullFen, big.NewRat(percent, 100)), true)
	}
	switch pays {
	case "1.00":
		return min(full, 100)
	case "-1.00":
		return max(0, full-100)
	case "-0.50":
		return max(0, full-50)
	}
	return max(0, full-top)
}

// cheapest tries every way to cut the day into journeys.
func (o oracleTable) cheapest(legs []oracleLeg, identity bool) money.Fen {
	if len(legs) == 0 {
		return 0
	}
	best := money.Fen(-1)
	for cuts := range 1 << (len(legs) - 1) {
		total, allowed, start := money.Fen(0), true, 0
		for i := range legs {
			if i < len(legs)-1 && cuts>>i&1 == 0 {
				continue
			}
			cost, good := o.journey(legs[start:i+1], identity)
			total, allowed, start = total+cost, allowed && good, i+1
		}
		if o.capFen > 0 {
			total = min(total, o.capFen)
		}
		if allowed && (best < 0 || total < best) {
			best = total
		}
	}
	return best
}

func engineTotal(rt *rapid.T, o oracleTable, trips []fare.Trip) (total money.Fen) {
	tariff, err := fare.Parse(o.files())
	if err != nil {
		rt.Fatal(err)
	}
	if len(trips) == 0 {
		return 0
	}
	results, _ := tariff.Price(tariff.DayOf(trips[0].Start), trips, nil)
	for _, result := range results {
		if result.Err != nil || fare.Sum(result.Fare.Lines) != result.Fare.AmountFen {
			rt.Fatalf("%+v", result)
		}
		total += result.Fare.AmountFen
	}
	return total
}

// Where no transfer depends on more than the trip before it, the engine's day is the cheapest there is.
func TestOracle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := drawTable(rt, true)
		trips, legs := drawDay(rt, o)
		_, discounted := o.percent[identityOf(trips)]
		if got, want := engineTotal(rt, o, trips), o.cheapest(legs, discounted); got != want {
			rt.Fatalf("the engine says %s, the cheapest way is %s", got, want)
		}
	})
}

// Where transfers are counted, or look at the first trip or the dearest one, the engine takes each as soon
// as it may, as a gate would: never cheaper than the cheapest way, never dearer than no transfer at all.
func TestOracleBounds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := drawTable(rt, false)
		trips, legs := drawDay(rt, o)
		_, discounted := o.percent[identityOf(trips)]
		got, least := engineTotal(rt, o, trips), o.cheapest(legs, discounted)
		o.transfers = nil
		if most := o.cheapest(legs, discounted); got < least || got > most {
			rt.Fatalf("the engine says %s, the ways are from %s to %s", got, least, most)
		}
	})
}

func identityOf(trips []fare.Trip) byte {
	if len(trips) == 0 {
		return 0
	}
	return trips[0].Identity[3]
}

// The documented difference: one free transfer a journey, and the dear ride comes last. Who takes the
// transfer at once pays the dear ride in full; the cheapest way would have kept it.
func TestGreedyIsNotAlwaysCheapest(t *testing.T) {
	o := oracleTable{flat: []money.Fen{100, 100, 500}, matrix: [][]money.Fen{{0}}, percent: map[byte]int64{}, unitFen: 1,
		transfers: map[[2]string]oracleTransfer{{"bus", "bus"}: {withinMin: 60, counted: "entry", times: 1, pays: "0%"}}}
	var trips []fare.Trip
	var legs []oracleLeg
	for i, fen := range o.flat {
		minute := 8*60 + 10*i
		trips = append(trips, fare.Trip{Line: fmt.Sprint("b", i), Start: time.Date(2026, 7, 1, 0, minute, 0, 0, time.UTC)})
		legs = append(legs, oracleLeg{line: fmt.Sprint("b", i), group: "bus", fullFen: big.NewRat(int64(fen), 1), startMin: minute, exits: minute})
	}
	tariff := parse(t, o.files())
	results, _ := tariff.Price(tariff.DayOf(trips[0].Start), trips, nil)
	total := results[0].Fare.AmountFen + results[1].Fare.AmountFen + results[2].Fare.AmountFen
	if least := o.cheapest(legs, false); total != 600 || least != 200 {
		t.Errorf("the engine says %s, the cheapest way is %s", total, least)
	}
}
