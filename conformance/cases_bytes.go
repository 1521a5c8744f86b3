package conformance

import (
	"bytes"
	"encoding/hex"
	"unicode/utf8"

	"github.com/shuama/shuama/protocol/ridecode"
)

// The rider has the phone's key: after every change the phone signs anew, and the institution signature
// alone stands in the way.
func altered() group {
	change := func(name, about, allows string, change func(*draft)) recipe {
		r := malformed(name, clauseIssuer, about+"; the phone signed that", ridecode.CheckInstitutionSignature, func(f *forge, d *draft) {
			change(d)
			d.show(f.phone)
		})
		r.allows = allows
		return r
	}
	return group{"altered", "a grant that its rider improved", "a rider writes his own grant", []recipe{
		change("user-id", "one bit of the user id", "a rider travels on another user's account", func(d *draft) { d.data[atUserID+15] ^= 1 }),
		change("expiry", "the expiry a year later", "a grant that the institution let end is good for ever", func(d *draft) { d.data[atExpires+1] += 2 }),
		change("validity", "a validity of 65535 s in place of 600", "a picture of a code is good for 18 hours, for any number of friends", func(d *draft) { d.put(atValid, 0xff, 0xff) }),
		change("limit", "a limit of 655.35 yuan in place of 30", "a stolen phone pays more at once than anybody allowed", func(d *draft) { d.putLimit(65535) }),
		change("identity", "another user identity: a student's, a pensioner's", "a rider gives himself a discount", func(d *draft) { d.data[atIdentity+3] ^= 1 }),
		change("institution-code", "another institution code", "the bill goes to another institution", func(d *draft) { d.data[atInstitution] ^= 1 }),
		change("reserved", "one bit of the reserved field", "what a later version means by it can be forged", func(d *draft) { d.data[atReserved] ^= 1 }),
		change("card-type", "another card type, which this terminal takes", "a rider chooses the tariff of a card that he does not have", func(d *draft) { d.put(atCardType, []byte("GJ310000")...) }),
		change("card-number", "one digit of the card number", "a rider travels on another's card", func(d *draft) { d.data[atCardNo] ^= 1 }),
		{name: "card-data", clause: clauseIssuer, about: "one bit of the card data; the phone signed that", allows: "a rider loads his own card", expect: ridecode.MalformedQRCode,
			check: ridecode.CheckInstitutionSignature, code: func(f *forge) []byte {
				d := f.draft(f.card())
				d.data[len(d.data)-1] ^= 1
				return d.show(f.phone).bytes()
			}},
	}}
}

// What is checked is the bytes that were shown, never bytes written anew from what was understood.
func reencoded() group {
	reencode := func(name, about, allows string, sign func(*forge) ridecode.Grant, change func(*draft)) recipe {
		return recipe{name: name, clause: clauseIssuer, about: about + "; the phone signed that", allows: allows, expect: ridecode.MalformedQRCode, check: ridecode.CheckInstitutionSignature,
			code: func(f *forge) []byte {
				d := f.draft(sign(f))
				change(d)
				return d.show(f.phone).bytes()
			}}
	}
	return group{"re-encoded", "bodies that mean nearly the same in other bytes", "many codes out of one, and fields that were never signed", []recipe{
		reencode("card-boundary-moved", "the last digit of the card number becomes the first byte of card data: the same bytes, but for the lengths",
			"one card number is shown as another wherever fields are joined before they are hashed", (*forge).card, func(d *draft) {
				size := int(d.data[atCardNoSize])
				last := d.data[atCardNo+size-1]
				data := bytes.Clone(d.data[atCardNo+size+1:])
				d.data = append(d.data[:atCardNo+size-1], append([]byte{byte(len(data) + 1), last}, data...)...)
				d.data[atCardNoSize]--
			}),
		reencode("spaces-trimmed", "signed with two spaces behind the card number, shown without", "a card number gets several forms, and a deny list knows one", func(f *forge) ridecode.Grant {
			g := f.grant()
			g.CardNo = "3100001  "
			return g
		}, func(d *draft) {
			d.data = append(d.data[:atCardNo+7], 0)
			d.data[atCardNoSize] = 7
		}),
		reencode("case-changed", "signed with a card number in small letters, shown in capitals", "a card number gets several forms, and a deny list knows one", func(f *forge) ridecode.Grant {
			g := f.grant()
			g.CardNo = "abcdef"
			return g
		}, func(d *draft) { d.put(atCardNo, []byte("ABCDEF")...) }),
		reencode("card-data-dropped", "signed with card data, shown without", "a card's balance or its end is left out", (*forge).card, func(d *draft) {
			size := int(d.data[atCardNoSize])
			d.data = append(d.data[:atCardNo+size], 0)
		}),
		reencode("reserved-cleared", "signed with text in the reserved field, shown with zeros", "what a later version means by it is left out", func(f *forge) ridecode.Grant {
			g := f.grant()
			g.Reserved = ridecode.Quad{'D', 'E', 'M', 'O'}
			return g
		}, func(d *draft) { d.put(atReserved, 0, 0, 0, 0) }),
		{name: "key-uncompressed", clause: clauseGrant, about: "the user key in 49 bytes, uncompressed: the same point; the phone signed that", expect: ridecode.MalformedQRCode, check: ridecode.CheckForm,
			code: func(f *forge) []byte {
				d := f.draft(f.grant())
				rest := bytes.Clone(d.data[atCardType:])
				d.data = append(append(d.data[:atUserKey], uncompressed192(d.data[atUserKey:atCardType])...), rest...)
				return d.show(f.phone).bytes()
			}},
		{name: "as-hex", clause: "document 1 §6.1", about: "the code as hex text: the scanner was not asked for bytes", expect: ridecode.MalformedQRCode, check: ridecode.CheckForm,
			allows: "a second notation of one code, which is no duplicate of the first", code: func(f *forge) []byte { return []byte(hex.EncodeToString(f.draft(f.grant()).bytes())) }},
		{name: "as-utf-8", clause: "document 1 §6.1", about: "the code after a scanner took its bytes for Latin-1 characters", expect: ridecode.MalformedQRCode, check: ridecode.CheckForm,
			allows: "a second notation of one code, which is no duplicate of the first", code: func(f *forge) []byte {
				var text []byte
				for _, b := range f.draft(f.grant()).bytes() {
					text = utf8.AppendRune(text, rune(b))
				}
				return text
			}},
	}}
}

// Every length must add up. Signatures are genuine over the lying bytes, so that the form alone decides.
func lengths() group {
	lie := func(name, clause, about string, change func(*forge, *draft)) recipe {
		return malformed(name, clause, about, ridecode.CheckForm, change)
	}
	signed := func(name, about string, change func(*draft)) recipe {
		return lie(name, clauseGrant, about+"; both parties signed that", func(f *forge, d *draft) { change(d); d.certify(f.institution).show(f.phone) })
	}
	raw := func(name, about string, code func(*forge) []byte) recipe {
		return recipe{name: name, clause: "document 1 §6.3", about: about, expect: ridecode.MalformedQRCode, check: ridecode.CheckForm, code: code}
	}
	return group{"lengths", "lengths that lie, codes that end early or go on", "a reader reads past its memory, or two readers see two codes in the same bytes", append([]recipe{
		lie("data-one-more", clauseGrant, "institution data one byte longer than it is", func(_ *forge, d *draft) { d.dataLength = len(d.data) + 1 }),
		lie("data-one-less", clauseGrant, "institution data one byte shorter than it is", func(_ *forge, d *draft) { d.dataLength = len(d.data) - 1 }),
		lie("data-0", clauseGrant, "institution data of no bytes", func(_ *forge, d *draft) { d.dataLength = 0 }),
		lie("data-255", clauseGrant, "institution data of 255 bytes, more than there are", func(_ *forge, d *draft) { d.dataLength = 255 }),
		signed("card-number-too-long", "a card number that goes on behind the institution data", func(d *draft) { d.data[atCardNoSize] = 200 }),
		signed("card-number-255", "a card number of 255 bytes", func(d *draft) { d.data[atCardNoSize] = 255 }),
		signed("card-data-too-long", "card data that goes on behind the institution data", func(d *draft) { d.data[len(d.data)-1] = 40 }),
		signed("bytes-behind-card-data", "institution data with 4 bytes behind the card data", func(d *draft) { d.data = append(d.data, 1, 2, 3, 4) }),
		signed("card-data-length-missing", "institution data that ends behind the card number", func(d *draft) { d.data = d.data[:len(d.data)-1] }),
		lie("institution-signature-one-more", clauseGrant, "an institution signature one byte longer than it is", func(_ *forge, d *draft) { d.grantLength = len(d.grantSignature) + 1 }),
		lie("institution-signature-one-less", clauseGrant, "an institution signature one byte shorter than it is", func(_ *forge, d *draft) { d.grantLength = len(d.grantSignature) - 1 }),
		lie("institution-signature-255", clauseGrant, "an institution signature of 255 bytes, more than there are", func(_ *forge, d *draft) { d.grantLength = 255 }),
		lie("user-data-0", clauseProof, "user data of no bytes, signed by the phone, the time behind it", func(f *forge, d *draft) { d.timeLength = 0; d.show(f.phone) }),
		lie("user-data-3", clauseProof, "user data of 3 bytes, signed by the phone", func(f *forge, d *draft) { d.timeLength, d.times = 3, d.times[1:]; d.show(f.phone) }),
		lie("user-data-255", clauseProof, "user data of 255 bytes, more than there are; signed by the phone", func(f *forge, d *draft) { d.timeLength = 255; d.show(f.phone) }),
		lie("user-signature-one-more", clauseProof, "a user signature one byte longer than it is", func(_ *forge, d *draft) { d.proofLength = len(d.proof) + 1 }),
		lie("user-signature-one-less", clauseProof, "a user signature one byte shorter than it is", func(_ *forge, d *draft) { d.proofLength = len(d.proof) - 1 }),
		lie("user-signature-255", clauseProof, "a user signature of 255 bytes, more than there are", func(_ *forge, d *draft) { d.proofLength = 255 }),
		lie("byte-behind", "document 1 §6.3", "a byte behind a good code", func(_ *forge, d *draft) { d.tail = []byte{0} }),
		lie("code-behind", "document 1 §6.3", "a second good code behind a good code", func(f *forge, d *draft) { d.tail = f.draft(f.card()).bytes() }),
		lie("much-behind", "document 1 §6.3", "2000 bytes behind a good code", func(_ *forge, d *draft) { d.tail = bytes.Repeat([]byte{0x5a}, 2000) }),
	}, []recipe{
		raw("one-byte", "the version alone", func(*forge) []byte { return []byte{2} }),
		raw("header", "the header alone", func(*forge) []byte { return []byte{2, 1, 0} }),
		raw("last-byte-missing", "all but the last byte", func(f *forge) []byte { b := f.draft(f.grant()).bytes(); return b[:len(b)-1] }),
		raw("half", "the first half", func(f *forge) []byte { b := f.draft(f.grant()).bytes(); return b[:len(b)/2] }),
		raw("all-ff", "600 bytes of ff: every length at its most", func(*forge) []byte { return bytes.Repeat([]byte{0xff}, 600) }),
		raw("largest-symbol", "2953 bytes, as many as a QR code holds", func(*forge) []byte { return append([]byte{2, 1, 0}, make([]byte, 2950)...) }),
	}...)}
}
