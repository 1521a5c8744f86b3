package reader

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// grab is EVIOCGRAB of linux/input.h: _IOW('E', 0x90, int). What _IOW makes of direction and size differs
// between processors; TUNSETIFF is an _IOW of an int as well.
const grab = unix.TUNSETIFF&^0xffff | 'E'<<8 | 0x90

// Keyboard opens a scanner that types, by its event device: /dev/input/by-id/... names one for good,
// where /dev/input/event3 may be another one after a restart. The scanner is to be set to the US
// layout, Enter behind the code, and hex (or base64) output; no layout can type raw bytes.
//
// The device is grabbed, so that codes are typed nowhere else: a code is as good as cash, and a
// console that reads along may run it as a command. It is an error when another program has grabbed
// it. A line in which nothing is typed for half a second is given up: this is for scanners, not for
// people. Run ends with ErrGone when the scanner is unplugged; see Reopening.
func Keyboard(path string) (Source, error) {
	device, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("reader: input device: %w", err)
	}
	err = control(device, func(fd int) error { return unix.IoctlSetInt(fd, grab, 1) })
	// A pipe or a file with recorded events knows nothing of grabbing.
	if err != nil && !errors.Is(err, unix.ENOTTY) {
		device.Close()
		return nil, fmt.Errorf("reader: input device %s: another program has it: %w", path, err)
	}
	return &stream{name: path, in: device, device: device, cut: newKeyLines(eventSize), silence: cutShortAfter}, nil
}
