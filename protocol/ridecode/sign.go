package ridecode

import (
	"crypto/sha1"
	"encoding/binary"
	"time"

	"github.com/shuama/shuama/protocol/form"
)

// SignedGrant is a grant with its institution's signature (机构授权数据 with 授权数据签名), as the
// institution hands it to the phone: the front of every code that the phone will show.
type SignedGrant struct {
	raw   []byte
	keyID KeyID
	grant Grant
}

// Sign makes the institution's statement: the grant in bytes, and its signature by the key keyID
// over SHA-1 of them (document 1 §8.1; wire-facts). A field that does not fit is an error naming it.
func (g Grant) Sign(keyID KeyID, institution Signer) (SignedGrant, error) {
	if err := g.check(); err != nil {
		return SignedGrant{}, err
	}
	data := g.appendData(nil)
	signature, err := institution.SignDER(grantDigest(data))
	if err != nil {
		return SignedGrant{}, err
	}
	return ParseSignedGrant(appendSignedGrant(nil, Version, Algorithm1, keyID, data, signature))
}

// ParseSignedGrant takes a stored grant apart again. Form alone is checked, as by Parse.
func ParseSignedGrant(b []byte) (SignedGrant, error) {
	u := &Unverified{raw: append([]byte(nil), b...)}
	r := form.NewReader(u.raw, 0)
	u.readGrant(r)
	r.End("end of the grant", clauseGrant)
	if err := r.Err(); err != nil {
		return SignedGrant{}, err
	}
	if u.code.Version != Version || u.code.Algorithm != Algorithm1 {
		return SignedGrant{}, fieldError("version", clauseHeader, "a grant of another version or algorithm")
	}
	return SignedGrant{raw: u.raw, keyID: u.code.KeyID, grant: u.code.Grant}, nil
}

// Grant is what was signed.
func (s SignedGrant) Grant() Grant { return s.grant }

// KeyID is the institution key that signed.
func (s SignedGrant) KeyID() KeyID { return s.keyID }

// Bytes is the grant as it is handed on and stored. The caller must not change it.
func (s SignedGrant) Bytes() []byte { return s.raw }

// Show makes the phone's statement, "shown at this moment", and with it a whole ride code: the
// grant, now in whole seconds, and the phone's signature over SHA-1 of both (document 1 §8.2;
// wire-facts). It checks nothing: role/wallet does.
func (s SignedGrant) Show(now time.Time, phone Signer) ([]byte, error) {
	if err := checkTime("generation time", clauseProof, now); err != nil {
		return nil, err
	}
	code := append(make([]byte, 0, len(s.raw)+80), s.raw...)
	code = append(code, generatedSize)
	code = binary.BigEndian.AppendUint32(code, uint32(now.Unix()))
	digest := sha1.Sum(code)
	signature, err := phone.SignDER(digest[:])
	if err != nil {
		return nil, err
	}
	return append(append(code, byte(len(signature))), signature...), nil
}

func appendSignedGrant(dst []byte, version, algorithm uint8, keyID KeyID, data, signature []byte) []byte {
	dst = append(dst, version, algorithm, byte(keyID), byte(len(data)))
	dst = append(dst, data...)
	dst = append(dst, byte(len(signature)))
	return append(dst, signature...)
}
