package scan

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/makiuchi-d/gozxing/qrcode/decoder"
	"golang.org/x/image/draw"

	"github.com/shuama/shuama/edge/scan/distort"
)

func readCodewords(s *Symbol) ([]byte, error) {
	result, err := decoder.NewDecoder().Decode(modulesOf(s), nil)
	if err != nil {
		return nil, err
	}
	return result.GetRawBytes(), nil
}

// TestDistortedPictures reads what qrencode drew after it was distorted by code that the package
// does not use. The distortions are those of doorways and hands: every picture must be read, and
// no pass may ever return other bytes.
func TestDistortedPictures(t *testing.T) {
	type change func(image.Image) image.Image
	cases := map[string]change{
		"inverted":                     func(p image.Image) image.Image { return distort.Invert(p) },
		"shaded":                       func(p image.Image) image.Image { return distort.Shade(p) },
		"faded 40%":                    func(p image.Image) image.Image { return distort.Fade(p, 0.4) },
		"faded 15%":                    func(p image.Image) image.Image { return distort.Fade(p, 0.15) },
		"moved":                        func(p image.Image) image.Image { return distort.Move(p, 8) },
		"noisy":                        func(p image.Image) image.Image { return distort.Noise(p, 30, 1) },
		"inverted, turned and blurred": func(p image.Image) image.Image { return distort.Invert(distort.Blur(distort.Turn(p, 17), 1.5)) },
		"camera at 12 degrees": func(p image.Image) image.Image {
			return distort.Noise(distort.Blur(distort.Tilt(distort.Turn(p, 12), 0.85), 1.2), 8, 2)
		},
		"camera at 27 degrees": func(p image.Image) image.Image {
			return distort.Noise(distort.Blur(distort.Tilt(distort.Turn(p, 27), 0.75), 1.2), 8, 2)
		},
	}
	for _, degrees := range []float64{0, 5, 10, 22, 33, 45, 90, 133, 180} {
		cases[fmt.Sprintf("turned %v", degrees)] = func(p image.Image) image.Image { return distort.Turn(p, degrees) }
	}
	for _, sigma := range []float64{1, 2, 2.5, 3} {
		cases[fmt.Sprintf("blurred %v", sigma)] = func(p image.Image) image.Image { return distort.Blur(p, sigma) }
	}
	for _, factor := range []float64{0.34, 0.4, 0.5, 0.75, 2} {
		cases[fmt.Sprintf("scaled %v", factor)] = func(p image.Image) image.Image { return distort.Scale(p, factor, factor) }
	}
	for _, share := range []float64{0.9, 0.8, 0.7, 0.6} {
		cases[fmt.Sprintf("tilted %v", share)] = func(p image.Image) image.Image { return distort.Tilt(p, share) }
	}
	all := payloads(7)
	drawn := make([]image.Image, len(all))
	for i, payload := range all {
		drawn[i] = distort.OnField(qrencode(t, payload, L, 6), 720, 720)
	}
	for name, distort := range cases {
		t.Run(name, func(t *testing.T) {
			for i, payload := range all {
				checkReads(t, distort(drawn[i]), payload)
			}
		})
	}
}

func TestOtherLevelsAndSizes(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	for level := L; level <= H; level++ {
		for _, size := range []int{1, 20, 251, 332} {
			payload := randomBytes(random, size)
			checkReads(t, distort.Blur(distort.Turn(distort.OnField(qrencode(t, payload, level, 6), 900, 900), 12), 1), payload)
		}
	}
}

func TestFormats(t *testing.T) {
	payload := payloads(8)[0]
	picture := image.NewRGBA(image.Rect(0, 0, 400, 400)) // in colours, so that JPEG has all its planes
	draw.Draw(picture, picture.Rect, distort.OnField(mustQR(t, payload, L).picture(5), 400, 400), image.Point{}, draw.Src)
	var pngFile, jpegFile, gifFile bytes.Buffer
	if err := errors.Join(
		png.Encode(&pngFile, picture),
		jpeg.Encode(&jpegFile, picture, &jpeg.Options{Quality: 40}),
		gif.Encode(&gifFile, picture, nil),
	); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"png": pngFile.Bytes(), "jpeg": jpegFile.Bytes(), "gif": gifFile.Bytes()} {
		found, err := DecodePicture(bytes.NewReader(file))
		if err != nil || len(found) != 1 || !bytes.Equal(found[0].Payload, payload) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := DecodePicture(bytes.NewReader(file[:len(file)/2])); !errors.Is(err, ErrPictureFormat) {
			t.Errorf("half a %s: %v", name, err)
		}
	}
}

// TestTransparentIsPaper: many drawing programs leave the light modules transparent.
func TestTransparentIsPaper(t *testing.T) {
	payload := []byte("on nothing")
	p := mustQR(t, payload, L).picture(5)
	p.Palette = color.Palette{color.NRGBA{0, 0, 0, 0}, color.NRGBA{0, 0, 0, 255}}
	checkReads(t, p, payload)
	part := image.NewNRGBA(image.Rect(-30, -40, 300, 300)) // bounds need not start at zero
	draw.Draw(part, p.Bounds(), p, image.Point{}, draw.Over)
	checkReads(t, part, payload)
}

func TestSeveralSymbols(t *testing.T) {
	all := payloads(11)[:4]
	picture := distort.OnField(image.NewGray(image.Rectangle{}), 900, 900)
	for i, payload := range all {
		symbol := mustQR(t, payload, L).picture(5)
		at := image.Pt(60+i%2*420, 60+i/2*420)
		draw.Draw(picture, symbol.Bounds().Add(at), symbol, image.Point{}, draw.Src)
	}
	found, err := DecodeImage(picture)
	if err != nil || len(found) != len(all) {
		t.Fatalf("%d of %d symbols: %v", len(found), len(all), err)
	}
	for _, payload := range all {
		if !contains(found, Found{Payload: payload}) {
			t.Error("a payload is missing")
		}
	}
}

// TestLargePhoto: a small code in a picture of 12 megapixels.
func TestLargePhoto(t *testing.T) {
	payload := payloads(12)[0]
	picture := distort.OnField(distort.Turn(distort.OnField(qrencode(t, payload, L, 10), 800, 800), 8), 4000, 3000)
	checkReads(t, picture, payload)
}

func TestNothingToFind(t *testing.T) {
	for name, picture := range map[string]image.Image{
		"one pixel":   image.NewGray(image.Rect(0, 0, 1, 1)),
		"one line":    image.NewGray(image.Rect(0, 0, 5000, 1)),
		"one column":  image.NewGray(image.Rect(0, 0, 1, 5000)),
		"black":       image.NewGray(image.Rect(0, 0, 300, 300)),
		"noise":       distort.Noise(image.NewGray(image.Rect(0, 0, 400, 400)), 300, 1),
		"half a code": mustQR(t, payloads(1)[0], L).picture(5).SubImage(image.Rect(0, 0, 300, 150)),
	} {
		if found, err := DecodeImage(picture); err != ErrNoSymbol {
			t.Errorf("%s: %d found, %v", name, len(found), err)
		}
	}
}

// TestFinderPatternBomb is a picture of thousands of finder patterns. The search in the library is
// cubic in their number: without the limit this test does not end.
func TestFinderPatternBomb(t *testing.T) {
	for _, modulePx := range []int{1, 2, 3} {
		bomb := image.NewGray(image.Rect(0, 0, 1400, 1400))
		for y := range 1400 {
			for x := range 1400 {
				mx, my := x/modulePx%8, y/modulePx%8
				ring := max(mx-3, 3-mx, my-3, 3-my)
				if ring == 2 || ring > 3 {
					bomb.SetGray(x, y, color.Gray{255})
				}
			}
		}
		if _, err := DecodeImage(bomb); err != ErrNoSymbol {
			t.Fatal(err)
		}
	}
}

func TestPictureLimits(t *testing.T) {
	if _, err := DecodePicture(io.LimitReader(endless{}, MaxPictureSize+10)); !errors.Is(err, ErrPictureTooLarge) {
		t.Errorf("endless file: %v", err)
	}
	if _, err := DecodePicture(bytes.NewReader(announcing(60_000, 60_000))); !errors.Is(err, ErrPictureTooLarge) {
		t.Errorf("file that announces 3.6 gigapixels: %v", err)
	}
	for name, file := range map[string][]byte{"empty": nil, "text": []byte("hello"), "magic only": []byte("\x89PNG\r\n\x1a\n")} {
		if _, err := DecodePicture(bytes.NewReader(file)); !errors.Is(err, ErrPictureFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodePicture(brokenReader{}); err == nil || errors.Is(err, ErrPictureFormat) {
		t.Errorf("broken reader: %v", err)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

// announcing is the head of a PNG file of this size, and nothing behind it.
func announcing(width, height uint32) []byte {
	head := []byte("IHDR")
	head = binary.BigEndian.AppendUint32(head, width)
	head = binary.BigEndian.AppendUint32(head, height)
	head = append(head, 8, 0, 0, 0, 0)
	file := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	file = append(file, head...)
	return binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(head))
}

// TestOtherModes reads symbols of programs that choose the mode themselves, as payment codes of
// other families do: digits and capitals alone and mixed with bytes come out whole.
func TestOtherModes(t *testing.T) {
	for _, text := range []string{
		"281234567890123456", "HTTPS://QR.EXAMPLE/A1", "1", "12", "A", "0009", "abc0123456789012345678901234567890xyz",
		"prefix-123456789012345678901234-ABCDEFGHIJKLMNOPQRSTUVWXYZ-tail",
	} {
		file := tool(t, "qrencode", []byte(text), "qrencode", "-s", "5", "-o", "-")
		found, err := DecodePicture(bytes.NewReader(file))
		if err != nil || len(found) != 1 || string(found[0].Payload) != text {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// bitWriter builds data codewords by hand.
type bitWriter struct {
	b    []byte
	next int
}

func (w *bitWriter) put(v, bitCount int) *bitWriter {
	for i := bitCount - 1; i >= 0; i-- {
		if w.next%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.next/8] |= byte(v>>i&1) << (7 - w.next%8)
		w.next++
	}
	return w
}

func bits() *bitWriter { return &bitWriter{} }

func TestSegments(t *testing.T) {
	for name, c := range map[string]struct {
		w       *bitWriter
		version int
		want    string
		err     error
	}{
		"bytes":                {bits().put(4, 4).put(2, 8).put(0xff00, 16), 1, "\xff\x00", nil},
		"bytes, version 10":    {bits().put(4, 4).put(1, 16).put(0x80, 8), 10, "\x80", nil},
		"UTF-8 mark kept out":  {bits().put(7, 4).put(26, 8).put(4, 4).put(1, 8).put(0xe9, 8), 1, "\xe9", nil},
		"two-byte mark":        {bits().put(7, 4).put(0x8001, 16).put(4, 4).put(1, 8).put(1, 8), 1, "\x01", nil},
		"three-byte mark":      {bits().put(7, 4).put(0xc00001, 24).put(4, 4).put(1, 8).put(1, 8), 1, "\x01", nil},
		"digits then bytes":    {bits().put(1, 4).put(4, 10).put(12, 10).put(3, 4).put(4, 4).put(1, 8).put(0xff, 8).put(0, 4), 1, "0123\xff", nil},
		"GS1 digits":           {bits().put(5, 4).put(1, 4).put(2, 10).put(42, 7), 1, "42", nil},
		"capitals, odd":        {bits().put(2, 4).put(3, 9).put(10*45+44, 11).put(36, 6), 1, "A: ", nil},
		"end hides the rest":   {bits().put(0, 4).put(4, 4).put(1, 8).put(1, 8), 1, "", nil},
		"kanji":                {bits().put(8, 4).put(1, 8).put(1, 13), 1, "", errMode},
		"part of a message":    {bits().put(3, 4).put(0x1200, 16), 1, "", errMode},
		"unknown mode":         {bits().put(15, 4), 1, "", errMode},
		"length behind end":    {bits().put(4, 4).put(3, 8).put(0, 16), 1, "", errBitsEnd},
		"length itself cut":    {bits().put(4, 4).put(1, 4), 1, "", errBitsEnd},
		"mark cut":             {bits().put(7, 4).put(0xc, 4), 1, "", errBitsEnd},
		"three digits too big": {bits().put(1, 4).put(3, 10).put(1000, 10), 1, "", errBadDigit},
		"capital too big":      {bits().put(2, 4).put(1, 9).put(45, 6), 1, "", errBadDigit},
		"capitals too big":     {bits().put(2, 4).put(2, 9).put(45*45, 11), 1, "", errBadDigit},
	} {
		got, err := readSegments(c.w.b, c.version)
		if !errors.Is(err, c.err) || string(got) != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func FuzzSegments(f *testing.F) {
	f.Add(bits().put(1, 4).put(4, 10).put(12, 10).put(3, 4).put(4, 4).put(1, 8).put(0xff, 8).b, uint8(1))
	f.Fuzz(func(t *testing.T, codewords []byte, version uint8) {
		payload, err := readSegments(codewords, int(version%40)+1)
		if err == nil && len(payload) > len(codewords)*8 {
			t.Fatalf("%d bytes out of %d", len(payload), len(codewords))
		}
	})
}

// FuzzDecodePicture feeds files. What is found must be drawable and come back the same.
func FuzzDecodePicture(f *testing.F) {
	small := mustQR(f, []byte("\x02\x01 seed"), L)
	f.Add(mustPNG(f, small, 2))
	var jpegFile, gifFile bytes.Buffer
	if err := errors.Join(jpeg.Encode(&jpegFile, small.picture(3), nil), gif.Encode(&gifFile, small.picture(2), nil)); err != nil {
		f.Fatal(err)
	}
	f.Add(jpegFile.Bytes())
	f.Add(gifFile.Bytes())
	f.Add(announcing(100, 100))
	f.Fuzz(func(t *testing.T, file []byte) {
		if config, _, err := image.DecodeConfig(bytes.NewReader(file)); err == nil && config.Width*config.Height > 1<<16 {
			return // slow, and no other code runs
		}
		found, err := DecodePicture(bytes.NewReader(file))
		if (err == nil) == (len(found) == 0) {
			t.Fatalf("%d found, %v", len(found), err)
		}
		for _, one := range found {
			if len(one.Payload) > 0 {
				checkRedrawn(t, one.Payload)
			}
		}
	})
}

func checkRedrawn(t *testing.T, payload []byte) {
	t.Helper()
	symbol, err := QR(payload, L)
	if errors.Is(err, ErrTooLong) {
		return // digits pack denser than bytes
	}
	if err != nil {
		t.Fatal(err)
	}
	if again, err := readBits(modulesOf(symbol)); err != nil || !bytes.Equal(again.Payload, payload) {
		t.Fatalf("redrawn: %v", err)
	}
}

func BenchmarkDecode221(b *testing.B) {
	picture := distort.OnField(mustQR(b, payloads(1)[0], L).picture(6), 720, 720)
	for b.Loop() {
		checkReads(b, picture, payloads(1)[0])
	}
}

func BenchmarkDecodeNothing2MP(b *testing.B) {
	picture := distort.Noise(distort.OnField(image.NewGray(image.Rectangle{}), 1448, 1448), 30, 1)
	for b.Loop() {
		if _, err := DecodeImage(picture); err != ErrNoSymbol {
			b.Fatal(err)
		}
	}
}
