package trust

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"math"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

// The sections, in their order.
const (
	sectionKeys = iota
	sectionCardRules
	sectionDenyList
	sectionClock
	sectionCount
)

func sectionName(i int) string {
	return [sectionCount]string{"keys", "card rules", "deny list", "clock"}[i]
}

const (
	bundleMagic = "SMTB"
	formVersion = 1
	headSize    = 4 + 1 + signerSize + 8 + 4*4 + 2
)

// Unverified has the form of a trust bundle. Nobody has checked who made it, so it shows nothing.
type Unverified struct {
	raw      []byte
	signed   []byte // all but the signature
	head     head
	sections [sectionCount]section

	keys      []EncodedKey
	cardRules [][]byte // cardRuleSize each
	denied    denyList
	clock     Clock
}

type head struct {
	signer                                   SignerID
	serial                                   uint64
	issued, alarmFrom, staleAfter, deadAfter time.Time
	graceLimitFen                            money.Fen
}

type section struct {
	version uint32
	content []byte
}

// Layout of a bundle, all big-endian:
//
//	[4]    "SMTB"                                              -+
//	uint8  1                                                    |
//	[8]    signer: first bytes of SHA-256 of the public key     |
//	uint64 serial                                               |
//	uint32 issued                       Unix seconds            |  signed, behind the text
//	uint32 alarm from                                           |  "shuama trust bundle 1\n"
//	uint32 stale after                                          |
//	uint32 dead after                                           |
//	uint16 grace limit                  fen                     |
//	four times: uint32 version, uint32 n, then [n] section     -+
//	[64]   signature, Ed25519
//
// The sections:
//
//	keys       uint16 count; for each, strictly ascending by id: uint8 id, uint8 algorithm, uint8 n, [n] key
//	card rules uint16 count; for each, strictly ascending: [8] card type, uint8 which of the next two are
//	           asked for (1 institution, 2 class), [4] institution code, [4] user class
//	deny list  see readDenyList
//	clock      uint16 future, uint16 largest skew, uint16 cap of a code's validity, in seconds
//
// Every list has one order and every field one way to be written, so that two authorities with the same
// content write the same bytes, and a delta can be held to the bytes of the bundle it leads to.

// Parse takes a bundle apart. Form alone is checked. The result keeps a copy of b.
func Parse(b []byte) (*Unverified, error) {
	if len(b) > MaxBundleSize {
		return nil, &form.Error{Field: "trust bundle", Offset: MaxBundleSize, Clause: clauseBundle, Why: "longer than 8 MiB"}
	}
	u := &Unverified{raw: bytes.Clone(b)}
	r := form.NewReader(u.raw, 0)
	u.head = readHead(r)
	for i := range u.sections {
		u.sections[i] = u.readSection(r, i)
	}
	u.signed = u.raw[:r.Offset()]
	r.Bytes("signature", clauseBundle, ed25519.SignatureSize)
	r.End("end of the bundle", clauseBundle)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return u, nil
}

func readHead(r *form.Reader) head {
	var h head
	readMagic(r, bundleMagic)
	copy(h.signer[:], r.Bytes("signer", clauseBundle, signerSize))
	if h.serial = readUint64(r, "serial"); r.Err() == nil && (h.serial == 0 || h.serial > MaxSerial) {
		r.Fail("serial", clauseBundle, 8, "not from 1 to 9223372036854775807")
	}
	h.issued, h.alarmFrom = readTime(r, "issued"), readTime(r, "alarm from")
	h.staleAfter, h.deadAfter = readTime(r, "stale after"), readTime(r, "dead after")
	if r.Err() == nil && (h.alarmFrom.Before(h.issued) || h.staleAfter.Before(h.alarmFrom) || h.deadAfter.Before(h.staleAfter)) {
		r.Fail("issued", clauseBundle, 16, "issued, alarm, stale and dead are not in this order")
	}
	h.graceLimitFen = money.Fen(r.Uint16("grace limit", clauseBundle))
	return h
}

func (h head) append(dst []byte) []byte {
	dst = append(append(append(dst, bundleMagic...), formVersion), h.signer[:]...)
	dst = binary.BigEndian.AppendUint64(dst, h.serial)
	for _, t := range []time.Time{h.issued, h.alarmFrom, h.staleAfter, h.deadAfter} {
		dst = binary.BigEndian.AppendUint32(dst, uint32(t.Unix()))
	}
	return binary.BigEndian.AppendUint16(dst, uint16(h.graceLimitFen))
}

// readSection reads the frame of section i, and what is in it.
func (u *Unverified) readSection(r *form.Reader, i int) section {
	s := section{version: r.Uint32(sectionName(i)+" version", clauseBundle)}
	size := r.Uint32(sectionName(i)+" length", clauseBundle)
	offset := r.Offset()
	s.content = r.Bytes(sectionName(i), clauseBundle, int(min(size, math.MaxInt32)))
	if r.Err() != nil {
		return section{}
	}
	inner := form.NewReader(s.content, offset)
	switch i {
	case sectionKeys:
		u.keys = readKeys(inner)
	case sectionCardRules:
		u.cardRules = readCardRules(inner)
	case sectionDenyList:
		u.denied = readDenyList(inner, s.content)
	case sectionClock:
		u.clock = readClock(inner)
	}
	inner.End(sectionName(i)+" length", clauseBundle)
	r.Join(inner)
	return s
}

func (s section) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, s.version)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s.content)))
	return append(dst, s.content...)
}

func readKeys(r *form.Reader) []EncodedKey {
	count := int(r.Uint16("count of keys", clauseBundle))
	if count > MaxKeys {
		r.Fail("count of keys", clauseBundle, 2, "more than 256")
	}
	var keys []EncodedKey
	for i := range min(count, MaxKeys) {
		key := EncodedKey{ID: ridecode.KeyID(r.Uint8("key id", clauseBundle)), Algorithm: KeyAlgorithm(r.Uint8("key algorithm", clauseBundle))}
		key.Public = r.Bytes("key", clauseBundle, int(r.Uint8("key length", clauseBundle)))
		if r.Err() == nil && i > 0 && key.ID <= keys[i-1].ID {
			r.Fail("key id", clauseBundle, 3+len(key.Public), "not strictly ascending")
		}
		if r.Err() != nil {
			return nil
		}
		keys = append(keys, key)
	}
	return keys
}

func appendKeys(dst []byte, keys []EncodedKey) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(keys)))
	for _, key := range keys {
		dst = append(dst, byte(key.ID), byte(key.Algorithm), byte(len(key.Public)))
		dst = append(dst, key.Public...)
	}
	return dst
}

func readCardRules(r *form.Reader) [][]byte {
	count := int(r.Uint16("count of card rules", clauseBundle))
	if count > MaxCardRules {
		r.Fail("count of card rules", clauseBundle, 2, "more than 4096")
	}
	var rules [][]byte
	for i := range min(count, MaxCardRules) {
		rule := r.Bytes("card rule", clauseBundle, cardRuleSize)
		if r.Err() == nil && i > 0 && bytes.Compare(rules[i-1], rule) >= 0 {
			r.Fail("card rule", clauseBundle, cardRuleSize, "not strictly ascending")
		}
		if r.Err() != nil {
			return nil
		}
		rules = append(rules, rule)
	}
	return rules
}

func readClock(r *form.Reader) Clock {
	return Clock{
		Policy:      ridecode.ClockPolicy{FutureSec: int64(r.Uint16("future", clauseBundle))},
		MaxSkewSec:  r.Uint16("largest skew", clauseBundle),
		ValidCapSec: r.Uint16("cap of validity", clauseBundle),
	}
}

func (c Clock) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(c.Policy.FutureSec))
	dst = binary.BigEndian.AppendUint16(dst, c.MaxSkewSec)
	return binary.BigEndian.AppendUint16(dst, c.ValidCapSec)
}

func (u *Unverified) versions() Versions {
	return Versions{Keys: u.sections[sectionKeys].version, CardRules: u.sections[sectionCardRules].version,
		DenyList: u.sections[sectionDenyList].version, Clock: u.sections[sectionClock].version}
}

// Bytes is the bundle as it came. The caller must not change it.
func (u *Unverified) Bytes() []byte { return u.raw }

func readMagic(r *form.Reader, magic string) {
	if b := r.Bytes("magic", clauseBundle, len(magic)); r.Err() == nil && string(b) != magic {
		r.Fail("magic", clauseBundle, len(magic), "not "+magic)
	}
	if version := r.Uint8("form version", clauseBundle); r.Err() == nil && version != formVersion {
		r.Fail("form version", clauseBundle, 1, "not 1")
	}
}

func readCount(r *form.Reader, field string, countMax uint32) int {
	count := r.Uint32(field, clauseBundle)
	if count > countMax {
		r.Fail(field, clauseBundle, 4, "more than a bundle can hold")
		return 0
	}
	return int(count)
}

func readUint64(r *form.Reader, field string) uint64 {
	if b := r.Bytes(field, clauseBundle, 8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func readTime(r *form.Reader, field string) time.Time {
	return time.Unix(int64(r.Uint32(field, clauseBundle)), 0).UTC()
}

func bundleError(field, why string) error {
	return &form.Error{Field: field, Offset: -1, Clause: clauseBundle, Why: why}
}
