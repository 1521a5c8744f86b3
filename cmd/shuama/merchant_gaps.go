package main

import "fmt"

type merchantGapsCommand struct {
	Dir string `arg:"" help:"The merchant's folder." type:"existingdir"`
}

// Help shows how it is used.
func (merchantGapsCommand) Help() string {
	return `Terminals number their records, and each names the one before. What is missing here may still be on
its way; what stands twice is two terminals with one key. Exit status: 0 all is there, 1 something is not.

Example:
  shuama merchant gaps merchant`
}

// Run tells what each terminal's record chain proves.
func (c *merchantGapsCommand) Run(w *world) error {
	o, err := openOffice(c.Dir, notSettling{})
	if err != nil {
		return err
	}
	defer o.Close()
	chains, err := o.Chains(w.context)
	if err != nil {
		return err
	}
	faults := 0
	for _, chain := range chains {
		fmt.Fprintf(w.stdout, "%s: records up to number %d, findings: %d\n", chain.POSID, chain.Highest, len(chain.Findings))
		for _, finding := range chain.Findings {
			fmt.Fprintf(w.stdout, "  %s\n", finding)
		}
		faults += len(chain.Findings)
	}
	if faults > 0 {
		return refusal{}
	}
	return nil
}
