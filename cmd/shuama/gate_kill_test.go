package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/journal"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/wallet"
)

const (
	gateKills       = 200
	gateCodesAStart = 40
	gatePhones      = 13 // a phone has a code for each of the last 500 seconds
)

// A gate is killed two hundred times at random moments while riders pass: every success that it told is
// in the journal, each once, its records are one unbroken chain, and no code opened it twice.
func TestKilledGate(t *testing.T) {
	k := newGateKilling(t)
	random := rand.New(rand.NewPCG(11, 11))
	for range gateKills {
		k.run(1+random.IntN(gateCodesAStart-5), time.Duration(random.IntN(2000))*time.Microsecond)
	}
	k.prove()
}

type gateKilling struct {
	t      *testing.T
	dir    string
	binary string
	phones []*wallet.Wallet // those that have codes left
	clock  time.Time        // the next code's second
	sent   []string
	told   map[string]int // records that were told as a success
}

func newGateKilling(t *testing.T) *gateKilling {
	k := &gateKilling{t: t, dir: t.TempDir(), told: map[string]int{}}
	k.binary = filepath.Join(k.dir, "shuama")
	if out, err := exec.Command("go", "build", "-o", k.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	w := &world{context: t.Context(), stdin: strings.NewReader(""), stdout: io.Discard, stderr: &bytes.Buffer{}, now: time.Now}
	path := func(name string) string { return filepath.Join(k.dir, name) }
	for _, command := range [][]string{
		{"keys", "init", path("city")}, {"keys", "app", path("city"), "2021000000000001", "--out", path("merchant")},
		{"keys", "terminal", path("city"), "2021000000000001", "bus", "--out", path("gate")},
	} {
		if status := run(w, command); status != exitAccepted {
			t.Fatalf("shuama %v: %s", command, w.stderr)
		}
	}
	for i := range gatePhones {
		k.phones = append(k.phones, fetchPhone(t, w, path("city"), path(fmt.Sprintf("phone%d", i)), fmt.Sprintf("20880000000000%02d", i)))
	}
	k.clock = time.Now().Add(-500 * time.Second)
	return k
}

func fetchPhone(t *testing.T, w *world, city, dir, user string) *wallet.Wallet {
	t.Helper()
	for _, command := range [][]string{{"account", "open", city, user}, {"wallet", "fetch", city, user, "--out", dir}} {
		if status := run(w, command); status != exitAccepted {
			t.Fatalf("shuama %v: %s", command, w.stderr)
		}
	}
	phone, err := (&walletShowCommand{Dir: dir}).open()
	if err != nil {
		t.Fatal(err)
	}
	return phone
}

// run starts the gate, offers codes, new ones and some that were offered before, and kills it some time
// after it has answered so many.
func (k *gateKilling) run(answersCount int, later time.Duration) {
	k.t.Helper()
	gate := exec.Command(k.binary, "terminal", filepath.Join(k.dir, "gate"), "--line", "19", "--amount", "2.00", "--json")
	in, err := gate.StdinPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	out, err := gate.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := gate.Start(); err != nil {
		k.t.Fatal(err)
	}
	var codes strings.Builder
	for i := range gateCodesAStart {
		fmt.Fprintln(&codes, k.next(i))
	}
	go func() { _, _ = io.WriteString(in, codes.String()) }() // a gate that is dead takes none
	k.listen(out, answersCount, func() { time.AfterFunc(later, func() { _ = gate.Process.Kill() }) })
	_ = gate.Wait() // it was killed: that is its error
}

// next is a code that was never shown, or now and then one that was.
func (k *gateKilling) next(i int) string {
	if i%4 == 3 && len(k.sent) > 0 {
		return k.sent[len(k.sent)/2]
	}
	k.clock = k.clock.Add(time.Second)
	if k.clock.After(time.Now()) {
		k.clock, k.phones = time.Now().Add(-500*time.Second), k.phones[1:]
	}
	code, err := k.phones[0].Present(k.clock)
	if err != nil {
		k.t.Fatal(err)
	}
	k.sent = append(k.sent, fmt.Sprintf("%X", code))
	return k.sent[len(k.sent)-1]
}

// listen hears the gate to its end, and calls kill at its answer of this number.
func (k *gateKilling) listen(out io.Reader, killAt int, kill func()) {
	lines := bufio.NewScanner(out)
	for number := 1; lines.Scan(); number++ {
		if number == killAt {
			kill()
		}
		var answer tapJSON
		if json.Unmarshal(lines.Bytes(), &answer) == nil && answer.Verdict == "SUCCESS" {
			k.told[answer.Record]++
		}
	}
}

func (k *gateKilling) prove() {
	k.t.Helper()
	j, err := journal.Open(filepath.Join(k.dir, "gate", "gate.journal"))
	if err != nil {
		k.t.Fatal(err)
	}
	defer j.Close()
	kept, codes := map[string]int{}, map[string]bool{}
	chain, register := record.NewChain("bus"), record.NewRegister()
	err = j.Replay(0, func(entry journal.Entry) error {
		if entry.Kind != acceptanceKind {
			return nil
		}
		kept[fmt.Sprintf("%x", entry.Payload)]++
		u, err := record.Parse(entry.Payload)
		if err != nil {
			return err
		}
		if code := string(u.CodeBytes()); codes[code] {
			k.t.Error("one code opened the gate twice")
		} else {
			codes[code] = true
		}
		place, _, err := u.Place()
		if err != nil {
			return err
		}
		arrival, err := chain.Add(place, register)
		if err == nil && (arrival.Outcome != record.Follows || len(arrival.Findings) > 0) {
			k.t.Errorf("record %d: %+v", place.Seq, arrival)
		}
		register.Put(place)
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
	for told, times := range k.told {
		if times != 1 || kept[told] != 1 {
			k.t.Errorf("a success told %d times is in the journal %d times", times, kept[told])
		}
	}
	if len(k.told) < gateKills {
		k.t.Fatalf("only %d successes in %d starts: the kills came too early to prove anything", len(k.told), gateKills)
	}
	k.t.Logf("%d kills, %d successes told, %d records kept in one chain", gateKills, len(k.told), len(kept))
}
