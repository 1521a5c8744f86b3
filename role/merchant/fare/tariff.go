package fare

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/openapi"
)

// Files are the files of a tariff by their path within its folder, with slashes.
type Files map[string][]byte

// maxTables bounds the tables of one tariff.
const maxTables = 1000

// Tariff is all fare tables of an operator (票价簿), each for its dates. It is never changed once it is read and
// may be used by many goroutines.
type Tariff struct {
	tables      []*table // by date
	startMinute int      // of the fare day
	warnings    []string
}

// Parse reads a tariff. Either its folder is one table, or it has a tables.csv that names the folders of
// several with their dates:
//
//	table,valid_from,valid_until
//	2026-01,2026-01-01,2026-06-30
//	2026-07,2026-07-01,
//
// A table is a folder with lines.csv and what that asks for, or with a GTFS feed: gtfs.zip, a folder
// gtfs, or the feed's own files. docs/fares.md shows every file. Errors are *form.CellError.
func Parse(files Files) (*Tariff, error) {
	t := &Tariff{}
	var err error
	if index, several := files["tables.csv"]; several {
		err = t.readTables(files, index)
	} else {
		err = t.add(files, "", Day(-1<<30), Day(1<<30), form.Row{})
	}
	if err == nil {
		err = t.check()
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Tariff) readTables(files Files, index []byte) error {
	list, err := form.ParseCSV("tables.csv", index, form.Columns{Required: []string{"table", "valid_from", "valid_until"}})
	if err != nil {
		return err
	}
	if len(list.Rows) == 0 || len(list.Rows) > maxTables {
		return &form.CellError{File: "tables.csv", Why: "names no table, or more than 1000"}
	}
	named := map[string]bool{}
	for _, row := range list.Rows {
		name := row.Cell("table")
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\") || named[name] {
			return row.Fault("table", fmt.Sprintf("%q is no name of a folder here, or stands twice", name))
		}
		named[name] = true
		from, until, err := readValidity(row)
		if err != nil {
			return err
		}
		if err := t.add(files, name, from, until, row); err != nil {
			return err
		}
	}
	return t.refuseStrays(files, named)
}

func readValidity(row form.Row) (from, until Day, err error) {
	if from, err = ParseDay(row.Cell("valid_from")); err != nil {
		return 0, 0, row.Fault("valid_from", fmt.Sprintf("%q is %v", row.Cell("valid_from"), err))
	}
	until = Day(1 << 30)
	if text := row.Cell("valid_until"); text != "" {
		if until, err = ParseDay(text); err != nil {
			return 0, 0, row.Fault("valid_until", fmt.Sprintf("%q is %v; leave it empty where there is no end", text, err))
		}
	}
	if until < from {
		return 0, 0, row.Fault("valid_until", "before valid_from")
	}
	return from, until, nil
}

// refuseStrays: a folder of tables that nobody named is a table that somebody forgot to name.
func (t *Tariff) refuseStrays(files Files, named map[string]bool) error {
	for _, name := range sortedNames(files) {
		folder, _, inFolder := strings.Cut(name, "/")
		if inFolder && !named[folder] && isTableFile(name) || !inFolder && name != "tables.csv" && isTableFile(name) {
			return &form.CellError{File: name, Why: "is part of no table that tables.csv names: name its folder there, or take it away"}
		}
	}
	return nil
}

func isTableFile(name string) bool {
	return strings.EqualFold(path.Ext(name), ".csv") || path.Base(name) == "gtfs.zip"
}

func (t *Tariff) add(files Files, name string, from, until Day, row form.Row) error {
	own := Files{}
	for file, content := range files {
		if rest, inside := strings.CutPrefix(file, name+"/"); name != "" && inside {
			own[rest] = content
		} else if name == "" {
			own[file] = content
		}
	}
	if name != "" && len(own) == 0 {
		return row.Fault("table", fmt.Sprintf("there is no folder %q here", name))
	}
	parsed, err := parseTable(own, name)
	if err != nil {
		return err
	}
	parsed.from, parsed.until, parsed.row = from, until, row
	t.tables = append(t.tables, parsed)
	return nil
}

// check looks at the tables side by side.
func (t *Tariff) check() error {
	slices.SortStableFunc(t.tables, func(a, b *table) int { return int(a.from) - int(b.from) })
	t.startMinute = t.tables[0].settings.startMinute
	for i, later := range t.tables[1:] {
		before := t.tables[i]
		switch {
		case later.from <= before.until:
			return later.row.Fault("valid_from", fmt.Sprintf("table %q is valid until %s: on that day there would be two fares", before.name, before.untilText()))
		case later.settings.startMinute != t.startMinute:
			return &form.CellError{File: path.Join(later.name, "settings.csv"), Why: "day_starts differs from that of table " + before.name + ": one rider's day cannot begin twice"}
		case later.from > before.until+1:
			t.warnings = append(t.warnings, fmt.Sprintf("no table is valid from %s to %s: rides of these days will stand aside", before.until+1, later.from-1))
		}
	}
	for _, each := range t.tables {
		t.warnings = append(t.warnings, each.warnings...)
	}
	return nil
}

// DayOf is the fare day of an instant.
func (t *Tariff) DayOf(at time.Time) Day {
	return dayOf(at.Add(-time.Duration(t.startMinute) * time.Minute))
}

// DayStart is when a fare day begins; the day before it ends then.
func (t *Tariff) DayStart(day Day) time.Time {
	date := day.date()
	return time.Date(date.Year(), date.Month(), date.Day(), 0, t.startMinute, 0, 0, openapi.Beijing()).UTC()
}

// HasMonthly tells whether any table counts over a month: then a late ride may change the fares of all
// days of the month behind it.
func (t *Tariff) HasMonthly() bool {
	return slices.ContainsFunc(t.tables, func(each *table) bool {
		return slices.ContainsFunc(each.caps, func(c capRule) bool { return c.monthly })
	})
}

// HasDefaults tells whether any table has a fare for a missing entry or exit.
func (t *Tariff) HasDefaults() bool {
	return slices.ContainsFunc(t.tables, func(each *table) bool { return len(each.defaults) > 0 })
}

// TableDigest names the contents of the table of a day, 32 digits of hex; empty where there is none. It
// changes when somebody writes the table anew, and not when another table is put beside it.
func (t *Tariff) TableDigest(day Day) string {
	if each, known := t.tableOn(day); known {
		return each.digest
	}
	return ""
}

// tableOn finds the table of a day.
func (t *Tariff) tableOn(day Day) (*table, bool) {
	at, found := slices.BinarySearchFunc(t.tables, day, func(each *table, day Day) int {
		switch {
		case each.until < day:
			return -1
		case each.from > day:
			return 1
		}
		return 0
	})
	if !found {
		return nil, false
	}
	return t.tables[at], true
}

func sortedNames(files Files) []string {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
