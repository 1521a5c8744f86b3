package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/payment"
)

// pageSize is how many rows a visitor is given from one look: he may take his time, and nobody waits for
// him.
const pageSize = 2000

// collect reads the rows of one statement.
func collect[T any](ctx context.Context, db *DB, what, query string, columns func(*T) []any, read func(*T) (T, error), args ...any) (all []T, err error) {
	err = db.read(ctx, func(conn *pgx.Conn) error {
		all = nil
		rows, err := conn.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		var row T
		_, err = pgx.ForEachRow(rows, columns(&row), func() error {
			one, err := read(&row)
			all = append(all, one)
			return err
		})
		return err
	})
	if err != nil {
		return nil, away(fmt.Errorf("postgres: %s: %w", what, err))
	}
	return all, nil
}

func asIs[T any](row *T) (T, error) { return *row, nil }

// Find implements payment.Store.
func (s *PaymentStore) Find(ctx context.Context, keys []payment.Number) (map[payment.Number]payment.Claim, error) {
	asked := make([]payment.Claim, 0, len(keys))
	for _, key := range keys {
		if isText(key.Scope) && isText(key.No) {
			asked = append(asked, payment.Claim{Number: key})
		}
	}
	found := make(map[payment.Number]payment.Claim, len(asked))
	if len(asked) == 0 {
		return found, ctx.Err()
	}
	c := claimColumns(asked, s.db.layout.Buckets)
	err := s.db.read(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `select key.place::int, c.digest, c.bucket, c.id from unnest($1::int[], $2::text[], $3::text[]) with ordinality as key (b, s, n, place),
			lateral (select * from shuama.claim where key_bucket = key.b and scope = key.s and no = key.n offset 0) as c`, c.keyBuckets, c.scopes, c.nos)
		if err != nil {
			return err
		}
		return readClaims(rows, asked, found)
	})
	if err != nil {
		return nil, away(fmt.Errorf("postgres: find: %w", err))
	}
	return found, nil
}

// partRow is an account in one bucket.
type partRow struct {
	bucket  int
	account ledger.Account
}

// Balances implements payment.Store. Each bucket is asked by itself.
func (s *PaymentStore) Balances(ctx context.Context, ids ...ledger.AccountID) (map[ledger.AccountID]map[int]ledger.Account, error) {
	rows, err := collect(ctx, s.db, "balances", `select b.bucket, a.id, a.balance, a.floor, a.unbounded, a.postings
		from generate_series(0, $1::int - 1) as b (bucket), unnest($2::text[]) as k (id),
		lateral (select * from shuama.account where bucket = b.bucket and id = k.id offset 0) as a`,
		func(r *partRow) []any {
			a := &r.account
			return []any{&r.bucket, &a.ID, &a.Balance, &a.Floor, &a.Unbounded, &a.Postings}
		}, asIs[partRow], s.db.layout.Buckets, texts(ids))
	if err != nil {
		return nil, err
	}
	all := make(map[ledger.AccountID]map[int]ledger.Account)
	for _, row := range rows {
		if all[row.account.ID] == nil {
			all[row.account.ID] = make(map[int]ledger.Account)
		}
		all[row.account.ID][row.bucket] = row.account
	}
	return all, nil
}

// EachTrade implements payment.Store.
func (s *PaymentStore) EachTrade(ctx context.Context, bucket int, day ledger.Day, visit func(payment.SettledTrade) error) error {
	after := ledger.DocumentID(0)
	for {
		page, err := s.TradesAfter(ctx, bucket, day, after, pageSize)
		if err != nil {
			return err
		}
		for _, trade := range page {
			if err := visit(trade); err != nil {
				return err
			}
			_, _, after, _ = trade.TradeNo.Parse()
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// TradesAfter implements payment.Store. The transfers of the day tell which trades they are.
func (s *PaymentStore) TradesAfter(ctx context.Context, bucket int, day ledger.Day, after ledger.DocumentID, limit int) ([]payment.SettledTrade, error) {
	rows, err := collect(ctx, s.db, "trades", "select "+tradeColumns+` from (select document from shuama.transfer
		where bucket = $1 and day = $2 and document > $3 and leg = 0 and code in (2, 3) order by document limit $4) as x,
		lateral (select * from shuama.trade where bucket = $1 and id = x.document offset 0) as t order by t.id`,
		(*tradeRow).columns, func(r *tradeRow) (tradeRow, error) { return tradeRow{trade: r.read()}, nil }, bucket, day, after, max(0, limit))
	trades := make([]payment.SettledTrade, len(rows))
	for i := range rows {
		if err == nil {
			trades[i], err = rows[i].trade.Settled(bucket)
		}
	}
	return trades, err
}

// transferRow is a transfer as it comes.
type transferRow struct {
	transfer ledger.Transfer
	leg      int16
	code     int32
	at       int64
}

const transferColumns = "x.document, x.leg, x.day, x.code, x.debit, x.credit, x.amount, x.at"

func (r *transferRow) columns() []any {
	t := &r.transfer
	return []any{&t.ID.Document, &r.leg, &t.Day, &r.code, &t.Debit, &t.Credit, &t.AmountFen, &r.at}
}

func (r *transferRow) read() ledger.Transfer {
	t := r.transfer
	t.ID.Leg, t.Code, t.At = uint8(r.leg), ledger.Code(r.code), instant(r.at)
	return t
}

// EachTransfer implements payment.Store.
func (s *PaymentStore) EachTransfer(ctx context.Context, bucket int, account ledger.AccountID, first, last ledger.Day, visit func(ledger.Transfer) error) error {
	if !isText(string(account)) {
		return nil
	}
	after := ledger.Transfer{Day: first, ID: ledger.TransferID{Document: 0}}
	for {
		page, err := collect(ctx, s.db, "transfers", "select "+transferColumns+` from shuama.transfer as x
			where x.bucket = $1 and (x.debit = $2 or x.credit = $2) and x.day between $3 and $4 and (x.day, x.document, x.leg) > ($3, $5, $6)
			order by x.day, x.document, x.leg limit $7`,
			(*transferRow).columns, func(r *transferRow) (transferRow, error) { return transferRow{transfer: r.read()}, nil },
			bucket, account, after.Day, last, after.ID.Document, int16(after.ID.Leg), pageSize)
		if err != nil {
			return err
		}
		for _, row := range page {
			after = row.transfer
			if err := visit(after); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// Merchants implements payment.Store.
func (s *PaymentStore) Merchants(ctx context.Context, bucket int) ([]ledger.AccountID, error) {
	return collect(ctx, s.db, "merchants", `select id from shuama.account where bucket = $1 and id >= 'merchant:' and id < 'merchant;' order by id`,
		func(id *ledger.AccountID) []any { return []any{id} }, asIs[ledger.AccountID], bucket)
}

// MerchantTotals implements payment.Store.
func (s *PaymentStore) MerchantTotals(ctx context.Context, bucket int, first, last ledger.Day) ([]payment.AccountTotal, error) {
	return collect(ctx, s.db, "totals", `select account, code, count(*) filter (where amount > 0), coalesce(sum(amount) filter (where amount > 0), 0)::bigint,
		count(*) filter (where amount < 0), coalesce(-sum(amount) filter (where amount < 0), 0)::bigint
		from (select credit as account, code, amount from shuama.transfer where bucket = $1 and day between $2 and $3
			union all select debit, code, -amount from shuama.transfer where bucket = $1 and day between $2 and $3) as posting
		where account >= 'merchant:' and account < 'merchant;' or account >= 'settled:' and account < 'settled;'
		group by account, code order by account, code`,
		func(t *payment.AccountTotal) []any {
			return []any{&t.Account, &t.Code, &t.In.Count, &t.In.SumFen, &t.Out.Count, &t.Out.SumFen}
		}, asIs[payment.AccountTotal], bucket, first, last)
}

// owingRow is a rider and what he owes.
type owingRow struct {
	row  riderRow
	owed money.Fen
}

// EachRider implements payment.Store.
func (s *PaymentStore) EachRider(ctx context.Context, bucket int, visit func(rider payment.Rider, owedFen money.Fen) error) error {
	after := ""
	for {
		page, err := collect(ctx, s.db, "riders", "select "+riderColumns+`, coalesce(-d.balance, 0) from shuama.rider as r
			left join lateral (select balance from shuama.account where bucket = $1 and id = 'debt:' || r.user_id offset 0) as d on true
			where r.bucket = $1 and r.user_id > $2 order by r.user_id limit $3`,
			func(r *owingRow) []any { return append(r.row.columns(), &r.owed) },
			func(r *owingRow) (owingRow, error) { return owingRow{riderRow{rider: r.row.read()}, r.owed}, nil }, bucket, after, pageSize)
		if err != nil {
			return err
		}
		for _, r := range page {
			after = string(r.row.rider.User)
			if err := visit(r.row.rider, r.owed); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// UnderWay implements payment.Store.
func (s *PaymentStore) UnderWay(ctx context.Context, bucket int) ([]payment.Departure, error) {
	return collect(ctx, s.db, "under way", "select "+departureColumns+" from shuama.under_way where bucket = $1 order by id", departureFields, asIs[payment.Departure], bucket)
}

const departureColumns = "id, to_bucket, account, amount, code, document"

func departureFields(d *payment.Departure) []any {
	return []any{&d.ID, &d.To, &d.Account, &d.AmountFen, &d.Code, &d.Document}
}

// postedRow is notices as they come.
type postedRow struct {
	posted payment.Posted
	trades []ledger.DocumentID
	text   *string
}

func (r *postedRow) columns() []any { return []any{&r.posted.Seq, &r.trades, &r.text} }

func (r *postedRow) read() (postedRow, error) {
	p := payment.Posted{Seq: r.posted.Seq, Trades: r.trades}
	r.trades = nil
	if r.text == nil {
		return postedRow{posted: p}, nil
	}
	err := json.Unmarshal([]byte(*r.text), &p.Notices)
	return postedRow{posted: p}, err
}

// Posted implements payment.Store.
func (s *PaymentStore) Posted(ctx context.Context, bucket, limit int) ([]payment.Posted, error) {
	rows, err := collect(ctx, s.db, "notices", "select seq, trades, notices::text from shuama.posted where bucket = $1 order by seq limit $2",
		(*postedRow).columns, (*postedRow).read, bucket, limit)
	posted := make([]payment.Posted, len(rows))
	for i, row := range rows {
		posted[i] = row.posted
	}
	return posted, err
}
