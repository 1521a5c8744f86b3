package main

import (
	"strings"
	"testing"
)

// A small month: every fen is explained, and taps were lost and late.
func TestMonth(t *testing.T) {
	m, err := runMonth(t.Context(), plan{riders: 60, rides: 6, amiss: 0.2, seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if m.lost == 0 || m.late == 0 || m.incomplete == 0 || m.discounted == 0 || m.refundsCount == 0 || m.unknown > 0 {
		t.Errorf("nothing happened in this month: %s", m.explained())
	}
	var out strings.Builder
	if err := runAll(t.Context(), &out, "10", plan{rides: 2, amiss: 0.04, seed: 1}); err != nil || !strings.Contains(out.String(), "| 10 |") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := runAll(t.Context(), &out, "ten", plan{}); err == nil {
		t.Error("ten riders are no number")
	}
}
