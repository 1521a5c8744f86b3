// Command month lets a city ride for a month (模拟月), through the merchant and the platform: real codes, real records, the
// merchant's intake, trips, fares and trades; settlement through the real gateway into the institution's books; refunds,
// closed days and bills. Some taps are lost and some late, some riders have too little money. In the end every fen is
// explained, in both sets of books, and it tells what a ride has cost in time and memory, for several sizes of city.
//
//	go run ./tools/month                    # 1,000, 4,000 and 16,000 riders
//	go run ./tools/month -riders 100000     # one size; some minutes
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

func main() {
	sizes := flag.String("riders", "1000,4000,16000", "how many riders, for each run")
	rides := flag.Float64("rides", 6, "rides of a rider in the month, on average")
	amiss := flag.Float64("amiss", 0.04, "part of the taps that is lost or late, half of each")
	seed := flag.Uint64("seed", 1, "of the random numbers: the same month each time")
	flag.Parse()
	if err := runAll(context.Background(), os.Stdout, *sizes, plan{rides: *rides, amiss: *amiss, seed: *seed}); err != nil {
		fmt.Fprintln(os.Stderr, "month:", err)
		os.Exit(1)
	}
}

func runAll(ctx context.Context, out io.Writer, sizes string, p plan) error {
	fmt.Fprintf(out, "a month on %d lines, %.1f rides a rider, %.1f %% of the taps lost or late\n", linesCount, p.rides, 100*p.amiss)
	fmt.Fprintln(out, head)
	for _, text := range strings.Split(sizes, ",") {
		riders, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || riders < 1 {
			return fmt.Errorf("-riders %q: not a number of riders", text)
		}
		p.riders = riders
		month, err := runMonth(ctx, p)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, month.row())
		fmt.Fprintln(os.Stderr, month.explained())
	}
	return nil
}
