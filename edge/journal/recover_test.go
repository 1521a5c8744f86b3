package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// image is a journal file with the offset of each frame and the end as last offset.
func image(t *testing.T, payloads ...[]byte) (file []byte, offsets []int64) {
	t.Helper()
	d := newMemoryDisk()
	j := mustOpenDisk(t, d)
	for _, payload := range payloads {
		offsets = append(offsets, j.SizeBytes())
		mustAppend(t, j, payload)
	}
	return d.durable, append(offsets, j.SizeBytes())
}

func TestTornTailAtEveryLength(t *testing.T) {
	file, offsets := image(t, []byte("first"), []byte("second"), []byte("the last one"))
	lastStart := offsets[2]
	for size := lastStart; size < int64(len(file)); size++ {
		path := filepath.Join(t.TempDir(), "j")
		if err := os.WriteFile(path, file[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		j := mustOpen(t, path)
		if j.TornBytes() != size-lastStart || j.LastSeq() != 2 || j.SizeBytes() != lastStart {
			t.Fatalf("cut at %d: torn %d, last %d, size %d", size, j.TornBytes(), j.LastSeq(), j.SizeBytes())
		}
		if seq := mustAppend(t, j, []byte("again")); seq != 3 {
			t.Fatalf("cut at %d: next seq %d", size, seq)
		}
		mustClose(t, j)
		j = mustOpen(t, path)
		if j.TornBytes() != 0 || j.LastSeq() != 3 {
			t.Fatalf("cut at %d, reopened: torn %d, last %d", size, j.TornBytes(), j.LastSeq())
		}
		mustClose(t, j)
	}
}

func TestTornTailOfZeros(t *testing.T) {
	file, offsets := image(t, []byte("first"), []byte("second"))
	for _, zeros := range []int{1, headSize, frameSize, 512, 4096, MaxWriteSize} {
		d := &memoryDisk{cached: append(bytes.Clone(file), make([]byte, zeros)...)}
		j := mustOpenDisk(t, d)
		if j.TornBytes() != int64(zeros) || j.SizeBytes() != offsets[2] {
			t.Errorf("%d zeros: torn %d, size %d", zeros, j.TornBytes(), j.SizeBytes())
		}
	}
	d := &memoryDisk{cached: append(bytes.Clone(file), make([]byte, MaxWriteSize+1)...)}
	var damage *DamageError
	if _, err := open(d); !errors.As(err, &damage) || damage.Offset != offsets[2] {
		t.Errorf("more than one write of zeros: %v", err)
	}
}

func TestTornCreation(t *testing.T) {
	file, _ := image(t)
	for size := range headerSize {
		for name, content := range map[string][]byte{"bytes": file[:size], "zeros": make([]byte, size)} {
			j, err := open(&memoryDisk{cached: bytes.Clone(content)})
			if err != nil || j.TornBytes() != int64(size) || j.LastSeq() != 0 {
				t.Errorf("%d %s of the header: %v", size, name, err)
				continue
			}
			mustAppend(t, j, []byte("works"))
		}
	}
}

// TestBitFlipInTheMiddle flips every bit of an acknowledged frame that others follow. Each flip
// must be refused, name the frame, and leave the file as it is. The frame before last counts most:
// only one frame follows, and its chained checksum starts from bytes that may be the damaged ones.
func TestBitFlipInTheMiddle(t *testing.T) {
	file, offsets := image(t, []byte("first"), []byte("the second entry"), []byte("third"))
	for frame := range 2 {
		for bit := offsets[frame] * 8; bit < offsets[frame+1]*8; bit++ {
			flipped := bytes.Clone(file)
			flipped[bit/8] ^= 1 << (bit % 8)
			d := &memoryDisk{cached: bytes.Clone(flipped)}
			_, err := open(d)
			var damage *DamageError
			if !errors.As(err, &damage) || damage.Offset != offsets[frame] || damage.Seq != uint64(frame+1) {
				t.Fatalf("frame %d, bit %d: %v", frame+1, bit-offsets[frame]*8, err)
			}
			if !bytes.Equal(d.cached, flipped) {
				t.Fatalf("frame %d, bit %d: the file was changed", frame+1, bit-offsets[frame]*8)
			}
		}
	}
}

// TestBitFlipInTheLastFrame cannot be told from a torn write: the frame goes, and is counted.
func TestBitFlipInTheLastFrame(t *testing.T) {
	file, offsets := image(t, []byte("first"), []byte("second"))
	for bit := offsets[1] * 8; bit < offsets[2]*8; bit++ {
		flipped := bytes.Clone(file)
		flipped[bit/8] ^= 1 << (bit % 8)
		j, err := open(&memoryDisk{cached: flipped})
		if err != nil || j.LastSeq() != 1 || j.TornBytes() != offsets[2]-offsets[1] {
			t.Fatalf("bit %d: %v", bit-offsets[1]*8, err)
		}
	}
}

func TestBitFlipInTheHeader(t *testing.T) {
	file, _ := image(t, []byte("first"))
	for bit := range headerSize * 8 {
		flipped := bytes.Clone(file)
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, err := open(&memoryDisk{cached: flipped}); err == nil {
			t.Fatalf("bit %d was not seen", bit)
		}
	}
}

func TestLostSector(t *testing.T) {
	var payloads [][]byte
	for range 20 {
		payloads = append(payloads, bytes.Repeat([]byte{0xa5}, 300))
	}
	file, offsets := image(t, payloads...)
	for start := sectorSize; start+sectorSize < int(offsets[19]); start += sectorSize {
		lost := bytes.Clone(file)
		clear(lost[start : start+sectorSize])
		var damage *DamageError
		if _, err := open(&memoryDisk{cached: lost}); !errors.As(err, &damage) || damage.Offset > int64(start) {
			t.Fatalf("sector at %d: %v", start, err)
		}
	}
}

// TestFramesCannotBeMoved drops, swaps and repeats whole frames, and brings one from elsewhere.
func TestFramesCannotBeMoved(t *testing.T) {
	file, at := image(t, []byte("aaaa"), []byte("bbbb"), []byte("cccc"))
	other, _ := image(t, []byte("aaaa"), []byte("zzzz"), []byte("cccc"))
	header, a, b, c := file[:at[0]], file[at[0]:at[1]], file[at[1]:at[2]], file[at[2]:]
	for name, parts := range map[string][][]byte{
		"dropped":  {header, a, c},
		"swapped":  {header, b, a, c},
		"repeated": {header, a, a, b, c},
		"foreign":  {header, a, other[at[1]:at[2]], c},
	} {
		_, err := open(&memoryDisk{cached: bytes.Join(parts, nil)})
		var damage *DamageError
		if !errors.As(err, &damage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPayloadCannotPoseAsFrame: a stranger's code holds a frame of another journal. When the entry
// that keeps it is torn, the bytes must not pass for a later frame and block the terminal.
func TestPayloadCannotPoseAsFrame(t *testing.T) {
	other, offsets := image(t, []byte("a"), []byte("b"), []byte("c"))
	file, _ := image(t, other[offsets[2]:])
	j, err := open(&memoryDisk{cached: file[:len(file)-1]})
	if err != nil || j.LastSeq() != 0 || j.TornBytes() == 0 {
		t.Fatalf("torn entry with a frame inside: %v", err)
	}
}

// TestPowerCut is the promise of the package: whatever part of the unsynced bytes a disk keeps,
// the journal opens, every acknowledged entry is there, and nothing else than what was written.
func TestPowerCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		d := newMemoryDisk()
		var written [][]byte
		ackedCount := 0
		for range rapid.IntRange(1, 4).Draw(t, "powerCuts") {
			j, err := open(d)
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			if err := holds(j, written, ackedCount); err != nil {
				t.Fatal(err)
			}
			written = written[:j.LastSeq()]
			ackedCount = len(written)
			for range rapid.IntRange(0, 3).Draw(t, "appends") {
				batch := randomBatch(random, rapid.IntRange(1, 8).Draw(t, "batchSize"))
				if _, err := j.AppendBatch(batch); err != nil {
					t.Fatal(err)
				}
				written = appendPayloads(written, batch)
				ackedCount = len(written)
			}
			batch := randomBatch(random, rapid.IntRange(1, 8).Draw(t, "lostBatchSize"))
			d.failSync = errDisk // written, never synced
			if _, err := j.AppendBatch(batch); !errors.Is(err, ErrPoisoned) || !errors.Is(err, errDisk) {
				t.Fatalf("append without sync: %v", err)
			}
			written = appendPayloads(written, batch)
			d = d.powerCut(random)
		}
		j, err := open(d)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		if err := holds(j, written, ackedCount); err != nil {
			t.Fatal(err)
		}
	})
}

func randomBatch(random *rand.Rand, count int) []Record {
	batch := make([]Record, count)
	for i := range batch {
		batch[i].Payload = make([]byte, random.IntN(700))
		for k := range batch[i].Payload {
			batch[i].Payload[k] = byte(random.Uint32())
		}
	}
	return batch
}

func appendPayloads(written [][]byte, batch []Record) [][]byte {
	for _, r := range batch {
		written = append(written, r.Payload)
	}
	return written
}

func holds(j *Journal, written [][]byte, ackedCount int) error {
	if last := int(j.LastSeq()); last < ackedCount || last > len(written) {
		return fmt.Errorf("%d entries, %d acknowledged, %d written", last, ackedCount, len(written))
	}
	return j.Replay(0, func(e Entry) error {
		if !bytes.Equal(e.Payload, written[e.Seq-1]) {
			return fmt.Errorf("entry %d differs", e.Seq)
		}
		return nil
	})
}

func TestDeafDiskIsNoDamage(t *testing.T) {
	file, _ := image(t, []byte("first"))
	d := deafDisk{&memoryDisk{cached: bytes.Clone(file)}}
	_, err := open(d)
	var damage *DamageError
	if !errors.Is(err, errDisk) || errors.As(err, &damage) || !bytes.Equal(d.cached, file) {
		t.Fatalf("a disk that cannot be read: %v", err)
	}
}

func TestReplaySeesLaterDamage(t *testing.T) {
	d := newMemoryDisk()
	j := mustOpenDisk(t, d)
	mustAppend(t, j, []byte("first"))
	offset := j.SizeBytes()
	mustAppend(t, j, []byte("second"))
	d.cached[offset+headSize] ^= 1
	count := 0
	err := j.Replay(0, func(Entry) error { count++; return nil })
	var damage *DamageError
	if !errors.As(err, &damage) || damage.Offset != offset || count != 1 {
		t.Fatalf("%d entries, %v", count, err)
	}
}

// FuzzOpen feeds any file. Open must not fail in an unexpected way, must leave refused files as
// they are, and what it accepts must be the same after it is opened again.
func FuzzOpen(f *testing.F) {
	d := newMemoryDisk()
	j := mustOpenDisk(f, d)
	for _, payload := range []string{"", "first", "second"} {
		if _, err := j.AppendBatch([]Record{{1, []byte(payload)}, {2, nil}}); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(d.durable, uint16(0), byte(0))
	f.Add(d.durable[:len(d.durable)-1], uint16(40), byte(1))
	f.Add([]byte{}, uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, file []byte, at uint16, flip byte) {
		file = bytes.Clone(file)
		if int(at) < len(file) {
			file[at] ^= flip
		}
		d := &memoryDisk{cached: bytes.Clone(file)}
		j, err := open(d)
		if err != nil {
			if !bytes.Equal(d.cached, file) {
				t.Fatal("a refused file was changed")
			}
			return
		}
		last := j.LastSeq()
		again := mustOpenDisk(t, d)
		if again.TornBytes() != 0 || again.LastSeq() != last {
			t.Fatalf("opened again: torn %d, last %d, was %d", again.TornBytes(), again.LastSeq(), last)
		}
		if seq := mustAppend(t, again, []byte("next")); seq != last+1 {
			t.Fatalf("next seq %d after %d", seq, last)
		}
	})
}

// FuzzReadFrame: what the reader accepts, the writer writes back byte for byte.
func FuzzReadFrame(f *testing.F) {
	var start position
	f.Add(start.appendFrame(nil, 3, flagFirst, []byte("payload")), uint32(0), uint64(0))
	f.Add([]byte{0, 0, 0, 1}, uint32(1), uint64(9))
	f.Fuzz(func(t *testing.T, b []byte, sum uint32, seq uint64) {
		checkFrame(t, position{sum: sum, seq: seq}, b)
		// Let the fuzzer behind the checksums: make its bytes a frame that fits.
		if len(b) > 1 {
			fits := position{sum: sum, seq: seq}
			checkFrame(t, position{sum: sum, seq: seq}, fits.appendFrame(nil, Kind(b[0]), b[1]&flagFirst, b[2:]))
		}
	})
}
