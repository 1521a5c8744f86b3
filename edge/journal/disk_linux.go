package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData is fdatasync: data and size, without the time stamps.
func syncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// dropCleanPages is advice; a system that does not follow it only costs the second look.
func dropCleanPages(f *os.File) {
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}
