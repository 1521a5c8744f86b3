package merchant_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/storetest"
	"github.com/shuama/shuama/role/wallet"
)

// registry is the terminals of a city as its merchant knows them.
type registry struct{ w *testkit.World }

func (r registry) TerminalIntegrity(posID string) (record.Integrity, bool) {
	return r.w.Terminals().TerminalIntegrity(testkit.AppID, posID)
}

func gateInfo(posID string) record.TerminalInfo {
	return record.TerminalInfo{POSID: posID, Kind: record.Single, Subject: "bus", Line: "19"}
}

// ride lets a gate accept count codes and gives all its records.
func ride(w *testkit.World, gate *testkit.Gate, phone *wallet.Wallet, count int) [][]byte {
	for range count {
		w.Pass(time.Second)
		gate.Tap(phone)
	}
	return gate.Records()
}

func describe(chains []merchant.TerminalChain) string {
	var lines []string
	for _, c := range chains {
		lines = append(lines, fmt.Sprintf("%s known %v: %d records, %d unverified, up to %d, %d findings, fault %v",
			c.POSID, c.Known, c.Count, c.Unverified, c.Highest, len(c.Findings), c.Fault != nil))
	}
	return strings.Join(lines, "\n")
}

// Whoever may upload can write records in a terminal's name. Only those that it signed say anything of it.
func TestForgedRecordsAccuseNobody(t *testing.T) {
	w := testkit.New(t, 100_00)
	phone := w.Rider("2088000000000001", 50_00, 0)
	honest := ride(w, w.Gate(gateInfo("bus"), 2_00), phone, 3)
	stranger, err := secp256k1.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	unknown := ride(w, w.GateSignedBy(gateInfo("nobody"), 2_00, record.TerminalSigner{Private: stranger}), phone, 2)
	// The forger writes numbers 1 to 3 again and a fourth, in the name of "bus".
	forged := forge(t, record.TerminalSigner{Private: stranger}, honest)
	if _, err := w.Merchant.Collect(t.Context(), append(append(honest, unknown...), forged...), w.Now()); err != nil {
		t.Fatal(err)
	}
	chains, err := w.Merchant.Chains(t.Context(), registry{w})
	want := "bus known true: 6 records, 3 unverified, up to 3, 0 findings, fault false\nnobody known false: 2 records, 0 unverified, up to 0, 0 findings, fault false"
	if got := describe(chains); err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

// forge writes the same numbers a minute later, under another key.
func forge(t *testing.T, key record.TerminalSigner, records [][]byte) [][]byte {
	t.Helper()
	var forged [][]byte
	for _, raw := range records {
		u, err := record.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		copied := *u.SkipVerification()
		copied.Time = copied.Time.Add(time.Minute)
		signed, err := copied.Sign("2088000000000001", key)
		if err != nil {
			t.Fatal(err)
		}
		forged = append(forged, signed)
	}
	return forged
}

// A chain with more holes than its state can hold is a fault of that terminal alone.
func TestOneChainAtFault(t *testing.T) {
	w := testkit.New(t, 100_00)
	phone := w.Rider("2088000000000001", 50_00, 0)
	batch := ride(w, w.Gate(gateInfo("bus"), 2_00), phone, 1)
	batch = append(batch, holes(t, batch[0], record.MaxRuns+2)...)
	for len(batch) > 0 {
		size := min(len(batch), 500)
		if _, err := w.Merchant.Collect(t.Context(), batch[:size], w.Now()); err != nil {
			t.Fatal(err)
		}
		batch = batch[size:]
	}
	chains, err := w.Merchant.Chains(t.Context(), holed{registry{w}})
	if err != nil || len(chains) != 2 || chains[0].Fault != nil || chains[0].Highest != 1 || chains[1].POSID != "holed" || chains[1].Fault == nil {
		t.Errorf("%v\n%s", err, describe(chains))
	}
}

// holed knows one terminal more, which signs as those of 2018 do.
type holed struct{ registry }

func (h holed) TerminalIntegrity(posID string) (record.Integrity, bool) {
	if posID == "holed" {
		return record.Legacy{}, true
	}
	return h.registry.TerminalIntegrity(posID)
}

// holes writes count records of which every second number is missing.
func holes(t *testing.T, like []byte, count int) [][]byte {
	t.Helper()
	u, err := record.Parse(like)
	if err != nil {
		t.Fatal(err)
	}
	kept := *u.SkipVerification()
	var batch [][]byte
	for i := range count {
		link := record.Link{Seq: uint64(2*i + 2), Prev: record.Genesis(fmt.Sprint(i))}
		if kept.Terminal, err = link.Extend(gateInfo("holed").JSON()); err != nil {
			t.Fatal(err)
		}
		signed, err := kept.Sign("2088000000000001", record.Legacy{})
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, signed)
	}
	return batch
}

// sender counts what is sent on its way to a bank.
type sender struct{ sent int }

func (s *sender) Settle(_ context.Context, trades []openapi.Trade) ([]openapi.TradeResult, error) {
	s.sent += len(trades)
	return storetest.NewBank(nil).Settle(context.Background(), trades)
}

// A metro trade waits for records that are still in some gate; a bus trade waits for nothing.
func TestPairWait(t *testing.T) {
	db, err := store.Open(filepath.Join(t.TempDir(), "merchant.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	city, bank := storetest.NewCity(t), &sender{}
	const wait = 30 * time.Minute
	m := city.Merchant(t, db.Merchant(), bank, func(c *merchant.Config) { c.PairWait = wait })
	left := storetest.Morning().Add(40 * time.Minute)
	batch := [][]byte{city.Metro(t, 1, record.Entry, storetest.Morning(), "松江大学城"), city.Metro(t, 1, record.Exit, left, "杨高中路"), city.Bus(t, 2, left)}
	if _, err := m.Collect(t.Context(), batch, left); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		at   time.Time
		sent int
	}{{left, 1}, {left.Add(wait - time.Second), 1}, {left.Add(wait), 2}} {
		report, err := m.SettleDue(t.Context(), step.at)
		if err != nil || report.Fault != nil || bank.sent != step.sent {
			t.Errorf("%s after the exit: %d sent, want %d; %+v, %v", step.at.Sub(left), bank.sent, step.sent, report, err)
		}
		if step.sent == 1 && !report.NextDue.Equal(left.Add(wait)) {
			t.Errorf("next due %s", report.NextDue)
		}
	}
}
