package postgres

import (
	"encoding/binary"
	"errors"
)

var errRecords = errors.New("the stored records of a trade are damaged")

const recordSizeSize = 4 // bytes before each record that say its size

// joinRecords writes records one after another, each with its size before it: one value a row, so that
// many rows fit into one array.
func joinRecords(records [][]byte) []byte {
	joined := []byte{} // not nil, which would be NULL
	for _, record := range records {
		joined = binary.BigEndian.AppendUint32(joined, uint32(len(record)))
		joined = append(joined, record...)
	}
	return joined
}

// splitRecords takes apart what joinRecords wrote. The records share joined's memory.
func splitRecords(joined []byte) (records [][]byte, err error) {
	for len(joined) > 0 {
		if len(joined) < recordSizeSize {
			return nil, errRecords
		}
		size := uint64(binary.BigEndian.Uint32(joined))
		joined = joined[recordSizeSize:]
		if size > uint64(len(joined)) {
			return nil, errRecords
		}
		records = append(records, joined[:size:size])
		joined = joined[size:]
	}
	return records, nil
}
