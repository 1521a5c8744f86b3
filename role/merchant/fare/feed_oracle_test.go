package fare_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/merchant/fare"
)

// feedOracle is a feed as the oracle knows it: it goes through all rules for each leg and tries every way
// to cut a day into journeys, as a planner does.
type feedOracle struct {
	rules     []feedRule
	transfers map[[2]string]feedTransfer
	products  []money.Fen
}

type feedRule struct {
	group, network, from, to string
	product                  int
}

type feedTransfer struct {
	cost     int // fare_transfer_type
	product  int // -1: none
	limitMin int // 0: none
	between  int
}

type feedLeg struct {
	network, from, to string
	start, end        int // minutes
}

func drawFeed(rt *rapid.T) feedOracle {
	o := feedOracle{transfers: map[[2]string]feedTransfer{}}
	for range rapid.IntRange(1, 5).Draw(rt, "products") {
		o.products = append(o.products, money.Fen(rapid.IntRange(0, 20).Draw(rt, "half yuan"))*50)
	}
	product := func() int { return rapid.IntRange(0, len(o.products)-1).Draw(rt, "product") }
	area := rapid.SampledFrom([]string{"", "a1", "a2"})
	seen := map[feedRule]bool{}
	for range rapid.IntRange(1, 8).Draw(rt, "rules") {
		rule := feedRule{network: rapid.SampledFrom([]string{"", "metro", "bus"}).Draw(rt, "network"), from: area.Draw(rt, "from"), to: area.Draw(rt, "to"), product: product()}
		if !seen[rule] {
			seen[rule] = true
			rule.group = rapid.SampledFrom([]string{"", "g1", "g2"}).Draw(rt, "group")
			o.rules = append(o.rules, rule)
		}
	}
	groups := map[string]bool{}
	for _, rule := range o.rules {
		groups[rule.group] = true
	}
	for _, pair := range [][2]string{{"g1", "g1"}, {"g1", "g2"}, {"g2", "g1"}, {"g2", "g2"}} {
		if groups[pair[0]] && groups[pair[1]] && rapid.Bool().Draw(rt, "transfer") {
			o.transfers[pair] = feedTransfer{cost: 0, product: rapid.IntRange(-1, len(o.products)-1).Draw(rt, "product"),
				limitMin: rapid.SampledFrom([]int{0, 30, 90}).Draw(rt, "limit"), between: rapid.IntRange(0, 3).Draw(rt, "between")}
		}
	}
	return o
}

func (o feedOracle) files() fare.Files {
	var products, rules, transfers strings.Builder
	products.WriteString("fare_product_id,amount,currency\n")
	for i, fen := range o.products {
		fmt.Fprintf(&products, "p%d,%s,CNY\n", i, fen.Yuan())
	}
	rules.WriteString("leg_group_id,network_id,from_area_id,to_area_id,fare_product_id\n")
	for _, r := range o.rules {
		fmt.Fprintf(&rules, "%s,%s,%s,%s,p%d\n", r.group, r.network, r.from, r.to, r.product)
	}
	transfers.WriteString("from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type,fare_product_id\n")
	for pair, t := range o.transfers {
		count, limit, between, product := "", "", "", ""
		if pair[0] == pair[1] {
			count = "-1"
		}
		if t.limitMin > 0 {
			limit, between = fmt.Sprint(t.limitMin*60), fmt.Sprint(t.between)
		}
		if t.product >= 0 {
			product = fmt.Sprint("p", t.product)
		}
		fmt.Fprintf(&transfers, "%s,%s,%s,%s,%s,%d,%s\n", pair[0], pair[1], count, limit, between, t.cost, product)
	}
	return fare.Files{
		"agency.txt": []byte("agency_timezone\nAsia/Shanghai\n"), "stops.txt": []byte("stop_id\ns1\ns2\ns3\n"), "areas.txt": []byte("area_id\na1\na2\n"),
		"stop_areas.txt": []byte("area_id,stop_id\na1,s1\na2,s2\n"), "routes.txt": []byte("route_id,network_id\nM,metro\nB,bus\nN,\n"),
		"fare_products.txt": []byte(products.String()), "fare_leg_rules.txt": []byte(rules.String()), "fare_transfer_rules.txt": []byte(transfers.String()),
	}
}

var areaOfStop = map[string]string{"s1": "a1", "s2": "a2", "s3": ""}

// offers are all products that a leg may be ridden with, each with its leg group.
func (o feedOracle) offers(l feedLeg) (offers []feedRule) {
	listed := map[string]bool{}
	for _, r := range o.rules {
		listed["network "+r.network], listed["from "+r.from], listed["to "+r.to] = true, true, true
	}
	meets := func(what, rule, leg string) bool {
		return rule == leg && rule != "" || rule == "" && (leg == "" || !listed[what+" "+leg])
	}
	for _, r := range o.rules {
		if meets("network", r.network, l.network) && meets("from", r.from, areaOfStop[l.from]) && meets("to", r.to, areaOfStop[l.to]) {
			offers = append(offers, r)
		}
	}
	return offers
}

// journey is the least that legs cost which follow each other as transfers, over all offers of each; a
// negative amount says that it cannot be. run is when the transfers of one pair of groups began.
func (o feedOracle) journey(before feedRule, last feedLeg, run *feedLeg, runPair [2]string, rest []feedLeg) money.Fen {
	if len(rest) == 0 {
		return 0
	}
	best := money.Fen(-1)
	for _, offer := range o.offers(rest[0]) {
		pair := [2]string{before.group, offer.group}
		rule, known := o.transfers[pair]
		first := last
		if run != nil && runPair == pair {
			first = *run
		}
		if !known || !o.within(rule, first, rest[0]) {
			continue
		}
		cost := money.Fen(0)
		if rule.product >= 0 {
			cost = o.products[rule.product]
		}
		if further := o.journey(offer, rest[0], &first, pair, rest[1:]); further >= 0 && (best < 0 || cost+further < best) {
			best = cost + further
		}
	}
	return best
}

func (o feedOracle) within(t feedTransfer, first, next feedLeg) bool {
	from, until := first.start, next.start
	if t.between == 2 || t.between == 3 {
		from = first.end
	}
	if t.between == 0 || t.between == 3 {
		until = next.end
	}
	return t.limitMin == 0 || until-from <= t.limitMin
}

// cheapest is the least that a day costs; false where some leg has no fare.
func (o feedOracle) cheapest(legs []feedLeg) (money.Fen, bool) {
	if len(legs) == 0 {
		return 0, true
	}
	best, found := money.Fen(0), false
	for cut := 1; cut <= len(legs); cut++ {
		rest, known := o.cheapest(legs[cut:])
		for _, offer := range o.offers(legs[0]) {
			further := o.journey(offer, legs[0], nil, [2]string{}, legs[1:cut])
			if total := o.products[offer.product] + further + rest; known && further >= 0 && (!found || total < best) {
				best, found = total, true
			}
		}
	}
	return best, found
}

// TestFeedOracle: a leg has the fare that the rules give it and no other; a day never costs less than the
// cheapest way. Where each leg has one offer, and no transfer is measured over more than two legs, it
// costs just that.
func TestFeedOracle(t *testing.T) {
	exact := 0
	rapid.Check(t, func(rt *rapid.T) {
		o := drawFeed(rt)
		tariff, err := fare.Parse(o.files())
		if err != nil {
			rt.Fatal(err)
		}
		midnight := time.Date(2026, 7, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600))
		minute, isSimple := 5*60, true
		var trips []fare.Trip
		var legs []feedLeg
		for range rapid.IntRange(1, 5).Draw(rt, "legs") {
			route := rapid.SampledFrom([]string{"M", "B", "N"}).Draw(rt, "route")
			minute += rapid.IntRange(1, 60).Draw(rt, "later")
			l := feedLeg{network: map[string]string{"M": "metro", "B": "bus"}[route], from: rapid.SampledFrom([]string{"s1", "s2", "s3"}).Draw(rt, "from"),
				to: rapid.SampledFrom([]string{"s1", "s2", "s3"}).Draw(rt, "to"), start: minute}
			minute += rapid.IntRange(1, 40).Draw(rt, "ride")
			l.end = minute
			at := func(m int) time.Time { return midnight.Add(time.Duration(m) * time.Minute).UTC() }
			trip := fare.Trip{Kind: fare.Through, Line: route, EndLine: route, From: l.from, To: l.to, Start: at(l.start), End: at(l.end)}
			offers := o.offers(l)
			results, _ := tariff.Price(tariff.DayOf(trip.Start), []fare.Trip{trip}, nil)
			if (results[0].Err == nil) != (len(offers) > 0) {
				rt.Fatalf("%+v has offers %+v, and the engine says %+v", l, offers, results[0])
			}
			if len(offers) == 0 {
				continue
			}
			isSimple = isSimple && len(offers) == 1
			trips, legs = append(trips, trip), append(legs, l)
		}
		if len(trips) == 0 {
			return
		}
		for _, transfer := range o.transfers {
			isSimple = isSimple && transfer.limitMin == 0
		}
		var total money.Fen
		results, _ := tariff.Price(tariff.DayOf(trips[0].Start), trips, nil)
		for _, result := range results {
			total += result.Fare.AmountFen
		}
		least, _ := o.cheapest(legs)
		if total < least || isSimple && total != least {
			rt.Fatalf("the engine says %s, the cheapest way is %s", total, least)
		}
		if isSimple && len(legs) > 1 {
			exact++
		}
	})
	if exact == 0 {
		t.Error("no day was simple enough to be compared exactly")
	}
}
