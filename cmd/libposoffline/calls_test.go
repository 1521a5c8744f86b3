//go:build cgo

package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/journal"
	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// The layout is the field's, for every processor, in C and in C++, and with every warning on.
func TestLayout(t *testing.T) {
	for _, on := range targets() {
		need(t, on.compiler, on.packages)
		for _, source := range []string{"testdata/abi.c", "demo/demo.c"} {
			out, err := exec.Command(on.compiler, "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I.", "-c", source, "-o", os.DevNull).CombinedOutput()
			if err != nil {
				t.Errorf("%s %s: %v\n%s", on.compiler, source, err, out)
			}
		}
	}
	need(t, "g++", "g++")
	if out, err := exec.Command("g++", "-Wall", "-Wextra", "-Werror", "-pedantic", "-x", "c++", "-fsyntax-only", "pos_crypto.h").CombinedOutput(); err != nil {
		t.Errorf("as C++: %v\n%s", err, out)
	}
}

// The library exports its calls and nothing else, needs no C library that terminals do not have, and
// is small enough for them. The shipped one has no way to move the clock.
func TestLibrary(t *testing.T) {
	need(t, "nm", "binutils")
	for _, on := range targets() {
		if on.name != "x86_64" && testing.Short() {
			continue
		}
		path := filepath.Join(library(t, on, shipped()), "libposoffline.so")
		info, err := os.Stat(path)
		if err != nil || info.Size() >= 4_000_000 {
			t.Errorf("%s: %v, %d bytes", on.name, err, info.Size())
		}
		want := []string{"free_pos_verify", "get_key_id", "get_qrcode_info", "get_version", "init_pos_verify",
			"init_pos_verify_with_institution_no", "pos_last_error", "set_pos_journal", "set_pos_signer", "verify_qrcode", "verify_qrcode_v2"}
		if got := symbols(t, path, "--defined-only"); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s exports %q", on.name, got)
		}
		newest := map[string]string{"x86_64": "2.3.2", "i686": "2.3.2", "armhf": "2.4", "arm64": "2.17"}[on.name]
		for _, symbol := range symbols(t, path, "--undefined-only") {
			if _, since, versioned := strings.Cut(symbol, "@GLIBC_"); versioned && newer(since, newest) {
				t.Errorf("%s needs %s: terminals are older", on.name, symbol)
			}
		}
	}
}

func symbols(t *testing.T, path, which string) []string {
	t.Helper()
	out, err := exec.Command("nm", "-D", "-P", which, path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, name)
	}
	return names
}

func newer(a, b string) bool {
	var x, y [3]int
	_, _ = fmt.Sscanf(a+".0.0", "%d.%d.%d", &x[0], &x[1], &x[2])
	_, _ = fmt.Sscanf(b+".0.0", "%d.%d.%d", &y[0], &y[1], &y[2])
	for i := range x {
		if x[i] != y[i] {
			return x[i] > y[i]
		}
	}
	return false
}

func TestCalls(t *testing.T) { testCalls(t, native(), shipped()) }

// The same with every read and write of C and Go watched.
func TestCallsSanitized(t *testing.T) {
	if testing.Short() {
		t.Skip("the sanitized library takes a while to build")
	}
	testCalls(t, native(), sanitized())
}

// The same on the processors that terminals have.
func TestForeign(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the cross compilers")
	}
	for _, on := range targets()[1:] {
		t.Run(on.name, func(t *testing.T) {
			testCalls(t, on, shipped())
			testDemo(t, on)
		})
	}
}

// testCalls makes every call with every answer, and checks the records and the journals that come of it.
func testCalls(t *testing.T, on target, v variant) {
	t.Helper()
	line := program(t, on, v, "testdata/calls.c")
	c := newCity(t, time.Now())
	c.callInputs()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"signer": fmt.Sprintf("hmac-sha256=%X\n", c.terminal.Bytes()), "bad-signer": "hmac-sha256=00112233"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	records := recordsIn(t, run(t, nil, line, c.inputFile(), dir))
	c.checkRecords(records)
	checkJournal(t, filepath.Join(dir, "calls.journal"), records["kept-1"], records["kept-2"], records["kept-4"])
	if kept := entries(t, filepath.Join(dir, "full.journal")); len(kept) != 2 {
		t.Errorf("%d records in the journal whose disk was full, want the two that were reported", len(kept))
	}
}

func (c *city) callInputs() {
	shown := func(d time.Duration) func(*issue) { return func(i *issue) { i.shownAt = c.now.Add(d) } }
	card := func(cardType ridecode.CardType, no ridecode.CardNo, data []byte) func(*issue) {
		return func(i *issue) { i.CardType, i.CardNo, i.CardData = cardType, no, data }
	}
	by := func(id ridecode.KeyID, institution ridecode.Quad, other bool) func(*issue) {
		return func(i *issue) {
			i.keyID, i.Institution = id, institution
			if other {
				i.key = c.other
			}
		}
	}
	for _, name := range strings.Fields("good v1 entry fresh-1 fresh-2 fresh-3 fresh-4 fresh-5 long-record kept-1 kept-2 kept-3 kept-4 kept-5 " +
		"signed-legacy signed-ecdsa signed-ecdsa-2 signed-hmac signed-legacy-2 signed-file signed-call-first") {
		c.bytes(name, c.code())
	}
	data := bytes.Repeat([]byte{0, 0xFF, 7, 1}, 16)
	c.bytes("card-data", data)
	c.bytes("card", c.code(card("GJ310000", "0123456789012345", data)))
	c.bytes("info-card", c.code(card("S0JP0000", "", data[:5])))
	c.bytes("v1-card", c.code(card("GJ310000", "1", nil)))
	c.bytes("unknown-card", c.code(card("HZ000001", "1", nil)))
	c.bytes("long-card-no", c.code(card("GJ310000", "01234567890123456", nil)))
	c.bytes("long-card-data", c.code(card("GJ310000", "2", append(data, 1))))
	c.bytes("long-card-no-forged", c.code(card("GJ310000", "01234567890123456", nil), func(i *issue) { i.key = c.other }))
	c.bytes("old", c.code(shown(-601*time.Second-time.Hour)))
	c.bytes("future", c.code(shown(time.Hour)))
	c.bytes("over", c.code(func(i *issue) { i.Expires = c.now.Add(-time.Second) }))
	c.bytes("unknown-key", c.code(by(9, ridecode.Quad{}, false)))
	c.bytes("other-issuer", c.code(by(c.otherID, ridecode.Quad{}, true)))
	c.bytes("institution-50023301", c.code(by(c.otherID, ridecode.Quad{0x50, 0x02, 0x33, 0x01}, true)))
	c.bytes("institution-forged", c.code(by(c.otherID, ridecode.Quad{0x50, 0x02, 0x33, 0x01}, false)))
	c.bytes("institution-99", c.code(by(c.mainID, ridecode.Quad{3: 0x99}, false)))
	c.brokenInputs()
	c.text("key3", fmt.Sprintf("%X", c.main.PublicKey().Bytes()))
	c.text("key4", fmt.Sprintf("%X", c.other.PublicKey().Bytes()))
	c.bytes("terminal-private", c.terminal.Bytes())
	c.text("long-pos-param", posParamOf(1500))
	c.text("huge-pos-param", posParamOf(2049))
}

func (c *city) brokenInputs() {
	good := c.code()
	broken := func(name string, change func(b []byte) []byte) { c.bytes(name, change(bytes.Clone(good))) }
	broken("truncated", func(b []byte) []byte { return b[:len(b)-1] })
	broken("version", func(b []byte) []byte { b[0] = 3; return b })
	broken("algorithm", func(b []byte) []byte { b[1] = 9; return b })
	broken("phone-signature", func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	c.bytes("institution-signature", c.code(func(i *issue) { i.key = c.other }))
	c.bytes("noise", []byte{0x02})
	c.bytes("long", bytes.Repeat([]byte{2}, 5000))
}

// posParamOf is a right pos_param of size bytes.
func posParamOf(size int) string {
	start := `{"pos_id":"1","type":"SINGLE","subject":"","record_id":"1","x":[0`
	start += strings.Repeat(",0", (size-len(start)-2)/2) + "]}"
	return start + strings.Repeat(" ", size-len(start))
}

func recordsIn(t *testing.T, out string) map[string][]byte {
	t.Helper()
	records := map[string][]byte{}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != "record" {
			t.Errorf("unexpected: %.200s", line)
			continue
		}
		b, err := hex.DecodeString(words[2])
		if err != nil {
			t.Fatal(err)
		}
		records[words[1]] = b
	}
	return records
}

// checkRecords holds every record to the version and the integrity value that its call was to give.
func (c *city) checkRecords(records map[string][]byte) {
	shared, err := record.NewSharedKey(c.terminal.Bytes())
	if err != nil {
		c.t.Fatal(err)
	}
	ecdsa := record.TerminalKey{Public: c.terminal.PublicKey()}
	want := map[string]record.Integrity{"signed-ecdsa": ecdsa, "signed-ecdsa-2": ecdsa, "signed-hmac": shared, "signed-file": shared}
	for _, name := range strings.Fields("good long-record signed-legacy signed-legacy-2 signed-call-first kept-1 kept-2 kept-4") {
		want[name] = record.Legacy{}
	}
	for name, integrity := range want {
		u, err := record.Parse(records[name])
		if err != nil {
			c.t.Errorf("%s: %v", name, err)
			continue
		}
		r := u.SkipVerification()
		legacy := integrity.Algorithm() == record.LegacyHMACMD5
		if (r.Version == record.Version2) != legacy || legacy && r.Software != version || !u.VerifyIntegrity("2088000011112222", integrity) {
			c.t.Errorf("%s: version %d by %q, not %s", name, r.Version, r.Software, integrity.Algorithm())
		}
	}
	if len(records) != len(want) {
		c.t.Errorf("%d records, want %d", len(records), len(want))
	}
}

func entries(t testing.TB, path string) [][]byte {
	t.Helper()
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var kept [][]byte
	err = j.Replay(0, func(entry journal.Entry) error {
		if entry.Kind != acceptanceKind {
			t.Errorf("entry %d is of kind %d", entry.Seq, entry.Kind)
		}
		kept = append(kept, entry.Payload)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func checkJournal(t *testing.T, path string, want ...[]byte) {
	t.Helper()
	if got := entries(t, path); !equal(got, want) {
		t.Errorf("%s: %d records, not the %d that were reported", path, len(got), len(want))
	}
}

func equal(a, b [][]byte) bool {
	return bytes.Equal(bytes.Join(a, nil), bytes.Join(b, nil)) && len(a) == len(b)
}

// The vendor's own two codes, on a clock of their time.
func TestVendorSamples(t *testing.T) {
	line := program(t, native(), clocked(), "testdata/clock.c")
	c := newCity(t, time.Now())
	for _, v := range testkit.ReadVectors(t, "../../testdata/vectors") {
		if strings.HasPrefix(v.Name, "sample-20") {
			c.bytes(v.Name, v.Bytes)
			if v.Name == "sample-2018" {
				_, key, _ := strings.Cut(v.Keys[0], "=")
				c.text("sample-keys", `[{"key_id":0,"public_key":"`+key+`"}]`)
			}
		}
	}
	records := recordsIn(t, run(t, nil, line, c.inputFile()))
	for name, user := range map[string]ridecode.UserID{"sample-2018": "2088302234037954", "sample-2020": "2088202914980775"} {
		u, err := record.Parse(records[name])
		if err != nil || !u.VerifyIntegrity(user, record.Legacy{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDemo(t *testing.T) { testDemo(t, native()) }

func testDemo(t *testing.T, on target) {
	t.Helper()
	line := program(t, on, shipped(), "demo/demo.c")
	c := newCity(t, time.Now())
	keys := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(keys, []byte(c.keyList(c.main, c.mainID, 4)), 0o600); err != nil {
		t.Fatal(err)
	}
	out := run(t, nil, line, keys, fmt.Sprintf("%X", c.code()), "200")
	if !strings.Contains(out, "verify_qrcode_v2: 1, please board") || !strings.Contains(out, "card type ANT00001") {
		t.Errorf("the demo says %s", out)
	}
	over, err := exec.Command(line[0], line[1:]...).CombinedOutput()
	if err == nil || !strings.Contains(string(over), "get_qrcode_info: -3") {
		t.Errorf("of the vendor's sample of 2018 the demo says %s", over)
	}
}

// Firmware may look the calls up at run time.
func TestLoadedAtRunTime(t *testing.T) {
	on := native()
	dir := library(t, on, shipped())
	out := filepath.Join(t.TempDir(), "load")
	if message, err := exec.Command(on.compiler, "testdata/load.c", "-o", out, "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, message)
	}
	run(t, nil, []string{out}, filepath.Join(dir, "libposoffline.so"))
}
