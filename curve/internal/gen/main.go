// Command gen (代码生成) writes the two curve packages from one set of templates, so that they cannot drift apart.
//
// Everything a curve needs beyond its domain parameters (endomorphism, lattice, reduction constants,
// addition chain of the square root) is derived here from p, n, b and G and checked while deriving; no
// constant is copied in by hand.
//
//	go run ./curve/internal/gen -curve secp192k1 -out curve/secp192k1
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	name := flag.String("curve", "", "secp192k1 or secp256k1")
	out := flag.String("out", ".", "folder of the package")
	flag.Parse()
	if err := run(*name, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(name, out string) error {
	files, err := generate(name)
	if err != nil {
		return err
	}
	for file, source := range files {
		if err := os.WriteFile(filepath.Join(out, file), source, 0o644); err != nil {
			return err
		}
	}
	return nil
}
