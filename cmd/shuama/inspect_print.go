package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// inspectJSON is the answer of inspect --json. Fields that could not be read are absent.
type inspectJSON struct {
	Kind    string `json:"kind"`
	Verdict string `json:"verdict"`
	Number  int    `json:"verdict_number"`
	Size    int    `json:"size"`
	At      string `json:"checked_at"`
	*codeJSON
	*recordJSON
	Checks []checkJSON `json:"checks"`
}

type codeJSON struct {
	Version     uint8  `json:"version"`
	Algorithm   uint8  `json:"algorithm"`
	KeyID       uint8  `json:"key_id"`
	UserID      string `json:"user_id"`
	Expires     int64  `json:"expires"`
	ValidSec    uint16 `json:"valid_seconds"`
	LimitFen    int64  `json:"limit_cents"`
	Identity    string `json:"identity"`
	Institution string `json:"institution"`
	Reserved    string `json:"reserved"`
	UserKey     string `json:"user_public_key"`
	CardType    string `json:"card_type"`
	CardNo      string `json:"card_no"`
	CardData    string `json:"card_data"`
	Generated   int64  `json:"generated"`
}

type recordJSON struct {
	RecordVersion uint8  `json:"record_version"`
	Accepted      int64  `json:"accepted"`
	Terminal      string `json:"terminal"`
	Software      string `json:"software,omitempty"`
	Integrity     string `json:"integrity"`
	Code          string `json:"code"`
}

type checkJSON struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Why  string `json:"why"`
}

func (f finding) writeJSON(out io.Writer) error {
	answer := inspectJSON{Kind: f.kind, Verdict: f.trace.Verdict().String(), Number: int(f.trace.Verdict()), Size: f.size,
		At: f.at.UTC().Format(time.RFC3339), codeJSON: f.codeFields(), recordJSON: f.recordFields(), Checks: []checkJSON{}}
	for _, check := range f.trace.Checks {
		answer.Checks = append(answer.Checks, checkJSON(check))
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(answer)
}

func (f finding) codeFields() *codeJSON {
	if f.code == nil {
		return nil
	}
	c, g := f.code, f.code.Grant
	return &codeJSON{Version: c.Version, Algorithm: c.Algorithm, KeyID: uint8(c.KeyID), UserID: string(g.UserID),
		Expires: g.Expires.Unix(), ValidSec: g.ValidSec, LimitFen: int64(g.LimitFen), Identity: g.Identity.String(),
		Institution: g.Institution.String(), Reserved: g.Reserved.String(), UserKey: hex.EncodeToString(g.UserKey[:]),
		CardType: string(g.CardType), CardNo: string(g.CardNo), CardData: hex.EncodeToString(g.CardData), Generated: c.Generated.Unix()}
}

func (f finding) recordFields() *recordJSON {
	if f.record == nil {
		return nil
	}
	r := f.record
	return &recordJSON{RecordVersion: uint8(r.Version), Accepted: r.Time.Unix(), Terminal: string(r.Terminal), Software: r.Software,
		Integrity: hex.EncodeToString(r.Integrity), Code: hex.EncodeToString(r.Code)}
}

// writeText is for people: what it is, every field with its meaning, every check, and the verdict last.
func (f finding) writeText(out io.Writer) error {
	p := &printer{}
	name := map[string]string{"ride_code": "Ride code 票卡二维码", "record": "Acceptance record 受理记录"}[f.kind]
	p.printf("%s, %d bytes, checked at %s\n\n", name, f.size, f.at.UTC().Format(time.RFC3339))
	p.record(f.record, f.info)
	p.code(f.code)
	p.trace(f.trace)
	_, err := io.WriteString(out, p.text.String())
	return err
}

// printer collects lines.
type printer struct{ text strings.Builder }

func (p *printer) printf(format string, args ...any) { fmt.Fprintf(&p.text, format, args...) }

func (p *printer) field(name, format string, args ...any) {
	p.printf("  %-22s %s\n", name, fmt.Sprintf(format, args...))
}

func (p *printer) record(r *record.Record, info *record.TerminalInfo) {
	if r == nil {
		return
	}
	p.field("record version", "%d", r.Version)
	p.field("accepted", "%s", r.Time.Format(time.RFC3339))
	if info != nil {
		p.field("terminal", "%q, %s, %q, record id %q", info.POSID, info.Kind, info.Subject, info.RecordID)
	} else {
		p.field("terminal", "%q", r.Terminal)
	}
	if r.Software != "" {
		p.field("software", "%s", r.Software)
	}
	p.field("integrity value", "%x (%d bytes)", r.Integrity, len(r.Integrity))
	p.printf("\n")
}

func (p *printer) code(c *ridecode.Code) {
	if c == nil {
		return
	}
	g := c.Grant
	p.field("version, algorithm", "%d, %d", c.Version, c.Algorithm)
	p.field("institution key", "%d", c.KeyID)
	p.field("user 用户", "%s", g.UserID)
	p.field("authorized until", "%s", g.Expires.Format(time.RFC3339))
	p.field("shown 生码时间", "%s, good for %d s", c.Generated.Format(time.RFC3339), g.ValidSec)
	p.field("single-trade limit", "%s", g.LimitFen)
	p.field("card 票卡", "%s, number %s, data %s", g.CardType, quoteEmpty(string(g.CardNo)), quoteEmpty(hex.EncodeToString(g.CardData)))
	p.field("identity, institution", "%s, %s", g.Identity, g.Institution)
	p.field("reserved", "%s", g.Reserved)
	p.field("user public key", "%x", g.UserKey)
	p.printf("\n")
}

func (p *printer) trace(trace ridecode.Trace) {
	for _, check := range trace.Checks {
		mark := "ok"
		if !check.OK {
			mark = "NO"
		}
		p.printf("  %s  %-22s %s\n", mark, check.Name, check.Why)
	}
	verdict := trace.Verdict()
	p.printf("\n%s (%d)\n", verdict, verdict)
	if advice := adviceOf(verdict); advice != "" {
		p.printf("%s\n", advice)
	}
}

func quoteEmpty(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// adviceOf is what to do about a verdict (document 2 §4.1.5, 解决方案).
func adviceOf(verdict ridecode.Verdict) string {
	switch verdict {
	case ridecode.MalformedQRCode:
		return "Not a code that an institution and a phone made: scan again, and look at the check that failed."
	case ridecode.QRCodeInfoExpired:
		return "Refresh the code on the phone and scan again; if that does not help, look at both clocks."
	case ridecode.QRCodeKeyExpired:
		return "Go online with the phone for a new authorization; at the reader, update the key list."
	case ridecode.ProtoUnsupported:
		return "This reader does not know the code's version: update it."
	case ridecode.QRCodeDuplicated:
		return "This code opened the gate before: refresh the code on the phone."
	case ridecode.QuotaExceeded:
		return "The fare is more than one trade of this code may cost."
	case ridecode.UserDenied:
		return "Staff can say why, and how to be let in again."
	case ridecode.CardDataInvalid:
		return "Go to the card issuer: the card's data is over, or not this card's."
	case ridecode.RiderTooSoon:
		return "One rider, one ride: wait, or let everybody show a phone."
	case ridecode.OnlineRefused:
		return "The payment institution did not agree in time: pay in another way, or refresh the code and try again."
	case ridecode.TrustExpired:
		return "The gate needs a newer trust bundle: bring it a network, or a file."
	case ridecode.SystemError:
		return "The gate is at fault: use another one, and tell the staff."
	case ridecode.NotInitialized:
		return "The gate has no keys or card types: see its settings."
	case ridecode.CardTypeUnsupported:
		return "This gate does not take that card: choose another one on the phone."
	}
	return ""
}
