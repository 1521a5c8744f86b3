package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/shuama/shuama/protocol/form"
)

const clauseDelta = "trust delta 1"

const deltaMagic = "SMTD"

// What a delta says of a section.
const (
	changeNone  = 0
	changeWhole = 1
	changePatch = 2 // deny list only
)

// UnverifiedDelta has the form of a delta. Nobody has checked who made it.
type UnverifiedDelta struct {
	raw, signed []byte
	signer      SignerID
	delta       Delta
}

// Delta leads from one trust bundle to another, of which it carries the signature: what Apply gives is
// the other bundle byte for byte, and is checked as any bundle is. The delta's own signature keeps
// strangers from making a terminal work.
type Delta struct {
	fromSerial      uint64
	fromDigest      Digest
	toDigest        Digest
	head            []byte
	changes         [sectionCount]change
	bundleSignature []byte
	toSerial        uint64
}

type change struct {
	kind           byte
	section        section
	removed, added denyList
}

// Layout of a delta, all big-endian:
//
//	[4]    "SMTD"                                                         -+
//	uint8  1                                                               |
//	[8]    signer, as in a bundle                                          |
//	uint64 serial of the bundle that it leads from                         |
//	[32]   SHA-256 of that bundle                                          |
//	[32]   SHA-256 of the bundle that it leads to                          |  signed, behind
//	[39]   that bundle's first bytes, through the grace limit              |  "shuama trust delta 1\n"
//	four times, for each section:                                          |
//	       uint8 0: as before                                              |
//	       uint8 1: uint32 version, uint32 n, then [n] section             |
//	       uint8 2: uint32 version, deny list of what goes, and of what    |
//	                comes; an entry whose reason changed is in both        |
//	[64]   that bundle's signature                                        -+
//	[64]   signature, Ed25519

// ParseDelta takes a delta apart. Form alone is checked. The result keeps a copy of b.
func ParseDelta(b []byte) (*UnverifiedDelta, error) {
	if len(b) > MaxBundleSize {
		return nil, &form.Error{Field: "trust delta", Offset: MaxBundleSize, Clause: clauseDelta, Why: "longer than 8 MiB"}
	}
	u := &UnverifiedDelta{raw: bytes.Clone(b)}
	r := form.NewReader(u.raw, 0)
	readMagic(r, deltaMagic)
	copy(u.signer[:], r.Bytes("signer", clauseDelta, signerSize))
	u.delta.read(r, u.raw)
	u.signed = u.raw[:r.Offset()]
	r.Bytes("signature", clauseDelta, ed25519.SignatureSize)
	r.End("end of the delta", clauseDelta)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return u, nil
}

func (d *Delta) read(r *form.Reader, raw []byte) {
	d.fromSerial = readUint64(r, "serial of the bundle before")
	copy(d.fromDigest[:], r.Bytes("digest of the bundle before", clauseDelta, len(d.fromDigest)))
	copy(d.toDigest[:], r.Bytes("digest of the bundle after", clauseDelta, len(d.toDigest)))
	start := r.Offset()
	d.toSerial = readHead(r).serial
	d.head = raw[start:r.Offset()]
	if r.Err() == nil && d.toSerial <= d.fromSerial {
		r.Fail("serial", clauseDelta, headSize, "not above that of the bundle before")
	}
	for i := range d.changes {
		d.changes[i] = readChange(r, i, raw)
	}
	d.bundleSignature = r.Bytes("signature of the bundle after", clauseDelta, ed25519.SignatureSize)
}

func readChange(r *form.Reader, i int, raw []byte) change {
	c := change{kind: r.Uint8(sectionName(i)+" change", clauseDelta)}
	switch {
	case c.kind == changeNone:
	case c.kind == changeWhole:
		c.section.version = r.Uint32(sectionName(i)+" version", clauseDelta)
		size := r.Uint32(sectionName(i)+" length", clauseDelta)
		c.section.content = r.Bytes(sectionName(i), clauseDelta, int(min(size, math.MaxInt32)))
	case c.kind == changePatch && i == sectionDenyList:
		c.section.version = r.Uint32(sectionName(i)+" version", clauseDelta)
		c.removed = readDenyList(r, raw[r.Offset():])
		c.added = readDenyList(r, raw[r.Offset():])
	default:
		r.Fail(sectionName(i)+" change", clauseDelta, 1, "of no kind known here")
	}
	return c
}

// Verify checks the delta's own signature.
func (u *UnverifiedDelta) Verify(authority Authority) (*Delta, error) {
	if err := authority.check(u.signer, domainDelta, u.signed, u.raw[len(u.signed):]); err != nil {
		return nil, err
	}
	d := u.delta
	return &d, nil
}

// Serials are the bundles that the delta leads from and to.
func (d *Delta) Serials() (from, to uint64) { return d.fromSerial, d.toSerial }

// Apply gives the bundle that the delta leads to, to be verified as any other. It asks for the very
// bundle that the delta was made from, and holds the result to the announced bytes.
func (d *Delta) Apply(b *Bundle) (*Unverified, error) {
	if b.Serial() != d.fromSerial || b.Digest() != d.fromDigest {
		return nil, refuse(WrongBase, "the delta leads from another bundle (serial %d) than the one that is here (serial %d)", d.fromSerial, b.Serial())
	}
	out := bytes.Clone(d.head)
	for i, c := range d.changes {
		out = c.apply(b.u, i).append(out)
	}
	out = append(out, d.bundleSignature...)
	if sha256.Sum256(out) != d.toDigest {
		return nil, refuse(WrongResult, "the delta does not lead to the bundle that it announces: fetch the whole bundle")
	}
	return Parse(out)
}

func (c *change) apply(u *Unverified, i int) section {
	switch c.kind {
	case changeNone:
		return u.sections[i]
	case changeWhole:
		return c.section
	}
	patched := u.denied.patch(&c.removed, &c.added)
	return section{version: c.section.version, content: patched.append(nil)}
}

// NewDelta writes what leads from one bundle to another, which must be its successor. A section that
// changed and kept its version is an error: terminals ask for what is newer by version.
func NewDelta(from, to *Bundle, authority Signer) ([]byte, error) {
	if err := to.Succeeds(from.Mark()); err != nil {
		return nil, err
	}
	if from.Serial() == to.Serial() {
		return nil, bundleError("serial", "the two bundles are one")
	}
	signer := NameSigner(authority.PublicKey())
	body := append(append([]byte(deltaMagic), formVersion), signer[:]...)
	body = binary.BigEndian.AppendUint64(body, from.Serial())
	fromDigest, toDigest := from.Digest(), to.Digest()
	body = append(append(body, fromDigest[:]...), toDigest[:]...)
	body = append(body, to.u.raw[:headSize]...)
	for i := range sectionCount {
		var err error
		if body, err = appendChange(body, from.u, to.u, i); err != nil {
			return nil, err
		}
	}
	body = append(body, to.u.raw[len(to.u.signed):]...)
	return appendSignature(body, domainDelta, authority)
}

func appendChange(dst []byte, from, to *Unverified, i int) ([]byte, error) {
	before, after := from.sections[i], to.sections[i]
	switch same := bytes.Equal(before.content, after.content); {
	case same && before.version == after.version:
		return append(dst, changeNone), nil
	case before.version == after.version:
		return nil, bundleError(sectionName(i)+" version", "the section changed and kept its version")
	case i != sectionDenyList:
		return after.append(append(dst, changeWhole)), nil
	}
	removed, added := from.denied.diff(&to.denied)
	dst = binary.BigEndian.AppendUint32(append(dst, changePatch), after.version)
	return added.append(removed.append(dst)), nil
}
