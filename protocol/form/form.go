// Package form is the shape of a document (报文格式): one typed error that says where bytes are wrong, and a
// bounded reader that makes such errors by itself.
package form

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Error says that a document is not of its form: which field, at which byte, against which clause,
// and why. It never holds the field's content, which may be a secret or a card number.
type Error struct {
	Field  string // the field's name as the documents' tables have it, in English, as "card number length"
	Offset int    // of the field's first byte in the whole document, in bytes; -1 where there are no bytes
	Clause string // where the rule stands, as "document 1 §6.3.2"
	Why    string // half a sentence, for people
}

func (e *Error) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("%s: %s (%s)", e.Field, e.Why, e.Clause)
	}
	return fmt.Sprintf("%s at byte %d: %s (%s)", e.Field, e.Offset, e.Why, e.Clause)
}

// Reader takes a document apart from the front, a field at a time. The first fault stays: after it
// every read gives zeros, so that a parser reads all its fields and then asks Err once.
type Reader struct {
	rest   []byte
	offset int
	err    error
}

// NewReader reads b, whose first byte stands at offset in the whole document.
func NewReader(b []byte, offset int) *Reader { return &Reader{rest: b, offset: offset} }

// Offset is where the next field begins.
func (r *Reader) Offset() int { return r.offset }

// Err is the first fault, nil when all was well.
func (r *Reader) Err() error { return r.err }

// Fail keeps the first fault, about a field that begins size bytes back.
func (r *Reader) Fail(field, clause string, size int, why string) {
	if r.err == nil {
		r.err = &Error{Field: field, Offset: r.offset - size, Clause: clause, Why: why}
	}
}

// Bytes takes size bytes. The result shares memory with the document.
func (r *Reader) Bytes(field, clause string, size int) []byte {
	if r.err == nil && size > len(r.rest) {
		r.Fail(field, clause, 0, fmt.Sprintf("%d bytes announced, %d left", size, len(r.rest)))
	}
	if r.err != nil {
		return nil
	}
	taken := r.rest[:size:size]
	r.rest, r.offset = r.rest[size:], r.offset+size
	return taken
}

// Uint8 takes one byte.
func (r *Reader) Uint8(field, clause string) uint8 {
	if b := r.Bytes(field, clause, 1); b != nil {
		return b[0]
	}
	return 0
}

// Uint16 takes two bytes, big-endian.
func (r *Reader) Uint16(field, clause string) uint16 {
	if b := r.Bytes(field, clause, 2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// Uint32 takes four bytes, big-endian.
func (r *Reader) Uint32(field, clause string) uint32 {
	if b := r.Bytes(field, clause, 4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// Text takes size bytes of printable ASCII. Control bytes are refused: they would reach logs, file
// names and displays, where they can forge what people read.
func (r *Reader) Text(field, clause string, size int) string {
	b := r.Bytes(field, clause, size)
	if !IsPrintable(b) {
		r.Fail(field, clause, size, "not printable ASCII")
		return ""
	}
	return string(b)
}

// End refuses bytes after the last field: they would be signed by nobody.
func (r *Reader) End(field, clause string) {
	if r.err == nil && len(r.rest) > 0 {
		r.Fail(field, clause, 0, fmt.Sprintf("%d bytes too many", len(r.rest)))
	}
}

// IsPrintable tells whether b is ASCII from space to tilde.
func IsPrintable[T ~string | ~[]byte](b T) bool {
	for i := range len(b) {
		if b[i] < ' ' || b[i] > '~' {
			return false
		}
	}
	return true
}

// IsAlphanumeric tells whether b is letters and digits of ASCII alone, as card numbers are (document 2 §4.2.4.5).
func IsAlphanumeric[T ~string | ~[]byte](b T) bool {
	for i := range len(b) {
		if c := b[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// Join keeps the fault of a reader that read a part of this document.
func (r *Reader) Join(part *Reader) {
	if r.err == nil {
		r.err = part.err
	}
}

// AppendJSONString writes s as a JSON string, as short as it can be: only what JSON asks for is escaped.
func AppendJSONString(dst []byte, s string) []byte {
	buffer := bytes.NewBuffer(dst)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		panic("form: internal error: a string that JSON cannot write: " + err.Error())
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
}
