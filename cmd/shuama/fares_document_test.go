package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var updateDocument = flag.Bool("update-fares-document", false, "write what the commands of docs/fares.md say into it")

// TestFaresDocument makes the files of docs/fares.md and runs its commands: what it shows is what they say.
func TestFaresDocument(t *testing.T) {
	path, err := filepath.Abs("../../docs/fares.md")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	played, commands := playDocument(t, string(document))
	if *updateDocument {
		if err := os.WriteFile(path, []byte(played), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if commands < 10 {
		t.Errorf("only %d commands were found", commands)
	}
	if played != string(document) {
		t.Errorf("docs/fares.md does not show what its commands say; run this test with -update-fares-document and look at the difference:\n%s", firstDifference(string(document), played))
	}
}

// playDocument gives the document with what its commands say now.
func playDocument(t *testing.T, document string) (played string, commands int) {
	t.Helper()
	var out strings.Builder
	blocks := strings.Split(document, "```")
	for i, block := range blocks {
		if i > 0 {
			out.WriteString("```")
		}
		kind, body, _ := strings.Cut(block, "\n")
		switch {
		case i%2 == 1 && strings.HasPrefix(kind, "csv "):
			writeTable(t, strings.TrimPrefix(kind, "csv "), body)
		case i%2 == 1 && kind == "console":
			commands += strings.Count(body, "$ shuama ")
			block = kind + "\n" + playConsole(t, body)
		}
		out.WriteString(block)
	}
	return out.String(), commands
}

func writeTable(t *testing.T, name, body string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}

func playConsole(t *testing.T, body string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(body) {
		command, is := strings.CutPrefix(line, "$ shuama ")
		if !is {
			continue
		}
		var said bytes.Buffer
		w := &world{context: context.Background(), stdin: strings.NewReader(""), stdout: &said, stderr: &said, now: time.Now}
		run(w, splitWords(t, strings.TrimSuffix(command, "\n")))
		out.WriteString(line + said.String())
	}
	return out.String()
}

// splitWords takes a command apart: words, and words in double quotes.
func splitWords(t *testing.T, command string) []string {
	t.Helper()
	reader := csv.NewReader(strings.NewReader(command))
	reader.Comma = ' '
	words, err := reader.Read()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return words
}

func firstDifference(a, b string) string {
	linesA, linesB := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(linesA), len(linesB)) {
		if linesA[i] != linesB[i] {
			return linesA[i] + "\nis now\n" + linesB[i]
		}
	}
	return "one is longer"
}
