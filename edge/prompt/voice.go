package prompt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// VoiceSettings says how prompts are heard. The zero value speaks Chinese through what is installed.
type VoiceSettings struct {
	// Languages are spoken one after the other; empty: Chinese. Tone is one of them.
	Languages []Language
	// Speaker is espeak-ng, which can say a Detail too; empty: where PATH has it, or else none. With
	// Prepared it is not asked for, and the prepared clips are played.
	Speaker  string
	Prepared bool
	// Player is a command that plays the WAV file named behind its arguments; empty: aplay or paplay,
	// where PATH has one.
	Player []string
	// Output is a file or a pipe that gets each WAV file instead of a player. A file is replaced whole;
	// a pipe gets one behind the other.
	Output string
	// Trouble learns why a prompt was not heard, or not as it should be. It may be nil; it must not
	// block.
	Trouble func(error)
}

// Bounds of one prompt in one language.
const (
	maxSpeech   = 15 * time.Second
	maxWAVSize  = 2 << 20
	maxSaidSize = 512 // of what a program says about its failure
)

var errSpeaker = errors.New("espeak-ng gave no WAV file")

// Voice speaks prompts, one at a time, in the background. Close it in the end.
type Voice struct {
	settings VoiceSettings
	clipFile string // what a player plays
	cancel   context.CancelFunc
	wake     chan struct{}
	ended    chan struct{}

	mutex sync.Mutex
	next  *Prompt
	hush  context.CancelFunc // ends what is being said
}

// NewVoice finds the programs. It is an error when there is no way to be heard.
func NewVoice(settings VoiceSettings) (*Voice, error) {
	if err := settings.complete(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "prompt-")
	if err != nil {
		return nil, fmt.Errorf("prompt: voice: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	v := &Voice{settings: settings, clipFile: filepath.Join(dir, "prompt.wav"), cancel: cancel,
		wake: make(chan struct{}, 1), ended: make(chan struct{}), hush: func() {}}
	go v.speakAll(ctx)
	return v, nil
}

func (s *VoiceSettings) complete() error {
	if s.Trouble == nil {
		s.Trouble = func(error) {}
	}
	if len(s.Languages) == 0 {
		s.Languages = []Language{Chinese}
	}
	for _, language := range s.Languages {
		if !slices.Contains([]Language{Chinese, English, Tone}, language) {
			return fmt.Errorf("prompt: voice: language %q: want zh, en or tone", language)
		}
	}
	if err := s.findSpeaker(); err != nil {
		return err
	}
	return s.findPlayer()
}

func (s *VoiceSettings) findSpeaker() (err error) {
	switch {
	case s.Prepared:
		s.Speaker = ""
	case s.Speaker == "":
		s.Speaker, _ = exec.LookPath("espeak-ng")
	default:
		if s.Speaker, err = exec.LookPath(s.Speaker); err != nil {
			return fmt.Errorf("prompt: voice: speaker: %w", err)
		}
	}
	return nil
}

func (s *VoiceSettings) findPlayer() error {
	if s.Output != "" {
		return nil
	}
	candidates := [][]string{{"aplay", "-q"}, {"paplay"}}
	if len(s.Player) > 0 {
		candidates = [][]string{s.Player}
	}
	for _, player := range candidates {
		if path, err := exec.LookPath(player[0]); err == nil {
			s.Player = append([]string{path}, player[1:]...)
			return nil
		}
	}
	return fmt.Errorf("prompt: voice: no player (%s): install alsa-utils, or name an output",
		strings.Join([]string{candidates[0][0], candidates[len(candidates)-1][0]}, ", "))
}

// Say speaks a prompt and returns at once. What is being said is cut off: the newest rider is the one
// who waits.
func (v *Voice) Say(p Prompt) {
	v.mutex.Lock()
	v.next = &p
	v.hush()
	v.mutex.Unlock()
	select {
	case v.wake <- struct{}{}:
	default: // it will wake anyway, and find this prompt
	}
}

// Close cuts off what is being said, and ends the voice. A voice that was closed says nothing.
func (v *Voice) Close() error {
	v.cancel()
	<-v.ended
	return os.RemoveAll(filepath.Dir(v.clipFile))
}

func (v *Voice) speakAll(ctx context.Context) {
	defer close(v.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-v.wake:
		}
		if p, speaking := v.take(ctx); p != nil {
			v.speak(speaking, *p)
		}
	}
}

func (v *Voice) take(ctx context.Context) (*Prompt, context.Context) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	p := v.next
	v.next = nil
	v.hush() // frees the context of the last one
	ctx, v.hush = context.WithCancel(ctx)
	return p, ctx
}

func (v *Voice) speak(hushed context.Context, p Prompt) {
	for _, language := range v.settings.Languages {
		ctx, cancel := context.WithTimeout(hushed, maxSpeech)
		err := v.hear(ctx, v.settings.wav(ctx, p, language))
		cancel()
		if hushed.Err() != nil {
			return // cut off: no trouble
		}
		if err != nil {
			v.settings.Trouble(fmt.Errorf("prompt: voice: %w", err))
		}
	}
}

// wav is what the speaker makes of a prompt. Where it fails, the prepared clip is better than silence.
func (s *VoiceSettings) wav(ctx context.Context, p Prompt, language Language) []byte {
	if s.Speaker == "" || language == Tone {
		return p.WAV(language)
	}
	file, err := synthesize(ctx, s.Speaker, p.In(language).Spoken(), language)
	if err == nil {
		return file
	}
	if ctx.Err() == nil {
		s.Trouble(fmt.Errorf("prompt: voice: the prepared clip is played instead: %w", err))
	}
	return p.WAV(language)
}

func synthesize(ctx context.Context, speaker, text string, language Language) ([]byte, error) {
	file, said := bounded{most: maxWAVSize}, bounded{most: maxSaidSize}
	err := run(command(ctx, []string{speaker, "-v", SpeakerVoice(language), "--stdout", "--", text}, &file, &said))
	if err != nil {
		return nil, withOutput(err, said)
	}
	if file.more || !repairSizes(file.kept) {
		return nil, withOutput(errSpeaker, said)
	}
	return file.kept, nil
}

// repairSizes writes the true sizes into the header: espeak-ng cannot know them when it writes to a
// pipe, and puts two gigabytes.
func repairSizes(file []byte) bool {
	if len(file) <= wavHeaderSize || !bytes.HasPrefix(file, []byte("RIFF")) || string(file[36:40]) != "data" {
		return false
	}
	binary.LittleEndian.PutUint32(file[4:], uint32(len(file)-8))
	binary.LittleEndian.PutUint32(file[40:], uint32(len(file)-wavHeaderSize))
	return true
}

func withOutput(err error, said bounded) error {
	if text := strings.TrimSpace(string(said.kept)); text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// hear plays a WAV file, or writes it where it is wanted.
func (v *Voice) hear(ctx context.Context, wav []byte) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case v.settings.Output != "":
		return write(ctx, v.settings.Output, wav)
	}
	if err := os.WriteFile(v.clipFile, wav, 0o600); err != nil {
		return err
	}
	said := bounded{most: maxSaidSize}
	if err := run(command(ctx, slices.Concat(v.settings.Player, []string{v.clipFile}), nil, &said)); err != nil {
		return withOutput(fmt.Errorf("%s: %w", v.settings.Player[0], err), said)
	}
	return nil
}

func write(ctx context.Context, path string, wav []byte) error {
	if info, err := os.Stat(path); err == nil && isPipe(info.Mode()) {
		return writePipe(ctx, path, wav)
	}
	// Whoever looks at the file sees a whole one.
	temp, err := os.CreateTemp(filepath.Dir(path), ".prompt-")
	if err != nil {
		return err
	}
	_, err = temp.Write(wav)
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		os.Remove(temp.Name())
	}
	return err
}

func writePipe(ctx context.Context, path string, wav []byte) error {
	pipe, letGo, err := openPipe(ctx, path)
	if err != nil {
		return err
	}
	_, err = pipe.Write(wav)
	letGo()
	return errors.Join(err, pipe.Close())
}
