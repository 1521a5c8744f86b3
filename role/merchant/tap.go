package merchant

import (
	"fmt"

	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// readTap checks a record as far as a merchant can: its form, what the terminal said (document 2
// §4.1.4.6), and the code inside at the record's own time. The terminal's integrity value is for the
// payment institution, which holds the terminal's registration (document 1 §7.2.5).
//
// The error is why the record stands aside: one sentence, no key, no card number.
func (m *Merchant) readTap(b []byte) (Tap, error) {
	unverified, err := record.Parse(b)
	if err != nil {
		return Tap{}, err
	}
	fields := unverified.SkipVerification()
	info, err := record.ParseTerminalInfo(fields.Terminal)
	if err != nil {
		return Tap{}, err
	}
	if !info.Kind.IsWhole() && info.Kind != record.Entry && info.Kind != record.Exit {
		return Tap{}, fmt.Errorf("pos_param type: none of %s, %s, %s, %s (document 2 §4.1.4.6)", record.Single, record.Online, record.Entry, record.Exit)
	}
	code, trace := ridecode.Examine(fields.Code, m.config.Keys, fields.Time, m.config.Clock)
	if code == nil {
		return Tap{}, fmt.Errorf("code, %v: %s", trace.Verdict(), trace.Reason())
	}
	return Tap{
		Record: record.Identify(b), Rider: riderOf(code), Kind: info.Kind, At: fields.Time,
		POSID: info.POSID, Line: lineOf(info), Station: info.Station, Identity: code.Grant.Identity, LimitFen: code.Grant.LimitFen,
	}, nil
}

func riderOf(code *ridecode.Code) Rider {
	return Rider{UserID: code.Grant.UserID, CardType: code.Grant.CardType, CardNo: code.Grant.CardNo}
}

// lineOf falls back to the subject: terminals of 2018 write the line there and have no other place
// for it (wire-facts). The fare table decides whether it is a line: its names are compared whole.
func lineOf(info record.TerminalInfo) string {
	if info.Line != "" {
		return info.Line
	}
	return info.Subject
}
