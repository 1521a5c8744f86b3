package postgres

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// loading is the questions of one transaction, sent together, and where their answers go. Each looks its
// keys up one by one; "offset 0" keeps PostgreSQL from thinking of something else (see schema/payment.sql).
type loading struct {
	batch  pgx.Batch
	bucket int
	state  payment.State
}

func (s *PaymentStore) newLoading(need payment.Need) *loading {
	return &loading{bucket: need.Bucket, state: payment.State{
		Accounts:  make(map[ledger.AccountID]ledger.Account, len(need.Accounts)),
		Documents: make(map[payment.DocumentKey]payment.Document),
		Numbered:  make(map[ledger.DocumentID]payment.Document),
		About:     make(map[ledger.DocumentID][]payment.Document),
		Trades:    make(map[ledger.DocumentID]payment.SettledTrade),
		Riders:    make(map[ridecode.UserID]payment.Rider),
		Risk:      make(map[ridecode.UserID][]payment.RiskEntry),
		Claims:    make(map[payment.Number]payment.Claim),
	}}
}

// loadSnapshot reads what need names, as it was at one moment.
func (s *PaymentStore) loadSnapshot(ctx context.Context, conn *pgx.Conn, need payment.Need) (payment.State, error) {
	l := s.newLoading(need)
	l.batch.Queue(beginSnapshot)
	l.readAll(need)
	l.batch.Queue(confirm)
	l.batch.Queue("commit")
	err := conn.SendBatch(ctx, &l.batch).Close()
	return l.state, err
}

// loadHeld begins a transaction, takes the bucket's lock, and reads. The lock comes first: each later
// statement sees all that was committed by whoever held it before.
func (s *PaymentStore) loadHeld(ctx context.Context, conn *pgx.Conn, need payment.Need) (payment.State, error) {
	l := s.newLoading(need)
	l.batch.Queue("begin")
	l.batch.Queue("select shuama.hold($1)", need.Bucket)
	l.claim(need, s.db.layout)
	l.readAll(need)
	err := conn.SendBatch(ctx, &l.batch).Close()
	return l.state, err
}

func (l *loading) readAll(need payment.Need) {
	l.batch.Queue("select next_document, open_day from shuama.bucket where bucket = $1", l.bucket).QueryRow(func(row pgx.Row) error {
		return row.Scan(&l.state.Free, &l.state.Open)
	})
	l.readAccounts(texts(need.Accounts))
	l.readDocuments(texts(need.Documents))
	l.readNumbered(need.Numbered)
	l.readAbout(need.About)
	l.readTrades(need.Trades)
	l.readRiders(texts(need.Riders))
	l.readRisk(need.Risk)
	l.readRiskSeen(need.RiskSeen)
}

// claim takes the numbers of need for as many documents. Where numbers are claimed apart it was done before,
// and only tells who has them.
func (l *loading) claim(need payment.Need, layout Layout) {
	if len(need.Claims) == 0 {
		return
	}
	c := claimColumns(need.Claims, layout.Buckets)
	query := `select key.place::int, c.digest, c.bucket, c.id from unnest($1::int[], $2::text[], $3::text[]) with ordinality as key (b, s, n, place),
		lateral (select * from shuama.claim where key_bucket = key.b and scope = key.s and no = key.n offset 0) as c`
	args := []any{c.keyBuckets, c.scopes, c.nos}
	if !layout.ClaimsApart {
		query = `select t.place, t.digest, t.bucket, t.id from (select shuama.reserve($5, cardinality($3::text[])) as first offset 0) as r,
			lateral shuama.take_numbers($1, $2, $3, $4, $5, array(select generate_series(r.first, r.first + cardinality($3::text[]) - 1))) as t`
		args = append(args, c.digests, l.bucket)
	}
	l.batch.Queue(query, args...).Query(func(rows pgx.Rows) error {
		return readClaims(rows, need.Claims, l.state.Claims)
	})
}

type claimsByColumn struct {
	keyBuckets  []int32
	scopes, nos []string
	digests     [][]byte
}

func claimColumns(claims []payment.Claim, buckets int) (c claimsByColumn) {
	for i := range claims {
		number := claims[i].Number
		c.keyBuckets = append(c.keyBuckets, int32(payment.BucketOfNumber(number, buckets)))
		c.scopes, c.nos, c.digests = append(c.scopes, number.Scope), append(c.nos, number.No), append(c.digests, claims[i].Digest[:])
	}
	return c
}

func readClaims(rows pgx.Rows, asked []payment.Claim, into map[payment.Number]payment.Claim) error {
	var place int
	var digest []byte
	var claim payment.Claim
	_, err := pgx.ForEachRow(rows, []any{&place, &digest, &claim.Bucket, &claim.ID}, func() error {
		copy(claim.Digest[:], digest)
		claim.Number = asked[place-1].Number
		into[claim.Number] = claim
		return nil
	})
	return err
}

// claimBefore claims the numbers of need where they belong, each bucket's in a transaction of its own.
func claimBefore(ctx context.Context, conn *pgx.Conn, need payment.Need, buckets int) error {
	for _, claim := range need.Claims {
		var id int64
		if err := conn.QueryRow(ctx, "select shuama.reserve($1, 1)", need.Bucket).Scan(&id); err != nil {
			return err
		}
		c := claimColumns([]payment.Claim{claim}, buckets)
		_, err := conn.Exec(ctx, "select shuama.take_numbers_of($1, $2, $3, $4, $5, $6)", c.keyBuckets[0], c.scopes, c.nos, c.digests, need.Bucket, []int64{id})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *loading) readAccounts(ids []string) {
	if len(ids) == 0 {
		return
	}
	l.batch.Queue(`select k.id, a.balance, a.floor, a.unbounded, a.postings from unnest($2::text[]) as k (id),
		lateral (select * from shuama.account where bucket = $1 and id = k.id offset 0) as a`, l.bucket, ids).
		Query(func(rows pgx.Rows) error {
			var account ledger.Account
			columns := []any{&account.ID, &account.Balance, &account.Floor, &account.Unbounded, &account.Postings}
			_, err := pgx.ForEachRow(rows, columns, func() error {
				l.state.Accounts[account.ID] = account
				return nil
			})
			return err
		})
}

// documentRow is a document as it comes.
type documentRow struct {
	document payment.Document
	about    *int64
	at       int64
}

const documentColumns = "d.key, d.id, d.about, d.amount, d.at, d.body"

func (r *documentRow) columns() []any {
	d := &r.document
	return []any{&d.Key, &d.ID, &r.about, &d.AmountFen, &r.at, &d.Body}
}

func (r *documentRow) read() payment.Document {
	d := r.document
	d.About, d.At, d.Body = 0, instant(r.at), slices.Clone(d.Body)
	if r.about != nil {
		d.About = ledger.DocumentID(*r.about)
	}
	return d
}

func (l *loading) readDocuments(keys []string) {
	if len(keys) == 0 {
		return
	}
	l.readDocumentsBy(`unnest($2::text[]) as k (key), lateral (select * from shuama.document where bucket = $1 and key = k.key offset 0) as d`, keys,
		func(d payment.Document) { l.state.Documents[d.Key] = d })
}

func (l *loading) readNumbered(ids []ledger.DocumentID) {
	if len(ids) == 0 {
		return
	}
	l.readDocumentsBy(`unnest($2::bigint[]) as k (id), lateral (select * from shuama.document where bucket = $1 and id = k.id offset 0) as d`, ids,
		func(d payment.Document) { l.state.Numbered[d.ID] = d })
}

func (l *loading) readAbout(trades []ledger.DocumentID) {
	if len(trades) == 0 {
		return
	}
	l.readDocumentsBy(`unnest($2::bigint[]) as k (trade), lateral (select * from shuama.document where bucket = $1 and about = k.trade order by id offset 0) as d`, trades,
		func(d payment.Document) { l.state.About[d.About] = append(l.state.About[d.About], d) })
}

func (l *loading) readDocumentsBy(from string, keys any, keep func(payment.Document)) {
	l.batch.Queue("select "+documentColumns+" from "+from, l.bucket, keys).Query(func(rows pgx.Rows) error {
		var r documentRow
		_, err := pgx.ForEachRow(rows, r.columns(), func() error {
			keep(r.read())
			return nil
		})
		return err
	})
}

// tradeColumns is what tradeRow reads, in this order.
const tradeColumns = "t.id, t.app, t.out_trade_no, t.user_id, t.merchant, t.amount, t.payer, t.day, t.settled_at, t.codes, t.content"

// tradeRow is a trade as it comes.
type tradeRow struct {
	trade          payment.StoredTrade
	payer          int16
	settledAt      int64
	codes, content []byte
}

func (r *tradeRow) columns() []any {
	t := &r.trade
	return []any{&t.ID, &t.Key.App, &t.Key.OutTradeNo, &t.User, &t.Merchant, &t.AmountFen, &r.payer, &t.Day, &r.settledAt, &r.codes, &r.content}
}

func (r *tradeRow) read() payment.StoredTrade {
	t := r.trade
	t.Payer, t.SettledAt, t.Content, t.Codes = payerOf(r.payer), instant(r.settledAt), slices.Clone(r.content), nil
	for code := range slices.Chunk(r.codes, len(ridecode.ID{})) {
		var id ridecode.ID
		copy(id[:], code)
		t.Codes = append(t.Codes, id)
	}
	return t
}

func (l *loading) readTrades(ids []ledger.DocumentID) {
	if len(ids) == 0 {
		return
	}
	l.batch.Queue("select "+tradeColumns+` from unnest($2::bigint[]) as k (id),
		lateral (select * from shuama.trade where bucket = $1 and id = k.id offset 0) as t`, l.bucket, ids).
		Query(func(rows pgx.Rows) error {
			var r tradeRow
			_, err := pgx.ForEachRow(rows, r.columns(), func() (err error) {
				t := r.read()
				l.state.Trades[t.ID], err = t.Settled(l.bucket)
				return err
			})
			return err
		})
}

// riderRow is a rider as he comes.
type riderRow struct {
	rider               payment.Rider
	owesSince, failedAt *int64
}

const riderColumns = "r.user_id, r.owes_since, r.doubles, r.blocked, r.password, r.failures, r.failed_at"

func (r *riderRow) columns() []any {
	p := &r.rider
	return []any{&p.User, &r.owesSince, &p.Doubles, &p.Blocked, &p.Password, &p.Failures, &r.failedAt}
}

func (r *riderRow) read() payment.Rider {
	p := r.rider
	p.OwesSince, p.FailedAt, p.Password = instantOrNone(r.owesSince), instantOrNone(r.failedAt), slices.Clone(p.Password)
	return p
}

func (l *loading) readRiders(users []string) {
	if len(users) == 0 {
		return
	}
	l.batch.Queue("select "+riderColumns+` from unnest($2::text[]) as k (user_id),
		lateral (select * from shuama.rider where bucket = $1 and user_id = k.user_id offset 0) as r`, l.bucket, users).
		Query(func(rows pgx.Rows) error {
			var r riderRow
			_, err := pgx.ForEachRow(rows, r.columns(), func() error {
				rider := r.read()
				l.state.Riders[rider.User] = rider
				return nil
			})
			return err
		})
}

// texts puts keys in order, each once, and leaves out what PostgreSQL cannot keep in a key: nothing of that
// name is there. To ask for it would be an error, and the other keys would go without an answer.
func texts[T ~string](keys []T) []string {
	kept := make([]string, 0, len(keys))
	for _, key := range keys {
		if isText(string(key)) {
			kept = append(kept, string(key))
		}
	}
	slices.Sort(kept)
	return slices.Compact(kept)
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func instant(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

func instantOrNone(micros *int64) time.Time {
	if micros == nil {
		return time.Time{}
	}
	return instant(*micros)
}

func microsOrNone(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	micros := t.UnixMicro()
	return &micros
}
