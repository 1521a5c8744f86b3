package scan

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// MaxPayloadSize bounds what a scanner or another terminal hands in: a code has at most
	// MaxCodeSize bytes, an acceptance record 4,097.
	MaxPayloadSize = 4097
	// MaxLineSize bounds a line of text from a scanner, in bytes.
	MaxLineSize = 16 << 10
)

// Encoding says how the bytes were written as text.
type Encoding int

// The encodings that ParseText reads.
const (
	Hex       Encoding = iota + 1 // two digits a byte, either case
	Base64                        // RFC 4648 §4
	Base64URL                     // RFC 4648 §5
)

func (e Encoding) String() string {
	switch e {
	case Hex:
		return "hex"
	case Base64:
		return "base64"
	case Base64URL:
		return "base64url"
	}
	return fmt.Sprintf("Encoding(%d)", int(e))
}

// ErrText answers a line that is neither hex nor base64, or holds too much or nothing.
var ErrText = errors.New("scan: cannot read the scanner's text")

// ParseText returns the bytes that a scanner wrote as hex or base64 (standard or URL alphabet,
// padded or not). White space around the line, an AIM symbology identifier such as "]Q1" and a
// character set mark such as "\000026" in front are passed over.
//
// A line that is both is hex: of random payloads of 30 bytes and more, less than one base64 line in
// 10^18 has only hex digits, while most hex lines are good base64.
//
// Errors: ErrText, saying what is wrong and where; *MangledError, when the line is not encoded
// text but the code's raw bytes, changed or about to be changed by a character set. No error
// repeats what was scanned: a code is as good as cash while it is valid.
func ParseText(line string) (payload []byte, kind Encoding, err error) {
	if len(line) > MaxLineSize {
		return nil, 0, fmt.Errorf("%w: %d bytes, limit %d", ErrText, len(line), MaxLineSize)
	}
	text := strings.Trim(line, " \t\r\n")
	text = trimMarks(text)
	if text == "" {
		return nil, 0, fmt.Errorf("%w: the line is empty", ErrText)
	}
	if err := findMangled(text); err != nil {
		return nil, 0, err
	}
	payload, kind, err = decodeText(text)
	if err != nil {
		return nil, 0, err
	}
	if len(payload) > MaxPayloadSize {
		return nil, 0, fmt.Errorf("%w: %d bytes of payload, limit %d", ErrText, len(payload), MaxPayloadSize)
	}
	return payload, kind, nil
}

// trimMarks takes away what scanners put in front of the data: "]Q" and a digit names the
// symbology (ISO/IEC 15424), a backslash and six digits the character set (AIM ECI). Neither
// starts hex or base64, so nothing of the data can be lost.
func trimMarks(text string) string {
	if len(text) >= 3 && text[:2] == "]Q" && isDigit(text[2]) {
		text = text[3:]
	}
	if len(text) < 7 || text[0] != '\\' {
		return text
	}
	for i := 1; i < 7; i++ {
		if !isDigit(text[i]) {
			return text
		}
	}
	return text[7:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func decodeText(text string) ([]byte, Encoding, error) {
	if isHex(text) {
		if len(text)%2 != 0 {
			return nil, 0, fmt.Errorf("%w: %d hex digits, an odd number; one was lost: scan again", ErrText, len(text))
		}
		payload, err := hex.DecodeString(text)
		return payload, Hex, err
	}
	kind, err := base64Kind(text)
	if err != nil {
		return nil, 0, err
	}
	alphabet := base64.RawStdEncoding
	if kind == Base64URL {
		alphabet = base64.RawURLEncoding
	}
	payload, err := alphabet.Strict().DecodeString(unpad(text))
	if err != nil || len(payload) == 0 {
		return nil, 0, fmt.Errorf("%w: base64 is cut short or its padding is wrong: scan again", ErrText)
	}
	return payload, kind, nil
}

func isHex(text string) bool {
	for i := range len(text) {
		c := text[i] | 0x20
		if !isDigit(text[i]) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// unpad takes padding away only where it makes the length whole; other padding stays, as an error.
func unpad(text string) string {
	if len(text)%4 != 0 {
		return text
	}
	return strings.TrimSuffix(strings.TrimSuffix(text, "="), "=")
}

// base64Kind looks at every character, so that a wrong one is named by its place. It is stricter
// than the decoder, which passes over line breaks.
func base64Kind(text string) (Encoding, error) {
	kind, other := Base64, ""
	for i := range len(text) {
		switch c := text[i]; {
		case isDigit(c), 'a' <= c|0x20 && c|0x20 <= 'z', c == '=':
			continue
		case c == '-' || c == '_':
			kind, other = Base64URL, "+/"
		case c == '+' || c == '/':
			other = "-_"
		default:
			return 0, fmt.Errorf("%w: character %d is neither hex nor base64; "+
				"set the scanner to hex or base64 output", ErrText, i+1)
		}
		if strings.ContainsAny(text, other) {
			return 0, fmt.Errorf("%w: the two base64 alphabets are mixed, near character %d", ErrText, i+1)
		}
	}
	return kind, nil
}

// Mangling is a way in which raw bytes come to grief on a text path.
type Mangling int

// The manglings, each worse than the one before: a character outside Latin-1 rules Latin-1 out, a
// replacement character proves a loss whatever else is there.
const (
	// RawBytes: the scanner sends the code as it is on a line that is read as text. Nothing may be
	// lost yet, but a code can hold a line end, and the next stage will change it.
	RawBytes Mangling = iota + 1
	// Latin1: every byte was taken for a Latin-1 or Windows-1252 character and written as UTF-8.
	Latin1
	// OtherCharset: bytes were taken for characters of a larger set, such as GBK or Shift JIS.
	OtherCharset
	// Replaced: bytes that are not UTF-8 were replaced by U+FFFD. They are lost.
	Replaced
)

func (m Mangling) String() string {
	switch m {
	case RawBytes:
		return "raw bytes on a line of text"
	case Replaced:
		return "bytes replaced by U+FFFD"
	case Latin1:
		return "bytes read as Latin-1 and written as UTF-8"
	case OtherCharset:
		return "bytes read as characters of a larger set (GBK, Shift JIS, ...)"
	}
	return fmt.Sprintf("Mangling(%d)", int(m))
}

// MangledError says that a line holds the raw bytes of a code, or what a character set left.
type MangledError struct {
	How    Mangling
	Offset int // of the first byte that shows it
}

func (e *MangledError) Error() string {
	return fmt.Sprintf("scan: %v, first at byte %d: the code went through a character set; "+
		"switch the scanner to hex or base64 output, or to raw (binary) mode with a length in front", e.How, e.Offset)
}

// findMangled looks for anything that is not printable ASCII and names the worst it finds. The
// mangled bytes are never mended: which character set a scanner guessed differs from code to
// code, so a mend that works in the test fails at the gate.
func findMangled(text string) error {
	first, how := -1, Mangling(0)
	for i, r := range text {
		m := manglingOf(r)
		if m == 0 {
			continue
		}
		if first < 0 {
			first = i
		}
		how = max(how, m)
	}
	if first < 0 {
		return nil
	}
	if !utf8.ValidString(text) {
		how = RawBytes // whatever UTF-8 is among it is chance: no character set was applied yet
	}
	return &MangledError{how, first}
}

// manglingOf judges one character of UTF-8. Control characters come through every character set
// unchanged, so they name RawBytes only if nothing worse is there.
func manglingOf(r rune) Mangling {
	switch {
	case 0x20 <= r && r < 0x7f:
		return 0
	case r <= 0x7f:
		return RawBytes
	case r == utf8.RuneError:
		return Replaced
	case r <= 0xff, isWindows1252(r):
		return Latin1
	}
	return OtherCharset
}

// isWindows1252 tells the characters that Windows puts on the bytes 80 to 9f.
func isWindows1252(r rune) bool {
	return strings.ContainsRune("€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ", r)
}
