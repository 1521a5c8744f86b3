package reader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// Layout of struct input_event (linux/input.h), in the byte order of the machine:
//
//	seconds, microseconds   8 bytes each on 64-bit programs, 4 each on 32-bit ones
//	uint16 type, uint16 code, int32 value
const (
	eventTailSize = 8
	eventSize     = 2*bits.UintSize/8 + eventTailSize

	eventSyn = 0 // type; code 3: the kernel has dropped events
	eventKey = 1 // type; value 0: released, 1: pressed, 2: held

	synDropped = 3
	released   = 0
	pressed    = 1
)

// Codes of keys (linux/input-event-codes.h) that are no characters.
const (
	keyEnter      = 28
	keyLeftShift  = 42
	keyRightShift = 54
	keyCapsLock   = 58
	keyNumLock    = 69
	keyPadEnter   = 96
)

// rowsOfKeys is the US layout: runs of key codes with their characters, plain and with shift.
var rowsOfKeys = [...]struct {
	first          int
	plain, shifted string
}{
	{2, "1234567890-=", "!@#$%^&*()_+"},
	{16, "qwertyuiop[]", "QWERTYUIOP{}"},
	{30, "asdfghjkl;'`", "ASDFGHJKL:\"~"},
	{43, "\\zxcvbnm,./", "|ZXCVBNM<>?"},
	{55, "*", "*"},            // keypad
	{57, " ", " "},            //
	{71, "789-456+1230.", ""}, // keypad; shift turns it into arrows
	{98, "/", "/"},            // keypad
	{117, "=", "="},           // keypad
}

// charOf is the character of a key on a US layout; false when it has none.
func charOf(code int, shift, caps bool) (byte, bool) {
	for _, row := range rowsOfKeys {
		i := code - row.first
		if i < 0 || i >= len(row.plain) {
			continue
		}
		c := row.plain[i]
		if 'a' <= c && c <= 'z' {
			shift = shift != caps
		}
		if !shift {
			return c, true
		}
		if i >= len(row.shifted) {
			return 0, false
		}
		return row.shifted[i], true
	}
	return 0, false
}

// keyLines cuts what a scanner types into lines of hex or base64.
type keyLines struct {
	eventSize int
	held      []byte // the beginning of an event; only a pipe can cut one
	text      textLines
	shifts    [2]bool // left, right
	caps      bool
	fault     error // of the line that is being typed
}

func newKeyLines(eventSize int) *keyLines { return &keyLines{eventSize: eventSize} }

func (k *keyLines) push(piece []byte, found emit) error {
	k.held = append(k.held, piece...)
	for len(k.held) >= k.eventSize {
		tail := k.held[k.eventSize-eventTailSize : k.eventSize]
		k.held = k.held[k.eventSize:]
		k.event(binary.NativeEndian.Uint16(tail), int(binary.NativeEndian.Uint16(tail[2:])), int32(binary.NativeEndian.Uint32(tail[4:])), found)
	}
	return nil
}

// event ignores held keys: the kernel repeats one when a scanner's release comes late, and a
// character that was scanned once would stand twice.
func (k *keyLines) event(kind uint16, code int, value int32, found emit) {
	switch {
	case kind == eventSyn && code == synDropped:
		k.shifts = [2]bool{}
		k.fault = errDropped
	case kind != eventKey:
	case code == keyLeftShift && value <= pressed:
		k.shifts[0] = value == pressed
	case code == keyRightShift && value <= pressed:
		k.shifts[1] = value == pressed
	case value == pressed:
		k.press(code, found)
	}
}

var errDropped = errors.New("reader: the system dropped key strokes: scan again")

func (k *keyLines) press(code int, found emit) {
	switch code {
	case keyEnter, keyPadEnter:
		k.enter(found)
		return
	case keyCapsLock:
		k.caps = !k.caps
		return
	case keyNumLock:
		return
	}
	c, known := charOf(code, k.shifts[0] || k.shifts[1], k.caps)
	if !known {
		if k.fault == nil {
			k.fault = fmt.Errorf("reader: key %d is no character of a US keyboard: set the scanner to the US layout and to hex output", code)
		}
		return
	}
	k.text.grow([]byte{c})
}

// enter reports a line with a fault by the fault alone: what is left of it is no code.
func (k *keyLines) enter(found emit) {
	fault := k.fault
	k.fault = nil
	if fault != nil {
		k.text = textLines{}
		found(nil, fault)
		return
	}
	k.text.finish(found)
}

// pause gives up the beginning of a line, and a shift that was never released.
func (k *keyLines) pause(found emit) {
	fault := k.fault
	if fault == nil && (k.text.waiting() || len(k.held) > 0) {
		fault = ErrCutShort
	}
	*k = keyLines{eventSize: k.eventSize, caps: k.caps}
	if fault != nil {
		found(nil, fault)
	}
}

// end drops a line without Enter: the device was unplugged in the middle of it.
func (k *keyLines) end(found emit) error {
	k.pause(found)
	return nil
}

func (k *keyLines) waiting() bool {
	return k.text.waiting() || k.fault != nil || len(k.held) > 0 || k.shifts != [2]bool{}
}
