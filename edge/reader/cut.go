package reader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/shuama/shuama/edge/scan"
)

// emit takes one code that was cut off the stream: its bytes, or why there are none.
type emit func(payload []byte, err error)

// cutter cuts the bytes of a line into codes. Bytes come in pieces of any size; what a cutter keeps
// between them is bounded.
type cutter interface {
	push(piece []byte, found emit) error // an error when only silence can tell where the next code begins
	pause(found emit)                    // the line has fallen silent
	end(found emit) error                // the input is over; an error when it broke off inside a code
	waiting() bool                       // for the rest of a code, or for silence
}

// textLines cuts lines of hex or base64, ended by CR, LF or both: scanners are sold with CR.
type textLines struct {
	line    []byte
	tooLong bool // its rest is passed over
}

func (c *textLines) push(piece []byte, found emit) error {
	for {
		i := bytes.IndexAny(piece, "\r\n")
		if i < 0 {
			c.grow(piece)
			return nil
		}
		c.grow(piece[:i])
		c.finish(found)
		piece = piece[i+1:]
	}
}

func (c *textLines) grow(part []byte) {
	if c.tooLong = c.tooLong || len(c.line)+len(part) > scan.MaxLineSize; c.tooLong {
		c.line = nil
		return
	}
	c.line = append(c.line, part...)
}

func (c *textLines) finish(found emit) {
	line, tooLong := string(c.line), c.tooLong
	c.line, c.tooLong = c.line[:0], false
	if tooLong {
		found(nil, fmt.Errorf("%w: a line of more than %d bytes", scan.ErrText, scan.MaxLineSize))
		return
	}
	parseLine(line, found)
}

// parseLine passes over empty lines: CR LF makes one after every code.
func parseLine(line string, found emit) {
	if n := len(line); n >= 2 && line[0] == 0x02 && line[n-1] == 0x03 {
		line = line[1 : n-1] // STX and ETX, which some scanners put around the text
	}
	if line == "" {
		return
	}
	payload, _, err := scan.ParseText(line)
	found(payload, err)
}

// pause drops the beginning of a line: the next code would be glued to it and be lost as well.
func (c *textLines) pause(found emit) {
	if c.waiting() {
		c.line, c.tooLong = c.line[:0], false
		found(nil, ErrCutShort)
	}
}

// end takes a last line without its end, as a file may have.
func (c *textLines) end(found emit) error {
	if c.waiting() {
		c.finish(found)
	}
	return nil
}

func (c *textLines) waiting() bool { return len(c.line) > 0 || c.tooLong }

// frames cuts raw bytes with a length of two bytes in front, see scan.ReadFramed.
type frames struct {
	held []byte
	lost bool // the step: only silence tells where the next frame begins
}

func (c *frames) push(piece []byte, found emit) error {
	if c.lost {
		return scan.ErrFrame
	}
	c.held = append(c.held, piece...)
	for c.complete() {
		r := bytes.NewReader(c.held)
		payload, err := scan.ReadFramed(r)
		if err != nil {
			c.held, c.lost = nil, true
			found(nil, err)
			return err
		}
		c.held = c.held[len(c.held)-r.Len():]
		found(payload, nil)
	}
	return nil
}

// complete tells whether ReadFramed would not ask for more.
func (c *frames) complete() bool {
	if len(c.held) < 2 {
		return false
	}
	size := int(binary.BigEndian.Uint16(c.held))
	return size == 0 || size > scan.MaxPayloadSize || len(c.held) >= 2+size
}

func (c *frames) pause(found emit) {
	if len(c.held) > 0 {
		found(nil, ErrCutShort)
	}
	c.held, c.lost = nil, false
}

func (c *frames) end(emit) error {
	if len(c.held) > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (c *frames) waiting() bool { return len(c.held) > 0 || c.lost }

var (
	errNoise = fmt.Errorf("reader: more than %d bytes without a pause: no code is that long; "+
		"check the baud rate, or choose a shorter silence", scan.MaxPayloadSize)
	errSuffix = errors.New("reader: the bytes do not end with the suffix this reader is set to: set the scanner's suffix likewise")
)

// bursts cuts raw bytes where the line falls silent.
type bursts struct {
	suffix string // that the scanner puts behind each code
	held   []byte
	noise  bool // too much; passed over up to the next silence
}

// maxMarksSize is what a scanner may put around the longest payload.
const maxMarksSize = 64

func (c *bursts) push(piece []byte, _ emit) error {
	if c.noise = c.noise || len(c.held)+len(piece) > scan.MaxPayloadSize+maxMarksSize; c.noise {
		c.held = nil
		return nil
	}
	c.held = append(c.held, piece...)
	return nil
}

func (c *bursts) pause(found emit) {
	if !c.waiting() {
		return
	}
	held, noise := c.held, c.noise
	c.held, c.noise = nil, false
	if noise {
		found(nil, errNoise)
		return
	}
	payload, hasSuffix := bytes.CutSuffix(held, []byte(c.suffix))
	payload = trimMarks(payload)
	switch {
	case !hasSuffix:
		found(nil, errSuffix)
	case len(payload) > scan.MaxPayloadSize:
		found(nil, errNoise)
	case len(payload) > 0:
		found(payload, nil)
	}
}

func (c *bursts) end(found emit) error {
	c.pause(found)
	return nil
}

func (c *bursts) waiting() bool { return len(c.held) > 0 || c.noise }

// trimMarks takes away what scanners put in front of raw bytes: "]Q" and a digit for the symbology
// (ISO/IEC 15424), a backslash and six digits for a character set (AIM ECI), as "\000026" for codes
// that some phones draw. No family of codes begins with either character.
func trimMarks(b []byte) []byte {
	if len(b) >= 3 && b[0] == ']' && b[1] == 'Q' && isDigit(b[2]) {
		b = b[3:]
	}
	if len(b) < 7 || b[0] != '\\' || bytes.IndexFunc(b[1:7], func(r rune) bool { return r < '0' || r > '9' }) >= 0 {
		return b
	}
	return undouble(b[7:])
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// undouble makes one backslash of two. A scanner that writes character sets as "\000026" writes a
// backslash of the code as two (AIM ECI); one that stands alone proves that this scanner does not.
func undouble(b []byte) []byte {
	single := bytes.ReplaceAll(b, []byte(`\\`), nil)
	if bytes.IndexByte(single, '\\') >= 0 {
		return b
	}
	return bytes.ReplaceAll(b, []byte(`\\`), []byte(`\`))
}
