package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant"
)

type merchantGapsCommand struct {
	Dir   string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Prove bool   `help:"Read all records again, and hold what is kept of the chains against them."`
}

// Help shows how it is used.
func (merchantGapsCommand) Help() string {
	return `Terminals number their records, and each names the one before. What is missing here may still be on
its way; what stands twice is two terminals with one key. Only records that a terminal of terminals.json
has signed prove anything. Only records that came since the last time are read. Exit status: 0 all is there,
1 something is not, or cannot be told.

Examples:
  shuama merchant gaps merchant
  shuama merchant gaps merchant --prove`
}

// Run tells what each terminal's record chain proves.
func (c *merchantGapsCommand) Run(w *world) error {
	terminals, err := readTerminals(c.Dir)
	if err != nil {
		return err
	}
	o, err := openOffice(c.Dir, notSettling{})
	if err != nil {
		return err
	}
	defer o.Close()
	chains, err := o.Chains(w.context, terminals)
	if err != nil {
		return err
	}
	if c.Prove {
		if err := proveChains(w, o, terminals, chains); err != nil {
			return err
		}
	}
	well := true
	for _, chain := range chains {
		well = printChain(w, chain) && well
	}
	if !well {
		return refusal{}
	}
	return nil
}

// proveChains holds what is kept against all records.
func proveChains(w *world, o *office, terminals merchantTerminals, chains []merchant.TerminalChain) error {
	proven, err := o.ProveChains(w.context, terminals)
	if err != nil {
		return err
	}
	if fmt.Sprint(proven) != fmt.Sprint(chains) {
		return errors.New("what is kept of the chains is not what the records say: nobody should have written there; restore merchant.db from a copy, and collect the journals again")
	}
	fmt.Fprintf(w.stdout, "Proven: %d chains, from all records.\n", len(proven))
	return nil
}

func printChain(w *world, chain merchant.TerminalChain) (well bool) {
	if !chain.Known {
		fmt.Fprintf(w.stdout, "%s: %d records, and its key is not in terminals.json: nobody can tell\n", chain.POSID, chain.Count)
		return false
	}
	fmt.Fprintf(w.stdout, "%s: records up to number %d, findings: %d\n", chain.POSID, chain.Highest, len(chain.Findings))
	for _, finding := range chain.Findings {
		fmt.Fprintf(w.stdout, "  %s\n", finding)
	}
	if chain.Unverified > 0 {
		fmt.Fprintf(w.stdout, "  %d records in its name are not its own\n", chain.Unverified)
	}
	if chain.Fault != nil {
		fmt.Fprintf(w.stdout, "  the chain cannot be followed further: %v\n", chain.Fault)
	}
	return len(chain.Findings) == 0 && chain.Unverified == 0 && chain.Fault == nil
}

// merchantTerminals is terminals.json in a merchant's folder: pos_id to what checks its records, as
// record.ParseIntegrity reads it.
type merchantTerminals map[string]record.Integrity

// TerminalIntegrity finds what checks a terminal's records.
func (m merchantTerminals) TerminalIntegrity(posID string) (record.Integrity, bool) {
	integrity, known := m[posID]
	return integrity, known
}

func readTerminals(dir string) (merchantTerminals, error) {
	texts, err := readTerminalTexts(dir)
	if err != nil {
		return nil, err
	}
	terminals := merchantTerminals{}
	for posID, text := range texts {
		if terminals[posID], err = record.ParseIntegrity(text); err != nil {
			return nil, fmt.Errorf("terminals.json: %s: %w", posID, err)
		}
	}
	return terminals, nil
}

func readTerminalTexts(dir string) (map[string]string, error) {
	texts := map[string]string{}
	err := readJSON(filepath.Join(dir, "terminals.json"), &texts)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return texts, nil
}

// addTerminal tells a merchant of a terminal's public key.
func addTerminal(dir, posID, integrity string) error {
	texts, err := readTerminalTexts(dir)
	if err != nil {
		return err
	}
	texts[posID] = integrity
	return writeJSON(filepath.Join(dir, "terminals.json"), texts)
}
