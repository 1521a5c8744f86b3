package fare

import (
	"fmt"
	"slices"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/gtfs"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
)

// feedBasis is a table that a GTFS feed with Fares v2 gives. What GTFS does not know stands beside it:
// riders.csv says which identity is which rider category, defaults.csv and caps.csv are as in a table of
// our own, with the feed's networks as groups.
type feedBasis struct {
	feed       *gtfs.Feed
	file       func(string) string
	routes     map[string]gtfs.RouteID // by id, or a name that only one has; doubled where several do
	stops      map[string][]gtfs.StopID
	standard   gtfs.Category
	categories map[ridecode.Quad]gtfs.Category
	media      map[gtfs.MediaID]bool
	byAreas    map[[2]gtfs.AreaID][]int // rules of feed.Legs by their two areas
	listed     struct {                 // names that rules list, for what an empty cell means
		network  map[gtfs.NetworkID]bool
		from, to map[gtfs.AreaID]bool
	}
}

// doubled stands for a name that several routes have.
const doubled gtfs.RouteID = "\x00"

func (p *parser) readFeed(files gtfs.Files) {
	if p.err != nil {
		return
	}
	feed, err := gtfs.Parse(files)
	if err != nil {
		p.fail(p.inTable(err))
		return
	}
	b := &feedBasis{feed: feed, file: p.t.fileName, routes: map[string]gtfs.RouteID{}, stops: map[string][]gtfs.StopID{},
		categories: map[ridecode.Quad]gtfs.Category{}, media: map[gtfs.MediaID]bool{"": true}}
	p.t.basis = b
	b.index()
	p.chooseMedia(b)
	p.readRiders(b)
	p.readFeedTransfers(b)
}

// index finds routes and stops by what terminals write.
func (b *feedBasis) index() {
	b.listed.network, b.listed.from, b.listed.to = map[gtfs.NetworkID]bool{}, map[gtfs.AreaID]bool{}, map[gtfs.AreaID]bool{}
	b.byAreas = map[[2]gtfs.AreaID][]int{}
	for i, rule := range b.feed.Legs {
		b.listed.network[rule.Network], b.listed.from[rule.From], b.listed.to[rule.To] = true, true, true
		pair := [2]gtfs.AreaID{rule.From, rule.To}
		b.byAreas[pair] = append(b.byAreas[pair], i)
	}
	for id, route := range b.feed.Routes {
		for _, name := range []string{route.ShortName, route.LongName} {
			if had, met := b.routes[name]; met && had != id {
				b.routes[name] = doubled
			} else {
				b.routes[name] = id
			}
		}
	}
	for id := range b.feed.Routes {
		b.routes[string(id)] = id
	}
	for id, stop := range b.feed.Stops {
		b.stops[stop.Name] = append(b.stops[stop.Name], id)
	}
	for id := range b.feed.Stops {
		b.stops[string(id)] = []gtfs.StopID{id}
	}
	for id, category := range b.feed.Categories {
		if category.IsDefault {
			b.standard = id
		}
	}
}

// chooseMedia takes what is carried on a ride code: products without a medium, on a mobile app, or on
// the medium that settings.csv names.
func (p *parser) chooseMedia(b *feedBasis) {
	if named := p.t.settings.media; named != "" {
		if _, known := b.feed.Media[named]; !known {
			p.failFile("settings.csv", fmt.Sprintf("media %q does not stand in fare_media.txt", named))
		}
		b.media[named] = true
		return
	}
	for id, media := range b.feed.Media {
		b.media[id] = media.Type == gtfs.MobileApp
	}
}

// readRiders reads identity,rider_category.
func (p *parser) readRiders(b *feedBasis) {
	p.each("riders.csv", maxRules, form.Columns{Required: []string{"identity", "rider_category"}}, func(row form.Row) {
		quad, category := p.quad(row, "identity"), gtfs.Category(row.Cell("rider_category"))
		if _, known := b.feed.Categories[category]; !known {
			p.fail(row.Fault("rider_category", fmt.Sprintf("%q does not stand in rider_categories.txt", category)))
		}
		if _, twice := b.categories[quad]; twice {
			p.fail(row.Fault("identity", "stands twice"))
		}
		b.categories[quad] = category
	})
}

func (b *feedBasis) groups() set {
	groups := set{}
	for network := range b.feed.Networks {
		groups[string(network)] = true
	}
	return groups
}

func (b *feedBasis) identity(quad ridecode.Quad) string { return string(b.categories[quad]) }

func (b *feedBasis) unknown(format string, args ...any) error {
	return &Unknown{Why: fmt.Sprintf("the feed "+format, args...)}
}

func (b *feedBasis) route(name string) (gtfs.Route, error) {
	id, known := b.routes[name]
	switch {
	case !known || name == "":
		return gtfs.Route{}, b.unknown("has no route %q in routes.txt, by id or name", name)
	case id == doubled:
		return gtfs.Route{}, b.unknown("has several routes %q: let terminals write the route_id", name)
	}
	return b.feed.Routes[id], nil
}

// areasOf finds the areas of a stop. Stops of one name are one place here, if they lie in the same areas.
func (b *feedBasis) areasOf(name string) ([]gtfs.AreaID, error) {
	ids := b.stops[name]
	if name == "" {
		return nil, nil
	}
	if len(ids) == 0 {
		return nil, b.unknown("has no stop %q in stops.txt, by id or name", name)
	}
	areas := b.feed.Stops[ids[0]].Areas
	for _, id := range ids[1:] {
		if !sameAreas(areas, b.feed.Stops[id].Areas) {
			return nil, b.unknown("has several stops %q in different areas: let terminals write the stop_id", name)
		}
	}
	return areas, nil
}

func sameAreas(a, b []gtfs.AreaID) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

func (b *feedBasis) groupOf(trip Trip) (string, error) {
	route, err := b.route(trip.Line)
	return string(route.Network), err
}

// ride is a trip as the rules of a feed look at it.
type ride struct {
	network    gtfs.NetworkID
	from, to   []gtfs.AreaID
	start, end time.Time // in Beijing
	category   gtfs.Category
}

func (b *feedBasis) leg(trip Trip) (leg, error) {
	r, err := b.ride(trip)
	if err != nil {
		return leg{}, err
	}
	rule, product, found := b.cheapest(r)
	if !found {
		return leg{}, b.unknown("has no fare for line %q from %q to %q at %s, on the media of ride codes (fare_leg_rules.txt)", trip.Line, trip.From, trip.To, r.start.Format("15:04"))
	}
	why := fmt.Sprintf("line %s, product %s", trip.Line, rule.Product)
	if trip.From != "" && trip.To != "" {
		why = fmt.Sprintf("line %s, %s to %s, product %s", trip.Line, trip.From, trip.To, rule.Product)
	}
	if product.Category != "" {
		why += " for " + string(product.Category)
	}
	base := Line{Kind: Base, Why: why, Source: Source{File: b.file("fare_leg_rules.txt"), Row: rule.Line}, AmountFen: product.AmountFen}
	return leg{trip: trip, group: string(r.network), ticket: string(rule.Group), lines: []Line{base}, fullFen: product.AmountFen}, nil
}

func (b *feedBasis) ride(trip Trip) (ride, error) {
	route, err := b.route(trip.Line)
	if err != nil {
		return ride{}, err
	}
	r := ride{network: route.Network, start: trip.Start.In(openapi.Beijing()), category: b.standard}
	r.end = r.start
	if trip.Kind == Through {
		end, err := b.route(trip.EndLine)
		if err != nil {
			return ride{}, err
		}
		if end.Network != route.Network {
			return ride{}, b.unknown("has no fare from network %q out of network %q", route.Network, end.Network)
		}
		r.end = trip.End.In(openapi.Beijing())
	}
	if category, known := b.categories[trip.Identity]; known && !trip.Companion {
		r.category = category
	}
	if r.from, err = b.areasOf(trip.From); err != nil {
		return ride{}, err
	}
	r.to, err = b.areasOf(trip.To)
	return r, err
}

// cheapest is the product that costs least of those that the matching rules of the highest priority
// give; of several the first in the file.
func (b *feedBasis) cheapest(r ride) (rule gtfs.LegRule, product gtfs.Product, found bool) {
	for _, i := range b.candidates(r) {
		candidate := b.feed.Legs[i]
		if !b.matches(candidate, r) || found && candidate.Priority < rule.Priority {
			continue
		}
		best, sold := b.productFor(candidate.Product, r.category)
		if sold && (!found || candidate.Priority > rule.Priority || best.AmountFen < product.AmountFen) {
			rule, product, found = candidate, best, true
		}
	}
	return rule, product, found
}

// candidates are the rules whose areas are those of the ride, or empty, in the order of the file. A feed
// with a row for each pair of stations has more than one could go through for each ride.
func (b *feedBasis) candidates(r ride) (rules []int) {
	for _, from := range append([]gtfs.AreaID{""}, r.from...) {
		for _, to := range append([]gtfs.AreaID{""}, r.to...) {
			rules = append(rules, b.byAreas[[2]gtfs.AreaID{from, to}]...)
		}
	}
	slices.Sort(rules)
	return rules
}

func (b *feedBasis) matches(rule gtfs.LegRule, r ride) bool {
	anyEmpty := b.feed.HasPriority
	return (rule.Network == r.network || rule.Network == "" && (anyEmpty || !b.listed.network[r.network])) &&
		areaMatches(rule.From, r.from, b.listed.from, anyEmpty) && areaMatches(rule.To, r.to, b.listed.to, anyEmpty) &&
		(rule.FromTime == "" || b.feed.In(rule.FromTime, r.start)) && (rule.ToTime == "" || b.feed.In(rule.ToTime, r.end))
}

// areaMatches: an empty cell is every area, or without priorities every one that no other row lists. A
// stop that lies in none, or that nobody knows, as where a bus rider leaves, is met by empty cells alone.
func areaMatches(rule gtfs.AreaID, areas []gtfs.AreaID, listed map[gtfs.AreaID]bool, anyEmpty bool) bool {
	if rule != "" {
		return slices.Contains(areas, rule)
	}
	return anyEmpty || !slices.ContainsFunc(areas, func(area gtfs.AreaID) bool { return listed[area] })
}

// productFor is the cheapest row of a product that this rider may use: his own category's, everybody's, or
// the default category's.
func (b *feedBasis) productFor(id gtfs.ProductID, category gtfs.Category) (best gtfs.Product, found bool) {
	for _, row := range b.feed.Products[id] {
		mine := row.Category == "" || row.Category == category || row.Category == b.standard
		if mine && b.media[row.Media] && (!found || row.AmountFen < best.AmountFen) {
			best, found = row, true
		}
	}
	return best, found
}

// most is the highest fare that any rule of the network gives this rider.
func (b *feedBasis) most(trip Trip) (highest money.Fen, source Source, err error) {
	route, err := b.route(trip.Line)
	if err != nil {
		return 0, Source{}, err
	}
	found := false
	for _, rule := range b.feed.Legs {
		if rule.Network != route.Network && (rule.Network != "" || b.listed.network[route.Network] && !b.feed.HasPriority) {
			continue
		}
		if product, sold := b.productFor(rule.Product, b.standard); sold && (!found || product.AmountFen > highest) {
			highest, source, found = product.AmountFen, Source{File: b.file("fare_leg_rules.txt"), Row: rule.Line}, true
		}
	}
	if !found {
		return 0, Source{}, b.unknown("has no fare in network %q", route.Network)
	}
	return highest, source, nil
}

// identities are those of riders.csv, in their order.
func (b *feedBasis) identities() []ridecode.Quad {
	var quads []ridecode.Quad
	for quad := range b.categories {
		quads = append(quads, quad)
	}
	slices.SortFunc(quads, func(a, b ridecode.Quad) int { return slices.Compare(a[:], b[:]) })
	return quads
}
