package pgserver

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
)

// serverUser is who the server runs as: it refuses to run as root.
func serverUser() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// AsServer lets a command run as the server's user.
func AsServer(command *exec.Cmd) error {
	credential, err := serverUser()
	command.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	return err
}

// Own gives files to the server's user.
func Own(paths ...string) error {
	credential, err := serverUser()
	if credential == nil {
		return err
	}
	for _, path := range paths {
		if err := os.Chown(path, int(credential.Uid), int(credential.Gid)); err != nil {
			return err
		}
	}
	return nil
}

// Launch starts a command as the server's user, from a thread of its own, at whose end the kernel ends it
// too. exited is closed when it has ended; log is closed then.
func Launch(command *exec.Cmd, log *os.File) (exited chan struct{}, err error) {
	if err := AsServer(command); err != nil {
		return nil, err
	}
	exited = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer log.Close()
		command.SysProcAttr.Pdeathsig = syscall.SIGINT
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait()
			close(exited)
		}
	}()
	return exited, <-started
}
