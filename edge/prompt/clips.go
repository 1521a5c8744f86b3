package prompt

import (
	"embed"
	"maps"
	"slices"

	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

//go:generate go run generate.go

// clips are the prepared voices, see voice/README.md.
//
//go:embed voice
var clips embed.FS

// WAV is what a gate says to a verdict, as a WAV file of 8 bits, mono, 8 kHz; nil in a language that
// has none. For gates at an entry or an exit, see Prompt.WAV.
func WAV(verdict ridecode.Verdict, language Language) []byte {
	return Of(verdict, record.Single).WAV(language)
}

// WAV is the prepared clip of the prompt: its Voice, or its Sound for Tone. It knows nothing of Detail.
func (p Prompt) WAV(language Language) []byte {
	if language == Tone {
		return p.Sound.WAV()
	}
	file, err := clips.ReadFile(clipPath(p.clip, language))
	if err != nil {
		return nil
	}
	return file
}

func clipPath(clip string, language Language) string {
	return "voice/" + clip + "." + string(language) + ".wav"
}

// Clip is a prepared voice, as the generator makes it.
type Clip struct {
	Path     string // of the WAV file, in this package's folder
	Language Language
	Text     string
}

// Clips lists what every prepared voice says, in the order of their paths.
func Clips() []Clip {
	texts := map[string]Clip{}
	for _, row := range table() {
		for language, text := range map[Language]string{Chinese: row.voiceZH, English: row.voiceEN} {
			path := clipPath(row.clip, language)
			texts[path] = Clip{path, language, text}
		}
	}
	var list []Clip
	for _, path := range slices.Sorted(maps.Keys(texts)) {
		list = append(list, texts[path])
	}
	return list
}

// SpeakerVoice is the voice of espeak-ng for a language. Its voice "cmn" reads Chinese characters as
// English spelling in the versions that Debian has; the one named after pinyin reads them rightly.
func SpeakerVoice(language Language) string {
	if language == Chinese {
		return "cmn-latn-pinyin"
	}
	return "en-gb"
}
