package conformance

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"math/big"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// malformed is a case whose one right answer is MALFORMED_QRCODE. change works on an honest draft.
func malformed(name, clause, about, check string, change func(*forge, *draft)) recipe {
	return recipe{name: name, clause: clause, about: about, expect: ridecode.MalformedQRCode, check: check, code: func(f *forge) []byte {
		d := f.draft(f.grant())
		change(f, d)
		return d.bytes()
	}}
}

// Nobody's signature must never count as somebody's.
func stripped() group {
	zeros := func(size int) []byte { return make([]byte, size) }
	nothing := sequence(zeros(1), zeros(1))
	return group{"stripped", "signatures taken away or made of nothing", "anybody writes codes of any rider without any key", []recipe{
		malformed("institution-signature-empty", clauseGrant, "the institution signature has no bytes; the phone signed that", ridecode.CheckForm,
			func(f *forge, d *draft) { d.grantSignature = nil; d.show(f.phone) }),
		malformed("user-signature-empty", clauseProof, "the user signature has no bytes", ridecode.CheckForm, func(_ *forge, d *draft) { d.proof = nil }),
		malformed("both-empty", clauseGrant, "neither signature has bytes", ridecode.CheckForm, func(_ *forge, d *draft) { d.grantSignature, d.proof = nil, nil }),
		{name: "ends-after-data", clause: clauseGrant, about: "the code ends behind the institution data", expect: ridecode.MalformedQRCode, check: ridecode.CheckForm,
			code: func(f *forge) []byte { d := f.draft(f.grant()); return d.bytes()[:4+len(d.data)] }},
		{name: "ends-after-grant", clause: clauseProof, about: "the grant alone, as the phone stores it: a genuine first level without a second", expect: ridecode.MalformedQRCode, check: ridecode.CheckForm,
			allows: "whoever once copied a grant, a thief of backups or the institution's own staff, rides on it without the phone's key",
			code:   func(f *forge) []byte { return f.draft(f.grant()).appendGrant(nil) }},
		{name: "ends-after-time", clause: clauseProof, about: "the code ends behind the generation time", expect: ridecode.MalformedQRCode, check: ridecode.CheckForm,
			code: func(f *forge) []byte { return f.draft(f.grant()).signedByPhone() }},
		malformed("user-signature-one-zero", clausePhone, "a user signature of one zero byte", ridecode.CheckUserSignature, func(_ *forge, d *draft) { d.proof = zeros(1) }),
		malformed("user-signature-zeros", clausePhone, "a user signature of 55 zero bytes", ridecode.CheckUserSignature, func(_ *forge, d *draft) { d.proof = zeros(55) }),
		malformed("institution-signature-zeros", clauseIssuer, "an institution signature of 71 zero bytes; the phone signed that", ridecode.CheckInstitutionSignature,
			func(f *forge, d *draft) { d.grantSignature = zeros(71); d.show(f.phone) }),
		malformed("user-r-s-zero", clausePhone, "a user signature of two integers 0, good for every message where nobody checks their range", ridecode.CheckUserSignature,
			func(_ *forge, d *draft) { d.proof = nothing }),
		malformed("institution-r-s-zero", clauseIssuer, "an institution signature of two integers 0; the phone signed that", ridecode.CheckInstitutionSignature,
			func(f *forge, d *draft) { d.grantSignature = nothing; d.show(f.phone) }),
		malformed("user-r-s-order", clausePhone, "both integers of the user signature are the order: 0 once they are reduced", ridecode.CheckUserSignature,
			func(_ *forge, d *draft) { d.proof = sequence(content(order192()), content(order192())) }),
		malformed("institution-r-s-order", clauseIssuer, "both integers of the institution signature are the order; the phone signed that", ridecode.CheckInstitutionSignature,
			func(f *forge, d *draft) {
				d.grantSignature = sequence(content(order256()), content(order256()))
				d.show(f.phone)
			}),
		malformed("user-s-zero", clausePhone, "a user signature with r = 1 and s = 0, which has no inverse", ridecode.CheckUserSignature,
			func(_ *forge, d *draft) { d.proof = sequence([]byte{1}, zeros(1)) }),
	}}
}

// A genuine signature of something else must not count for this.
func swapped() group {
	return group{"swapped", "genuine signatures in places where they do not belong", "a rider turns one grant into another, or a thief uses a grant without its phone", []recipe{
		malformed("signatures-exchanged", clauseIssuer, "each signature stands in the other's place", ridecode.CheckInstitutionSignature,
			func(_ *forge, d *draft) { d.grantSignature, d.proof = d.proof, d.grantSignature }),
		malformed("signature-of-another-grant", clauseIssuer, "a genuine institution signature, of the same user's card of last week; the phone signed anew", ridecode.CheckInstitutionSignature,
			func(f *forge, d *draft) { d.grantSignature = f.draft(f.card()).grantSignature; d.show(f.phone) }),
		malformed("proof-of-another-moment", clausePhone, "a genuine user signature, of the code shown a minute before", ridecode.CheckUserSignature,
			func(f *forge, d *draft) { d.proof = f.draftAt(f.grant(), f.at.Add(-time.Minute)).proof }),
		malformed("other-phone", clausePhone, "a genuine grant, shown by a phone that it does not name", ridecode.CheckUserSignature, func(f *forge, d *draft) { d.show(f.thief) }),
		malformed("phone-key-exchanged", clauseIssuer, "a thief puts his own phone's key into the grant and signs with it", ridecode.CheckInstitutionSignature,
			func(f *forge, d *draft) { d.put(atUserKey, f.thief.PublicKey().Bytes()...).show(f.thief) }),
		malformed("user-exchanged", clauseIssuer, "a rider puts another user's id into his grant and signs with his own phone", ridecode.CheckInstitutionSignature,
			func(f *forge, d *draft) { d.put(atUserID, []byte("2088999988887777")...).show(f.phone) }),
		malformed("key-id-changed", clauseIssuer, "signed with key 0, and the header says key 1, which is in the list", ridecode.CheckInstitutionSignature,
			func(f *forge, d *draft) { d.keyID = 1; d.show(f.phone) }),
		malformed("institution-r-s-exchanged", clauseIssuer, "the two integers of the institution signature change places; the phone signed that", ridecode.CheckInstitutionSignature,
			func(f *forge, d *draft) {
				r, s := integers(d.grantSignature)
				d.grantSignature = sequence(content(s), content(r))
				d.show(f.phone)
			}),
		malformed("user-r-s-exchanged", clausePhone, "the two integers of the user signature change places", ridecode.CheckUserSignature, func(_ *forge, d *draft) {
			r, s := integers(d.proof)
			d.proof = sequence(content(s), content(r))
		}),
		malformed("institution-twin", clausePhone, "the institution signature is replaced by its twin (r, n-s), which is genuine, but the phone did not sign it", ridecode.CheckUserSignature,
			func(_ *forge, d *draft) { d.grantSignature = twin(d.grantSignature, order256()) }),
	}}
}

// The first level must come from an institution in the list, and the second from the key in the first.
func selfSigned() group {
	return group{"self-signed", "issuers and phones that appoint themselves", "an attacker is his own institution: codes of any user, any limit, for ever", []recipe{
		malformed("outsider", clauseIssuer, "the institution signature is an outsider's, under key id 0", ridecode.CheckInstitutionSignature,
			func(f *forge, d *draft) { d.certify(f.outsider).show(f.phone) }),
		malformed("outsider-owns-all", clauseIssuer, "an outsider's grant for his own phone: consistent in itself", ridecode.CheckInstitutionSignature,
			func(f *forge, d *draft) {
				d.put(atUserKey, f.thief.PublicKey().Bytes()...).certify(f.outsider).show(f.thief)
			}),
		malformed("phone-signs-the-grant", clauseIssuer, "both signatures are made by the phone, each on its own curve", ridecode.CheckInstitutionSignature,
			func(f *forge, d *draft) { d.certify(f.phone).show(f.phone) }),
		malformed("phone-scalar-on-both-curves", clauseIssuer, "the phone's private number, used on secp256k1 as well: the user key is no issuer", ridecode.CheckInstitutionSignature,
			func(f *forge, d *draft) {
				wide := append(make([]byte, 8), f.phone.Bytes()...)
				d.certify(must(parse256(wide))).show(f.phone)
			}),
		malformed("user-key-off-the-curve", clausePhone, "the institution certified a user key whose x is on no point of the curve", ridecode.CheckUserSignature, offCurve),
		malformed("user-key-too-large", clausePhone, "a user key whose x is not below the field's prime", ridecode.CheckUserSignature,
			func(f *forge, d *draft) {
				for i := range 24 {
					d.put(atUserKey+1+i, 0xff)
				}
				d.certify(f.institution).show(f.phone)
			}),
		malformed("user-key-prefix-4", clausePhone, "a user key that says it is uncompressed, in 25 bytes", ridecode.CheckUserSignature,
			func(f *forge, d *draft) { d.put(atUserKey, 4).certify(f.institution).show(f.phone) }),
		malformed("user-key-zeros", clausePhone, "a user key of 25 zeros: the point at infinity, with which some signatures always fit", ridecode.CheckUserSignature,
			func(f *forge, d *draft) {
				d.put(atUserKey, make([]byte, 25)...).certify(f.institution).show(f.phone)
			}),
		malformed("user-key-other-parity", clausePhone, "the negative of the phone's key: the same x, the other y", ridecode.CheckUserSignature,
			func(f *forge, d *draft) {
				d.put(atUserKey, d.data[atUserKey]^1).certify(f.institution).show(f.phone)
			}),
	}}
}

// offCurve looks for an x without a point; every second one is.
func offCurve(f *forge, d *draft) {
	x := append([]byte(nil), d.data[atUserKey:atUserKey+25]...)
	for isPoint192(x) {
		x[24]++
	}
	d.put(atUserKey, x...).certify(f.institution).show(f.phone)
}

// A code must not choose how well it is checked.
func downgraded() group {
	unknown := func(name, about string, change func(*draft)) recipe {
		return recipe{name: name, clause: "document 1 §6.3.1", about: about, expect: ridecode.ProtoUnsupported, check: ridecode.CheckProtocol, code: func(f *forge) []byte {
			d := f.draft(f.grant())
			change(d)
			return d.show(f.phone).bytes()
		}}
	}
	signedBy := func(recipe recipe, allows string) recipe { recipe.allows = allows; return recipe }
	return group{"downgraded", "versions and algorithms that nobody has defined", "the code itself chooses a weaker check, or none", []recipe{
		unknown("version-0", "version 0, signed by the phone", func(d *draft) { d.version = 0 }),
		unknown("version-1", "version 1, signed by the phone", func(d *draft) { d.version = 1 }),
		unknown("version-3", "version 3, signed by the phone", func(d *draft) { d.version = 3 }),
		unknown("version-130", "version 2 with its highest bit set, signed by the phone", func(d *draft) { d.version = 0x82 }),
		unknown("algorithm-0", "algorithm 0, signed by the phone", func(d *draft) { d.algorithm = 0 }),
		unknown("algorithm-2", "algorithm 2, signed by the phone", func(d *draft) { d.algorithm = 2 }),
		unknown("algorithm-255", "algorithm 255, signed by the phone", func(d *draft) { d.algorithm = 255 }),
		signedBy(unknown("algorithm-none", "algorithm 0, and an institution signature of one zero byte", func(d *draft) { d.algorithm, d.grantSignature = 0, []byte{0} }),
			"anybody writes codes of any rider: \"no algorithm\" is taken for \"no check\""),
		malformed("version-changed", "document 1 §6.3.1", "version 1 in the header of a code that the phone signed as version 2", "", func(_ *forge, d *draft) { d.version = 1 }).
			answers(ridecode.ProtoUnsupported, ridecode.CheckProtocol),
	}}
}

// answers gives a case another right answer.
func (r recipe) answers(expect ridecode.Verdict, check string) recipe {
	r.expect, r.check = expect, check
	return r
}

// What is signed is SHA-1 over exactly these bytes (wire-facts): a verifier that tries others until one fits
// has no signature check left.
func wrongHash() group {
	institution := func(name, about string, digest func(*draft) []byte) recipe {
		return malformed(name, clauseIssuer, about+"; the phone signed that", ridecode.CheckInstitutionSignature, func(f *forge, d *draft) {
			d.grantSignature = must(f.institution.SignDER(digest(d)))
			d.show(f.phone)
		})
	}
	phone := func(name, about string, digest func(*draft) []byte) recipe {
		return malformed(name, clausePhone, about, ridecode.CheckUserSignature, func(f *forge, d *draft) { d.proof = must(f.phone.SignDER(digest(d))) })
	}
	sha256Of := func(b []byte) []byte { digest := sha256.Sum256(b); return digest[:] }
	md5Of := func(b []byte) []byte { digest := md5.Sum(b); return digest[:] }
	return group{"wrong-hash", "signatures over another hash or other bytes", "signatures that were made for other documents open gates", []recipe{
		institution("institution-sha256", "the institution signed SHA-256", func(d *draft) []byte { return sha256Of(d.data) }),
		institution("institution-sha256-cut", "the institution signed the first 20 bytes of SHA-256", func(d *draft) []byte { return sha256Of(d.data)[:sha1.Size] }),
		institution("institution-md5", "the institution signed MD5", func(d *draft) []byte { return md5Of(d.data) }),
		institution("institution-not-hashed", "the institution signed the first 20 bytes of its data as they are", func(d *draft) []byte { return d.data[:sha1.Size] }),
		institution("institution-hash-zero", "the institution signed a hash of zeros, as of a failed hash", func(*draft) []byte { return make([]byte, sha1.Size) }),
		institution("institution-with-length", "the institution signed the length byte too", func(d *draft) []byte { return hash(append([]byte{byte(len(d.data))}, d.data...)) }),
		institution("institution-with-header", "the institution signed header and length too", func(d *draft) []byte { return hash(d.appendGrant(nil)[:4+len(d.data)]) }),
		phone("user-sha256", "the phone signed SHA-256", func(d *draft) []byte { return sha256Of(d.signedByPhone()) }),
		phone("user-md5", "the phone signed MD5", func(d *draft) []byte { return md5Of(d.signedByPhone()) }),
		phone("user-hash-zero", "the phone signed a hash of zeros, as of a failed hash", func(*draft) []byte { return make([]byte, sha1.Size) }),
		phone("user-without-header", "the phone signed all but version, algorithm and key id", func(d *draft) []byte { return hash(d.signedByPhone()[3:]) }),
		phone("user-without-institution-signature", "the phone signed institution data and time, not the institution signature between", func(d *draft) []byte { return hash(append(append([]byte{}, d.data...), d.times...)) }),
		phone("user-time-alone", "the phone signed the time alone: one signature would do for all its grants", func(d *draft) []byte { return hash(d.times) }),
	}}
}

// DER has one way to write a signature (X.690 §10). More ways are more codes that are the same.
func der() group {
	user := func(name, about string, rewrite func(r, s *big.Int, der []byte) []byte) recipe {
		return malformed("user-"+name, clausePhone, "the user signature: "+about, ridecode.CheckUserSignature, func(_ *forge, d *draft) {
			r, s := integers(d.proof)
			d.proof = rewrite(r, s, d.proof)
		})
	}
	institution := func(name, about string, rewrite func(r, s *big.Int, der []byte) []byte) recipe {
		return malformed("institution-"+name, clauseIssuer, "the institution signature: "+about+"; the phone signed that", ridecode.CheckInstitutionSignature, func(f *forge, d *draft) {
			r, s := integers(d.grantSignature)
			d.grantSignature = rewrite(r, s, d.grantSignature)
			d.show(f.phone)
		})
	}
	var cases []recipe
	for _, w := range rewritings() {
		cases = append(cases, user(w.name, w.about, w.rewrite), institution(w.name, w.about, w.rewrite))
	}
	return group{"der", "genuine signatures in other notations than DER", "one code becomes many different ones, and each passes where codes are compared by their bytes", append(cases,
		user("s-plus-order", "s + n, the same number in the group", func(r, s *big.Int, _ []byte) []byte {
			return sequence(content(r), content(new(big.Int).Add(s, order192())))
		}),
		institution("s-plus-order", "s + n, the same number in the group", func(r, s *big.Int, _ []byte) []byte {
			return sequence(content(r), content(new(big.Int).Add(s, order256())))
		}),
		user("fixed-size", "r and s as 24 bytes each, without ASN.1", func(r, s *big.Int, _ []byte) []byte {
			return append(r.FillBytes(make([]byte, 24)), s.FillBytes(make([]byte, 24))...)
		}),
		user("negative", "s as the negative number s - n", func(r, s *big.Int, _ []byte) []byte {
			return sequence(content(r), negative(new(big.Int).Sub(s, order192())))
		}))}
}

type rewriting struct {
	name, about string
	rewrite     func(r, s *big.Int, der []byte) []byte
}

func rewritings() []rewriting {
	zero := []byte{0}
	return []rewriting{
		{"long-length", "its length written long, 30 81 xx", func(_, _ *big.Int, der []byte) []byte {
			return append([]byte{0x30, 0x81}, der[1:]...)
		}},
		{"no-length", "its length left open, 30 80 … 00 00", func(_, _ *big.Int, der []byte) []byte {
			return append(append([]byte{0x30, 0x80}, der[2:]...), 0, 0)
		}},
		{"r-padded", "a zero in front of r that need not be there", func(r, s *big.Int, _ []byte) []byte {
			return sequence(append(zero, content(r)...), content(s))
		}},
		{"s-padded", "a zero in front of s that need not be there", func(r, s *big.Int, _ []byte) []byte {
			return sequence(content(r), append(zero, content(s)...))
		}},
		{"third-integer", "a third integer in the sequence", func(r, s *big.Int, _ []byte) []byte {
			return sequence(content(r), content(s), []byte{1})
		}},
		{"byte-behind", "a byte behind the sequence", func(_, _ *big.Int, der []byte) []byte { return append(append([]byte{}, der...), 0) }},
		{"set", "a SET in place of the SEQUENCE", func(_, _ *big.Int, der []byte) []byte { return append([]byte{0x31}, der[1:]...) }},
	}
}

// negative is a number below zero as an INTEGER has it: two's complement.
func negative(n *big.Int) []byte {
	size := len(n.Bytes()) + 1
	return new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*size))).FillBytes(make([]byte, size))
}
