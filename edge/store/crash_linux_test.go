package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/role/payment/storetest"
)

func addMountTasks(tasks map[string]func(string) error) {
	tasks["full"], tasks["read-only"] = sellOnFullDisk, openOnReadOnlyDisk
}

// mountDisk makes a disk of its own under the books, for this process alone.
func mountDisk(path string) error {
	return unix.Mount("tmpfs", filepath.Dir(path), "tmpfs", 0, "size=4m")
}

func furnish(path string) error {
	db, err := store.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(storetest.Furnish(context.Background(), db.Payment()), db.Close())
}

func sellOnFullDisk(path string) error {
	ballast := path + ".ballast"
	if err := errors.Join(mountDisk(path), os.WriteFile(ballast, make([]byte, 2<<20), 0o600), furnish(path)); err != nil {
		return err
	}
	return sellUntilFull(path, func() error { return os.Remove(ballast) })
}

func openOnReadOnlyDisk(path string) error {
	if err := errors.Join(mountDisk(path), furnish(path)); err != nil {
		return err
	}
	if err := unix.Mount("", filepath.Dir(path), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return err
	}
	db, err := store.Open(path)
	if err == nil {
		return errors.Join(errors.New("it was opened"), db.Close())
	}
	if !strings.Contains(err.Error(), path) {
		return fmt.Errorf("the error does not say which file: %w", err)
	}
	return nil
}

func TestFullDisk(t *testing.T) { runMounting(t, "full") }

func TestReadOnlyDisk(t *testing.T) { runMounting(t, "read-only") }

// runMounting runs a task in a process that may mount, and whose mounts nobody else sees.
func runMounting(t *testing.T, task string) {
	t.Helper()
	mounting := func(seller *exec.Cmd) *exec.Cmd {
		seller.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
		return seller
	}
	if err := mounting(exec.Command("true")).Run(); err != nil {
		t.Skipf("this system lets no process have mounts of its own: %v", err)
	}
	runChild(t, mounting(child(task, filepath.Join(t.TempDir(), "books.sqlite"), 0)))
}
