package conformance

import (
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// Clauses that many cases show.
const (
	clauseGrant    = "document 1 §6.3.2"
	clauseProof    = "document 1 §6.3.3"
	clauseIssuer   = "document 1 §8.1"
	clausePhone    = "document 1 §8.2"
	clauseClock    = "document 1 §11.6"
	clauseVerdicts = "document 2 §4.1.5"
	clauseInit     = "document 2 §4.1.2.2"
)

// group is the cases of one kind of attack.
type group struct {
	name   string
	about  string
	allows string // what a wrong answer allows, where a case does not say it better
	cases  []recipe
}

// recipe makes one case for the moment of a forge.
type recipe struct {
	name, clause, about string
	allows              string // empty: the group's
	expect              ridecode.Verdict
	check               string
	code                func(*forge) []byte
	change              func(*forge, *Step) // of what surrounds the code; may be nil
	then                func(*forge, Step) []Step
	clock               bool // only a verifier whose clock can be set can be asked
}

// At is the clock of the files: eight in the morning in Beijing.
func At() time.Time { return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) }

// groups is the whole suite, in the order of its report.
func groups() []group {
	return []group{genuine(), stripped(), swapped(), selfSigned(), downgraded(), wrongHash(), altered(), reencoded(), der(), lengths(),
		timeRange(), clocks(), terms(), precedence(), replay()}
}

// GroupNames is the groups in the order of a report, each with half a sentence about it.
func GroupNames() (names []string, about map[string]string) {
	about = map[string]string{}
	for _, g := range groups() {
		names = append(names, g.name)
		about[g.name] = g.about
	}
	return names, about
}

// MakeVectors makes every case for the moment at. At the moment At they are the files of this package.
func MakeVectors(at time.Time) []Vector {
	var all []Vector
	for _, g := range groups() {
		for _, r := range g.cases {
			all = append(all, r.vector(g, at))
		}
	}
	return all
}

// vector makes one case.
func (r recipe) vector(g group, at time.Time) Vector {
	f := newForge(at)
	v := Vector{Name: r.name, Group: g.name, Kind: "ride_code", Clause: r.clause, About: r.about, Allows: r.allows,
		Step: f.step(r.expect, r.check, r.code(f))}
	if v.Allows == "" {
		v.Allows = g.allows
	}
	if r.change != nil {
		r.change(f, &v.Step)
	}
	if r.then != nil {
		v.Then = r.then(f, v.Step)
	}
	return v
}

// again is a later step: what surrounds it stays, the record id counts on, and what is changed is changed.
func again(last Step, number int, before string, expect ridecode.Verdict, check string, changes ...func(*Step)) Step {
	next := last
	next.Before, next.Expect, next.Check, next.POSParam = before, expect.String(), check, posParam(number)
	for _, change := range changes {
		change(&next)
	}
	return next
}

func genuine() group {
	return group{"genuine", "codes that must be accepted", "nothing, but honest riders are turned away", append(genuineShapes(), genuineNumbers()...)}
}

func genuineShapes() []recipe {
	ok := func(name, clause, about string, code func(*forge) []byte) recipe {
		return recipe{name: name, clause: clause, about: about, expect: ridecode.Success, code: code}
	}
	return []recipe{
		ok("plain", "document 1 §6.3", "a plain code as it should be", func(f *forge) []byte { return f.draft(f.grant()).bytes() }),
		ok("card", clauseGrant, "a virtual card with card data", func(f *forge) []byte { return f.draft(f.card()).bytes() }),
		ok("card-number-empty", clauseGrant, "neither card number nor card data", func(f *forge) []byte {
			g := f.grant()
			g.CardNo = ""
			return f.draft(g).bytes()
		}),
		ok("card-data-zeros", clauseGrant, "card data of zeros: C text would end at the first", func(f *forge) []byte {
			g := f.card()
			g.CardData = make([]byte, 16)
			return f.draft(g).bytes()
		}),
		ok("longest", clauseGrant, "institution data of 255 bytes, the most its length can say", func(f *forge) []byte {
			g := f.card()
			g.CardData = make([]byte, ridecode.MaxCardSize-len(g.CardNo))
			for i := range g.CardData {
				g.CardData[i] = byte(i)
			}
			return f.draft(g).bytes()
		}),
		ok("reserved-used", clauseGrant, "text in the reserved field, which readers carry and do not read", func(f *forge) []byte {
			g := f.grant()
			g.Reserved = ridecode.Quad{'D', 'E', 'M', 'O'}
			return f.draft(g).bytes()
		}),
		ok("high-s-institution", "wire-facts", "an institution signature with a high s, as production codes have", func(f *forge) []byte {
			g := f.grant()
			g.Identity[3] = 1 // or by chance it would be the plain one
			d := f.draft(g)
			d.grantSignature = highS(d.grantSignature, order256())
			return d.show(f.phone).bytes()
		}),
		ok("high-s-user", "wire-facts", "a user signature with a high s, as production codes have", func(f *forge) []byte {
			g := f.grant()
			g.Identity[3] = 2 // or by chance it would be the plain one
			d := f.draft(g)
			d.proof = highS(d.proof, order192())
			return d.bytes()
		}),
		ok("short-institution-signature", "wire-facts", "an institution signature of 69 bytes or less: one integer is short", shortInstitution),
		ok("short-user-signature", "wire-facts", "a user signature of 53 bytes or less: one integer is short", shortUser),
		ok("second-key", "document 1 §6.3.1", "signed with key 1, which is in the list", func(f *forge) []byte {
			d := f.draft(f.grant())
			d.keyID = 1
			return d.certify(f.second).show(f.phone).bytes()
		}),
		{name: "key-255", clause: "document 1 §6.3.1", about: "signed with key 255, the highest number there is", expect: ridecode.Success, code: func(f *forge) []byte {
			d := f.draft(f.grant())
			d.keyID = 255
			return d.certify(f.second).show(f.phone).bytes()
		}, change: func(f *forge, s *Step) {
			s.Keys = []string{keyLine(0, f.institution.PublicKey()), keyLine(255, f.second.PublicKey())}
		}},
	}
}

// shortInstitution tries card numbers until a signature comes out short: one in some hundreds does.
func shortInstitution(f *forge) []byte {
	for number := uint32(0); ; number++ {
		g := f.grant()
		g.Reserved = ridecode.Quad{byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number)}
		if d := f.draft(g); len(d.grantSignature) <= 69 {
			return d.bytes()
		}
	}
}

func shortUser(f *forge) []byte {
	d := f.draft(f.grant())
	for number := 0; len(d.proof) > 53; number++ {
		d.put(atReserved, byte(number>>16), byte(number>>8), byte(number)).certify(f.institution).show(f.phone)
	}
	return d.bytes()
}

func genuineNumbers() []recipe {
	return []recipe{
		{name: "expires-after-2038", clause: clauseGrant, about: "an expiry in 2040: as a signed number it is in 1903", expect: ridecode.Success, code: func(f *forge) []byte {
			g := f.grant()
			g.Expires = time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
			return f.draft(g).bytes()
		}},
		{name: "shown-after-2038", clause: clauseProof, about: "shown in 2040: as a signed number that is before 1970", expect: ridecode.Success, clock: true, code: in2040,
			change: func(_ *forge, s *Step) { s.At = "2040-01-01T00:00:00Z" }},
		{name: "valid-65535", clause: clauseGrant, about: "good for 65535 s and shown 40000 s ago: as a signed number the validity is -1", expect: ridecode.Success, code: func(f *forge) []byte {
			g := f.grant()
			g.ValidSec = 65535
			return f.draftAt(g, f.at.Add(-40000*time.Second)).bytes()
		}},
		{name: "limit-65535", clause: clauseGrant, about: "a limit of 655.35 yuan and a fare of as much: as a signed number the limit is -1", expect: ridecode.Success, code: func(f *forge) []byte {
			g := f.grant()
			g.LimitFen = 65535
			return f.draft(g).bytes()
		}, change: func(_ *forge, s *Step) { s.AmountFen = 65535 }},
		vendorSample("vendor-2018", vendorCode2018, 1516167355),
		vendorSample("vendor-2020", vendorCode2020, 1553094017),
	}
}

func in2040(*forge) []byte {
	f := newForge(time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC))
	return f.draft(f.grant()).bytes()
}

// vendorSample is a code that nobody here has signed, so it stays at its own time.
func vendorSample(name, codeHex string, generated int64) recipe {
	return recipe{name: name, clause: "document 1 §6.3", about: "a code published with the vendor's sample program", expect: ridecode.Success, clock: true,
		code: func(*forge) []byte { return mustHex(codeHex) },
		change: func(_ *forge, s *Step) {
			s.Keys, s.CardTypes = []string{"0=" + vendorKey}, []string{"ANT00001", "S0JP0000", "TEST0001"}
			s.At = time.Unix(generated, 0).UTC().Format(time.RFC3339)
		}}
}
