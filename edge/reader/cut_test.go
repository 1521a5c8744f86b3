package reader

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/edge/scan"
)

// gathered is what a cutter found.
type gathered struct {
	payloads [][]byte
	faults   []error
}

func (g *gathered) take(payload []byte, err error) {
	if err != nil {
		g.faults = append(g.faults, err)
		return
	}
	g.payloads = append(g.payloads, payload)
}

// text is the payloads, and "!" for every fault.
func (g *gathered) text() string {
	var b strings.Builder
	for _, payload := range g.payloads {
		fmt.Fprintf(&b, "%q ", payload)
	}
	b.WriteString(strings.Repeat("! ", len(g.faults)))
	return strings.TrimSpace(b.String())
}

func TestTextLines(t *testing.T) {
	long := strings.Repeat("a", scan.MaxLineSize)
	for name, c := range map[string]struct{ sent, want string }{
		"CR":              {"0201\r4142\r", `"\x02\x01" "AB"`},
		"LF":              {"0201\n4142\n", `"\x02\x01" "AB"`},
		"CR LF":           {"0201\r\n4142\r\n", `"\x02\x01" "AB"`},
		"no end":          {"0201\r4142", `"\x02\x01" "AB"`},
		"blank lines":     {"\r\n\r\n\n4142\n\n", `"AB"`},
		"STX and ETX":     {"\x024142\x03\r", `"AB"`},
		"symbology":       {"]Q14142\r", `"AB"`},
		"character set":   {"]Q2\\0000264142\r", `"AB"`},
		"base64":          {"QUI=\r", `"AB"`},
		"garbage first":   {"\x00\xff\r4142\r", `"AB" !`},
		"odd":             {"414\r4142\r", `"AB" !`},
		"raw bytes":       {"\x02\x01\x80\xfe\r4142\r", `"AB" !`},
		"much too long":   {long + long + "\r4142\r", `"AB" !`},
		"longest payload": {strings.Repeat("41", scan.MaxPayloadSize) + "\r", fmt.Sprintf("%q", strings.Repeat("A", scan.MaxPayloadSize))},
	} {
		for _, size := range []int{1, 3, 1 << 20} {
			if got := cutPieces(t, &textLines{}, []byte(c.sent), size); got.text() != c.want {
				t.Errorf("%s, pieces of %d: %.200s, want %.200s", name, size, got.text(), c.want)
			}
		}
	}
}

// cutPieces pushes the stream in pieces and ends it; the end is to be a good one.
func cutPieces(t testing.TB, cut cutter, stream []byte, size int) *gathered {
	t.Helper()
	got := &gathered{}
	pushPieces(cut, stream, size, got)
	if err := cut.end(got.take); err != nil {
		t.Errorf("end: %v", err)
	}
	return got
}

func pushPieces(cut cutter, stream []byte, size int, got *gathered) (lost error) {
	for len(stream) > 0 {
		n := min(size, len(stream))
		if err := cut.push(stream[:n], got.take); err != nil {
			lost = err
		}
		stream = stream[n:]
	}
	return lost
}

// A silence gives up what was begun, and the next code is well.
func TestSilenceBringsBackInStep(t *testing.T) {
	for name, c := range map[string]struct {
		cut           cutter
		broken, whole string
		want          error
	}{
		"line":         {&textLines{}, "41", "4142\r", ErrCutShort},
		"long line":    {&textLines{}, strings.Repeat("4", 20<<10), "4142\r", ErrCutShort},
		"frame":        {&frames{}, "\x00\x05abc", "\x00\x02AB", ErrCutShort},
		"half length":  {&frames{}, "\x00", "\x00\x02AB", ErrCutShort},
		"wrong length": {&frames{}, "\xff\xffABCDEF", "\x00\x02AB", scan.ErrFrame},
		"noise":        {&bursts{}, strings.Repeat("x", 5000), "AB", errNoise},
		"no suffix":    {&bursts{suffix: "\r"}, "AB", "AB\r", errSuffix},
		"keys":         {newKeyLines(24), string(typed(24, "41")), string(typed(24, "4142\n")), ErrCutShort},
		"half event":   {newKeyLines(24), string(typed(24, "41")[:30]), string(typed(24, "4142\n")), ErrCutShort},
	} {
		got := &gathered{}
		pushPieces(c.cut, []byte(c.broken), 7, got)
		if !c.cut.waiting() {
			t.Errorf("%s: does not wait for silence", name)
		}
		c.cut.pause(got.take)
		if c.cut.waiting() {
			t.Errorf("%s: still waits after silence", name)
		}
		pushPieces(c.cut, []byte(c.whole), 7, got)
		c.cut.pause(got.take)
		if len(got.faults) != 1 || !errors.Is(got.faults[0], c.want) || got.text() != `"AB" !` {
			t.Errorf("%s: %s, faults %v", name, got.text(), got.faults)
		}
	}
}

func TestFramesEnd(t *testing.T) {
	for stream, want := range map[string]error{"": nil, "\x00\x01a": nil, "\x00\x02a": io.ErrUnexpectedEOF, "\x00": io.ErrUnexpectedEOF} {
		cut, got := &frames{}, &gathered{}
		pushPieces(cut, []byte(stream), 1, got)
		if err := cut.end(got.take); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", stream, err, want)
		}
	}
}

func TestBursts(t *testing.T) {
	for name, c := range map[string]struct{ suffix, sent, want string }{
		"as it is":                  {"", "\x02\x01\x00\r\n", `"\x02\x01\x00\r\n"`},
		"suffix":                    {"\r\n", "\x02\x01\r\r\n", `"\x02\x01\r"`},
		"symbology":                 {"", "]Q1\x02", `"\x02"`},
		"character set":             {"", "]Q2\\000026\x02\\\\\x80", `"\x02\\\x80"`},
		"character set alone":       {"", "\\000026\x02\x80", `"\x02\x80"`},
		"single backslash":          {"", "\\000026\x02\\\\a\\b", `"\x02\\\\a\\b"`},
		"no character set, doubled": {"", "]Q1\x02\\\\", `"\x02\\\\"`},
		"marks and nothing":         {"\r", "]Q1\r", ``},
		"suffix alone":              {"\r", "\r", ``},
		"not a mark":                {"", "]Qx", `"]Qx"`},
		"not a character set":       {"", "\\00002x", `"\\00002x"`},
	} {
		if got := cutPieces(t, &bursts{suffix: c.suffix}, []byte(c.sent), 2); got.text() != c.want {
			t.Errorf("%s: %s, want %s", name, got.text(), c.want)
		}
	}
}

// Whatever was sent comes out, however the stream was cut into pieces.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 300), 1, 5).Draw(t, "sent")
		size := rapid.IntRange(1, 400).Draw(t, "size")
		lines, framed, keys := write(sent)
		for name, got := range map[string]*gathered{
			"lines": cutAll(&textLines{}, lines, size), "frames": cutAll(&frames{}, framed, size), "keys": cutAll(newKeyLines(16), keys, size),
		} {
			if len(got.faults) > 0 || !equal(got.payloads, sent) {
				t.Fatalf("%s: %q, faults %v", name, got.payloads, got.faults)
			}
		}
	})
}

func cutAll(cut cutter, stream []byte, size int) *gathered {
	got := &gathered{}
	pushPieces(cut, stream, size, got)
	if err := cut.end(got.take); err != nil {
		got.take(nil, err)
	}
	return got
}

// write writes the payloads in every way: hex and base64 in turns, framed, typed.
func write(sent [][]byte) (lines, framed, keys []byte) {
	for i, payload := range sent {
		text := hex.EncodeToString(payload)
		if i%2 == 1 && len(payload) > 30 {
			text = base64.StdEncoding.EncodeToString(payload)
		}
		lines = append(lines, text+"\r"...)
		framed, _ = scan.AppendFramed(framed, payload)
		keys = append(keys, typed(16, text+"\n")...)
	}
	return lines, framed, keys
}

func equal(a, b [][]byte) bool {
	return bytes.Equal(bytes.Join(a, []byte("|")), bytes.Join(b, []byte("|"))) && len(a) == len(b)
}

func TestUndoubleProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.SliceOf(rapid.SampledFrom([]byte("\\\\a\x00\xff"))).Draw(t, "sent")
		doubled := bytes.ReplaceAll(sent, []byte(`\`), []byte(`\\`))
		if got := trimMarks(append([]byte(`]Q2\000026`), doubled...)); !bytes.Equal(got, sent) {
			t.Fatalf("%q: %q", sent, got)
		}
	})
}

// FuzzCut: no stream breaks a cutter, makes it keep much, or keeps it from reading the next code.
func FuzzCut(f *testing.F) {
	f.Add([]byte("4142\r\n"), uint8(1), uint8(0))
	f.Add([]byte("\x00\x02AB\xff\xff"), uint8(3), uint8(1))
	f.Add([]byte("]Q2\\000026AB"), uint8(2), uint8(2))
	f.Add(typed(24, "4142\n"), uint8(9), uint8(3))
	f.Add(typed(16, "4142\n"), uint8(9), uint8(4))
	f.Fuzz(func(t *testing.T, stream []byte, size, kind uint8) {
		cut, next := [...]func() (cutter, []byte){
			func() (cutter, []byte) { return &textLines{}, []byte("0201\r") },
			func() (cutter, []byte) { return &frames{}, []byte("\x00\x02\x02\x01") },
			func() (cutter, []byte) { return &bursts{}, []byte("\x02\x01") },
			func() (cutter, []byte) { return newKeyLines(24), typed(24, "0201\n") },
			func() (cutter, []byte) { return newKeyLines(16), typed(16, "0201\n") },
		}[kind%5]()
		got := &gathered{}
		pushPieces(cut, stream, int(size)+1, got)
		cut.pause(got.take)
		for _, payload := range got.payloads {
			if len(payload) == 0 || len(payload) > scan.MaxPayloadSize {
				t.Fatalf("payload of %d bytes", len(payload))
			}
		}
		if cut.waiting() {
			t.Fatal("waits for something after silence")
		}
		after := &gathered{}
		pushPieces(cut, next, int(size)+1, after)
		cut.pause(after.take)
		if after.text() != `"\x02\x01"` {
			t.Fatalf("the next code: %s", after.text())
		}
	})
}

func TestParseFraming(t *testing.T) {
	for text, want := range map[string]Framing{
		"lines": TextLines(), "framed": LengthPrefixed(), "raw": Raw(DefaultSilence, ""), "raw:30ms": Raw(30e6, ""),
		"raw:30ms:crlf": Raw(30e6, "\r\n"), "raw:cr": Raw(DefaultSilence, "\r"), "raw:2s:etx": Raw(2e9, "\x03"),
	} {
		if got, err := ParseFraming(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "text", "lines:cr", "raw:", "raw:1ms", "raw:3s", "raw:-1s", "raw:cr:cr", "raw:cr:30ms", "raw:30ms:cr:lf", "raw:30"} {
		if got, err := ParseFraming(text); err == nil {
			t.Errorf("%q was taken as %v", text, got)
		}
	}
}
