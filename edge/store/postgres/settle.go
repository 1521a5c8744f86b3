package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/role/payment"
)

// Settle implements payment.Store. A batch is one statement, which decides and writes it: see
// shuama.settle in schema/payment.sql. Where numbers are claimed apart, it is three: numbers of documents
// are reserved, those of trades are claimed, each in its own bucket, and then the batch is settled. What is
// left when a server dies between them is a claim without a trade, which the same order finds again. Whatever
// the verdicts are, the bucket's count of documents is written, so that they wait for the standbys (see confirm).
func (s *PaymentStore) Settle(ctx context.Context, batch payment.Batch) (verdicts []payment.Verdict, err error) {
	if len(batch.Orders) == 0 {
		return nil, nil
	}
	columns := columnsOf(&batch, s.db.layout.Buckets)
	err = s.db.try(ctx, func(*attempt) error {
		conn, err := s.db.take(ctx)
		if err != nil {
			return err
		}
		defer release(conn)
		verdicts, err = s.settle(ctx, conn.Conn(), &batch, columns)
		return outcome(err, conn.Conn())
	})
	if err != nil {
		return nil, away(fmt.Errorf("postgres: settle: %w", err))
	}
	return verdicts, nil
}

func (s *PaymentStore) settle(ctx context.Context, conn *pgx.Conn, batch *payment.Batch, c *batchColumns) ([]payment.Verdict, error) {
	b := &batchCall{batch: batch, columns: c, verdicts: make([]payment.Verdict, len(batch.Orders))}
	if s.db.layout.ClaimsApart {
		if err := b.claimApart(ctx, conn); err != nil || len(b.columns.nos) == 0 {
			return b.verdicts, err
		}
	}
	careful := &s.db.careful[batch.Bucket]
	rows, err := conn.Query(ctx, "select * from shuama.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
		batch.Bucket, batch.Day, batch.Now.UnixMicro(), b.columns.anyLate || careful.Load(), b.columns.ids, b.columns.keyBuckets, b.columns.apps,
		b.columns.nos, b.columns.digests, b.columns.users, b.columns.merchants, b.columns.amounts, b.columns.late, b.columns.codes, b.columns.contents)
	if err != nil {
		return nil, err
	}
	if err := b.read(rows); err != nil {
		return nil, err
	}
	careful.Store(b.trouble)
	return b.verdicts, nil
}

// batchCall is a batch on its way to the server and back.
type batchCall struct {
	batch    *payment.Batch
	columns  *batchColumns
	verdicts []payment.Verdict
	trouble  bool // not all of it was simply paid: the next one is likely so too
}

// read takes the verdicts in; place 0 speaks for all.
func (b *batchCall) read(rows pgx.Rows) error {
	var place, day, told int
	var answer payment.Answer
	var document ledger.DocumentID
	var payer int16
	var otherApp, otherNo *string
	_, err := pgx.ForEachRow(rows, []any{&place, &answer, &document, &day, &payer, &otherApp, &otherNo}, func() error {
		if place == 0 {
			b.allPaid(ledger.Day(day), document)
			told = len(b.columns.places)
			return nil
		}
		if place < 1 || place > len(b.columns.places) {
			return fmt.Errorf("postgres: internal error: a verdict on order %d of %d", place, len(b.columns.places))
		}
		told++
		b.trouble = b.trouble || answer != payment.Paid
		v := payment.Verdict{Answer: answer}
		if answer == payment.Paid || answer == payment.PaidBefore {
			v.TradeNo, v.Payer = payment.NumberTrade(ledger.Day(day), b.batch.Bucket, document), payerOf(payer)
		}
		if answer == payment.CodeUsed && otherApp != nil && otherNo != nil {
			v.Other = payment.TradeKey{App: payment.AppID(*otherApp), OutTradeNo: payment.OutTradeNo(*otherNo)}
		}
		b.verdicts[b.columns.places[place-1]] = v
		return nil
	})
	if err == nil && told != len(b.columns.places) {
		return fmt.Errorf("postgres: internal error: %d verdicts on %d orders", told, len(b.columns.places))
	}
	return err
}

func (b *batchCall) allPaid(day ledger.Day, first ledger.DocumentID) {
	for n, place := range b.columns.places {
		id := first + ledger.DocumentID(n)
		if b.columns.ids != nil {
			id = ledger.DocumentID(b.columns.ids[n])
		}
		b.verdicts[place] = payment.Verdict{Answer: payment.Paid, TradeNo: payment.NumberTrade(day, b.batch.Bucket, id), Payer: payment.PaidByUser}
	}
}

func payerOf(code int16) payment.Payer {
	if code == 2 {
		return payment.PaidByGuarantee
	}
	return payment.PaidByUser
}

// batchColumns is orders by column, as the server takes them; places is where each stands in the batch.
type batchColumns struct {
	places                      []int
	ids                         []int64 // nil: the server claims the numbers
	keyBuckets                  []int32
	apps, nos, users, merchants []string
	digests, codes, contents    [][]byte
	amounts                     []int64
	late                        []bool
	anyLate                     bool
}

func columnsOf(batch *payment.Batch, buckets int) *batchColumns {
	count := len(batch.Orders)
	c := &batchColumns{places: make([]int, count), keyBuckets: make([]int32, count), apps: make([]string, count), nos: make([]string, count),
		users: make([]string, count), merchants: make([]string, count), digests: make([][]byte, count), codes: make([][]byte, count),
		contents: make([][]byte, count), amounts: make([]int64, count), late: make([]bool, count)}
	for i := range batch.Orders {
		o := &batch.Orders[i]
		c.places[i], c.keyBuckets[i] = i, int32(payment.BucketOfNumber(o.Key.Number(), buckets))
		c.apps[i], c.nos[i], c.users[i], c.merchants[i] = string(o.Key.App), string(o.Key.OutTradeNo), string(o.User), string(o.Merchant)
		c.digests[i], c.contents[i], c.amounts[i] = o.Digest[:], o.Content, int64(o.AmountFen)
		for n := range o.Codes {
			c.codes[i] = append(c.codes[i], o.Codes[n][:]...)
		}
		if c.codes[i] == nil {
			c.codes[i] = []byte{} // refused by the table, as it should be; null would be refused as something else
		}
		c.late[i] = batch.Now.After(o.Deadline)
		c.anyLate = c.anyLate || c.late[i]
	}
	return c
}

// only keeps the orders at these places of c.
func (c *batchColumns) only(kept []int, ids []int64) *batchColumns {
	k := &batchColumns{ids: ids}
	for _, n := range kept {
		k.places, k.keyBuckets, k.apps, k.nos = append(k.places, c.places[n]), append(k.keyBuckets, c.keyBuckets[n]), append(k.apps, c.apps[n]), append(k.nos, c.nos[n])
		k.users, k.merchants, k.digests = append(k.users, c.users[n]), append(k.merchants, c.merchants[n]), append(k.digests, c.digests[n])
		k.codes, k.contents, k.amounts = append(k.codes, c.codes[n]), append(k.contents, c.contents[n]), append(k.amounts, c.amounts[n])
		k.late, k.anyLate = append(k.late, c.late[n]), k.anyLate || c.late[n]
	}
	return k
}

// claimApart claims the numbers of a batch where they belong, one bucket after the other, and leaves the
// orders whose number stands for their content.
func (b *batchCall) claimApart(ctx context.Context, conn *pgx.Conn) error {
	c := b.columns
	var first int64
	if err := conn.QueryRow(ctx, "select shuama.reserve($1, $2)", b.batch.Bucket, len(c.nos)).Scan(&first); err != nil {
		return err
	}
	byBucket := map[int32][]int{}
	for n, bucket := range c.keyBuckets {
		byBucket[bucket] = append(byBucket[bucket], n)
	}
	ids := make([]int64, len(c.nos))
	for keyBucket, places := range byBucket {
		if err := b.claimIn(ctx, conn, keyBucket, places, first, ids); err != nil {
			return err
		}
	}
	var kept []int
	var keptIDs []int64
	for n, id := range ids {
		if id == 0 {
			b.verdicts[c.places[n]] = payment.Verdict{Answer: payment.OtherContent}
			continue
		}
		kept, keptIDs = append(kept, n), append(keptIDs, id)
	}
	b.columns = c.only(kept, keptIDs)
	return nil
}

// claimIn claims numbers of one bucket; an id of 0 is one that stands for something else.
func (b *batchCall) claimIn(ctx context.Context, conn *pgx.Conn, keyBucket int32, places []int, first int64, ids []int64) error {
	asked := b.columns.only(places, nil)
	wanted := make([]int64, len(places))
	for n, place := range places {
		wanted[n] = first + int64(place)
	}
	rows, err := conn.Query(ctx, "select * from shuama.take_numbers_of($1, $2, $3, $4, $5, $6)",
		keyBucket, asked.apps, asked.nos, asked.digests, b.batch.Bucket, wanted)
	if err != nil {
		return err
	}
	var place, bucket int
	var digest []byte
	var id int64
	_, err = pgx.ForEachRow(rows, []any{&place, &digest, &bucket, &id}, func() error {
		n := places[place-1]
		if string(digest) == string(b.columns.digests[n]) && bucket == b.batch.Bucket {
			ids[n] = id
		}
		return nil
	})
	return err
}
