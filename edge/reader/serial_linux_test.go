package reader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shuama/shuama/edge/scan"
)

// pty is a real terminal pair: the test writes at the scanner's end.
type pty struct {
	scanner *os.File
	path    string // of the other end
}

func newPTY(t *testing.T) *pty {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("this test needs pseudo-terminals (devpts): %v", err)
	}
	t.Cleanup(func() { master.Close() })
	var number uint32
	err = control(master, func(fd int) (err error) {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		number, err = unix.IoctlGetUint32(fd, unix.TIOCGPTN)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return &pty{master, fmt.Sprintf("/dev/pts/%d", number)}
}

func (p *pty) send(t *testing.T, text string) {
	t.Helper()
	if _, err := p.scanner.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// listening is a source that runs; its scans come one by one.
type listening struct {
	t      *testing.T
	scans  chan Scan
	ended  chan error
	cancel context.CancelFunc
}

func listen(t *testing.T, source Source, err error) *listening {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l := &listening{t, make(chan Scan, 100), make(chan error, 1), cancel}
	go func() { l.ended <- source.Run(ctx, func(s Scan) { l.scans <- s }) }()
	t.Cleanup(cancel)
	return l
}

const patience = 10 * time.Second

func (l *listening) next() Scan {
	l.t.Helper()
	select {
	case s := <-l.scans:
		return s
	case err := <-l.ended:
		l.ended <- err
		if len(l.scans) == 0 {
			l.t.Fatalf("ended: %v", err)
		}
		return <-l.scans
	case <-time.After(patience):
		l.t.Fatal("no scan came")
	}
	return Scan{}
}

func (l *listening) want(payload string) {
	l.t.Helper()
	if s := l.next(); string(s.Payload) != payload || s.Err != nil {
		l.t.Fatalf("%q, %v; want %q", s.Payload, s.Err, payload)
	}
}

func (l *listening) wantFault(fault error) {
	l.t.Helper()
	if s := l.next(); s.Payload != nil || !errors.Is(s.Err, fault) {
		l.t.Fatalf("%q, %v; want %v", s.Payload, s.Err, fault)
	}
}

func (l *listening) wantEnd(want error) {
	l.t.Helper()
	select {
	case err := <-l.ended:
		if !errors.Is(err, want) {
			l.t.Fatalf("ended with %v, want %v", err, want)
		}
	case <-time.After(patience):
		l.t.Fatal("did not end")
	}
	if len(l.scans) > 0 {
		l.t.Fatalf("left over: %+v", <-l.scans)
	}
}

// everyByte holds the bytes that a terminal changes or acts upon unless it is raw.
func everyByte() string {
	var b strings.Builder
	for i := range 256 {
		b.WriteByte(byte(i))
	}
	return b.String()
}

func TestSerialLines(t *testing.T) {
	line := newPTY(t)
	source, err := Serial(line.path, 9600, TextLines())
	l := listen(t, source, err)
	line.send(t, "4142\r")
	l.want("AB")
	line.send(t, "\x00\xf8\x03garbage\r4142\r\nQUI=\n")
	var mangled *scan.MangledError
	if s := l.next(); !errors.As(s.Err, &mangled) {
		t.Fatalf("garbage: %+v", s)
	}
	l.want("AB")
	l.want("AB")
	line.send(t, "41")
	line.send(t, "42\r")
	l.want("AB")
	line.send(t, "414") // and nothing more
	l.wantFault(ErrCutShort)
	line.send(t, "0201\r")
	l.want("\x02\x01")
	l.cancel()
	l.wantEnd(nil)
}

func TestSerialFramed(t *testing.T) {
	line := newPTY(t)
	source, err := Serial(line.path, 115200, LengthPrefixed())
	l := listen(t, source, err)
	line.send(t, "\x01\x00"+everyByte())
	l.want(everyByte())
	line.send(t, "\xff\xff"+everyByte()) // out of step
	l.wantFault(scan.ErrFrame)
	time.Sleep(cutShortAfter + 300*time.Millisecond)
	line.send(t, "\x00\x05AB") // the rest is lost
	l.wantFault(ErrCutShort)
	line.send(t, "\x00\x02AB")
	l.want("AB")
	l.cancel()
	l.wantEnd(nil)
}

func TestSerialRaw(t *testing.T) {
	line := newPTY(t)
	source, err := Serial(line.path, 57600, Raw(time.Second, "\r"))
	l := listen(t, source, err)
	line.send(t, everyByte()+"\r")
	l.want(everyByte())
	line.send(t, "]Q2\\000026\x02\\\\\r")
	l.want("\x02\\")
	line.send(t, "\x02\x01")
	l.wantFault(errSuffix)
	line.send(t, strings.Repeat("\xf0", 6000))
	l.wantFault(errNoise)
	line.send(t, "\x02\x01\r")
	l.want("\x02\x01")
	l.cancel()
	l.wantEnd(nil)
}

// What was scanned before the gate was in service belongs to nobody who stands there now.
func TestSerialForgetsWhatWasBefore(t *testing.T) {
	line := newPTY(t)
	line.send(t, "4142\r4142\r")
	source, err := Serial(line.path, 9600, TextLines())
	l := listen(t, source, err)
	line.send(t, "0201\r")
	l.want("\x02\x01")
	l.cancel()
	l.wantEnd(nil)
}

func TestSerialUnplugged(t *testing.T) {
	line := newPTY(t)
	source, err := Serial(line.path, 9600, TextLines())
	l := listen(t, source, err)
	line.send(t, "4142\r41")
	l.want("AB")
	line.scanner.Close()
	l.wantFault(ErrCutShort)
	l.wantEnd(ErrGone)
}

// A scanner that is plugged in again comes back under its by-id name.
func TestSerialReopens(t *testing.T) {
	byID := filepath.Join(t.TempDir(), "scanner")
	first, second := newPTY(t), newPTY(t)
	if err := os.Symlink(first.path, byID); err != nil {
		t.Fatal(err)
	}
	troubles := make(chan error, 100)
	open := func() (Source, error) { return Serial(byID, 19200, TextLines()) }
	l := listen(t, Reopening(open, Backoff{First: 5 * time.Millisecond, Most: 10 * time.Millisecond}, func(err error) { troubles <- err }), nil)
	first.send(t, "4142\r")
	waitOpen(t, l, first)
	if err := os.Remove(byID); err != nil {
		t.Fatal(err)
	}
	first.scanner.Close()
	if err := <-troubles; !errors.Is(err, ErrGone) {
		t.Fatalf("unplugged: %v", err)
	}
	if err := <-troubles; !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("not there: %v", err)
	}
	if err := os.Symlink(second.path, byID); err != nil {
		t.Fatal(err)
	}
	if err := <-troubles; err != nil {
		t.Fatalf("plugged in: %v", err)
	}
	second.send(t, "0201\r")
	l.want("\x02\x01")
	l.cancel()
	l.wantEnd(nil)
}

// waitOpen scans until the gate hears it: opening throws away what came before.
func waitOpen(t *testing.T, l *listening, line *pty) {
	t.Helper()
	for range 1000 {
		select {
		case <-l.scans:
			return
		case <-time.After(10 * time.Millisecond):
			line.send(t, "4142\r")
		}
	}
	t.Fatal("no scan came")
}

func TestSerialEveryBaudRate(t *testing.T) {
	for _, baud := range BaudRates() {
		line := newPTY(t)
		source, err := Serial(line.path, baud, TextLines())
		if err != nil {
			t.Errorf("%d: %v", baud, err)
			continue
		}
		var set *unix.Termios
		err = control(line.scanner, func(fd int) (err error) {
			set, err = unix.IoctlGetTermios(fd, unix.TCGETS)
			return err
		})
		if err != nil || set.Cflag&unix.CBAUD != speeds()[baud] || set.Cflag&unix.CSIZE != unix.CS8 || set.Lflag != 0 || set.Oflag != 0 {
			t.Errorf("%d: %+v, %v", baud, set, err)
		}
		l := listen(t, source, nil)
		l.cancel()
		l.wantEnd(nil)
	}
}

func TestSerialRefusals(t *testing.T) {
	line := newPTY(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := Serial(line.path, 9600, TextLines())
	l := listen(t, source, err)
	for name, c := range map[string]struct {
		path    string
		baud    int
		framing Framing
		want    string
	}{
		"baud rate": {line.path, 9601, TextLines(), "baud rate 9601"},
		"silence":   {line.path, 9600, Raw(0, ""), "silence"},
		"suffix":    {line.path, 9600, Raw(DefaultSilence, strings.Repeat("x", 40)), "suffix"},
		"no file":   {file + "2", 9600, TextLines(), "no such file"},
		"a file":    {file, 9600, TextLines(), "not a serial line"},
		"in use":    {line.path, 9600, TextLines(), "another program"},
	} {
		if _, err := Serial(c.path, c.baud, c.framing); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	line.send(t, "4142\r")
	l.want("AB")
	l.cancel()
	l.wantEnd(nil)
	again, err := Serial(line.path, 9600, TextLines()) // the claim ends with the run
	l = listen(t, again, err)
	l.cancel()
	l.wantEnd(nil)
}
