package fare

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/gtfs"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Bounds of one table.
const (
	maxLinesCount = 10_000
	maxStations   = 2000
	maxRules      = 10_000 // rows of a file of rules
)

// table is one fare table (票价表).
type table struct {
	name        string // of its folder; empty where it is the whole tariff
	digest      string // of its files
	from, until Day
	row         form.Row // where tables.csv names it
	settings    settings
	basis       basis
	days        dayKinds
	times       []timeRule
	identities  []identityRule
	transfers   transferRules
	caps        []capRule
	defaults    []defaultRule
	warnings    []string
}

// basis says what a leg costs before anything is taken off.
type basis interface {
	// leg prices a trip that has all its taps. The error is an *Unknown.
	leg(trip Trip) (leg, error)
	// groupOf is the group of an incomplete trip, for its default fare.
	groupOf(trip Trip) (string, error)
	// most is the highest fare of a trip that has one of its ends only.
	most(trip Trip) (money.Fen, Source, error)
	// groups are the names that rules may ask for.
	groups() set
	// identity is the name that rules know a rider by, empty for none.
	identity(quad ridecode.Quad) string
	// summarize adds what the table prices.
	summarize(*Summary)
}

// leg is a trip with its base fare.
type leg struct {
	trip    Trip
	group   string // for times, identities, caps
	ticket  string // for transfers: the group again, or a feed's leg group
	lines   []Line // one or more of kind BASE
	fullFen money.Fen
}

func (t *table) fileName(name string) string {
	if t.name == "" {
		return name
	}
	return t.name + "/" + name
}

// ownFiles are the files of a table of our own, with what reads each; feedFiles may stand beside a feed.
var (
	ownFiles  = []string{"lines.csv", "settings.csv", "matrix.csv", "stations.csv", "zones.csv", "links.csv", "distance.csv", "holidays.csv", "times.csv", "identities.csv", "transfers.csv", "caps.csv", "defaults.csv"}
	feedFiles = []string{"settings.csv", "holidays.csv", "riders.csv", "caps.csv", "defaults.csv"}
)

func parseTable(files Files, name string) (*table, error) {
	p := &parser{files: files, t: &table{name: name}}
	feed := p.findFeed()
	if p.err == nil && feed == nil {
		p.refuseOthers(ownFiles, "lines.csv")
	} else if p.err == nil {
		p.refuseOthers(feedFiles, "")
	}
	p.readSettings(feed != nil)
	p.readHolidays()
	if feed != nil {
		p.readFeed(feed)
	} else {
		p.readOwn()
	}
	p.readCaps()
	p.readDefaults()
	if p.err != nil {
		return nil, p.err
	}
	p.t.digest = digestOf(files, feed != nil)
	return p.t, nil
}

// digestOf names what a table says: two tables with one digest price everything alike.
func digestOf(files Files, isFeed bool) string {
	digest := sha256.New()
	for _, name := range sortedNames(files) {
		known := contains(ownFiles, name)
		if isFeed {
			known = contains(feedFiles, name) || name == "gtfs.zip" || gtfs.Reads(path.Base(name))
		}
		if known {
			content := sha256.Sum256(files[name])
			fmt.Fprintf(digest, "%q %x\n", name, content)
		}
	}
	return hex.EncodeToString(digest.Sum(nil)[:16])
}

// parser keeps the first fault.
type parser struct {
	files Files
	t     *table
	err   error
}

func (p *parser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *parser) failFile(name, why string) {
	p.fail(&form.CellError{File: p.t.fileName(name), Why: why})
}

// findFeed looks for a GTFS feed; nil where there is none.
func (p *parser) findFeed() gtfs.Files {
	found := gtfs.Files{}
	for name, content := range p.files {
		folder, file, inFolder := strings.Cut(name, "/")
		switch {
		case inFolder && folder == "gtfs" && !strings.Contains(file, "/"):
			found[file] = content
		case !inFolder && strings.HasSuffix(name, ".txt") && p.files["fare_leg_rules.txt"] != nil:
			found[name] = content
		}
	}
	archive, packed := p.files["gtfs.zip"]
	_, own := p.files["lines.csv"]
	switch {
	case packed && len(found) > 0:
		p.failFile("gtfs.zip", "stands beside a feed that is unpacked: keep one of the two")
	case own && (packed || len(found) > 0):
		p.failFile("lines.csv", "stands beside a GTFS feed: a table is one or the other")
	case packed:
		unpacked, err := gtfs.Unzip(archive)
		p.fail(p.inTable(err))
		return unpacked
	case len(found) > 0:
		return found
	}
	return nil
}

// inTable names a feed's file by its place in the tariff.
func (p *parser) inTable(err error) error {
	fault, is := err.(*form.CellError)
	if !is {
		return err
	}
	placed := *fault
	placed.File = p.t.fileName(placed.File)
	return &placed
}

// refuseOthers: a file with a name that is nearly right would be a rule that nobody applies.
func (p *parser) refuseOthers(known []string, needed string) {
	for _, name := range sortedNames(p.files) {
		if strings.EqualFold(path.Ext(name), ".csv") && !contains(known, name) {
			p.failFile(name, "no file of this kind of fare table: its files are "+strings.Join(known, ", "))
		}
	}
	if _, there := p.files[needed]; needed != "" && !there {
		p.failFile(needed, "missing: a fare table names its lines there, or has a GTFS feed (gtfs.zip, or a folder gtfs)")
	}
}

func contains(list []string, name string) bool {
	for _, each := range list {
		if each == name {
			return true
		}
	}
	return false
}

// each goes through the rows of a file; a file that is not there has none.
func (p *parser) each(name string, rowsMax int, columns form.Columns, do func(form.Row)) {
	content, there := p.files[name]
	if !there || p.err != nil {
		return
	}
	list, err := form.ParseCSV(p.t.fileName(name), content, columns)
	if err != nil {
		p.fail(err)
		return
	}
	if len(list.Rows) > rowsMax {
		p.failFile(name, fmt.Sprintf("more than %d rows", rowsMax))
	}
	for _, row := range list.Rows {
		if p.err != nil {
			return
		}
		do(row)
	}
}

func sourceOf(row form.Row) Source { return Source{File: row.File(), Row: row.Line} }

// settings are what a table decides once.
type settings struct {
	unitFen     money.Fen // discounted fares are multiples of it
	rounding    rounding
	startMinute int // when the fare day begins
	graceSec    int64
	graceFen    money.Fen
	graceFrom   Source
	media       gtfs.MediaID
}

// defaultStartMinute is four in the morning: hardly anybody rides.
const defaultStartMinute = 4 * 60

func (p *parser) readSettings(isFeed bool) {
	p.t.settings = settings{unitFen: 1, startMinute: defaultStartMinute}
	seen := map[string]bool{}
	p.each("settings.csv", maxRules, form.Columns{Required: []string{"name", "value"}}, func(row form.Row) {
		name := row.Cell("name")
		if seen[name] {
			p.fail(row.Fault("name", fmt.Sprintf("%q stands twice", name)))
		}
		seen[name] = true
		p.readSetting(row, name, isFeed)
	})
	if p.err == nil && seen["grace_fare"] && p.t.settings.graceSec == 0 {
		p.failFile("settings.csv", "has a grace_fare and no grace_minutes")
	}
}

func (p *parser) readSetting(row form.Row, name string, isFeed bool) {
	s := &p.t.settings
	switch {
	case name == "round_to":
		if s.unitFen = p.amount(row, "value"); s.unitFen == 0 {
			p.fail(row.Fault("value", "0.00: fares are rounded to at least 0.01"))
		}
	case name == "rounding":
		s.rounding = p.rounding(row)
	case name == "day_starts":
		s.startMinute = p.clock(row, "value") % minutesOfDay
	case name == "grace_minutes":
		s.graceSec, s.graceFrom = int64(p.count(row, "value", 1, 24*60))*60, sourceOf(row)
	case name == "grace_fare":
		s.graceFen = p.amount(row, "value")
	case name == "media" && isFeed:
		s.media = gtfs.MediaID(row.Cell("value"))
	default:
		p.fail(row.Fault("name", fmt.Sprintf("%q is no setting: they are round_to, rounding, day_starts, grace_minutes, grace_fare, and beside a feed media", name)))
	}
}

// rounding is the one way in which fares with discounts are rounded.
type rounding int

// The ways. Down favours the rider.
const (
	roundDown rounding = iota
	roundUp
	roundHalfUp
)

func (p *parser) rounding(row form.Row) rounding {
	switch row.Cell("value") {
	case "down":
		return roundDown
	case "up":
		return roundUp
	case "half_up":
		return roundHalfUp
	}
	p.fail(row.Fault("value", fmt.Sprintf("%q is none of down, up, half_up", row.Cell("value"))))
	return roundDown
}

func (r rounding) String() string { return [...]string{"down", "up", "half up"}[r] }
