//go:build unix

package prompt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ownGroup makes cmd lead a process group, and ctx kill all of it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return nil
	}
}

// openPipe opens a pipe or a device to write to. It does not wait for a reader: without one, nobody
// hears the prompt, and the next one must not stand behind it.
func openPipe(ctx context.Context, path string) (file *os.File, letGo func() bool, err error) {
	file, err = os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) {
		return nil, nil, fmt.Errorf("prompt: nobody reads %s", path)
	} else if err != nil {
		return nil, nil, err
	}
	letGo = context.AfterFunc(ctx, func() { _ = file.SetWriteDeadline(time.Unix(1, 0)) })
	return file, letGo, nil
}

func isPipe(mode fs.FileMode) bool { return !mode.IsRegular() && !mode.IsDir() }
