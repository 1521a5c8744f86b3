package cardissuer

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// TopUp brings money to a prepaid card (充值). What it owes is paid from it first. A card that is being revoked,
// or is, takes what it owes and no more.
func (i *Issuer) TopUp(ctx context.Context, number string, key CardKey, amount money.Fen, now time.Time) (Entry, Card, error) {
	r := &request{kind: EntryTopUp, number: "top-up/" + number, card: key, amount: amount, now: now}
	if amount <= 0 {
		return Entry{}, Card{}, refuse(BadRequest, "a top-up is above 0")
	}
	return i.carryOut(ctx, r, Need{}, (*work).topUp)
}

func (w *work) topUp() error {
	if err := w.needPrepaid(); err != nil {
		return err
	}
	ended := w.card.State == Revoking || w.card.State == Revoked
	if ended && w.amount > w.card.OwedFen {
		return refuse(WrongState, "the card is being revoked: it takes the %s that it owes, and no more", w.card.OwedFen)
	}
	if err := w.move(OutsideAccount, CardAccount(w.card.Key), w.amount, CodeTopUp); err != nil {
		return err
	}
	if err := w.repay(); err != nil {
		return err
	}
	w.readBook()
	if w.card.BalanceFen > w.state.Type.MaxBalanceFen {
		return refuse(BalanceAbove, "the card would hold more than %s", w.state.Type.MaxBalanceFen)
	}
	w.resumeClosing()
	return nil
}

// resumeClosing goes on with a revocation that has waited for the debt.
func (w *work) resumeClosing() {
	if w.readBook(); w.card.State == Revoking && w.card.OwedFen == 0 && w.card.RevokeDue.IsZero() {
		w.card.RevokeDue = w.now
	}
}

// Ride is a ride of a prepaid card whose records were verified (document 2 §3.1.1 step 11).
type Ride struct {
	OutTradeNo string
	Key        CardKey
	User       ridecode.UserID
	AmountFen  money.Fen
	Subject    string
	Codes      []ridecode.ID // that were shown: each pays for one ride
}

// Debit takes a ride from a card (消费), whatever its state: the gate has let its rider through. What the card
// lacks it owes. The same ride again is answered with the entry of the first time; other contents under its
// number are NumberTaken.
func (i *Issuer) Debit(ctx context.Context, ride Ride, now time.Time) (Entry, Card, error) {
	r := &request{kind: EntryRide, number: rideNumber(ride.OutTradeNo), card: ride.Key, amount: ride.AmountFen, text: plain(ride.Subject), now: now,
		parts: []string{string(ride.User)}}
	codes := slices.Clone(ride.Codes)
	slices.SortFunc(codes, func(a, b ridecode.ID) int { return slices.Compare(a[:], b[:]) })
	codes = slices.Compact(codes)
	for _, code := range codes {
		r.parts = append(r.parts, hex.EncodeToString(code[:]))
	}
	if ride.AmountFen <= 0 || len(codes) == 0 {
		return Entry{}, Card{}, refuse(BadRequest, "a ride costs more than 0, and was made with a code")
	}
	return i.carryOut(ctx, r, Need{Codes: codes}, func(w *work) error { return w.debit(ride.User, codes) })
}

func rideNumber(outTradeNo string) string { return "ride/" + outTradeNo }

func (w *work) debit(user ridecode.UserID, codes []ridecode.ID) error {
	if err := w.needPrepaid(); err != nil {
		return err
	}
	switch {
	case w.card.User != user:
		return refuse(OtherUser, "the card is another user's")
	case len(w.state.Used) > 0:
		return refuse(CodeUsed, "the code has paid for another ride")
	}
	w.changes.Codes = codes
	held := min(w.card.BalanceFen, w.amount)
	if err := w.move(CardAccount(w.card.Key), RidesAccount, held, CodeRide); err != nil {
		return err
	}
	if err := w.move(DebtAccount(w.card.Key), RidesAccount, w.amount-held, CodeRideOwed); err != nil {
		return err
	}
	if w.readBook(); w.card.OwedFen > 0 {
		w.card.RevokeDue = time.Time{} // a revocation waits for it
	}
	return nil
}

// RefundRide gives back what a ride took too much (退款), as merchant.Refund names it. What the card owes is paid
// from it first. All refunds of a ride together are at most its amount.
func (i *Issuer) RefundRide(ctx context.Context, number, outTradeNo string, key CardKey, amount money.Fen, reason string, now time.Time) (Entry, Card, error) {
	if amount <= 0 {
		return Entry{}, Card{}, refuse(BadRequest, "a refund is above 0")
	}
	r := &request{kind: EntryRefund, number: "refund/" + number, card: key, amount: amount, text: plain(reason), now: now, parts: []string{outTradeNo}}
	return i.carryOut(ctx, r, Need{Ride: rideNumber(outTradeNo)}, (*work).refund)
}

func (w *work) refund() error {
	if err := w.needPrepaid(); err != nil {
		return err
	}
	switch ride := w.state.Ride; {
	case ride == nil || ride.Card != w.card.Key:
		return refuse(NoRide, "no such ride was taken from this card")
	case w.amount > ride.AmountFen-w.state.Refunded:
		return refuse(RefundTooHigh, "the ride took %s, and %s of it was given back", ride.AmountFen, w.state.Refunded)
	}
	if err := w.move(RidesAccount, CardAccount(w.card.Key), w.amount, CodeRideRefund); err != nil {
		return err
	}
	if err := w.repay(); err != nil {
		return err
	}
	if w.card.State == Revoked { // it was paid out: so is this
		w.readBook()
		return w.move(CardAccount(w.card.Key), OutsideAccount, w.card.BalanceFen, CodePaidOut)
	}
	w.resumeClosing()
	return nil
}
