package ridecode

import (
	"crypto/sha1"
	"time"

	"github.com/shuama/shuama/curve/secp192k1"
)

// Presented is a code as it came, and the moment to judge it by.
type Presented struct {
	Raw []byte
	At  time.Time
}

// Examined is what Examine says of a code. Code is nil unless the verdict is Success; Unverified is nil
// unless the code has the form of one.
type Examined struct {
	Code       *Code
	Unverified *Unverified
	Trace      Trace
}

// BatchKeys are IssuerKeys that check many institution signatures faster than one by one; trust.KeyRing
// does.
type BatchKeys interface {
	IssuerKeys
	// VerifyGrants writes to good[i] what VerifyDER of the key would say of questions[i]; false where the
	// key is unknown. Each answer is its question's own.
	VerifyGrants(questions []GrantQuestion, good []bool)
}

// GrantQuestion asks whether an institution key has made a signature over a digest.
type GrantQuestion struct {
	Key               KeyID
	Digest, Signature []byte
}

// ExamineMany examines codes that have nothing to do with each other: of each it says exactly what Examine
// would, and takes less time, because their signatures share inversions.
func ExamineMany(codes []Presented, keys IssuerKeys, clock ClockPolicy) []Examined {
	all := make([]Examined, len(codes))
	for i, code := range codes {
		all[i].begin(code.Raw)
	}
	grants := manyGrants(all, keys)
	proofs := manyProofs(all)
	for i, code := range codes {
		all[i].finish(keys, grants[i], proofs[i], code.At, clock)
	}
	return all
}

func (e *Examined) begin(raw []byte) {
	e.Trace = Trace{Checks: make([]Check, 0, 10)}
	u, err := Parse(raw)
	if err != nil {
		e.Trace.Fail(CheckForm, MalformedQRCode, err.Error())
		return
	}
	e.Unverified = u
}

// known tells whether the code's signatures are of a kind that can be checked here.
func (e *Examined) known() bool {
	return e.Unverified != nil && e.Unverified.code.Version == Version && e.Unverified.code.Algorithm == Algorithm1
}

func (e *Examined) finish(keys IssuerKeys, grant, proof bool, at time.Time, clock ClockPolicy) {
	u := e.Unverified
	if u == nil {
		return
	}
	e.Trace.Pass(CheckForm, formIsWell)
	if u.examineProtocol(&e.Trace) {
		u.examineInstitution(keys, answered(grant), &e.Trace)
		u.examineUser(answered(proof), &e.Trace)
	}
	u.examineTimes(at, clock, &e.Trace)
	if e.Trace.Verdict() == Success {
		e.Code = u.SkipVerification()
	}
}

// manyGrants checks the institution signatures of all codes; where there is nothing to check, false.
func manyGrants(all []Examined, keys IssuerKeys) []bool {
	questions, places := make([]GrantQuestion, 0, len(all)), make([]int, 0, len(all))
	for i := range all {
		if u := all[i].Unverified; all[i].known() {
			questions = append(questions, GrantQuestion{u.code.KeyID, grantDigest(u.data), u.code.GrantSignature})
			places = append(places, i)
		}
	}
	return spread(answerGrants(questions, keys), places, len(all))
}

func answerGrants(questions []GrantQuestion, keys IssuerKeys) []bool {
	good := make([]bool, len(questions))
	if batch, can := keys.(BatchKeys); can {
		batch.VerifyGrants(questions, good)
		return good
	}
	for i, q := range questions {
		key, known := keys.IssuerKey(q.Key)
		good[i] = known && key.VerifyDER(q.Digest, q.Signature)
	}
	return good
}

// manyProofs checks the users' signatures of all codes; where there is nothing to check, false.
func manyProofs(all []Examined) []bool {
	items, places := make([]secp192k1.BatchItem, 0, len(all)), make([]int, 0, len(all))
	for i := range all {
		if u := all[i].Unverified; all[i].known() {
			key, err := secp192k1.ParsePublicKey(u.code.Grant.UserKey[:])
			if err != nil {
				continue
			}
			digest := sha1.Sum(u.signed)
			items = append(items, secp192k1.BatchItem{Key: key, Digest: digest[:], DER: u.code.ProofSignature})
			places = append(places, i)
		}
	}
	good := make([]bool, len(items))
	secp192k1.VerifyBatch(items, good)
	return spread(good, places, len(all))
}

func spread(answers []bool, places []int, count int) []bool {
	all := make([]bool, count)
	for n, place := range places {
		all[place] = answers[n]
	}
	return all
}
