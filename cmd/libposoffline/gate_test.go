//go:build cgo

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

func TestCardTypes(t *testing.T) {
	good := map[string][]ridecode.CardType{
		`["ANT00001"]`:                       {"ANT00001"},
		" [ \"ANT00001\" ,\n\"HZ000001\" ] ": {"ANT00001", "HZ000001"},
		`["\u0041NT00001","ANT00001"]`:       {"ANT00001", "ANT00001"},
	}
	for text, want := range good {
		if got, err := parseCardTypes([]byte(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	bad := map[string]string{
		``: "not a JSON list", `{}`: "not a JSON list", `"ANT00001"`: "not a JSON list", `["ANT00001"]]`: "not a JSON list",
		`[]`: "empty", `null`: "empty", `["ANT00001",null]`: "entry 1 is not a text", `[["ANT00001"]]`: "entry 0 is not a text",
		`["ANT0001"]`: "entry 0 is not 8 characters", `["ANT0000\n"]`: "entry 0 is not 8 characters", "[\"ANT000\xff\xff\"]": "entry 0 is not 8 characters",
		`[` + strings.Repeat(`"ANT00001",`, 6000) + `"ANT00001"]`: "longer than 64 KiB",
	}
	for text, want := range bad {
		got, err := parseCardTypes([]byte(text))
		var fault *form.Error
		if !errors.As(err, &fault) || got != nil || !strings.Contains(fault.Why, want) || fault.Clause == "" {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
}

func FuzzCardTypes(f *testing.F) {
	for _, seed := range []string{`["ANT00001"]`, `["ANT00001","HZ000001"]`, `["\u0041NT00001"]`, `[]`, `[null]`, `[1]`, `["ANT00001"]x`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		types, err := parseCardTypes(b)
		if err != nil {
			return
		}
		written, err := json.Marshal(types)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseCardTypes(written); err != nil || !slices.Equal(types, again) {
			t.Errorf("%s became %s: %v", b, written, err)
		}
	})
}

func TestSigners(t *testing.T) {
	for _, c := range []struct {
		algorithm string
		key       []byte
		want      record.Algorithm
	}{
		{"hmac-md5-user-id", nil, record.LegacyHMACMD5},
		{"hmac-md5-user-id", make([]byte, 1), ""},
		{"hmac-sha256", make([]byte, 16), record.HMACSHA256},
		{"hmac-sha256", make([]byte, 15), ""},
		{"ecdsa-secp256k1-sha256", append(make([]byte, 31), 9), record.ECDSASHA256},
		{"ecdsa-secp256k1-sha256", make([]byte, 32), ""},
		{"", nil, ""},
	} {
		made, err := parseSigner(c.algorithm, c.key)
		if (err == nil) != (c.want != "") || err == nil && made.Algorithm() != c.want {
			t.Errorf("%q with %d bytes: %v", c.algorithm, len(c.key), err)
		}
	}
}

// What acceptUnder asks of the caller's buffer is what the record then is.
func TestRecordSize(t *testing.T) {
	c := newCity(t, time.Now())
	g := newGate(time.Now)
	c.must(g.initialise([]byte(c.keyList(c.main, c.mainID, 1)), []byte(`["ANT00001"]`), files{}))
	for _, algorithm := range []string{"", "hmac-md5-user-id", "hmac-sha256", "ecdsa-secp256k1-sha256"} {
		if algorithm != "" {
			key := c.terminal.Bytes()
			if algorithm == "hmac-md5-user-id" {
				key = nil
			}
			made, err := parseSigner(algorithm, key)
			c.must(err)
			g.setSigner(made)
		}
		tap := c.tap()
		tap.room.record = 2*g.signer.recordSize(tap) - 1
		if got := g.accept(tap); got.verdict != ridecode.IllegalParam {
			t.Errorf("%q, one byte too few: %s", algorithm, got.verdict)
		}
		tap.room.record++
		if got := g.accept(tap); got.verdict != ridecode.Success || 2*len(got.record) != tap.room.record {
			t.Errorf("%q: %s, record of %d bytes where %d were asked for", algorithm, got.verdict, len(got.record), tap.room.record/2)
		}
	}
}

func (c *city) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *city) tap() tap {
	return tap{code: c.code(), posParam: []byte(`{"pos_id":"1","type":"SINGLE","subject":"","record_id":"1"}`), amountFen: 200,
		room: room{record: 2 * record.MaxSize, cardNo: 16, cardData: 64}}
}

// Everything at once, for the race detector: every code is accepted once, and is in a journal once.
func TestGateAtOnce(t *testing.T) {
	c := newCity(t, time.Now())
	g := newGate(time.Now)
	keys, types := []byte(c.keyList(c.main, c.mainID, 2)), []byte(`["ANT00001"]`)
	c.must(g.initialise(keys, types, files{}))
	paths := []string{filepath.Join(t.TempDir(), "1.journal"), filepath.Join(t.TempDir(), "2.journal")}
	c.must(g.setJournal(paths[0]))
	taps := make([]tap, 60)
	for i := range taps {
		taps[i] = c.tap()
	}
	key, err := parseOneKey(fmt.Sprintf("%X", c.main.PublicKey().Bytes()))
	c.must(err)
	var accepted atomic.Int32
	var riders sync.WaitGroup
	for rider := range 8 {
		riders.Go(func() {
			for i := range taps {
				t := taps[(i+rider*7)%len(taps)]
				accept := g.accept
				if rider == 0 {
					accept = func(t tap) answer { return g.acceptOneKey(key, t) }
				}
				if accept(t).verdict == ridecode.Success {
					accepted.Add(1)
				}
				g.inspect(t.code, t.room)
			}
		})
	}
	riders.Go(func() {
		for i := range 30 {
			c.must(g.initialise(keys, types, files{}))
			c.must(g.initialiseFor(ridecode.Quad{1}, keys, types, files{}))
			c.must(g.setJournal(paths[i%2]))
			g.setSigner(record.Legacy{})
		}
	})
	riders.Wait()
	c.must(g.free())
	kept := len(entries(t, paths[0])) + len(entries(t, paths[1]))
	if rode := int(accepted.Load()); kept != len(taps) || rode != kept {
		t.Errorf("%d codes: %d answers of success, %d records", len(taps), rode, kept)
	}
}
