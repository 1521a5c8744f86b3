package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// DamageError says that bytes which were once safely on disk have changed. The file is left as it
// is: copy it, mend or replace the disk, and decide by hand what becomes of the entries.
type DamageError struct {
	Offset int64  // of the frame that cannot be read, bytes from the start of the file
	Seq    uint64 // the sequence number it should have
	Reason error  // why it cannot be read
	Proof  string // why this is no write that a power cut interrupted
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("damaged at offset %d, entry %d: %v; %s; nothing was changed", e.Offset, e.Seq, e.Reason, e.Proof)
}

func (e *DamageError) Unwrap() error { return e.Reason }

// recover finds the end of the journal, cuts off what a power cut left behind it, and syncs: a
// process that was killed between write and sync leaves frames that only the system's memory holds.
func (j *Journal) recover() error {
	size, err := j.disk.Size()
	if err != nil {
		return err
	}
	at, err := j.readHeader(size)
	if err != nil {
		return err
	}
	if at.off > size {
		size = at.off // the header was made just now
	}
	reason, err := at.scan(j.disk, size)
	if err != nil {
		return err
	}
	if reason != nil {
		if err := j.cutTorn(at, size, reason); err != nil {
			return err
		}
	}
	j.end, j.synced = at, at
	return j.disk.Sync()
}

// readHeader returns the place of the first frame. A file whose creation was cut short starts anew.
func (j *Journal) readHeader(size int64) (position, error) {
	b := make([]byte, min(size, int64(headerSize)+1))
	if _, err := j.disk.ReadAt(b, 0); err != nil && err != io.EOF {
		return position{}, err
	}
	if at, ok := parseHeader(b[:min(len(b), headerSize)]); ok {
		return at, nil
	}
	if !looksNew(b) {
		return position{}, errors.New("not a journal, or its first 20 bytes are damaged; nothing was changed")
	}
	return j.writeHeader(size)
}

func (j *Journal) writeHeader(tornBytes int64) (position, error) {
	header, err := newHeader()
	if err != nil {
		return position{}, err
	}
	if err := j.disk.Truncate(0); err != nil {
		return position{}, err
	}
	if _, err := j.disk.WriteAt(header, 0); err != nil {
		return position{}, err
	}
	j.tornBytes = tornBytes
	at, _ := parseHeader(header)
	return at, nil
}

// scan moves to the end of the last frame that can be read. It returns why the next one cannot,
// nil if the file ends there; err is a disk that does not answer.
func (at *position) scan(d disk, size int64) (reason, err error) {
	r := bufio.NewReaderSize(io.NewSectionReader(d, at.off, size-at.off), MaxPayloadSize)
	for {
		_, reason := at.readFrame(r)
		var failing *readError
		switch {
		case errors.As(reason, &failing):
			return nil, failing
		case reason == io.EOF:
			return nil, nil
		case reason != nil:
			return reason, nil
		}
	}
}

// cutTorn cuts the file at the position if what follows can be a write that was cut short, and
// refuses otherwise. Damage in the newest write cannot be told from a write cut short: TornBytes
// is then the only trace.
func (j *Journal) cutTorn(at position, size int64, reason error) error {
	proof, err := j.proofOfDamage(at, size, reason)
	if err != nil {
		return err
	}
	if proof != "" {
		return &DamageError{Offset: at.off, Seq: at.seq + 1, Reason: reason, Proof: proof}
	}
	j.tornBytes = size - at.off
	return j.disk.Truncate(at.off)
}

func (j *Journal) proofOfDamage(at position, size int64, reason error) (string, error) {
	switch {
	case reason == errSeq || reason == errFlags || reason == errLength:
		return "its checksum is right, so a program wrote it that way", nil
	case size-at.off > MaxWriteSize:
		return fmt.Sprintf("%d bytes follow, more than one write has", size-at.off), nil
	}
	next, err := findFirst(j.disk, at, size)
	if err != nil || next == 0 {
		return "", err
	}
	return fmt.Sprintf("a later write follows at offset %d", next), nil
}

// findFirst looks from the position on, at every byte, for the head of a later frame that opened a
// write. Such a frame proves that everything in front of it had been synced, so the damage is no
// torn write. Frames inside a write prove nothing: a disk may store the end of a write before its
// middle. It returns 0 if there is none.
func findFirst(d disk, at position, size int64) (int64, error) {
	r := bufio.NewReaderSize(io.NewSectionReader(d, at.off, size-at.off), MaxPayloadSize)
	for off := at.off; ; off++ {
		b, err := r.Peek(headSize)
		if err == io.EOF {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		h, err := parseHead(at.id, b)
		if err == nil && h.flags&flagFirst != 0 && h.seq > at.seq+1 {
			return off, nil
		}
		if _, err := r.Discard(1); err != nil {
			return 0, err
		}
	}
}
