// Package scan is 扫码: QR pictures out and in, and what scanners make of them on the wire.
//
// The codes of this system are bytes, not text: signatures, keys and times, with every byte value
// from 00 to ff. Most QR software hands them on as text in a guessed character set and destroys
// them. This package keeps to bytes on all three ways:
//
//   - QR draws a payload in 8-bit byte mode without a character set mark (document 1 §6.1), as
//     PNG or as text for a terminal.
//   - DecodePicture finds the codes in a picture and returns the exact bytes.
//   - ParseText, ReadLine and ReadFramed take what a hardware scanner sends: hex, base64 or raw
//     bytes. Bytes that went through a character set are refused by name, with the way out.
//
// The package keeps no state and asks no clock.
package scan

import (
	"errors"
	"fmt"

	"rsc.io/qr/coding"
)

// Level is how much of a symbol can be lost. Document 1 §6.2 leaves it open and recommends L.
type Level int

// The four levels, with the share of the symbol that can be restored.
const (
	L Level = iota // 7 %
	M              // 15 %
	Q              // 25 %
	H              // 30 %
)

func (l Level) String() string {
	if l < L || l > H {
		return fmt.Sprintf("Level(%d)", int(l))
	}
	return "LMQH"[l : l+1]
}

const (
	// MaxCodeSize is the most bytes one symbol holds: version 40, level L, byte mode.
	MaxCodeSize = 2953

	quietModules = 4 // light margin on each side, ISO/IEC 18004 §9.1
	maskCount    = 8
)

// ErrTooLong answers a payload that no symbol of the level holds.
var ErrTooLong = errors.New("scan: payload too long for a QR code")

// Symbol is a drawn QR code: a square of dark and light modules.
type Symbol struct {
	version int
	level   Level
	code    *coding.Code
}

// QR draws the payload in byte mode (mode indicator 0100, document 1 §6.1), whatever it holds, in
// the smallest symbol. Errors: empty payload, unknown level, ErrTooLong.
func QR(payload []byte, level Level) (*Symbol, error) {
	version, err := smallestVersion(len(payload), level)
	if err != nil {
		return nil, err
	}
	var best *coding.Code
	bestPenalty := 0
	for mask := range coding.Mask(maskCount) {
		code, err := drawMasked(payload, version, level, mask)
		if err != nil {
			return nil, fmt.Errorf("scan: draw: %w", err)
		}
		if p := penalty(code); best == nil || p < bestPenalty {
			best, bestPenalty = code, p
		}
	}
	return &Symbol{int(version), level, best}, nil
}

func smallestVersion(payloadSize int, level Level) (coding.Version, error) {
	if payloadSize == 0 {
		return 0, errors.New("scan: empty payload")
	}
	if level < L || level > H {
		return 0, fmt.Errorf("scan: unknown level %d", int(level))
	}
	for v := coding.Version(coding.MinVersion); v <= coding.MaxVersion; v++ {
		if payloadSize <= capacity(v, level) {
			return v, nil
		}
	}
	limit := capacity(coding.MaxVersion, level)
	return 0, fmt.Errorf("%w: %d bytes, level %v holds %d", ErrTooLong, payloadSize, level, limit)
}

// capacity is how many bytes a symbol holds in byte mode: 4 bits mode, then the count in 8 bits
// up to version 9 and 16 above (ISO/IEC 18004 §7.4.1).
func capacity(v coding.Version, level Level) int {
	overheadBits := 4 + 8
	if v > 9 {
		overheadBits = 4 + 16
	}
	return (v.DataBytes(coding.Level(level))*8 - overheadBits) / 8
}

// drawMasked asks for the string encoding by name: left to choose, the library draws digits and
// capitals in other modes, which the document does not allow.
func drawMasked(payload []byte, v coding.Version, level Level, mask coding.Mask) (*coding.Code, error) {
	plan, err := coding.NewPlan(v, coding.Level(level), mask)
	if err != nil {
		return nil, err
	}
	return plan.Encode(coding.String(payload))
}

// Version is the size class of the symbol, 1..40.
func (s *Symbol) Version() int { return s.version }

// Level is the level the symbol was drawn with.
func (s *Symbol) Level() Level { return s.level }

// SizeModules is the length of one side without the margin: 17 + 4 × version.
func (s *Symbol) SizeModules() int { return s.code.Size }

// Black tells whether the module at column x, row y is dark. Outside the symbol all is light.
func (s *Symbol) Black(x, y int) bool { return s.code.Black(x, y) }
