package reader

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shuama/shuama/edge/scan"
)

// picture is a QR code as a PNG file.
func picture(t testing.TB, payload string) []byte {
	t.Helper()
	symbol, err := scan.QR([]byte(payload), scan.L)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := symbol.PNG(&file, 4); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func put(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPictures(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.png"), filepath.Join(dir, "bad.png")
	put(t, good, picture(t, "\x02\x01\x00\xff"))
	put(t, bad, []byte("no picture"))
	var scans []Scan
	err := Pictures(bad, filepath.Join(dir, "none.png"), good).Run(t.Context(), func(s Scan) { scans = append(scans, s) })
	if err != nil || len(scans) != 3 {
		t.Fatalf("%+v, %v", scans, err)
	}
	if !errors.Is(scans[0].Err, scan.ErrPictureFormat) || !strings.Contains(scans[0].Err.Error(), bad) || !errors.Is(scans[1].Err, fs.ErrNotExist) {
		t.Errorf("faults: %v, %v", scans[0].Err, scans[1].Err)
	}
	if string(scans[2].Payload) != "\x02\x01\x00\xff" || scans[2].Source != good {
		t.Errorf("%+v", scans[2])
	}
}

// watched runs a folder in a time of its own; wait lets looks pass.
type watched struct {
	mutex sync.Mutex
	seen  []Scan
	stop  func() error
}

const interval = time.Second

func watch(t *testing.T, dir string) *watched {
	t.Helper()
	source, err := Folder(dir, interval)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx, w.add) }()
	w.stop = func() error { cancel(); return <-ended }
	synctest.Wait()
	time.Sleep(interval / 2) // between two looks from here on
	return w
}

// looks lets n looks pass.
func (w *watched) looks(n int) {
	time.Sleep(time.Duration(n) * interval)
	synctest.Wait()
}

func (w *watched) add(s Scan) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.seen = append(w.seen, s)
}

func (w *watched) take() []Scan {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// files lists a folder inside, "" for the folder itself.
func files(t testing.TB, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

func TestFolder(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret.png")
	put(t, outside, picture(t, "outside"))
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, dir)
		put(t, filepath.Join(dir, "a.png"), picture(t, "A"))
		put(t, filepath.Join(dir, "b.txt"), []byte("no picture"))
		put(t, filepath.Join(dir, ".hidden.png"), picture(t, "hidden"))
		if err := errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o700), os.Symlink(outside, filepath.Join(dir, "link.png"))); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, "sub", "c.png"), picture(t, "C"))
		w.looks(1)
		if len(w.take()) != 0 {
			t.Error("a picture was taken after one look")
		}
		w.looks(1)
		if got := w.take(); len(got) != 2 || string(got[0].Payload) != "A" || got[0].Source != filepath.Join(dir, "a.png") || !errors.Is(got[1].Err, scan.ErrPictureFormat) {
			t.Errorf("%+v", got)
		}
		w.looks(5)
		if got := w.take(); len(got) != 0 {
			t.Errorf("again: %+v", got)
		}
		if got := files(t, dir); got != ".hidden.png .taken done failed link.png sub" {
			t.Errorf("left: %s", got)
		}
		if done, failed := files(t, filepath.Join(dir, "done")), files(t, filepath.Join(dir, "failed")); done != "a.png" || failed != "b.txt" {
			t.Errorf("done: %s, failed: %s", done, failed)
		}
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A camera that writes slowly: the picture is taken when it is whole.
func TestFolderWaitsForTheWholePicture(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, dir)
		whole := picture(t, "A")
		for size := 0; size < len(whole); size += len(whole)/5 + 1 {
			put(t, filepath.Join(dir, "a.png"), whole[:size])
			w.looks(1)
		}
		put(t, filepath.Join(dir, "a.png"), whole)
		w.looks(1)
		if got := w.take(); len(got) != 0 {
			t.Errorf("half a picture: %+v", got)
		}
		w.looks(1)
		if got := w.take(); len(got) != 1 || string(got[0].Payload) != "A" {
			t.Errorf("%+v", got)
		}
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A camera that uses one name for ever: every picture is read, and none is overwritten.
func TestFolderKeepsSameNames(t *testing.T) {
	dir, long := t.TempDir(), strings.Repeat("x", 251)+".png"
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, dir)
		for _, payload := range []string{"A", "B", "C"} {
			put(t, filepath.Join(dir, "a.png"), picture(t, payload))
			put(t, filepath.Join(dir, long), picture(t, payload))
			w.looks(2)
		}
		if got := w.take(); len(got) != 6 || string(got[5].Payload) != "C" {
			t.Errorf("%+v", got)
		}
		want := "a-2.png a-3.png a.png " + long[:200] + "-2 " + long[:200] + "-3 " + long
		if got := files(t, filepath.Join(dir, "done")); got != want {
			t.Errorf("done: %s", got)
		}
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
}

// After a restart nothing is handed on again, and what a power cut interrupted is reported once.
func TestFolderRestarts(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		first := watch(t, dir)
		put(t, filepath.Join(dir, "a.png"), picture(t, "A"))
		first.looks(2)
		if got := first.take(); len(got) != 1 {
			t.Fatalf("%+v", got)
		}
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, ".taken", "b.png"), picture(t, "B")) // as a power cut leaves it
		second := watch(t, dir)
		second.looks(4)
		got := second.take()
		if len(got) != 1 || got[0].Payload != nil || !errors.Is(got[0].Err, errInterrupted) || got[0].Source != filepath.Join(dir, "b.png") {
			t.Errorf("%+v", got)
		}
		if failed := files(t, filepath.Join(dir, "failed")); failed != "b.png" {
			t.Errorf("failed: %s", failed)
		}
		if err := second.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestFolderGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "camera")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, dir)
		if err := os.Rename(dir, dir+".old"); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		w.looks(1)
		if err := w.stop(); !errors.Is(err, errReplaced) {
			t.Errorf("%v", err)
		}
	})
}

func TestFolderRefusals(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), nil)
	blocked := t.TempDir()
	put(t, filepath.Join(blocked, "done"), nil)
	for name, c := range map[string]struct {
		dir      string
		interval time.Duration
	}{
		"too often": {dir, time.Millisecond}, "too seldom": {dir, time.Hour}, "no folder": {dir + "2", interval},
		"a file": {filepath.Join(dir, "file"), interval}, "done is a file": {blocked, interval},
	} {
		if _, err := Folder(c.dir, c.interval); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
	if got := files(t, dir); got != "file" {
		t.Errorf("a refusal left %s", got)
	}
}
