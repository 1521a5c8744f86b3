package payment

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Bounds of a trade (document 2 §4.2.3.5; the count of records is ours, DIVERGENCES).
const (
	outTradeNoMax = 64   // characters
	subjectMax    = 128  // characters
	bizContextMax = 2048 // characters
	RecordsMax    = 8    // records of one trade
)

const clauseTrade = "document 2 §4.2.3.5"

// RecordError says why a record is not genuine.
type RecordError struct {
	Reason Reason
	Why    string
}

func (e *RecordError) Error() string { return string(e.Reason) + ": " + e.Why }

// VerifyRecord tells whether a record is genuine (document 2 §4.2.2): its form, its code's signatures
// and its code's times at the moment of acceptance, and the integrity value of a terminal of this
// merchant. The error is a *RecordError when it is not, or when nobody can tell yet: RecordUnverifiable.
// It says nothing of whether it has paid.
func (p *Payment) VerifyRecord(_ context.Context, merchant Merchant, raw []byte, now time.Time) error {
	if _, fault := p.proof(merchant, raw, now); fault != nil {
		return fault
	}
	return nil
}

// proof is what one genuine record proves.
type proof struct {
	code *ridecode.Code // nil unless the record is genuine
	at   time.Time      // of acceptance, only claimed unless the record is genuine; zero where there is none
}

// proof makes every check of a record. A fault that time would not cure comes before one that it might:
// what is not known yet saves no record that is wrong.
func (p *Payment) proof(merchant Merchant, raw []byte, now time.Time) (proof, *RecordError) {
	u, err := record.Parse(raw)
	if err != nil {
		return proof{}, invalid(err.Error())
	}
	claimed := u.SkipVerification()
	code, fault := p.checkCode(claimed)
	if fault == nil || fault.Reason == RecordUnverifiable {
		fault = worse(fault, p.checkIntegrity(merchant, u))
		fault = worse(fault, p.checkTime(claimed.Time, now))
	}
	if fault != nil {
		code = nil
	}
	return proof{code: code, at: claimed.Time}, fault
}

// worse is the fault that comes first in the list of reasons; of two with one reason, a.
func worse(a, b *RecordError) *RecordError {
	if a == nil || b != nil && b.Reason.precedes(a.Reason) {
		return b
	}
	return a
}

// checkCode examines the code at the moment of acceptance. A key that is not in the list may only be
// newer than the list; where it is all that is missing, nobody can tell.
func (p *Payment) checkCode(claimed *record.Record) (*ridecode.Code, *RecordError) {
	code, trace := ridecode.Examine(claimed.Code, p.keys, claimed.Time, p.policy.Clock)
	if code != nil {
		return code, nil
	}
	for _, check := range trace.Checks {
		if !check.OK && check.Name != ridecode.CheckKey {
			return nil, invalid("code: " + check.Name + ": " + check.Why)
		}
	}
	return nil, unverifiable("code: " + trace.Reason())
}

// checkTime is about the clock of the terminal, or that of this server.
func (p *Payment) checkTime(accepted, now time.Time) *RecordError {
	if accepted.Unix() > now.Unix()+p.policy.Clock.FutureSec {
		return unverifiable("acceptance time: in the future (document 1 §7.2.4)")
	}
	return nil
}

// checkIntegrity asks the terminal's registration which algorithm and key to use. The record itself
// never chooses how much is verified: that would be a way to ask for the weakest.
func (p *Payment) checkIntegrity(merchant Merchant, u *record.Unverified) *RecordError {
	info, err := record.ParseTerminalInfo(u.SkipVerification().Terminal)
	if err != nil {
		return invalid(err.Error())
	}
	terminal, registered := p.terminals.TerminalIntegrity(merchant.App, info.POSID)
	if !registered {
		return unverifiable("pos_id: this terminal is not registered, so nobody can tell whether it wrote the record (document 1 §7.2.5)")
	}
	code, err := ridecode.Parse(u.CodeBytes())
	if err != nil {
		return invalid("code: " + err.Error())
	}
	if !u.VerifyIntegrity(code.SkipVerification().Grant.UserID, terminal) {
		return invalid("integrity value: not this terminal's over this record (document 1 §7.2.5)")
	}
	return nil
}

func invalid(why string) *RecordError { return &RecordError{Reason: RecordInvalid, Why: why} }

func unverifiable(why string) *RecordError { return &RecordError{Reason: RecordUnverifiable, Why: why} }

// claim looks at one trade without the books.
func (p *Payment) claim(merchant Merchant, trade Trade, now time.Time) claim {
	c := claim{trade: trade, key: TradeKey{App: merchant.App, OutTradeNo: trade.OutTradeNo}, digest: trade.Digest()}
	if why := illegal(trade); why != "" {
		return c.refused(IllegalParams, why)
	}
	if trade.SellerLogin != "" && trade.SellerLogin != merchant.LoginName {
		return c.refused(SellerNotAllowed, "seller_login_name is not the contract account of this app ("+clauseTrade+")")
	}
	return p.claimRecords(c, merchant, now)
}

// claimRecords looks at every record, so that of all their faults the first of the list is answered. After
// the deadline it is too late to wait for what is not known yet.
func (p *Payment) claimRecords(c claim, merchant Merchant, now time.Time) claim {
	first, faults := now, []RecordError(nil)
	for i, raw := range c.trade.Records {
		proven, fault := p.proof(merchant, raw, now)
		if fault == nil {
			c.addCode(proven.code.ID())
			fault = c.trade.matches(proven.code)
		}
		if fault != nil {
			faults = append(faults, RecordError{Reason: fault.Reason, Why: fmt.Sprintf("records[%d]: %s", i, fault.Why)})
		}
		if !proven.at.IsZero() {
			first = earlier(first, proven.at)
			c.retry = later(later(c.retry, now.Add(p.policy.CannotTellRetry)), proven.at)
		}
	}
	if now.Sub(first) > p.policy.SettleWithin {
		faults = slices.DeleteFunc(faults, func(f RecordError) bool { return f.Reason == RecordUnverifiable })
		faults = append(faults, RecordError{Reason: SettleOverdue, Why: "after the settlement deadline (document 2 §4.2.3.1)"})
	}
	return c.withFirst(faults)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// withFirst refuses a claim for the fault that comes first in the list of reasons.
func (c claim) withFirst(faults []RecordError) claim {
	for _, fault := range faults {
		if fault.Reason.precedes(c.reason) {
			c = c.refused(fault.Reason, fault.Why)
		}
	}
	return c
}

// addCode keeps a code once: a rider may enter and leave a metro with one code that still holds.
func (c *claim) addCode(id ridecode.ID) {
	for _, have := range c.codes {
		if have == id {
			return
		}
	}
	c.codes = append(c.codes, id)
}

func (c claim) refused(reason Reason, why string) claim {
	c.reason, c.why = reason, why
	return c
}

// matches holds a trade against what its record proves.
func (t Trade) matches(code *ridecode.Code) *RecordError {
	switch grant := code.Grant; {
	case grant.UserID != t.UserID:
		return &RecordError{RecordUserMismatch, "the code is another user's than user_id (" + clauseTrade + ")"}
	case t.CardType != "" && ridecode.CardType(t.CardType) != grant.CardType:
		return &RecordError{RecordCardMismatch, "the code is of another card type than card_type (" + clauseTrade + ")"}
	case t.AmountFen > grant.LimitFen:
		return &RecordError{QuotaExceeded, fmt.Sprintf("amount %s is over the code's single-trade limit of %s (document 1 §6.3.2)",
			t.AmountFen.Yuan(), grant.LimitFen.Yuan())}
	}
	return nil
}

// illegal names the first field that is missing, doubled or out of bounds.
func illegal(t Trade) string {
	switch {
	case t.OutTradeNo == "" || len(t.OutTradeNo) > outTradeNoMax || !form.IsPrintable(t.OutTradeNo):
		return "out_trade_no: not 1 to 64 printable characters (" + clauseTrade + ")"
	case t.UserID == "":
		return "user_id: missing (" + clauseTrade + ")"
	case t.OrderTime.IsZero():
		return "actual_order_time: missing (" + clauseTrade + ")"
	case t.Subject == "" || len([]rune(t.Subject)) > subjectMax:
		return "subject: not 1 to 128 characters (" + clauseTrade + ")"
	case t.AmountFen <= 0 || t.AmountFen > money.MaxFen:
		return "amount: not a positive amount in yuan (" + clauseTrade + ")"
	case len([]rune(t.BizContext)) > bizContextMax:
		return "order_biz_context: over 2048 characters (" + clauseTrade + ")"
	case len(t.Records) == 0 || len(t.Records) > RecordsMax:
		return "records: not 1 to 8 records (" + clauseTrade + ")"
	}
	return doubled(t.Records)
}

// doubled names a record that stands twice.
func doubled(records [][]byte) string {
	seen := map[record.ID]bool{}
	for i, raw := range records {
		id := record.Identify(raw)
		if seen[id] {
			return fmt.Sprintf("records[%d]: the same record twice (%s)", i, clauseTrade)
		}
		seen[id] = true
	}
	return ""
}
