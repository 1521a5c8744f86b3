package prompt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// HookSettings say what a hook runs.
type HookSettings struct {
	// Command is a program and its arguments. No shell reads it.
	Command []string
	// Timeout is how long the command may take, waiting for its turn included: 100 ms to 30 s; 0: 3 s.
	Timeout time.Duration
	// Concurrent is how many may run at a time; 0: 1, as for a relay. Others wait for their turn.
	Concurrent int
	// Always runs it for every answer of the gate, as for a display or a log. Otherwise it runs on
	// Success alone: it opens the gate.
	Always bool
}

const (
	minHookTimeout     = 100 * time.Millisecond
	defaultHookTimeout = 3 * time.Second
	maxHookTimeout     = 30 * time.Second
	// waitingCount bounds how many wait for their turn: more riders than that do not stand at a gate.
	waitingCount    = 64
	maxHookOutput   = 4 << 10
	defaultHookPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

var (
	// ErrHookTimeout says that a command took too long and was killed, with all that it had started.
	ErrHookTimeout = errors.New("prompt: hook: took too long and was killed")
	// ErrHookBusy says that a command did not get its turn, and was not run.
	ErrHookBusy = errors.New("prompt: hook: still busy with those before; it was not run")
)

// Event is what a hook is told.
type Event struct {
	Prompt Prompt
	User   ridecode.UserID // of an accepted code; handed on masked
}

// Result is what became of a hook.
type Result struct {
	Ran        bool // false: not asked for by this verdict, or an error before it could start
	ExitStatus int  // -1 when it was killed or did not run
	Took       time.Duration
	Output     string // of both streams, its first 4 KiB
	Err        error  // nil when it ended with status 0, or was not asked for
}

// Hook runs a command for a gate: the relay that opens it, a display. It is safe for concurrent use.
//
// The command's environment has nothing of the gate's own, which may hold a passphrase, but PATH:
//
//	SHUAMA_VERDICT      SUCCESS, QRCODE_INFO_EXPIRED, ...; UNREADABLE for a scan that gave no bytes
//	SHUAMA_NUMBER       the verdict's number, as 1 or -2; 0 for UNREADABLE
//	SHUAMA_LAMP         green, yellow or red
//	SHUAMA_SOUND        accepted, again, refused or broken
//	SHUAMA_SCREEN_ZH, SHUAMA_SCREEN_EN   words for a small display
//	SHUAMA_DETAIL_ZH, SHUAMA_DETAIL_EN   what the rider should do; may be empty
//	SHUAMA_USER_MASKED  the user id with all but its last four characters hidden; empty without one
type Hook struct {
	argv    []string
	timeout time.Duration
	always  bool
	turns   chan struct{}
	waiting chan struct{}
}

// NewHook checks the settings, and that the command can be run at all.
func NewHook(settings HookSettings) (*Hook, error) {
	if len(settings.Command) == 0 {
		return nil, errors.New("prompt: hook: no command")
	}
	program, err := exec.LookPath(settings.Command[0])
	if err != nil {
		return nil, fmt.Errorf("prompt: hook: %w", err)
	}
	timeout, concurrent := settings.Timeout, settings.Concurrent
	if timeout == 0 {
		timeout = defaultHookTimeout
	}
	if timeout < minHookTimeout || timeout > maxHookTimeout {
		return nil, fmt.Errorf("prompt: hook: time-out of %v: want %v to %v", timeout, minHookTimeout, maxHookTimeout)
	}
	if concurrent < 0 || concurrent > waitingCount {
		return nil, fmt.Errorf("prompt: hook: %d at a time: want at most %d", concurrent, waitingCount)
	}
	return &Hook{argv: append([]string{program}, settings.Command[1:]...), timeout: timeout, always: settings.Always,
		turns: make(chan struct{}, max(1, concurrent)), waiting: make(chan struct{}, waitingCount)}, nil
}

// Run runs the command and waits, for its time-out at the most. A hook that opens the gate does
// nothing unless the verdict is Success.
func (h *Hook) Run(ctx context.Context, event Event) Result {
	if !h.always && event.Prompt.Verdict != ridecode.Success {
		return Result{ExitStatus: -1}
	}
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, h.timeout-killPatience, ErrHookTimeout)
	defer cancel()
	result := h.inTurn(ctx, event)
	result.Took = time.Since(began)
	return result
}

// Start is Run in the background; report gets the result, from another goroutine. It may be nil.
func (h *Hook) Start(ctx context.Context, event Event, report func(Result)) {
	go func() {
		if result := h.Run(ctx, event); report != nil {
			report(result)
		}
	}()
}

func (h *Hook) inTurn(ctx context.Context, event Event) Result {
	if err := h.waitForTurn(ctx); err != nil {
		return Result{ExitStatus: -1, Err: err}
	}
	ended := make(chan Result, 1)
	go func() {
		ended <- h.execute(ctx, event)
		<-h.turns // only now: a process that cannot be killed keeps its turn
	}()
	select {
	case result := <-ended:
		return result
	case <-ctx.Done():
		return givenUp(ctx, ended)
	}
}

// waitForTurn answers nil with a turn taken.
func (h *Hook) waitForTurn(ctx context.Context) error {
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return ErrHookBusy
	}
	select {
	case h.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ErrHookBusy
	}
}

// killPatience is the part of a time-out that is kept for a killed process to die.
const killPatience = 20 * time.Millisecond

// givenUp answers when the time is over. Most processes die of being killed at once, and then their
// output helps; a few do not, and the gate waits for none of them.
func givenUp(ctx context.Context, ended <-chan Result) Result {
	select {
	case result := <-ended:
		return result
	case <-time.After(killPatience):
		return Result{Ran: true, ExitStatus: -1, Err: context.Cause(ctx)}
	}
}

func (h *Hook) execute(ctx context.Context, event Event) Result {
	output := bounded{most: maxHookOutput}
	cmd := command(ctx, h.argv, &output, &output)
	cmd.Env = event.environment()
	err := run(cmd)
	result := Result{Ran: cmd.Process != nil, ExitStatus: -1, Output: string(output.kept), Err: err}
	if cmd.ProcessState != nil {
		result.ExitStatus = cmd.ProcessState.ExitCode()
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		result.Err = context.Cause(ctx)
	default:
		result.Err = fmt.Errorf("prompt: hook: %w", err)
	}
	return result
}

func (e Event) environment() []string {
	path, has := os.LookupEnv("PATH")
	if !has {
		path = defaultHookPath
	}
	p := e.Prompt
	name := p.Verdict.String()
	if p.Verdict == 0 {
		name = "UNREADABLE"
	}
	return []string{"PATH=" + path,
		"SHUAMA_VERDICT=" + name, "SHUAMA_NUMBER=" + strconv.Itoa(int(p.Verdict)),
		"SHUAMA_LAMP=" + string(p.Lamp), "SHUAMA_SOUND=" + p.Sound.String(),
		"SHUAMA_SCREEN_ZH=" + p.Chinese.Screen, "SHUAMA_SCREEN_EN=" + p.English.Screen,
		"SHUAMA_DETAIL_ZH=" + p.Chinese.Detail, "SHUAMA_DETAIL_EN=" + p.English.Detail,
		"SHUAMA_USER_MASKED=" + mask(e.User)}
}

// mask hides all of a user id but its last four characters, and all of a short one.
func mask(user ridecode.UserID) string {
	switch {
	case user == "":
		return ""
	case len(user) <= 8:
		return "****"
	}
	return "****" + string(user[len(user)-4:])
}
