package prompt

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"time"
)

// reapPatience is how long to wait for a process that was killed, or for output that a child of its
// still holds open.
const reapPatience = 250 * time.Millisecond

// command is a program with arguments, run without a shell in a process group of its own. When ctx
// ends, the whole group is killed: a player or a relay that a script started must not outlive it.
func command(ctx context.Context, argv []string, stdout, stderr io.Writer) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = reapPatience
	ownGroup(cmd)
	return cmd
}

// run starts it and waits. A child that goes on in the background with our pipe in hand is no fault.
func run(cmd *exec.Cmd) error {
	if err := cmd.Run(); !errors.Is(err, exec.ErrWaitDelay) {
		return err
	}
	return nil
}

// bounded keeps the first bytes of what a process writes and passes over the rest.
type bounded struct {
	kept []byte
	most int
	more bool // something was passed over
}

func (b *bounded) Write(p []byte) (int, error) {
	room := min(len(p), b.most-len(b.kept))
	b.kept = append(b.kept, p[:room]...)
	b.more = b.more || room < len(p)
	return len(p), nil
}
