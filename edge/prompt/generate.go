//go:build ignore

// Generate makes the prepared voices (voice/*.wav) anew, with espeak-ng: run "go generate" in this
// folder after a text in table.go was changed. voice/TEXTS says what each clip says; a test compares
// it with the table.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/shuama/shuama/edge/prompt"
)

const rateHz = 8000

func main() {
	log.SetFlags(0)
	removeOld()
	var texts strings.Builder
	for _, clip := range prompt.Clips() {
		samples, inHz := speak(clip)
		write(clip.Path, quantize(trim(resample(samples, inHz))))
		fmt.Fprintf(&texts, "%s\t%s\n", filepath.Base(clip.Path), clip.Text)
	}
	must(os.WriteFile("voice/TEXTS", []byte(texts.String()), 0o644))
}

func must(err error) {
	if err != nil {
		log.Fatal("generate: ", err)
	}
}

func removeOld() {
	old, err := filepath.Glob("voice/*.wav")
	must(err)
	for _, path := range old {
		must(os.Remove(path))
	}
}

// speak returns samples of -1 to 1 and their rate. espeak-ng writes a header of 44 bytes, then 16 bits, mono.
func speak(clip prompt.Clip) ([]float64, int) {
	speaker := exec.Command("espeak-ng", "-v", prompt.SpeakerVoice(clip.Language), "-s", "185", "--stdout", "--", clip.Text)
	speaker.Stderr = os.Stderr
	file, err := speaker.Output()
	must(err)
	if len(file) < 44 || !bytes.HasPrefix(file, []byte("RIFF")) || string(file[36:40]) != "data" {
		log.Fatalf("generate: %s: not the WAV file that espeak-ng writes (Debian package espeak-ng)", clip.Path)
	}
	samples := make([]float64, (len(file)-44)/2)
	for i := range samples {
		samples[i] = float64(int16(binary.LittleEndian.Uint16(file[44+2*i:]))) / 32768
	}
	return samples, int(binary.LittleEndian.Uint32(file[24:]))
}

// resample is a windowed sinc at each new sample's place; it cuts off at 90 % of half the new rate.
func resample(in []float64, inHz int) []float64 {
	const lobes = 16
	step := float64(inHz) / rateHz
	cut := math.Min(1, 0.9/step)
	reach := lobes / cut
	out := make([]float64, int(float64(len(in))/step))
	for i := range out {
		center := float64(i) * step
		for j := max(0, int(center-reach)); j < min(len(in), int(center+reach)+1); j++ {
			x := float64(j) - center
			window := 0.5 + 0.5*math.Cos(math.Pi*x/reach)
			out[i] += in[j] * cut * sinc(cut*x) * window
		}
	}
	return out
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// trim leaves a twentieth of a second of silence at either end.
func trim(in []float64) []float64 {
	const margin, floor = rateHz / 20, 0.01
	first, last := len(in), 0
	for i, x := range in {
		if math.Abs(x) > floor {
			first, last = min(first, i), i
		}
	}
	if first > last {
		log.Fatal("generate: espeak-ng was silent")
	}
	return in[max(0, first-margin):min(len(in), last+margin)]
}

// quantize makes 8 bits of it, as loud as fits: gates stand in noise.
func quantize(in []float64) []byte {
	peak := 0.0
	for _, x := range in {
		peak = math.Max(peak, math.Abs(x))
	}
	out := make([]byte, len(in))
	for i, x := range in {
		out[i] = byte(math.Round(128 + 120*x/peak))
	}
	return out
}

// write lays the header out as the package does (tone.go).
func write(path string, samples []byte) {
	b := append([]byte("RIFF"), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[4:], uint32(36+len(samples)))
	b = append(b, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"...)
	b = binary.LittleEndian.AppendUint32(b, rateHz)
	b = binary.LittleEndian.AppendUint32(b, rateHz)
	b = append(b, "\x01\x00\x08\x00data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(samples)))
	must(os.WriteFile(path, append(b, samples...), 0o644))
}
