// Package packing is how a store keeps the records of a trade (受理记录) in one column: one after another, each
// with its size before it. Every database keeps them alike, so that books can be carried over.
package packing

import (
	"encoding/binary"
	"errors"
)

// ErrDamaged says that bytes were not written by JoinRecords.
var ErrDamaged = errors.New("packing: the stored records of a trade are damaged")

const recordSizeSize = 4 // bytes before each record that say its size, most significant first

// JoinRecords packs records. The result is never nil, which a database would take for NULL.
func JoinRecords(records [][]byte) []byte {
	size := 0
	for _, record := range records {
		size += recordSizeSize + len(record)
	}
	joined := make([]byte, 0, size)
	for _, record := range records {
		joined = binary.BigEndian.AppendUint32(joined, uint32(len(record)))
		joined = append(joined, record...)
	}
	return joined
}

// SplitRecords takes apart what JoinRecords packed; the records share joined's memory.
func SplitRecords(joined []byte) (records [][]byte, err error) {
	for len(joined) > 0 {
		if len(joined) < recordSizeSize {
			return nil, ErrDamaged
		}
		size := uint64(binary.BigEndian.Uint32(joined))
		joined = joined[recordSizeSize:]
		if size > uint64(len(joined)) {
			return nil, ErrDamaged
		}
		records = append(records, joined[:size:size])
		joined = joined[size:]
	}
	return records, nil
}
