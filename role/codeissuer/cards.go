package codeissuer

import (
	"context"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// AppID is a registered application of a merchant (app_id).
type AppID string

// CardKey names a card: a number alone means nothing, two card types may use it.
type CardKey struct {
	Type ridecode.CardType
	No   ridecode.CardNo
}

// Card is one virtual card (虚拟卡, document 2 §4.2.4.5), as its merchant told it last.
type Card struct {
	Key          CardKey
	App          AppID // whose card it is; stays
	User         ridecode.UserID
	OpenID       string
	Data         []byte     // card_data, passed through into codes
	BalanceFen   *money.Fen // nil where the merchant names none, as for a postpaid card
	Disabled     bool
	DisabledCode string // CARD_OVERDUE, CARD_REVOKING or empty
	DisabledTips string // for the rider
	Scene        string // trade_scene: PCREDIT, EXTRA_PREPAY or empty
	ExtInfo      string // the text of a JSON object, or empty
	SubAction    string // of the last message
	Revoked      bool
	LastUpdate   time.Time // last_update_time: what is older never overwrites
	Received     time.Time // when the last message came
}

// CardStore keeps cards. An implementation is durable: what Change has answered nil to is there after a
// power cut. edge/store has one on SQLite, edge/store/postgres one on PostgreSQL.
type CardStore interface {
	// Change reads the card of key, the zero Card where there is none, hands it to decide, and keeps what decide
	// answers where that has changed, in a transaction that no other on this card may interleave with. decide
	// is a pure function and may be called again. An error of decide is returned and nothing is written. Any
	// other error means that the outcome is not known: the caller repeats the same Change. Instants are kept
	// to the microsecond.
	Change(ctx context.Context, key CardKey, decide func(card Card, exists bool) (next Card, changed bool, err error)) error
	// Find gives what query names, by type and number, at most query.Limit cards.
	Find(ctx context.Context, query CardQuery) ([]Card, error)
}

// CardQuery names cards of one app. Empty fields name all.
type CardQuery struct {
	App     AppID
	User    ridecode.UserID
	Type    ridecode.CardType
	No      ridecode.CardNo
	Revoked bool      // revoked ones too
	Stopped bool      // only those that are revoked or disabled; with Revoked
	Since   time.Time // only those whose last message came then or later; zero: all
	Limit   int
}

// CardTypes tells whose card types are (document 2 §4.2.4.3: a merchant registers them first).
type CardTypes interface {
	// CardTypeOwner is the one app that may send cards of this type.
	CardTypeOwner(cardType ridecode.CardType) (app AppID, registered bool)
}

// Cards is the register of virtual cards. It is safe for concurrent use.
type Cards struct {
	store      CardStore
	types      CardTypes
	agreements *Agreements // nil: no card waits for one
}

// NewCards makes a register of what the store keeps.
func NewCards(store CardStore, types CardTypes) *Cards { return &Cards{store: store, types: types} }

// Query gives the app's own cards, by type and number; of others it finds nothing.
func (c *Cards) Query(ctx context.Context, query CardQuery) ([]Card, error) {
	return c.store.Find(ctx, query)
}
