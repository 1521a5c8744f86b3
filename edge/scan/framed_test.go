package scan

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestFramed(t *testing.T) {
	sent := [][]byte{{0}, allBytes(), bytes.Repeat([]byte{0xff}, MaxPayloadSize), {0, 0, 0}}
	var stream []byte
	for _, payload := range sent {
		var err error
		if stream, err = AppendFramed(stream, payload); err != nil {
			t.Fatal(err)
		}
	}
	r := iotest.OneByteReader(bytes.NewReader(stream))
	for i, payload := range sent {
		if got, err := ReadFramed(r); err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("frame %d: %v", i, err)
		}
	}
	if _, err := ReadFramed(r); err != io.EOF {
		t.Fatalf("at the end: %v", err)
	}
}

func TestFramedRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		stream string
		want   error
	}{
		"nothing":          {"", io.EOF},
		"half a length":    {"\x00", io.ErrUnexpectedEOF},
		"length alone":     {"\x00\x02", io.ErrUnexpectedEOF},
		"half a payload":   {"\x00\x02a", io.ErrUnexpectedEOF},
		"length zero":      {"\x00\x00", ErrFrame},
		"length above":     {"\x10\x02" + strings.Repeat("a", 4098), ErrFrame},
		"length far above": {"\xff\xff", ErrFrame},
	} {
		if payload, err := ReadFramed(strings.NewReader(c.stream)); !errors.Is(err, c.want) || payload != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, size := range []int{0, MaxPayloadSize + 1} {
		if dst, err := AppendFramed([]byte("kept"), make([]byte, size)); !errors.Is(err, ErrFrame) || string(dst) != "kept" {
			t.Errorf("AppendFramed of %d bytes: %v", size, err)
		}
	}
}

func TestReadLine(t *testing.T) {
	longest := strings.Repeat("a", MaxLineSize)
	r := bufio.NewReaderSize(strings.NewReader("0201\r\n\nff\n"+longest+"\r\n"+longest+"aaa\nnext\nlast"), 16)
	for _, want := range []string{"0201", "", "ff", longest} {
		if got, err := ReadLine(r); err != nil || got != want {
			t.Fatalf("%d bytes, want %d: %v", len(got), len(want), err)
		}
	}
	if _, err := ReadLine(r); !errors.Is(err, ErrText) {
		t.Fatalf("line too long: %v", err)
	}
	for _, want := range []string{"next", "last"} {
		if got, err := ReadLine(r); err != nil || got != want {
			t.Fatalf("%q, want %q: %v", got, want, err)
		}
	}
	if _, err := ReadLine(r); err != io.EOF {
		t.Fatalf("at the end: %v", err)
	}
	if _, err := ReadLine(bufio.NewReader(iotest.ErrReader(errors.New("unplugged")))); err == nil || err == io.EOF {
		t.Fatalf("scanner unplugged: %v", err)
	}
}

func FuzzReadFramed(f *testing.F) {
	f.Add([]byte("\x00\x02ab\x00"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		var again []byte
		for {
			payload, err := ReadFramed(r)
			if err != nil {
				break
			}
			if again, err = AppendFramed(again, payload); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(stream, again) {
			t.Fatal("read and written again differs")
		}
	})
}
