package cardissuer

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"
)

// Suspend stops a card (停用, 挂失) until Resume. tips tell its rider why (disabled_tips, document 2 §4.2.4.5).
func (i *Issuer) Suspend(ctx context.Context, number string, key CardKey, tips string, now time.Time) (Card, error) {
	tips = plain(tips)
	if tips == "" || utf8.RuneCountInString(tips) > tipsMax {
		return Card{}, refuse(BadRequest, "disabled_tips: missing, or longer than %d characters (document 2 §4.2.4.5)", tipsMax)
	}
	return i.turn(ctx, EntrySuspend, number, key, tips, now, func(w *work) error {
		w.card.State, w.card.Tips = Suspended, tips
		return w.from(Active, Suspended)
	})
}

// Resume lets a suspended card go on.
func (i *Issuer) Resume(ctx context.Context, number string, key CardKey, now time.Time) (Card, error) {
	return i.turn(ctx, EntryResume, number, key, "", now, func(w *work) error {
		w.card.State, w.card.Tips = Active, ""
		return w.from(Suspended)
	})
}

func (i *Issuer) turn(ctx context.Context, kind EntryKind, number string, key CardKey, text string, now time.Time, change func(*work) error) (Card, error) {
	r := &request{kind: kind, number: "state/" + number, card: key, text: text, now: now}
	_, card, err := i.carryOut(ctx, r, Need{}, func(w *work) error {
		if err := w.needCard(); err != nil {
			return err
		}
		return change(w)
	})
	return card, err
}

// from refuses a card that was in none of these states.
func (w *work) from(states ...CardState) error {
	for _, state := range states {
		if w.state.Card.State == state {
			return nil
		}
	}
	return refuse(WrongState, "the card is %s", w.state.Card.State)
}

// Revoke begins to revoke a card (退卡). A postpaid card is revoked at once. A prepaid one may not be shown any
// more (CARD_REVOKING), waits for rides that come late, and is closed by CloseDue after its type's RevokeWait,
// at once with atOnce: rides that come after that are owed. A card that owes is not revoked: that ends a debt.
func (i *Issuer) Revoke(ctx context.Context, number string, key CardKey, atOnce bool, now time.Time) (Card, error) {
	text := ""
	if atOnce {
		text = "at once"
	}
	return i.turn(ctx, EntryRevoke, number, key, text, now, func(w *work) error { return w.revoke(atOnce) })
}

func (w *work) revoke(atOnce bool) error {
	if err := w.from(Active, Suspended, Revoking); err != nil {
		return err
	}
	switch {
	case w.state.Type.Mode == Postpaid:
		w.card.State = Revoked
		return nil
	case w.card.OwedFen > 0:
		return refuse(Owes, "the card owes %s: top it up first", w.card.OwedFen)
	}
	due := w.now.Add(w.state.Type.RevokeWait)
	if atOnce {
		due = w.now
	}
	w.card.State, w.card.Tips, w.card.RevokeDue = Revoking, "", due
	return nil
}

// CloseDue ends the revocations that are due, and gives the cards that it has closed: what was on them left the
// book, and is to be paid out to their riders.
func (i *Issuer) CloseDue(ctx context.Context, now time.Time) (closed []Entry, err error) {
	const atOnce = 100
	for {
		keys, err := i.store.Closing(ctx, now, atOnce)
		if err != nil || len(keys) == 0 {
			return closed, err
		}
		for _, key := range keys {
			entry, err := i.close(ctx, key, now)
			if err != nil && !IsFault(err, WrongState) && !IsFault(err, NumberTaken) { // another one was faster
				return closed, err
			}
			if err == nil {
				closed = append(closed, entry)
			}
		}
	}
}

func (i *Issuer) close(ctx context.Context, key CardKey, now time.Time) (Entry, error) {
	before, err := i.Card(ctx, key)
	if err != nil {
		return Entry{}, err
	}
	r := &request{kind: EntryClose, number: fmt.Sprintf("close/%s/%s", key.Type, key.No), card: key, amount: before.BalanceFen, now: now}
	entry, _, err := i.carryOut(ctx, r, Need{}, func(w *work) error {
		if err := w.needPrepaid(); err != nil {
			return err
		}
		w.card.State = Revoked
		w.card.RevokeDue = time.Time{}
		if due := w.state.Card.RevokeDue; due.IsZero() || due.After(now) || w.card.OwedFen > 0 || w.card.BalanceFen != w.amount {
			return refuse(WrongState, "the card changed meanwhile")
		}
		if err := w.from(Revoking); err != nil {
			return err
		}
		return w.move(CardAccount(key), OutsideAccount, w.card.BalanceFen, CodePaidOut)
	})
	return entry, err
}
