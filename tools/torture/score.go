package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// score is how one decoder did.
type score struct {
	decoder string
	right   map[string]int // by variant
	total   int
	wrong   []string // names of pictures for which other bytes came out
	meanMs  float64
	slowMs  float64 // mean over the pictures that were not read
}

// measure gives every picture to the decoder. dir holds the files.
func measure(ctx context.Context, d decoder, set []torture, dir string) score {
	s := score{decoder: d.name, right: map[string]int{}}
	missed := 0
	for _, picture := range set {
		start := time.Now()
		got := d.read(ctx, filepath.Join(dir, picture.name+".png"), picture.file)
		ms := float64(time.Since(start).Microseconds()) / 1000
		s.meanMs += ms / float64(len(set))
		switch {
		case bytes.Equal(got, picture.payload):
			s.right[picture.variant]++
			s.total++
			continue
		case len(got) > 0:
			s.wrong = append(s.wrong, picture.name)
		}
		missed++
		s.slowMs += ms
	}
	if missed > 0 {
		s.slowMs /= float64(missed)
	}
	return s
}

func writeSet(set []torture, dir string) error {
	for _, picture := range set {
		if err := os.WriteFile(filepath.Join(dir, picture.name+".png"), picture.file, 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, picture.name+".bin"), picture.payload, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeTable prints all scores side by side, in Markdown.
func writeTable(out io.Writer, scores []score, setSize int) {
	row := func(name string, cell func(score) string) {
		fmt.Fprintf(out, "| %-20s |", name)
		for _, s := range scores {
			fmt.Fprintf(out, " %8s |", cell(s))
		}
		fmt.Fprintln(out)
	}
	row(fmt.Sprintf("of %d each", payloadCount), func(s score) string { return s.decoder })
	fmt.Fprint(out, "|---|")
	for range scores {
		fmt.Fprint(out, "---:|")
	}
	fmt.Fprintln(out)
	for _, v := range variants() {
		row(v.name, func(s score) string { return fmt.Sprint(s.right[v.name]) })
	}
	row(fmt.Sprintf("**total of %d**", setSize), func(s score) string { return fmt.Sprintf("**%d**", s.total) })
	row("wrong bytes returned", func(s score) string { return fmt.Sprint(len(s.wrong)) })
	row("mean ms a picture", func(s score) string { return fmt.Sprintf("%.0f", s.meanMs) })
	row("mean ms when unread", func(s score) string { return fmt.Sprintf("%.0f", s.slowMs) })
}
