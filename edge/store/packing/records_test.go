package packing

import (
	"bytes"
	"errors"
	"testing"
)

func TestSplitRecords(t *testing.T) {
	for _, records := range [][][]byte{nil, {{}}, {{1}}, {{}, {1, 2}, {}, bytes.Repeat([]byte{7}, 70_000)}} {
		got, err := SplitRecords(JoinRecords(records))
		if err != nil || len(got) != len(records) {
			t.Fatalf("%d records became %d, %v", len(records), len(got), err)
		}
		for i := range records {
			if !bytes.Equal(got[i], records[i]) {
				t.Errorf("record %d of %d", i, len(records))
			}
		}
	}
	for _, damaged := range []string{"\x00", "\x00\x00\x00", "\x00\x00\x00\x01", "\x00\x00\x00\x02a", "\xff\xff\xff\xff", "\x00\x00\x00\x00\x00"} {
		if got, err := SplitRecords([]byte(damaged)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%x: %x, %v", damaged, got, err)
		}
	}
}

func FuzzSplitRecords(f *testing.F) {
	f.Add([]byte{})
	f.Add(JoinRecords([][]byte{{1, 2, 3}, {}, {4}}))
	f.Fuzz(func(t *testing.T, joined []byte) {
		records, err := SplitRecords(joined)
		if err == nil && !bytes.Equal(JoinRecords(records), joined) {
			t.Fatalf("%x split and joined is %x", joined, JoinRecords(records))
		}
	})
}
