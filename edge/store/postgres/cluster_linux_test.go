package postgres

import (
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// serverUser is who the server runs as: it refuses to run as root.
func serverUser(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("%v: apt-get install postgresql", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func asServer(t testing.TB, command *exec.Cmd) {
	t.Helper()
	command.SysProcAttr = &syscall.SysProcAttr{Credential: serverUser(t)}
}

func own(t testing.TB, paths ...string) {
	t.Helper()
	credential := serverUser(t)
	if credential == nil {
		return
	}
	for _, path := range paths {
		if err := os.Chown(path, int(credential.Uid), int(credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// keep runs the server from a thread of its own, at whose end the kernel ends the server too.
func keep(command *exec.Cmd, started chan<- error, exited chan<- struct{}, log *os.File) {
	runtime.LockOSThread()
	defer log.Close()
	command.SysProcAttr.Pdeathsig = syscall.SIGINT
	err := command.Start()
	started <- err
	if err == nil {
		_ = command.Wait()
		close(exited)
	}
}
