package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"

	"github.com/shuama/shuama/edge/scan"
	"github.com/shuama/shuama/edge/scan/distort"
)

const (
	payloadCount = 6
	payloadSize  = 221 // bytes of a plain ride code
	modulePx     = 6
	fieldPx      = 720
)

// variant is one way to make a picture hard to read.
type variant struct {
	name   string
	change func(picture image.Image, seed uint64) image.Image
}

// torture is one picture of the set.
type torture struct {
	variant string
	name    string // of its file, without ending
	payload []byte
	file    []byte // PNG
}

// makeSet draws every payload and distorts it in every way: 25 ways and 6 payloads are 150 pictures,
// the same ones every time.
func makeSet() ([]torture, error) {
	var set []torture
	for i, payload := range payloads() {
		clean, err := drawOnField(payload)
		if err != nil {
			return nil, err
		}
		for k, v := range variants() {
			var file bytes.Buffer
			if err := png.Encode(&file, v.change(clean, uint64(100*k+i))); err != nil {
				return nil, err
			}
			set = append(set, torture{v.name, fmt.Sprintf("%02d-%d", k+1, i+1), payload, file.Bytes()})
		}
	}
	return set, nil
}

func drawOnField(payload []byte) (image.Image, error) {
	symbol, err := scan.QR(payload, scan.L)
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	if err := symbol.PNG(&file, modulePx); err != nil {
		return nil, err
	}
	picture, err := png.Decode(&file)
	if err != nil {
		return nil, err
	}
	return distort.OnField(picture, fieldPx, fieldPx), nil
}

// payloads are like ride codes: random, with zeros at the ends and the first bytes that occur. Zeros and
// bytes above 7f are what readers that think of text lose.
func payloads() [][]byte {
	random := rand.New(rand.NewPCG(20261121, 5))
	all := make([][]byte, payloadCount)
	for i := range all {
		all[i] = make([]byte, payloadSize)
		for k := range all[i] {
			all[i][k] = byte(random.Uint32())
		}
	}
	clear(all[1][:4])
	clear(all[2][payloadSize-4:])
	copy(all[3], "\x02\x01")
	copy(all[4], "\x81")
	clear(all[4][payloadSize-3:])
	return all
}

// variants are the 25 ways, from none to too much: blur of 4 and 5 pixels leaves nothing of a module of 6.
func variants() []variant {
	var all []variant
	add := func(name string, change func(picture image.Image, seed uint64) image.Image) {
		all = append(all, variant{name, change})
	}
	plain := func(name string, change func(picture image.Image) image.Image) {
		add(name, func(p image.Image, _ uint64) image.Image { return change(p) })
	}
	plain("clean", func(p image.Image) image.Image { return p })
	for _, degrees := range []float64{5, 10, 15, 22, 30, 45, 90, 133} {
		plain(fmt.Sprintf("turned %v°", degrees), func(p image.Image) image.Image { return distort.Turn(p, degrees) })
	}
	for _, sigma := range []float64{1, 2, 3, 4, 5} {
		plain(fmt.Sprintf("blur σ%v", sigma), func(p image.Image) image.Image { return distort.Blur(p, sigma) })
	}
	plain("perspective, mild", func(p image.Image) image.Image { return distort.Perspective(p, seenFrom(0.07)) })
	plain("perspective, middle", func(p image.Image) image.Image { return distort.Perspective(p, seenFrom(0.15)) })
	plain("perspective, strong", func(p image.Image) image.Image { return distort.Perspective(p, seenFrom(0.30)) })
	add("camera, 12°", func(p image.Image, seed uint64) image.Image { return camera(p, 12, seed) })
	add("camera, 27°", func(p image.Image, seed uint64) image.Image { return camera(p, 27, seed) })
	plain("3 px a module", func(p image.Image) image.Image { return distort.Scale(p, 3./modulePx, 3./modulePx) })
	plain("2 px a module", func(p image.Image) image.Image { return distort.Scale(p, 2./modulePx, 2./modulePx) })
	plain("inverted", func(p image.Image) image.Image { return distort.Invert(p) })
	plain("contrast 50 %", func(p image.Image) image.Image { return distort.Fade(p, 0.5) })
	plain("light from one side", func(p image.Image) image.Image { return distort.Shade(p) })
	plain("moved 6 px", func(p image.Image) image.Image { return distort.Move(p, 6) })
	return all
}

// seenFrom pulls the upper corners inwards and one of them down, as from below and the left.
func seenFrom(share float64) [4]distort.Corner {
	return [4]distort.Corner{{X: share, Y: share / 2}, {X: 1 - share, Y: share}, {X: 1, Y: 1}, {X: 0, Y: 1 - share/3}}
}

// camera is a hand that holds it askew, a lens that is not quite sharp, and the noise of a bad light.
func camera(picture image.Image, degrees float64, seed uint64) image.Image {
	return distort.Noise(distort.Blur(distort.Perspective(distort.Turn(picture, degrees), seenFrom(0.04)), 1.5), 8, seed)
}
