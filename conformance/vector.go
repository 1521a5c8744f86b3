package conformance

import (
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/money"
)

//go:embed vectors
var files embed.FS

// Vector is one case: some bytes, when and with which keys they are looked at, and what must be said of
// them. Any implementation in any language can be held to it.
//
// A file is header lines "name: value", an empty line, and the bytes in hex:
//
//	kind: ride_code
//	clause: document 1 §8.1
//	about: the institution signature, one bit changed
//	key: 0=028B90…
//	at: 2018-01-17T05:36:00Z
//	expect: MALFORMED_QRCODE
//	check: institution_signature
//
//	0201005432…
//
// A case of several steps goes on in the same way, for the same verifier: header lines, an empty line, the
// bytes. In a later step, "=" for the bytes means those of the step before, and key, card_type,
// pos_param, amount_cents and at stay as they were where they are not given. "-" means no bytes at all.
type Vector struct {
	Name   string // of the file, without its ending
	Group  string // of the folder
	Kind   string // ride_code or record
	Clause string // what it shows
	About  string // the same for people
	Allows string // what a wrong answer allows somebody to do
	Step          // the first one
	Then   []Step // what follows
}

// Step is one holding of a code to a verifier, and the right answer.
type Step struct {
	Before    string   // Start, Init, Restart or nothing: what happens before
	Keys      []string // ID=HEX; none at all: the verifier was never initialised
	CardTypes []string
	POSParam  string
	AmountFen money.Fen
	At        string // RFC 3339; empty for a record, which has its own time
	Expect    string // the verdict's name, document 2 §4.1.5
	Check     string // the check that decides, as ours names it; empty for SUCCESS
	Bytes     []byte
}

// What happens before a step. The first step of a case is always a Start.
const (
	Start   = "start"   // a verifier that has never seen a code, initialised with the lists
	Init    = "init"    // initialised again with the lists of this step, while it runs (document 2 §4.1.2.2)
	Restart = "restart" // stopped and started, as by a power cut: what it kept on disk is there, and initialised
)

// Steps is the whole case.
func (v *Vector) Steps() []Step { return append([]Step{v.Step}, v.Then...) }

// ReadVectors gives the vectors of this package, by group and name.
func ReadVectors() ([]Vector, error) {
	tree, err := fs.Sub(files, "vectors")
	if err != nil {
		return nil, err
	}
	return ReadVectorsFrom(tree)
}

// ReadVectorsFrom reads every GROUP/NAME.txt of the file system given.
func ReadVectorsFrom(tree fs.FS) ([]Vector, error) {
	paths, err := fs.Glob(tree, "*/*.txt")
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no vectors found: %w", errors.Join(err, fs.ErrNotExist))
	}
	var vectors []Vector
	for _, name := range paths {
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, err
		}
		v, err := ParseVector(string(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		v.Name, v.Group = strings.TrimSuffix(path.Base(name), ".txt"), path.Base(path.Dir(name))
		vectors = append(vectors, v)
	}
	return vectors, nil
}

// ParseVector reads one file. An error names the header line or the step.
func ParseVector(content string) (Vector, error) {
	parts := strings.Split(strings.TrimRight(content, "\n"), "\n\n")
	if len(parts) < 2 || len(parts)%2 != 0 {
		return Vector{}, errors.New("not header lines, an empty line and bytes, by turns")
	}
	var v Vector
	last := Step{}
	for i := 0; i < len(parts); i += 2 {
		step, err := v.parseStep(parts[i], parts[i+1], last, i == 0)
		if err != nil {
			return Vector{}, fmt.Errorf("step %d: %w", i/2+1, err)
		}
		if last = step; i == 0 {
			v.Step = step
		} else {
			v.Then = append(v.Then, step)
		}
	}
	return v, nil
}

func (v *Vector) parseStep(header, body string, last Step, first bool) (Step, error) {
	var s Step
	for _, line := range strings.Split(header, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		if err := v.parseLine(&s, name, value, first); err != nil {
			return Step{}, fmt.Errorf("header line %q: %w", line, err)
		}
	}
	if !first {
		s.inherit(last)
	}
	return s, s.parseBytes(body, last, first)
}

var errLine = errors.New("unknown, empty or doubled")

func (v *Vector) parseLine(s *Step, name, value string, first bool) error {
	if value == "" {
		return errLine
	}
	if first {
		if target := map[string]*string{"kind": &v.Kind, "clause": &v.Clause, "about": &v.About, "allows": &v.Allows}[name]; target != nil {
			return setOnce(target, value)
		}
	} else if name == "before" {
		return setOnce(&s.Before, value)
	}
	switch name {
	case "key":
		s.Keys = append(s.Keys, value)
		return nil
	case "card_type":
		s.CardTypes = append(s.CardTypes, value)
		return nil
	case "amount_cents":
		return s.setAmount(value)
	}
	target := map[string]*string{"pos_param": &s.POSParam, "at": &s.At, "expect": &s.Expect, "check": &s.Check}[name]
	if target == nil {
		return errLine
	}
	return setOnce(target, value)
}

func setOnce(target *string, value string) error {
	if *target != "" {
		return errLine
	}
	*target = value
	return nil
}

func (s *Step) setAmount(text string) error {
	cents, err := strconv.ParseInt(text, 10, 64)
	if err != nil || s.AmountFen != 0 {
		return errLine
	}
	s.AmountFen = money.Fen(cents)
	return nil
}

func (s *Step) inherit(last Step) {
	if s.Keys == nil {
		s.Keys = last.Keys
	}
	if s.CardTypes == nil {
		s.CardTypes = last.CardTypes
	}
	if s.AmountFen == 0 {
		s.AmountFen = last.AmountFen
	}
	for _, text := range []struct {
		own  *string
		last string
	}{{&s.POSParam, last.POSParam}, {&s.At, last.At}} {
		if *text.own == "" {
			*text.own = text.last
		}
	}
}

func (s *Step) parseBytes(body string, last Step, first bool) (err error) {
	switch {
	case body == "-":
		s.Bytes = []byte{}
	case body == "=" && !first:
		s.Bytes = last.Bytes
	default:
		s.Bytes, err = hex.DecodeString(body)
	}
	return err
}

// Format writes the file.
func (v Vector) Format() string {
	var text strings.Builder
	for _, line := range [][2]string{{"kind", v.Kind}, {"clause", v.Clause}, {"about", v.About}, {"allows", v.Allows}} {
		writeLine(&text, line[0], line[1])
	}
	v.Step.format(&text, Step{})
	last := v.Step
	for _, step := range v.Then {
		text.WriteByte('\n')
		writeLine(&text, "before", step.Before)
		step.format(&text, last)
		last = step
	}
	return text.String()
}

// format writes what is not as it was in the step before.
func (s Step) format(text *strings.Builder, last Step) {
	writeList(text, "key", s.Keys, last.Keys)
	writeList(text, "card_type", s.CardTypes, last.CardTypes)
	if s.POSParam != last.POSParam {
		writeLine(text, "pos_param", s.POSParam)
	}
	if s.AmountFen != last.AmountFen {
		writeLine(text, "amount_cents", strconv.FormatInt(int64(s.AmountFen), 10))
	}
	if s.At != last.At {
		writeLine(text, "at", s.At)
	}
	writeLine(text, "expect", s.Expect)
	writeLine(text, "check", s.Check)
	switch {
	case len(s.Bytes) == 0:
		text.WriteString("\n-\n")
	case string(s.Bytes) == string(last.Bytes):
		text.WriteString("\n=\n")
	default:
		fmt.Fprintf(text, "\n%X\n", s.Bytes)
	}
}

func writeLine(text *strings.Builder, name, value string) {
	if value != "" {
		fmt.Fprintf(text, "%s: %s\n", name, value)
	}
}

func writeList(text *strings.Builder, name string, values, last []string) {
	if strings.Join(values, "\n") == strings.Join(last, "\n") {
		return
	}
	for _, value := range values {
		writeLine(text, name, value)
	}
}

// Instant is At as a time.
func (s Step) Instant() (time.Time, error) { return time.Parse(time.RFC3339, s.At) }
