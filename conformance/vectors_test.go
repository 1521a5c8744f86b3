package conformance

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write vectors/ anew")

// The files in the tree are those that this package makes: keys and signatures are deterministic.
func TestVectorsAreThese(t *testing.T) {
	if *update {
		if err := os.RemoveAll("vectors"); err != nil {
			t.Fatal(err)
		}
	}
	made := MakeVectors(At())
	for _, v := range made {
		path := filepath.Join("vectors", v.Group, v.Name+".txt")
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(v.Format()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(content) != v.Format() {
			t.Errorf("%s differs: go test ./conformance -update writes it anew", path)
		}
	}
	there, err := ReadVectorsFrom(os.DirFS("vectors"))
	if err != nil || len(there) != len(made) {
		t.Errorf("%d vectors are made and %d are there: %v", len(made), len(there), err)
	}
	if len(made) < 60 {
		t.Errorf("%d vectors", len(made))
	}
}

// What is written is read back the same.
func TestFormatIsParsed(t *testing.T) {
	for _, v := range MakeVectors(At()) {
		got, err := ParseVector(v.Format())
		if err != nil {
			t.Fatalf("%s/%s: %v", v.Group, v.Name, err)
		}
		got.Name, got.Group = v.Name, v.Group
		if got.Format() != v.Format() || len(got.Then) != len(v.Then) {
			t.Errorf("%s/%s comes back different", v.Group, v.Name)
		}
		for i, step := range got.Steps() {
			want := v.Steps()[i]
			if string(step.Bytes) != string(want.Bytes) || !reflect.DeepEqual(step.Keys, want.Keys) || step.At != want.At ||
				step.AmountFen != want.AmountFen || step.POSParam != want.POSParam || step.Expect != want.Expect || step.Before != want.Before {
				t.Errorf("%s/%s: step %d comes back as %+v", v.Group, v.Name, i+1, step)
			}
		}
	}
}

// Every case says what it shows and what a wrong answer allows, in one line each, and no two cases are the
// same one.
func TestVectorsSayWhatTheyAre(t *testing.T) {
	names, steps := map[string]bool{}, map[string]string{}
	for _, v := range MakeVectors(At()) {
		name := v.Group + "/" + v.Name
		if names[name] {
			t.Errorf("%s is there twice", name)
		}
		names[name] = true
		if v.Clause == "" || v.About == "" || v.Allows == "" || strings.Contains(v.About+v.Allows, "\n") {
			t.Errorf("%s: clause, about or allows is missing or has several lines", name)
		}
		v.Clause, v.About, v.Allows = "", "", ""
		if other, twice := steps[v.Format()]; twice {
			t.Errorf("%s and %s are the same case", name, other)
		}
		steps[v.Format()] = name
		for i, step := range v.Steps() {
			if _, err := verdictOf(step.Expect); err != nil || (step.Expect == "SUCCESS") != (step.Check == "") {
				t.Errorf("%s: step %d: %q decided by %q: %v", name, i+1, step.Expect, step.Check, err)
			}
			if _, err := step.Instant(); err != nil {
				t.Errorf("%s: step %d: %v", name, i+1, err)
			}
		}
	}
}

// Other moments make other codes of the same cases.
func TestVectorsMove(t *testing.T) {
	fixed := 0
	later := MakeVectors(At().Add(1000 * time.Hour))
	for i, v := range MakeVectors(At()) {
		if later[i].Name != v.Name || later[i].Expect != v.Expect {
			t.Fatalf("%s became %s", v.Name, later[i].Name)
		}
		if later[i].At == v.At {
			fixed++
		}
	}
	if fixed != 3 { // the vendor's two, and the one of 2040
		t.Errorf("%d vectors stay at their time", fixed)
	}
}

func TestParseVectorRefuses(t *testing.T) {
	const good = "kind: ride_code\nclause: c\nabout: a\nat: 2026-11-21T00:00:00Z\nexpect: SUCCESS\n\n00\n"
	if _, err := ParseVector(good); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":                "",
		"no bytes":             "kind: ride_code\n",
		"unknown line":         strings.Replace(good, "about", "abut", 1),
		"doubled line":         strings.Replace(good, "about: a", "about: a\nabout: b", 1),
		"empty line value":     strings.Replace(good, "about: a", "about: ", 1),
		"odd hex":              strings.Replace(good, "00\n", "0\n", 1),
		"same as nothing":      strings.Replace(good, "\n00\n", "\n=\n", 1),
		"before at the start":  strings.Replace(good, "kind", "before: init\nkind", 1),
		"amount not a number":  strings.Replace(good, "kind", "amount_cents: two\nkind", 1),
		"kind in a later step": good + "\nkind: ride_code\n\n00\n",
		"step without bytes":   good + "\nexpect: SUCCESS\n",
	} {
		if _, err := ParseVector(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParseVector(f *testing.F) {
	for i, v := range MakeVectors(At()) {
		if i%20 == 0 {
			f.Add(v.Format())
		}
	}
	f.Fuzz(func(t *testing.T, content string) {
		v, err := ParseVector(content)
		if err != nil {
			return
		}
		again, err := ParseVector(v.Format())
		if err != nil || again.Format() != v.Format() {
			t.Fatalf("not the same again: %v", err)
		}
	})
}
