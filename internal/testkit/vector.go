package testkit

import (
	"os"
	"testing"

	"github.com/shuama/shuama/conformance"
)

// Vector is one case of testdata/vectors, in the form of package conformance.
type Vector = conformance.Vector

// ReadVectors reads every vector below dir.
func ReadVectors(t testing.TB, dir string) []Vector {
	t.Helper()
	vectors, err := conformance.ReadVectorsFrom(os.DirFS(dir))
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	return vectors
}
