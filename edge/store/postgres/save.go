package postgres

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/role/payment"
)

// saving is what is written in one transaction, sent together.
type saving struct {
	batch  pgx.Batch
	bucket int
}

// saveAndCommit writes what was decided, and commits it in the same breath.
func saveAndCommit(ctx context.Context, conn *pgx.Conn, bucket int, state payment.State, changes payment.Changes) error {
	s := &saving{bucket: bucket}
	s.openAccounts(changes.Opened)
	s.changeTerms(changes.Terms)
	s.insertDocuments(changes.Documents)
	s.insertTransfers(changes.Transfers)
	s.putRiders(changes.Riders)
	s.insertRisk(changes.Risk)
	s.putRiskSeen(changes.RiskSeen)
	s.underWay(changes.Departed, changes.Arrived)
	if err := s.post(changes.Notices, changes.Taken); err != nil {
		return err
	}
	s.moveOn(state, changes)
	return commit(ctx, conn, &s.batch)
}

func (s *saving) openAccounts(opened []ledger.Account) {
	if len(opened) == 0 {
		return
	}
	ids, floors, unbounded := make([]string, len(opened)), make([]int64, len(opened)), make([]bool, len(opened))
	for i, account := range opened {
		ids[i], floors[i], unbounded[i] = string(account.ID), int64(account.Floor), account.Unbounded
	}
	s.batch.Queue(`insert into shuama.account (bucket, id, floor, unbounded) select $1, * from unnest($2::text[], $3::bigint[], $4::boolean[])`,
		s.bucket, ids, floors, unbounded)
}

func (s *saving) changeTerms(terms []ledger.Account) {
	for _, account := range terms {
		s.batch.Queue("select shuama.change_floor($1, $2, $3)", s.bucket, account.ID, account.Floor)
	}
}

func (s *saving) insertDocuments(documents []payment.Document) {
	if len(documents) == 0 {
		return
	}
	keys, bodies, abouts := make([]string, len(documents)), make([][]byte, len(documents)), make([]*int64, len(documents))
	ids, amounts, ats := make([]int64, len(documents)), make([]int64, len(documents)), make([]int64, len(documents))
	for i, d := range documents {
		keys[i], ids[i], amounts[i], ats[i], bodies[i] = string(d.Key), int64(d.ID), int64(d.AmountFen), d.At.UnixMicro(), d.Body
		if bodies[i] == nil {
			bodies[i] = []byte{}
		}
		if about := int64(d.About); about != 0 {
			abouts[i] = &about
		}
	}
	s.batch.Queue(`insert into shuama.document (bucket, key, id, about, amount, at, body)
		select $1, * from unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[])`, s.bucket, keys, ids, abouts, amounts, ats, bodies)
}

// insertTransfers files the transfers; a trigger moves their accounts.
func (s *saving) insertTransfers(transfers []ledger.Transfer) {
	if len(transfers) == 0 {
		return
	}
	count := len(transfers)
	days, codes, legs := make([]int32, count), make([]int32, count), make([]int16, count)
	documents, amounts, ats := make([]int64, count), make([]int64, count), make([]int64, count)
	debits, credits := make([]string, count), make([]string, count)
	for i, t := range transfers {
		days[i], codes[i], legs[i] = int32(t.Day), int32(t.Code), int16(t.ID.Leg)
		documents[i], amounts[i], ats[i] = int64(t.ID.Document), int64(t.AmountFen), t.At.UnixMicro()
		debits[i], credits[i] = string(t.Debit), string(t.Credit)
	}
	s.batch.Queue(`insert into shuama.transfer (bucket, day, document, leg, code, debit, credit, amount, at)
		select $1, * from unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[], $6::text[], $7::text[], $8::bigint[], $9::bigint[])`,
		s.bucket, days, documents, legs, codes, debits, credits, amounts, ats)
}

func (s *saving) putRiders(riders []payment.Rider) {
	for _, r := range riders {
		s.batch.Queue(`insert into shuama.rider (bucket, user_id, owes_since, doubles, blocked, password, failures, failed_at) values ($1, $2, $3, $4, $5, $6, $7, $8)
			on conflict (bucket, user_id) do update set owes_since = excluded.owes_since, doubles = excluded.doubles, blocked = excluded.blocked,
			password = excluded.password, failures = excluded.failures, failed_at = excluded.failed_at`,
			s.bucket, r.User, microsOrNone(r.OwesSince), r.Doubles, r.Blocked, r.Password, r.Failures, microsOrNone(r.FailedAt))
	}
}

func (s *saving) underWay(departed []payment.Departure, arrived []ledger.DocumentID) {
	for _, d := range departed {
		s.batch.Queue("insert into shuama.under_way (bucket, id, to_bucket, account, amount, code, document) values ($1, $2, $3, $4, $5, $6, $7)",
			s.bucket, d.ID, d.To, d.Account, d.AmountFen, int32(d.Code), d.Document)
	}
	if len(arrived) > 0 {
		s.batch.Queue("delete from shuama.under_way where bucket = $1 and id = any ($2)", s.bucket, arrived)
	}
}

func (s *saving) post(notices []payment.Notice, taken int64) error {
	if len(notices) > 0 {
		text, err := json.Marshal(notices)
		if err != nil {
			return err
		}
		s.batch.Queue("insert into shuama.posted (bucket, seq, notices) select $1, next_posted, $2 from shuama.bucket where bucket = $1", s.bucket, string(text))
	}
	if taken > 0 {
		s.batch.Queue("delete from shuama.posted where bucket = $1 and seq <= $2", s.bucket, taken)
	}
	return nil
}

// moveOn keeps the bucket's counts. A closed day is never opened again.
func (s *saving) moveOn(state payment.State, changes payment.Changes) {
	documents, posted, open := len(changes.Documents), 0, state.Open
	if len(changes.Notices) > 0 {
		posted = 1
	}
	if changes.Close != 0 {
		open = max(open, changes.Close.Next())
	}
	if documents+posted > 0 || changes.Taken > 0 || open != state.Open {
		s.batch.Queue(`update shuama.bucket set next_document = next_document + $2, next_posted = next_posted + $3, open_day = $4,
			taken_posted = greatest(taken_posted, least($5, next_posted + $3 - 1)) where bucket = $1`, s.bucket, documents, posted, open, changes.Taken)
	}
}
