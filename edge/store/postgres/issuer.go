package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/cardissuer"
)

// IssuerStore is the card issuer's book (票卡发行机构). It implements cardissuer.Store; what it promises is written
// there.
type IssuerStore struct{ db *DB }

var _ cardissuer.Store = (*IssuerStore)(nil)

// Issuer is the card issuer's part of the database.
func (db *DB) Issuer() *IssuerStore { return &IssuerStore{db: db} }

// Update implements cardissuer.Store. Whoever changes the book holds its one row: changes come one after the other.
func (s *IssuerStore) Update(ctx context.Context, need cardissuer.Need, decide func(cardissuer.State) (cardissuer.Changes, error)) error {
	return s.db.transact(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		state, err := (&issuerBook{ctx, conn}).load(need)
		if err != nil {
			return fmt.Errorf("postgres: read: %w", err)
		}
		changes, err := decide(state)
		if err != nil {
			return &decideError{err}
		}
		if err := (&issuerBook{ctx, conn}).save(state, changes); err != nil {
			return fmt.Errorf("postgres: write: %w", err)
		}
		return nil
	})
}

// issuerBook is the book in one transaction.
type issuerBook struct {
	ctx  context.Context
	conn *pgx.Conn
}

// issuerRows reads every row of a query.
func issuerRows[T any](b *issuerBook, read func(pgx.CollectableRow) (T, error), query string, values ...any) ([]T, error) {
	rows, err := b.conn.Query(b.ctx, query, values...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, read)
}

// firstRow is a pointer to the first row, nil where there is none.
func firstRow[T any](found []T, err error) (*T, error) {
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

func (b *issuerBook) load(need cardissuer.Need) (state cardissuer.State, err error) {
	if err = b.conn.QueryRow(b.ctx, "select next_entry from shuama.issuer_book for update").Scan(&state.Free); err != nil {
		return state, err
	}
	for _, load := range []func() error{
		func() error { return b.loadCard(need, &state) },
		func() (err error) { state.Before, err = b.entry(need.Number); return err },
		func() (err error) { state.Ride, err = b.entry(need.Ride); return err },
		func() error { return b.loadRefunded(&state) },
		func() error { return b.loadUsed(need.Codes, &state) },
	} {
		if err := load(); err != nil {
			return state, err
		}
	}
	return state, nil
}

const issuerTypeColumns = "card_type, mode, title, template, city_code, agent_id, discount, min_balance, max_balance, revoke_wait"

func readIssuerType(row pgx.CollectableRow) (t cardissuer.CardType, err error) {
	var wait int64
	err = row.Scan(&t.Type, &t.Mode, &t.Title, &t.Template, &t.CityCode, &t.AgentID, &t.DiscountType, &t.MinBalanceFen, &t.MaxBalanceFen, &wait)
	t.RevokeWait = time.Duration(wait) * time.Microsecond
	return t, err
}

// issuerCards is cards with their money.
const issuerCards = `select c.card_type, c.card_no, user_id, data, state, tips, issued, revoke_due, last_update, version, sent_version, known,
	attempts, next_try, reason, coalesce(held.balance, 0), coalesce(-debt.balance, 0) from shuama.issuer_card as c
	left join shuama.issuer_account as held on held.id = 'card:' || c.card_type || '/' || c.card_no
	left join shuama.issuer_account as debt on debt.id = 'debt:' || c.card_type || '/' || c.card_no `

func readIssuerCard(row pgx.CollectableRow) (c cardissuer.Card, err error) {
	var issued, lastUpdate, nextTry int64
	var revokeDue *int64
	err = row.Scan(&c.Key.Type, &c.Key.No, &c.User, &c.Data, &c.State, &c.Tips, &issued, &revokeDue, &lastUpdate, &c.Version,
		&c.Sent.Version, &c.Sent.Known, &c.Sent.Attempts, &nextTry, &c.Sent.Reason, &c.BalanceFen, &c.OwedFen)
	c.Issued, c.RevokeDue, c.LastUpdate, c.Sent.NextTry = instant(issued), instantOrNone(revokeDue), instant(lastUpdate), instant(nextTry)
	if len(c.Data) == 0 {
		c.Data = nil
	}
	return c, err
}

func (b *issuerBook) loadCard(need cardissuer.Need, state *cardissuer.State) (err error) {
	if !isText(string(need.Type)) || !isText(string(need.Card.Type)) || !isText(string(need.Card.No)) {
		return nil // nothing of that name can be there
	}
	state.Type, err = firstRow(issuerRows(b, readIssuerType, "select "+issuerTypeColumns+" from shuama.issuer_type where card_type = $1", string(need.Type)))
	if err != nil {
		return err
	}
	state.Card, err = firstRow(issuerRows(b, readIssuerCard, issuerCards+"where c.card_type = $1 and c.card_no = $2", string(need.Card.Type), string(need.Card.No)))
	if err != nil {
		return err
	}
	state.Accounts, err = issuerRows(b, readIssuerAccount, "select id, balance, floor, postings from shuama.issuer_account where id = any($1) order by id",
		[]string{string(cardissuer.OutsideAccount), string(cardissuer.RidesAccount), string(cardissuer.CardAccount(need.Card)), string(cardissuer.DebtAccount(need.Card))})
	return err
}

func readIssuerAccount(row pgx.CollectableRow) (a ledger.Account, err error) {
	var floor *money.Fen
	err = row.Scan(&a.ID, &a.Balance, &floor, &a.Postings)
	if a.Unbounded = floor == nil; floor != nil {
		a.Floor = *floor
	}
	return a, err
}

const issuerEntryColumns = "id, kind, number, digest, card_type, card_no, coalesce(about, 0), amount, net, text, at"

func readIssuerEntry(row pgx.CollectableRow) (e cardissuer.Entry, err error) {
	var digest []byte
	var at int64
	err = row.Scan(&e.ID, &e.Kind, &e.Number, &digest, &e.Card.Type, &e.Card.No, &e.About, &e.AmountFen, &e.NetFen, &e.Text, &at)
	copy(e.Digest[:], digest)
	e.At = instant(at)
	return e, err
}

func (b *issuerBook) entry(number string) (*cardissuer.Entry, error) {
	if number == "" || !isText(number) {
		return nil, nil
	}
	return firstRow(issuerRows(b, readIssuerEntry, "select "+issuerEntryColumns+" from shuama.issuer_entry where number = $1", number))
}

func (b *issuerBook) loadRefunded(state *cardissuer.State) error {
	if state.Ride == nil {
		return nil
	}
	return b.conn.QueryRow(b.ctx, "select coalesce(sum(amount), 0)::bigint from shuama.issuer_entry where about = $1", int64(state.Ride.ID)).Scan(&state.Refunded)
}

func (b *issuerBook) loadUsed(codes []ridecode.ID, state *cardissuer.State) error {
	state.Used = map[ridecode.ID]ledger.DocumentID{}
	if len(codes) == 0 {
		return nil
	}
	rows, err := b.conn.Query(b.ctx, "select code, entry from shuama.issuer_used_code where code = any($1)", codeBytes(codes))
	if err != nil {
		return err
	}
	var code []byte
	var entry ledger.DocumentID
	_, err = pgx.ForEachRow(rows, []any{&code, &entry}, func() error {
		state.Used[ridecode.ID(code)] = entry
		return nil
	})
	return err
}

func codeBytes(codes []ridecode.ID) [][]byte {
	out := make([][]byte, len(codes))
	for i := range codes {
		out[i] = codes[i][:]
	}
	return out
}

// Types implements cardissuer.Store.
func (s *IssuerStore) Types(ctx context.Context) ([]cardissuer.CardType, error) {
	return issuerList(ctx, s.db, readIssuerType, "select "+issuerTypeColumns+" from shuama.issuer_type order by card_type")
}

func issuerList[T any](ctx context.Context, db *DB, read func(pgx.CollectableRow) (T, error), query string, values ...any) (found []T, err error) {
	err = db.read(ctx, func(conn *pgx.Conn) (err error) {
		found, err = issuerRows(&issuerBook{ctx, conn}, read, query, values...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: cards: %w", err)
	}
	return found, nil
}

// Find implements cardissuer.Store.
func (s *IssuerStore) Find(ctx context.Context, query cardissuer.Query) ([]cardissuer.Card, error) {
	where, values := "where (c.card_type, c.card_no) > ($1, $2)", []any{string(query.After.Type), string(query.After.No)}
	possible := isText(string(query.After.Type)) && isText(string(query.After.No))
	for _, condition := range []struct{ column, value string }{
		{"c.card_type", string(query.Type)}, {"c.card_no", string(query.No)}, {"user_id", string(query.User)},
	} {
		possible = possible && isText(condition.value)
		if condition.value != "" {
			values = append(values, condition.value)
			where += " and " + condition.column + " = $" + strconv.Itoa(len(values))
		}
	}
	if !possible {
		return nil, ctx.Err() // nothing of that name can be there
	}
	return issuerList(ctx, s.db, readIssuerCard, issuerCards+where+" order by c.card_type, c.card_no limit $"+strconv.Itoa(len(values)+1), append(values, query.Limit)...)
}

// Unsent implements cardissuer.Store.
func (s *IssuerStore) Unsent(ctx context.Context, until time.Time, count int) ([]cardissuer.Card, error) {
	return issuerList(ctx, s.db, readIssuerCard, issuerCards+
		"where sent_version < version and next_try <= $1 order by last_update, c.card_type, c.card_no limit $2", until.UnixMicro(), count)
}

// Closing implements cardissuer.Store.
func (s *IssuerStore) Closing(ctx context.Context, until time.Time, count int) ([]cardissuer.CardKey, error) {
	return issuerList(ctx, s.db, func(row pgx.CollectableRow) (key cardissuer.CardKey, err error) {
		err = row.Scan(&key.Type, &key.No)
		return key, err
	}, `select card_type, card_no from shuama.issuer_card where state = 'REVOKING' and revoke_due is not null and revoke_due <= $1
		order by revoke_due, card_type, card_no limit $2`, until.UnixMicro(), count)
}

// History implements cardissuer.Store.
func (s *IssuerStore) History(ctx context.Context, key cardissuer.CardKey, after ledger.DocumentID, count int) ([]cardissuer.Entry, error) {
	if !isText(string(key.Type)) || !isText(string(key.No)) {
		return nil, ctx.Err()
	}
	return issuerList(ctx, s.db, readIssuerEntry, "select "+issuerEntryColumns+` from shuama.issuer_entry
		where card_type = $1 and card_no = $2 and id > $3 order by id limit $4`, string(key.Type), string(key.No), int64(after), count)
}
