package cardissuer

import (
	"context"
	"encoding/hex"
	"strings"
	"time"
	"unicode"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/carddata"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Order asks for a card.
type Order struct {
	Number string // of the request: the same number again gives the same card
	Key    CardKey
	User   ridecode.UserID
	Data   Data
}

// Data is what a card says to terminals. Where its type has a rule, Payload is sealed, and holds for as long as
// Lasts says; where it has none, Payload is the card data, and Lasts is not used.
type Data struct {
	Payload []byte
	Lasts   time.Duration
}

// Issue opens a card (开卡) with nothing on it. Whether a postpaid card is taken, by an agreement that its rider
// has signed, is the platform's word: it comes with Push.
func (i *Issuer) Issue(ctx context.Context, order Order, now time.Time) (Card, error) {
	switch {
	case !validNumber(order.Key.No):
		return Card{}, refuse(BadRequest, "card_no: not 1 to 16 letters and digits (document 2 §4.2.4.5)")
	case len(order.User) != 16 || !form.IsPrintable(order.User):
		return Card{}, refuse(BadRequest, "user_id: not 16 characters of printable ASCII (document 1 §6.3.2)")
	}
	data, err := i.seal(order.Key, order.User, order.Data, now)
	if err != nil {
		return Card{}, err
	}
	r := &request{kind: EntryIssue, number: "issue/" + order.Number, card: order.Key, now: now, parts: []string{string(order.User), order.Data.digest()}}
	_, card, err := i.carryOut(ctx, r, Need{}, func(w *work) error { return w.issue(order, data) })
	return card, err
}

func (w *work) issue(order Order, data []byte) error {
	switch {
	case w.state.Type == nil:
		return refuse(NoCardType, "this card type is not registered here (document 2 §4.2.4.3)")
	case w.state.Card != nil:
		return refuse(CardTaken, "this card number is taken: a number is one card for ever")
	}
	w.card = Card{Key: order.Key, User: order.User, Data: data, State: Active, Issued: w.now}
	if w.state.Type.Mode == Prepaid {
		w.changes.Opened = []ledger.Account{{ID: CardAccount(order.Key)}, {ID: DebtAccount(order.Key), Unbounded: true}}
	}
	return nil
}

func (d Data) digest() string { return hex.EncodeToString(d.Payload) + "/" + d.Lasts.String() }

// seal makes card data by the rule of its type (document 1 §5.2 step 1).
func (i *Issuer) seal(key CardKey, user ridecode.UserID, data Data, now time.Time) ([]byte, error) {
	rule, sealed := i.config.Rules[key.Type]
	switch {
	case !sealed && len(data.Payload) > carddata.MaxSize:
		return nil, refuse(BadRequest, "card_data: longer than %d bytes (document 2 §4.1.3.6)", carddata.MaxSize)
	case !sealed:
		return data.Payload, nil
	}
	card := carddata.Card{Institution: i.config.Institution, Type: key.Type, No: key.No, User: user}
	out, err := rule.Seal(card, carddata.Content{Payload: data.Payload, Expires: now.Add(data.Lasts).Truncate(time.Second)}, i.config.Random)
	if err != nil {
		return nil, refuse(BadRequest, "card_data: %v", err)
	}
	return out, nil
}

// SetData gives a card other data, as before sealed data ends.
func (i *Issuer) SetData(ctx context.Context, number string, key CardKey, data Data, now time.Time) (Card, error) {
	before, err := i.Card(ctx, key)
	if err != nil {
		return Card{}, err
	}
	sealed, err := i.seal(key, before.User, data, now)
	if err != nil {
		return Card{}, err
	}
	r := &request{kind: EntryData, number: "data/" + number, card: key, now: now, parts: []string{data.digest()}}
	_, card, err := i.carryOut(ctx, r, Need{}, func(w *work) error {
		if err := w.needCard(); err != nil {
			return err
		}
		if w.card.State == Revoked {
			return refuse(WrongState, "the card is revoked")
		}
		w.card.Data = sealed
		return nil
	})
	return card, err
}

// plain drops what does not print: it reaches riders' pages.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}

func documentID(number int64) ledger.DocumentID { return ledger.DocumentID(number) }
