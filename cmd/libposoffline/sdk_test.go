//go:build cgo

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
)

// These tests are firmware: they build the library with build.sh as it ships, compile C programs
// against it, and run them.

// target is a processor that the SDK is built for, and how its programs run here.
type target struct {
	name     string
	compiler string
	packages string   // Debian's, for compiler and runner
	runner   []string // in front of a program; LIBRARY is replaced by the library's folder
}

// The i686 build runs on the processor itself: qemu-i386 before version 8 gives all threads one
// thread area, under which no Go program with a second thread works.
func targets() []target {
	return []target{
		{"x86_64", "gcc", "gcc libc6-dev", nil},
		{"i686", "i686-linux-gnu-gcc", "gcc-i686-linux-gnu libc6-dev-i386-cross",
			[]string{"/usr/i686-linux-gnu/lib/ld-linux.so.2", "--library-path", "/usr/i686-linux-gnu/lib:LIBRARY"}},
		{"armhf", "arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user",
			[]string{"qemu-arm", "-L", "/usr/arm-linux-gnueabihf"}},
		{"arm64", "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user",
			[]string{"qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"}},
	}
}

func native() target { return targets()[0] }

// variant is a way to build the library and the programs against it.
type variant struct {
	name    string
	tags    string   // of Go
	goFlags string   // of go build
	cFlags  []string // of the programs
}

func shipped() variant { return variant{name: "shipped"} }
func clocked() variant { return variant{name: "clocked", tags: "sdktest"} }
func sanitized() variant {
	return variant{name: "sanitized", goFlags: "-asan", cFlags: []string{"-fsanitize=address"}}
}

// workshop is where the libraries of this run are.
type workshop struct {
	dir   string
	mutex sync.Mutex
	built map[string]string // by variant and processor, the folder
}

var shop workshop

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "libposoffline")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shop = workshop{dir: dir, built: map[string]string{}}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

func need(t testing.TB, program, packages string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("this test needs %s: apt-get install %s", program, packages)
	}
}

// library builds the library once and gives its folder.
func library(t testing.TB, on target, v variant) string {
	t.Helper()
	need(t, on.compiler, on.packages)
	shop.mutex.Lock()
	defer shop.mutex.Unlock()
	id := filepath.Join(shop.dir, v.name)
	if dir, done := shop.built[id+on.name]; done {
		return dir
	}
	command := exec.Command("./build.sh", on.name)
	command.Env = append(os.Environ(), "OUT="+id, "TAGS="+v.tags, "GOBUILDFLAGS="+v.goFlags)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build.sh %s: %v\n%s", on.name, err, out)
	}
	shop.built[id+on.name] = filepath.Join(id, on.name)
	return shop.built[id+on.name]
}

// program compiles a C file against the library and gives the command line that runs it.
func program(t testing.TB, on target, v variant, source string) []string {
	t.Helper()
	dir := library(t, on, v)
	out := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(source), ".c"))
	args := append([]string{"-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-pthread", "-I" + dir, source, "-o", out,
		"-L" + dir, "-lposoffline", "-ldl", "-Wl,-rpath," + dir}, v.cFlags...)
	if out, err := exec.Command(on.compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", on.compiler, source, err, out)
	}
	var line []string
	for _, word := range on.runner {
		line = append(line, strings.ReplaceAll(word, "LIBRARY", dir))
	}
	if len(line) > 0 {
		need(t, line[0], on.packages)
	}
	return append(line, out)
}

// run runs a program that must end well, and gives what it printed.
func run(t testing.TB, stdin []byte, line []string, args ...string) string {
	t.Helper()
	command := exec.Command(line[0], append(line[1:len(line):len(line)], args...)...)
	command.Stdin = bytes.NewReader(stdin)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(line[len(line)-1]), err, withoutRecords(out))
	}
	return string(out)
}

// withoutRecords is what a program says of its checks.
func withoutRecords(out []byte) string {
	var said strings.Builder
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "record ") {
			said.WriteString(line)
		}
	}
	return said.String()
}

// city is an institution with a phone, and another institution.
type city struct {
	t            testing.TB
	main, other  *secp256k1.PrivateKey
	phone        *secp192k1.PrivateKey
	now          time.Time
	cards        int
	mainID       ridecode.KeyID
	otherID      ridecode.KeyID
	terminal     *secp256k1.PrivateKey
	inputs       strings.Builder
	grantsByCard map[int]ridecode.SignedGrant
}

func newCity(t testing.TB, now time.Time) *city {
	t.Helper()
	c := &city{t: t, now: now.Truncate(time.Second), mainID: 3, otherID: 7, grantsByCard: map[int]ridecode.SignedGrant{}}
	c.main, c.other, c.terminal = key256(t, 0x11), key256(t, 0x22), key256(t, 0x33)
	var err error
	if c.phone, err = secp192k1.ParsePrivateKey(bytes.Repeat([]byte{0x44}, 24)); err != nil {
		t.Fatal(err)
	}
	c.text("keys", c.keyList(c.main, c.mainID, 32))
	c.text("other-keys", c.keyList(c.other, c.otherID, 1))
	return c
}

func key256(t testing.TB, fill byte) *secp256k1.PrivateKey {
	t.Helper()
	key, err := secp256k1.ParsePrivateKey(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keyList is a list of count keys in which key has the number id; the others are somebody's.
func (c *city) keyList(key *secp256k1.PrivateKey, id ridecode.KeyID, count int) string {
	c.t.Helper()
	list := []trust.Key{{ID: id, Public: key.PublicKey()}}
	for other := range count - 1 {
		if number := ridecode.KeyID(40 + other); number != id {
			list = append(list, trust.Key{ID: number, Public: key256(c.t, byte(0x50+other)).PublicKey()})
		}
	}
	return string(trust.AppendKeyList(nil, list))
}

// text and bytes give the C programs an input.
func (c *city) text(name, value string)     { fmt.Fprintf(&c.inputs, "%s %s\n", name, value) }
func (c *city) bytes(name string, b []byte) { c.text(name, fmt.Sprintf("%X", b)) }

func (c *city) inputFile() string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "inputs")
	if err := os.WriteFile(path, []byte(c.inputs.String()), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// issue is who signs what.
type issue struct {
	ridecode.Grant
	keyID   ridecode.KeyID
	key     *secp256k1.PrivateKey
	shownAt time.Time
}

// code makes a code of its own: each has another card.
func (c *city) code(changes ...func(*issue)) []byte {
	c.t.Helper()
	c.cards++
	i := issue{keyID: c.mainID, key: c.main, shownAt: c.now, Grant: ridecode.Grant{UserID: "2088000011112222",
		Expires: c.now.Add(7 * 24 * time.Hour), ValidSec: 600, LimitFen: 3000, UserKey: ridecode.UserKey(c.phone.PublicKey().Bytes()),
		CardType: ridecode.PlainCardType, CardNo: ridecode.CardNo(fmt.Sprintf("%016d", c.cards))}}
	for _, change := range changes {
		change(&i)
	}
	grant, err := i.Grant.Sign(i.keyID, i.key)
	if err != nil {
		c.t.Fatal(err)
	}
	code, err := grant.Show(i.shownAt, c.phone)
	if err != nil {
		c.t.Fatal(err)
	}
	return code
}

// cardsOfStream is how many riders a stream of codes has; none shows two codes in one second.
const cardsOfStream = 16

// streamed makes the code number n of a stream: sixteen codes a second, from start on.
func (c *city) streamed(n int, start time.Time) []byte {
	card := n % cardsOfStream
	grant, known := c.grantsByCard[card]
	if !known {
		code := c.code(func(i *issue) { i.Expires = start.Add(10 * 365 * 24 * time.Hour) })
		u, err := ridecode.Parse(code)
		if err != nil {
			c.t.Fatal(err)
		}
		signed := u.SkipVerification()
		if grant, err = signed.Grant.Sign(c.mainID, c.main); err != nil {
			c.t.Fatal(err)
		}
		c.grantsByCard[card] = grant
	}
	code, err := grant.Show(start.Add(time.Duration(n/cardsOfStream)*time.Second), c.phone)
	if err != nil {
		c.t.Fatal(err)
	}
	return code
}

// frame writes a code as stream.h reads it.
func frame(dst, code []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(code))), code...)
}
