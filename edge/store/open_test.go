package store_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

// raw is a connection as any other program has it.
func raw(t *testing.T, path string) *sqlite.Conn {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func script(t *testing.T, conn *sqlite.Conn, sql string) {
	t.Helper()
	if err := sqlitex.ExecuteScript(conn, sql, nil); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		write func(t *testing.T, path string)
		want  error
	}{
		"a text": {func(t *testing.T, path string) {
			writeFile(t, path, bytes.Repeat([]byte("these are not the books\n"), 100))
		}, store.ErrNotDatabase},
		"a short text": {func(t *testing.T, path string) { writeFile(t, path, []byte("x")) }, store.ErrNotDatabase},
		"zeros":        {func(t *testing.T, path string) { writeFile(t, path, make([]byte, 8192)) }, store.ErrNotDatabase},
		"another program's": {func(t *testing.T, path string) {
			conn := raw(t, path)
			script(t, conn, "CREATE TABLE recipe (id INTEGER)")
			closeAll(t, conn)
		}, store.ErrForeign},
		"another program's, empty": {func(t *testing.T, path string) {
			conn := raw(t, path)
			script(t, conn, "PRAGMA application_id = 7")
			closeAll(t, conn)
		}, store.ErrForeign},
		"a newer version's": {func(t *testing.T, path string) {
			closeAll(t, open(t, path))
			conn := raw(t, path)
			script(t, conn, "PRAGMA user_version = 1000; PRAGMA journal_mode = DELETE")
			closeAll(t, conn)
		}, store.ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "books.sqlite")
			test.write(t, path)
			before := readFile(t, path)
			_, err := store.Open(path)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want %v with the path", err, test.want)
			}
			if !bytes.Equal(before, readFile(t, path)) {
				t.Error("the file was changed")
			}
		})
	}
}

func closeAll(t *testing.T, closers ...interface{ Close() error }) {
	t.Helper()
	for _, c := range closers {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestOpenNowhere(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "no", "such", "folder"), t.TempDir()} {
		if db, err := store.Open(path); err == nil {
			closeAll(t, db)
			t.Errorf("%s was opened", path)
		}
	}
}

// An empty file, as a temporary file is, and a name that SQLite would take for something else.
func TestOpenTakesNamesLiterally(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "empty", nil)
	for _, name := range []string{"empty", ":memory:", "a?mode=memory&b#c", "账簿 100%.sqlite"} {
		if runtime.GOOS == "windows" && strings.ContainsAny(name, ":?") {
			continue // not names there
		}
		db := open(t, name)
		if err := storetest.Furnish(t.Context(), db.Payment()); err != nil {
			t.Fatal(err)
		}
		closeAll(t, db)
		if info, err := os.Stat(name); err != nil || info.Size() == 0 {
			t.Errorf("%q: %v, %v", name, info, err)
		}
	}
}

func TestFilesArePrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // access there is by folder
	}
	path := filepath.Join(t.TempDir(), "books.sqlite")
	closeAll(t, open(t, path))
	if err := os.Chmod(path, 0o644); err != nil { // as a restored copy may be
		t.Fatal(err)
	}
	db := open(t, path)
	if err := storetest.Furnish(t.Context(), db.Payment()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

func TestClosed(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "books.sqlite"))
	closeAll(t, db, db)
	books := db.Payment()
	for name, call := range map[string]func() error{
		"settle":   func() error { _, err := storetest.Sell(t.Context(), books, 1); return err },
		"update":   func() error { return storetest.Furnish(t.Context(), books) },
		"view":     func() error { _, err := books.View(t.Context(), payment.Need{}); return err },
		"find":     func() error { _, err := books.Find(t.Context(), nil); return err },
		"balances": func() error { _, err := books.Balances(t.Context()); return err },
		"trades":   func() error { return books.EachTrade(t.Context(), 0, 0, nil) },
		"transfers": func() error {
			return books.EachTransfer(t.Context(), 0, payment.OutsideAccount, 0, 0, nil)
		},
		"merchants": func() error { _, err := books.Merchants(t.Context(), 0); return err },
		"totals":    func() error { _, err := books.MerchantTotals(t.Context(), 0, 0, 0); return err },
		"riders":    func() error { return books.EachRider(t.Context(), 0, nil) },
		"under way": func() error { _, err := books.UnderWay(t.Context(), 0); return err },
		"notices":   func() error { _, err := books.Posted(t.Context(), 0, 1); return err },
		"audit":     func() error { _, err := books.Audit(t.Context()); return err },
	} {
		if err := call(); !errors.Is(err, store.ErrClosed) || !errors.Is(err, payment.ErrAway) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who makes the same new file together waits for the other; neither loses anything.
func TestOpenedTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.sqlite")
	var wait sync.WaitGroup
	for worker := range 2 {
		wait.Go(func() {
			db, err := store.Open(path)
			if err == nil {
				err = errors.Join(sellAll(t.Context(), db.Payment(), worker), db.Close())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	sold, err := storetest.Sold(t.Context(), open(t, path).Payment(), 100)
	if err != nil || len(sold) != 100 {
		t.Errorf("%d sold, %v", len(sold), err)
	}
}

func sellAll(ctx context.Context, books payment.Store, worker int) error {
	if err := storetest.Furnish(ctx, books); err != nil {
		return err
	}
	for n := range 50 {
		if _, err := storetest.Sell(ctx, books, 2*n+worker); err != nil {
			return err
		}
	}
	return nil
}

// While another program holds the file, a writer waits as long as its context, and readers do not.
func TestHeldByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.sqlite")
	books := open(t, path).Payment()
	if err := storetest.Furnish(t.Context(), books); err != nil {
		t.Fatal(err)
	}
	other := raw(t, path)
	if err := sqlitex.ExecuteTransient(other, "BEGIN IMMEDIATE", nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := storetest.Sell(ctx, books, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("sell: %v", err)
	}
	if sold, err := storetest.Sold(t.Context(), books, 3); err != nil || len(sold) != 0 {
		t.Errorf("sold %v, %v", sold, err)
	}
	released := make(chan error, 1)
	time.AfterFunc(400*time.Millisecond, func() { released <- sqlitex.ExecuteTransient(other, "ROLLBACK", nil) })
	if _, err := storetest.Sell(t.Context(), books, 2); err != nil {
		t.Errorf("sell, when it was released: %v", err)
	}
	if err := <-released; err != nil {
		t.Error(err)
	}
	closeAll(t, other)
}
