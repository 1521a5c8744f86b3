package storetest

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant"
)

// gates are the terminals of testChains: one key of the city for all that it knows.
type gates map[string]record.Integrity

// TerminalIntegrity finds what checks a terminal's records.
func (g gates) TerminalIntegrity(posID string) (record.Integrity, bool) {
	integrity, known := g[posID]
	return integrity, known
}

// testChains: chains that are followed along as records come say what all records say, whatever comes in
// whatever order: gaps, clones, restarts, forgeries, terminals that are registered late or anew.
func testChains(t *testing.T, open Open) {
	city := NewCity(t)
	rapid.Check(t, func(rt *rapid.T) {
		store, again, end := open(t)
		defer end()
		m := city.Merchant(t, store, NewBank(nil), nil)
		known := gates{}
		records := city.linked(rt, t)
		for len(records) > 0 {
			size := min(len(records), rapid.IntRange(1, 8).Draw(rt, "batch"))
			collect(t, m, Morning(), records[:size]...)
			records = records[size:]
			switch rapid.IntRange(0, 5).Draw(rt, "then") {
			case 0:
				known["A"] = city.terminalKey()
			case 1:
				known["B"] = record.Legacy{}
			case 2:
				delete(known, "A")
			case 3:
				m = city.Merchant(t, again(), NewBank(nil), nil)
			case 4:
				continue // not asked this time
			}
			compareChains(rt, t, m, known)
		}
		compareChains(rt, t, m, known)
	})
}

func compareChains(rt *rapid.T, t *testing.T, m *merchant.Merchant, known gates) {
	kept, err := m.Chains(t.Context(), known)
	if err != nil {
		rt.Fatal(err)
	}
	proven, err := m.ProveChains(t.Context(), known)
	if err != nil {
		rt.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", kept), fmt.Sprintf("%+v", proven); got != want {
		rt.Fatalf("kept\n%s\nproven\n%s", got, want)
	}
}

func (c *City) terminalKey() record.Integrity {
	return record.TerminalKey{Public: c.terminal.Private.PublicKey()}
}

// linked draws records of two terminals: true chains with what can go wrong with them, in any order.
func (c *City) linked(rt *rapid.T, t *testing.T) [][]byte {
	var all [][]byte
	for _, posID := range []string{"A", "B"} {
		for branch := range rapid.IntRange(1, 2).Draw(rt, "lines of "+posID) { // a second one is a clone
			prev := record.Genesis(posID)
			for seq := uint64(1); seq <= uint64(rapid.IntRange(0, 8).Draw(rt, "length")); seq++ {
				raw := c.linkedRecord(t, posID, record.Link{Seq: seq, Prev: prev}, branch)
				u, err := record.Parse(raw)
				if err != nil {
					t.Fatal(err)
				}
				prev = u.Statement()
				all = append(all, raw)
			}
		}
	}
	all = append(all, c.Bus(t, 1, Morning()), []byte("junk"))
	order := rapid.Permutation(all).Draw(rt, "order")
	return order[:len(order)-rapid.IntRange(0, len(order)/2).Draw(rt, "lost")]
}

func (c *City) linkedRecord(t *testing.T, posID string, link record.Link, branch int) []byte {
	raw := c.Record(t, Ride{Phone: 1, Kind: record.Single, At: Morning().Add(time.Duration(link.Seq) * time.Minute), POSID: posID, Line: "19", RecordID: fmt.Sprint(branch)})
	u, err := record.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	kept := *u.SkipVerification()
	if kept.Terminal, err = link.Extend(kept.Terminal); err != nil {
		t.Fatal(err)
	}
	signed, err := kept.Sign(UserID(1), c.terminal)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
