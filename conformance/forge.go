package conformance

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"time"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// forge makes codes, honest and forged ones, for the moment at. Its private keys are drawn from names that
// everybody can read: they sign nothing but this suite.
type forge struct {
	at          time.Time
	institution *secp256k1.PrivateKey // key id 0
	second      *secp256k1.PrivateKey // key id 1
	outsider    *secp256k1.PrivateKey // an attacker's
	phone       *secp192k1.PrivateKey // of the rider whose grant it is
	thief       *secp192k1.PrivateKey // another phone
}

func newForge(at time.Time) *forge {
	return &forge{at: at.UTC(), institution: key256("institution 0"), second: key256("institution 1"), outsider: key256("outsider"),
		phone: key192("phone"), thief: key192("thief")}
}

// key256 draws a key from a name. That it cannot be one has a chance of 2^-128.
func key256(name string) *secp256k1.PrivateKey {
	seed := sha256.Sum256([]byte("shuama conformance " + name))
	return must(secp256k1.ParsePrivateKey(seed[:]))
}

func key192(name string) *secp192k1.PrivateKey {
	seed := sha256.Sum256([]byte("shuama conformance " + name))
	return must(secp192k1.ParsePrivateKey(seed[:24]))
}

// must is for what can only fail by a fault of this package.
func must[T any](value T, err error) T {
	if err != nil {
		panic("conformance: internal error: " + err.Error())
	}
	return value
}

func keyLine(id int, public *secp256k1.PublicKey) string {
	return fmt.Sprintf("%d=%X", id, public.Bytes())
}

// cardTypes are what a verifier takes, where a case does not say otherwise.
func cardTypes() []string { return []string{string(ridecode.PlainCardType), "GJ310000"} }

// step is a code at a verifier that knows both institution keys, at the moment of the forge.
func (f *forge) step(expect ridecode.Verdict, check string, code []byte) Step {
	return Step{Keys: []string{keyLine(0, f.institution.PublicKey()), keyLine(1, f.second.PublicKey())}, CardTypes: cardTypes(),
		POSParam: posParam(1), AmountFen: 200, At: f.at.Format(time.RFC3339), Expect: expect.String(), Check: check, Bytes: code}
}

// posParam is that of tap number.
func posParam(number int) string {
	return string(record.TerminalInfo{POSID: "sh001", Kind: record.Single, Subject: "bus192", RecordID: fmt.Sprintf("%06d", number)}.JSON())
}

func (f *forge) grant() ridecode.Grant {
	return ridecode.Grant{UserID: "2088000011112222", Expires: f.at.Add(7 * 24 * time.Hour), ValidSec: 600, LimitFen: 3000,
		Identity: ridecode.Quad{0, 0, 0, 7}, UserKey: ridecode.UserKey(f.phone.PublicKey().Bytes()), CardType: ridecode.PlainCardType, CardNo: "2088000011112222"}
}

// card is a grant with a virtual card.
func (f *forge) card() ridecode.Grant {
	g := f.grant()
	g.CardType, g.CardNo, g.CardData = "GJ310000", "3100001", []byte{0, 1, 0xfe, 0xff}
	return g
}

// draft is a code in its parts, each of which may lie.
type draft struct {
	version, algorithm, keyID byte
	dataLength                int // what the length byte says; below zero: the truth
	data                      []byte
	grantLength               int // the same of the institution signature
	grantSignature            []byte
	timeLength                byte
	times                     []byte
	proofLength               int // and of the user signature
	proof                     []byte
	tail                      []byte
}

// draft signs the grant and shows it now, all as it should be.
func (f *forge) draft(g ridecode.Grant) *draft { return f.draftAt(g, f.at) }

func (f *forge) draftAt(g ridecode.Grant, shown time.Time) *draft {
	signed := must(g.Sign(0, f.institution)).Bytes()
	d := &draft{version: ridecode.Version, algorithm: ridecode.Algorithm1, dataLength: -1, grantLength: -1, proofLength: -1, timeLength: 4,
		data: bytes.Clone(signed[4 : 4+int(signed[3])]), times: unix(shown)}
	return d.certify(f.institution).show(f.phone)
}

func unix(t time.Time) []byte { return binary.BigEndian.AppendUint32(nil, uint32(t.Unix())) }

// certify signs the institution data as it is now.
func (d *draft) certify(key ridecode.Signer) *draft {
	d.grantSignature = must(key.SignDER(hash(d.data)))
	return d
}

// show signs everything that a phone signs, as it is now.
func (d *draft) show(key ridecode.Signer) *draft {
	d.proof = must(key.SignDER(hash(d.signedByPhone())))
	return d
}

func hash(b []byte) []byte {
	digest := sha1.Sum(b)
	return digest[:]
}

func (d *draft) appendGrant(dst []byte) []byte {
	dst = append(dst, d.version, d.algorithm, d.keyID, length(d.dataLength, d.data))
	dst = append(dst, d.data...)
	dst = append(dst, length(d.grantLength, d.grantSignature))
	return append(dst, d.grantSignature...)
}

func (d *draft) signedByPhone() []byte {
	return append(append(d.appendGrant(nil), d.timeLength), d.times...)
}

// bytes is the code as it is shown.
func (d *draft) bytes() []byte {
	code := append(d.signedByPhone(), length(d.proofLength, d.proof))
	return append(append(code, d.proof...), d.tail...)
}

func length(said int, part []byte) byte {
	if said >= 0 {
		return byte(said)
	}
	return byte(len(part))
}

// Places in the institution data (document 1 §6.3.2).
const (
	atUserID      = 0
	atExpires     = 16
	atValid       = 20
	atLimit       = 22
	atIdentity    = 24
	atInstitution = 28
	atReserved    = 32
	atUserKey     = 36
	atCardType    = 61
	atCardNoSize  = 69
	atCardNo      = 70
)

// put writes over the institution data.
func (d *draft) put(at int, b ...byte) *draft {
	copy(d.data[at:], b)
	return d
}

func (d *draft) putLimit(fen money.Fen) *draft { return d.put(atLimit, byte(fen>>8), byte(fen)) }

// integers takes a DER signature apart, as this package made it: both lengths are below 128.
func integers(der []byte) (r, s *big.Int) {
	size := int(der[3])
	return new(big.Int).SetBytes(der[4 : 4+size]), new(big.Int).SetBytes(der[6+size:])
}

// sequence writes an ASN.1 SEQUENCE of INTEGERs with these contents.
func sequence(contents ...[]byte) []byte {
	var body []byte
	for _, content := range contents {
		body = append(append(body, 2, byte(len(content))), content...)
	}
	return append([]byte{0x30, byte(len(body))}, body...)
}

// content is a positive number as an INTEGER has it.
func content(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) == 0 || b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return b
}

// The orders of the two groups (SEC 2 §2.2.1 and §2.4.1).
func order192() *big.Int { return hexNumber("fffffffffffffffffffffffe26f2fc170f69466a74defd8d") }
func order256() *big.Int {
	return hexNumber("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
}

func hexNumber(text string) *big.Int {
	n, _ := new(big.Int).SetString(text, 16)
	return n
}

// twin is the other signature that is as good as this one: (r, n−s).
func twin(der []byte, order *big.Int) []byte {
	r, s := integers(der)
	return sequence(content(r), content(new(big.Int).Sub(order, s)))
}

// highS is whichever of the two has the larger s.
func highS(der []byte, order *big.Int) []byte {
	if _, s := integers(der); s.Cmp(new(big.Int).Rsh(order, 1)) > 0 {
		return der
	}
	return twin(der, order)
}

func parse256(b []byte) (*secp256k1.PrivateKey, error) { return secp256k1.ParsePrivateKey(b) }

func isPoint192(compressed []byte) bool {
	_, err := secp192k1.ParsePublicKey(compressed)
	return err == nil
}

// uncompressed192 is a point on secp192k1 as 04 ‖ x ‖ y: y² = x³ + 3 (SEC 2 §2.2.1).
func uncompressed192(compressed []byte) []byte {
	p := hexNumber("fffffffffffffffffffffffffffffffffffffffeffffee37")
	x := new(big.Int).SetBytes(compressed[1:])
	y := new(big.Int).Exp(x, big.NewInt(3), p)
	y.ModSqrt(y.Add(y, big.NewInt(3)), p)
	if y.Bit(0) != uint(compressed[0]&1) {
		y.Sub(p, y)
	}
	return append(append([]byte{4}, compressed[1:]...), y.FillBytes(make([]byte, 24))...)
}
