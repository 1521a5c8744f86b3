package merchant

import (
	"cmp"
	"context"
	"slices"

	"github.com/shuama/shuama/protocol/record"
)

// ProveChains tells what Chains tells from all records, each looked at again: it takes as long as there
// are records, and trusts nothing that was kept.
func (m *Merchant) ProveChains(ctx context.Context, terminals Verifier) ([]TerminalChain, error) {
	chains := chainReader{terminals: terminals, chains: map[string]*chainState{}}
	for stored, err := range pages(func(after StoredRecord) ([]StoredRecord, error) {
		return m.store.Records(ctx, after.ID, pageSize)
	}) {
		if err != nil {
			return nil, err
		}
		chains.add(stored.Bytes)
	}
	return chains.report(), nil
}

type chainReader struct {
	terminals Verifier
	chains    map[string]*chainState
}

// chainState is one terminal's chain as far as it was read.
type chainState struct {
	TerminalChain
	integrity record.Integrity
	chain     *record.Chain
	register  *record.Register
}

// add takes one record. What is no record, or has no link, stands aside or proves nothing.
func (r chainReader) add(raw []byte) {
	u, place, linked := placeOf(raw)
	if !linked {
		return
	}
	state := r.stateOf(place.POSID)
	state.Count++
	switch {
	case !state.Known:
	case !signedBy(state.integrity, u):
		state.Unverified++
	default:
		state.follow(place)
	}
}

func (r chainReader) stateOf(posID string) *chainState {
	state, met := r.chains[posID]
	if met {
		return state
	}
	state = &chainState{TerminalChain: TerminalChain{POSID: posID}}
	state.integrity, state.Known = r.terminals.TerminalIntegrity(posID)
	if state.Known {
		state.chain, state.register = record.NewChain(posID), record.NewRegister()
	}
	r.chains[posID] = state
	return state
}

// follow stops at a fault, as Chains does.
func (s *chainState) follow(place record.Place) {
	if s.Fault != nil {
		return
	}
	if _, s.Fault = s.chain.Add(place, s.register); s.Fault == nil {
		s.register.Put(place)
	}
}

func (r chainReader) report() []TerminalChain {
	var report []TerminalChain
	for _, state := range r.chains {
		if state.Known {
			state.Highest, state.Findings = state.chain.Highest(), state.chain.Findings(0)
		}
		report = append(report, state.TerminalChain)
	}
	slices.SortFunc(report, func(a, b TerminalChain) int { return cmp.Compare(a.POSID, b.POSID) })
	return report
}
