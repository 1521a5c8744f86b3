package main

import (
	"os"
	"strings"
	"testing"
)

// wantRight is what edge/scan promises: more than the best reader of the distribution, and never other bytes.
// It reads more today; a change that loses some of it must say why.
const wantRight = 133

func TestOurs(t *testing.T) {
	set, dir, done, err := prepare(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if len(set) != 150 {
		t.Fatalf("%d pictures", len(set))
	}
	s := measure(t.Context(), ours(), set, dir)
	if s.total < wantRight || len(s.wrong) > 0 {
		var table strings.Builder
		writeTable(&table, []score{s}, len(set))
		t.Errorf("%d of %d right, want %d; wrong bytes for %v\n%s", s.total, len(set), wantRight, s.wrong, table.String())
	}
}

// A program that returns other bytes is caught: zbarimg does when nobody says -Sbinary, with exit code 0.
func TestWrongBytesAreCounted(t *testing.T) {
	good, err := debian()
	if err != nil {
		t.Fatal(err)
	}
	guesses, err := parseDecoder("guesses=zbarimg -q --raw {}")
	if err != nil {
		t.Fatal(err)
	}
	set, dir, _, err := prepare(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	clean := set[:1]
	if s := measure(t.Context(), guesses, clean, dir); s.total != 0 || len(s.wrong) != 1 {
		t.Errorf("zbarimg without -Sbinary: %d right, wrong %v", s.total, s.wrong)
	}
	for _, d := range good {
		if s := measure(t.Context(), d, clean, dir); s.total != 1 || len(s.wrong) != 0 || s.right["clean"] != 1 {
			t.Errorf("%s: %d right, wrong %v", d.name, s.total, s.wrong)
		}
	}
	if content, err := os.ReadFile(dir + "/" + clean[0].name + ".bin"); err != nil || string(content) != string(clean[0].payload) {
		t.Errorf("the payload beside the picture: %v", err)
	}
}

func TestParseDecoder(t *testing.T) {
	for _, text := range []string{"", "zbar", "=zbarimg", "zbar= "} {
		if _, err := parseDecoder(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
