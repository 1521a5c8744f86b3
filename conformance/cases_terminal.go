package conformance

import (
	"fmt"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// The terms of a terminal: its lists, its fare, its own parameters (document 2 §4.1).
func terms() group {
	at := func(name, clause, about, allows string, expect ridecode.Verdict, check string, change func(*forge, *Step)) recipe {
		return recipe{name: name, clause: clause, about: about, allows: allows, expect: expect, check: check, change: change,
			code: func(f *forge) []byte { return f.draft(f.grant()).bytes() }}
	}
	amount := func(cents int) func(*forge, *Step) {
		return func(_ *forge, s *Step) { s.AmountFen = money.Fen(cents) }
	}
	pos := func(text string) func(*forge, *Step) { return func(_ *forge, s *Step) { s.POSParam = text } }
	const free, blind = "a rider pays more or less than his institution allows", "a record that nobody can bill: a free ride"
	return group{"terms", "card types, amounts, and the caller's own parameters", free, []recipe{
		at("amount-at-limit", clauseGrant, "a fare of exactly the limit", "nothing, but honest riders are turned away", ridecode.Success, "", amount(3000)),
		at("amount-over-limit", clauseGrant, "a fare one cent over the limit", "a trade that the institution will not pay", ridecode.QuotaExceeded, "amount", amount(3001)),
		at("amount-65536", clauseGrant, "a fare of 655.36 yuan: 0 where only two bytes are looked at", "a trade that the institution will not pay", ridecode.QuotaExceeded, "amount", amount(65536)),
		at("amount-largest", clauseGrant, "a fare of 2147483647 cents", "a trade that the institution will not pay", ridecode.QuotaExceeded, "amount", amount(1<<31-1)),
		at("amount-negative", "document 2 §4.1.4.6", "a fare of -1 cent", "a ride that pays the rider", ridecode.IllegalParam, "arguments", amount(-1)),
		{name: "card-type-not-taken", clause: "document 2 §4.1.2.4", about: "a genuine card of a type that is not in the list", allows: "cards of another city open this gate, and nobody bills them",
			expect: ridecode.CardTypeUnsupported, check: "card_type", code: func(f *forge) []byte { return f.draft(f.card()).bytes() },
			change: func(_ *forge, s *Step) { s.CardTypes = []string{"ANT00001"} }},
		{name: "card-type-small-letters", clause: "document 2 §4.1.2.4", about: "a genuine card of type ant00001, and the list has ANT00001", allows: "cards of another type open this gate, and nobody bills them",
			expect: ridecode.CardTypeUnsupported, check: "card_type", code: func(f *forge) []byte {
				g := f.grant()
				g.CardType = "ant00001"
				return f.draft(g).bytes()
			}},
		{name: "key-unknown", clause: "document 1 §6.3.1", about: "a code under key id 2, which is not in the list: nobody can tell, so the phone should go online", allows: "an attacker names a key that nobody has, and nothing is checked",
			expect: ridecode.QRCodeKeyExpired, check: ridecode.CheckKey, code: func(f *forge) []byte {
				d := f.draft(f.grant())
				d.keyID = 2
				return d.certify(f.outsider).show(f.phone).bytes()
			}},
		at("no-code", "document 2 §4.1.4.6", "no bytes at all", "a fault of the reader is taken for a ride", ridecode.IllegalParam, "arguments", func(_ *forge, s *Step) { s.Bytes = nil }),
		at("not-initialised", clauseInit, "a code before any list of keys was given", "a terminal that has just started opens for everybody", ridecode.NotInitialized, "initialized",
			func(_ *forge, s *Step) { s.Keys, s.CardTypes = nil, nil }),
		at("pos-param-broken", "document 2 §4.1.4.6", "a pos_param that is not JSON", blind, ridecode.POSParamError, "pos_param", pos(`{"pos_id":"sh001"`)),
		at("pos-param-no-record-id", "document 2 §4.1.4.6", "a pos_param without record_id", blind, ridecode.POSParamError, "pos_param", pos(`{"pos_id":"sh001","type":"SINGLE","subject":"bus192"}`)),
		at("pos-param-no-pos-id", "document 2 §4.1.4.6", "a pos_param without pos_id", blind, ridecode.POSParamError, "pos_param", pos(`{"type":"SINGLE","subject":"bus192","record_id":"000001"}`)),
	}}
}

// With two faults there is one answer, so that every terminal of a city gives the same advice.
func precedence() group {
	two := func(name, about string, expect ridecode.Verdict, check string, code func(*forge) []byte) recipe {
		return recipe{name: name, clause: clauseVerdicts, about: about, expect: expect, check: check, code: code}
	}
	return group{"precedence", "two faults at once, and one answer", "two terminals send one rider two ways; nobody gets through", []recipe{
		two("version-before-key", "an unknown version under an unknown key", ridecode.ProtoUnsupported, ridecode.CheckProtocol, func(f *forge) []byte {
			d := f.draft(f.grant())
			d.version, d.keyID = 3, 9
			return d.show(f.phone).bytes()
		}),
		two("key-before-signature", "an unknown key and a wrong user signature", ridecode.QRCodeKeyExpired, ridecode.CheckKey, func(f *forge) []byte {
			d := f.draft(f.grant())
			d.keyID = 9
			return d.show(f.thief).bytes()
		}),
		two("signature-before-time", "an outsider's grant that is over", ridecode.MalformedQRCode, ridecode.CheckInstitutionSignature, func(f *forge) []byte {
			g := f.grant()
			g.Expires = f.at.Add(-time.Hour)
			return f.draft(g).certify(f.outsider).show(f.phone).bytes()
		}),
		two("grant-before-code", "a grant that is over, in a code that is over", ridecode.QRCodeKeyExpired, ridecode.CheckAuthorizationTime, func(f *forge) []byte {
			g := f.grant()
			g.Expires = f.at.Add(-time.Hour)
			return f.draftAt(g, f.at.Add(-2*time.Hour)).bytes()
		}),
		{name: "time-before-card-type", clause: clauseVerdicts, about: "a code that is over, with a card type that is not taken", expect: ridecode.QRCodeInfoExpired, check: ridecode.CheckCodeTime,
			code: func(f *forge) []byte { return f.draftAt(f.card(), f.at.Add(-time.Hour)).bytes() }, change: func(_ *forge, s *Step) { s.CardTypes = []string{"ANT00001"} }},
		{name: "card-type-before-amount", clause: clauseVerdicts, about: "a card type that is not taken, and a fare over the limit", expect: ridecode.CardTypeUnsupported, check: "card_type",
			code: func(f *forge) []byte { return f.draft(f.card()).bytes() }, change: func(_ *forge, s *Step) { s.CardTypes, s.AmountFen = []string{"ANT00001"}, 9999 }},
	}}
}

// One code opens one gate once.
func replay() group {
	const twice, wiped = "one payment carries two riders", "a rider who cuts the terminal's power rides again"
	once := func(name, about, allows string, then func(*forge, Step) []Step) recipe {
		return recipe{name: name, clause: clauseVerdicts, about: about, allows: allows, expect: ridecode.Success, then: then, code: func(f *forge) []byte { return f.draft(f.grant()).bytes() }}
	}
	same := func(before string, changes ...func(*Step)) func(*forge, Step) []Step {
		return func(_ *forge, first Step) []Step {
			return []Step{again(first, 2, before, ridecode.QRCodeDuplicated, "duplicate", changes...)}
		}
	}
	clocked := func(r recipe) recipe { r.clock = true; return r }
	return group{"replay", "codes that were accepted before", twice, append([]recipe{
		once("at-once", "the same code again", twice, same("")),
		once("another-amount", "the same code again, for another fare", twice, same("", func(s *Step) { s.AmountFen = 300 })),
		clocked(once("last-second", "the same code again in its last second", twice, same("", later(600)))),
		clocked(once("clock-set-back", "the same code again, after the terminal's clock was set back 10 s", twice, same("", later(-10)))),
		once("after-restart", "the same code again, after the terminal was restarted", wiped, same(Restart)),
		once("after-init", "the same code again, after the lists were given anew (document 2 §4.1.2.2)", "every update of the key list lets every code ride again", same(Init)),
		once("twin", "the same code with the twin (r, n-s) of its user signature", "a rider, or who stands behind him, makes a second good code out of the first without any key", func(f *forge, first Step) []Step {
			d := f.draft(f.grant())
			d.proof = twin(d.proof, order192())
			return []Step{again(first, 2, "", ridecode.QRCodeDuplicated, "duplicate", code(d.bytes()))}
		}),
		once("twin-after-restart", "the twin of its user signature, after a restart", wiped, func(f *forge, first Step) []Step {
			d := f.draft(f.grant())
			d.proof = twin(d.proof, order192())
			return []Step{again(first, 2, Restart, ridecode.QRCodeDuplicated, "duplicate", code(d.bytes()))}
		}),
		once("after-another", "the same code again, after another rider's", "two friends show two codes by turns, for a whole bus: only the last code is remembered", func(f *forge, first Step) []Step {
			return []Step{again(first, 2, "", ridecode.Success, "", code(f.draft(f.rider(1)).bytes())), again(first, 3, "", ridecode.QRCodeDuplicated, "duplicate")}
		}),
		once("after-40-others", "the same code again, after 40 other riders'", "at the end of the queue the first code is good again", func(f *forge, first Step) (steps []Step) {
			for i := range 40 {
				steps = append(steps, again(first, i+2, "", ridecode.Success, "", code(f.draft(f.rider(i)).bytes())))
			}
			return append(steps, again(first, 42, "", ridecode.QRCodeDuplicated, "duplicate"))
		}),
	}, replayRefused()...)}
}

// replayRefused: what was refused was not used up, and lists that were withdrawn are withdrawn.
func replayRefused() []recipe {
	const honest = "nothing, but honest riders are turned away"
	first := func(name, about, allows string, expect ridecode.Verdict, check string, change func(*forge, *Step), then func(*forge, Step) []Step) recipe {
		return recipe{name: name, clause: clauseVerdicts, about: about, allows: allows, expect: expect, check: check, change: change, then: then,
			code: func(f *forge) []byte { return f.draft(f.grant()).bytes() }}
	}
	next := func(before string, expect ridecode.Verdict, check string, changes ...func(*Step)) func(*forge, Step) []Step {
		return func(_ *forge, first Step) []Step { return []Step{again(first, 2, before, expect, check, changes...)} }
	}
	return []recipe{
		first("refused-for-its-amount", "over the limit, then the same code for a smaller fare", honest, ridecode.QuotaExceeded, "amount",
			func(_ *forge, s *Step) { s.AmountFen = 3001 }, next("", ridecode.Success, "", func(s *Step) { s.AmountFen = 200 })),
		first("refused-for-pos-param", "a broken pos_param, then the same code with a good one", honest, ridecode.POSParamError, "pos_param",
			func(_ *forge, s *Step) { s.POSParam = "[]" }, next("", ridecode.Success, "")),
		first("new-code-of-the-rider", "a rider's code, then his next one: not the same code", honest, ridecode.Success, "", nil, func(f *forge, first Step) []Step {
			return []Step{again(first, 2, "", ridecode.Success, "", code(f.draftAt(f.grant(), f.at.Add(-time.Second)).bytes()))}
		}),
		first("key-withdrawn", "after the institution withdrew its key, a new code under it", "a leaked key opens gates for as long as the terminal runs", ridecode.Success, "", nil, func(f *forge, first Step) []Step {
			return []Step{again(first, 2, Init, ridecode.QRCodeKeyExpired, ridecode.CheckKey, code(f.draft(f.rider(1)).bytes()),
				func(s *Step) { s.Keys = []string{keyLine(1, f.second.PublicKey())} })}
		}),
		first("key-replaced", "after key 0 was given to another key, a new code under the old one", "a leaked key opens gates for as long as the terminal runs", ridecode.Success, "", nil, func(f *forge, first Step) []Step {
			return []Step{again(first, 2, Init, ridecode.MalformedQRCode, ridecode.CheckInstitutionSignature, code(f.draft(f.rider(1)).bytes()),
				func(s *Step) { s.Keys = []string{keyLine(0, f.second.PublicKey())} })}
		}),
		first("card-type-withdrawn", "after the card type was taken off the list, a new code with it", "a card that the operator stopped opens gates for as long as the terminal runs", ridecode.Success, "", nil, func(f *forge, first Step) []Step {
			return []Step{again(first, 2, Init, ridecode.CardTypeUnsupported, "card_type", code(f.draft(f.rider(1)).bytes()), func(s *Step) { s.CardTypes = []string{"GJ310000"} })}
		}),
	}
}

// rider is the grant of another user, on the same phone.
func (f *forge) rider(number int) ridecode.Grant {
	g := f.grant()
	g.UserID = ridecode.UserID(fmt.Sprintf("20880000%08d", number))
	return g
}

func code(b []byte) func(*Step) { return func(s *Step) { s.Bytes = b } }

func later(seconds int64) func(*Step) {
	return func(s *Step) {
		s.At = must(s.Instant()).Add(time.Duration(seconds) * time.Second).Format(time.RFC3339)
	}
}
