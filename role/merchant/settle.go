package merchant

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
)

// requestSizeMax is an estimate that stays well below what the platform takes, in bytes.
const requestSizeMax = openapi.MaxContentSize * 3 / 4

// Settler carries trades to the payment institution (document 2 §4.2.3). It answers in any order, and
// may leave trades out. An error means that nothing is known of any of them, unless it is an
// *openapi.Error that says so; beside results it is about the trades that they leave out. Errors are kept with the
// trades and shown to people: no secrets in them.
type Settler interface {
	Settle(ctx context.Context, trades []openapi.Trade) ([]openapi.TradeResult, error)
}

// Report is what one SettleDue did.
type Report struct {
	Sent      int       // trades that were sent, each once
	Settled   int       // of them: final, the money has moved
	Failed    int       // of them: final, it will not
	Postponed int       // of them: no final answer yet, to be sent again
	Strange   []string  // results that fit nothing that was asked; they changed nothing
	Fault     error     // of the Settler, when it ended the run early; what was not sent is still due
	NextDue   time.Time // of the trade or default fare that is due first now; zero when every trade is final
}

// SettleDue sends the trades that are due (document 2 §4.2.3), in batches, each trade at most once.
// Call it again at NextDue, and after each Collect.
//
// That a trade is sent is written before it is sent, together with when it will be sent again if no
// answer comes. So a crash, a lost request and a lost answer all end in a retry, with the content of
// the first time: nothing but Progress ever changes in a trade.
//
// The error is the store's or the context's; the report holds what was done until then.
func (m *Merchant) SettleDue(ctx context.Context, now time.Time) (Report, error) {
	now = storedTime(now)
	var report Report
	if err := m.chargeOpen(ctx, now); err != nil {
		return report, fmt.Errorf("merchant: settle: %w", err)
	}
	for round := 0; round < maxSettleRounds && report.Fault == nil; round++ {
		claimed, err := m.claimDue(ctx, now)
		if err != nil {
			return report, fmt.Errorf("merchant: settle: %w", err)
		}
		if len(claimed) == 0 {
			break
		}
		if err := m.settleBatch(ctx, claimed, now, &report); err != nil {
			return report, fmt.Errorf("merchant: settle: %w", err)
		}
	}
	report.Postponed = report.Sent - report.Settled - report.Failed
	return report, m.findNextDue(ctx, &report)
}

// claim is a trade on its way out, with the bytes of its records.
type claim struct {
	trade Trade
	wire  openapi.Trade
}

// claimDue marks a batch of due trades as sent and gives it back. Another SettleDue at the same time
// gets other trades.
func (m *Merchant) claimDue(ctx context.Context, now time.Time) ([]claim, error) {
	var claimed []claim
	need := Need{Due: DueTrades{Until: now, Count: m.config.SettleBatch}}
	err := m.store.Update(ctx, need, func(state State) (Changes, error) {
		var changes Changes
		claimed = nil
		for _, trade := range fitRequest(state) {
			trade.State, trade.Attempts = Sent, trade.Attempts+1
			trade.NextTry = now.Add(m.retryWait(trade.Attempts))
			changes.Progress = append(changes.Progress, TradeProgress{trade.OutTradeNo, trade.Progress})
			claimed = append(claimed, claim{trade: trade, wire: wireTrade(trade, state.Records)})
		}
		return changes, nil
	})
	return claimed, err
}

// fitRequest takes as many due trades as one request has room for, the first in any case.
func fitRequest(state State) []Trade {
	size := 0
	for i, trade := range state.Due {
		size += 512 + 2*(len(trade.Subject)+len(trade.BizContext))
		for _, id := range trade.Held {
			size += 2 * len(state.Records[id].Bytes) // hex
		}
		if i > 0 && size > requestSizeMax {
			return state.Due[:i]
		}
	}
	return state.Due
}

// retryWait is the back-off after so many attempts, at least 1.
func (m *Merchant) retryWait(attempts int) time.Duration {
	return backOff(m.config.RetryFirst, m.config.RetryMost, attempts)
}

// backOff doubles the wait with each attempt, bounded.
func backOff(first, most time.Duration, attempts int) time.Duration {
	wait := first
	for ; attempts > 1 && wait < most; attempts-- {
		wait *= 2
	}
	return min(wait, most)
}

func wireTrade(trade Trade, records map[record.ID]StoredRecord) openapi.Trade {
	rider := trade.Trip.first().Rider
	wire := openapi.Trade{
		OutTradeNo: trade.OutTradeNo, UserID: rider.UserID, OrderTime: trade.OrderTime, Subject: trade.Subject, AmountFen: trade.AmountFen,
		BizContext: trade.BizContext, CardType: string(rider.CardType), SellerLogin: trade.SellerLogin,
	}
	for _, id := range trade.Held {
		wire.Records = append(wire.Records, records[id].Bytes)
	}
	return wire
}

// settleBatch sends a batch and files the answers. A batch that is refused whole for what is in it
// goes again in halves: one bad trade must not hold up its neighbours for ever.
func (m *Merchant) settleBatch(ctx context.Context, batch []claim, now time.Time, report *Report) error {
	results, fault := m.settler.Settle(ctx, wiresOf(batch))
	if fault != nil && len(results) > 0 {
		var answered []claim
		answered, batch = partClaims(batch, results)
		report.Sent += len(answered)
		if err := m.fileResults(ctx, answered, results, now, report); err != nil {
			return err
		}
	}
	switch {
	case fault != nil && len(batch) == 0:
		report.Fault = fault
		return nil
	case fault == nil:
		report.Sent += len(batch)
		return m.fileResults(ctx, batch, results, now, report)
	case ctx.Err() != nil:
		report.Sent += len(batch)
		return ctx.Err()
	case isAboutContent(fault) && len(batch) > 1:
		half := len(batch) / 2
		return errors.Join(m.settleBatch(ctx, batch[:half], now, report), m.settleBatch(ctx, batch[half:], now, report))
	}
	report.Sent += len(batch)
	if !isAboutContent(fault) {
		report.Fault = fault
	}
	return m.fileFault(ctx, batch, fault)
}

// partClaims parts what was answered from what was not.
func partClaims(batch []claim, results []openapi.TradeResult) (answered, rest []claim) {
	for _, claimed := range batch {
		is := func(r openapi.TradeResult) bool { return r.OutTradeNo == claimed.trade.OutTradeNo }
		if slices.ContainsFunc(results, is) {
			answered = append(answered, claimed)
		} else {
			rest = append(rest, claimed)
		}
	}
	return answered, rest
}

func wiresOf(batch []claim) []openapi.Trade {
	wires := make([]openapi.Trade, len(batch))
	for i := range batch {
		wires[i] = batch[i].wire
	}
	return wires
}

// isAboutContent tells a refusal of what was sent from trouble on the way or with our account.
func isAboutContent(fault error) bool {
	var refusal *openapi.Error
	return errors.As(fault, &refusal) && (refusal.SubCode == openapi.SubIllegalParams ||
		refusal.SubCode == openapi.SubInvalidParameter || refusal.SubCode == openapi.SubFail)
}

// fileFault keeps the reason where people look for it; when the trades go again is written already.
func (m *Merchant) fileFault(ctx context.Context, batch []claim, fault error) error {
	reason := plainText("not answered: "+fault.Error(), reasonSizeMax)
	return m.store.Update(ctx, Need{Trades: numbersOf(batch)}, func(state State) (Changes, error) {
		var changes Changes
		for _, trade := range state.Trades {
			if trade.State == Sent {
				trade.Reason = reason
				changes.Progress = append(changes.Progress, TradeProgress{trade.OutTradeNo, trade.Progress})
			}
		}
		return changes, nil
	})
}

// fileResults moves each trade that was answered. One that was not keeps the time of its retry, which
// claimDue has written.
func (m *Merchant) fileResults(ctx context.Context, batch []claim, results []openapi.TradeResult, now time.Time, report *Report) error {
	answers, strange := matchResults(batch, results)
	failed := m.scopesOfFailed(batch, answers)
	need := m.needOf(nil, failed)
	need.Trades = numbersOf(batch)
	var tally Report
	err := m.store.Update(ctx, need, func(state State) (Changes, error) {
		var changes Changes
		tally = Report{}
		for number, result := range answers {
			trade := state.Trades[number]
			progress, moved := m.judge(trade, result, now, &tally)
			if moved {
				changes.Progress = append(changes.Progress, TradeProgress{number, progress})
			}
			trade.Progress = progress
			state.Trades[number] = trade
		}
		for _, rider := range slices.SortedFunc(maps.Keys(failed), compareRiders) {
			changes.join(m.reckon(failed[rider], state.Windows[rider], state, now).changes())
		}
		return changes, nil
	})
	report.Settled += tally.Settled
	report.Failed += tally.Failed
	report.Strange = append(append(report.Strange, strange...), tally.Strange...)
	return err
}

// scopesOfFailed are the days of trades that took nothing after all: what was credited to other trips from
// them is to be paid.
func (m *Merchant) scopesOfFailed(batch []claim, answers map[openapi.OutTradeNo]openapi.TradeResult) map[Rider]scope {
	var taps []Tap
	for i := range batch {
		if answer := answers[batch[i].trade.OutTradeNo]; answer.Outcome == openapi.OutcomeFail && !answer.NeedRetry {
			taps = append(taps, batch[i].trade.Trip.Taps()...)
		}
	}
	return m.scopes(taps)
}

func numbersOf(batch []claim) []openapi.OutTradeNo {
	numbers := make([]openapi.OutTradeNo, len(batch))
	for i := range batch {
		numbers[i] = batch[i].trade.OutTradeNo
	}
	return numbers
}

// matchResults finds the result of each trade of a batch. A result for a trade that was not asked
// about is not believed, and of two that differ neither is: the trade is asked about again.
func matchResults(batch []claim, results []openapi.TradeResult) (map[openapi.OutTradeNo]openapi.TradeResult, []string) {
	asked := map[openapi.OutTradeNo]bool{}
	for i := range batch {
		asked[batch[i].trade.OutTradeNo] = true
	}
	answers, contradicted := map[openapi.OutTradeNo]openapi.TradeResult{}, map[openapi.OutTradeNo]bool{}
	var strange []string
	for _, result := range results {
		number := result.OutTradeNo
		before, twice := answers[number]
		switch {
		case !asked[number]:
			strange = append(strange, fmt.Sprintf("out_trade_no %.64q was not asked about", number))
		case twice && before != result:
			contradicted[number] = true
		default:
			answers[number] = result
		}
	}
	for number := range contradicted {
		strange = append(strange, fmt.Sprintf("out_trade_no %q was answered twice, differently", number))
		delete(answers, number)
	}
	return answers, strange
}

// judge is the rule of document 2 §4.2.3.2: SUCCESS and a FAIL that needs no retry are final, all else
// is asked again. What is final stays: a later answer that differs is only reported.
func (m *Merchant) judge(trade Trade, result openapi.TradeResult, now time.Time, tally *Report) (Progress, bool) {
	progress := trade.Progress
	progress.State, progress.Reason = Sent, plainText(reasonOf(result), reasonSizeMax)
	switch {
	case result.Outcome == openapi.OutcomeSuccess:
		progress.State, progress.TradeNo, progress.Reason, progress.Settled = Settled, result.TradeNo, "", now
	case result.Outcome == openapi.OutcomeFail && !result.NeedRetry:
		progress.State = Failed
	default:
		progress.NextTry = m.nextTry(trade.Attempts, result.NextRetry, now)
	}
	if trade.State == Settled || trade.State == Failed {
		if progress.State != Sent && (progress.State != trade.State || progress.TradeNo != trade.TradeNo) {
			tally.Strange = append(tally.Strange, fmt.Sprintf("out_trade_no %q is %s, and was answered as %s", trade.OutTradeNo, trade.State, progress.State))
		}
		progress = trade.Progress
	}
	tally.Settled += countIf(progress.State == Settled)
	tally.Failed += countIf(progress.State == Failed)
	return progress, progress != trade.Progress
}

func (m *Merchant) nextTry(attempts int, asked, now time.Time) time.Time {
	if !asked.After(now) {
		return now.Add(m.retryWait(attempts))
	}
	return storedTime(earlier(asked, now.Add(maxRetryWait)))
}

func reasonOf(result openapi.TradeResult) string {
	return joinFilled([]string{string(result.Outcome), string(result.ErrorCode), result.ErrorMessage, result.Message}, ": ")
}

func countIf(is bool) int {
	if is {
		return 1
	}
	return 0
}

// chargeOpen makes trades of the trips that have lacked an end for so long that their default fare is due.
func (m *Merchant) chargeOpen(ctx context.Context, now time.Time) error {
	const ridersAtOnce = 100
	for round := 0; round < maxSettleRounds && m.config.Fares.HasDefaults(); round++ {
		state, err := m.store.View(ctx, Need{OpenDue: OpenTaps{Until: now.Add(-m.config.DefaultAfter), Count: ridersAtOnce}})
		if err != nil || len(state.OpenDue) == 0 {
			return err
		}
		scopes := m.scopes(state.OpenDue)
		err = m.store.Update(ctx, m.needOf(nil, scopes), func(state State) (Changes, error) {
			var changes Changes
			for _, rider := range slices.SortedFunc(maps.Keys(scopes), compareRiders) {
				changes.join(m.reckon(scopes[rider], state.Windows[rider], state, now).changes())
			}
			return changes, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// findNextDue looks once over what is left.
func (m *Merchant) findNextDue(ctx context.Context, report *Report) error {
	endOfTime := time.Unix(1<<40, 0)
	need := Need{Due: DueTrades{Until: endOfTime, Count: 1}}
	if m.config.Fares.HasDefaults() {
		need.OpenDue = OpenTaps{Until: endOfTime, Count: 1}
	}
	state, err := m.store.View(ctx, need)
	if err != nil {
		return fmt.Errorf("merchant: settle: %w", err)
	}
	for _, trade := range state.Due {
		report.NextDue = trade.NextTry
	}
	for _, tap := range state.OpenDue {
		if due := tap.At.Add(m.config.DefaultAfter); report.NextDue.IsZero() || due.Before(report.NextDue) {
			report.NextDue = due
		}
	}
	return nil
}
