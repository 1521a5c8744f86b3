package payment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
)

// Errors of days and payouts, for errors.Is.
var (
	ErrDayNotOver   = errors.New("payment: this accounting day is not over yet")
	ErrDayNotClosed = errors.New("payment: this accounting day is not closed: close it first")
	ErrNotLastDay   = errors.New("payment: a later accounting day is closed: pay that one out, what earlier ones have left is in it")
)

// CloseDay ends an accounting day (日切) in every bucket, and every earlier one that nobody has: nothing is
// posted on them any more, also not by a server that is still at work on a request of that day. Then it writes
// every merchant's day down, so that a statement is read and not counted. It may be repeated.
func (p *Payment) CloseDay(ctx context.Context, day ledger.Day, now time.Time) error {
	if !day.Valid() || !p.policy.DayOver(day, now) {
		return ErrDayNotOver
	}
	for bucket := range p.store.Buckets() {
		if err := p.closeDays(ctx, bucket, day, now); err != nil {
			return err
		}
	}
	return nil
}

// DayClosed tells whether a day is closed, and written down, in every bucket. One before the books were opened
// is not.
func (p *Payment) DayClosed(ctx context.Context, day ledger.Day) (bool, error) {
	for bucket := range p.store.Buckets() {
		state, err := p.store.View(ctx, Need{Bucket: bucket, Documents: []DocumentKey{closedKey(day)}})
		if err != nil || len(state.Documents) == 0 {
			return false, err
		}
	}
	return true, nil
}

func closeKey(day ledger.Day) DocumentKey  { return DocumentKey(fmt.Sprintf("close/%d", day)) }
func closedKey(day ledger.Day) DocumentKey { return DocumentKey(fmt.Sprintf("closed/%d", day)) }

func dayKey(merchant ledger.AccountID, day ledger.Day) DocumentKey {
	return DocumentKey(fmt.Sprintf("day/%s/%d", merchant, day))
}

// dayBody is a merchant's day in one bucket.
type dayBody struct {
	OpeningFen              money.Fen
	Rides, Refunds, Payouts Total
	ClosingFen              money.Fen
}

// closeDays closes the days of a bucket in their order: each begins with what the one before has left. A crash
// may have left the last one closed and not written down.
func (p *Payment) closeDays(ctx context.Context, bucket int, day ledger.Day, now time.Time) error {
	state, err := p.store.View(ctx, Need{Bucket: bucket})
	if err != nil {
		return err
	}
	if state.Open == 0 {
		return ErrNoAccount
	}
	for d := min(day, state.Open.Previous()); d <= day; d = d.Next() {
		closed, err := p.closeOne(ctx, bucket, d, now)
		if err == nil && closed {
			err = p.writeDay(ctx, bucket, d, now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// closeOne closes a day, unless the books were opened after it.
func (p *Payment) closeOne(ctx context.Context, bucket int, day ledger.Day, now time.Time) (closed bool, err error) {
	need := Need{Bucket: bucket, Documents: []DocumentKey{closeKey(day)}}
	err = p.store.Update(ctx, need, func(state State) (Changes, error) {
		_, closed = state.Documents[closeKey(day)]
		if closed || state.Open > day {
			return Changes{}, nil
		}
		closed = true
		w := p.write(state, now)
		w.out.Close = day
		return w.changes(Document{Key: closeKey(day)}), nil
	})
	return closed, err
}

// writeDay writes down what merchants have had on a day that is closed.
func (p *Payment) writeDay(ctx context.Context, bucket int, day ledger.Day, now time.Time) error {
	need := Need{Bucket: bucket, Documents: []DocumentKey{closedKey(day)}}
	if state, err := p.store.View(ctx, need); err != nil || len(state.Documents) > 0 {
		return err
	}
	lines, err := p.store.MerchantTotals(ctx, bucket, day, day)
	if err != nil {
		return err
	}
	merchants, err := p.store.Merchants(ctx, bucket)
	if err != nil {
		return err
	}
	days, err := daysOf(merchants, lines)
	if err != nil {
		return err
	}
	for _, merchant := range merchants {
		need.Documents = append(need.Documents, dayKey(merchant, day.Previous()))
	}
	return p.store.Update(ctx, need, func(state State) (Changes, error) { return dayChanges(state, day, days, now) })
}

func dayChanges(state State, day ledger.Day, days map[ledger.AccountID]dayBody, now time.Time) (changes Changes, _ error) {
	if _, done := state.Documents[closedKey(day)]; done {
		return Changes{}, nil
	}
	add := func(key DocumentKey, body []byte) {
		id := state.Free + ledger.DocumentID(len(changes.Documents))
		changes.Documents = append(changes.Documents, Document{Key: key, ID: id, At: storedTime(now), Body: body})
	}
	add(closedKey(day), nil)
	for _, merchant := range slices.Sorted(maps.Keys(days)) {
		body := days[merchant]
		if before, known := state.Documents[dayKey(merchant, day.Previous())]; known {
			var last dayBody
			if err := json.Unmarshal(before.Body, &last); err != nil {
				return Changes{}, err
			}
			body.OpeningFen = last.ClosingFen
		}
		body.ClosingFen = body.OpeningFen + body.Rides.SumFen - body.Refunds.SumFen - body.Payouts.SumFen
		text, err := json.Marshal(body)
		if err != nil {
			return Changes{}, err
		}
		add(dayKey(merchant, day), text)
	}
	return changes, nil
}

// daysOf sorts totals by merchant. Sweeps only move what is the merchant's. Each merchant has every day, also
// one when nothing moved.
func daysOf(merchants []ledger.AccountID, lines []AccountTotal) (map[ledger.AccountID]dayBody, error) {
	days := make(map[ledger.AccountID]dayBody, len(merchants))
	for _, merchant := range merchants {
		days[merchant] = dayBody{}
	}
	for _, line := range lines {
		merchant := merchantOf(line.Account)
		body := days[merchant]
		switch line.Code {
		case CodeRide, CodeGuarantee:
			body.Rides.add(line.In)
		case CodeRefund:
			body.Refunds.add(line.Out)
		case CodePayout:
			body.Payouts.add(line.Out)
		case CodeSweep:
		default:
			return nil, fmt.Errorf("payment: internal error: money of %s moved for a reason, %d, that no merchant has", line.Account, line.Code)
		}
		days[merchant] = body
	}
	return days, nil
}

func (t *Total) add(other Total) {
	t.Count += other.Count
	t.SumFen += other.SumFen // each was added up with checks
}

// Statement is a merchant's accounting day (商户对账单): what it had not been paid out before, what came and
// went, and what it has not been paid out after.
type Statement struct {
	Merchant   ledger.AccountID
	Day        ledger.Day
	OpeningFen money.Fen
	Rides      Total
	Refunds    Total
	Payouts    Total
	ClosingFen money.Fen
}

// Statement adds up what was written down of a closed day in each bucket.
func (p *Payment) Statement(ctx context.Context, merchant ledger.AccountID, day ledger.Day) (Statement, error) {
	statement := Statement{Merchant: merchant, Day: day}
	for bucket := range p.store.Buckets() {
		key := dayKey(merchant, day)
		state, err := p.store.View(ctx, Need{Bucket: bucket, Documents: []DocumentKey{key, closedKey(day)}})
		if err != nil {
			return Statement{}, err
		}
		if _, closed := state.Documents[closedKey(day)]; !closed {
			return Statement{}, ErrDayNotClosed
		}
		document, known := state.Documents[key]
		if !known {
			continue // the merchant was not there yet
		}
		var body dayBody
		if err := json.Unmarshal(document.Body, &body); err != nil {
			return Statement{}, err
		}
		statement.OpeningFen += body.OpeningFen
		statement.Rides.add(body.Rides)
		statement.Refunds.add(body.Refunds)
		statement.Payouts.add(body.Payouts)
		statement.ClosingFen += body.ClosingFen
	}
	return statement, nil
}

// Payout pays a merchant what the last closed day has left (出款), once: from its settled account to the world
// outside, where a bank carries it on. It gives the amount, 0 where nothing is left to pay. Only the last day
// is paid out: two days would each pay what the earlier one has left.
func (p *Payment) Payout(ctx context.Context, merchant Merchant, day ledger.Day, now time.Time) (paidFen money.Fen, err error) {
	statement, err := p.Statement(ctx, merchant.Account, day)
	if err != nil {
		return 0, err
	}
	if err := p.Sweep(ctx, merchant.Account, now); err != nil {
		return 0, err
	}
	settled := SettledAccount(merchant.Account)
	bucket, key := p.home(settled), DocumentKey(fmt.Sprintf("payout/%s/%d", merchant.Account, day))
	need := Need{Bucket: bucket, Accounts: []ledger.AccountID{settled, OutsideAccount}, Documents: []DocumentKey{key}}
	err = p.store.Update(ctx, need, func(state State) (Changes, error) {
		if done, known := state.Documents[key]; known {
			paidFen = done.AmountFen
			return Changes{}, nil
		}
		if state.Open != day.Next() {
			return Changes{}, ErrNotLastDay
		}
		paidFen = max(0, min(statement.ClosingFen, state.Accounts[settled].Balance)) // a refund of today may have come before
		if paidFen == 0 {
			return Changes{}, nil
		}
		w := p.write(state, now)
		if err := w.apply(0, CodePayout, settled, OutsideAccount, paidFen); err != nil {
			return Changes{}, err
		}
		w.note(Notice{Kind: PaidOut, App: merchant.App, Account: merchant.Account, Number: day.String(), AmountFen: paidFen})
		return w.changes(Document{Key: key, AmountFen: paidFen}), nil
	})
	return paidFen, err
}
