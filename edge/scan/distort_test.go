package scan

import (
	"bytes"
	"image"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"testing"
)

// The pictures of these tests are made by other code than the one under test: qrencode draws, and
// package distort turns, scales and blurs.

// tool runs a program and fails the test, never skips it, when it is missing.
func tool(t testing.TB, debianPackage string, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%s is missing: apt-get install %s", name, debianPackage)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.Bytes())
	}
	return stdout.Bytes()
}

// qrencode draws the payload with the program of that name, in byte mode.
func qrencode(t testing.TB, payload []byte, level Level, modulePx int) image.Image {
	t.Helper()
	file := tool(t, "qrencode", payload, "qrencode", "-8", "-l", level.String(), "-s", strconv.Itoa(modulePx), "-m", "4", "-o", "-")
	picture, err := readPicture(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// payloads are like ride codes: random, with zeros at the ends and the first bytes that occur.
func payloads(seed uint64) [][]byte {
	random := rand.New(rand.NewPCG(seed, 3))
	all := make([][]byte, 6)
	for i := range all {
		all[i] = randomBytes(random, 221)
	}
	copy(all[1], make([]byte, 4))
	clear(all[2][217:])
	copy(all[3], "\x02\x01")
	copy(all[4], "\x81\x00\x00\x00")
	return all
}

func randomBytes(random *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}
