package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

func TestAppendThenReplay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "terminal.journal")
	j := mustOpen(t, path)
	payloads := [][]byte{nil, {0}, []byte("record"), bytes.Repeat([]byte{0xff}, MaxPayloadSize)}
	for i, payload := range payloads {
		seq, err := j.Append(Kind(i), payload)
		if err != nil || seq != uint64(i+1) {
			t.Fatalf("Append %d: seq %d, %v", i, seq, err)
		}
	}
	checkEntries(t, j, payloads)
	mustClose(t, j)

	j = mustOpen(t, path)
	defer mustClose(t, j)
	if j.TornBytes() != 0 || j.LastSeq() != uint64(len(payloads)) {
		t.Fatalf("reopened: torn %d, last %d", j.TornBytes(), j.LastSeq())
	}
	checkEntries(t, j, payloads)
	if seq, err := j.Append(9, []byte("more")); err != nil || seq != 5 {
		t.Fatalf("Append after reopening: %d, %v", seq, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != j.SizeBytes() {
		t.Fatalf("size %v, journal says %d (%v)", info.Size(), j.SizeBytes(), err)
	}
}

func checkEntries(t *testing.T, j *Journal, payloads [][]byte) {
	t.Helper()
	want := uint64(1)
	err := j.Replay(0, func(e Entry) error {
		if e.Seq != want || e.Kind != Kind(want-1) || !bytes.Equal(e.Payload, payloads[want-1]) {
			return fmt.Errorf("entry %d differs: seq %d kind %d, %d bytes", want, e.Seq, e.Kind, len(e.Payload))
		}
		want++
		return nil
	})
	if err != nil || want != uint64(len(payloads)+1) {
		t.Fatalf("Replay ended before entry %d: %v", want, err)
	}
}

func TestReplayFrom(t *testing.T) {
	j := mustOpen(t, filepath.Join(t.TempDir(), "j"))
	defer mustClose(t, j)
	for i := range 10 {
		mustAppend(t, j, []byte{byte(i)})
	}
	var seqs []uint64
	stop := errors.New("enough")
	err := j.Replay(7, func(e Entry) error {
		seqs = append(seqs, e.Seq)
		if e.Seq == 9 {
			return stop
		}
		return nil
	})
	if err != stop || fmt.Sprint(seqs) != "[7 8 9]" {
		t.Fatalf("Replay(7) gave %v, %v", seqs, err)
	}
	if err := j.Replay(11, func(Entry) error { return stop }); err != nil {
		t.Fatalf("Replay behind the end: %v", err)
	}
}

func TestAppendBatchSharesOneSync(t *testing.T) {
	d := newMemoryDisk()
	j := mustOpenDisk(t, d)
	before := d.syncCount
	first, err := j.AppendBatch([]Record{{1, []byte("a")}, {2, []byte("b")}, {3, nil}})
	if err != nil || first != 1 || j.LastSeq() != 3 || d.syncCount != before+1 {
		t.Fatalf("first %d, last %d, syncs %d, %v", first, j.LastSeq(), d.syncCount-before, err)
	}
	if seq := mustAppend(t, j, []byte("c")); seq != 4 {
		t.Fatalf("next seq %d", seq)
	}
}

// TestConcurrentAppendsShareSyncs holds the disk so that appends must queue: each keeps its own
// number, and far fewer syncs than appends happen.
func TestConcurrentAppendsShareSyncs(t *testing.T) {
	d := newMemoryDisk()
	j := mustOpenDisk(t, d)
	before := d.syncCount
	const appends = 200
	bySeq := make([][]byte, appends)
	var mu sync.Mutex
	var waiting sync.WaitGroup
	j.diskMu.Lock()
	for i := range appends {
		waiting.Go(func() {
			payload := []byte(fmt.Sprint("payload ", i))
			seq, err := j.Append(1, payload)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seq < 1 || seq > appends || bySeq[seq-1] != nil {
				t.Errorf("append %d: seq %d, %v", i, seq, err)
				return
			}
			bySeq[seq-1] = payload
		})
	}
	for queued := 0; queued < appends; runtime.Gosched() {
		j.mu.Lock()
		queued = int(j.end.seq)
		j.mu.Unlock()
	}
	j.diskMu.Unlock()
	waiting.Wait()
	if d.syncCount-before != 1 {
		t.Errorf("%d appends that waited together took %d syncs", appends, d.syncCount-before)
	}
	err := j.Replay(1, func(e Entry) error {
		if !bytes.Equal(e.Payload, bySeq[e.Seq-1]) {
			return fmt.Errorf("entry %d holds %q, acknowledged %q", e.Seq, e.Payload, bySeq[e.Seq-1])
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestQueueIsCutIntoBoundedWrites(t *testing.T) {
	d := newMemoryDisk()
	j := mustOpenDisk(t, d)
	var waiting sync.WaitGroup
	j.diskMu.Lock()
	const appends = 40
	for range appends {
		waiting.Go(func() {
			if _, err := j.Append(1, make([]byte, MaxPayloadSize)); err != nil {
				t.Error(err)
			}
		})
	}
	for queued := 0; queued < appends; runtime.Gosched() {
		j.mu.Lock()
		queued = int(j.end.seq)
		j.mu.Unlock()
	}
	j.diskMu.Unlock()
	waiting.Wait()
	if d.largestWrite > MaxWriteSize || d.largestWrite < MaxWriteSize/2 {
		t.Errorf("largest write %d bytes, limit %d", d.largestWrite, MaxWriteSize)
	}
	if again := mustOpenDisk(t, d); again.LastSeq() != appends {
		t.Errorf("reopened at %d", again.LastSeq())
	}
}

func TestLimits(t *testing.T) {
	j := mustOpen(t, filepath.Join(t.TempDir(), "j"))
	defer mustClose(t, j)
	size := j.SizeBytes()
	if _, err := j.Append(1, make([]byte, MaxPayloadSize+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("payload above the limit: %v", err)
	}
	batch := make([]Record, 17)
	for i := range batch {
		batch[i].Payload = make([]byte, MaxPayloadSize)
	}
	if _, err := j.AppendBatch(batch); !errors.Is(err, ErrTooLarge) {
		t.Errorf("batch above the limit: %v", err)
	}
	if _, err := j.AppendBatch(nil); err == nil {
		t.Error("empty batch was acknowledged")
	}
	if j.SizeBytes() != size {
		t.Error("a refused append left bytes")
	}
	if seq := mustAppend(t, j, nil); seq != 1 {
		t.Errorf("a refused append used up a number: next is %d", seq)
	}
}

func TestCreatedPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	mustClose(t, mustOpen(t, path))
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
}

func TestSecondOpenIsLockedOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j := mustOpen(t, path)
	if _, err := Open(path); !errors.Is(err, ErrLocked) {
		t.Fatalf("second Open: %v", err)
	}
	mustAppend(t, j, []byte("still mine"))
	mustClose(t, j)
	mustClose(t, mustOpen(t, path))
}

func TestClosed(t *testing.T) {
	j := mustOpen(t, filepath.Join(t.TempDir(), "j"))
	mustClose(t, j)
	if _, err := j.Append(1, nil); err != ErrClosed {
		t.Errorf("Append: %v", err)
	}
	if err := j.Replay(0, nil); err != ErrClosed {
		t.Errorf("Replay: %v", err)
	}
	if err := j.Close(); err != ErrClosed {
		t.Errorf("Close: %v", err)
	}
}

func TestOtherFilesAreLeftAlone(t *testing.T) {
	for name, content := range map[string]string{
		"short text":                "hello",
		"long text":                 "this is a file that somebody else needs\n",
		"other magic, right length": "shuajnl2" + "12345678" + "abcd",
		"bad header, then data":     "shuajnl1" + "12345678" + "abcd" + "data",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "j")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if j, err := Open(path); err == nil {
				mustClose(t, j)
				t.Error("opened")
			}
			if after, _ := os.ReadFile(path); string(after) != content {
				t.Errorf("changed to %q", after)
			}
		})
	}
	if _, err := Open("/dev/null"); err == nil {
		t.Error("a device was opened")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no", "such", "folder")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
}

func mustOpen(t testing.TB, path string) *Journal {
	t.Helper()
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func mustOpenDisk(t testing.TB, d disk) *Journal {
	t.Helper()
	j, err := open(d)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func mustAppend(t testing.TB, j *Journal, payload []byte) uint64 {
	t.Helper()
	seq, err := j.Append(1, payload)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func mustClose(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func benchmark(b *testing.B, run func(j *Journal, payload []byte)) {
	j := mustOpen(b, filepath.Join(b.TempDir(), "j"))
	defer mustClose(b, j)
	payload := bytes.Repeat([]byte{7}, 300) // an acceptance record with its ride code
	b.SetBytes(int64(len(payload)))
	b.ResetTimer()
	run(j, payload)
}

func BenchmarkAppend(b *testing.B) {
	benchmark(b, func(j *Journal, payload []byte) {
		for b.Loop() {
			mustAppend(b, j, payload)
		}
	})
}

func BenchmarkAppendTogether16(b *testing.B) {
	benchmark(b, func(j *Journal, payload []byte) {
		b.SetParallelism(8)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := j.Append(1, payload); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkOpen10000(b *testing.B) {
	path := filepath.Join(b.TempDir(), "j")
	j := mustOpen(b, path)
	for range 100 {
		batch := make([]Record, 100)
		for i := range batch {
			batch[i].Payload = make([]byte, 300)
		}
		if _, err := j.AppendBatch(batch); err != nil {
			b.Fatal(err)
		}
	}
	mustClose(b, j)
	for b.Loop() {
		mustClose(b, mustOpen(b, path))
	}
}

// A reader who follows begins where it ended; one who goes back gets everything; another file has
// another ID.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	read := func(from uint64, most int) (seqs []uint64) {
		enough := errors.New("enough")
		if err := j.Replay(from, func(e Entry) error {
			if len(seqs) == most {
				return enough
			}
			seqs = append(seqs, e.Seq)
			return nil
		}); err != nil && err != enough {
			t.Fatal(err)
		}
		return seqs
	}
	for i := range 9 {
		if _, err := j.Append(1, []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		from uint64
		most int
		want string
	}{{1, 3, "[1 2 3]"}, {4, 3, "[4 5 6]"}, {7, 9, "[7 8 9]"}, {10, 9, "[]"}, {2, 2, "[2 3]"}, {4, 1, "[4]"}, {9, 9, "[9]"}, {0, 9, "[1 2 3 4 5 6 7 8 9]"}} {
		if got := fmt.Sprint(read(step.from, step.most)); got != step.want {
			t.Errorf("from %d: %s, want %s", step.from, got, step.want)
		}
	}
	if _, err := j.Append(1, []byte("more")); err != nil || fmt.Sprint(read(10, 9)) != "[10]" {
		t.Errorf("what came later is not followed: %v", err)
	}
	other, err := Open(filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if len(j.ID()) != 16 || j.ID() == other.ID() {
		t.Errorf("ids %s and %s", j.ID(), other.ID())
	}
}
