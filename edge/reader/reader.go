// Package reader is 读码器: where a gate's codes come from.
//
// A gate does not care whether a code was read by a scanner on a serial line, by one that plays a
// keyboard, from a pipe, or found in pictures that a camera puts into a folder. Each of these is a
// Source; all of them hand on exact bytes, or say what is wrong with a scan and how to set the
// scanner right. What the bytes mean is not known here.
//
//	Lines, Framed     text lines or length-prefixed bytes from a pipe, a socket, standard input
//	Serial            a scanner on a serial line (Linux)
//	Keyboard          a scanner that types, as an input event device (Linux)
//	Pictures, Folder  picture files, and a folder that a camera or an upload fills
//
//	Reopening         a source that comes back after it was unplugged
//	Debounce          a source that shows the same code again and again
//	Together          several sources at one gate
//
// No error repeats what was scanned: a code is as good as cash while it is valid.
package reader

import (
	"context"
	"errors"
	"sync"
)

// Scan is one reading.
type Scan struct {
	Payload []byte // the exact bytes of the code; the receiver's to keep. nil when Err is set
	Source  string // where it came from, as "/dev/ttyS1"
	Err     error  // this scan was unreadable, with what to do; the source goes on
}

// Source hands on scans. Run calls found from its own goroutine only, one scan after the other, and
// never after it has returned. It returns nil at the end of the input or when ctx is done, and an
// error when the device is gone. It closes what it opened; a source runs once.
type Source interface {
	Run(ctx context.Context, found func(Scan)) error
}

var (
	// ErrGone says that a device was unplugged or its other end has closed. Open it again.
	ErrGone = errors.New("the device is gone")
	// ErrCutShort is the Err of a scan that stopped in the middle of a code.
	ErrCutShort = errors.New("the scanner stopped in the middle of a code: scan again; " +
		"if it happens every time, check the cable, the baud rate and the scanner's suffix (CR or LF)")

	errRunTwice = errors.New("reader: a source runs once")
)

// Together runs several sources as one: found is called by one of them at a time. It ends when all
// of them have ended, and answers with their errors; a source that fails does not stop the others.
func Together(sources ...Source) Source { return together(sources) }

type together []Source

func (t together) Run(ctx context.Context, found func(Scan)) error {
	var mutex sync.Mutex
	one := func(s Scan) {
		mutex.Lock()
		defer mutex.Unlock()
		found(s)
	}
	failed := make([]error, len(t))
	var running sync.WaitGroup
	for i, source := range t {
		running.Go(func() { failed[i] = source.Run(ctx, one) })
	}
	running.Wait()
	return errors.Join(failed...)
}
