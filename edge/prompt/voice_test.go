//go:build unix

package prompt_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/prompt"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

const patience = 10 * time.Second

// troubles are those of a voice.
type troubles chan error

func newVoice(t *testing.T, settings prompt.VoiceSettings) (*prompt.Voice, troubles) {
	t.Helper()
	heard := make(troubles, 100)
	settings.Trouble = func(err error) { heard <- err }
	voice, err := prompt.NewVoice(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := voice.Close(); err != nil {
			t.Error(err)
		}
	})
	return voice, heard
}

func (h troubles) next(t *testing.T) error {
	t.Helper()
	select {
	case err := <-h:
		return err
	case <-time.After(patience):
		t.Fatal("no trouble was told")
	}
	return nil
}

func (h troubles) none(t *testing.T) {
	t.Helper()
	select {
	case err := <-h:
		t.Error(err)
	default:
	}
}

// eventually looks until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func content(path string) string {
	file, _ := os.ReadFile(path)
	return string(file)
}

var (
	success   = prompt.Of(ridecode.Success, record.Single)
	duplicate = prompt.Of(ridecode.QRCodeDuplicated, record.Single)
)

func TestPreparedToFile(t *testing.T) {
	output := filepath.Join(t.TempDir(), "said.wav")
	voice, heard := newVoice(t, prompt.VoiceSettings{Languages: []prompt.Language{prompt.English}, Prepared: true, Output: output})
	for _, p := range []prompt.Prompt{success, duplicate} {
		voice.Say(p)
		eventually(t, "the file", func() bool { return content(output) == string(p.WAV(prompt.English)) })
	}
	heard.none(t)
	if left, err := os.ReadDir(filepath.Dir(output)); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPreparedToPipe(t *testing.T) {
	output := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(output, 0o600); err != nil {
		t.Fatal(err)
	}
	voice, heard := newVoice(t, prompt.VoiceSettings{Prepared: true, Output: output,
		Languages: []prompt.Language{prompt.Tone, prompt.Chinese, prompt.English}})
	voice.Say(success)
	for range 3 {
		if err := heard.next(t); !strings.Contains(err.Error(), "nobody reads") {
			t.Errorf("without a reader: %v", err)
		}
	}
	pipe, err := os.OpenFile(output, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	voice.Say(duplicate)
	want := bytes.Join([][]byte{duplicate.WAV(prompt.Tone), duplicate.WAV(prompt.Chinese), duplicate.WAV(prompt.English)}, nil)
	got := make([]byte, len(want))
	if err := pipe.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(pipe, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("through the pipe: %v", err)
	}
	heard.none(t)
}

// A reader that has stopped reading holds up neither the gate nor the next prompt nor Close.
func TestPipeThatIsFull(t *testing.T) {
	output := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(output, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(output, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	voice, _ := newVoice(t, prompt.VoiceSettings{Prepared: true, Output: output})
	began := time.Now()
	for range 50 {
		voice.Say(success)
		time.Sleep(time.Millisecond)
	}
	if err := voice.Close(); err != nil || time.Since(began) > patience {
		t.Errorf("closed after %v: %v", time.Since(began), err)
	}
}

// The real speaker says details in both languages, into a WAV file whose header tells the truth.
func TestSpeakerToFile(t *testing.T) {
	speaker := needProgram(t, "espeak-ng", "espeak-ng")
	for _, language := range []prompt.Language{prompt.Chinese, prompt.English} {
		output := filepath.Join(t.TempDir(), "said.wav")
		voice, heard := newVoice(t, prompt.VoiceSettings{Languages: []prompt.Language{language}, Speaker: speaker, Output: output})
		s := newStation(t)
		sizes := map[int]bool{}
		for _, ago := range []int{61, 61 + 86400*3} {
			p := s.tap(s.show(t, 3, ago, now.Add(time.Hour)), 200)
			os.Remove(output)
			voice.Say(p)
			eventually(t, "the file", func() bool { return content(output) != "" })
			file := []byte(content(output))
			if !bytes.HasPrefix(file, []byte("RIFF")) || len(file) < 30_000 ||
				binary.LittleEndian.Uint32(file[4:]) != uint32(len(file)-8) || binary.LittleEndian.Uint32(file[40:]) != uint32(len(file)-44) {
				t.Errorf("%s: %d bytes, header %q", language, len(file), file[:44])
			}
			sizes[len(file)] = true
		}
		if len(sizes) != 2 {
			t.Errorf("%s: a second and three days sound the same", language)
		}
		heard.none(t)
	}
}

// aplay takes the clips, and plays every sample of them; ALSA's own file device stands for a sound card.
func TestPreparedThroughAplay(t *testing.T) {
	aplay := needProgram(t, "aplay", "alsa-utils")
	raw := filepath.Join(t.TempDir(), "played.raw")
	voice, heard := newVoice(t, prompt.VoiceSettings{Prepared: true, Player: []string{aplay, "-q", "-D", "tee:null,'" + raw + "',raw"}})
	voice.Say(duplicate)
	want := string(duplicate.WAV(prompt.Chinese)[44:])
	eventually(t, "the sound", func() bool { return len(content(raw)) >= len(want) })
	// The device takes whole periods: silence may follow.
	if got := content(raw); !strings.HasPrefix(got, want) {
		t.Errorf("%d samples played, %d wanted", len(got), len(want))
	}
	if err := voice.Close(); err != nil {
		t.Error(err)
	}
	heard.none(t)
}

func TestBrokenSpeakerIsReplacedByClips(t *testing.T) {
	const header = "printf 'RIFF....WAVEfmt ....................data....'; "
	for name, text := range map[string]string{
		"fails":           "echo no such voice >&2; exit 1",
		"is silent":       "exit 0",
		"header alone":    header,
		"writes garbage":  "yes | head -c 100000",
		"writes too much": header + "yes | head -c 3000000",
	} {
		output := filepath.Join(t.TempDir(), "said.wav")
		voice, heard := newVoice(t, prompt.VoiceSettings{Speaker: script(t, text), Output: output})
		voice.Say(success)
		eventually(t, name, func() bool { return content(output) == string(success.WAV(prompt.Chinese)) })
		if err := heard.next(t); !strings.Contains(err.Error(), "prepared clip") || name == "fails" && !strings.Contains(err.Error(), "no such voice") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCloseEndsTheSpeaker(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	voice, heard := newVoice(t, prompt.VoiceSettings{Speaker: script(t, fmt.Sprintf("echo $$ > %q; exec yes", pid)), Output: pid + ".wav"})
	voice.Say(success)
	eventually(t, "the speaker", func() bool { return strings.HasSuffix(content(pid), "\n") })
	if err := voice.Close(); err != nil || alive(strings.TrimSpace(content(pid))) {
		t.Errorf("the speaker is still there: %v", err)
	}
	heard.none(t)
}

func TestBrokenPlayerIsTold(t *testing.T) {
	voice, heard := newVoice(t, prompt.VoiceSettings{Prepared: true, Player: []string{script(t, "echo no sound card >&2; exit 3")}})
	voice.Say(success)
	if err := heard.next(t); !strings.Contains(err.Error(), "no sound card") || !strings.Contains(err.Error(), "exit status 3") {
		t.Error(err)
	}
}

// The newest prompt wins: the player of the one before, and what it has started, are dead before the
// next begins; Say never waits.
func TestNewestWins(t *testing.T) {
	dir := t.TempDir()
	// The player notes itself and a child, whether another one is at work, and plays for a minute.
	player := script(t, fmt.Sprintf(`cd %q
for pid in $(cat pids 2>/dev/null); do kill -0 $pid 2>/dev/null && grep -q '[RSD] (' /proc/$pid/status && echo $pid >> overlaps; done
sleep 60 &
echo $$ >> pids; echo $! >> pids
cp "$1" "said.$$"
wait
`, dir))
	voice, heard := newVoice(t, prompt.VoiceSettings{Prepared: true, Player: []string{player}})
	pids := func() []string { return strings.Fields(content(filepath.Join(dir, "pids"))) }
	for i, p := range []prompt.Prompt{success, duplicate, success} {
		began := time.Now()
		voice.Say(prompt.Of(ridecode.SystemError, record.Single)) // never heard, or not for long
		voice.Say(p)
		if took := time.Since(began); took > patience { // a player takes a minute
			t.Errorf("Say took %v", took)
		}
		want := string(p.WAV(prompt.Chinese))
		eventually(t, "prompt "+strconv.Itoa(i), func() bool {
			all := pids()
			return len(all) >= 2 && len(all)%2 == 0 && content(filepath.Join(dir, "said."+all[len(all)-2])) == want
		})
	}
	if err := voice.Close(); err != nil {
		t.Error(err)
	}
	for _, pid := range pids() {
		eventually(t, "the end of "+pid, func() bool { return !alive(pid) })
	}
	if overlaps := content(filepath.Join(dir, "overlaps")); overlaps != "" {
		t.Errorf("two players at a time: %s", overlaps)
	}
	heard.none(t)
}

// alive tells of a process that is neither gone nor a zombie that nobody has waited for.
func alive(pid string) bool {
	status := content("/proc/" + pid + "/stat")
	_, state, found := strings.Cut(status, ") ")
	return found && !strings.HasPrefix(state, "Z")
}

func TestClosedVoiceIsSilent(t *testing.T) {
	output := filepath.Join(t.TempDir(), "said.wav")
	voice, _ := newVoice(t, prompt.VoiceSettings{Prepared: true, Output: output})
	if err := voice.Close(); err != nil {
		t.Fatal(err)
	}
	voice.Say(success)
	voice.Say(duplicate)
	if content(output) != "" {
		t.Error("spoke")
	}
}

func TestVoiceRefusals(t *testing.T) {
	for name, settings := range map[string]prompt.VoiceSettings{
		"language": {Languages: []prompt.Language{"fr"}, Output: "x"},
		"speaker":  {Speaker: "/no/such/espeak", Output: "x"},
		"player":   {Player: []string{"/no/such/aplay"}},
	} {
		if _, err := prompt.NewVoice(settings); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
