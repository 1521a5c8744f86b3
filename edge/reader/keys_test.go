package reader

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// event is one struct input_event.
func event(size int, kind uint16, code int, value int32) []byte {
	b := make([]byte, size-eventTailSize, size)
	b[0] = 0x5a // some time
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, uint16(code))
	return binary.NativeEndian.AppendUint32(b, uint32(value))
}

// typed is what a scanner's events for a text are: MSC_SCAN, press, SYN_REPORT, release, SYN_REPORT.
func typed(size int, text string) []byte {
	var b []byte
	for _, c := range []byte(text) {
		code, shift := keyOf(c)
		if shift {
			b = append(b, event(size, eventKey, keyLeftShift, 1)...)
		}
		for value := int32(1); value >= 0; value-- {
			b = append(b, event(size, 4, 4, 0x7001e)...)
			b = append(b, event(size, eventKey, code, value)...)
			b = append(b, event(size, eventSyn, 0, 0)...)
		}
		if shift {
			b = append(b, event(size, eventKey, keyLeftShift, 0)...)
		}
	}
	return b
}

// keyOf is where a character is on a US keyboard, written down apart from the table it tests.
func keyOf(c byte) (code int, shift bool) {
	const plain = "1234567890-=\b\tqwertyuiop[]\n\x00asdfghjkl;'`\x01\\zxcvbnm,./"
	const shifted = "!@#$%^&*()_+\b\tQWERTYUIOP{}\n\x00ASDFGHJKL:\"~\x01|ZXCVBNM<>?"
	if c == ' ' {
		return 57, false
	}
	if i := strings.IndexByte(plain, c); i >= 0 {
		return i + 2, false
	}
	return strings.IndexByte(shifted, c) + 2, true
}

func TestEveryCharacter(t *testing.T) {
	for c := byte(0x20); c < 0x7f; c++ {
		code, shift := keyOf(c)
		if got, known := charOf(code, shift, false); !known || got != c {
			t.Errorf("%q: key %d with shift %v is %q", c, code, shift, got)
		}
	}
	for code, want := range map[int]byte{71: '7', 72: '8', 73: '9', 74: '-', 75: '4', 77: '6', 78: '+', 79: '1', 82: '0', 83: '.', 98: '/', 55: '*', 117: '='} {
		if got, known := charOf(code, false, true); !known || got != want {
			t.Errorf("keypad %d is %q, want %q", code, got, want)
		}
	}
	for _, code := range []int{0, 1, 14, 15, 29, 56, 59, 84, 97, 99, 103, 116, 118, 125, 255, 0x2ff} {
		if got, known := charOf(code, false, false); known {
			t.Errorf("key %d is %q", code, got)
		}
	}
}

func TestKeyLines(t *testing.T) {
	press := func(code int) []byte { return append(event(24, eventKey, code, 1), event(24, eventKey, code, 0)...) }
	join := func(parts ...[]byte) (all []byte) {
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}
	base64 := typed(24, "+/8a\n")
	for name, c := range map[string]struct {
		events []byte
		want   string
	}{
		"hex":              {typed(24, "4142\n0201\n"), `"AB" "\x02\x01"`},
		"upper hex":        {typed(24, "4A4B\n"), `"JK"`},
		"base64":           {base64, `"\xfb\xff\x1a"`},
		"enter alone":      {typed(24, "\n\n4142\n"), `"AB"`},
		"keypad":           {join(press(75), press(79), press(75), press(80), press(keyPadEnter)), `"AB"`},
		"num lock":         {join(press(keyNumLock), typed(24, "4142\n")), `"AB"`},
		"caps lock":        {join(press(keyCapsLock), typed(24, "qui=\n"), press(keyCapsLock), typed(24, "QUI=\n")), `"AB" "AB"`},
		"held key":         {join(typed(24, "4"), event(24, eventKey, 5, 2), event(24, eventKey, 5, 2), typed(24, "142\n")), `"AB"`},
		"both shifts":      {join(event(24, eventKey, keyRightShift, 1), typed(24, "A"), typed(24, "q"), event(24, eventKey, keyRightShift, 0), typed(24, "=\n")), `!`},
		"right shift":      {join(event(24, eventKey, keyRightShift, 1), typed(24, "qui"), event(24, eventKey, keyRightShift, 2), event(24, eventKey, keyRightShift, 0), typed(24, "=\n")), `"AB"`},
		"control":          {join(press(29), typed(24, "41\n4142\n")), `"AB" !`},
		"dropped":          {join(typed(24, "41"), event(24, eventSyn, synDropped, 0), typed(24, "42\n4142\n")), `"AB" !`},
		"dropped in shift": {join(event(24, eventKey, keyLeftShift, 1), event(24, eventSyn, synDropped, 0), typed(24, "\n4142\n")), `"AB" !`},
		"other events":     {join(event(24, 2, 30, 1), event(24, 17, 30, 1), typed(24, "4142\n")), `"AB"`},
	} {
		for _, size := range []int{1, 24, 1000} {
			if got := cutPieces(t, newKeyLines(24), c.events, size); got.text() != c.want {
				t.Errorf("%s: %s %v, want %s", name, got.text(), got.faults, c.want)
			}
		}
	}
}

func TestKeyLineWithoutEnter(t *testing.T) {
	got := cutPieces(t, newKeyLines(16), typed(16, "4142"), 5)
	if got.text() != "!" || !errors.Is(got.faults[0], ErrCutShort) {
		t.Errorf("unplugged in a line: %s %v", got.text(), got.faults)
	}
	long := cutPieces(t, newKeyLines(16), typed(16, strings.Repeat(hex.EncodeToString([]byte("AB")), 10_000)+"\n4142\n"), 1<<20)
	if long.text() != `"AB" !` {
		t.Errorf("a line that is too long: %s", long.text())
	}
}
