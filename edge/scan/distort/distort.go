// Package distort is what doorways, hands and lenses do to the picture of a code (图像失真): turned, blurred,
// seen from the side, faded, inverted, noisy. Tests of the reader and the torture set are made with it.
//
// Every function gives a new picture and the same one every time: noise comes from a seed.
package distort

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"

	"golang.org/x/image/draw"
	"golang.org/x/image/math/f64"
)

// fieldGray is the brightness of what a code lies on.
const fieldGray = 200

// Gray is the picture in brightness only.
func Gray(picture image.Image) *image.Gray {
	out := image.NewGray(image.Rectangle{Max: picture.Bounds().Size()})
	draw.Draw(out, out.Rect, picture, picture.Bounds().Min, draw.Src)
	return out
}

// Field is a grey field without anything on it.
func Field(width, height int) *image.Gray {
	field := image.NewGray(image.Rect(0, 0, width, height))
	for i := range field.Pix {
		field.Pix[i] = fieldGray
	}
	return field
}

// OnField puts a picture in the middle of a grey field.
func OnField(picture image.Image, width, height int) *image.Gray {
	field := Field(width, height)
	size := picture.Bounds().Size()
	at := image.Pt((width-size.X)/2, (height-size.Y)/2)
	draw.Draw(field, image.Rectangle{at, at.Add(size)}, picture, picture.Bounds().Min, draw.Src)
	return field
}

// Turn rotates about the middle; what leaves the picture is cut off.
func Turn(picture image.Image, degrees float64) *image.Gray {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	size := picture.Bounds().Size()
	w, h := float64(size.X), float64(size.Y)
	out := Field(size.X, size.Y)
	draw.BiLinear.Transform(out, f64.Aff3{
		cos, -sin, w/2 - cos*w/2 + sin*h/2,
		sin, cos, h/2 - sin*w/2 - cos*h/2,
	}, picture, picture.Bounds(), draw.Src, nil)
	return out
}

// Scale makes the picture larger or smaller.
func Scale(picture image.Image, byX, byY float64) *image.Gray {
	size := picture.Bounds().Size()
	out := image.NewGray(image.Rect(0, 0, int(float64(size.X)*byX), int(float64(size.Y)*byY)))
	draw.CatmullRom.Scale(out, out.Rect, picture, picture.Bounds(), draw.Src, nil)
	return out
}

// Invert makes black white.
func Invert(picture image.Image) *image.Gray {
	return perPixel(picture, func(v float64) float64 { return 255 - v })
}

// Fade keeps share of the contrast, around mid grey.
func Fade(picture image.Image, share float64) *image.Gray {
	return perPixel(picture, func(v float64) float64 { return 128 + (v-128)*share })
}

// Noise adds to every pixel; sigma is in steps of brightness.
func Noise(picture image.Image, sigma float64, seed uint64) *image.Gray {
	random := rand.New(rand.NewPCG(seed, 2))
	return perPixel(picture, func(v float64) float64 { return v + random.NormFloat64()*sigma })
}

func perPixel(picture image.Image, change func(float64) float64) *image.Gray {
	out := Gray(picture)
	for i, p := range out.Pix {
		out.Pix[i] = clamp(change(float64(p)))
	}
	return out
}

func clamp(v float64) byte { return byte(min(max(v, 0), 255)) }

// Shade is dark at the left and bright at the right.
func Shade(picture image.Image) *image.Gray {
	out := Gray(picture)
	for i, p := range out.Pix {
		share := 0.35 + 0.65*float64(i%out.Stride)/float64(out.Rect.Dx())
		out.Pix[i] = byte(float64(p) * share)
	}
	return out
}

// Blur is a Gaussian blur: a lens out of focus.
func Blur(picture image.Image, sigmaPx float64) *image.Gray {
	radius := int(3*sigmaPx + 1)
	kernel, sum := make([]float64, 2*radius+1), 0.0
	for i := range kernel {
		kernel[i] = math.Exp(-float64((i-radius)*(i-radius)) / (2 * sigmaPx * sigmaPx))
		sum += kernel[i]
	}
	for i := range kernel {
		kernel[i] /= sum
	}
	return convolve(convolve(Gray(picture), kernel, 1, 0), kernel, 0, 1)
}

// Move is the blur of a hand that moves sideways while the picture is taken.
func Move(picture image.Image, lengthPx int) *image.Gray {
	kernel := make([]float64, lengthPx)
	for i := range kernel {
		kernel[i] = 1 / float64(lengthPx)
	}
	return convolve(Gray(picture), kernel, 1, 0)
}

// convolve sums along one direction; the edge repeats outwards.
func convolve(in *image.Gray, kernel []float64, dx, dy int) *image.Gray {
	out := image.NewGray(in.Rect)
	for y := range in.Rect.Max.Y {
		for x := range in.Rect.Max.X {
			sum := 0.0
			for i, weight := range kernel {
				d := i - len(kernel)/2
				px, py := min(max(x+d*dx, 0), in.Rect.Max.X-1), min(max(y+d*dy, 0), in.Rect.Max.Y-1)
				sum += weight * float64(in.Pix[py*in.Stride+px])
			}
			out.Pix[y*out.Stride+x] = byte(sum + 0.5)
		}
	}
	return out
}

// Tilt looks at the picture from the side: the left edge stays, the right one shrinks to share.
func Tilt(picture image.Image, share float64) *image.Gray {
	in := Gray(picture)
	out := Field(in.Rect.Dx(), in.Rect.Dy())
	w, h := float64(out.Rect.Dx()), float64(out.Rect.Dy())
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			u := float64(x) / w
			scale := 1 - (1-share)*u
			sy, sx := h/2+(float64(y)-h/2)/scale, w*u*share/scale
			if sx >= 0 && sy >= 0 && sx < w-1 && sy < h-1 {
				out.SetGray(x, y, in.GrayAt(int(sx+0.5), int(sy+0.5)))
			}
		}
	}
	return out
}

// Corner is where a corner of the picture comes to lie, in shares of width and height.
type Corner struct{ X, Y float64 }

// Perspective moves the corners, in the order top left, top right, bottom right, bottom left, as a camera
// that looks from anywhere sees them.
func Perspective(picture image.Image, corners [4]Corner) *image.Gray {
	in := Gray(picture)
	out := Field(in.Rect.Dx(), in.Rect.Dy())
	w, h := float64(in.Rect.Dx()), float64(in.Rect.Dy())
	back := squareTo(corners).inverse()
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			u, v := back.apply((float64(x)+0.5)/w, (float64(y)+0.5)/h)
			if u >= 0 && v >= 0 && u < 1 && v < 1 {
				out.SetGray(x, y, color.Gray{between(in, u*w-0.5, v*h-0.5)})
			}
		}
	}
	return out
}

// between is the brightness at a place between pixels (bilinear).
func between(in *image.Gray, x, y float64) byte {
	left, top := math.Floor(x), math.Floor(y)
	at := func(dx, dy int) float64 {
		px, py := min(max(int(left)+dx, 0), in.Rect.Dx()-1), min(max(int(top)+dy, 0), in.Rect.Dy()-1)
		return float64(in.Pix[py*in.Stride+px])
	}
	fx, fy := x-left, y-top
	return clamp((at(0, 0)*(1-fx)+at(1, 0)*fx)*(1-fy) + (at(0, 1)*(1-fx)+at(1, 1)*fx)*fy + 0.5)
}

// homography is a projective map of the plane, row by row.
type homography [9]float64

// squareTo maps the unit square to four corners.
func squareTo(c [4]Corner) homography {
	dx1, dx2, sx := c[1].X-c[2].X, c[3].X-c[2].X, c[0].X-c[1].X+c[2].X-c[3].X
	dy1, dy2, sy := c[1].Y-c[2].Y, c[3].Y-c[2].Y, c[0].Y-c[1].Y+c[2].Y-c[3].Y
	d := dx1*dy2 - dx2*dy1
	g, k := (sx*dy2-dx2*sy)/d, (dx1*sy-sx*dy1)/d
	return homography{
		c[1].X - c[0].X + g*c[1].X, c[3].X - c[0].X + k*c[3].X, c[0].X,
		c[1].Y - c[0].Y + g*c[1].Y, c[3].Y - c[0].Y + k*c[3].Y, c[0].Y,
		g, k, 1,
	}
}

func (m homography) inverse() homography { // its adjugate: a common factor does not matter
	return homography{
		m[4]*m[8] - m[5]*m[7], m[2]*m[7] - m[1]*m[8], m[1]*m[5] - m[2]*m[4],
		m[5]*m[6] - m[3]*m[8], m[0]*m[8] - m[2]*m[6], m[2]*m[3] - m[0]*m[5],
		m[3]*m[7] - m[4]*m[6], m[1]*m[6] - m[0]*m[7], m[0]*m[4] - m[1]*m[3],
	}
}

func (m homography) apply(x, y float64) (u, v float64) {
	w := m[6]*x + m[7]*y + m[8]
	return (m[0]*x + m[1]*y + m[2]) / w, (m[3]*x + m[4]*y + m[5]) / w
}
