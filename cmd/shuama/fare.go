package main

import (
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/merchant/fare"
)

type fareCommand struct {
	Check   fareCheckCommand   `cmd:"" help:"Read fare tables or a GTFS feed, and tell what they say and what is wrong."`
	Explain fareExplainCommand `cmd:"" help:"Price trips, line by line."`
	Replay  fareReplayCommand  `cmd:"" help:"Price a month of a merchant's trips under other tables: who pays more, who less."`
}

type fareCheckCommand struct {
	Path string `arg:"" help:"A folder of fare tables, a merchant's fares, or a GTFS feed (a folder or a zip)." type:"path"`
}

// Help shows how it is used.
func (fareCheckCommand) Help() string {
	return `The first thing that is wrong is told with its file, line and column. Exit status: 0 good, 1 good with
warnings, 2 wrong.

Examples:
  shuama fare check merchant/fares
  shuama fare check city-gtfs.zip`
}

// Run checks.
func (c *fareCheckCommand) Run(w *world) error {
	tariff, err := readTariff(c.Path)
	if err != nil {
		return err
	}
	summary := tariff.Summary()
	for _, line := range summary.Lines {
		fmt.Fprintln(w.stdout, line)
	}
	for _, warning := range summary.Warnings {
		fmt.Fprintln(w.stdout, "warning:", warning)
	}
	if len(summary.Warnings) > 0 {
		return refusal{}
	}
	return nil
}

type fareExplainCommand struct {
	Path     string   `arg:"" help:"A folder of fare tables, or a GTFS feed." type:"path"`
	Trips    []string `arg:"" help:"Trips of one rider: LINE,FROM,TO,START,END with times of Beijing. FROM to END may be left out for a bus; END empty: no exit; START empty: no entry." name:"trip"`
	Identity string   `help:"The rider's identity, 8 digits of hex, as his grant has it." placeholder:"HEX"`
	Limit    string   `help:"The most that his code allows for one trade, in yuan." placeholder:"YUAN"`
	Month    []string `help:"What the month counts before: CAP=YUAN." placeholder:"CAP=YUAN"`
	JSON     bool     `help:"Write one JSON object a trip." name:"json"`
}

// Help shows how it is used.
func (fareExplainCommand) Help() string {
	return `Trips are priced in the order in which they began, as those of one rider: a transfer and a cap show when
the trips that they hang on are given too. Exit status: 0 every trip has a fare, 1 one has none.

Examples:
  shuama fare explain fares "19,,,2026-07-01 08:00"
  shuama fare explain fares "metro2,人民广场,松江大学城,2026-07-01 08:00,2026-07-01 08:40" "19,,,2026-07-01 08:50"
  shuama fare explain fares --identity 00000001 --month month=120.00 "metro2,人民广场,,2026-07-01 08:00,"`
}

// Run explains.
func (c *fareExplainCommand) Run(w *world) error {
	tariff, err := readTariff(c.Path)
	if err != nil {
		return err
	}
	rider, err := c.rider()
	if err != nil {
		return err
	}
	before, err := c.sums()
	if err != nil {
		return err
	}
	var trips []fare.Trip
	for _, text := range c.Trips {
		trip, err := parseTrip(text, rider)
		if err != nil {
			return fmt.Errorf("trip %q: %w", text, err)
		}
		trips = append(trips, trip)
	}
	known := true
	for i, result := range priceByDay(tariff, trips, before) {
		known = known && result.Err == nil
		if err := c.print(w, c.Trips[i], result); err != nil {
			return err
		}
	}
	if !known {
		return refusal{}
	}
	return nil
}

// priceByDay prices trips that may begin on several days, the sums of a month growing with them.
func priceByDay(tariff *fare.Tariff, trips []fare.Trip, before fare.Sums) []fare.Result {
	results, sums := make([]fare.Result, len(trips)), fare.Sums{}
	for name, fen := range before {
		sums[name] = fen
	}
	days := map[fare.Day][]int{}
	var order []fare.Day
	for i, trip := range trips {
		day := tariff.DayOf(trip.Start)
		if days[day] == nil {
			order = append(order, day)
		}
		days[day] = append(days[day], i)
	}
	slices.Sort(order)
	for n, day := range order {
		if n > 0 && order[n-1].Month() != day.Month() {
			sums = fare.Sums{}
		}
		var todays []fare.Trip
		for _, i := range days[day] {
			todays = append(todays, trips[i])
		}
		priced, counted := tariff.Price(day, todays, sums)
		for at, i := range days[day] {
			results[i] = priced[at]
		}
		for name, fen := range counted {
			sums[name] += fen
		}
	}
	return results
}

func (c *fareExplainCommand) rider() (rider fare.Trip, err error) {
	if c.Identity != "" {
		if rider.Identity, err = parseQuad(c.Identity); err != nil {
			return fare.Trip{}, fmt.Errorf("--identity: %w", err)
		}
	}
	if c.Limit != "" {
		if rider.LimitFen, err = money.ParseYuan(c.Limit); err != nil {
			return fare.Trip{}, fmt.Errorf("--limit: %w", err)
		}
	}
	return rider, nil
}

func parseQuad(text string) (quad ridecode.Quad, err error) {
	if n, err := hex.Decode(quad[:], []byte(text)[:min(len(text), 2*len(quad))]); err != nil || n != len(quad) || len(text) != 2*len(quad) {
		return ridecode.Quad{}, errors.New("not 8 digits of hex")
	}
	return quad, nil
}

func (c *fareExplainCommand) sums() (fare.Sums, error) {
	sums := fare.Sums{}
	for _, text := range c.Month {
		name, yuan, _ := strings.Cut(text, "=")
		fen, err := money.ParseYuan(yuan)
		if err != nil {
			return nil, fmt.Errorf("--month %s: %w", text, err)
		}
		sums[name] = fen
	}
	return sums, nil
}

// parseTrip reads LINE,FROM,TO,START,END.
func parseTrip(text string, trip fare.Trip) (fare.Trip, error) {
	cells, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil || len(cells) < 4 || len(cells) > 5 {
		return fare.Trip{}, errors.New("not LINE,FROM,TO,START or LINE,FROM,TO,START,END: a cell with a comma stands in quotes")
	}
	trip.Line, trip.EndLine, trip.From, trip.To = cells[0], cells[0], cells[1], cells[2]
	var start, end time.Time
	if start, err = parseMoment(cells[3]); err != nil {
		return fare.Trip{}, fmt.Errorf("START: %w", err)
	}
	if len(cells) == 4 {
		trip.Start = start
		return trip, requireMoment(start)
	}
	if end, err = parseMoment(cells[4]); err != nil {
		return fare.Trip{}, fmt.Errorf("END: %w", err)
	}
	switch trip.Start, trip.End = start, end; {
	case start.IsZero() && end.IsZero():
		return fare.Trip{}, errors.New("has neither START nor END")
	case start.IsZero():
		trip.Kind, trip.Start = fare.NoEntry, end
	case end.IsZero():
		trip.Kind = fare.NoExit
	case end.Before(start):
		return fare.Trip{}, errors.New("END is before START")
	default:
		trip.Kind = fare.Through
	}
	return trip, nil
}

func requireMoment(at time.Time) error {
	if at.IsZero() {
		return errors.New("START: empty")
	}
	return nil
}

// parseMoment reads a time of Beijing; empty is none.
func parseMoment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02 15:04", time.DateTime} {
		if at, err := time.ParseInLocation(layout, text, openapi.Beijing()); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time like 2026-07-01 08:00", text)
}

// fareJSON is one trip of fare explain --json.
type fareJSON struct {
	Trip  string          `json:"trip"`
	Fare  string          `json:"fare,omitempty"` // yuan
	Fen   money.Fen       `json:"fen"`
	Lines json.RawMessage `json:"lines,omitempty"`
	Why   string          `json:"unknown,omitempty"`
}

func (c *fareExplainCommand) print(w *world, trip string, result fare.Result) error {
	if c.JSON {
		line := fareJSON{Trip: trip, Fare: result.Fare.AmountFen.Yuan(), Fen: result.Fare.AmountFen, Lines: fare.AppendLines(nil, result.Fare.Lines)}
		if result.Err != nil {
			line = fareJSON{Trip: trip, Why: result.Err.Error()}
		}
		content, err := json.Marshal(line)
		if err != nil {
			return err
		}
		fmt.Fprintf(w.stdout, "%s\n", content)
		return nil
	}
	if result.Err != nil {
		fmt.Fprintf(w.stdout, "%s: no fare is known\n  %v\n", trip, result.Err)
		return nil
	}
	fmt.Fprintf(w.stdout, "%s: %s yuan\n%s", trip, result.Fare.AmountFen.Yuan(), indent(fare.Text(result.Fare.Lines)))
	return nil
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}
