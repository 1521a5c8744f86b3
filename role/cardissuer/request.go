package cardissuer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Bounds of requests.
const (
	numberMax = 96                         // bytes of a request's number
	tipsMax   = 256                        // characters (document 2 §4.2.4.5)
	textMax   = 1024                       // bytes of a text that is only kept
	amountMax = money.Fen(100_000_000_000) // a thousand million yuan: no sum of some overflows
)

// request is what all requests have in common: a number, and a content that it stands for.
type request struct {
	kind   EntryKind
	number string
	card   CardKey
	amount money.Fen
	text   string
	parts  []string // what else belongs to the content
	now    time.Time
}

// digest holds other contents under the same number apart.
func (r *request) digest() [sha256.Size]byte {
	hash := sha256.New()
	for _, part := range append([]string{string(r.kind), string(r.card.Type), string(r.card.No), r.text}, r.parts...) {
		hash.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		hash.Write([]byte(part))
	}
	hash.Write(binary.BigEndian.AppendUint64(nil, uint64(r.amount)))
	return [sha256.Size]byte(hash.Sum(nil))
}

func (r *request) check() error {
	switch {
	case r.number == "" || len(r.number) > numberMax || !form.IsPrintable(r.number):
		return refuse(BadRequest, "the request's number is not 1 to %d characters of printable ASCII", numberMax)
	case !utf8.ValidString(r.text) || len(r.text) > textMax:
		return refuse(BadRequest, "the text is not UTF-8 of at most %d bytes", textMax)
	case r.amount < 0 || r.amount > amountMax:
		return refuse(BadRequest, "the amount is below 0 or above %s", amountMax)
	}
	return nil
}

// work is a request on the state that it is decided on.
type work struct {
	*request
	state   State
	card    Card
	book    *ledger.Book
	changes Changes
}

// carryOut runs a request once: its number with the same content again changes nothing, and is answered with the
// entry of the first time. change decides on w.card and w.book.
func (i *Issuer) carryOut(ctx context.Context, r *request, need Need, change func(*work) error) (Entry, Card, error) {
	if err := r.check(); err != nil {
		return Entry{}, Card{}, err
	}
	r.now = r.now.UTC().Truncate(time.Microsecond)
	need.Card, need.Number, need.Type = r.card, r.number, r.card.Type
	var entry Entry
	var card Card
	err := i.store.Update(ctx, need, func(state State) (Changes, error) {
		if state.Before != nil {
			entry, card = *state.Before, orZero(state.Card)
			return Changes{}, r.repeats(state.Before)
		}
		w := &work{request: r, state: state, card: orZero(state.Card), book: ledger.NewBook(state.Accounts...)}
		w.card.Data = slices.Clone(w.card.Data)
		if err := change(w); err != nil {
			return Changes{}, err
		}
		w.finish()
		entry, card = *w.changes.Entry, w.card
		return w.changes, nil
	})
	return entry, card, err
}

func orZero(card *Card) Card {
	if card == nil {
		return Card{}
	}
	return *card
}

func (r *request) repeats(before *Entry) error {
	if before.Digest != r.digest() {
		return refuse(NumberTaken, "the number was used for a request with other contents")
	}
	return nil
}

// finish writes the entry, and the card in its new state.
func (w *work) finish() {
	entry := Entry{ID: w.state.Free, Kind: w.kind, Number: w.number, Digest: w.digest(), Card: w.request.card, AmountFen: w.amount, Text: w.text, At: w.now}
	if w.state.Ride != nil {
		entry.About = w.state.Ride.ID
	}
	if w.card.Key.No != "" {
		w.readBook()
		entry.NetFen = w.card.NetFen()
		w.card.touch(w.now)
		w.changes.Card = &w.card
	}
	w.changes.Entry, w.changes.Transfers = &entry, w.book.Transfers()
}

func (w *work) readBook() {
	account, _ := w.book.Account(CardAccount(w.card.Key))
	debt, _ := w.book.Account(DebtAccount(w.card.Key))
	w.card.BalanceFen, w.card.OwedFen = account.Balance, -debt.Balance
}

// touch gives a card the last_update_time of a new state. It has whole seconds, so two states in one second would
// be one to the platform: the second is then dated a second ahead.
func (c *Card) touch(now time.Time) {
	stamp := now.Truncate(time.Second)
	if !stamp.After(c.LastUpdate) {
		stamp = c.LastUpdate.Add(time.Second)
	}
	c.LastUpdate, c.Version, c.Sent.NextTry = stamp, c.Version+1, now
}

// needCard refuses what is no card of this issuer.
func (w *work) needCard() error {
	switch {
	case w.state.Type == nil:
		return refuse(NoCardType, "this card type is not registered here (document 2 §4.2.4.3)")
	case w.state.Card == nil:
		return refuse(NoCard, "there is no such card")
	}
	return nil
}

func (w *work) needPrepaid() error {
	if err := w.needCard(); err != nil {
		return err
	}
	if w.state.Type.Mode != Prepaid {
		return refuse(NotPrepaid, "cards of this type hold no money: their rides go to the payment institution (document 2 §3.1.1 step 11)")
	}
	return nil
}

// move transfers money as a leg of the entry.
func (w *work) move(from, to ledger.AccountID, amount money.Fen, code ledger.Code) error {
	if amount == 0 {
		return nil
	}
	id := ledger.TransferID{Document: w.state.Free, Leg: uint8(len(w.book.Transfers()))}
	return w.book.Apply(ledger.Transfer{ID: id, Debit: from, Credit: to, AmountFen: amount, Code: code,
		Day: ledger.DayOf(w.now.In(beijing())), At: w.now})
}

// beijing is the zone of accounting days.
func beijing() *time.Location { return time.FixedZone("CST", 8*3600) }

// repay takes what the card owes from what it has (补缴).
func (w *work) repay() error {
	w.readBook()
	return w.move(CardAccount(w.card.Key), DebtAccount(w.card.Key), min(w.card.BalanceFen, w.card.OwedFen), CodeDebtPaid)
}

func validNumber(no ridecode.CardNo) bool {
	return no != "" && len(no) <= 16 && form.IsAlphanumeric(no)
}
