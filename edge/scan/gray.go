package scan

import (
	"image"
	"math"
)

// gray is a picture in brightness only, 0 black .. 255 white, row by row without gaps.
type gray struct {
	width, height int
	pix           []byte
}

func newGray(width, height int) gray {
	return gray{width, height, make([]byte, width*height)}
}

// grayOf takes any picture; what is transparent shows white paper.
func grayOf(picture image.Image) gray {
	bounds := picture.Bounds()
	g := newGray(bounds.Dx(), bounds.Dy())
	for y := range g.height {
		row := g.pix[y*g.width:][:g.width]
		switch p := picture.(type) {
		case *image.Gray:
			copy(row, p.Pix[p.PixOffset(bounds.Min.X, bounds.Min.Y+y):])
		case *image.YCbCr:
			copy(row, p.Y[p.YOffset(bounds.Min.X, bounds.Min.Y+y):])
		case image.RGBA64Image:
			for x := range row {
				c := p.RGBA64At(bounds.Min.X+x, bounds.Min.Y+y)
				row[x] = brightness(uint32(c.R), uint32(c.G), uint32(c.B), uint32(c.A))
			}
		default:
			for x := range row {
				row[x] = brightness(picture.At(bounds.Min.X+x, bounds.Min.Y+y).RGBA())
			}
		}
	}
	return g
}

// brightness of a colour multiplied by its alpha, all 0..65535, on white.
func brightness(r, g, b, a uint32) byte {
	return byte(((r*2+g*5+b)/8 + (0xffff - a)) >> 8)
}

// at is white outside: the margin of a code at the edge of a picture.
func (g gray) at(x, y int) float64 {
	if x < 0 || y < 0 || x >= g.width || y >= g.height {
		return 255
	}
	return float64(g.pix[y*g.width+x])
}

// shrink makes every block of factor × factor pixels one.
func (g gray) shrink(factor int) gray {
	small := newGray(g.width/factor, g.height/factor)
	for y := range small.height {
		for x := range small.width {
			sum := 0
			for dy := range factor {
				start := (y*factor+dy)*g.width + x*factor
				for _, p := range g.pix[start : start+factor] {
					sum += int(p)
				}
			}
			small.pix[y*small.width+x] = byte(sum / (factor * factor))
		}
	}
	return small
}

// stretch scales both ways, with weights by distance between pixels.
func (g gray) stretch(byX, byY float64) gray {
	out := newGray(int(float64(g.width)*byX), int(float64(g.height)*byY))
	out.sample(func(x, y float64) float64 { return g.between((x+0.5)/byX-0.5, (y+0.5)/byY-0.5) })
	return out
}

// turn rotates about the middle; the new picture is large enough for all of the old one.
func (g gray) turn(degrees float64) gray {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	w, h := float64(g.width), float64(g.height)
	out := newGray(int(w*math.Abs(cos)+h*math.Abs(sin))+1, int(w*math.Abs(sin)+h*math.Abs(cos))+1)
	midX, midY := float64(out.width)/2, float64(out.height)/2
	out.sample(func(x, y float64) float64 {
		x, y = x-midX, y-midY
		return g.between(x*cos+y*sin+w/2, y*cos-x*sin+h/2)
	})
	return out
}

func (g gray) sample(from func(x, y float64) float64) {
	for y := range g.height {
		row := g.pix[y*g.width:][:g.width]
		for x := range row {
			row[x] = clamp(from(float64(x), float64(y)))
		}
	}
}

// between is the brightness at a place between pixels (bilinear).
func (g gray) between(x, y float64) float64 {
	left, top := math.Floor(x), math.Floor(y)
	fx, fy := x-left, y-top
	i, k := int(left), int(top)
	upper := g.at(i, k)*(1-fx) + g.at(i+1, k)*fx
	lower := g.at(i, k+1)*(1-fx) + g.at(i+1, k+1)*fx
	return upper*(1-fy) + lower*fy
}

func (g gray) invert() gray {
	out := newGray(g.width, g.height)
	for i, p := range g.pix {
		out.pix[i] = 255 - p
	}
	return out
}

// sharpen moves every pixel away from the mean of the square around it: it undoes blur.
func (g gray) sharpen(radiusPx int, strength float64) gray {
	mean := g.blur(radiusPx).blur(radiusPx)
	out := newGray(g.width, g.height)
	for i, p := range g.pix {
		out.pix[i] = clamp(float64(p) + strength*(float64(p)-float64(mean.pix[i])))
	}
	return out
}

// blur is the mean over a square, rows first and columns then, each with a running sum.
func (g gray) blur(radiusPx int) gray {
	across, out := newGray(g.width, g.height), newGray(g.width, g.height)
	for y := range g.height {
		blurLine(across.pix[y*g.width:], g.pix[y*g.width:], g.width, 1, radiusPx)
	}
	for x := range g.width {
		blurLine(out.pix[x:], across.pix[x:], g.height, g.width, radiusPx)
	}
	return out
}

// blurLine means over count pixels that stand step bytes apart; the ends repeat outwards.
func blurLine(dst, src []byte, count, step, radiusPx int) {
	at := func(i int) int { return int(src[min(max(i, 0), count-1)*step]) }
	sum, weight := 0, 2*radiusPx+1
	for i := -radiusPx; i <= radiusPx; i++ {
		sum += at(i)
	}
	for i := range count {
		dst[i*step] = byte(sum / weight)
		sum += at(i+radiusPx+1) - at(i-radiusPx)
	}
}

func clamp(v float64) byte { return byte(min(max(v+0.5, 0), 255)) }
