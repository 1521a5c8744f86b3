package reader

import (
	"fmt"
	"strings"
	"time"
)

// Framing says how codes are told apart on a serial line. It is a comparable value.
type Framing struct {
	kind    framingKind
	silence time.Duration
	suffix  string
}

type framingKind int

const (
	kindLines framingKind = iota
	kindFramed
	kindBursts
)

// Bounds of a silence. At 9,600 baud a byte takes one millisecond; USB adapters hand bytes on every 16.
const (
	MinSilence     = 5 * time.Millisecond
	MaxSilence     = 2 * time.Second
	DefaultSilence = 50 * time.Millisecond

	// cutShortAfter is the silence after which the beginning of a line or a frame is given up.
	cutShortAfter = 500 * time.Millisecond
)

// TextLines is hex or base64 in lines that end with CR, LF or both. It is the zero Framing, and what
// to set a scanner to when there is a choice: no byte can be lost without being noticed.
func TextLines() Framing { return Framing{} }

// LengthPrefixed is raw bytes, each code with a length of two bytes in front (scan.ReadFramed).
func LengthPrefixed() Framing { return Framing{kind: kindFramed} }

// Raw is raw bytes; a code ends when the line is silent that long. The suffix is what the scanner is
// set to send behind each code, as "\r", or empty. It has to be told: a code may end with the same
// byte. Marks of the symbology and of a character set in front of a code are taken away.
func Raw(silence time.Duration, suffix string) Framing {
	return Framing{kind: kindBursts, silence: silence, suffix: suffix}
}

// suffixes are the names of suffixes in a configuration.
func suffixes() map[string]string {
	return map[string]string{"cr": "\r", "lf": "\n", "crlf": "\r\n", "tab": "\t", "etx": "\x03"}
}

// ParseFraming reads a framing from a configuration: "lines", "framed", or "raw", which may be
// followed by the silence and by cr, lf, crlf, tab or etx for the suffix, as "raw:30ms:cr".
func ParseFraming(text string) (Framing, error) {
	parts := strings.Split(text, ":")
	switch {
	case text == "lines":
		return TextLines(), nil
	case text == "framed":
		return LengthPrefixed(), nil
	case parts[0] != "raw" || len(parts) > 3:
		return Framing{}, fmt.Errorf("reader: framing %q: want lines, framed, or raw as in raw:50ms:cr", text)
	}
	f := Raw(DefaultSilence, "")
	for _, part := range parts[1:] {
		if suffix, known := suffixes()[part]; known && f.suffix == "" {
			f.suffix = suffix
			continue
		}
		silence, err := time.ParseDuration(part)
		if err != nil || f.suffix != "" {
			return Framing{}, fmt.Errorf("reader: framing %q: %q is neither a silence such as 50ms nor one of cr, lf, crlf, tab, etx at the end", text, part)
		}
		f.silence = silence
	}
	return f, f.check()
}

func (f Framing) check() error {
	if f.kind == kindBursts && (f.silence < MinSilence || f.silence > MaxSilence) {
		return fmt.Errorf("reader: silence of %v: want %v to %v", f.silence, MinSilence, MaxSilence)
	}
	if len(f.suffix) > maxMarksSize/2 {
		return fmt.Errorf("reader: suffix of %d bytes: want at most %d", len(f.suffix), maxMarksSize/2)
	}
	return nil
}

func (f Framing) cutter() (cutter, time.Duration) {
	switch f.kind {
	case kindFramed:
		return &frames{}, cutShortAfter
	case kindBursts:
		return &bursts{suffix: f.suffix}, f.silence
	}
	return &textLines{}, cutShortAfter
}
