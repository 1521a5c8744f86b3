package form

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a table in CSV (RFC 4180).
const (
	MaxCSVSize  = 64 << 20  // bytes of one file
	MaxCSVRows  = 2_000_000 // rows of one file
	maxCellSize = 64 << 10  // bytes
	maxNameSize = 256       // bytes of a column's name, and of a cell in a column that is read
)

// CellError says where a table is wrong, and what to do. It repeats what the cell holds: tables are no
// secrets, and whoever mends one must find it.
type CellError struct {
	File   string // as it was given, "2026-07/lines.csv"
	Line   int    // counted from 1, as editors do; 0 where it is about the whole file
	Column string // by name; empty where it is about the whole line
	Why    string // what is wrong and what to do, half a sentence
}

func (e *CellError) Error() string {
	where := e.File
	if e.Line > 0 {
		where += fmt.Sprintf(", line %d", e.Line)
	}
	if e.Column != "" {
		where += fmt.Sprintf(", column %q", e.Column)
	}
	return where + ": " + e.Why
}

// Columns names the columns of a table. Others are refused, unless the table has columns that are no
// business of its reader.
type Columns struct {
	Required []string
	Optional []string
	Others   bool // other columns may stand there, and are not read
}

// CSV is a table that was read whole.
type CSV struct {
	File  string
	Rows  []Row
	Names []string // the names of its columns, as they stand
	place map[string]int
}

// Row is one line of a table.
type Row struct {
	Line  int // where it begins, counted from 1
	table *CSV
	cells []string
}

// ParseCSV reads a table: UTF-8, a first line of names, as many cells in each line as there are names.
// A byte order mark is passed over. Cells of columns that are read must be without spaces around and
// have no control characters: what looks alike must be alike.
func ParseCSV(file string, b []byte, columns Columns) (*CSV, error) {
	t := &CSV{File: file, place: map[string]int{}}
	if len(b) > MaxCSVSize {
		return nil, t.fault(0, "", "longer than 64 MiB")
	}
	if !utf8.Valid(b) {
		return nil, t.fault(0, "", "not UTF-8: save it as CSV UTF-8 (office programs save another encoding by default)")
	}
	reader := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff"))))
	if err := t.readNames(reader, columns); err != nil {
		return nil, err
	}
	for {
		cells, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, t.syntax(err)
		}
		if err := t.addRow(reader, cells, columns); err != nil {
			return nil, err
		}
	}
}

func (t *CSV) readNames(reader *csv.Reader, columns Columns) error {
	names, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return t.fault(0, "", "empty: its first line names the columns "+strings.Join(columns.Required, ","))
	}
	if err != nil {
		return t.syntax(err)
	}
	t.Names = names
	for i, name := range names {
		_, twice := t.place[name]
		switch known := slices.Contains(columns.Required, name) || slices.Contains(columns.Optional, name); {
		case twice:
			return t.fault(1, name, "stands twice")
		case len(name) > maxNameSize:
			return t.fault(1, "", "a column has a name of more than 256 bytes")
		case !known && !columns.Others:
			return t.fault(1, name, "no such column here: the columns are "+strings.Join(append(slices.Clone(columns.Required), columns.Optional...), ","))
		}
		t.place[name] = i
	}
	for _, name := range columns.Required {
		if _, there := t.place[name]; !there {
			return t.fault(1, name, "missing: add this column")
		}
	}
	return nil
}

func (t *CSV) addRow(reader *csv.Reader, cells []string, columns Columns) error {
	line, _ := reader.FieldPos(0)
	if len(t.Rows) == MaxCSVRows {
		return t.fault(line, "", "more than 2,000,000 lines")
	}
	for i, cell := range cells {
		name := t.Names[i]
		isRead := slices.Contains(columns.Required, name) || slices.Contains(columns.Optional, name)
		if why := cellFault(cell, isRead); why != "" {
			return t.fault(line, name, why)
		}
	}
	t.Rows = append(t.Rows, Row{Line: line, table: t, cells: cells})
	return nil
}

func cellFault(cell string, isRead bool) string {
	switch {
	case len(cell) > maxCellSize || isRead && len(cell) > maxNameSize:
		return "too long: at most 256 bytes"
	case !isRead:
		return ""
	case strings.TrimSpace(cell) != cell:
		return fmt.Sprintf("%q has white space around it: take it away", cell)
	case strings.IndexFunc(cell, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfeff }) >= 0:
		return fmt.Sprintf("%q holds a control character: take it away", cell)
	}
	return ""
}

func (t *CSV) syntax(err error) error {
	var fault *csv.ParseError
	if !errors.As(err, &fault) {
		return t.fault(0, "", err.Error())
	}
	if errors.Is(err, csv.ErrFieldCount) {
		return t.fault(fault.Line, "", fmt.Sprintf("not as many cells as the first line has names (%d): look for a missing or spare comma", len(t.Names)))
	}
	return t.fault(fault.Line, "", fault.Err.Error()+": put quotes around the whole cell, and double those within")
}

func (t *CSV) fault(line int, column, why string) error {
	return &CellError{File: t.File, Line: line, Column: column, Why: why}
}

// Has tells whether the table has a column.
func (t *CSV) Has(column string) bool {
	_, there := t.place[column]
	return there
}

// Cell is what stands in a column; empty where the table lacks it.
func (r Row) Cell(column string) string {
	if i, there := r.table.place[column]; there {
		return r.cells[i]
	}
	return ""
}

// Fault is an error about a cell of this row; column may be empty.
func (r Row) Fault(column, why string) error { return r.table.fault(r.Line, column, why) }

// File is the file that the row stands in.
func (r Row) File() string { return r.table.File }
