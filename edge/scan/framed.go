package scan

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrFrame answers a raw frame with a length of zero or above MaxPayloadSize. The stream has lost
// its step then: close it and open the scanner again.
var ErrFrame = errors.New("scan: frame length out of range")

// ReadFramed reads one payload of raw bytes:
//
//	 0       1       2
//	+-------+-------+------- ... ---+
//	| length, 1..4097 |  payload    |    length big-endian, without itself
//	+-------+-------+------- ... ---+
//
// At the end of the stream it returns io.EOF, inside a frame io.ErrUnexpectedEOF.
func ReadFramed(r io.Reader) ([]byte, error) {
	var prefix [2]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		if err == io.EOF {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("scan: frame length: %w", err)
	}
	size := int(binary.BigEndian.Uint16(prefix[:]))
	if size == 0 || size > MaxPayloadSize {
		return nil, fmt.Errorf("%w: %d, want 1..%d", ErrFrame, size, MaxPayloadSize)
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // the length promised more
		}
		return nil, fmt.Errorf("scan: frame of %d bytes: %w", size, err)
	}
	return payload, nil
}

// AppendFramed writes what ReadFramed reads. Errors: ErrFrame; dst is returned unchanged.
func AppendFramed(dst, payload []byte) ([]byte, error) {
	if len(payload) == 0 || len(payload) > MaxPayloadSize {
		return dst, fmt.Errorf("%w: %d, want 1..%d", ErrFrame, len(payload), MaxPayloadSize)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(payload)))
	return append(dst, payload...), nil
}

// ReadLine reads one line for ParseText, without its end ("\n" or "\r\n"). A line above
// MaxLineSize is passed over whole and reported as ErrText, so the next call starts at the next
// line. The last line may lack its end. At the end of the stream it returns io.EOF.
func ReadLine(r *bufio.Reader) (string, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		if tooLong = tooLong || len(line)+len(part) > MaxLineSize+len("\r\n"); !tooLong {
			line = append(line, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err != nil && (err != io.EOF || len(line) == 0 && !tooLong):
			return "", err
		case tooLong:
			return "", fmt.Errorf("%w: a line of more than %d bytes", ErrText, MaxLineSize)
		}
		return string(trimLineEnd(line)), nil
	}
}

func trimLineEnd(line []byte) []byte {
	for _, end := range []byte("\n\r") {
		if n := len(line); n > 0 && line[n-1] == end {
			line = line[:n-1]
		}
	}
	return line
}
