//go:build unix

package prompt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/prompt"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

func newHook(t *testing.T, settings prompt.HookSettings) *prompt.Hook {
	t.Helper()
	hook, err := prompt.NewHook(settings)
	if err != nil {
		t.Fatal(err)
	}
	return hook
}

// The gate opens for Success, and for nothing else.
func TestHookOpensOnSuccessAlone(t *testing.T) {
	opened := filepath.Join(t.TempDir(), "opened")
	hook := newHook(t, prompt.HookSettings{Command: []string{script(t, `echo "$SHUAMA_VERDICT" >> "$1"`), opened}})
	for _, v := range append(everyVerdict(), 0, 2, 127) {
		result := hook.Run(t.Context(), prompt.Event{Prompt: prompt.Of(v, record.Single)})
		if result.Ran != (v == ridecode.Success) || result.Err != nil {
			t.Errorf("%v: %+v", v, result)
		}
	}
	if result := hook.Run(t.Context(), prompt.Event{Prompt: prompt.Unreadable()}); result.Ran {
		t.Errorf("unreadable: %+v", result)
	}
	if got := content(opened); got != "SUCCESS\n" {
		t.Errorf("opened for %q", got)
	}
}

func TestHookEnvironment(t *testing.T) {
	t.Setenv("SHUAMA_PASSPHRASE", "a secret")
	hook := newHook(t, prompt.HookSettings{Always: true, Command: []string{"env"}})
	s := newStation(t)
	late := s.tap(s.show(t, 3, 95, now.Add(time.Hour)), 200)
	for name, c := range map[string]struct {
		event prompt.Event
		want  []string
	}{
		"late": {prompt.Event{Prompt: late}, []string{"SHUAMA_VERDICT=QRCODE_INFO_EXPIRED", "SHUAMA_NUMBER=-2", "SHUAMA_LAMP=yellow", "SHUAMA_SOUND=again",
			"SHUAMA_SCREEN_EN=Expired: refresh", "SHUAMA_SCREEN_ZH=码已过期 请刷新", "SHUAMA_USER_MASKED=",
			"SHUAMA_DETAIL_EN=The code expired 35 seconds ago. Please refresh it and scan again.", "SHUAMA_DETAIL_ZH=乘车码已过期35秒,请刷新后再刷。"}},
		"accepted": {prompt.Event{Prompt: success, User: "2088000011112222"}, []string{"SHUAMA_VERDICT=SUCCESS", "SHUAMA_NUMBER=1", "SHUAMA_LAMP=green",
			"SHUAMA_SOUND=accepted", "SHUAMA_SCREEN_EN=Please board", "SHUAMA_SCREEN_ZH=请上车", "SHUAMA_DETAIL_EN=", "SHUAMA_DETAIL_ZH=", "SHUAMA_USER_MASKED=****2222"}},
		"unreadable": {prompt.Event{Prompt: prompt.Unreadable(), User: "12345678"}, []string{"SHUAMA_VERDICT=UNREADABLE", "SHUAMA_NUMBER=0", "SHUAMA_LAMP=yellow",
			"SHUAMA_SOUND=again", "SHUAMA_SCREEN_EN=Please scan again", "SHUAMA_SCREEN_ZH=请再刷一次", "SHUAMA_DETAIL_EN=", "SHUAMA_DETAIL_ZH=", "SHUAMA_USER_MASKED=****"}},
	} {
		result := hook.Run(t.Context(), c.event)
		got := strings.Split(strings.TrimSuffix(result.Output, "\n"), "\n")
		want := append(c.want, "PATH="+os.Getenv("PATH"))
		slices.Sort(got)
		slices.Sort(want)
		if result.Err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v\n got %q\nwant %q", name, result.Err, got, want)
		}
	}
}

// Arguments are no shell's business.
func TestHookIsNoShell(t *testing.T) {
	hook := newHook(t, prompt.HookSettings{Command: []string{"printf", "%s|%s", "$HOME; exit 1", "`id` *"}})
	if result := hook.Run(t.Context(), prompt.Event{Prompt: success}); result.Output != "$HOME; exit 1|`id` *" || result.Err != nil {
		t.Errorf("%+v", result)
	}
}

func TestHookReports(t *testing.T) {
	run := func(text string) prompt.Result {
		t.Helper()
		return newHook(t, prompt.HookSettings{Command: []string{script(t, text)}}).Run(t.Context(), prompt.Event{Prompt: success})
	}
	if result := run("echo out; echo relay stuck >&2; exit 7"); result.ExitStatus != 7 || result.Err == nil || result.Output != "out\nrelay stuck\n" {
		t.Errorf("%+v", result)
	}
	if result := run("yes | head -c 100000"); result.Err != nil || len(result.Output) != 4096 {
		t.Errorf("%d bytes of output, %v", len(result.Output), result.Err)
	}
	if result := run("kill -9 $$"); result.Err == nil || result.ExitStatus != -1 {
		t.Errorf("killed: %+v", result)
	}
	gone := script(t, "exit 0")
	hook := newHook(t, prompt.HookSettings{Command: []string{gone}})
	os.Remove(gone)
	if result := hook.Run(t.Context(), prompt.Event{Prompt: success}); result.Ran || result.Err == nil || result.ExitStatus != -1 {
		t.Errorf("not there any more: %+v", result)
	}
}

// A relay that is switched off later, in the background, is no fault and holds nobody up.
func TestHookLeavesChildrenThatStay(t *testing.T) {
	off := filepath.Join(t.TempDir(), "off")
	hook := newHook(t, prompt.HookSettings{Timeout: 5 * time.Second, Command: []string{script(t, `(sleep 0.6; echo off > "$1") & echo on`), off}})
	result := hook.Run(t.Context(), prompt.Event{Prompt: success})
	if result.Err != nil || result.Output != "on\n" || content(off) != "" {
		t.Errorf("%+v", result)
	}
	eventually(t, "switching off", func() bool { return content(off) != "" })
}

// What takes too long is killed with its children, in time.
func TestHookTimeout(t *testing.T) {
	dir := t.TempDir()
	hook := newHook(t, prompt.HookSettings{Timeout: 2 * time.Second, Command: []string{script(t, `cd "$1"
trap '' TERM
sleep 60 & echo $! > child
sh -c 'trap "" TERM; sleep 60' & echo $! > deaf
echo begun
wait`), dir}})
	began := time.Now()
	result := hook.Run(t.Context(), prompt.Event{Prompt: success})
	if took := time.Since(began); took > patience || !errors.Is(result.Err, prompt.ErrHookTimeout) || !result.Ran || result.ExitStatus != -1 {
		t.Errorf("after %v: %+v", took, result)
	}
	for _, name := range []string{"child", "deaf"} {
		pid := strings.TrimSpace(content(filepath.Join(dir, name)))
		eventually(t, "the end of "+name, func() bool { return pid != "" && !alive(pid) })
	}
}

func TestHookContext(t *testing.T) {
	hook := newHook(t, prompt.HookSettings{Timeout: 20 * time.Second, Command: []string{"sleep", "60"}})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	if result := hook.Run(ctx, prompt.Event{Prompt: success}); !errors.Is(result.Err, context.Canceled) || time.Since(began) > 5*time.Second {
		t.Errorf("%+v", result)
	}
}

// One at a time, each in its turn; who does not get one in time is told so.
func TestHookTurns(t *testing.T) {
	dir := t.TempDir()
	text := fmt.Sprintf(`cd %q; mkdir busy || echo overlap >> overlaps; sleep 0.05; rmdir busy; echo x >> runs`, dir)
	hook := newHook(t, prompt.HookSettings{Timeout: 10 * time.Second, Command: []string{script(t, text)}})
	results := make(chan prompt.Result, 8)
	for range 8 {
		hook.Start(t.Context(), prompt.Event{Prompt: success}, func(r prompt.Result) { results <- r })
	}
	for range 8 {
		if result := <-results; result.Err != nil {
			t.Errorf("%+v", result)
		}
	}
	if content(filepath.Join(dir, "overlaps")) != "" || strings.Count(content(filepath.Join(dir, "runs")), "x") != 8 {
		t.Errorf("overlaps %q, runs %q", content(filepath.Join(dir, "overlaps")), content(filepath.Join(dir, "runs")))
	}
}

func TestHookBusy(t *testing.T) {
	hook := newHook(t, prompt.HookSettings{Timeout: 300 * time.Millisecond, Concurrent: 2, Command: []string{"sleep", "60"}})
	var running sync.WaitGroup
	var mutex sync.Mutex
	ran, busy := 0, 0
	for range 100 {
		running.Go(func() {
			result := hook.Run(t.Context(), prompt.Event{Prompt: success})
			mutex.Lock()
			defer mutex.Unlock()
			switch {
			case errors.Is(result.Err, prompt.ErrHookBusy) && !result.Ran:
				busy++
			case errors.Is(result.Err, prompt.ErrHookTimeout):
				ran++
			default:
				t.Errorf("%+v", result)
			}
		})
	}
	running.Wait()
	if ran < 2 || ran+busy != 100 {
		t.Errorf("%d ran, %d were told that it is busy", ran, busy)
	}
}

func TestHookRefusals(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, settings := range map[string]prompt.HookSettings{
		"nothing": {}, "no program": {Command: []string{file + "2"}}, "not executable": {Command: []string{file}},
		"too short": {Command: []string{"env"}, Timeout: time.Millisecond}, "too long": {Command: []string{"env"}, Timeout: time.Hour},
		"negative": {Command: []string{"env"}, Concurrent: -1}, "too many": {Command: []string{"env"}, Concurrent: 1000},
	} {
		if _, err := prompt.NewHook(settings); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}
