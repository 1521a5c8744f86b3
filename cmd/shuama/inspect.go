package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
)

type inspectCommand struct {
	Key         []string `help:"An institution key, as 0=028B90…; may be repeated." placeholder:"ID=HEX" sep:"none"`
	Keys        string   `help:"A file with a key list, as key.query gives it." placeholder:"FILE" type:"existingfile"`
	TerminalKey string   `help:"What checks a record's integrity value: hmac-md5-user-id, hmac-sha256=HEX, ed25519=HEX or ecdsa-secp256k1-sha256=HEX. Without it, a value of 16 bytes is taken for hmac-md5-user-id." placeholder:"ALGORITHM[=HEX]"`
	At          string   `help:"The moment to check a code at, as 2026-11-21T08:00:00Z. Without it: now. A record's code is checked at the record's own time." placeholder:"RFC3339"`
	JSON        bool     `help:"Answer as one JSON object." name:"json"`
	Input       string   `arg:"" help:"The code or record as hex or base64 text, a file (raw, text or picture), or - for standard input." placeholder:"HEX|-|FILE"`
}

// Help is what --help shows below the flags.
func (inspectCommand) Help() string {
	return `It checks form, keys, both signatures and times, and a record's integrity value. Card types,
limits and codes seen before are a terminal's matter.

Exit status: 0 accepted, 1 refused, 2 misuse.

Examples:
  shuama inspect --key 0=028B90D7C281AD21B4BA9492C522E39B655890CC41420EB8E8826B28C6DF2D467A 02010054…
  shuama inspect --keys city/keys.json --at 2026-11-21T08:00:00Z code.png
  zbarimg -q -Sbinary --oneshot --raw code.png | shuama inspect --keys city/keys.json --json -`
}

// Run explains the input.
func (c *inspectCommand) Run(w *world) error {
	x, err := c.inspector(w)
	if err != nil {
		return err
	}
	raw, err := readArgument(w, c.Input)
	if err != nil {
		return err
	}
	found := x.inspect(raw)
	if c.JSON {
		err = found.writeJSON(w.stdout)
	} else {
		err = found.writeText(w.stdout)
	}
	if err == nil && found.trace.Verdict() != ridecode.Success {
		return refusal{}
	}
	return err
}

func (c *inspectCommand) inspector(w *world) (*inspector, error) {
	x := &inspector{at: w.now().UTC()}
	keys, err := c.keyRing()
	if err != nil {
		return nil, err
	}
	x.keys = keys
	if c.At != "" {
		if x.at, err = time.Parse(time.RFC3339, c.At); err != nil {
			return nil, fmt.Errorf("--at: not a time like 2026-11-21T08:00:00Z")
		}
	}
	if c.TerminalKey != "" {
		if x.terminal, err = record.ParseIntegrity(c.TerminalKey); err != nil {
			return nil, fmt.Errorf("--terminal-key: %w", err)
		}
	}
	return x, nil
}

func (c *inspectCommand) keyRing() (*trust.KeyRing, error) {
	var keys []trust.Key
	if c.Keys != "" {
		var err error
		if keys, err = readKeyList(c.Keys); err != nil {
			return nil, fmt.Errorf("--keys: %w", err)
		}
	}
	for _, text := range c.Key {
		key, err := parseKeyFlag(text)
		if err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		keys = append(keys, key)
	}
	return trust.NewKeyRing(keys, trust.WindowSmall)
}

func parseKeyFlag(text string) (trust.Key, error) {
	id, publicHex, found := strings.Cut(text, "=")
	number, err := strconv.Atoi(id)
	if !found || err != nil {
		return trust.Key{}, fmt.Errorf("not of the form ID=HEX, as 0=028B90…")
	}
	return trust.ParseKey(number, publicHex)
}

// inspector explains bytes at a moment, with the keys that a person gave.
type inspector struct {
	keys     *trust.KeyRing
	terminal record.Integrity // nil: not given
	at       time.Time
}

// finding is what there is to say of some bytes. code and record are unverified: they are shown to a
// person beside the verdict.
type finding struct {
	kind   string
	size   int
	at     time.Time
	code   *ridecode.Code
	record *record.Record
	info   *record.TerminalInfo
	trace  ridecode.Trace
}

// Names of the checks that a record adds.
const (
	checkRecordForm = "record_form"
	checkIntegrity  = "integrity"
)

// inspect tells a record from a code by what parses. Where neither does, the first byte decides: a
// record's high half is its version, 1 or 2, and a code's is 0.
func (x *inspector) inspect(raw []byte) finding {
	u, recordErr := record.Parse(raw)
	if recordErr == nil {
		return x.inspectRecord(u)
	}
	if _, codeErr := ridecode.Parse(raw); codeErr != nil && (raw[0]>>4 == 1 || raw[0]>>4 == 2) {
		broken := finding{kind: "record", size: len(raw), at: x.at}
		broken.trace.Fail(checkRecordForm, ridecode.MalformedQRCode, recordErr.Error())
		return broken
	}
	return x.inspectCode(raw, x.at)
}

func (x *inspector) inspectCode(raw []byte, at time.Time) finding {
	f := finding{kind: "ride_code", size: len(raw), at: at}
	_, f.trace = ridecode.Examine(raw, x.keys, at, ridecode.DefaultClock())
	if u, err := ridecode.Parse(raw); err == nil {
		f.code = u.SkipVerification()
	}
	return f
}

func (x *inspector) inspectRecord(u *record.Unverified) finding {
	r := u.SkipVerification()
	inner := x.inspectCode(r.Code, r.Time)
	f := finding{kind: "record", size: len(u.Bytes()), at: r.Time, code: inner.code, record: r}
	f.trace.Pass(checkRecordForm, "every length adds up")
	f.trace.Join(inner.trace)
	if info, err := record.ParseTerminalInfo(r.Terminal); err == nil {
		f.info = &info
	}
	if inner.code != nil {
		x.checkIntegrity(u, inner.code.Grant.UserID, &f.trace)
	}
	return f
}

// checkIntegrity needs to be told the algorithm: a record does not name it. Sixteen bytes can only be
// the legacy value, whose key is in the code itself.
func (x *inspector) checkIntegrity(u *record.Unverified, user ridecode.UserID, trace *ridecode.Trace) {
	integrity := x.terminal
	if integrity == nil && len(u.SkipVerification().Integrity) == 16 {
		integrity = record.Legacy{}
	}
	switch {
	case integrity == nil:
		trace.Fail(checkIntegrity, ridecode.QRCodeKeyExpired,
			"nobody can tell without the terminal's key: give --terminal-key (document 1 §7.2.5)")
	case !u.VerifyIntegrity(user, integrity):
		trace.Fail(checkIntegrity, ridecode.MalformedQRCode, fmt.Sprintf(
			"the value is not %s over this record (document 1 §7.2.5)", integrity.Algorithm()))
	default:
		trace.Pass(checkIntegrity, string(integrity.Algorithm())+" over every byte before it")
	}
}
