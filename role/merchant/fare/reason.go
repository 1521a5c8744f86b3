package fare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
)

// maxWhySize is more than any reason has, in bytes: five names of 256.
const maxWhySize = 4096

// AppendLines writes lines as JSON: a list of objects with kind, why, file and row where there are such,
// and fen. ParseLines reads it.
func AppendLines(dst []byte, lines []Line) []byte {
	dst = append(dst, '[')
	for i, line := range lines {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, `{"kind":"`...), line.Kind...)
		dst = form.AppendJSONString(append(dst, `","why":`...), line.Why)
		if line.Source.File != "" {
			dst = form.AppendJSONString(append(dst, `,"file":`...), line.Source.File)
			dst = strconv.AppendInt(append(dst, `,"row":`...), int64(line.Source.Row), 10)
		}
		dst = append(strconv.AppendInt(append(dst, `,"fen":`...), int64(line.AmountFen), 10), '}')
	}
	return append(dst, ']')
}

// ParseLines reads what AppendLines wrote.
func ParseLines(b []byte) ([]Line, error) {
	var members []struct {
		Kind LineKind  `json:"kind"`
		Why  string    `json:"why"`
		File string    `json:"file"`
		Row  int       `json:"row"`
		Fen  money.Fen `json:"fen"`
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&members); err != nil || members == nil {
		return nil, errors.New("fare: a reason is not a JSON list of lines")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) || form.DoubledName(b) {
		return nil, errors.New("fare: a reason has a name twice, or something behind it")
	}
	var lines []Line
	for _, m := range members {
		if m.Kind.order() < 0 || len(m.Why) > maxWhySize || m.Row < 0 || (m.File == "") != (m.Row == 0) {
			return nil, errors.New("fare: a line of a reason is of no kind known here, or has a row without a file")
		}
		lines = append(lines, Line{Kind: m.Kind, Why: m.Why, Source: Source{File: m.File, Row: m.Row}, AmountFen: m.Fen})
	}
	return lines, nil
}

// order is the place of a kind in a reason, -1 for what is none.
func (k LineKind) order() int {
	for i, known := range []LineKind{Base, Default, Grace, Time, Identity, Step, Transfer, Cap, Limit, Credit} {
		if k == known {
			return i
		}
	}
	return -1
}

// shown is a name that a terminal wrote and no table knows, as people may see it: what does not print could forge
// what they read.
func shown(name string) string {
	const sizeMax = 64
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	for len(name) > sizeMax {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

// String is the source for people, "2026-07/matrix.csv:12".
func (s Source) String() string {
	if s.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", s.File, s.Row)
}

// Text is the reason for a terminal: a line each, with what was left after it.
//
//	BASE       人民广场 to 松江大学城                 6.00    6.00  fares/matrix.csv:2
//	IDENTITY   student, pays 50 %                  -3.00    3.00  fares/identities.csv:2
func Text(lines []Line) string {
	var out strings.Builder
	var left money.Fen
	for _, line := range lines {
		left += line.AmountFen
		sign := ""
		if line.AmountFen >= 0 {
			sign = "+"
		}
		fmt.Fprintf(&out, "%-9s %8s %8s  %s", line.Kind, sign+line.AmountFen.Yuan(), left.Yuan(), line.Why)
		if line.Source.File != "" {
			fmt.Fprintf(&out, " (%s)", line.Source)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// OneLine is the reason in one line, for lists.
func OneLine(lines []Line) string {
	parts := make([]string, len(lines))
	for i, line := range lines {
		sign := ""
		if i > 0 && line.AmountFen >= 0 {
			sign = "+"
		}
		parts[i] = sign + line.AmountFen.Yuan() + " " + line.Why
	}
	return strings.Join(parts, "; ")
}
