package scan

import (
	"bytes"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/image/draw"
	"golang.org/x/image/math/f64"
)

// The pictures below are made by other code than the one under test: qrencode draws, x/image
// turns and scales, and blur and noise are written here.

// tool runs a program and fails the test, never skips it, when it is missing.
func tool(t testing.TB, debianPackage string, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%s is missing: apt-get install %s", name, debianPackage)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.Bytes())
	}
	return stdout.Bytes()
}

// qrencode draws the payload with the program of that name, in byte mode.
func qrencode(t testing.TB, payload []byte, level Level, modulePx int) image.Image {
	t.Helper()
	file := tool(t, "qrencode", payload, "qrencode", "-8", "-l", level.String(), "-s", strconv.Itoa(modulePx), "-m", "4", "-o", "-")
	picture, err := readPicture(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// onField puts a picture in the middle of a grey field.
func onField(picture image.Image, width, height int) *image.RGBA {
	field := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(field, field.Bounds(), image.NewUniform(color.Gray{200}), image.Point{}, draw.Src)
	size := picture.Bounds().Size()
	at := image.Pt((width-size.X)/2, (height-size.Y)/2)
	draw.Draw(field, image.Rectangle{at, at.Add(size)}, picture, picture.Bounds().Min, draw.Src)
	return field
}

func transformed(picture image.Image, width, height int, m f64.Aff3) *image.RGBA {
	out := onField(image.NewRGBA(image.Rectangle{}), width, height)
	draw.BiLinear.Transform(out, m, picture, picture.Bounds(), draw.Src, nil)
	return out
}

func rotated(picture image.Image, degrees float64) *image.RGBA {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	size := picture.Bounds().Size()
	w, h := float64(size.X), float64(size.Y)
	return transformed(picture, size.X, size.Y, f64.Aff3{
		cos, -sin, w/2 - cos*w/2 + sin*h/2,
		sin, cos, h/2 - sin*w/2 - cos*h/2,
	})
}

func scaled(picture image.Image, x, y float64) *image.RGBA {
	size := picture.Bounds().Size()
	out := image.NewRGBA(image.Rect(0, 0, int(float64(size.X)*x), int(float64(size.Y)*y)))
	draw.CatmullRom.Scale(out, out.Bounds(), picture, picture.Bounds(), draw.Src, nil)
	return out
}

func inverted(picture image.Image) image.Image {
	return perPixel(picture, func(v float64) float64 { return 255 - v })
}

// faded keeps share of the contrast, around mid grey.
func faded(picture image.Image, share float64) image.Image {
	return perPixel(picture, func(v float64) float64 { return 128 + (v-128)*share })
}

func noisy(picture image.Image, sigma float64, seed uint64) image.Image {
	random := rand.New(rand.NewPCG(seed, 2))
	return perPixel(picture, func(v float64) float64 { return v + random.NormFloat64()*sigma })
}

// shaded is dark at the left and bright at the right.
func shaded(picture image.Image) image.Image {
	out := image.NewGray(picture.Bounds())
	for y := out.Rect.Min.Y; y < out.Rect.Max.Y; y++ {
		for x := out.Rect.Min.X; x < out.Rect.Max.X; x++ {
			share := 0.35 + 0.65*float64(x-out.Rect.Min.X)/float64(out.Rect.Dx())
			out.SetGray(x, y, color.Gray{byte(brightnessAt(picture, x, y) * share)})
		}
	}
	return out
}

func perPixel(picture image.Image, change func(float64) float64) *image.Gray {
	out := image.NewGray(picture.Bounds())
	for y := out.Rect.Min.Y; y < out.Rect.Max.Y; y++ {
		for x := out.Rect.Min.X; x < out.Rect.Max.X; x++ {
			out.SetGray(x, y, color.Gray{byte(min(max(change(brightnessAt(picture, x, y)), 0), 255))})
		}
	}
	return out
}

func brightnessAt(picture image.Image, x, y int) float64 {
	return float64(color.GrayModel.Convert(picture.At(x, y)).(color.Gray).Y)
}

// blurred is a Gaussian blur.
func blurred(picture image.Image, sigma float64) image.Image {
	radius := int(3*sigma + 1)
	kernel, sum := make([]float64, 2*radius+1), 0.0
	for i := range kernel {
		kernel[i] = math.Exp(-float64((i-radius)*(i-radius)) / (2 * sigma * sigma))
		sum += kernel[i]
	}
	for i := range kernel {
		kernel[i] /= sum
	}
	return convolved(convolved(picture, kernel, 1, 0), kernel, 0, 1)
}

// moved is the blur of a hand that moves sideways while the picture is taken.
func moved(picture image.Image, lengthPx int) image.Image {
	kernel := make([]float64, lengthPx)
	for i := range kernel {
		kernel[i] = 1 / float64(lengthPx)
	}
	return convolved(picture, kernel, 1, 0)
}

func convolved(picture image.Image, kernel []float64, dx, dy int) *image.Gray {
	in := perPixel(picture, func(v float64) float64 { return v })
	out := image.NewGray(in.Rect)
	for y := in.Rect.Min.Y; y < in.Rect.Max.Y; y++ {
		for x := in.Rect.Min.X; x < in.Rect.Max.X; x++ {
			sum := 0.0
			for i, weight := range kernel {
				d := i - len(kernel)/2
				px := min(max(x+d*dx, in.Rect.Min.X), in.Rect.Max.X-1)
				py := min(max(y+d*dy, in.Rect.Min.Y), in.Rect.Max.Y-1)
				sum += weight * float64(in.GrayAt(px, py).Y)
			}
			out.SetGray(x, y, color.Gray{byte(sum + 0.5)})
		}
	}
	return out
}

// tilted looks at the picture from the side: the left edge stays, the right one shrinks to share.
func tilted(picture image.Image, share float64) image.Image {
	out := image.NewGray(picture.Bounds())
	w, h := float64(out.Rect.Dx()), float64(out.Rect.Dy())
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			u := float64(x) / w
			scale := 1 - (1-share)*u
			sy := h/2 + (float64(y)-h/2)/scale
			sx := w * u * share / scale
			v := 200.0
			if sx >= 0 && sy >= 0 && sx < w-1 && sy < h-1 {
				v = brightnessAt(picture, int(sx+0.5), int(sy+0.5))
			}
			out.SetGray(x, y, color.Gray{byte(v)})
		}
	}
	return out
}

// payloads are like ride codes: random, with zeros at the ends and the first bytes that occur.
func payloads(seed uint64) [][]byte {
	random := rand.New(rand.NewPCG(seed, 3))
	all := make([][]byte, 6)
	for i := range all {
		all[i] = randomBytes(random, 221)
	}
	copy(all[1], make([]byte, 4))
	clear(all[2][217:])
	copy(all[3], "\x02\x01")
	copy(all[4], "\x81\x00\x00\x00")
	return all
}

func randomBytes(random *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}
