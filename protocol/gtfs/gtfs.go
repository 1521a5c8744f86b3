// Package gtfs reads the fares of a public transport feed (公共交通数据标准 GTFS Schedule, Fares v2): which stops
// lie in which areas, which routes belong to which networks, what a leg costs and what a transfer costs.
//
// Of a timetable it reads only what fares hang on. What it does not support about fares is refused by
// name, never passed over: a discount that is not read would be money taken from somebody. Source of
// every rule: the GTFS Schedule Reference, https://gtfs.org/documentation/schedule/reference/.
package gtfs

import (
	"slices"
	"strings"

	"github.com/shuama/shuama/money"
)

// Names of what stands in a feed.
type (
	StopID    string
	RouteID   string
	AreaID    string
	NetworkID string
	ProductID string
	Category  string // rider_category_id
	MediaID   string
	LegGroup  string // leg_group_id
	Timeframe string // timeframe_group_id
	ServiceID string
)

// Feed is what a feed says of fares. Every name in it that refers to something refers to what is there.
type Feed struct {
	Version     string // feed_info.txt feed_version; may be empty
	Stops       map[StopID]Stop
	Routes      map[RouteID]Route
	Areas       map[AreaID]string // with their names
	Networks    map[NetworkID]string
	Products    map[ProductID][]Product
	Legs        []LegRule
	HasPriority bool // fare_leg_rules.txt has a rule_priority: empty cells match anything
	Transfers   []TransferRule
	Timeframes  map[Timeframe][]Span
	Services    map[ServiceID]*Service
	Categories  map[Category]RiderCategory
	Media       map[MediaID]Media
}

// Stop is one stop, platform or station.
type Stop struct {
	Name    string
	Station StopID   // parent_station; empty where there is none
	Areas   []AreaID // its own, or those of its station where it has none of its own
}

// Route is one line.
type Route struct {
	ShortName string
	LongName  string
	Network   NetworkID // may be empty
}

// Product is one row of fare_products.txt.
type Product struct {
	Name      string
	Category  Category // empty: for everybody
	Media     MediaID  // empty: any
	AmountFen money.Fen
	Line      int
}

// LegRule is one row of fare_leg_rules.txt.
type LegRule struct {
	Group    LegGroup
	Network  NetworkID
	From, To AreaID
	// FromTime and ToTime name when the leg begins and ends.
	FromTime, ToTime Timeframe
	Product          ProductID
	Priority         int
	Line             int
}

// TransferCost is how a transfer rule counts (fare_transfer_type).
type TransferCost int

// The kinds: A is what came before, B the leg that follows, AB the rule's product.
const (
	InsteadOfNext TransferCost = 0 // A + AB
	BesidesNext   TransferCost = 1 // A + AB + B
	InsteadOfBoth TransferCost = 2 // AB
)

// DurationBetween is what a duration limit is measured between (duration_limit_type).
type DurationBetween int

// The kinds: from the first leg of the transfer to its last.
const (
	DepartureToArrival   DurationBetween = 0
	DepartureToDeparture DurationBetween = 1
	ArrivalToDeparture   DurationBetween = 2
	ArrivalToArrival     DurationBetween = 3
)

// NoTransferLimit is a TransferRule's Count without limit.
const NoTransferLimit = -1

// TransferRule is one row of fare_transfer_rules.txt.
type TransferRule struct {
	From, To LegGroup
	Count    int // consecutive transfers that it may span; NoTransferLimit; 0 where From and To differ
	LimitSec int // 0: none
	Between  DurationBetween
	Cost     TransferCost
	Product  ProductID // empty: AB is 0
	Line     int
}

// Span is a time of day on some days.
type Span struct {
	FromSec, UntilSec int // of the day, 0 to 86400; until is not part of it
	Service           ServiceID
}

// RiderCategory is a kind of rider.
type RiderCategory struct {
	Name      string
	IsDefault bool
}

// Media is what a product is carried on.
type Media struct {
	Name string
	Type MediaType
}

// MediaType is fare_media_type.
type MediaType int

// MobileApp is the type that a ride code is of.
const MobileApp MediaType = 4

// Files are the files of a feed by name. Those that Reads says no to may be nil: it is enough that they
// are there.
type Files map[string][]byte

// readFiles are those that are read.
var readFiles = []string{
	"agency.txt", "stops.txt", "routes.txt", "calendar.txt", "calendar_dates.txt", "feed_info.txt",
	"areas.txt", "stop_areas.txt", "networks.txt", "route_networks.txt", "fare_products.txt", "fare_media.txt",
	"rider_categories.txt", "timeframes.txt", "fare_leg_rules.txt", "fare_leg_join_rules.txt", "fare_transfer_rules.txt",
}

// Reads tells whether a file's content matters to fares.
func Reads(name string) bool { return slices.Contains(readFiles, name) }

// otherFiles are those of a timetable, which say nothing of fares; fares of version 1 may stand beside
// those of version 2, and are then passed over as the reference says.
var otherFiles = []string{
	"trips.txt", "stop_times.txt", "shapes.txt", "frequencies.txt", "transfers.txt", "pathways.txt", "levels.txt",
	"location_groups.txt", "location_group_stops.txt", "locations.geojson", "booking_rules.txt", "translations.txt",
	"attributions.txt", "fare_attributes.txt", "fare_rules.txt",
}

// strangeFare finds a file that seems to be about fares and that nobody here knows.
func (f Files) strangeFare() string {
	var strange []string
	for name := range f {
		if Reads(name) || slices.Contains(otherFiles, name) {
			continue
		}
		for _, word := range []string{"fare", "rider", "timeframe", "area", "network", "product", "cap"} {
			if strings.Contains(strings.ToLower(name), word) {
				strange = append(strange, name)
				break
			}
		}
	}
	if len(strange) == 0 {
		return ""
	}
	return slices.Min(strange)
}
