package cardissuer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/openapi"
)

// Platform takes cards (虚拟卡信息同步, document 2 §4.2.4). An *openapi.Error is its refusal; after any other
// error nothing is known. Errors are kept with the card and shown to people: no secrets in them.
type Platform interface {
	SendCard(ctx context.Context, card openapi.CardSendRequest) error
}

// Pushed is what one Push did.
type Pushed struct {
	Sent    int
	Taken   int
	Refused int   // kept, and sent again later: Card.Sent.Reason says why
	Fault   error // of the way to the platform, which ended the run early
}

// pushRounds bounds one Push: what is left waits for the next.
const pushRounds = 1000

// Push sends the platform each card whose newest state it has not taken, in order of last_update_time, and
// keeps what it answered. The newest state alone is sent: it holds all that the older ones said. So each state
// reaches the platform at least once, or a newer one does. Call it after each request, and again and again.
func (i *Issuer) Push(ctx context.Context, platform Platform, now time.Time) (Pushed, error) {
	const atOnce = 100
	var report Pushed
	for range pushRounds {
		cards, err := i.store.Unsent(ctx, now, atOnce)
		if err != nil || len(cards) == 0 {
			return report, err
		}
		for _, card := range cards {
			if err := i.push(ctx, platform, card, now, &report); err != nil || report.Fault != nil {
				return report, err
			}
		}
	}
	return report, nil
}

// Waiting gives up to a hundred cards whose newest state the platform has not taken, the one that is sent next first.
func (i *Issuer) Waiting(ctx context.Context) ([]Card, error) {
	const most = 100
	cards, err := i.store.Unsent(ctx, time.Unix(1<<40, 0), most)
	slices.SortStableFunc(cards, func(a, b Card) int { return a.Sent.NextTry.Compare(b.Sent.NextTry) })
	return cards, err
}

func (i *Issuer) push(ctx context.Context, platform Platform, card Card, now time.Time, report *Pushed) error {
	if card.State == Revoked && !card.Sent.Known { // it never heard of it
		return i.note(ctx, card, func(c *Card) { c.taken(card) })
	}
	message, err := i.message(ctx, card)
	if err != nil {
		return err
	}
	report.Sent++
	err = platform.SendCard(ctx, message)
	var refusal *openapi.Error
	switch {
	case err == nil:
		report.Taken++
		return i.note(ctx, card, func(c *Card) { c.taken(card) })
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &refusal) && refusal.OutcomeKnown():
		report.Refused++
	default:
		report.Fault = err
	}
	return i.note(ctx, card, func(c *Card) { i.postpone(c, err, now) })
}

// taken keeps that the platform has a state, unless it has a newer one by now.
func (c *Card) taken(sent Card) {
	c.Sent = Sent{Version: max(c.Sent.Version, sent.Version), Known: true, NextTry: c.Sent.NextTry}
}

// postpone plans the next attempt. A platform that does not know the card any more is told of it anew; one that
// has something newer, as when our book came back from a copy, gets our state under a newer time.
func (i *Issuer) postpone(c *Card, fault error, now time.Time) {
	c.Sent.Attempts++
	c.Sent.Reason = shortened(plain(fault.Error()))
	c.Sent.NextTry = now.Add(i.retryWait(c.Sent.Attempts))
	var refusal *openapi.Error
	if !errors.As(fault, &refusal) {
		return
	}
	switch refusal.SubErrorCode {
	case "CARD_NOT_EXIST":
		c.Sent.Known = false
	case "CARD_DATA_OUTDATED":
		next := c.Sent.NextTry
		c.touch(now)
		c.Sent.NextTry = next
	}
}

func shortened(text string) string { return text[:min(len(text), 256)] }

func (i *Issuer) retryWait(attempts int) time.Duration {
	wait := i.config.RetryFirst
	for ; attempts > 1 && wait < i.config.RetryMost; attempts-- {
		wait *= 2
	}
	return min(wait, i.config.RetryMost)
}

// note changes what is kept about sending a card, and nothing else.
func (i *Issuer) note(ctx context.Context, sent Card, change func(*Card)) error {
	return i.store.Update(ctx, Need{Card: sent.Key}, func(state State) (Changes, error) {
		if state.Card == nil {
			return Changes{}, refuse(NoCard, "there is no such card")
		}
		card := *state.Card
		change(&card)
		return Changes{Card: &card}, nil
	})
}

// message is a card as the platform is told of it (document 2 §4.2.4.5).
func (i *Issuer) message(ctx context.Context, card Card) (openapi.CardSendRequest, error) {
	kind, err := i.typeOf(ctx, card)
	if err != nil {
		return openapi.CardSendRequest{}, err
	}
	code, tips := kind.disabled(card)
	off, scene, ext := tips != "", "PCREDIT", kind.extInfo()
	m := openapi.CardSendRequest{Action: card.action(), UserID: card.User, CardType: card.Key.Type, CardNo: card.Key.No, LastUpdate: card.LastUpdate,
		CardData: card.Data, Disabled: &off, DisabledCode: &code, DisabledTips: &tips, TradeScene: &scene, ExtInfo: &ext}
	if kind.Mode == Prepaid {
		balance := card.NetFen()
		scene, m.BalanceFen = "EXTRA_PREPAY", &balance
	}
	return m, nil
}

// extInfo is the text of a JSON object, empty where there is nothing to say.
func (t CardType) extInfo() string {
	var out []byte
	for _, member := range [][2]string{{"city_code", t.CityCode}, {"agent_id", t.AgentID}, {"discount_type", t.DiscountType}} {
		if member[1] == "" {
			continue
		}
		out = append(out, ',')
		out = append(form.AppendJSONString(out, member[0]), ':')
		out = form.AppendJSONString(out, member[1])
	}
	if len(out) == 0 {
		return ""
	}
	out[0] = '{'
	return string(append(out, '}'))
}

func (c Card) action() openapi.CardAction {
	switch {
	case c.State == Revoked:
		return openapi.CardRevoke
	case !c.Sent.Known:
		return openapi.CardIssue
	}
	return openapi.CardUpdate
}

func (i *Issuer) typeOf(ctx context.Context, card Card) (CardType, error) {
	types, err := i.store.Types(ctx)
	for _, t := range types {
		if t.Type == card.Key.Type {
			return t, err
		}
	}
	if err == nil {
		err = refuse(NoCardType, "a card of a type that is not registered here")
	}
	return CardType{}, err
}

// The codes of cards that may not be shown (document 2 §4.2.4.5).
const (
	CardOverdue  = "CARD_OVERDUE"
	CardRevoking = "CARD_REVOKING"
)

// disabled says why a card may not be shown, and what its rider can do; empty tips: it may.
func (t CardType) disabled(card Card) (code, tips string) {
	switch {
	case card.State == Revoked:
		return CardRevoking, "卡片已注销"
	case card.OwedFen > 0:
		return CardOverdue, "卡片欠费" + yuan(card.OwedFen) + "元，请先充值补缴"
	case card.State == Revoking:
		return CardRevoking, "退卡处理中，余额将在乘车记录结清后退还"
	case card.State == Suspended:
		return "", card.Tips
	case t.Mode == Prepaid && card.BalanceFen < t.MinBalanceFen:
		return CardOverdue, "余额不足，请先去充值"
	}
	return "", ""
}

// Disabled tells why a card may not be shown now, as the platform is told of it: its code and its tips, both empty
// when it may.
func (i *Issuer) Disabled(ctx context.Context, card Card) (code, tips string, err error) {
	kind, err := i.typeOf(ctx, card)
	if err != nil {
		return "", "", err
	}
	code, tips = kind.disabled(card)
	return code, tips, nil
}

func yuan(amount money.Fen) string { return amount.Yuan() }
