package store

import (
	"context"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/cardissuer"
)

// IssuerStore is the card issuer's book (票卡发行机构). It implements cardissuer.Store; what it promises is written
// there.
type IssuerStore struct{ db *DB }

var _ cardissuer.Store = (*IssuerStore)(nil)

// Issuer is the card issuer's part of the file.
func (db *DB) Issuer() *IssuerStore { return &IssuerStore{db: db} }

// Update implements cardissuer.Store.
func (s *IssuerStore) Update(ctx context.Context, need cardissuer.Need, decide func(cardissuer.State) (cardissuer.Changes, error)) error {
	return s.db.write(ctx, func(conn *sqlite.Conn) error {
		state, err := loadIssuer(conn, need)
		if err != nil {
			return fmt.Errorf("store: read: %w", err)
		}
		changes, err := decide(state)
		if err != nil {
			return err
		}
		if err := saveIssuer(conn, state, changes); err != nil {
			return fmt.Errorf("store: write: %w", err)
		}
		return nil
	})
}

func loadIssuer(conn *sqlite.Conn, need cardissuer.Need) (state cardissuer.State, err error) {
	for _, load := range []func() error{
		func() error { return loadIssuerBook(conn, &state) },
		func() error { return loadIssuerType(conn, need.Type, &state) },
		func() error { return loadIssuerCard(conn, need.Card, &state) },
		func() error { return loadIssuerEntry(conn, need.Number, &state.Before) },
		func() error { return loadIssuerEntry(conn, need.Ride, &state.Ride) },
		func() error { return loadRefunded(conn, &state) },
		func() error { return loadUsedCodes(conn, need.Codes, &state) },
		func() error { return loadIssuerAccounts(conn, need.Card, &state) },
	} {
		if err := load(); err != nil {
			return state, err
		}
	}
	return state, nil
}

// one runs a query with text arguments, and row for each row of it.
func one(conn *sqlite.Conn, query string, texts []string, row func(*sqlite.Stmt) error) error {
	return each(conn, query, [][]string{texts}, func(stmt *sqlite.Stmt, texts []string) {
		for i, text := range texts {
			stmt.BindText(i+1, text)
		}
	}, func(stmt *sqlite.Stmt, _ []string) error { return row(stmt) })
}

func loadIssuerBook(conn *sqlite.Conn, state *cardissuer.State) error {
	return one(conn, "SELECT next_entry FROM issuer_book", nil, func(stmt *sqlite.Stmt) error {
		state.Free = ledger.DocumentID(stmt.ColumnInt64(0))
		return nil
	})
}

const issuerTypeColumns = "card_type, mode, title, template, city_code, agent_id, discount, min_balance, max_balance, revoke_wait"

func readIssuerType(stmt *sqlite.Stmt) cardissuer.CardType {
	return cardissuer.CardType{Type: ridecode.CardType(stmt.ColumnText(0)), Mode: cardissuer.Mode(stmt.ColumnText(1)), Title: stmt.ColumnText(2),
		Template: stmt.ColumnText(3), CityCode: stmt.ColumnText(4), AgentID: stmt.ColumnText(5), DiscountType: stmt.ColumnText(6),
		MinBalanceFen: money.Fen(stmt.ColumnInt64(7)), MaxBalanceFen: money.Fen(stmt.ColumnInt64(8)),
		RevokeWait: time.Duration(stmt.ColumnInt64(9)) * time.Microsecond}
}

func loadIssuerType(conn *sqlite.Conn, cardType ridecode.CardType, state *cardissuer.State) error {
	return one(conn, "SELECT "+issuerTypeColumns+" FROM issuer_type WHERE card_type = ?", []string{string(cardType)}, func(stmt *sqlite.Stmt) error {
		found := readIssuerType(stmt)
		state.Type = &found
		return nil
	})
}

// issuerCards is cards with their money.
const issuerCards = `SELECT c.card_type, c.card_no, user_id, data, state, tips, issued, revoke_due, last_update, version, sent_version, known,
	attempts, next_try, reason, ifnull(held.balance, 0), ifnull(-debt.balance, 0) FROM issuer_card AS c
	LEFT JOIN issuer_account AS held ON held.id = 'card:' || c.card_type || '/' || c.card_no
	LEFT JOIN issuer_account AS debt ON debt.id = 'debt:' || c.card_type || '/' || c.card_no `

func readIssuerCard(stmt *sqlite.Stmt) cardissuer.Card {
	card := cardissuer.Card{Key: cardissuer.CardKey{Type: ridecode.CardType(stmt.ColumnText(0)), No: ridecode.CardNo(stmt.ColumnText(1))},
		User: ridecode.UserID(stmt.ColumnText(2)), State: cardissuer.CardState(stmt.ColumnText(4)), Tips: stmt.ColumnText(5),
		Issued: instant(stmt.ColumnInt64(6)), LastUpdate: instant(stmt.ColumnInt64(8)), Version: stmt.ColumnInt64(9),
		Sent: cardissuer.Sent{Version: stmt.ColumnInt64(10), Known: stmt.ColumnBool(11), Attempts: stmt.ColumnInt(12),
			NextTry: instant(stmt.ColumnInt64(13)), Reason: stmt.ColumnText(14)},
		BalanceFen: money.Fen(stmt.ColumnInt64(15)), OwedFen: money.Fen(stmt.ColumnInt64(16))}
	if stmt.ColumnLen(3) > 0 {
		card.Data = columnBytes(stmt, 3)
	}
	if !stmt.ColumnIsNull(7) {
		card.RevokeDue = instant(stmt.ColumnInt64(7))
	}
	return card
}

func loadIssuerCard(conn *sqlite.Conn, key cardissuer.CardKey, state *cardissuer.State) error {
	return one(conn, issuerCards+"WHERE c.card_type = ? AND c.card_no = ?", []string{string(key.Type), string(key.No)}, func(stmt *sqlite.Stmt) error {
		card := readIssuerCard(stmt)
		state.Card = &card
		return nil
	})
}

const issuerEntryColumns = "id, kind, number, digest, card_type, card_no, about, amount, net, text, at"

func readIssuerEntry(stmt *sqlite.Stmt) cardissuer.Entry {
	entry := cardissuer.Entry{ID: ledger.DocumentID(stmt.ColumnInt64(0)), Kind: cardissuer.EntryKind(stmt.ColumnText(1)), Number: stmt.ColumnText(2),
		Card:  cardissuer.CardKey{Type: ridecode.CardType(stmt.ColumnText(4)), No: ridecode.CardNo(stmt.ColumnText(5))},
		About: ledger.DocumentID(stmt.ColumnInt64(6)), AmountFen: money.Fen(stmt.ColumnInt64(7)), NetFen: money.Fen(stmt.ColumnInt64(8)),
		Text: stmt.ColumnText(9), At: instant(stmt.ColumnInt64(10))}
	stmt.ColumnBytes(3, entry.Digest[:])
	return entry
}

func loadIssuerEntry(conn *sqlite.Conn, number string, into **cardissuer.Entry) error {
	if number == "" {
		return nil
	}
	return one(conn, "SELECT "+issuerEntryColumns+" FROM issuer_entry WHERE number = ?", []string{number}, func(stmt *sqlite.Stmt) error {
		entry := readIssuerEntry(stmt)
		*into = &entry
		return nil
	})
}

func loadRefunded(conn *sqlite.Conn, state *cardissuer.State) error {
	if state.Ride == nil {
		return nil
	}
	return each(conn, "SELECT ifnull(sum(amount), 0) FROM issuer_entry WHERE about = ?", []ledger.DocumentID{state.Ride.ID},
		func(stmt *sqlite.Stmt, id ledger.DocumentID) { stmt.BindInt64(1, int64(id)) },
		func(stmt *sqlite.Stmt, _ ledger.DocumentID) error {
			state.Refunded = money.Fen(stmt.ColumnInt64(0))
			return nil
		})
}

func loadUsedCodes(conn *sqlite.Conn, codes []ridecode.ID, state *cardissuer.State) error {
	state.Used = map[ridecode.ID]ledger.DocumentID{}
	return each(conn, "SELECT entry FROM issuer_used_code WHERE code = ?", codes,
		func(stmt *sqlite.Stmt, code ridecode.ID) { stmt.BindBytes(1, code[:]) },
		func(stmt *sqlite.Stmt, code ridecode.ID) error {
			state.Used[code] = ledger.DocumentID(stmt.ColumnInt64(0))
			return nil
		})
}

func loadIssuerAccounts(conn *sqlite.Conn, key cardissuer.CardKey, state *cardissuer.State) error {
	ids := []ledger.AccountID{cardissuer.OutsideAccount, cardissuer.RidesAccount, cardissuer.CardAccount(key), cardissuer.DebtAccount(key)}
	return each(conn, "SELECT "+accountColumns+" FROM issuer_account WHERE id = ?", ids,
		func(stmt *sqlite.Stmt, id ledger.AccountID) { stmt.BindText(1, string(id)) },
		func(stmt *sqlite.Stmt, _ ledger.AccountID) error {
			state.Accounts = append(state.Accounts, readAccount(stmt))
			return nil
		})
}

// Types implements cardissuer.Store.
func (s *IssuerStore) Types(ctx context.Context) (types []cardissuer.CardType, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return one(conn, "SELECT "+issuerTypeColumns+" FROM issuer_type ORDER BY card_type", nil, func(stmt *sqlite.Stmt) error {
			types = append(types, readIssuerType(stmt))
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("store: card types: %w", err)
	}
	return types, nil
}

// Find implements cardissuer.Store.
func (s *IssuerStore) Find(ctx context.Context, query cardissuer.Query) ([]cardissuer.Card, error) {
	where := "WHERE (c.card_type, c.card_no) > (?, ?)"
	values := []string{string(query.After.Type), string(query.After.No)}
	for _, condition := range []struct{ column, value string }{
		{"c.card_type", string(query.Type)}, {"c.card_no", string(query.No)}, {"user_id", string(query.User)},
	} {
		if condition.value != "" {
			where, values = where+" AND "+condition.column+" = ?", append(values, condition.value)
		}
	}
	return s.list(ctx, where+" ORDER BY c.card_type, c.card_no LIMIT ?", query.Limit, values)
}

// list reads cards; the last parameter of the query is their number, those before are texts.
func (s *IssuerStore) list(ctx context.Context, where string, limit int, texts []string, numbers ...int64) (cards []cardissuer.Card, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, issuerCards+where, []struct{}{{}}, func(stmt *sqlite.Stmt, _ struct{}) {
			for i, text := range texts {
				stmt.BindText(i+1, text)
			}
			for i, number := range append(numbers, int64(limit)) {
				stmt.BindInt64(len(texts)+i+1, number)
			}
		}, func(stmt *sqlite.Stmt, _ struct{}) error {
			cards = append(cards, readIssuerCard(stmt))
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("store: cards: %w", err)
	}
	return cards, nil
}

// Unsent implements cardissuer.Store.
func (s *IssuerStore) Unsent(ctx context.Context, until time.Time, count int) ([]cardissuer.Card, error) {
	return s.list(ctx, "WHERE sent_version < version AND next_try <= ? ORDER BY last_update, c.card_type, c.card_no LIMIT ?", count, nil, until.UnixMicro())
}

// Closing implements cardissuer.Store.
func (s *IssuerStore) Closing(ctx context.Context, until time.Time, count int) ([]cardissuer.CardKey, error) {
	cards, err := s.list(ctx, "WHERE state = 'REVOKING' AND revoke_due IS NOT NULL AND revoke_due <= ? ORDER BY revoke_due, c.card_type, c.card_no LIMIT ?",
		count, nil, until.UnixMicro())
	var keys []cardissuer.CardKey
	for i := range cards {
		keys = append(keys, cards[i].Key)
	}
	return keys, err
}

// History implements cardissuer.Store.
func (s *IssuerStore) History(ctx context.Context, key cardissuer.CardKey, after ledger.DocumentID, count int) (entries []cardissuer.Entry, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, "SELECT "+issuerEntryColumns+" FROM issuer_entry WHERE card_type = ? AND card_no = ? AND id > ? ORDER BY id LIMIT ?",
			[]cardissuer.CardKey{key}, func(stmt *sqlite.Stmt, key cardissuer.CardKey) {
				stmt.BindText(1, string(key.Type))
				stmt.BindText(2, string(key.No))
				stmt.BindInt64(3, int64(after))
				stmt.BindInt64(4, int64(count))
			}, func(stmt *sqlite.Stmt, _ cardissuer.CardKey) error {
				entries = append(entries, readIssuerEntry(stmt))
				return nil
			})
	})
	if err != nil {
		return nil, fmt.Errorf("store: history: %w", err)
	}
	return entries, nil
}
