package payment

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"sync"
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
	if shown := p.examine(merchant, [][]byte{raw}, now)[0]; shown.fault != nil {
		return shown.fault
	}
	return nil
}

// shown is what a record shows.
type shown struct {
	code  *ridecode.Code // nil unless the record is genuine
	posID string
	kind  record.Kind
	at    time.Time // of acceptance, only claimed unless the record is genuine; zero where there is none
	fault *RecordError
}

// examine makes every check of records that may have nothing to do with each other. A fault that time would
// not cure comes before one that it might: what is not known yet saves no record that is wrong.
func (p *Payment) examine(merchant Merchant, raws [][]byte, now time.Time) []shown {
	all, parsed := make([]shown, len(raws)), make([]*record.Unverified, len(raws))
	codes := make([]ridecode.Presented, len(raws)) // empty where there is no record
	for i, raw := range raws {
		u, err := record.Parse(raw)
		if err != nil {
			all[i].fault = invalid(err.Error())
			continue
		}
		parsed[i], all[i].at = u, u.SkipVerification().Time
		codes[i] = ridecode.Presented{Raw: u.CodeBytes(), At: all[i].at}
	}
	for i, examined := range ridecode.ExamineMany(codes, p.keys, p.policy.Clock) {
		if parsed[i] != nil {
			p.judge(&all[i], merchant, parsed[i], examined, now)
		}
	}
	return all
}

func (p *Payment) judge(s *shown, merchant Merchant, u *record.Unverified, examined ridecode.Examined, now time.Time) {
	s.fault = codeFault(examined)
	if s.fault == nil || s.fault.Reason == RecordUnverifiable {
		s.fault = worse(s.fault, p.checkTerminal(s, merchant, u, examined.Unverified))
		s.fault = worse(s.fault, p.checkTime(s.at, now))
	}
	if s.fault == nil {
		s.code = examined.Code
	}
}

// worse is the fault that comes first in the list of reasons; of two with one reason, a.
func worse(a, b *RecordError) *RecordError {
	if a == nil || b != nil && b.Reason.precedes(a.Reason) {
		return b
	}
	return a
}

// codeFault is what is wrong with the code at the moment of acceptance. A key that is not in the list may
// only be newer than the list; where it is all that is missing, nobody can tell.
func codeFault(examined ridecode.Examined) *RecordError {
	if examined.Code != nil {
		return nil
	}
	for _, check := range examined.Trace.Checks {
		if !check.OK && check.Name != ridecode.CheckKey {
			return invalid("code: " + check.Name + ": " + check.Why)
		}
	}
	return unverifiable("code: " + examined.Trace.Reason())
}

// checkTime is about the clock of the terminal, or that of this server.
func (p *Payment) checkTime(accepted, now time.Time) *RecordError {
	if accepted.Unix() > now.Unix()+p.policy.Clock.FutureSec {
		return unverifiable("acceptance time: in the future (document 1 §7.2.4)")
	}
	return nil
}

// checkTerminal asks the terminal's registration which algorithm and key to use. The record itself
// never chooses how much is verified: that would be a way to ask for the weakest.
func (p *Payment) checkTerminal(s *shown, merchant Merchant, u *record.Unverified, code *ridecode.Unverified) *RecordError {
	info, err := record.ParseTerminalInfo(u.SkipVerification().Terminal)
	if err != nil {
		return invalid(err.Error())
	}
	s.posID, s.kind = info.POSID, info.Kind
	terminal, registered := p.terminals.TerminalIntegrity(merchant.App, info.POSID)
	if !registered {
		return unverifiable("pos_id: this terminal is not registered, so nobody can tell whether it wrote the record (document 1 §7.2.5)")
	}
	if !u.VerifyIntegrity(code.SkipVerification().Grant.UserID, terminal) {
		return invalid("integrity value: not this terminal's over this record (document 1 §7.2.5)")
	}
	return nil
}

func invalid(why string) *RecordError { return &RecordError{Reason: RecordInvalid, Why: why} }

func unverifiable(why string) *RecordError { return &RecordError{Reason: RecordUnverifiable, Why: why} }

// verifyChunk is how many trades are verified together: enough for their signatures to share work, and few
// enough to keep every core busy.
const verifyChunk = 32

// verify looks at every trade on all cores: signatures are nine tenths of the work.
func (p *Payment) verify(merchant Merchant, trades []Trade, now time.Time) []claim {
	claims := make([]claim, len(trades))
	next := make(chan int, len(trades)/verifyChunk+1)
	for first := 0; first < len(trades); first += verifyChunk {
		next <- first
	}
	close(next)
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(next)) {
		wait.Go(func() {
			for first := range next {
				end := min(first+verifyChunk, len(trades))
				p.claimSafely(merchant, trades[first:end], now, claims[first:end])
			}
		})
	}
	wait.Wait()
	return claims
}

// claimSafely makes a bug that one trade brings out into an unknown outcome of that trade: a panic here
// would end the server, and every other trade with it.
func (p *Payment) claimSafely(merchant Merchant, trades []Trade, now time.Time, claims []claim) {
	defer func() {
		if caught := recover(); caught == nil {
			return
		} else if len(trades) > 1 {
			for i := range trades {
				p.claimSafely(merchant, trades[i:i+1], now, claims[i:i+1])
			}
		} else {
			p.tellPanic(caught)
			claims[0] = claim{trade: trades[0], reason: SystemBusy, why: "this trade could not be looked at: send it again, unchanged"}
		}
	}()
	p.claimAll(merchant, trades, now, claims)
}

// claimAll looks at trades without the books.
func (p *Payment) claimAll(merchant Merchant, trades []Trade, now time.Time, claims []claim) {
	var raws [][]byte
	for i, trade := range trades {
		claims[i] = claimOf(merchant, trade)
		if claims[i].reason == "" {
			raws = append(raws, trade.Records...)
		}
	}
	all := p.examine(merchant, raws, now)
	for i := range claims {
		if claims[i].reason == "" {
			count := len(trades[i].Records)
			claims[i].addRecords(all[:count], p.policy, now)
			all = all[count:]
		}
	}
}

func claimOf(merchant Merchant, trade Trade) claim {
	c := claim{trade: trade, key: TradeKey{App: merchant.App, OutTradeNo: trade.OutTradeNo}}
	if why := illegal(trade); why != "" {
		return c.refused(IllegalParams, why)
	}
	c.content = trade.Append(nil)
	c.digest = sha256.Sum256(c.content)
	if trade.SellerLogin != "" && trade.SellerLogin != merchant.LoginName {
		return c.refused(SellerNotAllowed, "seller_login_name is not the contract account of this app ("+clauseTrade+")")
	}
	return c
}

// addRecords looks at what every record shows, so that of all their faults the first of the list is
// answered. After the deadline it is too late to wait for what is not known yet.
func (c *claim) addRecords(all []shown, policy Policy, now time.Time) {
	c.first = now
	var faults []RecordError
	for i, s := range all {
		fault := s.fault
		if fault == nil {
			c.addCode(s)
			fault = c.trade.matches(s.code)
		}
		if fault == nil && policy.IsPrepaid != nil && policy.IsPrepaid(s.code.Grant.CardType) {
			fault = &RecordError{RecordCardMismatch, "the code is of a prepaid card: its ride is taken from its issuer's own book (document 2 §3.1.1 step 11)"}
		}
		if fault != nil {
			faults = append(faults, RecordError{Reason: fault.Reason, Why: fmt.Sprintf("records[%d]: %s", i, fault.Why)})
		}
		if !s.at.IsZero() {
			c.first = earlier(c.first, s.at)
			c.retry = later(later(c.retry, now.Add(policy.CannotTellRetry)), s.at)
		}
	}
	if now.Sub(c.first) > policy.SettleWithin {
		faults = slices.DeleteFunc(faults, func(f RecordError) bool { return f.Reason == RecordUnverifiable })
		faults = append(faults, RecordError{Reason: SettleOverdue, Why: whyOverdue})
	}
	*c = c.withFirst(faults)
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
func (c *claim) addCode(s shown) {
	id := codeID(s.code)
	for i := range c.codes {
		if c.codes[i].id == id {
			return
		}
	}
	c.codes = append(c.codes, proven{id: id, posID: s.posID, online: s.kind == record.Online})
}

// codeID is what the books call a code: the second in which it was made, four bytes, and 28 bytes of its own
// identity. The phone has signed both, so one code has one name; and codes that are used together stand
// together in an index, which grows at its end then and not everywhere at once.
func codeID(code *ridecode.Code) ridecode.ID {
	id := code.ID()
	copy(id[codeSecondSize:], id[:])
	binary.BigEndian.PutUint32(id[:codeSecondSize], uint32(code.Generated.Unix()))
	return id
}

const codeSecondSize = 4 // bytes

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
