package postgres

import (
	"bytes"
	"errors"
	"testing"
)

func TestSplitRecords(t *testing.T) {
	for _, records := range [][][]byte{nil, {{}}, {{1}}, {{}, {1, 2}, {}, bytes.Repeat([]byte{7}, 70_000)}} {
		got, err := splitRecords(joinRecords(records))
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
		if got, err := splitRecords([]byte(damaged)); !errors.Is(err, errRecords) {
			t.Errorf("%x: %x, %v", damaged, got, err)
		}
	}
}

func FuzzSplitRecords(f *testing.F) {
	f.Add([]byte{})
	f.Add(joinRecords([][]byte{{1, 2, 3}, {}, {4}}))
	f.Fuzz(func(t *testing.T, joined []byte) {
		records, err := splitRecords(joined)
		if err == nil && !bytes.Equal(joinRecords(records), joined) {
			t.Fatalf("%x split and joined is %x", joined, joinRecords(records))
		}
	})
}
