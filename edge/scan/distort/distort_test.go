package distort_test

import (
	"bytes"
	"image"
	"math"
	"testing"

	"github.com/shuama/shuama/edge/scan/distort"
)

// chart is black but for one white square, where its middle can be looked for afterwards.
func chart(size, at image.Point, side int) *image.Gray {
	picture := image.NewGray(image.Rectangle{Max: size})
	for y := range side {
		for x := range side {
			picture.Pix[(at.Y-side/2+y)*picture.Stride+at.X-side/2+x] = 255
		}
	}
	return picture
}

// middle is the centre of gravity of what is nearly white.
func middle(picture *image.Gray) (x, y float64) {
	count := 0.0
	for i, p := range picture.Pix {
		if p > 230 {
			x, y, count = x+float64(i%picture.Stride)+0.5, y+float64(i/picture.Stride)+0.5, count+1
		}
	}
	return x / count, y / count
}

// A point goes where geometry says that it goes.
func TestPlaces(t *testing.T) {
	square := chart(image.Pt(200, 100), image.Pt(150, 50), 8)
	corners := [4]distort.Corner{{X: 0.1, Y: 0.2}, {X: 0.9, Y: 0}, {X: 1, Y: 1}, {X: 0, Y: 0.8}}
	for name, c := range map[string]struct {
		picture *image.Gray
		x, y    float64
	}{
		"turned a quarter":     {distort.Turn(square, 90), 100, 100},
		"turned back":          {distort.Turn(distort.Turn(square, 30), -30), 150, 50},
		"twice as large":       {distort.Scale(square, 2, 2), 300, 100},
		"all corners kept":     {distort.Perspective(square, [4]distort.Corner{{X: 0, Y: 0}, {X: 1, Y: 0}, {X: 1, Y: 1}, {X: 0, Y: 1}}), 150, 50},
		"a corner's own place": {distort.Perspective(chart(image.Pt(200, 100), image.Pt(196, 96), 8), corners), 193, 95},
	} {
		if x, y := middle(c.picture); math.Abs(x-c.x) > 3 || math.Abs(y-c.y) > 3 {
			t.Errorf("%s: at %.1f, %.1f, want %.1f, %.1f", name, x, y, c.x, c.y)
		}
	}
}

// Blur keeps the mean and lowers the peak; fading halves the distance to mid grey; what is inverted twice is back.
func TestBrightness(t *testing.T) {
	square := chart(image.Pt(100, 100), image.Pt(50, 50), 10)
	if before, after := mean(square), mean(distort.Blur(square, 3)); math.Abs(before-after) > 0.6 {
		t.Errorf("blur changes the mean from %.2f to %.2f", before, after)
	}
	if peak := distort.Blur(square, 8).GrayAt(50, 50).Y; peak > 120 || peak < 20 {
		t.Errorf("the peak after a blur is %d", peak)
	}
	if faded := distort.Fade(square, 0.5); faded.GrayAt(0, 0).Y != 64 || faded.GrayAt(50, 50).Y != 191 {
		t.Errorf("faded to %d and %d", faded.GrayAt(0, 0).Y, faded.GrayAt(50, 50).Y)
	}
	if !bytes.Equal(distort.Invert(distort.Invert(square)).Pix, square.Pix) {
		t.Error("inverted twice is not the same")
	}
	if !bytes.Equal(distort.Noise(square, 9, 1).Pix, distort.Noise(square, 9, 1).Pix) || bytes.Equal(distort.Noise(square, 9, 1).Pix, distort.Noise(square, 9, 2).Pix) {
		t.Error("noise does not follow its seed")
	}
}

func mean(picture *image.Gray) float64 {
	sum := 0.0
	for _, p := range picture.Pix {
		sum += float64(p)
	}
	return sum / float64(len(picture.Pix))
}
