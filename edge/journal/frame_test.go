package journal

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"testing"
)

func checkFrame(t *testing.T, at position, b []byte) {
	t.Helper()
	before := at
	entry, err := at.readFrame(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		if at != before {
			t.Fatal("the position moved over a frame that was refused")
		}
		return
	}
	again := before
	written := again.appendFrame(nil, entry.Kind, b[5], entry.Payload)
	if !bytes.Equal(written, b[:len(written)]) || again != at {
		t.Fatalf("read and written back differs:\n%x\n%x", b, written)
	}
}

// TestFrameBytes holds the layout: a journal written today is read by every later version. The
// expected bytes were computed by a bitwise CRC-32C written apart from this package.
func TestFrameBytes(t *testing.T) {
	header, err := hex.DecodeString("736875616a6e6c31" + "0102030405060708" + "9bcb4f35")
	if err != nil {
		t.Fatal(err)
	}
	at, ok := parseHeader(header)
	if !ok {
		t.Fatal("header refused")
	}
	got := hex.EncodeToString(at.appendFrame(nil, 0x42, flagFirst, []byte("hello")))
	const want = "00000005" + "42" + "01" + "0000000000000001" + "bb300b00" + "68656c6c6f" + "5cdb872c"
	if got != want {
		t.Errorf("frame\n%s, want\n%s", got, want)
	}
}

func TestUnknownFlagsAreNotCutOff(t *testing.T) {
	file, _ := image(t, []byte("first"))
	at, _ := parseHeader(file[:headerSize])
	newer := at.appendFrame(bytes.Clone(file[:headerSize]), 1, 0x80, []byte("of a later version"))
	d := &memoryDisk{cached: bytes.Clone(newer)}
	if _, err := open(d); err == nil || !bytes.Equal(d.cached, newer) {
		t.Fatalf("entry of a later version: %v", err)
	}
}
