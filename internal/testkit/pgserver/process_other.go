//go:build !linux

package pgserver

import (
	"errors"
	"os"
	"os/exec"
)

var errLinux = errors.New("pgserver: Debian's PostgreSQL server runs on Linux alone")

// AsServer cannot be done here.
func AsServer(*exec.Cmd) error { return errLinux }

// Own cannot be done here.
func Own(...string) error { return errLinux }

// Launch cannot be done here.
func Launch(_ *exec.Cmd, log *os.File) (chan struct{}, error) {
	return nil, errors.Join(errLinux, log.Close())
}
