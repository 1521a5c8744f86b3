package scan

import (
	"errors"
	"fmt"

	"rsc.io/qr/coding"
)

func dataCodewords(version int, level Level) int {
	return coding.Version(version).DataBytes(coding.Level(level))
}

// Mode indicators, ISO/IEC 18004 §7.4.1 table 2.
const (
	modeEnd          = 0
	modeNumeric      = 1
	modeAlphanumeric = 2
	modeByte         = 4
	modeFNC1First    = 5
	modeECI          = 7
	modeFNC1Second   = 9
)

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

var (
	errMode     = errors.New("scan: a mode that holds characters or a part of a message, not bytes")
	errBitsEnd  = errors.New("scan: the symbol ends inside a segment")
	errBadDigit = errors.New("scan: digits out of range")
)

// readSegments returns the bytes in the data codewords of a symbol. The reader library offers
// text in a guessed character set, or the byte segments alone without digits between them; both
// lose bytes. Here byte segments stay as they are whatever character set is announced, digits and
// capitals come as ASCII. Kanji, Hanzi and structured append are refused.
func readSegments(codewords []byte, version int) ([]byte, error) {
	bits := &bitReader{codewords: codewords}
	var payload []byte
	for bits.left() >= 4 {
		mode := bits.read(4)
		var err error
		switch mode {
		case modeEnd:
			return payload, nil
		case modeNumeric, modeAlphanumeric, modeByte:
			payload, err = bits.readSegment(payload, mode, version)
		case modeFNC1First:
		case modeFNC1Second:
			bits.read(8)
		case modeECI:
			bits.skipECI()
		default:
			err = fmt.Errorf("%w (%04b)", errMode, mode)
		}
		if err != nil {
			return nil, err
		}
		if bits.short {
			return nil, errBitsEnd
		}
	}
	return payload, nil
}

// countBits is the width of a segment's length, ISO/IEC 18004 §7.4.1 table 3.
func countBits(mode, version int) int {
	class := 0
	if version > 9 {
		class++
	}
	if version > 26 {
		class++
	}
	switch mode {
	case modeNumeric:
		return 10 + 2*class
	case modeAlphanumeric:
		return 9 + 2*class
	}
	return 8 + 8*min(class, 1)
}

func (b *bitReader) readSegment(payload []byte, mode, version int) ([]byte, error) {
	count := b.read(countBits(mode, version))
	switch mode {
	case modeNumeric:
		return b.readDigits(payload, count)
	case modeAlphanumeric:
		return b.readCapitals(payload, count)
	}
	for ; count > 0 && !b.short; count-- {
		payload = append(payload, byte(b.read(8)))
	}
	return payload, nil
}

// readDigits: three digits in 10 bits, two in 7, one in 4.
func (b *bitReader) readDigits(payload []byte, count int) ([]byte, error) {
	for ; count > 0 && !b.short; count -= 3 {
		width := min(count, 3)
		v := b.read([]int{4, 7, 10}[width-1])
		text := fmt.Sprintf("%0*d", width, v)
		if len(text) > width {
			return nil, errBadDigit
		}
		payload = append(payload, text...)
	}
	return payload, nil
}

// readCapitals: two characters in 11 bits, one in 6.
func (b *bitReader) readCapitals(payload []byte, count int) ([]byte, error) {
	const n = len(alphanumeric)
	for ; count > 0 && !b.short; count -= 2 {
		v, pair := b.read(min(count, 2)*5+1), count > 1
		if v >= n*n || !pair && v >= n {
			return nil, errBadDigit
		}
		if pair {
			payload = append(payload, alphanumeric[v/n])
		}
		payload = append(payload, alphanumeric[v%n])
	}
	return payload, nil
}

// skipECI passes over a character set mark of one, two or three bytes: 0…, 10…, 110….
func (b *bitReader) skipECI() {
	switch first := b.read(8); {
	case first >= 0xc0:
		b.read(16)
	case first >= 0x80:
		b.read(8)
	}
}

// bitReader reads bits from the high end; behind the end it reads zeros and says so.
type bitReader struct {
	codewords []byte
	next      int // in bits
	short     bool
}

func (b *bitReader) left() int { return len(b.codewords)*8 - b.next }

func (b *bitReader) read(bitCount int) int {
	if bitCount > b.left() {
		b.short = true
		b.next = len(b.codewords) * 8
		return 0
	}
	v := 0
	for range bitCount {
		v = v<<1 | int(b.codewords[b.next/8]>>(7-b.next%8)&1)
		b.next++
	}
	return v
}
