package merchant

import (
	"cmp"
	"context"
	"slices"

	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Verifier finds what checks the integrity value of a terminal's records (document 1 §7.2.5).
type Verifier interface {
	TerminalIntegrity(posID string) (record.Integrity, bool)
}

// TerminalChain is what the record chain of one terminal proves (terminal-facts R23).
type TerminalChain struct {
	POSID      string
	Count      int              // linked records that came in this terminal's name
	Known      bool             // the terminal's key is known; without it nothing can be proven, and only Count is told
	Unverified int              // of Count: integrity value not this terminal's; they take no part in its chain
	Highest    uint64           // the newest number that came
	Findings   []record.Finding // gaps, clones, restarts, breaks; empty when all is there
	Fault      error            // why the chain could not be followed to its end; Highest and Findings are from before
}

// Chains goes through every record and tells, terminal by terminal, what is missing or doubled. Only
// records that the terminal signed are looked at: anybody who may upload could otherwise accuse a
// terminal of being cloned. Records without a link, as old terminals write them, prove nothing and are
// passed over. The error is the store's.
func (m *Merchant) Chains(ctx context.Context, terminals Verifier) ([]TerminalChain, error) {
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
	u, err := record.Parse(raw)
	if err != nil {
		return
	}
	place, linked, err := u.Place()
	if err != nil || !linked {
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

// signedBy asks with the user that the code names: terminals of 2018 sign under the user id.
func signedBy(terminal record.Integrity, u *record.Unverified) bool {
	code, err := ridecode.Parse(u.CodeBytes())
	return err == nil && u.VerifyIntegrity(code.SkipVerification().Grant.UserID, terminal)
}

// follow stops at a fault: a chain that leaves out one record would find gaps that are none.
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
