package prompt_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shuama/shuama/edge/prompt"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// checkWAV wants 8 bits, mono, 8 kHz, of a length that a rider listens to, and loud; it returns the samples.
func checkWAV(t *testing.T, name string, file []byte, minMillis, maxMillis int) []byte {
	t.Helper()
	header := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x00\x00\x00\x00")
	if len(file) <= len(header) {
		t.Fatalf("%s: %d bytes", name, len(file))
	}
	samples := file[len(header):]
	binary.LittleEndian.PutUint32(header[4:], uint32(len(file)-8))
	binary.LittleEndian.PutUint32(header[40:], uint32(len(samples)))
	if !bytes.Equal(file[:len(header)], header) {
		t.Errorf("%s: header %q", name, file[:len(header)])
	}
	if millis := len(samples) / 8; millis < minMillis || millis > maxMillis {
		t.Errorf("%s: %d ms", name, millis)
	}
	loudest := 0
	for _, sample := range samples {
		loudest = max(loudest, int(sample)-128, 128-int(sample))
	}
	if loudest < 90 || loudest > 127 {
		t.Errorf("%s: loudness %d of 127", name, loudest)
	}
	return samples
}

func TestEveryVerdictCanBeHeard(t *testing.T) {
	prompts := []prompt.Prompt{prompt.Unreadable(), prompt.Of(ridecode.Success, record.Entry), prompt.Of(ridecode.Success, record.Exit)}
	for _, v := range everyVerdict() {
		prompts = append(prompts, prompt.Of(v, record.Single))
		if !bytes.Equal(prompt.WAV(v, prompt.Chinese), prompts[len(prompts)-1].WAV(prompt.Chinese)) {
			t.Errorf("%v: two voices", v)
		}
	}
	for _, p := range prompts {
		checkWAV(t, p.Chinese.Voice, p.WAV(prompt.Chinese), 800, 4000)
		checkWAV(t, p.English.Voice, p.WAV(prompt.English), 800, 4000)
		checkWAV(t, p.Sound.String(), p.WAV(prompt.Tone), 100, 1000)
		if p.WAV("fr") != nil {
			t.Error("speaks French")
		}
	}
}

func TestSoundsDiffer(t *testing.T) {
	heard := map[string]prompt.Sound{}
	for _, s := range []prompt.Sound{prompt.Broken, prompt.Accepted, prompt.Again, prompt.Refused} {
		if other, twice := heard[string(s.WAV())]; twice {
			t.Errorf("%v sounds as %v", s, other)
		}
		heard[string(s.WAV())] = s
	}
}

// The clips say what the table says, or "go generate" was forgotten.
func TestClipsAreOfTheseTexts(t *testing.T) {
	said, err := os.ReadFile("voice/TEXTS")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	files := map[string]bool{}
	for _, clip := range prompt.Clips() {
		want.WriteString(filepath.Base(clip.Path) + "\t" + clip.Text + "\n")
		files[clip.Path] = true
	}
	if string(said) != want.String() {
		t.Errorf("voice/TEXTS is not what the table says: run go generate in edge/prompt")
	}
	present, err := filepath.Glob("voice/*.wav")
	if err != nil || len(present) != len(files) {
		t.Errorf("%d clips for %d texts: run go generate in edge/prompt", len(present), len(files))
	}
	for _, path := range present {
		if !files[path] {
			t.Errorf("%s says nothing that is said", path)
		}
	}
}

func needProgram(t *testing.T, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("this test needs %s: install the package %s", name, debianPackage)
	}
	return path
}

// espeak-ng reads every Chinese text in Chinese. Where it does not know a character, it switches to
// English and marks that with "(en)".
func TestSpeakerReadsChinese(t *testing.T) {
	speaker := needProgram(t, "espeak-ng", "espeak-ng")
	texts := []string{"乘车码的授权已过期3小时,请打开手机网络,刷新乘车码后再刷。", "乘车码已过期35秒,请刷新后再刷。如果还不行,请看手机时间对不对。",
		"手机时间比闸机快5分钟,请打开自动时间后再刷。", "车费12.50元,超过此码的限额3.00元,请用别的方式付款。", "刷码太快,请等5秒后再刷。", "已过期2天"}
	for _, clip := range prompt.Clips() {
		if clip.Language == prompt.Chinese {
			texts = append(texts, clip.Text)
		}
	}
	for _, text := range texts {
		phonemes, err := exec.Command(speaker, "-v", prompt.SpeakerVoice(prompt.Chinese), "-q", "-x", "--", text).Output()
		if err != nil || len(phonemes) < len(text)/3 || bytes.Contains(phonemes, []byte("(en)")) {
			t.Errorf("%s: %s, %v", text, phonemes, err)
		}
	}
}
