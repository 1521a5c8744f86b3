//go:build cgo

package main

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/shuama/shuama/protocol/ridecode"
)

// The header's answers have the numbers and names of package ridecode: what a firmware logs is what
// the tools and the records of refused codes say.
func TestVerdictsAreNamedAsInTheHeader(t *testing.T) {
	header, err := os.ReadFile("pos_crypto.h")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^#define ([A-Z_]+) \((-?\d+)\)`).FindAllStringSubmatch(string(header), -1)
	if len(found) < 14 {
		t.Fatalf("%d answers in the header", len(found))
	}
	for _, define := range found {
		number, err := strconv.ParseInt(define[2], 10, 8)
		if err != nil {
			t.Fatal(err)
		}
		if name := ridecode.Verdict(number).String(); name != define[1] {
			t.Errorf("%d is %s in the header and %s in ridecode", number, define[1], name)
		}
	}
	if got := ridecode.InstitutionUnsupported; got != -13 {
		t.Errorf("an institution without a list is answered with %d", got)
	}
}
