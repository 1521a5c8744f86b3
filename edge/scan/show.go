package scan

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"strings"
)

// maxModulePx bounds the picture: version 40 with margin is 5,920 pixels wide then.
const maxModulePx = 32

// PNG writes the symbol with its margin of four modules, black on white, one bit a pixel;
// modulePx is 1..32. Readers like 3 and more.
func (s *Symbol) PNG(w io.Writer, modulePx int) error {
	if modulePx < 1 || modulePx > maxModulePx {
		return fmt.Errorf("scan: modulePx %d, want 1..%d", modulePx, maxModulePx)
	}
	return png.Encode(w, s.picture(modulePx))
}

func (s *Symbol) picture(modulePx int) *image.Paletted {
	sizePx := (s.SizeModules() + 2*quietModules) * modulePx
	picture := image.NewPaletted(image.Rect(0, 0, sizePx, sizePx), color.Palette{color.White, color.Black})
	for y := range sizePx {
		row := picture.Pix[y*picture.Stride:][:sizePx]
		for x := range row {
			if s.Black(x/modulePx-quietModules, y/modulePx-quietModules) {
				row[x] = 1
			}
		}
	}
	return picture
}

// Text shows the symbol, margin included, on a terminal with a dark background: two modules a
// character, light modules are drawn and dark ones left out. Lines end in "\n".
func (s *Symbol) Text() string {
	return s.lines("", "", [4]string{" ", "▄", "▀", "█"})
}

// ANSI shows the symbol like Text on a terminal of any colours: it sets black and white itself,
// from the fixed part of the 256-colour table that themes leave alone.
func (s *Symbol) ANSI() string {
	return s.lines("\x1b[38;5;231;48;5;16m", "\x1b[0m", [4]string{" ", "▄", "▀", "█"})
}

// lines draws with the glyphs for: both dark, lower light, upper light, both light.
func (s *Symbol) lines(before, after string, glyphs [4]string) string {
	var text strings.Builder
	end := s.SizeModules() + quietModules
	for y := -quietModules; y < end; y += 2 {
		text.WriteString(before)
		for x := -quietModules; x < end; x++ {
			glyph := 0
			if !s.Black(x, y) {
				glyph += 2
			}
			if y+1 < end && !s.Black(x, y+1) {
				glyph++
			}
			text.WriteString(glyphs[glyph])
		}
		text.WriteString(after + "\n")
	}
	return text.String()
}
