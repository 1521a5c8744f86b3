//go:build unix

package journal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests of this file start the test binary again as a process of its own.
const (
	childEnv     = "SHUAMA_JOURNAL_CHILD"
	childPathEnv = "SHUAMA_JOURNAL_PATH"
)

func TestMain(m *testing.M) {
	child := map[string]func(path string) error{"write": childWrite, "fill": childFill}
	if run, ok := child[os.Getenv(childEnv)]; ok {
		if err := run(os.Getenv(childPathEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func startChild(t *testing.T, name, path string) (*exec.Cmd, io.Reader, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+name, childPathEnv+"="+path)
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout, &stderr
}

// payloadOf is what an entry must hold, so that the parent can check it: the writer's number and a
// length and bytes that follow from it.
func payloadOf(number uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, number)
	return append(b, bytes.Repeat([]byte{byte(number)}, int(number*37%900))...)
}

// childWrite appends for ever from four goroutines and tells on stdout what was acknowledged.
func childWrite(path string) error {
	j, err := Open(path)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	number := j.LastSeq() * 10
	failed := make(chan error)
	for range 4 {
		go func() {
			for {
				mu.Lock()
				number++
				mine := number
				mu.Unlock()
				seq, err := j.Append(1, payloadOf(mine))
				if err != nil {
					failed <- err
					return
				}
				line := fmt.Sprintf("%d %d\n", seq, mine)
				if _, err := os.Stdout.WriteString(line); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

// TestKilledWriter kills a writing process without warning, 20 times over one file. Every entry it
// has acknowledged must be there afterwards with its bytes.
func TestKilledWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "terminal.journal")
	acked := map[uint64]uint64{} // seq -> number
	for round := range 20 {
		ackedBefore := len(acked)
		cmd, stdout, stderr := startChild(t, "write", path)
		lines := bufio.NewScanner(stdout)
		killAfter := 1 + rand.IntN(150)
		for lines.Scan() { // reads on after the kill: what is in the pipe was acknowledged
			var seq, number uint64
			if n, _ := fmt.Sscanf(lines.Text(), "%d %d", &seq, &number); n != 2 {
				continue // the line itself was cut short
			}
			acked[seq] = number
			if killAfter--; killAfter == 0 {
				time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || killAfter > 0 {
			t.Fatalf("round %d: the writer ended by itself: %v %s", round, err, stderr)
		}
		if len(acked) == ackedBefore {
			t.Fatalf("round %d: nothing was acknowledged", round)
		}
		checkAcked(t, path, acked)
	}
	t.Logf("%d acknowledged entries survived 20 kills", len(acked))
}

func checkAcked(t *testing.T, path string, acked map[uint64]uint64) {
	t.Helper()
	j := mustOpen(t, path)
	defer mustClose(t, j)
	found := 0
	err := j.Replay(0, func(e Entry) error {
		number, ok := acked[e.Seq]
		if !ok {
			return nil // written, but killed before it could say so
		}
		found++
		if !bytes.Equal(e.Payload, payloadOf(number)) {
			return fmt.Errorf("entry %d does not hold what was acknowledged", e.Seq)
		}
		return nil
	})
	if err != nil || found != len(acked) {
		t.Fatalf("%d of %d acknowledged entries, %v", found, len(acked), err)
	}
}

func TestLockedAgainstOtherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j := mustOpen(t, path)
	defer mustClose(t, j)
	cmd, _, stderr := startChild(t, "write", path)
	if err := cmd.Wait(); err == nil || !bytes.Contains(stderr.Bytes(), []byte(ErrLocked.Error())) {
		t.Fatalf("a second process: %v, %s", err, stderr)
	}
}

const fileLimitBytes = 10_000

// childFill runs into the file size limit of the system, which stops a write half-way the way a
// full disk does.
func childFill(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: fileLimitBytes, Max: fileLimitBytes}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	j, err := Open(path)
	if err != nil {
		return err
	}
	for {
		seq, err := j.Append(1, payloadOf(j.LastSeq()+1))
		if err == nil {
			fmt.Println(seq)
			continue
		}
		if !errors.Is(err, ErrPoisoned) || !errors.Is(err, syscall.EFBIG) {
			return fmt.Errorf("at the limit: %w", err)
		}
		if _, err := j.Append(1, nil); !errors.Is(err, ErrPoisoned) { // even one that would fit
			return fmt.Errorf("after the limit: %w", err)
		}
		return nil
	}
}

func TestFileSystemRefusesHalfAWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	cmd, stdout, stderr := startChild(t, "fill", path)
	lastSeq := uint64(0)
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		fmt.Sscan(lines.Text(), &lastSeq)
	}
	if err := cmd.Wait(); err != nil || lastSeq == 0 {
		t.Fatalf("%v, last seq %d: %s", err, lastSeq, stderr)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != fileLimitBytes {
		t.Fatalf("the write was not stopped half-way: %v, %v", info, err)
	}
	j := mustOpen(t, path)
	defer mustClose(t, j)
	if j.LastSeq() != lastSeq || j.TornBytes() == 0 {
		t.Fatalf("last %d of %d, torn %d", j.LastSeq(), lastSeq, j.TornBytes())
	}
	mustAppend(t, j, []byte("goes on"))
}

// fullDisk writes to the system's device that is always full.
type fullDisk struct {
	*memoryDisk
	full *os.File
}

func (d fullDisk) WriteAt(b []byte, _ int64) (int, error) { return d.full.Write(b) }

func TestFullDiskPoisons(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatalf("this test needs the device /dev/full: %v", err)
	}
	defer full.Close()
	file, _ := image(t, []byte("first"))
	d := &memoryDisk{cached: file}
	j := mustOpenDisk(t, fullDisk{d, full})
	checkPoisoned(t, j, syscall.ENOSPC)
}

func TestFailedWriteAndSyncPoison(t *testing.T) {
	t.Run("write", func(t *testing.T) {
		d := newMemoryDisk()
		j := mustOpenDisk(t, d)
		mustAppend(t, j, []byte("first"))
		d.failWrite = syscall.EIO
		checkPoisoned(t, j, syscall.EIO)
		checkReopens(t, d)
	})
	t.Run("sync", func(t *testing.T) {
		d := newMemoryDisk()
		j := mustOpenDisk(t, d)
		mustAppend(t, j, []byte("first"))
		d.failSync = syscall.EIO
		checkPoisoned(t, j, syscall.EIO)
		d.cached = bytes.Clone(d.durable) // what dropping the clean pages brings to light
		checkReopens(t, d)
	})
}

// checkPoisoned appends once against the fault and once after it, when the disk would work again.
func checkPoisoned(t *testing.T, j *Journal, cause error) {
	t.Helper()
	for i := range 3 {
		if _, err := j.Append(1, []byte("refused")); !errors.Is(err, ErrPoisoned) || !errors.Is(err, cause) {
			t.Fatalf("append %d: %v", i, err)
		}
	}
	count := 0
	if err := j.Replay(0, func(Entry) error { count++; return nil }); err != nil || count != 1 || j.LastSeq() != 1 {
		t.Fatalf("a poisoned journal shows %d entries, last %d, %v", count, j.LastSeq(), err)
	}
}

func checkReopens(t *testing.T, d disk) {
	t.Helper()
	j := mustOpenDisk(t, d)
	if j.LastSeq() != 1 {
		t.Fatalf("reopened at %d", j.LastSeq())
	}
	if seq := mustAppend(t, j, []byte("second")); seq != 2 {
		t.Fatalf("next seq %d", seq)
	}
}
