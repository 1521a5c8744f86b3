//go:build !unix

package prompt

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
)

// ownGroup leaves cmd as it is: there are no process groups here, and ctx kills the process alone.
func ownGroup(*exec.Cmd) {}

func openPipe(context.Context, string) (*os.File, func() bool, error) {
	return nil, nil, errors.ErrUnsupported
}

func isPipe(fs.FileMode) bool { return false }
