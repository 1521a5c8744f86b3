//go:build !linux

package postgres

import (
	"os"
	"os/exec"
	"testing"
)

func asServer(t testing.TB, _ *exec.Cmd) {
	t.Helper()
	t.Fatal("these tests start Debian's PostgreSQL server: they need Linux, and apt-get install postgresql")
}

func own(testing.TB, ...string) {}

func keep(_ *exec.Cmd, _ chan<- error, _ chan<- struct{}, log *os.File) { _ = log.Close() }
