package reader

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Recorded events, as "cat /dev/input/event3 > file" writes them, and then the end of the device.
func TestKeyboardFromRecording(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(path, typed(eventSize, "4142\n+/8a\n02"), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := Keyboard(path)
	l := listen(t, source, err)
	l.want("AB")
	l.want("\xfb\xff\x1a")
	l.wantFault(ErrCutShort)
	l.wantEnd(ErrGone)
}

func TestKeyboardLive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "event3")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	scanner, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	source, err := Keyboard(path)
	l := listen(t, source, err)
	send := func(text string) {
		t.Helper()
		if _, err := scanner.Write(typed(eventSize, text)); err != nil {
			t.Fatal(err)
		}
	}
	send("4142\n")
	l.want("AB")
	send("41") // and nothing more
	l.wantFault(ErrCutShort)
	send("0201\n")
	l.want("\x02\x01")
	scanner.Close()
	l.wantEnd(ErrGone)
}

func TestKeyboardStops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "event3")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	scanner, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer scanner.Close()
	source, err := Keyboard(path)
	l := listen(t, source, err)
	l.cancel()
	l.wantEnd(nil)
}

// The number of the grab is that of the C header, which the terminal's processor may lay out otherwise.
func TestGrabNumber(t *testing.T) {
	if grab != 0x40044590 && grab != 0x80044590 {
		t.Errorf("EVIOCGRAB is %#x", grab)
	}
	if _, err := Keyboard(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no device: %v", err)
	}
}
