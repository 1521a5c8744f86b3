// Command bench-settle measures settlement beside PostgreSQL's own pgbench, in one run on one server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"time"
)

func main() {
	var s settings
	flag.DurationVar(&s.lasts, "lasts", 6*time.Second, "how long each measurement takes")
	flag.IntVar(&s.rounds, "rounds", 5, "how often everything is measured, in turn; the table has the medians")
	flag.IntVar(&s.buckets, "buckets", 8, "buckets of the books in PostgreSQL")
	flag.IntVar(&s.callers, "callers", 448, "how many callers settle single trades at once")
	flag.IntVar(&s.grow, "grow", 0, "instead of it all: let books grow to so many trades, and tell what each costs on the way")
	flag.BoolVar(&s.sqlite, "sqlite", false, "with -grow: books in SQLite")
	flag.Parse()
	debug.SetGCPercent(gcPercent)
	measure := compare
	if s.grow > 0 {
		measure = grow
	}
	if err := measure(context.Background(), s); err != nil {
		fmt.Fprintln(os.Stderr, "bench-settle:", err)
		os.Exit(1)
	}
}

// gcPercent is what shuama serve sets.
const gcPercent = 400

type settings struct {
	lasts                    time.Duration
	rounds, buckets, callers int
	grow                     int
	sqlite                   bool
}

// compare measures everything in turn, so that what the machine does beside it falls on all alike.
func compare(ctx context.Context, s settings) (err error) {
	m, err := newMeasurement(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	for round := range s.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, s.rounds)
		if err := m.round(); err != nil {
			return err
		}
	}
	return m.report(os.Stdout)
}
