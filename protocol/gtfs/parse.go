package gtfs

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
)

// Timezone is the one that a feed must be in: the whole of China has it.
const Timezone = "Asia/Shanghai"

// maxAmount is the most that any code allows: its limit has two bytes (document 1 §6.3.2).
const maxAmount money.Fen = 65535

// Parse reads a feed. Errors are *form.CellError.
func Parse(files Files) (*Feed, error) {
	p := &parser{files: files, feed: &Feed{
		Stops: map[StopID]Stop{}, Routes: map[RouteID]Route{}, Areas: map[AreaID]string{}, Networks: map[NetworkID]string{},
		Products: map[ProductID][]Product{}, Timeframes: map[Timeframe][]Span{}, Services: map[ServiceID]*Service{},
		Categories: map[Category]RiderCategory{}, Media: map[MediaID]Media{}}}
	p.checkFiles()
	for _, step := range []func(){
		p.readFeedInfo, p.readAgency, p.readStops, p.readAreas, p.readStopAreas, p.readNetworks, p.readRoutes, p.readRouteNetworks,
		p.readCalendar, p.readCalendarDates, p.readTimeframes, p.readCategories, p.readMedia, p.readProducts,
		p.readLegRules, p.refuseJoins, p.readTransferRules,
	} {
		if step(); p.err != nil {
			return nil, p.err
		}
	}
	return p.feed, nil
}

// parser keeps the first fault.
type parser struct {
	files Files
	feed  *Feed
	err   error
}

func (p *parser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *parser) failFile(file, why string) { p.fail(&form.CellError{File: file, Why: why}) }

func (p *parser) has(file string) bool {
	_, there := p.files[file]
	return there
}

func (p *parser) checkFiles() {
	switch strange := p.files.strangeFare(); {
	case strange != "":
		p.failFile(strange, "not supported: take it out of the feed, or price what it says in tables of your own")
	case !p.has("fare_leg_rules.txt") && p.has("fare_attributes.txt"):
		p.failFile("fare_attributes.txt", "fares of version 1 are not supported: the feed needs fare_products.txt and fare_leg_rules.txt (Fares v2)")
	case !p.has("networks.txt") && p.has("route_networks.txt"):
		p.failFile("route_networks.txt", "stands without networks.txt")
	}
	for _, name := range []string{"agency.txt", "stops.txt", "routes.txt", "fare_products.txt", "fare_leg_rules.txt"} {
		if !p.has(name) {
			p.failFile(name, "missing: a feed with fares of version 2 needs it")
		}
	}
}

// each goes through the rows of a file; one that is not there has none. Columns that nobody here knows
// are refused in files about fares: they may change a price.
func (p *parser) each(file string, required, optional []string, do func(form.Row)) *form.CSV {
	content, there := p.files[file]
	if !there || p.err != nil {
		return nil
	}
	others := slices.Contains([]string{"agency.txt", "stops.txt", "routes.txt", "calendar.txt", "calendar_dates.txt", "feed_info.txt"}, file)
	table, err := form.ParseCSV(file, content, form.Columns{Required: required, Optional: optional, Others: others})
	if err != nil {
		p.fail(err)
		return nil
	}
	for _, row := range table.Rows {
		if do(row); p.err != nil {
			return nil
		}
	}
	return table
}

// id is a cell that must not be empty.
func (p *parser) id(row form.Row, column string) string {
	text := row.Cell(column)
	if text == "" {
		p.fail(row.Fault(column, "empty"))
	}
	return text
}

// refer is a cell that, unless it is empty, must name something that is there.
func refer[K ~string, V any](p *parser, row form.Row, column string, known map[K]V, where string) K {
	id := K(row.Cell(column))
	if _, there := known[id]; id != "" && !there {
		p.fail(row.Fault(column, fmt.Sprintf("%q does not stand in %s", id, where)))
	}
	return id
}

// number is a whole number from least to most; empty is otherwise.
func (p *parser) number(row form.Row, column string, least, most, otherwise int) int {
	text := row.Cell(column)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		p.fail(row.Fault(column, fmt.Sprintf("%q is no whole number from %d to %d", text, least, most)))
	}
	return n
}

func (p *parser) readFeedInfo() {
	p.each("feed_info.txt", nil, []string{"feed_version"}, func(row form.Row) { p.feed.Version = row.Cell("feed_version") })
}

func (p *parser) readAgency() {
	p.each("agency.txt", []string{"agency_timezone"}, nil, func(row form.Row) {
		if zone := row.Cell("agency_timezone"); zone != Timezone {
			p.fail(row.Fault("agency_timezone", fmt.Sprintf("%q is not supported: ride codes and fares live in %s", zone, Timezone)))
		}
	})
}

func (p *parser) readStops() {
	lines := map[StopID]form.Row{}
	p.each("stops.txt", []string{"stop_id"}, []string{"stop_name", "parent_station", "stop_timezone"}, func(row form.Row) {
		id := StopID(p.id(row, "stop_id"))
		if _, twice := p.feed.Stops[id]; twice {
			p.fail(row.Fault("stop_id", fmt.Sprintf("%q stands twice", id)))
		}
		if zone := row.Cell("stop_timezone"); zone != "" && zone != Timezone {
			p.fail(row.Fault("stop_timezone", fmt.Sprintf("%q is not supported: ride codes and fares live in %s", zone, Timezone)))
		}
		p.feed.Stops[id], lines[id] = Stop{Name: row.Cell("stop_name"), Station: StopID(row.Cell("parent_station"))}, row
	})
	for id, stop := range p.feed.Stops {
		if station, there := p.feed.Stops[stop.Station]; stop.Station != "" && (!there || station.Station == id) {
			p.fail(lines[id].Fault("parent_station", fmt.Sprintf("%q does not stand in stops.txt, or is part of this stop", stop.Station)))
		}
	}
}

func (p *parser) readAreas() {
	p.each("areas.txt", []string{"area_id"}, []string{"area_name"}, func(row form.Row) {
		once(p, row, "area_id", p.feed.Areas, row.Cell("area_name"))
	})
}

// once puts something under a name that must not be taken.
func once[K ~string, V any](p *parser, row form.Row, column string, into map[K]V, value V) {
	id := K(p.id(row, column))
	if _, twice := into[id]; twice {
		p.fail(row.Fault(column, fmt.Sprintf("%q stands twice", id)))
	}
	into[id] = value
}

// readStopAreas gives platforms the areas of their station, unless they have some of their own.
func (p *parser) readStopAreas() {
	p.each("stop_areas.txt", []string{"area_id", "stop_id"}, nil, func(row form.Row) {
		p.id(row, "area_id")
		p.id(row, "stop_id")
		area, id := refer(p, row, "area_id", p.feed.Areas, "areas.txt"), refer(p, row, "stop_id", p.feed.Stops, "stops.txt")
		stop := p.feed.Stops[id]
		if slices.Contains(stop.Areas, area) {
			p.fail(row.Fault("stop_id", fmt.Sprintf("%q stands twice in area %q", id, area)))
		}
		stop.Areas = append(stop.Areas, area)
		p.feed.Stops[id] = stop
	})
	own := map[StopID][]AreaID{}
	for id, stop := range p.feed.Stops {
		own[id] = stop.Areas
	}
	for id, stop := range p.feed.Stops {
		if stop.Areas == nil && stop.Station != "" {
			stop.Areas = own[stop.Station]
			p.feed.Stops[id] = stop
		}
	}
}

func (p *parser) readNetworks() {
	p.each("networks.txt", []string{"network_id"}, []string{"network_name"}, func(row form.Row) {
		once(p, row, "network_id", p.feed.Networks, row.Cell("network_name"))
	})
}

func (p *parser) readRoutes() {
	p.each("routes.txt", []string{"route_id"}, []string{"route_short_name", "route_long_name", "network_id"}, func(row form.Row) {
		network := NetworkID(row.Cell("network_id"))
		if network != "" && p.has("networks.txt") {
			p.fail(row.Fault("network_id", "stands here and in networks.txt: the reference allows one of the two"))
		}
		if network != "" {
			p.feed.Networks[network] = ""
		}
		once(p, row, "route_id", p.feed.Routes, Route{ShortName: row.Cell("route_short_name"), LongName: row.Cell("route_long_name"), Network: network})
	})
}

func (p *parser) readRouteNetworks() {
	p.each("route_networks.txt", []string{"network_id", "route_id"}, nil, func(row form.Row) {
		p.id(row, "network_id")
		p.id(row, "route_id")
		network, id := refer(p, row, "network_id", p.feed.Networks, "networks.txt"), refer(p, row, "route_id", p.feed.Routes, "routes.txt")
		route := p.feed.Routes[id]
		if route.Network != "" {
			p.fail(row.Fault("route_id", fmt.Sprintf("%q is in network %q already: a route has one", id, route.Network)))
		}
		route.Network = network
		p.feed.Routes[id] = route
	})
}
