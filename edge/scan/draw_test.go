package scan

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"pgregory.net/rapid"
	"rsc.io/qr/coding"

	"github.com/shuama/shuama/edge/scan/distort"
)

func mustQR(t testing.TB, payload []byte, level Level) *Symbol {
	t.Helper()
	symbol, err := QR(payload, level)
	if err != nil {
		t.Fatal(err)
	}
	return symbol
}

func mustPNG(t testing.TB, symbol *Symbol, modulePx int) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := symbol.PNG(&file, modulePx); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// checkReads is the measure of the package: one symbol, exact bytes.
func checkReads(t testing.TB, picture image.Image, payload []byte) {
	t.Helper()
	found, err := DecodeImage(picture)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || !bytes.Equal(found[0].Payload, payload) {
		t.Fatalf("%d symbols, first by pass %q with %d bytes; want the %d drawn", len(found), found[0].Pass, len(found[0].Payload), len(payload))
	}
}

func allBytes() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

func TestEveryByteValue(t *testing.T) {
	for v := range 256 {
		payload := bytes.Repeat([]byte{byte(v)}, 180+v%80)
		checkReads(t, mustQR(t, payload, L).picture(3), payload)
	}
	checkReads(t, mustQR(t, allBytes(), L).picture(3), allBytes())
}

func TestRandomPayloads(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 180, 260).Draw(r, "payload")
		level := Level(rapid.IntRange(0, 3).Draw(r, "level"))
		modulePx := rapid.IntRange(3, 8).Draw(r, "modulePx")
		file := mustPNG(t, mustQR(t, payload, level), modulePx)
		found, err := DecodePicture(bytes.NewReader(file))
		if err != nil || len(found) != 1 || !bytes.Equal(found[0].Payload, payload) || found[0].Level != level {
			r.Fatalf("%d bytes, level %v, %d px: %v, %d found", len(payload), level, modulePx, err, len(found))
		}
	})
}

// TestEveryVersionAndLevel fills every kind of symbol to the last byte, and checks that one byte
// more takes the next one.
func TestEveryVersionAndLevel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for level := L; level <= H; level++ {
		for v := 1; v <= 40; v++ {
			payload := randomBytes(random, capacity(coding.Version(v), level))
			symbol := mustQR(t, payload, level)
			found, err := readBits(modulesOf(symbol))
			if err != nil || !bytes.Equal(found.Payload, payload) {
				t.Fatalf("%d-%v: %v", v, level, err)
			}
			if symbol.Version() != v || found.Version != v || found.Level != level || symbol.SizeModules() != 17+4*v {
				t.Fatalf("%d-%v: drawn as %d, read as %d-%v", v, level, symbol.Version(), found.Version, found.Level)
			}
			more, err := QR(append(payload, 0), level)
			if v == 40 && !errors.Is(err, ErrTooLong) || v < 40 && (err != nil || more.Version() != v+1) {
				t.Fatalf("%d-%v and one byte: %v", v, level, err)
			}
		}
	}
}

func modulesOf(s *Symbol) *gozxing.BitMatrix {
	bits, err := gozxing.NewSquareBitMatrix(s.SizeModules())
	if err != nil {
		panic(err)
	}
	for y := range s.SizeModules() {
		for x := range s.SizeModules() {
			if s.Black(x, y) {
				bits.Set(x, y)
			}
		}
	}
	return bits
}

// TestByteModeForced: digits and capitals would fit other modes; the document wants mode 0100.
func TestByteModeForced(t *testing.T) {
	for _, payload := range []string{"1234567890", "HTTPS://EXAMPLE.COM", "\x02\x01"} {
		symbol := mustQR(t, []byte(payload), L)
		result, err := readCodewords(symbol)
		if err != nil {
			t.Fatal(err)
		}
		if result[0]>>4 != modeByte || int(result[0]&15)<<4|int(result[1]>>4) != len(payload) {
			t.Errorf("%q starts with %08b", payload, result[:2])
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, try := range map[string]func() error{
		"empty":         func() error { _, err := QR(nil, L); return err },
		"level below":   func() error { _, err := QR([]byte{1}, -1); return err },
		"level above":   func() error { _, err := QR([]byte{1}, 4); return err },
		"above 40-L":    func() error { _, err := QR(make([]byte, MaxCodeSize+1), L); return err },
		"no pixel":      func() error { return mustQR(t, []byte{1}, L).PNG(&bytes.Buffer{}, 0) },
		"many pixels":   func() error { return mustQR(t, []byte{1}, L).PNG(&bytes.Buffer{}, 33) },
		"broken writer": func() error { return mustQR(t, []byte{1}, L).PNG(brokenWriter{}, 1) },
	} {
		if try() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken") }

// TestPNGShape: one bit a pixel, and the margin of four modules on all sides.
func TestPNGShape(t *testing.T) {
	symbol := mustQR(t, []byte("shape"), L)
	file := mustPNG(t, symbol, 5)
	picture, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if depth := file[24]; depth != 1 {
		t.Errorf("%d bits a pixel", depth)
	}
	wantPx := (symbol.SizeModules() + 8) * 5
	if size := picture.Bounds().Size(); size != image.Pt(wantPx, wantPx) {
		t.Fatalf("size %v, want %d", size, wantPx)
	}
	brightness := distort.Gray(picture)
	for i := range wantPx {
		for k := range quietModules * 5 {
			for _, at := range []image.Point{{i, k}, {k, i}, {i, wantPx - 1 - k}, {wantPx - 1 - k, i}} {
				if brightness.GrayAt(at.X, at.Y).Y != 255 {
					t.Fatalf("the margin is dark at %v", at)
				}
			}
		}
	}
	if brightness.GrayAt(20, 20).Y != 0 {
		t.Error("the corner of the finder pattern is not dark")
	}
}

// TestPenalty counts each rule of ISO/IEC 18004 §7.8.3.1 on lines where it can be counted by hand.
func TestPenalty(t *testing.T) {
	line := func(s string) []bool {
		b := make([]bool, len(s))
		for i := range s {
			b[i] = s[i] == '#'
		}
		return b
	}
	for s, want := range map[string]int{"####.": 0, "#####": 3, ".......": 5, "#####.....": 6} {
		if got := penaltyRuns(line(s)); got != want {
			t.Errorf("runs of %q: %d, want %d", s, got, want)
		}
	}
	for s, want := range map[string]int{
		"#.###.#....": 40, "....#.###.#": 40, "#.###.#": 40, "##.#.###.#.##": 0, "####.#.###.#....": 40,
	} {
		if got := penaltyFinders(line(s)); got != want {
			t.Errorf("finders in %q: %d, want %d", s, got, want)
		}
	}
	allDark := &coding.Code{Bitmap: bytes.Repeat([]byte{0xff}, 8), Size: 8, Stride: 1}
	if got := penaltyBlocks(allDark); got != 49*3 {
		t.Errorf("blocks: %d", got)
	}
	if got := penaltyBalance(allDark); got != 100 {
		t.Errorf("balance: %d", got)
	}
}

// readers are other people's programs. zbarimg must get exactly these options: without -Sbinary it
// guesses a character set and returns other bytes with exit code 0; with one symbology chosen by
// -S beside it, it may add a line end.
func readers(t testing.TB) map[string]func(path string) []byte {
	return map[string]func(path string) []byte{
		"zbar": func(path string) []byte {
			return tool(t, "zbar-tools", nil, "zbarimg", "-q", "--raw", "-Sbinary", path)
		},
		"ZXing": func(path string) []byte { return tool(t, "zxing-cpp-tools", nil, "ZXingReader", "-bytes", path) },
	}
}

func checkOtherReaders(t *testing.T, name string, file, payload []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "code.png")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	for reader, read := range readers(t) {
		if got := read(path); !bytes.Equal(got, payload) {
			t.Errorf("%s reads %s as %d other bytes (payload %d bytes)", reader, name, len(got), len(payload))
		}
	}
}

func TestOtherReadersReadOurPictures(t *testing.T) {
	all := append(payloads(2), allBytes(), []byte{0}, []byte("1234567890"), []byte("ABC"), []byte("刷码"), []byte("caf\xe9"))
	random := rand.New(rand.NewPCG(4, 4))
	for range 8 {
		all = append(all, randomBytes(random, 180+random.IntN(81)))
	}
	all = append(all, randomBytes(random, 1000))
	for i, payload := range all {
		level := Level(i % 4)
		checkOtherReaders(t, fmt.Sprintf("payload %d, level %v", i, level), mustPNG(t, mustQR(t, payload, level), 4), payload)
	}
	largest := randomBytes(random, MaxCodeSize)
	checkOtherReaders(t, "the largest symbol", mustPNG(t, mustQR(t, largest, L), 6), largest)
}

// TestTextIsReadable paints what a terminal would show and gives it to the readers.
func TestTextIsReadable(t *testing.T) {
	payload := payloads(5)[0]
	symbol := mustQR(t, payload, L)
	for name, shown := range map[string]struct {
		text   string
		screen cell
	}{
		"plain on a dark terminal": {symbol.Text(), cell{ink: 220, paper: 20}},
		"colours on a dark one":    {symbol.ANSI(), cell{ink: 220, paper: 20}},
		"colours on a light one":   {symbol.ANSI(), cell{ink: 30, paper: 240}},
	} {
		picture := paint(t, shown.text, shown.screen)
		checkReads(t, picture, payload)
		var file bytes.Buffer
		if err := png.Encode(&file, picture); err != nil {
			t.Fatal(err)
		}
		checkOtherReaders(t, name, file.Bytes(), payload)
	}
}

func TestTextHasItsMargin(t *testing.T) {
	symbol := mustQR(t, []byte("margin"), L)
	lines := strings.Split(strings.TrimSuffix(symbol.Text(), "\n"), "\n")
	if want := (symbol.SizeModules() + 9) / 2; len(lines) != want {
		t.Fatalf("%d lines, want %d", len(lines), want)
	}
	for i, line := range lines {
		glyphs := []rune(line)
		if len(glyphs) != symbol.SizeModules()+8 {
			t.Fatalf("line %d has %d characters", i, len(glyphs))
		}
		if i < 2 && strings.Trim(line, "█") != "" || i < len(lines)-1 && string(glyphs[:4]) != "████" {
			t.Errorf("line %d breaks the margin", i)
		}
	}
	if strings.Trim(lines[len(lines)-1], "▀") != "" {
		t.Error("the last line shows more than the margin")
	}
}

// cell is one character place of a painted terminal: grey values of foreground and background.
type cell struct{ ink, paper byte }

// paint is a terminal for the few characters and colours that a shown symbol uses.
func paint(t *testing.T, text string, screen cell) image.Image {
	t.Helper()
	const px = 6 // a character is 6 wide and 12 high
	lines := strings.Split(text, "\n")
	picture := image.NewGray(image.Rect(0, 0, 90*px, (len(lines)+4)*2*px))
	for i := range picture.Pix {
		picture.Pix[i] = screen.paper
	}
	fill := func(column, half int, v byte) {
		for i := range px * px {
			picture.SetGray(column*px+i%px, half*px+i/px, color.Gray{v})
		}
	}
	for row, line := range lines {
		now, column := screen, 2
		for line != "" {
			if rest, ok := strings.CutPrefix(line, "\x1b[38;5;231;48;5;16m"); ok {
				now, line = cell{ink: 255, paper: 0}, rest
				continue
			}
			if rest, ok := strings.CutPrefix(line, "\x1b[0m"); ok {
				now, line = screen, rest
				continue
			}
			glyph := []rune(line)[0]
			line = line[len(string(glyph)):]
			upper, lower := now.paper, now.paper
			if glyph == '▀' || glyph == '█' {
				upper = now.ink
			}
			if glyph == '▄' || glyph == '█' {
				lower = now.ink
			}
			if !strings.ContainsRune(" ▀▄█", glyph) {
				t.Fatalf("unknown character %q", glyph)
			}
			fill(column, (row+2)*2, upper)
			fill(column, (row+2)*2+1, lower)
			column++
		}
	}
	return picture
}

func BenchmarkQR221(b *testing.B) {
	payload := payloads(1)[0]
	for b.Loop() {
		mustQR(b, payload, L)
	}
}

// TestBestMask: of the eight masks the one with the lowest penalty, and not always the same one.
func TestBestMask(t *testing.T) {
	chosen := map[coding.Mask]bool{}
	for _, payload := range append(payloads(13), make([]byte, 100), bytes.Repeat([]byte{0xff}, 100)) {
		symbol := mustQR(t, payload, L)
		for mask := range coding.Mask(maskCount) {
			other, err := drawMasked(payload, coding.Version(symbol.Version()), L, mask)
			if err != nil {
				t.Fatal(err)
			}
			if penalty(other) < penalty(symbol.code) {
				t.Errorf("mask %d would be better", mask)
			}
			if bytes.Equal(other.Bitmap, symbol.code.Bitmap) {
				chosen[mask] = true
			}
		}
	}
	if len(chosen) < 2 {
		t.Errorf("the masks chosen are %v", chosen)
	}
}
