package merchant

import (
	"cmp"
	"context"
	"slices"

	"github.com/shuama/shuama/protocol/record"
)

// TerminalChain is what the record chain of one terminal proves (terminal-facts R23).
type TerminalChain struct {
	POSID    string
	Highest  uint64           // the newest number that came
	Findings []record.Finding // gaps, clones, restarts, breaks; empty when all is there
}

// Chains goes through every record and tells, terminal by terminal, what is missing or doubled. Records
// without a link, as old terminals write them, prove nothing and are passed over.
func (m *Merchant) Chains(ctx context.Context) ([]TerminalChain, error) {
	chains := chainReader{chains: map[string]*record.Chain{}, registers: map[string]*record.Register{}}
	for stored, err := range pages(func(after StoredRecord) ([]StoredRecord, error) {
		return m.store.Records(ctx, after.ID, pageSize)
	}) {
		if err != nil {
			return nil, err
		}
		if err := chains.add(stored.Bytes); err != nil {
			return nil, err
		}
	}
	return chains.report(), nil
}

type chainReader struct {
	chains    map[string]*record.Chain
	registers map[string]*record.Register
}

// add takes one record. What is no record, or has no link, stands aside or proves nothing.
func (r chainReader) add(raw []byte) error {
	u, err := record.Parse(raw)
	if err != nil {
		return nil
	}
	place, linked, err := u.Place()
	if err != nil || !linked {
		return nil
	}
	chain, known := r.chains[place.POSID]
	if !known {
		chain = record.NewChain(place.POSID)
		r.chains[place.POSID], r.registers[place.POSID] = chain, record.NewRegister()
	}
	if _, err := chain.Add(place, r.registers[place.POSID]); err != nil {
		return err
	}
	r.registers[place.POSID].Put(place)
	return nil
}

func (r chainReader) report() []TerminalChain {
	var report []TerminalChain
	for posID, chain := range r.chains {
		report = append(report, TerminalChain{POSID: posID, Highest: chain.Highest(), Findings: chain.Findings(0)})
	}
	slices.SortFunc(report, func(a, b TerminalChain) int { return cmp.Compare(a.POSID, b.POSID) })
	return report
}
