package postgres

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/role/codeissuer"
)

// CardStore is the register of virtual cards (虚拟卡). It implements codeissuer.CardStore; what it promises is
// written there.
type CardStore struct{ db *DB }

var _ codeissuer.CardStore = (*CardStore)(nil)

// Cards is the code issuer's part of the database.
func (db *DB) Cards() *CardStore { return &CardStore{db: db} }

const cardColumns = `card_type, card_no, app, user_id, open_id, data, balance, disabled, disabled_code, disabled_tips,
	scene, ext_info, sub_action, revoked, last_update, received`

// Change implements codeissuer.CardStore. Two changes of one card come one after the other; of two that
// make it, the second is read and decided again.
func (s *CardStore) Change(ctx context.Context, key codeissuer.CardKey,
	decide func(codeissuer.Card, bool) (codeissuer.Card, bool, error)) error {
	return s.db.transact(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		card, exists, err := lockCard(ctx, conn, key)
		if err != nil {
			return fmt.Errorf("postgres: read: %w", err)
		}
		next, changed, err := decide(card, exists)
		if err != nil {
			return &decideError{err}
		}
		if !changed {
			return nil
		}
		if next.Key != key {
			return fmt.Errorf("postgres: write: %w: another card was decided on", ErrInconsistent)
		}
		if err := saveCard(ctx, conn, next, exists); err != nil {
			return fmt.Errorf("postgres: write: %w", err)
		}
		return nil
	})
}

// lockCard reads a card and keeps others from changing it until the transaction ends.
func lockCard(ctx context.Context, conn *pgx.Conn, key codeissuer.CardKey) (codeissuer.Card, bool, error) {
	if !isText(string(key.Type)) || !isText(string(key.No)) {
		return codeissuer.Card{}, false, nil // nothing of that name can be there
	}
	rows, err := conn.Query(ctx, "select "+cardColumns+" from shuama.virtual_card where card_type = $1 and card_no = $2 for no key update",
		string(key.Type), string(key.No))
	if err != nil {
		return codeissuer.Card{}, false, err
	}
	cards, err := pgx.CollectRows(rows, readCard)
	if err != nil || len(cards) == 0 {
		return codeissuer.Card{}, false, err
	}
	return cards[0], true, nil
}

func readCard(row pgx.CollectableRow) (card codeissuer.Card, err error) {
	var lastUpdate, received int64
	err = row.Scan(&card.Key.Type, &card.Key.No, &card.App, &card.User, &card.OpenID, &card.Data, &card.BalanceFen, &card.Disabled,
		&card.DisabledCode, &card.DisabledTips, &card.Scene, &card.ExtInfo, &card.SubAction, &card.Revoked, &lastUpdate, &received)
	card.LastUpdate, card.Received = instant(lastUpdate), instant(received)
	if len(card.Data) == 0 {
		card.Data = nil
	}
	return card, err
}

// saveCard inserts a card that was not there: were it there by now, its key says so, and the change is
// decided again.
func saveCard(ctx context.Context, conn *pgx.Conn, card codeissuer.Card, exists bool) error {
	statement := "insert into shuama.virtual_card (" + cardColumns + ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
	if exists {
		statement = `update shuama.virtual_card set app = $3, user_id = $4, open_id = $5, data = $6, balance = $7, disabled = $8, disabled_code = $9,
			disabled_tips = $10, scene = $11, ext_info = $12, sub_action = $13, revoked = $14, last_update = $15, received = $16
			where card_type = $1 and card_no = $2`
	}
	data := card.Data
	if data == nil {
		data = []byte{}
	}
	_, err := conn.Exec(ctx, statement, string(card.Key.Type), string(card.Key.No), string(card.App), string(card.User), card.OpenID, data,
		(*int64)(card.BalanceFen), card.Disabled, card.DisabledCode, card.DisabledTips, card.Scene, card.ExtInfo, card.SubAction, card.Revoked,
		card.LastUpdate.UnixMicro(), card.Received.UnixMicro())
	return err
}

// Find implements codeissuer.CardStore.
func (s *CardStore) Find(ctx context.Context, query codeissuer.CardQuery) (cards []codeissuer.Card, err error) {
	where, values, possible := cardConditions(query)
	if !possible {
		return nil, ctx.Err()
	}
	err = s.db.read(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "select "+cardColumns+" from shuama.virtual_card where "+where+
			" order by card_type, card_no limit $"+strconv.Itoa(len(values)+1), append(values[:len(values):len(values)], query.Limit)...)
		if err != nil {
			return err
		}
		cards, err = pgx.CollectRows(rows, readCard)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: cards: %w", err)
	}
	return cards, nil
}

// cardConditions names only what is asked for, so that the indexes serve. Of a name that PostgreSQL cannot
// keep there is no card.
func cardConditions(query codeissuer.CardQuery) (where string, values []any, possible bool) {
	where, values, possible = "app = $1", []any{string(query.App)}, isText(string(query.App))
	for _, condition := range []struct{ column, value string }{
		{"user_id", string(query.User)}, {"card_type", string(query.Type)}, {"card_no", string(query.No)},
	} {
		possible = possible && isText(condition.value)
		if condition.value != "" {
			values = append(values, condition.value)
			where += " and " + condition.column + " = $" + strconv.Itoa(len(values))
		}
	}
	if !query.Revoked {
		where += " and not revoked"
	}
	if query.Stopped {
		where += " and (revoked or disabled)"
	}
	if !query.Since.IsZero() {
		values = append(values, query.Since.UnixMicro())
		where += " and received >= $" + strconv.Itoa(len(values))
	}
	return where, values, possible
}
