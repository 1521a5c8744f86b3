//go:build unix

package store_test

import (
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shuama/shuama/edge/store"
)

// limitSize is the size that no file may exceed in TestFileTooLarge, in bytes: room for some hundred sales.
const limitSize = 1 << 20

// addTasks adds what a child does under a limit of the system.
func addTasks(tasks map[string]func(string) error) {
	tasks["limited"] = sellLimited
	addMountTasks(tasks)
}

// sellLimited lets the system refuse to let the log grow.
func sellLimited(path string) error {
	signal.Ignore(unix.SIGXFSZ) // so that the write fails, and not the process
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	wide := limit
	limit.Cur = limitSize
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	return sellUntilFull(path, func() error { return unix.Setrlimit(unix.RLIMIT_FSIZE, &wide) })
}

func TestFileTooLarge(t *testing.T) { runChild(t, child("limited", furnished(t), 0)) }

// Where its files may not be written, the books are not opened. Root may write everywhere: see
// TestReadOnlyDisk.
func TestReadOnlyFile(t *testing.T) {
	if syscall.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	path := furnished(t)
	for _, name := range []string{path, filepath.Dir(path)} {
		if err := syscall.Chmod(name, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	defer syscall.Chmod(filepath.Dir(path), 0o700)
	if db, err := store.Open(path); err == nil {
		closeAll(t, db)
		t.Error("it was opened")
	}
}
