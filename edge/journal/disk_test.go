package journal

import (
	"errors"
	"io"
	"math/rand/v2"
)

// memoryDisk is a disk with a volatile cache: what was written after the last sync can be lost in
// any part when the power goes.
type memoryDisk struct {
	cached       []byte
	durable      []byte
	syncCount    int
	largestWrite int
	failWrite    error // the next WriteAt stores half and fails
	failSync     error
}

func newMemoryDisk() *memoryDisk { return &memoryDisk{} }

func (d *memoryDisk) ReadAt(b []byte, off int64) (int, error) {
	if off >= int64(len(d.cached)) {
		return 0, io.EOF
	}
	n := copy(b, d.cached[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (d *memoryDisk) WriteAt(b []byte, off int64) (int, error) {
	d.largestWrite = max(d.largestWrite, len(b))
	err := d.failWrite
	if err != nil {
		b, d.failWrite = b[:len(b)/2], nil
	}
	if need := int(off) + len(b); need > len(d.cached) {
		d.cached = append(d.cached, make([]byte, need-len(d.cached))...)
	}
	return copy(d.cached[off:], b), err
}

func (d *memoryDisk) Truncate(size int64) error {
	d.cached = d.cached[:size]
	return nil
}

// Sync that fails does what systems do: the pages count as clean from then on.
func (d *memoryDisk) Sync() error {
	if err := d.failSync; err != nil {
		d.failSync = nil
		return err
	}
	d.syncCount++
	d.durable = append([]byte(nil), d.cached...)
	return nil
}

func (d *memoryDisk) Size() (int64, error) { return int64(len(d.cached)), nil }
func (d *memoryDisk) Close() error         { return nil }

const sectorSize = 512

// powerCut returns what the disk holds afterwards: of the unsynced sectors any number in any
// combination, zeros where the size grew and the bytes did not come.
func (d *memoryDisk) powerCut(random *rand.Rand) *memoryDisk {
	size := len(d.durable)
	if grown := len(d.cached) - size; grown > 0 {
		size += random.IntN(grown + 1)
	} else {
		size = len(d.cached)
	}
	left := make([]byte, size)
	copy(left, d.durable)
	for start := 0; start < size; start += sectorSize {
		if random.IntN(2) == 0 {
			copy(left[start:min(start+sectorSize, size)], d.cached[start:])
		}
	}
	return &memoryDisk{cached: left, durable: append([]byte(nil), left...)}
}

var errDisk = errors.New("the disk is gone")

// deafDisk reads nothing.
type deafDisk struct{ *memoryDisk }

func (deafDisk) ReadAt([]byte, int64) (int, error) { return 0, errDisk }
