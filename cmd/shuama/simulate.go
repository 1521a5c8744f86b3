package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

type simulateCommand struct {
	Riders   int           `help:"How many riders." default:"1000"`
	Gates    int           `help:"How many gates, on all lines." default:"40"`
	Lines    int           `help:"How many lines." default:"10"`
	Days     int           `help:"How many days they ride." default:"1"`
	Rides    int           `help:"Rides in a day. Without it: two and a half for each rider." placeholder:"N"`
	Seed     uint64        `help:"The same seed gives the same rides, faults and sums." default:"1"`
	Lasts    time.Duration `help:"Go on, day after day, for so long on the clock on the wall: a soak test." placeholder:"30m"`
	Database string        `help:"Keep the payment institution's books in an empty PostgreSQL database. Without it: in a file." placeholder:"URL"`
	Dir      string        `help:"Keep the city's files in this folder, which must not be there yet." placeholder:"DIR"`
	Report   string        `help:"Write the report as a page." placeholder:"FILE.html"`
	JSON     string        `help:"Write the report as JSON." name:"json" placeholder:"FILE.json"`
	simulatedFaults
}

// simulatedFaults are parts of one, unless they say something else.
type simulatedFaults struct {
	Drift     float64 `help:"Part of the gates whose clock is minutes off." default:"0.03"`
	Outage    float64 `help:"Chance of a gate, each hour, to lose its network for up to 30 hours." default:"0.02"`
	PowerCut  float64 `help:"Chance of a tap to meet a power cut while its record is written." default:"0.002" name:"power-cut"`
	Duplicate float64 `help:"Chance of an upload to come twice, the second time in another order." default:"0.05"`
	Lost      float64 `help:"Chance of a request to the platform, or of its answer, to be lost." default:"0.02"`
	Poor      float64 `help:"Part of the riders with little money, and no credit." default:"0.05"`
	Denied    float64 `help:"Part of the riders whom the institution stops at nine in the morning. They ride on where they can." default:"0.01"`
	Offline   float64 `help:"Chance of a phone to have no network before a ride: it hears of no key that was taken away." default:"0.2"`
	Colluding float64 `help:"Chance of a ride to be given on: the same code, shown at another gate." default:"0.002"`
	LeakedKey bool    `help:"A thief has an institution key from eight in the morning; gates hear of it at noon." default:"true" negatable:"" name:"leaked-key"`
}

// Help shows how it is used.
func (simulateCommand) Help() string {
	return `Everything in it is real: keys, signatures, journals that are synchronised, signed trust bundles, requests over HTTP, both
sets of books. Only the clock is moved, as fast as the machine can, and the gates are in one process. In the end
every fen is explained; the exit status is 1 if one is not.

Examples:
  shuama simulate
  shuama simulate --riders 20000 --gates 400 --days 3 --report city.html
  shuama simulate --lasts 30m --database postgres://shuama@127.0.0.1/soak --json soak.json`
}

// Run lets the city live, and reports.
func (c *simulateCommand) Run(w *world) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	dir := c.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "shuama-simulate-*"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	} else if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	town, err := foundTown(w, *c, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, town.close()) }()
	interrupted := town.live(w.context)
	if interrupted != nil && !errors.Is(interrupted, context.Canceled) {
		return interrupted
	}
	result, err := town.account(context.WithoutCancel(w.context), interrupted != nil)
	if err != nil {
		return err
	}
	return c.tell(w, result)
}

func (c *simulateCommand) check() error {
	for name, value := range map[string]int{"--riders": c.Riders, "--gates": c.Gates, "--lines": c.Lines, "--days": c.Days} {
		if value < 1 || value > 10_000_000 {
			return fmt.Errorf("%s: from 1 to 10000000", name)
		}
	}
	if c.Rides < 0 || c.Gates < 2*shardsCount {
		return fmt.Errorf("--rides: not below 0; --gates: at least %d", 2*shardsCount)
	}
	for name, part := range map[string]float64{"--drift": c.Drift, "--outage": c.Outage, "--power-cut": c.PowerCut, "--duplicate": c.Duplicate,
		"--lost": c.Lost, "--poor": c.Poor, "--denied": c.Denied, "--colluding": c.Colluding, "--offline": c.Offline} {
		if !(part >= 0 && part <= 0.9) {
			return fmt.Errorf("%s: from 0 to 0.9", name)
		}
	}
	return nil
}

func (c *simulateCommand) ridesADay() int {
	if c.Rides > 0 {
		return c.Rides
	}
	return c.Riders * 5 / 2
}

// tell prints the report, and writes it where it is wanted.
func (c *simulateCommand) tell(w *world, result *simulated) error {
	result.print(w.stdout)
	if c.JSON != "" {
		text, err := json.MarshalIndent(result, "", "  ")
		if err == nil {
			err = os.WriteFile(c.JSON, append(text, '\n'), 0o600)
		}
		if err != nil {
			return fmt.Errorf("--json: %w", err)
		}
	}
	if c.Report != "" {
		page, err := result.page()
		if err == nil {
			err = os.WriteFile(c.Report, page, 0o600)
		}
		if err != nil {
			return fmt.Errorf("--report: %w", err)
		}
		shown, _ := filepath.Abs(c.Report)
		fmt.Fprintf(w.stdout, "\nThe report as a page: %s\n", shown)
	}
	if !result.Explained {
		return refusal{}
	}
	return nil
}
