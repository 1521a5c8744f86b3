package payment

import (
	"context"
	"errors"
	"fmt"
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
// merchant. The error is a *RecordError when it is not. It says nothing of whether it has paid.
func (p *Payment) VerifyRecord(_ context.Context, merchant Merchant, raw []byte, now time.Time) error {
	_, err := p.proof(merchant, raw, now)
	return err
}

// proof is what one genuine record proves.
type proof struct {
	code *ridecode.Code
	at   time.Time
}

func (p *Payment) proof(merchant Merchant, raw []byte, now time.Time) (proof, error) {
	u, err := record.Parse(raw)
	if err != nil {
		return proof{}, invalid(err.Error())
	}
	claimed := u.SkipVerification()
	if claimed.Time.Unix() > now.Unix()+p.policy.Clock.FutureSec {
		return proof{}, invalid("acceptance time: in the future (document 1 §7.2.4)")
	}
	code, trace := ridecode.Examine(claimed.Code, p.keys, claimed.Time, p.policy.Clock)
	if code == nil {
		return proof{}, invalid("code: " + trace.Reason())
	}
	if err := p.checkIntegrity(merchant, u, code.Grant.UserID); err != nil {
		return proof{}, err
	}
	return proof{code: code, at: claimed.Time}, nil
}

// checkIntegrity asks the terminal's registration which algorithm and key to use. The record itself
// never chooses how much is verified: that would be a way to ask for the weakest.
func (p *Payment) checkIntegrity(merchant Merchant, u *record.Unverified, user ridecode.UserID) error {
	info, err := record.ParseTerminalInfo(u.SkipVerification().Terminal)
	if err != nil {
		return invalid(err.Error())
	}
	terminal, registered := p.terminals.TerminalIntegrity(merchant.App, info.POSID)
	if !registered {
		return invalid("pos_id: this terminal is not registered, so nobody can tell whether it wrote the record (document 1 §7.2.5)")
	}
	if !u.VerifyIntegrity(user, terminal) {
		return invalid("integrity value: not this terminal's over this record (document 1 §7.2.5)")
	}
	return nil
}

func invalid(why string) error { return &RecordError{Reason: RecordInvalid, Why: why} }

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

func (p *Payment) claimRecords(c claim, merchant Merchant, now time.Time) claim {
	first := now
	seen := map[record.ID]bool{}
	for i, raw := range c.trade.Records {
		if id := record.Identify(raw); seen[id] {
			return c.refused(IllegalParams, fmt.Sprintf("records[%d]: the same record twice (%s)", i, clauseTrade))
		} else {
			seen[id] = true
		}
		proven, err := p.proof(merchant, raw, now)
		if err == nil {
			err = c.trade.matches(proven.code)
		}
		var wrong *RecordError
		if errors.As(err, &wrong) {
			return c.refused(wrong.Reason, fmt.Sprintf("records[%d]: %s", i, wrong.Why))
		}
		if proven.at.Before(first) {
			first = proven.at
		}
		c.addCode(proven.code.ID())
	}
	if now.Sub(first) > p.policy.SettleWithin {
		return c.refused(SettleOverdue, "after the settlement deadline (document 2 §4.2.3.1)")
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
func (t Trade) matches(code *ridecode.Code) error {
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

// illegal names the first field that is missing or out of bounds.
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
	return ""
}
