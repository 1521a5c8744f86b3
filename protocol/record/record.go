// Package record is the acceptance record (受理记录, document 1 §7), called offline record (脱机记录) in
// document 2: what a gate keeps of a code it let pass, and the proof that a merchant is paid for.
//
// A record holds the code as it was shown, what the terminal says of itself, the time, and an
// integrity value. Which algorithm makes that value is agreed between terminal and payment
// institution (document 1 §7.2.5): the record does not name it, see Integrity.
package record

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/shuama/shuama/protocol/form"
)

// Version is the layout of a record.
type Version uint8

// The layouts. Readers take both; a writer writes Version1 unless told otherwise (wire-facts).
const (
	Version1 Version = 1 // code, terminal information, time, integrity
	Version2 Version = 2 // the same with the software version before the integrity value
)

// MaxSize bounds a record: its two header bytes, and what twelve bits can count.
const MaxSize = 2 + 4095

const (
	timeSize = 4

	clauseHeader    = "document 1 §7.2.1"
	clauseCode      = "document 1 §7.2.2"
	clauseTerminal  = "document 1 §7.2.3"
	clauseTime      = "document 1 §7.2.4"
	clauseIntegrity = "document 1 §7.2.5"
	clauseSoftware  = "wire-facts, acceptance record of version 2"
)

// Record is an acceptance record taken apart.
type Record struct {
	Version   Version
	Code      []byte    // the ride code as it was shown, byte for byte
	Terminal  []byte    // the caller's pos_param, byte for byte; see ParseTerminalInfo
	Time      time.Time // 受理时间, whole seconds, UTC
	Software  string    // of the terminal, Version2 only
	Integrity []byte    // 完整性签名
}

// ID names a record: SHA-256 of its bytes.
type ID [sha256.Size]byte

// String is the identity in hex.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Identify names the record b.
func Identify(b []byte) ID { return sha256.Sum256(b) }

// Unverified has the form of a record; nobody has checked who wrote it.
type Unverified struct {
	record Record
	raw    []byte
	signed []byte // every byte before the integrity value's length
}

// Layout of a record (document 1 §7.2; wire-facts), all big-endian:
//
//	uint16 version << 12 | count of the bytes that follow  -+
//	uint16 n, then [n] ride code                            |
//	uint16 n, then [n] terminal information, JSON           |  covered by the
//	uint16 4, uint32   acceptance time, Unix seconds        |  integrity value
//	uint16 n, then [n] software version (version 2 only)   -+
//	uint16 n, then [n] integrity value

// Parse takes a record apart. Form alone is checked, and that of the record alone: the code inside is
// bytes here. The result keeps a copy of b.
func Parse(b []byte) (*Unverified, error) {
	if len(b) > MaxSize {
		return nil, &form.Error{Field: "record", Offset: MaxSize, Clause: clauseHeader, Why: "longer than 12 bits can count"}
	}
	u := &Unverified{raw: append([]byte(nil), b...)}
	r := form.NewReader(u.raw, 0)
	u.readHeader(r)
	u.readBody(r)
	r.End("record length", clauseHeader)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return u, nil
}

func (u *Unverified) readHeader(r *form.Reader) {
	header := r.Uint16("record header", clauseHeader)
	u.record.Version = Version(header >> 12)
	if v := u.record.Version; r.Err() == nil && v != Version1 && v != Version2 {
		r.Fail("record version", clauseHeader, 2, "neither 1 nor 2")
	}
	if count := int(header & 0xfff); r.Err() == nil && count != len(u.raw)-2 {
		r.Fail("record length", clauseHeader, 2, "not the count of the bytes that follow")
	}
}

func (u *Unverified) readBody(r *form.Reader) {
	c := &u.record
	c.Code = r.Bytes("code", clauseCode, int(r.Uint16("code length", clauseCode)))
	c.Terminal = r.Bytes("terminal information", clauseTerminal, int(r.Uint16("terminal information length", clauseTerminal)))
	if size := r.Uint16("acceptance time length", clauseTime); r.Err() == nil && size != timeSize {
		r.Fail("acceptance time length", clauseTime, 2, "not 4")
	}
	c.Time = time.Unix(int64(r.Uint32("acceptance time", clauseTime)), 0).UTC()
	if c.Version == Version2 {
		c.Software = r.Text("software version", clauseSoftware, int(r.Uint16("software version length", clauseSoftware)))
	}
	u.signed = u.raw[:r.Offset()]
	c.Integrity = r.Bytes("integrity value", clauseIntegrity, int(r.Uint16("integrity value length", clauseIntegrity)))
	if r.Err() == nil && len(c.Integrity) == 0 {
		r.Fail("integrity value length", clauseIntegrity, 2, "0: a record without integrity value proves nothing")
	}
}

// CodeBytes is the ride code inside, for ridecode.Examine. The caller must not change it.
func (u *Unverified) CodeBytes() []byte { return u.record.Code }

// Bytes is the record as it came. The caller must not change it.
func (u *Unverified) Bytes() []byte { return u.raw }

// SkipVerification gives the fields of a record that nobody has checked: to explain it to a person,
// or to find the terminal whose key can check it. Never to move money.
func (u *Unverified) SkipVerification() *Record {
	c := u.record
	return &c
}

// Append writes the record as it is on the wire, integrity value as given. A record that came from
// Parse always can be written, and gives back the same bytes.
func (c *Record) Append(dst []byte) ([]byte, error) {
	start := len(dst)
	dst, err := c.appendSigned(dst, len(c.Integrity))
	if err != nil {
		return dst[:start], err
	}
	return appendPart(dst, c.Integrity), nil
}

// appendSigned writes all that the integrity value covers; the header counts its integritySize bytes too.
func (c *Record) appendSigned(dst []byte, integritySize int) ([]byte, error) {
	count := 2 + len(c.Code) + 2 + len(c.Terminal) + 2 + timeSize + 2 + integritySize
	if c.Version == Version2 {
		count += 2 + len(c.Software)
	}
	if err := c.check(count); err != nil {
		return dst, err
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(c.Version)<<12|uint16(count))
	dst = appendPart(dst, c.Code)
	dst = appendPart(dst, c.Terminal)
	dst = binary.BigEndian.AppendUint16(dst, timeSize)
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.Time.Unix()))
	if c.Version == Version2 {
		dst = appendPart(dst, c.Software)
	}
	return dst, nil
}

func (c *Record) check(count int) error {
	switch seconds := c.Time.Unix(); {
	case c.Version != Version1 && c.Version != Version2:
		return fieldError("record version", clauseHeader, "neither 1 nor 2")
	case c.Version == Version1 && c.Software != "":
		return fieldError("software version", clauseSoftware, "version 1 has no room for it")
	case !form.IsPrintable(c.Software):
		return fieldError("software version", clauseSoftware, "not printable ASCII")
	case seconds < 0 || seconds > 1<<32-1:
		return fieldError("acceptance time", clauseTime, "not a time between 1970 and 2106")
	case count > MaxSize-2:
		return fieldError("record length", clauseHeader, "more than 4095 bytes: shorten the terminal information")
	}
	return nil
}

func appendPart[T string | []byte](dst []byte, part T) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(part)))
	return append(dst, part...)
}

func fieldError(field, clause, why string) error {
	return &form.Error{Field: field, Offset: -1, Clause: clause, Why: why}
}
