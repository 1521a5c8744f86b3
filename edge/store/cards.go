package store

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
)

// CardStore is the register of virtual cards (虚拟卡). It implements codeissuer.CardStore; what it promises is
// written there.
type CardStore struct{ db *DB }

var _ codeissuer.CardStore = (*CardStore)(nil)

// Cards is the code issuer's part of the file.
func (db *DB) Cards() *CardStore { return &CardStore{db: db} }

const cardColumns = `card_type, card_no, app, user_id, open_id, data, balance, disabled, disabled_code, disabled_tips,
	scene, ext_info, sub_action, revoked, last_update, received`

// Change implements codeissuer.CardStore.
func (s *CardStore) Change(ctx context.Context, key codeissuer.CardKey,
	decide func(codeissuer.Card, bool) (codeissuer.Card, bool, error)) error {
	return s.db.write(ctx, func(conn *sqlite.Conn) error {
		card, exists, err := loadCard(conn, key)
		if err != nil {
			return fmt.Errorf("store: read: %w", err)
		}
		next, changed, err := decide(card, exists)
		if err != nil || !changed {
			return err
		}
		if next.Key != key {
			return fmt.Errorf("store: write: %w: another card was decided on", ErrInconsistent)
		}
		if err := saveCard(conn, next); err != nil {
			return fmt.Errorf("store: write: %w", err)
		}
		return nil
	})
}

func loadCard(conn *sqlite.Conn, key codeissuer.CardKey) (card codeissuer.Card, exists bool, err error) {
	err = each(conn, "SELECT "+cardColumns+" FROM virtual_card WHERE card_type = ? AND card_no = ?", []codeissuer.CardKey{key},
		func(stmt *sqlite.Stmt, key codeissuer.CardKey) {
			stmt.BindText(1, string(key.Type))
			stmt.BindText(2, string(key.No))
		},
		func(stmt *sqlite.Stmt, _ codeissuer.CardKey) error {
			card, exists = readCard(stmt), true
			return nil
		})
	return card, exists, err
}

func readCard(stmt *sqlite.Stmt) codeissuer.Card {
	card := codeissuer.Card{
		Key:      codeissuer.CardKey{Type: ridecode.CardType(stmt.ColumnText(0)), No: ridecode.CardNo(stmt.ColumnText(1))},
		App:      codeissuer.AppID(stmt.ColumnText(2)),
		User:     ridecode.UserID(stmt.ColumnText(3)),
		OpenID:   stmt.ColumnText(4),
		Disabled: stmt.ColumnBool(7), DisabledCode: stmt.ColumnText(8), DisabledTips: stmt.ColumnText(9),
		Scene: stmt.ColumnText(10), ExtInfo: stmt.ColumnText(11), SubAction: stmt.ColumnText(12), Revoked: stmt.ColumnBool(13),
		LastUpdate: instant(stmt.ColumnInt64(14)), Received: instant(stmt.ColumnInt64(15)),
	}
	if stmt.ColumnLen(5) > 0 {
		card.Data = columnBytes(stmt, 5)
	}
	if !stmt.ColumnIsNull(6) {
		balance := money.Fen(stmt.ColumnInt64(6))
		card.BalanceFen = &balance
	}
	return card
}

func saveCard(conn *sqlite.Conn, card codeissuer.Card) error {
	insert, err := conn.Prepare("INSERT INTO virtual_card (" + cardColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (card_type, card_no) DO UPDATE SET app = excluded.app, user_id = excluded.user_id, open_id = excluded.open_id,
		data = excluded.data, balance = excluded.balance, disabled = excluded.disabled, disabled_code = excluded.disabled_code,
		disabled_tips = excluded.disabled_tips, scene = excluded.scene, ext_info = excluded.ext_info, sub_action = excluded.sub_action,
		revoked = excluded.revoked, last_update = excluded.last_update, received = excluded.received`)
	if err != nil {
		return err
	}
	for i, text := range []string{string(card.Key.Type), string(card.Key.No), string(card.App), string(card.User), card.OpenID} {
		insert.BindText(i+1, text)
	}
	insert.BindBytes(6, card.Data)
	insert.BindNull(7)
	if card.BalanceFen != nil {
		insert.BindInt64(7, int64(*card.BalanceFen))
	}
	insert.BindBool(8, card.Disabled)
	for i, text := range []string{card.DisabledCode, card.DisabledTips, card.Scene, card.ExtInfo, card.SubAction} {
		insert.BindText(i+9, text)
	}
	insert.BindBool(14, card.Revoked)
	insert.BindInt64(15, card.LastUpdate.UnixMicro())
	insert.BindInt64(16, card.Received.UnixMicro())
	return run(insert)
}

// Find implements codeissuer.CardStore.
func (s *CardStore) Find(ctx context.Context, query codeissuer.CardQuery) (cards []codeissuer.Card, err error) {
	where, values := cardConditions(query)
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, "SELECT "+cardColumns+" FROM virtual_card WHERE "+where+" ORDER BY card_type, card_no LIMIT ?", []struct{}{{}},
			func(stmt *sqlite.Stmt, _ struct{}) {
				for i, value := range values {
					stmt.BindText(i+1, value)
				}
				stmt.BindInt64(len(values)+1, int64(query.Limit))
			},
			func(stmt *sqlite.Stmt, _ struct{}) error {
				cards = append(cards, readCard(stmt))
				return nil
			})
	})
	if err != nil {
		return nil, fmt.Errorf("store: cards: %w", err)
	}
	return cards, nil
}

// cardConditions names only what is asked for, so that the indexes serve.
func cardConditions(query codeissuer.CardQuery) (where string, values []string) {
	where, values = "app = ?", []string{string(query.App)}
	for _, condition := range []struct{ column, value string }{
		{"user_id", string(query.User)}, {"card_type", string(query.Type)}, {"card_no", string(query.No)},
	} {
		if condition.value != "" {
			where, values = where+" AND "+condition.column+" = ?", append(values, condition.value)
		}
	}
	if !query.Revoked {
		where += " AND revoked = 0"
	}
	if query.Stopped {
		where += " AND (revoked = 1 OR disabled = 1)"
	}
	if !query.Since.IsZero() {
		where += fmt.Sprintf(" AND received >= %d", query.Since.UnixMicro())
	}
	return where, values
}
