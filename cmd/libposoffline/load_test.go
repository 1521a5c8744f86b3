//go:build cgo

package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/terminal"
)

// soak is how many verifications TestMemory makes: go test -run Memory ./cmd/libposoffline -soak 1000000
var soak = flag.Int("soak", 60_000, "verifications of TestMemory")

func TestThreads(t *testing.T) { testThreads(t, shipped(), 400) }

// The same with every read and write watched.
func TestThreadsSanitized(t *testing.T) {
	if testing.Short() {
		t.Skip("the sanitized library takes a while to build")
	}
	testThreads(t, sanitized(), 50)
}

func testThreads(t *testing.T, v variant, codeCount int) {
	t.Helper()
	line := program(t, native(), v, "testdata/threads.c")
	c := newCity(t, time.Now())
	run(t, c.stream(codeCount), line, c.inputFile(), "16")
}

func TestSignals(t *testing.T) {
	line := program(t, native(), shipped(), "testdata/signals.c")
	c := newCity(t, time.Now())
	t.Log(strings.TrimSpace(run(t, c.stream(2000), line, c.inputFile())))
}

// stream makes codes that are good now.
func (c *city) stream(count int) []byte {
	var framed []byte
	for range count {
		framed = frame(framed, c.code())
	}
	return framed
}

// The library stays small, and grows no more once it has seen some thousand codes.
func TestMemory(t *testing.T) {
	line := program(t, native(), clocked(), "testdata/memory.c")
	c := newCity(t, time.Now())
	c.text("start", strconv.FormatInt(c.now.Unix(), 10))
	out := c.pour(line, *soak, strconv.Itoa(cardsOfStream))
	early, middle, late := kibAfter(t, out, 10_000), kibAfter(t, out, 50_000), kibAfter(t, out, *soak)
	t.Logf("resident: %d KiB after 10000 verifications, %d after 50000, %d after %d", early, middle, late, *soak)
	if early >= 20_000_000/1024 || late >= 20_000_000/1024 {
		t.Errorf("not under 20 MB:\n%s", out)
	}
	if late > middle+middle/10 {
		t.Errorf("it grows:\n%s", out)
	}
	if !strings.Contains(out, fmt.Sprintf("accepted %d, last answer 1", *soak)) {
		t.Error(out)
	}
}

// A memory full of codes that still hold forgets none of them: it says so (−6).
func TestFullMemory(t *testing.T) {
	line := program(t, native(), clocked(), "testdata/memory.c")
	c := newCity(t, time.Now().Add(-40*time.Minute))
	c.text("start", strconv.FormatInt(c.now.Unix(), 10))
	for card := range cardsOfStream {
		c.longGrant(card)
	}
	out := c.pour(line, rememberedCodes+10, "0")
	if want := fmt.Sprintf("accepted %d, last answer -6", rememberedCodes); !strings.Contains(out, want) {
		t.Errorf("%s, want %s", out, want)
	}
	t.Log(strings.TrimSpace(out))
}

// longGrant makes a rider whose codes hold long enough, and may be early enough, for a full memory.
func (c *city) longGrant(card int) {
	c.t.Helper()
	grant := ridecode.Grant{UserID: "2088000011112222", Expires: c.now.Add(time.Hour), ValidSec: 65535, LimitFen: 3000,
		UserKey: ridecode.UserKey(c.phone.PublicKey().Bytes()), CardType: ridecode.PlainCardType, CardNo: ridecode.CardNo(fmt.Sprint(card))}
	signed, err := grant.Sign(c.mainID, c.main)
	if err != nil {
		c.t.Fatal(err)
	}
	c.grantsByCard[card] = signed
}

// pour lets a program read a stream of count codes while they are made.
func (c *city) pour(line []string, count int, args ...string) string {
	c.t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		c.t.Fatal(err)
	}
	command := exec.Command(line[0], append(append(line[1:len(line):len(line)], c.inputFile()), args...)...)
	var out bytes.Buffer
	command.Stdin, command.Stdout = reader, &out
	if err := command.Start(); err != nil {
		c.t.Fatal(err)
	}
	reader.Close()
	buffered := bufio.NewWriterSize(writer, 1<<16)
	for n := range count {
		if _, err := buffered.Write(frame(nil, c.streamed(n, c.streamStart(args[0])))); err != nil {
			break // the program has ended before; it says why
		}
	}
	_ = buffered.Flush()
	writer.Close()
	if err := command.Wait(); err != nil {
		c.t.Fatalf("%v\n%s", err, &out)
	}
	return out.String()
}

// streamStart is the clock's start, or where the clock stands still, the past that ends there.
func (c *city) streamStart(perSecond string) time.Time {
	if perSecond == "0" {
		return c.now.Add(-(rememberedCodes/cardsOfStream + 1) * time.Second)
	}
	return c.now
}

func kibAfter(t *testing.T, out string, count int) int {
	t.Helper()
	for line := range strings.Lines(out) {
		var after, kib int
		if n, _ := fmt.Sscanf(line, "after %d: %d KiB", &after, &kib); n == 2 && after == count {
			return kib
		}
	}
	t.Fatalf("nothing about %d codes in\n%s", count, out)
	return 0
}

const killCount = 200

// The firmware is killed two hundred times at random moments: every success that was reported is in
// the journal, once, and no code was accepted twice.
func TestKilled(t *testing.T) {
	line := program(t, native(), shipped(), "testdata/kill.c")
	c := newCity(t, time.Now())
	c.text("one-key", c.keyList(c.main, c.mainID, 1)) // a gate that starts fast is more often killed at work
	k := killing{t: t, line: line, inputs: c.inputFile(), journal: filepath.Join(t.TempDir(), "gate.journal"), reported: map[int]bool{}}
	k.codes = make([][]byte, 20_000)
	for i := range k.codes {
		k.codes[i] = c.streamed(i, c.now.Add(-500*time.Second)) // shown early and still good
		if i/cardsOfStream > 400 {
			k.codes = k.codes[:i]
			break
		}
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range killCount {
		k.run(random.IntN(25), time.Duration(random.IntN(2_000))*time.Microsecond)
	}
	k.prove()
}

type killing struct {
	t        *testing.T
	line     []string
	inputs   string
	journal  string
	codes    [][]byte
	next     int          // the first code that nobody has answered for
	reported map[int]bool // accepted, said the program
	known    int          // accepted at a killed run without a word: found as a duplicate
}

// run starts the gate, kills it some time after it has answered so many codes, and reads what it had said.
func (k *killing) run(answersCount int, after time.Duration) {
	k.t.Helper()
	command := exec.Command(k.line[0], append(k.line[1:], k.inputs, strconv.Itoa(k.next))...)
	command.Env = append(os.Environ(), "POS_JOURNAL_FILE="+k.journal)
	var framed []byte
	for _, code := range k.codes[k.next:min(k.next+200, len(k.codes))] {
		framed = frame(framed, code)
	}
	command.Stdin = bytes.NewReader(framed)
	out, err := command.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		k.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "running" {
		k.t.Fatalf("the gate says %q", lines.Text())
	}
	kill := func() { time.AfterFunc(after, func() { _ = command.Process.Kill() }) }
	if answersCount == 0 {
		kill()
	}
	for heard := 1; lines.Scan(); heard++ {
		k.hear(lines.Text(), heard == 1)
		if heard == answersCount {
			kill()
		}
	}
	_ = command.Wait() // it was killed, or at its end
}

func (k *killing) hear(line string, first bool) {
	k.t.Helper()
	var answer string
	var number int
	if _, err := fmt.Sscanf(line, "%1s %d", &answer, &number); err != nil && line != "end" {
		k.t.Fatalf("the gate says %q", line)
	}
	switch {
	case line == "end":
	case answer == "A":
		k.reported[number] = true
		k.next = number + 1
	case answer == "D" && first: // it was on disk when the gate was killed, before it could say so
		k.known++
		k.next = number + 1
	default:
		k.t.Fatalf("the gate says %q of a code that it had not seen", line)
	}
}

func (k *killing) prove() {
	k.t.Helper()
	times := map[string]int{}
	kept := entries(k.t, k.journal)
	for _, payload := range kept {
		u, err := record.Parse(payload)
		if err != nil {
			k.t.Fatal(err)
		}
		times[string(u.CodeBytes())]++
	}
	for number := range k.reported {
		if n := times[string(k.codes[number])]; n != 1 {
			k.t.Errorf("code %d was accepted, and is in the journal %d times", number, n)
		}
	}
	for code, n := range times {
		if n != 1 {
			k.t.Errorf("a code of %d bytes is in the journal %d times", len(code), n)
		}
	}
	// The last run may have been killed between disk and word, and nobody asked again.
	if extra := len(kept) - len(k.reported) - k.known; extra < 0 || extra > 1 {
		k.t.Errorf("%d records for %d reported and %d known rides", len(kept), len(k.reported), k.known)
	}
	if len(k.reported) < 5*killCount || k.known == 0 {
		k.t.Errorf("%d rides in %d runs: the kills did not meet them", len(k.reported), killCount)
	}
	k.t.Logf("%d kills: %d rides reported, %d more found on disk, %d records", killCount, len(k.reported), k.known, len(kept))
}

// BenchmarkCCall is one verification through the C call beside the same through the Go call, in turns.
// ratio is the first over the second.
func BenchmarkCCall(b *testing.B) {
	const count = 4000
	line := program(b, native(), shipped(), "testdata/bench.c")
	c := newCity(b, time.Now())
	codes := make([][]byte, count)
	var framed []byte
	for i := range codes {
		codes[i] = c.code()
		framed = frame(framed, codes[i])
	}
	inputs := c.inputFile()
	viaC, viaGo := time.Duration(1<<62), time.Duration(1<<62)
	for b.Loop() {
		ns, err := strconv.ParseInt(strings.TrimSpace(run(b, framed, line, inputs)), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		viaC, viaGo = min(viaC, time.Duration(ns)), min(viaGo, c.acceptAll(codes))
	}
	b.ReportMetric(float64(viaC.Nanoseconds())/count, "C-ns/op")
	b.ReportMetric(float64(viaGo.Nanoseconds())/count, "Go-ns/op")
	b.ReportMetric(float64(viaC)/float64(viaGo), "ratio")
	b.ReportMetric(0, "ns/op")
}

// acceptAll is what the C program does, without C.
func (c *city) acceptAll(codes [][]byte) time.Duration {
	list, err := trust.ParseKeyList([]byte(c.keyList(c.main, c.mainID, 32)))
	if err != nil {
		c.t.Fatal(err)
	}
	keys, err := trust.NewKeyRing(list, trust.WindowSmall)
	if err != nil {
		c.t.Fatal(err)
	}
	gate := terminal.New(&keeper{}, rememberedCodes)
	gate.Configure(terminal.Settings{Keys: keys, CardTypes: []ridecode.CardType{ridecode.PlainCardType}, Clock: ridecode.DefaultClock(),
		Signer: record.Legacy{}, Version: record.Version2, Software: version})
	tap := terminal.Tap{POSParam: []byte(`{"pos_id":"sh001","type":"SINGLE","subject":"bus192","record_id":"000001"}`), AmountFen: 200}
	start := time.Now()
	for _, code := range codes {
		if got := gate.Accept(code, tap, time.Now()); got.Verdict != ridecode.Success {
			c.t.Fatal(got.Trace.Reason())
		}
	}
	return time.Since(start)
}
