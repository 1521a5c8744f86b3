package ridecode

import (
	"crypto/sha1"
	"fmt"
	"time"

	"github.com/shuama/shuama/curve/secp192k1"
)

// Names of the checks that every reader of a code makes, in order of precedence. A terminal adds its
// own behind them.
const (
	CheckForm                 = "form"
	CheckProtocol             = "protocol"
	CheckKey                  = "key"
	CheckInstitutionSignature = "institution_signature"
	CheckUserSignature        = "user_signature"
	CheckAuthorizationTime    = "authorization_time"
	CheckCodeTime             = "code_time"
)

// ClockPolicy says how far the clocks of a phone and of a reader may be apart.
type ClockPolicy struct {
	FutureSec int64 // a code dated this many seconds ahead of the reader's clock is still taken
}

// DefaultClock is what terminals in the field allow (terminal-facts, R10).
func DefaultClock() ClockPolicy { return ClockPolicy{FutureSec: 20} }

// Examine takes a code apart and makes every check that can be made of it alone, at the moment at:
// form, version and algorithm, institution key, both signatures, both times. It goes on after a
// fault as far as it can, so that a trace tells all that is wrong; the verdict is the first fault's.
//
// The code is nil unless the verdict is Success, so that no caller can use fields of a code that
// failed. To explain a refused code, see Unverified.SkipVerification.
func Examine(raw []byte, keys IssuerKeys, at time.Time, clock ClockPolicy) (*Code, Trace) {
	trace := Trace{Checks: make([]Check, 0, 10)}
	u, err := Parse(raw)
	if err != nil {
		trace.Fail(CheckForm, MalformedQRCode, err.Error())
		return nil, trace
	}
	trace.Pass(CheckForm, formIsWell)
	if u.examineProtocol(&trace) {
		u.examineInstitution(keys, verifyNow, &trace)
		u.examineUser(verifyNow, &trace)
	}
	u.examineTimes(at, clock, &trace)
	if trace.Verdict() != Success {
		return nil, trace
	}
	return u.SkipVerification(), trace
}

const formIsWell = "every length adds up"

// verification is how a signature is checked: now, or it was, together with others.
type verification func(key Verifier, digest, signature []byte) bool

func verifyNow(key Verifier, digest, signature []byte) bool { return key.VerifyDER(digest, signature) }

func answered(good bool) verification {
	return func(Verifier, []byte, []byte) bool { return good }
}

func (u *Unverified) examineProtocol(trace *Trace) bool {
	c := &u.code
	if c.Version != Version || c.Algorithm != Algorithm1 {
		trace.Fail(CheckProtocol, ProtoUnsupported, fmt.Sprintf(
			"version %d with algorithm %d is not known here, only version 2 with algorithm 1 (%s)", c.Version, c.Algorithm, clauseHeader))
		return false
	}
	trace.Pass(CheckProtocol, "version 2, algorithm 1")
	return true
}

// An unknown key is "I cannot tell", never fraud: the reader's list may be the older one.
func (u *Unverified) examineInstitution(keys IssuerKeys, verify verification, trace *Trace) {
	key, known := keys.IssuerKey(u.code.KeyID)
	if !known {
		trace.Fail(CheckKey, QRCodeKeyExpired, fmt.Sprintf("key id %d is not in the list of institution keys", u.code.KeyID))
		return
	}
	trace.Pass(CheckKey, "the key id is in the list of institution keys")
	if !verify(key, grantDigest(u.data), u.code.GrantSignature) {
		trace.Fail(CheckInstitutionSignature, MalformedQRCode, fmt.Sprintf(
			"not made by institution key %d over this institution data (document 1 §8.1)", u.code.KeyID))
		return
	}
	trace.Pass(CheckInstitutionSignature, "made by the institution key over the institution data")
}

func (u *Unverified) examineUser(verify verification, trace *Trace) {
	key, err := secp192k1.ParsePublicKey(u.code.Grant.UserKey[:])
	if err != nil {
		trace.Fail(CheckUserSignature, MalformedQRCode, "the user public key is not a point on secp192k1 (document 1 §8.2)")
		return
	}
	digest := sha1.Sum(u.signed)
	if !verify(key, digest[:], u.code.ProofSignature) {
		trace.Fail(CheckUserSignature, MalformedQRCode, "not made by the phone that the grant names over this code (document 1 §8.2)")
		return
	}
	trace.Pass(CheckUserSignature, "made by the phone that the grant names")
}

func (u *Unverified) examineTimes(at time.Time, clock ClockPolicy, trace *Trace) {
	c, now := &u.code, at.Unix()
	if expires := c.Grant.Expires; now > expires.Unix() {
		trace.Fail(CheckAuthorizationTime, QRCodeKeyExpired, fmt.Sprintf("the authorization ended at %s", expires.Format(time.RFC3339)))
	} else {
		trace.Pass(CheckAuthorizationTime, "the authorization holds")
	}
	switch generated := c.Generated.Unix(); {
	case generated > now+clock.FutureSec:
		trace.Fail(CheckCodeTime, QRCodeInfoExpired, fmt.Sprintf("shown %d s in the future, at %s", generated-now, c.Generated.Format(time.RFC3339)))
	case now > generated+int64(c.Grant.ValidSec):
		trace.Fail(CheckCodeTime, QRCodeInfoExpired, fmt.Sprintf("shown at %s, good for %d s, %d s too old",
			c.Generated.Format(time.RFC3339), c.Grant.ValidSec, now-generated-int64(c.Grant.ValidSec)))
	default:
		trace.Pass(CheckCodeTime, "shown within its validity")
	}
}
