package reader

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// speeds are the baud rates that a serial line can be set to.
func speeds() map[int]uint32 {
	return map[int]uint32{
		1200: unix.B1200, 2400: unix.B2400, 4800: unix.B4800, 9600: unix.B9600, 19200: unix.B19200, 38400: unix.B38400,
		57600: unix.B57600, 115200: unix.B115200, 230400: unix.B230400, 460800: unix.B460800, 921600: unix.B921600,
	}
}

// Serial opens a scanner on a serial line, raw with 8 data bits, no parity and one stop bit, for this
// process alone; what the line held before is thrown away. baud is one of 1200, 2400, 4800, 9600,
// 19200, 38400, 57600, 115200, 230400, 460800 and 921600.
//
// An unreadable scan never ends it: after half a second of silence it is in step again. Run ends with
// ErrGone when the scanner is unplugged; see Reopening.
func Serial(path string, baud int, framing Framing) (Source, error) {
	speed, known := speeds()[baud]
	if !known {
		return nil, fmt.Errorf("reader: baud rate %d: want a standard one, such as 9600 or 115200", baud)
	}
	if err := framing.check(); err != nil {
		return nil, err
	}
	// O_NONBLOCK: open does not wait for a carrier, and a read can be given up.
	line, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("reader: serial line: %w", err)
	}
	if err := control(line, func(fd int) error { return setRaw(fd, speed) }); err != nil {
		line.Close()
		return nil, fmt.Errorf("reader: serial line %s: %w", path, err)
	}
	cut, silence := framing.cutter()
	return &stream{name: path, in: line, device: line, cut: cut, silence: silence}, nil
}

// control runs do on the file's descriptor. The way over Fd would make reads block for good.
func control(file *os.File, do func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// setRaw claims the line first: with two readers on one scanner, each would get some of its bytes.
func setRaw(fd int, speed uint32) error {
	want, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("not a serial line: %w", err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another program reads this scanner: %w", err)
	}
	*want = unix.Termios{Line: want.Line, Iflag: unix.IGNBRK, Cflag: speed | unix.CS8 | unix.CREAD | unix.CLOCAL, Ispeed: speed, Ospeed: speed}
	want.Cc[unix.VMIN] = 1
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, want); err != nil {
		return err
	}
	return checkRaw(fd, want)
}

// checkRaw reads the settings back: a driver that cannot do all of them does some and reports success.
func checkRaw(fd int, want *unix.Termios) error {
	const asked = unix.CBAUD | unix.CSIZE | unix.PARENB | unix.CSTOPB
	got, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	if got.Cflag&asked != want.Cflag&asked || got.Iflag != want.Iflag || got.Lflag != want.Lflag {
		return errors.New("its driver does not do this baud rate with 8 data bits, no parity and one stop bit")
	}
	return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH)
}

// BaudRates lists what Serial can be set to.
func BaudRates() []int {
	var rates []int
	for rate := range speeds() {
		rates = append(rates, rate)
	}
	slices.Sort(rates)
	return rates
}
