package conformance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

const (
	// answerTimeout bounds one answer.
	answerTimeout = 10 * time.Second
	// maxAnswerSize bounds its line, in bytes.
	maxAnswerSize = 64 << 10
	// StateVariable names a folder that a command may keep its state in. It is empty at a start, and what
	// is in it stays over a restart.
	StateVariable = "SHUAMA_CONFORMANCE_STATE"
)

// Command is a verifier that is a program: a Question a line on its standard input, an Answer a line on
// its standard output. Every start and every restart is a new process.
type Command struct {
	Args  []string
	write func(Question) ([]byte, error) // nil: as JSON
	env   func(stateDir string) []string // what the program's environment has besides; nil: nothing
}

// Shell is a command as the shell takes it; it takes the place of the shell, so that ending it ends it.
func Shell(command string) *Command { return &Command{Args: []string{"sh", "-c", "exec " + command}} }

// Begin makes the state folder. The program starts with the first question.
func (c *Command) Begin(context.Context) (Session, error) {
	dir, err := os.MkdirTemp("", "shuama-conformance")
	if err != nil {
		return nil, err
	}
	return &commandSession{command: c, dir: dir}, nil
}

type commandSession struct {
	command *Command
	dir     string
	process *exec.Cmd
	stdin   io.WriteCloser
	stdout  *bufio.Reader
	stderr  *lastBytes
	cancel  context.CancelFunc
}

// Ask writes a line and waits for one.
func (s *commandSession) Ask(ctx context.Context, q Question) (Answer, error) {
	if q.Before == Start || q.Before == Restart {
		s.stop()
		if err := s.start(ctx); err != nil {
			return Answer{}, err
		}
	}
	if s.process == nil {
		return Answer{}, errors.New("the program is gone")
	}
	write := s.command.write
	if write == nil {
		write = func(q Question) ([]byte, error) { return json.Marshal(q) }
	}
	line, err := write(q)
	if err != nil {
		return Answer{}, err
	}
	return s.exchange(append(line, '\n'))
}

func (s *commandSession) exchange(line []byte) (Answer, error) {
	timer := time.AfterFunc(answerTimeout, s.cancel)
	defer timer.Stop()
	if _, err := s.stdin.Write(line); err != nil {
		return Answer{}, s.died(err)
	}
	reply, err := s.stdout.ReadSlice('\n')
	if err != nil {
		return Answer{}, s.died(err)
	}
	return parseAnswer(reply)
}

func parseAnswer(reply []byte) (Answer, error) {
	var answer struct {
		Verdict *int
		Check   string
		Error   string
	}
	switch err := json.Unmarshal(reply, &answer); {
	case err != nil:
		return Answer{}, fmt.Errorf("the answer is not {\"verdict\": NUMBER}: %w", err)
	case answer.Error != "":
		return Answer{}, errors.New(answer.Error)
	case answer.Verdict == nil || *answer.Verdict < -128 || *answer.Verdict > 127:
		return Answer{}, errors.New("the answer has no verdict, or one that document 2 §4.1.5 cannot have")
	}
	return Answer{Verdict: ridecode.Verdict(*answer.Verdict), Check: answer.Check}, nil
}

// died tells how the program ended, and what it said last.
func (s *commandSession) died(cause error) error {
	process := s.process
	s.process = nil
	s.cancel()
	s.stdin.Close()
	if err := process.Wait(); err != nil {
		cause = err
	}
	if text := strings.TrimSpace(s.stderr.String()); text != "" {
		return fmt.Errorf("the program ended without an answer: %w: %s", cause, text)
	}
	return fmt.Errorf("the program ended without an answer: %w", cause)
}

// start runs the program, with the clock of the streets that these codes are used in: one that takes UTC for
// local time shows it.
func (s *commandSession) start(ctx context.Context) (err error) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.process = exec.CommandContext(ctx, s.command.Args[0], s.command.Args[1:]...)
	s.process.Env = append(os.Environ(), StateVariable+"="+s.dir, "TZ=Asia/Shanghai")
	if s.command.env != nil {
		s.process.Env = append(s.process.Env, s.command.env(s.dir)...)
	}
	s.process.WaitDelay = time.Second
	s.stderr = &lastBytes{}
	s.process.Stderr = s.stderr
	stdout, err := s.process.StdoutPipe()
	if err != nil {
		return err
	}
	if s.stdin, err = s.process.StdinPipe(); err != nil {
		return err
	}
	s.stdout = bufio.NewReaderSize(stdout, maxAnswerSize)
	if err := s.process.Start(); err != nil {
		s.process = nil
		s.cancel()
		return err
	}
	return nil
}

// stop ends the program as a power cut does, when it has nothing more to say.
func (s *commandSession) stop() {
	if s.process == nil {
		return
	}
	s.cancel()
	s.stdin.Close()
	s.process.Wait() // that it was killed is what was wanted
	s.process = nil
}

// Close ends the program and removes its state.
func (s *commandSession) Close() error {
	s.stop()
	return os.RemoveAll(s.dir)
}

// lastBytes keeps the end of what a program says on standard error.
type lastBytes struct{ kept bytes.Buffer }

func (l *lastBytes) Write(b []byte) (int, error) {
	const size = 400
	l.kept.Write(b)
	if extra := l.kept.Len() - size; extra > 0 {
		l.kept.Next(extra)
	}
	return len(b), nil
}

func (l *lastBytes) String() string { return l.kept.String() }
