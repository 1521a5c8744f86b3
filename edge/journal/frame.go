package journal

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Kind says what a payload is. Its values belong to the caller.
type Kind byte

// Entry is one frame as it was appended.
type Entry struct {
	Seq     uint64 // 1 for the first entry of the file, then without a gap
	Kind    Kind
	Payload []byte // owned by the receiver
}

// Limits. They bound what a reader allocates for a file it does not trust.
const (
	MaxPayloadSize = 64 << 10 // bytes of one payload
	MaxWriteSize   = 1 << 20  // bytes of one write: all frames that share one sync
)

const (
	idSize     = 8
	magic      = "shuajnl1"
	headerSize = len(magic) + idSize + 4
	headSize   = 4 + 1 + 1 + 8 + 4
	sumSize    = 4
	frameSize  = headSize + sumSize // without payload

	// flagFirst marks the first frame of a write. It is written only after the write before it was
	// synced, so a frame that carries it proves that every byte in front of it was once on disk.
	flagFirst = 1
)

// The reasons why a frame cannot be read.
var (
	errShort  = errors.New("the file ends inside the frame")
	errHead   = errors.New("head checksum differs")
	errLength = errors.New("length above the limit")
	errFlags  = errors.New("unknown flags")
	errSeq    = errors.New("sequence number out of order")
	errSum    = errors.New("frame checksum differs")
)

func checksumTable() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// chain continues a checksum over more bytes: CRC-32C as if sum's bytes stood directly before b.
func chain(sum uint32, b []byte) uint32 { return crc32.Update(sum, checksumTable(), b) }

// position is the place between two frames: what the next frame must fit to.
type position struct {
	id  [idSize]byte // of this journal
	off int64        // offset of the next frame, bytes
	seq uint64       // of the frame before
	sum uint32       // checksum of the frame before; of the header at the start
}

// A file starts with a header:
//
//	 0       1       2       3       4       5       6       7
//	+-------+-------+-------+-------+-------+-------+-------+-------+
//	|  's'     'h'     'u'     'a'     'j'     'n'     'l'     '1'  |
//	+-------+-------+-------+-------+-------+-------+-------+-------+
//	|                       id, random, 8 bytes                     |
//	+-------+-------+-------+-------+-------+-------+-------+-------+
//	|     CRC-32C of the above      |
//	+-------+-------+-------+-------+
//
// The id keys every head checksum below: payloads come from strangers' phones, and a stranger who
// does not know the id cannot put bytes into a code that look like a frame of this file.
func newHeader() ([]byte, error) {
	header := append(make([]byte, 0, headerSize), magic...)
	id := make([]byte, idSize)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("journal: random id: %w", err)
	}
	header = append(header, id...)
	return binary.BigEndian.AppendUint32(header, chain(0, header)), nil
}

// parseHeader reads the layout above and returns the place of the first frame.
func parseHeader(b []byte) (position, bool) {
	if len(b) != headerSize || string(b[:len(magic)]) != magic {
		return position{}, false
	}
	sum := binary.BigEndian.Uint32(b[headerSize-4:])
	if chain(0, b[:headerSize-4]) != sum {
		return position{}, false
	}
	at := position{off: int64(headerSize), sum: sum}
	copy(at.id[:], b[len(magic):])
	return at, true
}

// head is the fixed part in front of a payload, already checked against its own checksum.
type head struct {
	length uint32
	kind   Kind
	flags  byte
	seq    uint64
}

// Then frames follow, all numbers big-endian:
//
//	 0       1       2       3
//	+-------+-------+-------+-------+
//	|  length of payload, 0..65536  |
//	+-------+-------+-------+-------+
//	| kind  | flags |               |    flags: bit 0 = first frame of a write; others 0
//	+-------+-------+               +
//	|       seq, 8 bytes            |    1, 2, 3, ... without a gap
//	+               +-------+-------+
//	|               | head sum      |    CRC-32C of id ‖ the 14 bytes above
//	+-------+-------+-------+-------+
//	| (cont.)       | payload ...   |
//	+-------+-------+-------+-------+
//	|          frame sum            |    CRC-32C of the frame sum before ‖ everything above
//	+-------+-------+-------+-------+
//
// The head sum stands alone so that a frame can be recognised behind a damaged one. The frame sum
// is chained, so frames cannot be dropped, swapped or taken from another journal.
func parseHead(id [idSize]byte, b []byte) (head, error) {
	if chain(chain(0, id[:]), b[:14]) != binary.BigEndian.Uint32(b[14:]) {
		return head{}, errHead
	}
	h := head{binary.BigEndian.Uint32(b), Kind(b[4]), b[5], binary.BigEndian.Uint64(b[6:])}
	if h.length > MaxPayloadSize {
		return head{}, errLength
	}
	if h.flags&^flagFirst != 0 {
		return head{}, errFlags
	}
	return h, nil
}

// readFrame reads the frame at the position and moves the position behind it. At the end of the
// file it returns io.EOF, for a frame that cannot be read one of the reasons above; the position
// then stays.
func (at *position) readFrame(r *bufio.Reader) (Entry, error) {
	var fixed [headSize]byte
	if n, err := io.ReadFull(r, fixed[:]); err != nil {
		return Entry{}, endOfFile(n, err)
	}
	h, err := parseHead(at.id, fixed[:])
	if err != nil {
		return Entry{}, err
	}
	rest := make([]byte, int(h.length)+sumSize)
	if _, err := io.ReadFull(r, rest); err != nil {
		return Entry{}, endOfFile(headSize, err)
	}
	payload := rest[:h.length:h.length]
	sum := chain(chain(at.sum, fixed[:]), payload)
	if sum != binary.BigEndian.Uint32(rest[h.length:]) {
		return Entry{}, errSum
	}
	if h.seq != at.seq+1 {
		return Entry{}, errSeq
	}
	at.off += int64(frameSize) + int64(h.length)
	at.seq, at.sum = h.seq, sum
	return Entry{h.seq, h.kind, payload}, nil
}

// endOfFile tells a clean end (nothing read) from a torn frame and from a failing disk.
func endOfFile(readSize int, err error) error {
	switch {
	case err == io.EOF && readSize == 0:
		return io.EOF
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return errShort
	}
	return &readError{err}
}

// readError is a disk that does not answer, as opposed to bytes that are wrong.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// appendFrame writes the frame that fits at the position and moves the position behind it.
func (at *position) appendFrame(dst []byte, kind Kind, flags byte, payload []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	dst = append(dst, byte(kind), flags)
	dst = binary.BigEndian.AppendUint64(dst, at.seq+1)
	dst = binary.BigEndian.AppendUint32(dst, chain(chain(0, at.id[:]), dst[start:]))
	dst = append(dst, payload...)
	at.sum = chain(at.sum, dst[start:])
	dst = binary.BigEndian.AppendUint32(dst, at.sum)
	at.off += int64(len(dst) - start)
	at.seq++
	return dst
}

// looksNew tells a file whose creation was cut short (no header yet, or part of one, or the zeros
// a file system shows for a header that never arrived) from a file that is not ours.
func looksNew(b []byte) bool {
	if len(b) > headerSize {
		return false
	}
	known := min(len(b), len(magic))
	return string(b[:known]) == magic[:known] || len(bytes.Trim(b, "\x00")) == 0
}
