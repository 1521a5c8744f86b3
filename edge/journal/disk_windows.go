package journal

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// lock takes one byte far behind the data: locks of this system are in the way of readers.
func lock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	place := &windows.Overlapped{Offset: math.MaxUint32, OffsetHigh: math.MaxInt32}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, place)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	return os.NewSyscallError("LockFileEx", err)
}

// syncFolder does nothing: this system has no sync of a folder, its file systems log names.
func syncFolder(string) error { return nil }
