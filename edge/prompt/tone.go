package prompt

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Sound is what a gate beeps.
type Sound int

// The sounds. They can be told apart without looking, and in a crowd of gates.
const (
	Broken   Sound = iota // three low ones: this gate
	Accepted              // one high one
	Again                 // two
	Refused               // one long low one
)

func (s Sound) String() string {
	switch s {
	case Broken:
		return "broken"
	case Accepted:
		return "accepted"
	case Again:
		return "again"
	case Refused:
		return "refused"
	}
	return fmt.Sprintf("Sound(%d)", int(s))
}

// sampleRateHz is that of all clips.
const sampleRateHz = 8000

// beep is one beep, and the pause behind it.
type beep struct{ pitchHz, millis, pauseMillis int }

func (s Sound) beeps() []beep {
	switch s {
	case Accepted:
		return []beep{{1760, 150, 50}}
	case Again:
		return []beep{{880, 120, 80}, {880, 120, 50}}
	case Refused:
		return []beep{{330, 600, 50}}
	}
	return []beep{{330, 150, 100}, {330, 150, 100}, {330, 150, 50}}
}

// WAV is the sound as a WAV file: 8 bits, mono, 8 kHz.
func (s Sound) WAV() []byte {
	var samples []byte
	for _, b := range s.beeps() {
		samples = b.append(samples)
	}
	return wavFile(samples)
}

func (b beep) append(samples []byte) []byte {
	count := b.millis * sampleRateHz / 1000
	for i := range count {
		// Five milliseconds of rise and fall keep loudspeakers from clicking.
		loudness := math.Min(1, float64(min(i, count-1-i))/(5*sampleRateHz/1000))
		wave := math.Sin(2 * math.Pi * float64(b.pitchHz*i) / sampleRateHz)
		samples = append(samples, byte(128+100*loudness*wave))
	}
	for range b.pauseMillis * sampleRateHz / 1000 {
		samples = append(samples, 128)
	}
	return samples
}

// wavHeaderSize is that of the one header that this package writes:
//
//	"RIFF", uint32 bytes that follow, "WAVE", "fmt ", uint32 16, uint16 1 (PCM), uint16 1 channel,
//	uint32 samples a second, uint32 bytes a second, uint16 bytes a sample, uint16 bits a sample,
//	"data", uint32 bytes that follow; all little-endian
const wavHeaderSize = 44

func wavFile(samples []byte) []byte {
	b := append(make([]byte, 0, wavHeaderSize+len(samples)), "RIFF"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(wavHeaderSize-8+len(samples)))
	b = append(b, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"...)
	b = binary.LittleEndian.AppendUint32(b, sampleRateHz)
	b = binary.LittleEndian.AppendUint32(b, sampleRateHz)
	b = append(b, "\x01\x00\x08\x00data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(samples)))
	return append(b, samples...)
}
