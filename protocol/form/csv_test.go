package form_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/shuama/shuama/protocol/form"
)

var twoColumns = form.Columns{Required: []string{"line"}, Optional: []string{"fare"}}

func TestParseCSV(t *testing.T) {
	table, err := form.ParseCSV("lines.csv", []byte("\ufeffline,fare\r\n19,2.00\r\n\"19, 路\",\n"), twoColumns)
	if err != nil || len(table.Rows) != 2 || !table.Has("fare") || table.Has("other") {
		t.Fatalf("%+v, %v", table, err)
	}
	first, second := table.Rows[0], table.Rows[1]
	if first.Cell("line") != "19" || first.Cell("fare") != "2.00" || first.Line != 2 || second.Cell("line") != "19, 路" || second.Cell("none") != "" || second.File() != "lines.csv" {
		t.Errorf("%+v", table)
	}
	if err := second.Fault("fare", "missing"); err.Error() != `lines.csv, line 3, column "fare": missing` {
		t.Error(err)
	}
	others, err := form.ParseCSV("stops.txt", []byte("line,note\n1,  x \n"), form.Columns{Required: []string{"line"}, Others: true})
	if err != nil || others.Rows[0].Cell("note") != "  x " {
		t.Errorf("%v", err)
	}
}

func TestParseCSVRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":          {"", "f.csv: empty: its first line names the columns line"},
		"GBK":            {"line\n\xc2\xb7\xb5\n", "f.csv: not UTF-8: save it as CSV UTF-8"},
		"no column":      {"fare\n1\n", `f.csv, line 1, column "line": missing: add this column`},
		"strange column": {"line,price\n", `f.csv, line 1, column "price": no such column here: the columns are line,fare`},
		"column twice":   {"line,line\n", `f.csv, line 1, column "line": stands twice`},
		"short line":     {"line,fare\n1\n", "f.csv, line 2: not as many cells as the first line has names (2)"},
		"long line":      {"line\n1,2\n", "f.csv, line 2: not as many cells"},
		"bare quote":     {"line\na\"b\n", "f.csv, line 2: "},
		"open quote":     {"line\n\"a\n", "f.csv, line 2: "},
		"space":          {"line\n\n19 \n", `f.csv, line 3, column "line": "19 " has white space around it`},
		"control":        {"line\n1\x002\n", `f.csv, line 2, column "line": "1\x002" holds a control character`},
		"long cell":      {"line\n" + strings.Repeat("x", 257) + "\n", `f.csv, line 2, column "line": too long`},
	} {
		table, err := form.ParseCSV("f.csv", []byte(c.text), twoColumns)
		var fault *form.CellError
		if table != nil || !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func FuzzParseCSV(f *testing.F) {
	f.Add([]byte("line,fare\n19,2.00\n"))
	f.Add([]byte("\ufeffline\n\"a\"\"b\"\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := form.ParseCSV("f.csv", b, twoColumns)
		if err != nil {
			return
		}
		last := 1
		for _, row := range table.Rows {
			if row.Line <= last || strings.TrimSpace(row.Cell("line")) != row.Cell("line") {
				t.Fatalf("%q: line %d after %d", b, row.Line, last)
			}
			last = row.Line
		}
	})
}
