package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// riskRow is an entry as it comes.
type riskRow struct {
	entry payment.RiskEntry
	kind  int16
	at    int64
}

const riskColumns = "r.user_id, r.kind, r.at, r.key, r.content"

func (r *riskRow) columns() []any {
	e := &r.entry
	return []any{&e.User, &r.kind, &r.at, &e.Key, &e.Body}
}

func (r *riskRow) read() payment.RiskEntry {
	e := r.entry
	e.Kind, e.At, e.Body = payment.RiskKind(r.kind), instant(r.at), slices.Clone(e.Body)
	return e
}

func (l *loading) readRisk(needs []payment.RiskNeed) {
	if len(needs) == 0 {
		return
	}
	count := len(needs)
	users, kinds := make([]string, 0, count), make([]int16, 0, count)
	froms, tos, limits := make([]int64, 0, count), make([]int64, 0, count), make([]int64, 0, count)
	for _, need := range needs {
		if isText(string(need.User)) {
			users, kinds = append(users, string(need.User)), append(kinds, int16(need.Kind))
			froms, tos, limits = append(froms, need.From.UnixMicro()), append(tos, need.To.UnixMicro()), append(limits, int64(max(0, need.Limit)))
		}
	}
	l.batch.Queue("select distinct "+riskColumns+` from unnest($2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[]) as k (user_id, kind, first, last, most),
		lateral (select * from shuama.risk_entry where bucket = $1 and user_id = k.user_id and kind = k.kind and at between k.first and k.last
			order by at, key limit k.most) as r`, l.bucket, users, kinds, froms, tos, limits).
		Query(func(rows pgx.Rows) error {
			var r riskRow
			_, err := pgx.ForEachRow(rows, r.columns(), func() error {
				entry := r.read()
				l.state.Risk[entry.User] = append(l.state.Risk[entry.User], entry)
				return nil
			})
			sortRisk(l.state.Risk)
			return err
		})
}

func sortRisk(risk map[ridecode.UserID][]payment.RiskEntry) {
	for _, entries := range risk {
		payment.SortRisk(entries)
	}
}

func (l *loading) readRiskSeen(wanted bool) {
	if !wanted {
		return
	}
	mark := &l.state.RiskSeen
	l.batch.Queue("select day, after, again from shuama.risk_seen where bucket = $1", l.bucket).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&mark.Day, &mark.After, &mark.Again}, func() error { return nil })
		return err
	})
}

func (s *saving) insertRisk(entries []payment.RiskEntry) {
	if len(entries) == 0 {
		return
	}
	count := len(entries)
	users, kinds, ats := make([]string, count), make([]int16, count), make([]int64, count)
	keys, contents := make([]string, count), make([][]byte, count)
	for i, e := range entries {
		users[i], kinds[i], ats[i], keys[i], contents[i] = string(e.User), int16(e.Kind), e.At.UnixMicro(), e.Key, e.Body
		if contents[i] == nil {
			contents[i] = []byte{}
		}
	}
	s.batch.Queue(`insert into shuama.risk_entry (bucket, user_id, kind, at, key, content)
		select $1, * from unnest($2::text[], $3::smallint[], $4::bigint[], $5::text[], $6::bytea[]) on conflict do nothing`, s.bucket, users, kinds, ats, keys, contents)
}

func (s *saving) putRiskSeen(mark *payment.RiskMark) {
	if mark != nil {
		s.batch.Queue(`insert into shuama.risk_seen (bucket, day, after, again) values ($1, $2, $3, $4)
			on conflict (bucket) do update set day = excluded.day, after = excluded.after, again = excluded.again`, s.bucket, mark.Day, mark.After, mark.Again)
	}
}

// EachFinding implements payment.Store.
func (s *PaymentStore) EachFinding(ctx context.Context, bucket int, visit func(payment.RiskEntry) error) error {
	after := payment.RiskEntry{At: instant(0)}
	for {
		page, err := collect(ctx, s.db, "findings", "select "+riskColumns+` from shuama.risk_entry as r
			where r.bucket = $1 and r.kind = 2 and (r.user_id, r.at, r.key) > ($2, $3, $4) order by r.user_id, r.at, r.key limit $5`,
			(*riskRow).columns, func(r *riskRow) (riskRow, error) { return riskRow{entry: r.read()}, nil },
			bucket, string(after.User), after.At.UnixMicro(), after.Key, pageSize)
		if err != nil {
			return err
		}
		for _, row := range page {
			after = row.entry
			if err := visit(after); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
	}
}
