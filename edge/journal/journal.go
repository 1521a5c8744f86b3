// Package journal is 受理日志, the terminal's append-only synced file: what it has acknowledged is on
// disk, and stays there.
//
// A terminal saves the acceptance record before the gate opens and refuses if it cannot be saved.
// Append returns only after the bytes are synced, so the gate may open when Append has returned.
// After a power cut Open keeps every acknowledged entry and cuts off the write that was under way.
// A file that is damaged in front of acknowledged entries is refused with the offset: what was
// accepted is money owed, and no part of it is ever dropped in silence.
//
// Entries are opaque. The file format is described in frame.go, above the code that reads it.
package journal

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

var (
	// ErrLocked says that another Journal, here or in another process, has the file open.
	ErrLocked = errors.New("journal: the file is in use by another process")
	// ErrClosed answers every call after Close.
	ErrClosed = errors.New("journal: closed")
	// ErrTooLarge answers a payload or a batch above the limits. Nothing was written.
	ErrTooLarge = errors.New("journal: too large")
	// ErrPoisoned answers every Append after a write or a sync failed. The system may have thrown
	// away the unsynced bytes and report success from then on, so success would prove nothing.
	// Close, look after the disk, and Open again: Open drops cached pages and tells what is on disk.
	ErrPoisoned = errors.New("journal: an earlier write or sync failed; close and open again")
)

// disk is what a journal asks of its file. Sync returns when data and size are durable.
type disk interface {
	ReadAt(b []byte, off int64) (int, error)
	WriteAt(b []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Size() (int64, error)
	Close() error
}

// Journal is an open, locked file. Its methods may be called at the same time.
type Journal struct {
	disk      disk
	tornBytes int64

	mu     sync.Mutex // guards the fields below; never held during I/O
	end    position   // where the next frame goes once the queue is written
	synced position   // where the durable part ends
	mark   position   // where the last replay ended
	queue  []*write   // not yet taken to the disk, in order of seq
	failed error      // set once, final

	diskMu sync.Mutex // held while writing; taken before mu
}

// write is a run of frames that go to the disk together, with one sync.
type write struct {
	off    int64
	frames []byte
	after  position
	done   bool // guarded by diskMu
	err    error
}

// Open opens or creates the journal at path, mode 0600, and locks it.
//
// It reads every frame. A write that was cut short is cut off (see TornBytes); everything in front
// of it is kept and synced. Errors: ErrLocked; *DamageError, the file is left as it is; a file that
// is not a journal is refused and left as it is; otherwise the error of the system.
func Open(path string) (*Journal, error) {
	file, err := openLocked(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %s: %w", path, err)
	}
	j, err := open(file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("journal: %s: %w", path, err), file.Close())
	}
	if err := syncParent(path); err != nil {
		return nil, errors.Join(fmt.Errorf("journal: %s: sync the folder: %w", path, err), file.Close())
	}
	return j, nil
}

func open(d disk) (*Journal, error) {
	j := &Journal{disk: d}
	if err := j.recover(); err != nil {
		return nil, err
	}
	return j, nil
}

// openLocked opens the file without changing it. It drops pages that the system holds in memory as
// clean: after a failed sync those can hold bytes that never reached the disk.
func openLocked(path string) (disk, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New("not a regular file"), err, file.Close())
	}
	dropCleanPages(file)
	return osFile{file}, nil
}

// Record is one entry to append.
type Record struct {
	Kind    Kind
	Payload []byte
}

// Append writes one entry and returns its sequence number after the entry is on disk. Appends
// that wait for the disk at the same time share one sync. Errors: ErrTooLarge, ErrClosed,
// ErrPoisoned (with its cause); only after ErrTooLarge it is worth to go on.
func (j *Journal) Append(kind Kind, payload []byte) (seq uint64, err error) {
	return j.AppendBatch([]Record{{kind, payload}})
}

// AppendBatch appends the records in order with one sync and returns the sequence number of the
// first; the others follow without a gap. It returns when all are on disk. After a power cut
// before that, any number of the first records can be there.
func (j *Journal) AppendBatch(records []Record) (firstSeq uint64, err error) {
	size, err := batchSize(records)
	if err != nil {
		return 0, err
	}
	w, firstSeq, err := j.enqueue(records, size)
	if err != nil {
		return 0, err
	}
	if err := j.flush(w); err != nil {
		return 0, err
	}
	return firstSeq, nil
}

func batchSize(records []Record) (size int, err error) {
	if len(records) == 0 {
		return 0, errors.New("journal: empty batch")
	}
	for i, r := range records {
		if len(r.Payload) > MaxPayloadSize {
			return 0, fmt.Errorf("%w: payload %d has %d bytes, limit %d", ErrTooLarge, i, len(r.Payload), MaxPayloadSize)
		}
		size += frameSize + len(r.Payload)
		if size > MaxWriteSize {
			return 0, fmt.Errorf("%w: %d records need more than %d bytes", ErrTooLarge, len(records), MaxWriteSize)
		}
	}
	return size, nil
}

// enqueue gives the records their numbers and their place in the file.
func (j *Journal) enqueue(records []Record, size int) (*write, uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return nil, 0, j.failed
	}
	w := j.lastWrite(size)
	firstSeq := j.end.seq + 1
	for _, r := range records {
		var flags byte
		if len(w.frames) == 0 {
			flags = flagFirst
		}
		w.frames = j.end.appendFrame(w.frames, r.Kind, flags, r.Payload)
	}
	w.after = j.end
	return w, firstSeq, nil
}

// lastWrite returns the waiting write that still has room, or a new one.
func (j *Journal) lastWrite(size int) *write {
	if n := len(j.queue); n > 0 && len(j.queue[n-1].frames)+size <= MaxWriteSize {
		return j.queue[n-1]
	}
	w := &write{off: j.end.off}
	j.queue = append(j.queue, w)
	return w
}

// flush takes writes to the disk until w is there. Whoever holds the disk works for all that wait.
func (j *Journal) flush(w *write) error {
	j.diskMu.Lock()
	defer j.diskMu.Unlock()
	for !w.done {
		next := j.dequeue()
		next.err = j.commit(next)
		next.done = true
	}
	return w.err
}

// dequeue takes the oldest write. The queue is not empty: flush asks only while its own is in it.
func (j *Journal) dequeue() *write {
	j.mu.Lock()
	defer j.mu.Unlock()
	next := j.queue[0]
	j.queue = j.queue[1:]
	return next
}

// commit makes one write durable, or poisons the journal.
func (j *Journal) commit(w *write) error {
	if err := j.failure(); err != nil {
		return err
	}
	_, err := j.disk.WriteAt(w.frames, w.off)
	if err == nil {
		err = j.disk.Sync()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.failed = fmt.Errorf("%w: %w", ErrPoisoned, err)
		return j.failed
	}
	j.synced = w.after
	return nil
}

func (j *Journal) failure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// LastSeq is the number of the newest entry on disk, 0 for an empty journal.
func (j *Journal) LastSeq() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.synced.seq
}

// SizeBytes is the length of the durable file.
func (j *Journal) SizeBytes() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.synced.off
}

// TornBytes is how many bytes Open cut off: a write that no Append ever acknowledged.
func (j *Journal) TornBytes() int64 { return j.tornBytes }

// Close unlocks the file. Appends that have not reached the disk yet get ErrClosed.
func (j *Journal) Close() error {
	j.diskMu.Lock()
	defer j.diskMu.Unlock()
	j.mu.Lock()
	already := errors.Is(j.failed, ErrClosed)
	j.failed = ErrClosed
	j.mu.Unlock()
	if already {
		return ErrClosed
	}
	return j.disk.Close()
}
