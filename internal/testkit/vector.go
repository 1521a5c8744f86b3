package testkit

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Vector is one case of testdata/vectors: some bytes, when and with which keys they are looked at, and
// what must be said of them. Any implementation in any language can be held to them.
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
type Vector struct {
	Name   string   // of the file, without its ending
	Kind   string   // ride_code or record
	Clause string   // what it shows
	About  string   // the same for people
	Keys   []string // ID=HEX
	At     string   // RFC 3339; empty for a record, which has its own time
	Expect string   // the verdict's name, document 2 §4.1.5
	Check  string   // the check that decides; empty for SUCCESS
	Bytes  []byte
}

// ReadVectors reads every vector below dir.
func ReadVectors(t testing.TB, dir string) []Vector {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no vectors in %s: %v", dir, err)
	}
	var vectors []Vector
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		v, err := ParseVector(string(content))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		v.Name = strings.TrimSuffix(filepath.Base(path), ".txt")
		vectors = append(vectors, v)
	}
	return vectors
}

// ParseVector reads one file.
func ParseVector(content string) (Vector, error) {
	header, body, found := strings.Cut(content, "\n\n")
	if !found {
		return Vector{}, fmt.Errorf("no empty line between header and bytes")
	}
	var v Vector
	for _, line := range strings.Split(header, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		target := map[string]*string{"kind": &v.Kind, "clause": &v.Clause, "about": &v.About, "at": &v.At, "expect": &v.Expect, "check": &v.Check}[name]
		switch {
		case name == "key":
			v.Keys = append(v.Keys, value)
		case target == nil || *target != "":
			return Vector{}, fmt.Errorf("header line %q: unknown or doubled", line)
		default:
			*target = value
		}
	}
	var err error
	v.Bytes, err = hex.DecodeString(strings.TrimSpace(body))
	return v, err
}

// Format writes the file.
func (v Vector) Format() string {
	var text strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&text, "%s: %s\n", name, value)
		}
	}
	line("kind", v.Kind)
	line("clause", v.Clause)
	line("about", v.About)
	for _, key := range v.Keys {
		line("key", key)
	}
	line("at", v.At)
	line("expect", v.Expect)
	line("check", v.Check)
	fmt.Fprintf(&text, "\n%X\n", v.Bytes)
	return text.String()
}
