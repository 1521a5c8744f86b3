package cardissuer

import (
	"context"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

// RegisterType registers a card type, or changes its title, template and rules. The mode stays: cards that are
// about could not follow.
func (i *Issuer) RegisterType(ctx context.Context, number string, t CardType, now time.Time) error {
	if t.Mode == Prepaid {
		t = t.withDefaults()
	}
	if err := t.check(); err != nil {
		return err
	}
	r := &request{kind: EntryType, number: "type/" + number, card: CardKey{Type: t.Type}, now: now,
		parts: []string{string(t.Mode), t.Title, t.Template, t.CityCode, t.AgentID, t.DiscountType, strconv.FormatInt(int64(t.MinBalanceFen), 10),
			strconv.FormatInt(int64(t.MaxBalanceFen), 10), t.RevokeWait.String()}}
	_, _, err := i.carryOut(ctx, r, Need{}, func(w *work) error {
		if w.state.Type != nil && w.state.Type.Mode != t.Mode {
			return refuse(TypeDiffers, "card type %s is registered as %s", t.Type, w.state.Type.Mode)
		}
		w.changes.Type = &t
		return nil
	})
	return err
}

func (t CardType) withDefaults() CardType {
	if t.MaxBalanceFen == 0 {
		t.MaxBalanceFen = DefaultMaxBalanceFen
	}
	if t.MinBalanceFen == 0 {
		t.MinBalanceFen = DefaultMinBalanceFen
	}
	if t.RevokeWait == 0 {
		t.RevokeWait = DefaultRevokeWait
	}
	return t
}

const typeSize = 8 // document 1 §6.3.2

func (t CardType) check() error {
	bad := func(why string) error { return refuse(BadRequest, "card type: %s", why) }
	switch {
	case len(t.Type) != typeSize || !form.IsPrintable(t.Type):
		return bad("not 8 characters of printable ASCII (document 1 §6.3.2)")
	case t.Type == ridecode.PlainCardType:
		return bad(fmt.Sprintf("%s is the plain payment code, no card (document 2 §4.1.2.1)", t.Type))
	case t.Mode != Prepaid && t.Mode != Postpaid:
		return bad("neither PREPAID nor POSTPAID (document 2 §1.2)")
	case !isTitle(t.Title) || t.Title == "" || !isTitle(t.Template):
		return bad("title or template is not text of at most 64 characters")
	case t.CityCode != "" && !isCityCode(t.CityCode):
		return bad("city_code is not 6 digits")
	case !isTitle(t.AgentID) || !isTitle(t.DiscountType):
		return bad("agent_id or discount_type is not text of at most 64 characters")
	case t.Mode == Postpaid && (t.MinBalanceFen != 0 || t.MaxBalanceFen != 0 || t.RevokeWait != 0):
		return bad("a postpaid card has no balance, and so no rules about one")
	case t.MinBalanceFen < 0 || t.MaxBalanceFen < t.MinBalanceFen || t.MaxBalanceFen > amountMax || t.RevokeWait < 0:
		return bad("the least balance, the most, or the wait is out of range")
	}
	return nil
}

func isTitle(text string) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= 64 && plain(text) == text
}

func isCityCode(text string) bool {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) == 6
}

// Types gives the registered types, by name.
func (i *Issuer) Types(ctx context.Context) ([]CardType, error) { return i.store.Types(ctx) }

// Find gives what query names, by type and number.
func (i *Issuer) Find(ctx context.Context, query Query) ([]Card, error) {
	return i.store.Find(ctx, query)
}

// Card gives one card.
func (i *Issuer) Card(ctx context.Context, key CardKey) (Card, error) {
	cards, err := i.store.Find(ctx, Query{Type: key.Type, No: key.No, Limit: 1})
	if err == nil && len(cards) == 0 {
		err = refuse(NoCard, "there is no such card")
	}
	if err != nil {
		return Card{}, err
	}
	return cards[0], nil
}

// History gives up to count entries of a card, those behind the entry numbered after.
func (i *Issuer) History(ctx context.Context, key CardKey, after int64, count int) ([]Entry, error) {
	return i.store.History(ctx, key, documentID(after), count)
}

// Audit counts the whole book again.
func (i *Issuer) Audit(ctx context.Context) (AuditReport, error) { return i.store.Audit(ctx) }
