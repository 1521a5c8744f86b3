package fare_test

import (
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/merchant/fare"
)

// BenchmarkDay prices a rider's day of six rides with transfers and a cap, and beside it lets the oracle of
// the tests try every way to cut it into journeys.
func BenchmarkDay(b *testing.B) {
	o := oracleTable{flat: []money.Fen{200, 100, 200, 100, 200, 100}, matrix: [][]money.Fen{{0}}, percent: map[byte]int64{1: 50}, unitFen: 10, capFen: 500,
		transfers: map[[2]string]oracleTransfer{{"bus", "bus"}: {withinMin: 60, counted: "entry", pays: "50%"}}}
	tariff := parse(b, o.files())
	var trips []fare.Trip
	var legs []oracleLeg
	for i, fen := range o.flat {
		minute := 8*60 + 40*i
		trip := fare.Trip{Line: fmt.Sprint("b", i), Start: time.Date(2026, 7, 1, 0, minute, 0, 0, time.UTC)}
		trip.Identity[3] = 1
		trips = append(trips, trip)
		exact := big.NewRat(int64(fen), 2)
		legs = append(legs, oracleLeg{line: trip.Line, group: "bus", fullFen: exact, startMin: minute, exits: minute})
	}
	day := tariff.DayOf(trips[0].Start)
	b.Run("engine", func(b *testing.B) {
		for b.Loop() {
			tariff.Price(day, trips, nil)
		}
		b.ReportMetric(float64(b.N*len(trips))/b.Elapsed().Seconds(), "rides/s")
	})
	b.Run("every way", func(b *testing.B) {
		for b.Loop() {
			o.cheapest(legs, true)
		}
		b.ReportMetric(float64(b.N*len(trips))/b.Elapsed().Seconds(), "rides/s")
	})
}
