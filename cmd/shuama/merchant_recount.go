package main

import (
	"fmt"

	"github.com/shuama/shuama/role/merchant/fare"
)

type merchantRecountCommand struct {
	Dir   string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Month string `help:"The month." placeholder:"2026-07" required:""`
}

// Help shows how it is used.
func (merchantRecountCommand) Help() string {
	return `For fare tables that were changed in the middle of a month: trades that were never sent are priced anew, and
the monthly sums are counted again from the first of the month. What was charged stays.

Example:
  shuama merchant recount merchant --month 2026-07`
}

// Run recounts.
func (c *merchantRecountCommand) Run(w *world) error {
	first, err := fare.ParseDay(c.Month + "-01")
	if err != nil {
		return fmt.Errorf("--month %q: not a month like 2026-07", c.Month)
	}
	o, err := openOffice(c.Dir, notSettling{})
	if err != nil {
		return err
	}
	defer o.Close()
	report, err := o.Recount(w.context, first, w.now().UTC())
	if err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "%d riders; %d trades priced anew, %d refunds named.\n", report.Riders, report.Trades, report.Refunds)
	return nil
}
