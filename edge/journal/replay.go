package journal

import (
	"bufio"
	"encoding/hex"
	"io"
)

// Replay calls fn for every durable entry with a sequence number of at least from, in order. It
// covers what was on disk when it was called and may run beside Append. It stops at the first
// error of fn and returns it. Bytes that changed on disk since Open are a *DamageError.
func (j *Journal) Replay(from uint64, fn func(Entry) error) error {
	end, err := j.durable()
	if err != nil {
		return err
	}
	at, err := j.near(from)
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(io.NewSectionReader(j.disk, at.off, end.off-at.off), MaxPayloadSize)
	for at.seq < end.seq {
		before := at
		entry, err := at.readFrame(r)
		if err != nil {
			return &DamageError{Offset: before.off, Seq: before.seq + 1, Reason: err, Proof: "it was right when the journal was opened"}
		}
		if entry.Seq < from {
			continue
		}
		if err := fn(entry); err != nil {
			j.remember(before)
			return err
		}
	}
	j.remember(at)
	return nil
}

// near is where a replay from this number can begin: where the last one ended, or the start. A reader
// who follows the journal, as an uploader does, reads each frame once and not the whole file each time.
func (j *Journal) near(from uint64) (position, error) {
	j.mu.Lock()
	mark := j.mark
	j.mu.Unlock()
	if mark.off > 0 && mark.seq < from {
		return mark, nil
	}
	return j.start()
}

func (j *Journal) remember(at position) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mark = at
}

// ID names the journal: random, in its header since it was made. Who keeps a number of an entry
// elsewhere keeps the ID beside it, since another file begins with 1 again.
func (j *Journal) ID() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return hex.EncodeToString(j.synced.id[:])
}

// durable is the end of what Replay may show. A poisoned journal still shows what was acknowledged.
func (j *Journal) durable() (position, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed == ErrClosed {
		return position{}, ErrClosed
	}
	return j.synced, nil
}

func (j *Journal) start() (position, error) {
	header := make([]byte, headerSize)
	if _, err := j.disk.ReadAt(header, 0); err != nil {
		return position{}, err
	}
	at, ok := parseHeader(header)
	if !ok {
		return position{}, &DamageError{Offset: 0, Reason: errHead, Proof: "it was right when the journal was opened"}
	}
	return at, nil
}
