package ridecode

import (
	"encoding/binary"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
)

const (
	clauseHeader = "document 1 §6.3.1"
	clauseGrant  = "document 1 §6.3.2"
	clauseProof  = "document 1 §6.3.3"
	clauseFormat = "document 1 §6.3"
)

// Unverified has the form of a ride code. Nobody has checked who made it, so it shows only what is
// needed to find the key that can check it.
type Unverified struct {
	code   Code
	raw    []byte
	data   []byte // institution data, what the institution signed
	signed []byte // version through generation time, what the phone signed
}

// Layout of a ride code (document 1 §6.3; wire-facts):
//
//	uint8  version                   -+
//	uint8  algorithm                  |
//	uint8  key id                     |
//	uint8  L                          |
//	[L]    institution data           |  signed by the user
//	uint8  n, then [n] institution    |
//	       signature, DER             |
//	uint8  4                          |
//	uint32 generation time           -+
//	uint8  n, then [n] user signature, DER

// Parse takes a code apart. It looks at form alone: every length adds up, nothing is left over, text
// is text. It accepts any version and algorithm whose bytes have this layout; Examine refuses those
// it does not know. The result keeps a copy of b.
func Parse(b []byte) (*Unverified, error) {
	if len(b) > MaxSize {
		return nil, &form.Error{Field: "code", Offset: MaxSize, Clause: clauseFormat, Why: "longer than any code can be"}
	}
	raw := append([]byte(nil), b...)
	u := &Unverified{raw: raw}
	r := form.NewReader(raw, 0)
	u.readGrant(r)
	u.readProof(r)
	r.End("end of the code", clauseFormat)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return u, nil
}

func (u *Unverified) readGrant(r *form.Reader) {
	u.code.Version = r.Uint8("version", clauseHeader)
	u.code.Algorithm = r.Uint8("algorithm", clauseHeader)
	u.code.KeyID = KeyID(r.Uint8("key id", clauseHeader))
	size := int(r.Uint8("institution data length", clauseGrant))
	offset := r.Offset()
	u.data = r.Bytes("institution data", clauseGrant, size)
	if r.Err() == nil {
		inner := form.NewReader(u.data, offset)
		u.code.Grant = readGrantData(inner)
		r.Join(inner)
	}
	u.code.GrantSignature = readSignature(r, "institution signature", clauseGrant)
}

// Layout of the institution data (document 1 §6.3.2):
//
//	[16]   user id            ASCII
//	uint32 expiry             Unix seconds
//	uint16 validity           seconds
//	uint16 limit              fen
//	[4]    user identity
//	[4]    institution code
//	[4]    reserved
//	[25]   user public key    compressed point
//	[8]    card type          ASCII
//	uint8  n, then [n] card number, ASCII
//	uint8  n, then [n] card data
func readGrantData(r *form.Reader) Grant {
	var g Grant
	g.UserID = UserID(r.Text("user id", clauseGrant, userIDSize))
	g.Expires = unixTime(r.Uint32("expiry", clauseGrant))
	g.ValidSec = r.Uint16("validity of a shown code", clauseGrant)
	g.LimitFen = money.Fen(r.Uint16("single-trade limit", clauseGrant))
	copy(g.Identity[:], r.Bytes("user identity", clauseGrant, 4))
	copy(g.Institution[:], r.Bytes("institution code", clauseGrant, 4))
	copy(g.Reserved[:], r.Bytes("reserved", clauseGrant, 4))
	copy(g.UserKey[:], r.Bytes("user public key", clauseGrant, userKeySize))
	g.CardType = CardType(r.Text("card type", clauseGrant, cardTypeSize))
	g.CardNo = CardNo(r.Text("card number", clauseGrant, int(r.Uint8("card number length", clauseGrant))))
	g.CardData = r.Bytes("card data", clauseGrant, int(r.Uint8("card data length", clauseGrant)))
	r.End("institution data length", clauseGrant)
	return g
}

func (u *Unverified) readProof(r *form.Reader) {
	if size := r.Uint8("user data length", clauseProof); r.Err() == nil && size != generatedSize {
		r.Fail("user data length", clauseProof, 1, "not 4: it covers the generation time alone")
	}
	u.code.Generated = unixTime(r.Uint32("generation time", clauseProof))
	u.signed = u.raw[:r.Offset()]
	u.code.ProofSignature = readSignature(r, "user signature", clauseProof)
}

func readSignature(r *form.Reader, field, clause string) []byte {
	size := int(r.Uint8(field+" length", clause))
	if r.Err() == nil && size == 0 {
		r.Fail(field+" length", clause, 1, "0: a code without this signature is not one")
	}
	return r.Bytes(field, clause, size)
}

func unixTime(seconds uint32) time.Time { return time.Unix(int64(seconds), 0).UTC() }

// KeyID is the key that the code says it was signed with.
func (u *Unverified) KeyID() KeyID { return u.code.KeyID }

// Bytes is the code as it came. The caller must not change it.
func (u *Unverified) Bytes() []byte { return u.raw }

// SkipVerification gives the fields of a code that nobody has checked. Anybody can write such bytes:
// use it to explain a code to a person, never to let somebody pass or to move money.
func (u *Unverified) SkipVerification() *Code {
	c := u.code
	return &c
}

// appendData writes the institution data without its length byte.
func (g *Grant) appendData(dst []byte) []byte {
	dst = append(dst, g.UserID...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(g.Expires.Unix()))
	dst = binary.BigEndian.AppendUint16(dst, g.ValidSec)
	dst = binary.BigEndian.AppendUint16(dst, uint16(g.LimitFen))
	dst = append(dst, g.Identity[:]...)
	dst = append(dst, g.Institution[:]...)
	dst = append(dst, g.Reserved[:]...)
	dst = append(dst, g.UserKey[:]...)
	dst = append(dst, g.CardType...)
	dst = append(dst, byte(len(g.CardNo)))
	dst = append(dst, g.CardNo...)
	dst = append(dst, byte(len(g.CardData)))
	return append(dst, g.CardData...)
}

// check refuses a grant whose fields do not fit into their bytes; the first one that does not is named.
func (g *Grant) check() error {
	switch {
	case len(g.UserID) != userIDSize || !form.IsPrintable(g.UserID):
		return fieldError("user id", clauseGrant, "not 16 characters of printable ASCII")
	case g.LimitFen < 0 || g.LimitFen > 65535:
		return fieldError("single-trade limit", clauseGrant, "not from 0 to 65535 fen")
	case len(g.CardType) != cardTypeSize || !form.IsPrintable(g.CardType):
		return fieldError("card type", clauseGrant, "not 8 characters of printable ASCII")
	case !form.IsPrintable(g.CardNo):
		return fieldError("card number", clauseGrant, "not printable ASCII")
	case len(g.CardNo)+len(g.CardData) > MaxCardSize:
		return fieldError("card data", clauseGrant, "card number and card data do not fit into 184 bytes")
	}
	return checkTime("expiry", clauseGrant, g.Expires)
}

func checkTime(field, clause string, t time.Time) error {
	if seconds := t.Unix(); seconds < 0 || seconds > 1<<32-1 {
		return fieldError(field, clause, "not a time between 1970 and 2106")
	}
	return nil
}

func fieldError(field, clause, why string) error {
	return &form.Error{Field: field, Offset: -1, Clause: clause, Why: why}
}
