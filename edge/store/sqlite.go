// Package store keeps the books (账簿) of the institutions in one SQLite file: the embedded default. It
// is the only door to SQL.
//
// One connection writes, a few read. The file is a write-ahead log with full synchronisation: what
// was committed is there after a power cut. The tables defend themselves: what a wrong caller would
// do to money fails on a constraint or a trigger before it is stored.
package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Errors of this package, for errors.Is.
var (
	ErrNotDatabase = errors.New("store: this file is not an SQLite database")
	ErrForeign     = errors.New("store: this SQLite file belongs to another program")
	ErrNewer       = errors.New("store: this file was written by a newer version of Shuama: use that one")
	ErrClosed      = errors.New("store: closed")
)

const (
	readersCount = 4
	busyWait     = 250 * time.Millisecond // of one attempt: so often a cancelled context is noticed
	busyAttempts = 40                     // ten seconds in all
	readersWait  = 10 * time.Second
	logWait      = 5 * time.Millisecond // at least, between two attempts to turn the log on
	logAttempts  = 1000
	smallestFile = 512 // bytes: one page of the least size
)

// DB is one open file. It is safe for concurrent use.
type DB struct {
	writer  chan *sqlite.Conn // holds the one writing connection while nobody writes; closed by Close
	readers *sqlitex.Pool
}

// Open opens the file, or makes it, readable by its owner alone, and brings its tables up to date. A
// file that is no SQLite database, another program's, or of a newer version is refused untouched:
// ErrNotDatabase, ErrForeign, ErrNewer.
func Open(path string) (*DB, error) {
	path, err := filepath.Abs(path) // so that no name means something special, as ":memory:" would
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	writer, err := openWriter(path)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, path)
	}
	readers, err := sqlitex.NewPool(path, sqlitex.PoolOptions{
		Flags: sqlite.OpenReadWrite, PoolSize: readersCount, PrepareConn: prepareReader})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: open for reading: %w", err), writer.Close())
	}
	db := &DB{writer: make(chan *sqlite.Conn, 1), readers: readers}
	db.writer <- writer
	return db, nil
}

// Close waits for a running write, interrupts readers, and closes the file. Calls after it fail with
// ErrClosed; closing again does nothing.
func (db *DB) Close() error {
	writer, open := <-db.writer
	if !open {
		return nil
	}
	close(db.writer)
	return errors.Join(db.readers.Close(), writer.Close())
}

// createPrivate makes the file before SQLite would: its log inherits the mode. An existing file is not
// opened here, because closing it would drop the locks that this process holds on it (POSIX).
func createPrivate(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

// makePrivate takes away from others what a copy that was put back may have given them. The log and
// its index took their mode from the file when it was opened.
func makePrivate(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Chmod(path+suffix, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkSize refuses a file too short for a header: SQLite would take it for an empty one, and write
// over it. With a journal beside, it is what a power cut has left of a new file.
func checkSize(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if _, err := os.Stat(path + "-journal"); err == nil || info.Size() == 0 || info.Size() >= smallestFile {
		return nil
	}
	return ErrNotDatabase
}

func openWriter(path string) (*sqlite.Conn, error) {
	if err := checkSize(path); err != nil {
		return nil, err
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	if err := prepareWriter(conn, path); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// prepareWriter looks whose file it is before it changes anything in it.
func prepareWriter(conn *sqlite.Conn, path string) error {
	conn.SetBusyTimeout(readersWait)
	if err := checkOwner(conn); err != nil {
		return err
	}
	if err := makePrivate(path); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := configure(conn); err != nil {
		return err
	}
	if err := useLog(conn); err != nil {
		return err
	}
	if err := migrate(conn); err != nil {
		return err
	}
	conn.SetBusyTimeout(busyWait)
	return nil
}

func prepareReader(conn *sqlite.Conn) error {
	conn.SetBusyTimeout(readersWait)
	if err := configure(conn); err != nil {
		return err
	}
	return execute(conn, "PRAGMA query_only = ON")
}

// configure sets what SQLite forgets with each connection. Full synchronisation is the promise of
// durability; fullfsync is what it takes on macOS. recursive_triggers lets "insert or replace" meet
// the triggers that forbid deletion. The schema of a file from elsewhere is not trusted.
func configure(conn *sqlite.Conn) error {
	for _, pragma := range []string{
		"synchronous = FULL", "fullfsync = ON", "checkpoint_fullfsync = ON",
		"foreign_keys = ON", "recursive_triggers = ON",
		"trusted_schema = OFF", "cell_size_check = ON",
		"cache_size = -65536",            // KiB
		"wal_autocheckpoint = 32768",     // pages: 128 MiB
		"journal_size_limit = 134217728", // bytes
	} {
		if err := execute(conn, "PRAGMA "+pragma); err != nil {
			return fmt.Errorf("store: %s: %w", pragma, err)
		}
	}
	return nil
}

// useLog turns the write-ahead log on; a file system without shared memory answers with another mode.
// Two programs that open a new file together both hold it shared and both want it whole: SQLite then
// refuses at once, whatever its busy timeout, and one of them has to let go and ask again.
func useLog(conn *sqlite.Conn) error {
	mode, err := queryText(conn, "PRAGMA journal_mode = WAL")
	for attempt := 1; isBusy(err) && attempt < logAttempts; attempt++ {
		time.Sleep(logWait + rand.N(logWait)) // not in step with the other
		mode, err = queryText(conn, "PRAGMA journal_mode = WAL")
	}
	if err != nil {
		return fmt.Errorf("store: write-ahead log: %w", err)
	}
	if mode != "wal" {
		return fmt.Errorf("store: this file system cannot keep a write-ahead log: journal mode is %q", mode)
	}
	return nil
}

// write runs fn in a transaction that no other writer may interleave with, and commits it when fn
// returns nil. fn runs again when another process held the file. An error of fn comes back as it is,
// and nothing is written. When ctx ends, its error is in the chain.
func (db *DB) write(ctx context.Context, fn func(*sqlite.Conn) error) error {
	conn, err := db.takeWriter(ctx)
	if err != nil {
		return err
	}
	defer func() { db.writer <- conn }()
	for attempt := 1; ; attempt++ {
		err := explain(ctx, writeOnce(ctx, conn, fn))
		if !isBusy(err) || attempt == busyAttempts {
			return err
		}
	}
}

func (db *DB) takeWriter(ctx context.Context) (*sqlite.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	select {
	case conn, open := <-db.writer:
		if !open {
			return nil, ErrClosed
		}
		return conn, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("store: %w", ctx.Err())
	}
}

func writeOnce(ctx context.Context, conn *sqlite.Conn, fn func(*sqlite.Conn) error) error {
	conn.SetInterrupt(ctx.Done())
	defer rollback(conn) // does nothing after a commit; also runs when fn panics
	if err := step(conn, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	if err := fn(conn); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return commit(conn)
}

// commit is not interrupted: who asked would not know whether it happened. SQLite ends a transaction
// by itself on some errors; had fn overlooked one, a commit would claim what was rolled back.
func commit(conn *sqlite.Conn) error {
	conn.SetInterrupt(nil)
	if conn.AutocommitEnabled() {
		return errors.New("store: the transaction was rolled back before its commit")
	}
	if err := step(conn, "COMMIT"); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	return nil
}

// rollback ends whatever is open. SetInterrupt also resets statements that fn left in the middle.
func rollback(conn *sqlite.Conn) {
	conn.SetInterrupt(nil)
	if !conn.AutocommitEnabled() {
		_ = step(conn, "ROLLBACK") // were it to fail, the next BEGIN says so
	}
}

// read runs fn on one snapshot of the file. It never waits for a writer.
func (db *DB) read(ctx context.Context, fn func(*sqlite.Conn) error) error {
	conn, err := db.readers.Take(ctx)
	if err != nil {
		return db.noReader(ctx, err)
	}
	defer db.readers.Put(conn)
	defer rollback(conn)
	if err := step(conn, "BEGIN"); err != nil {
		return explain(ctx, fmt.Errorf("store: begin: %w", err))
	}
	return explain(ctx, fn(conn))
}

func (db *DB) noReader(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("store: %w", ctx.Err())
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}

// explain tells an interruption by what caused it.
func explain(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && sqlite.ErrCode(err).ToPrimary() == sqlite.ResultInterrupt {
		return fmt.Errorf("store: %w", ctx.Err())
	}
	return err
}

func isBusy(err error) bool {
	return err != nil && sqlite.ErrCode(err).ToPrimary() == sqlite.ResultBusy
}

// step runs a statement that takes nothing and gives nothing, kept prepared.
func step(conn *sqlite.Conn, query string) error {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return err
	}
	return run(stmt)
}

// run executes a bound statement that gives no rows, and makes it ready for the next binding.
func run(stmt *sqlite.Stmt) error {
	if _, err := stmt.Step(); err != nil {
		return err
	}
	return stmt.Reset()
}

func execute(conn *sqlite.Conn, query string) error {
	return sqlitex.ExecuteTransient(conn, query, nil)
}

func queryText(conn *sqlite.Conn, query string) (text string, err error) {
	err = sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		text = stmt.ColumnText(0)
		return nil
	}})
	return text, err
}

func queryInt(conn *sqlite.Conn, query string) (number int64, err error) {
	err = sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		number = stmt.ColumnInt64(0)
		return nil
	}})
	return number, err
}
