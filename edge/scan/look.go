package scan

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/common"
	multidetector "github.com/makiuchi-d/gozxing/multi/qrcode/detector"
	"github.com/makiuchi-d/gozxing/qrcode/decoder"
	"github.com/makiuchi-d/gozxing/qrcode/detector"
)

const (
	// workPixels is the size that larger pictures are shrunk to before anything else. A code that
	// fills a tenth of the width of a 12-megapixel photo still has more than 2 pixels a module.
	workPixels = 2 << 20
	// maxCorners bounds how many finder patterns one look collects, maxTriples how many triples of
	// them it tries. The search is cubic in the first, and a picture can be made of nothing else.
	maxCorners = 128
	maxTriples = 64
)

// pass is one way to look at a picture.
type pass struct {
	name   string
	global bool // one threshold for the whole picture instead of one for each place
	change func(gray) gray
}

// passes are in order of how much they find for their time.
func passes() []pass {
	same := func(g gray) gray { return g }
	half := func(g gray) gray { return g.shrink(2) }
	return []pass{
		{"plain", false, same},
		{"global", true, same},
		{"half", false, half},
		{"half global", true, half},
		{"x1.5", false, func(g gray) gray { return g.stretch(1.5, 1.5) }},
		{"inverted", false, gray.invert},
		{"sharpened", false, func(g gray) gray { return g.sharpen(3, 4) }},
		{"sharpened global", true, func(g gray) gray { return g.sharpen(2, 10) }},
		{"turned 45", false, func(g gray) gray { return g.turn(45) }},
		{"x2", false, func(g gray) gray { return g.stretch(2, 2) }},
		{"turned 22", false, func(g gray) gray { return g.turn(22) }},
		{"turned -22", false, func(g gray) gray { return g.turn(-22) }},
		{"sharpened x1.5", false, func(g gray) gray { return g.stretch(1.5, 1.5).sharpen(3, 6) }},
		{"inverted half", false, func(g gray) gray { return g.shrink(2).invert() }},
		{"inverted global", true, gray.invert},
		{"wider", false, func(g gray) gray { return g.stretch(1.3, 1) }},
		{"higher", false, func(g gray) gray { return g.stretch(1, 1.3) }},
	}
}

// look returns what the first pass that finds anything finds.
func look(picture gray) ([]Found, error) {
	for factor := 1; ; factor++ {
		if len(picture.pix)/(factor*factor) <= workPixels {
			if factor > 1 {
				picture = picture.shrink(factor)
			}
			break
		}
	}
	for _, p := range passes() {
		if found := p.run(picture); len(found) > 0 {
			return found, nil
		}
	}
	return nil, ErrNoSymbol
}

// run never fails: what a pass cannot read, another may. The reader below is not ours and its
// input is a stranger's, so a panic in it counts as nothing found.
func (p pass) run(picture gray) (found []Found) {
	defer func() {
		if recover() != nil {
			found = nil
		}
	}()
	matrix, err := p.matrix(p.change(picture))
	if err != nil {
		return nil
	}
	for _, bits := range candidates(matrix) {
		f, err := readBits(bits)
		if err == nil && !contains(found, f) {
			f.Pass = p.name
			found = append(found, f)
		}
	}
	return found
}

// matrix makes the picture black and white.
func (p pass) matrix(g gray) (*gozxing.BitMatrix, error) {
	source, err := gozxing.NewPlanarYUVLuminanceSource(g.pix, g.width, g.height, 0, 0, g.width, g.height, false)
	if err != nil {
		return nil, err
	}
	if p.global {
		return gozxing.NewGlobalHistgramBinarizer(source).GetBlackMatrix()
	}
	return gozxing.NewHybridBinarizer(source).GetBlackMatrix()
}

// candidates are the squares that may be symbols: every fitting triple of finder patterns, and the
// best triple of the finder for single symbols, which takes more distortion.
func candidates(matrix *gozxing.BitMatrix) []*gozxing.BitMatrix {
	var all []*gozxing.BitMatrix
	hints := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_NEED_RESULT_POINT_CALLBACK: limitCorners(maxCorners)}
	single := detector.NewDetector(matrix)
	if result, err := single.Detect(hints); err == nil {
		all = append(all, result.GetBits())
	}
	multi := multidetector.NewMultiFinderPatternFinder(matrix, limitCorners(maxCorners))
	triples, err := multi.FindMulti(nil)
	if err != nil {
		return all
	}
	for _, triple := range triples[:min(len(triples), maxTriples)] {
		if result, err := detector.NewDetector(matrix).ProcessFinderPatternInfo(triple); err == nil {
			all = append(all, result.GetBits())
		}
	}
	return all
}

var errTooManyCorners = errors.New("scan: too many finder patterns")

// limitCorners stops a look at a picture that is made to keep it busy. The only way out of the
// finder is a panic; run catches it.
func limitCorners(limit int) gozxing.ResultPointCallback {
	count := 0
	return func(gozxing.ResultPoint) {
		if count++; count > limit {
			panic(errTooManyCorners)
		}
	}
}

func readBits(bits *gozxing.BitMatrix) (Found, error) {
	result, err := decoder.NewDecoder().Decode(bits, map[gozxing.DecodeHintType]any{
		// The text is not used, but its character set would be guessed, and the guess can fail.
		gozxing.DecodeHintType_CHARACTER_SET: "ISO-8859-1",
	})
	if err != nil {
		return Found{}, err
	}
	return foundOf(result)
}

func foundOf(result *common.DecoderResult) (Found, error) {
	level, version, err := shapeOf(result.GetECLevel(), len(result.GetRawBytes()))
	if err != nil {
		return Found{}, err
	}
	payload, err := readSegments(result.GetRawBytes(), version)
	if err != nil {
		return Found{}, err
	}
	return Found{Payload: payload, Version: version, Level: level}, nil
}

func contains(all []Found, f Found) bool {
	for _, other := range all {
		if bytes.Equal(other.Payload, f.Payload) {
			return true
		}
	}
	return false
}

var errShape = errors.New("scan: no symbol has this many codewords")

// shapeOf finds the version back: no two versions have the same number of data codewords.
func shapeOf(levelName string, codewordCount int) (Level, int, error) {
	for level := L; level <= H; level++ {
		for version := 1; version <= 40 && level.String() == levelName; version++ {
			if dataCodewords(version, level) == codewordCount {
				return level, version, nil
			}
		}
	}
	return 0, 0, fmt.Errorf("%w: %d, level %s", errShape, codewordCount, levelName)
}
