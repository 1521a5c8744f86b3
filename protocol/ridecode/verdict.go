package ridecode

import "strconv"

// Verdict is the one answer to a code, with the numbers and names of document 2 §4.1.5. The numbers
// are in the C header, in records of refused codes and in the vectors: they are never given anew.
type Verdict int8

// The verdicts. Where a code has several faults, the verdict is that of the first check that fails,
// in the order of a trace.
const (
	Success             Verdict = 1
	MalformedQRCode     Verdict = -1  // not a code, or a signature that is wrong: the trace says which
	QRCodeInfoExpired   Verdict = -2  // shown too long ago, or dated in the future: refresh the code
	QRCodeKeyExpired    Verdict = -3  // authorization over, or institution key not known: go online
	POSParamError       Verdict = -4  // the caller's pos_param
	QuotaExceeded       Verdict = -5  // more than the single-trade limit
	NoEnoughMemory      Verdict = -6  // the terminal's memory
	SystemError         Verdict = -7  // the terminal itself, as when a record cannot be kept
	CardTypeUnsupported Verdict = -8  // a card that this terminal does not take
	NotInitialized      Verdict = -9  // the terminal has no keys or card types yet
	IllegalParam        Verdict = -10 // the caller's arguments
	ProtoUnsupported    Verdict = -11 // version or algorithm not known here
	QRCodeDuplicated    Verdict = -12 // accepted here before

	// Later headers of the SDK added these (terminal-facts §3); their names are those of pos_crypto.h.
	InstitutionUnsupported Verdict = -13 // a code of an institution that this terminal does not serve
	AlreadyInitialized     Verdict = -14

	// These are ours, for what a gate decides beyond document 2. The SDK never answers with them.
	UserDenied      Verdict = -31 // on the deny list
	CardDataInvalid Verdict = -32 // card data is not the card issuer's, or over (document 1 §5.2 step 5)
	RiderTooSoon    Verdict = -33 // the same rider again, sooner than the line allows
	OnlineRefused   Verdict = -34 // the payment institution says no (document 1 §5.5.1)
	TrustExpired    Verdict = -35 // the terminal's trust bundle is too old to decide by
)

// String is the verdict's name in document 2 §4.1.5.
func (v Verdict) String() string {
	names := [...]string{1: "MALFORMED_QRCODE", "QRCODE_INFO_EXPIRED", "QRCODE_KEY_EXPIRED", "POS_PARAM_ERROR",
		"QUOTA_EXCEEDED", "NO_ENOUGH_MEMORY", "SYSTEM_ERROR", "CARDTYPE_UNSUPPORTED", "NOT_INITIALIZED",
		"ILLEGAL_PARAM", "PROTO_UNSUPPORTED", "QRCODE_DUPLICATED", "INSTITUTION_NOT_SUPPORT", "ALREADY_INITIALIZED",
		31: "USER_DENIED", "CARD_DATA_INVALID", "RIDER_TOO_SOON", "ONLINE_REFUSED", "TRUST_EXPIRED"}
	if v == Success {
		return "SUCCESS"
	}
	if v < 0 && int(-v) < len(names) && names[-v] != "" {
		return names[-v]
	}
	return "VERDICT_" + strconv.Itoa(int(v))
}

// Check is one thing that was looked at.
type Check struct {
	Name string // as "institution_signature"; the names are part of the interface, as the verdicts are
	OK   bool
	Why  string // half a sentence for people; never a key or a full card number
}

// Trace explains a verdict: every check that could be made, in order of precedence.
type Trace struct {
	Checks  []Check
	verdict Verdict
}

// Verdict is that of the first check that failed; Success when none did.
func (t *Trace) Verdict() Verdict {
	if t.verdict == 0 {
		return Success
	}
	return t.verdict
}

// Pass notes a check that is well.
func (t *Trace) Pass(name, why string) {
	t.Checks = append(t.Checks, Check{Name: name, OK: true, Why: why})
}

// Fail notes a check that is not; the first one decides.
func (t *Trace) Fail(name string, verdict Verdict, why string) {
	t.Checks = append(t.Checks, Check{Name: name, Why: why})
	if t.verdict == 0 {
		t.verdict = verdict
	}
}

// Reason is the first failed check as one sentence, empty when all is well.
func (t *Trace) Reason() string {
	for _, check := range t.Checks {
		if !check.OK {
			return check.Name + ": " + check.Why
		}
	}
	return ""
}

// Join notes all checks of another trace behind those of this one.
func (t *Trace) Join(other Trace) {
	t.Checks = append(t.Checks, other.Checks...)
	if t.verdict == 0 {
		t.verdict = other.verdict
	}
}
