package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"pgregory.net/rapid"
)

func TestParseText(t *testing.T) {
	raw := "\x02\x01\x00\xfb\xff\xfe\x80"
	for name, c := range map[string]struct {
		line string
		kind Encoding
	}{
		"hex, upper":            {"020100FBFFFE80", Hex},
		"hex, lower":            {"020100fbfffe80", Hex},
		"hex, mixed":            {"020100FbfFfE80", Hex},
		"hex with line end":     {" 020100fbfffe80\r\n", Hex},
		"hex with symbology":    {"]Q1020100fbfffe80", Hex},
		"hex with charset mark": {"\\000026020100fbfffe80", Hex},
		"hex with both":         {"]Q2\\000026020100fbfffe80\n", Hex},
		"base64":                {"AgEA+//+gA==", Base64},
		"base64 unpadded":       {"AgEA+//+gA", Base64},
		"base64url":             {"AgEA-__-gA==", Base64URL},
		"base64url unpadded":    {"AgEA-__-gA", Base64URL},
		"base64 with mark":      {"]Q3\\000003AgEA+//+gA==", Base64},
	} {
		payload, kind, err := ParseText(c.line)
		if err != nil || string(payload) != raw || kind != c.kind {
			t.Errorf("%s: %x, %v, %v", name, payload, kind, err)
		}
	}
}

// TestHexWins: text that is both is read as hex.
func TestHexWins(t *testing.T) {
	payload, kind, err := ParseText("abcd1234")
	if err != nil || kind != Hex || !bytes.Equal(payload, []byte{0xab, 0xcd, 0x12, 0x34}) {
		t.Fatalf("%x, %v, %v", payload, kind, err)
	}
	if _, kind, err := ParseText("abcd120="); err != nil || kind != Base64 {
		t.Fatalf("padding makes it base64: %v, %v", kind, err)
	}
}

func TestParseTextRefusals(t *testing.T) {
	for name, c := range map[string]struct{ line, says string }{
		"empty":                 {"", "empty"},
		"white space":           {" \t\r\n", "empty"},
		"marks only":            {"]Q1", "empty"},
		"odd hex":               {"02010", "5 hex digits, an odd number"},
		"space inside":          {"0201 00", "character 5"},
		"colons":                {"02:01", "character 3"},
		"a link":                {"https://example.com/x", "character 6"},
		"mixed alphabets":       {"ab+_", "mixed"},
		"mixed, other order":    {"ab_x/y", "mixed"},
		"cut base64":            {"AgEA+", "cut short"},
		"bits behind the end":   {"AgEA+//+gB==", "cut short"},
		"padding in the middle": {"Ag==EA+/", "cut short"},
		"too much padding":      {"AgEA-===", "cut short"},
		"padding only":          {"====", "cut short"},
		"padding of nothing":    {"==", "cut short"},
		"wrong padding":         {"AgEA+//+gA=", "cut short"},
		"bad charset mark":      {"\\00002X0201", "character 1"},
		"line too long":         {strings.Repeat("0", MaxLineSize+2), "limit 16384"},
		"payload too long":      {strings.Repeat("00", MaxPayloadSize+1), "limit 4097"},
		"base64 too long":       {strings.Repeat("zzzz", MaxPayloadSize/3+1), "limit 4097"},
	} {
		payload, kind, err := ParseText(c.line)
		if !errors.Is(err, ErrText) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if payload != nil || kind != 0 {
			t.Errorf("%s: gave %d bytes beside the error", name, len(payload))
		}
	}
	if payload, _, err := ParseText(strings.Repeat("ff", MaxPayloadSize)); err != nil || len(payload) != MaxPayloadSize {
		t.Errorf("largest payload: %v", err)
	}
}

// TestMangled puts codes through what keyboards, Java and Windows drivers do to them.
func TestMangled(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for range 50 {
		code := append([]byte("\x02\x01\x00"), randomBytes(random, 218)...)
		latin1, _ := charmap.ISO8859_1.NewDecoder().Bytes(code)
		windows := []byte(asWindows1252(code))
		gbk, _ := simplifiedchinese.GBK.NewDecoder().Bytes([]byte("\x02\x01\xb6\xfe\xce\xac\xc2\xeb"))
		for name, c := range map[string]struct {
			line []byte
			how  Mangling
		}{
			"raw":      {code, RawBytes},
			"replaced": {[]byte(strings.ToValidUTF8(string(code), "\ufffd")), Replaced},
			"latin-1":  {latin1, Latin1},
			"windows":  {windows, Latin1},
			"gbk":      {gbk, OtherCharset},
			"controls": {[]byte("\x02\x01\x00abc"), RawBytes},
		} {
			_, _, err := ParseText(string(c.line))
			var mangled *MangledError
			if !errors.As(err, &mangled) || mangled.How != c.how || mangled.Offset != 0 {
				t.Fatalf("%s: %v", name, err)
			}
			if !strings.Contains(err.Error(), "switch the scanner to") {
				t.Fatalf("%s: does not say what to do: %v", name, err)
			}
		}
	}
}

// asWindows1252 does what Windows does: five bytes that its table leaves open pass as controls.
func asWindows1252(code []byte) string {
	var text strings.Builder
	for _, b := range code {
		r := charmap.Windows1252.DecodeByte(b)
		if r == utf8.RuneError {
			r = rune(b)
		}
		text.WriteRune(r)
	}
	return text.String()
}

func TestMangledOffset(t *testing.T) {
	_, _, err := ParseText("0201ÿ")
	var mangled *MangledError
	if !errors.As(err, &mangled) || mangled.Offset != 4 || mangled.How != Latin1 {
		t.Fatal(err)
	}
}

// TestErrorsKeepTheCodeSecret: whoever reads the log must not be able to ride on it.
func TestErrorsKeepTheCodeSecret(t *testing.T) {
	const code = "c0ffee" + "c0ffee" + "c0ffee"
	for _, line := range []string{code + "0", code + "!", code + "+_", code + "\ufffd", code + "\x00", code + "gg="} {
		if _, _, err := ParseText(line); err == nil || strings.Contains(err.Error(), "c0ffee") {
			t.Errorf("%v", err)
		}
	}
}

func TestTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 30, MaxPayloadSize).Draw(t, "payload")
		for line, want := range map[string]Encoding{
			hex.EncodeToString(payload):                   Hex,
			base64.StdEncoding.EncodeToString(payload):    Base64,
			base64.RawStdEncoding.EncodeToString(payload): Base64,
			base64.URLEncoding.EncodeToString(payload):    Base64URL,
		} {
			got, kind, err := ParseText(line)
			if isHex(line) && want != Hex {
				continue // all zeros in base64 is "AAAA…", and hex wins
			}
			if err != nil || !bytes.Equal(got, payload) {
				t.Fatalf("%v: %v", want, err)
			}
			if kind != want && strings.ContainsAny(line, "-_+/") {
				t.Fatalf("%v was taken for %v", want, kind)
			}
		}
	})
}

func FuzzParseText(f *testing.F) {
	for _, line := range []string{"0201ff", "AgH/", "AgH_-w==", "]Q1\\00002602", "\u00ff\ufffd", "\xff", "abcd", "===="} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		payload, kind, err := ParseText(line)
		if err != nil {
			var mangled *MangledError
			if !errors.Is(err, ErrText) && !errors.As(err, &mangled) || payload != nil {
				t.Fatalf("%x, %v", payload, err)
			}
			return
		}
		if len(payload) == 0 || len(payload) > MaxPayloadSize {
			t.Fatalf("%d bytes", len(payload))
		}
		text := trimMarks(strings.Trim(line, " \t\r\n"))
		var again string
		switch kind {
		case Hex:
			text, again = strings.ToLower(text), hex.EncodeToString(payload)
		case Base64:
			text, again = strings.TrimRight(text, "="), base64.RawStdEncoding.EncodeToString(payload)
		case Base64URL:
			text, again = strings.TrimRight(text, "="), base64.RawURLEncoding.EncodeToString(payload)
		}
		if text != again {
			t.Fatalf("%q was read as %v but writes %q", text, kind, again)
		}
	})
}
