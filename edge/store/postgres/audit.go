package postgres

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// auditor collects what is found in one snapshot.
type auditor struct {
	ctx  context.Context
	conn *pgx.Conn
	*payment.Auditor
}

// Audit implements payment.Store. It believes nothing that the tables promise: it reads every row of the
// tables themselves, past their indexes, and counts again. Time and temporary space of the server grow
// with the books; memory here grows with the accounts of a bucket alone. While it runs, the server keeps
// old rows.
func (s *PaymentStore) Audit(ctx context.Context) (report payment.AuditReport, err error) {
	err = s.db.read(ctx, func(conn *pgx.Conn) error {
		a := auditor{ctx: ctx, conn: conn}
		report, err = a.audit(s.db.layout.Buckets)
		return err
	})
	if err != nil {
		return payment.AuditReport{}, away(fmt.Errorf("postgres: audit: %w", err))
	}
	return report, nil
}

// tables is all that is ours beside the layout.
func tables() []string {
	return []string{"account", "claim", "trade", "used_code", "document", "transfer", "rider", "under_way", "posted"}
}

func (a *auditor) audit(buckets int) (payment.AuditReport, error) {
	if err := a.execute(beginSnapshot); err != nil {
		return payment.AuditReport{}, err
	}
	if err := a.readAll(); err != nil {
		return payment.AuditReport{}, err
	}
	if err := a.examineAll(buckets); err != nil {
		return payment.AuditReport{}, err
	}
	return a.Report(), a.execute("commit")
}

func (a *auditor) examineAll(buckets int) error {
	if err := a.begin(buckets); err != nil {
		return err
	}
	for _, examine := range []func() error{a.examineSchema, a.examineDays, a.examineConstraints, a.examinePosted} {
		if err := examine(); err != nil {
			return err
		}
	}
	return a.examineBuckets(buckets)
}

// readAll undoes what configure has set for reading by key. Row security could hide rows: with this
// setting, that is an error. Nothing that an operator set for others, as a limit of time, ends an audit in
// the middle.
func (a *auditor) readAll() error {
	return a.execute("set local enable_seqscan = on", "set local enable_hashjoin = on", "set local enable_mergejoin = on",
		"set local enable_indexscan = off", "set local enable_indexonlyscan = off", "set local enable_bitmapscan = off",
		"set local plan_cache_mode = force_custom_plan", "set local work_mem = '64MB'", "set local row_security = off", "set local statement_timeout = 0")
}

// begin begins with what is under way between buckets.
func (a *auditor) begin(buckets int) error {
	underWay := make([][]payment.Departure, buckets)
	var bucket int
	var d payment.Departure
	var astray []payment.Departure
	err := a.rows("SELECT bucket, "+departureColumns+" FROM shuama.under_way ORDER BY bucket, id", append([]any{&bucket}, departureFields(&d)...), func() error {
		if bucket < 0 || bucket >= buckets {
			astray = append(astray, d)
			return nil
		}
		underWay[bucket] = append(underWay[bucket], d)
		return nil
	})
	a.Auditor = payment.NewAuditor(underWay)
	for _, d := range astray {
		a.Fault("What left with document %d is under way from a bucket that does not exist.", d.ID)
	}
	return err
}

func (a *auditor) execute(statements ...string) error {
	for _, statement := range statements {
		if _, err := a.conn.Exec(a.ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	return nil
}

// rows runs a query, and row after each row was read into columns. The rows are not kept prepared: the
// tables may be other ones than they were.
func (a *auditor) rows(query string, columns []any, row func() error) error {
	rows, err := a.conn.Query(a.ctx, query, pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, columns, row)
	return err
}

// faultRows runs a query that finds only what is wrong, and words each row.
func (a *auditor) faultRows(query string, columns []any, word func() string) error {
	return a.rows(query, columns, func() error {
		a.Fault("%s", word())
		return nil
	})
}

// examineBuckets feeds every row to the proof, from cursors that are read side by side.
func (a *auditor) examineBuckets(buckets int) error {
	accounts := newShelf(a, "account", "id, balance, floor, unbounded, postings", "id",
		func(r *ledger.Account) []any { return []any{&r.ID, &r.Balance, &r.Floor, &r.Unbounded, &r.Postings} }, asIs[ledger.Account])
	claims := newShelf(a, "claim", "scope, no, digest, id", "id", (*claimRow).columns, (*claimRow).read)
	trades := newShelf(a, "trade AS t", tradeColumns, "id", (*tradeRow).columns, func(r *tradeRow) (payment.StoredTrade, error) { return r.read(), nil })
	codes := newShelf(a, "used_code", "code, trade", "trade", (*codeRow).columns, (*codeRow).read)
	documents := newShelf(a, "document AS d", documentColumns, "id", (*documentRow).columns, func(r *documentRow) (payment.Document, error) { return r.read(), nil })
	transfers := newShelf(a, "transfer AS x", transferColumns, "document, leg", (*transferRow).columns,
		func(r *transferRow) (ledger.Transfer, error) { return r.read(), nil })
	free, err := a.freeNumbers(buckets)
	if err != nil {
		return err
	}
	for bucket := range buckets {
		err := a.Bucket(payment.Shelves{Bucket: bucket, Free: free[bucket], Accounts: accounts.of(bucket), Claims: claims.of(bucket),
			Trades: trades.of(bucket), Codes: codes.of(bucket), Documents: documents.of(bucket), Transfers: transfers.of(bucket)})
		if err != nil {
			return err
		}
	}
	for _, ended := range []func() error{accounts.end, claims.end, trades.end, codes.end, documents.end, transfers.end} {
		if err := ended(); err != nil {
			return err
		}
	}
	return nil
}

func (a *auditor) freeNumbers(buckets int) ([]ledger.DocumentID, error) {
	free := make([]ledger.DocumentID, buckets)
	var bucket int
	var next ledger.DocumentID
	err := a.rows("SELECT bucket, next_document FROM shuama.bucket", []any{&bucket, &next}, func() error {
		if bucket < 0 || bucket >= buckets {
			a.Fault("Bucket %d does not exist, and has a row.", bucket)
			return nil
		}
		free[bucket] = next
		return nil
	})
	return free, err
}

// shelf is all rows of a table, by bucket and number.
type shelf[Row, Value any] struct {
	a       *auditor
	cursor  string
	query   string
	columns func(*Row) []any
	read    func(*Row) (Value, error)
	rows    []shelved[Value] // fetched, and not given out
	done    bool
}

type shelved[Value any] struct {
	bucket int
	value  Value
}

func newShelf[Row, Value any](a *auditor, table, columns, order string, fields func(*Row) []any, read func(*Row) (Value, error)) *shelf[Row, Value] {
	name, _, _ := strings.Cut(table, " ")
	cursor := "all_" + name
	return &shelf[Row, Value]{a: a, cursor: cursor, columns: fields, read: read,
		query: fmt.Sprintf("DECLARE %s NO SCROLL CURSOR FOR SELECT bucket, %s FROM shuama.%s ORDER BY bucket, %s", cursor, columns, table, order)}
}

// fetch fills rows, unless there are some.
func (s *shelf[Row, Value]) fetch() error {
	if len(s.rows) > 0 || s.done {
		return nil
	}
	if s.query != "" {
		if err := s.a.execute(s.query); err != nil {
			return err
		}
		s.query = ""
	}
	var bucket int
	var row Row
	err := s.a.rows(fmt.Sprintf("FETCH %d FROM %s", pageSize, s.cursor), append([]any{&bucket}, s.columns(&row)...), func() error {
		value, err := s.read(&row)
		s.rows = append(s.rows, shelved[Value]{bucket, value})
		return err
	})
	s.done = len(s.rows) < pageSize
	return err
}

// of gives the rows of a bucket. Buckets are asked for in order: what comes before is of none that exists.
func (s *shelf[Row, Value]) of(bucket int) iter.Seq2[Value, error] {
	return func(yield func(Value, error) bool) {
		for {
			if err := s.fetch(); err != nil {
				var none Value
				yield(none, err)
				return
			}
			if len(s.rows) == 0 || s.rows[0].bucket > bucket {
				return
			}
			first := s.rows[0]
			s.rows = s.rows[1:]
			if first.bucket < bucket {
				s.a.Fault("A row of %s is in bucket %d, which does not exist.", s.cursor[4:], first.bucket)
			} else if !yield(first.value, nil) {
				return
			}
		}
	}
}

// end sees that nothing is left.
func (s *shelf[Row, Value]) end() error {
	if err := s.fetch(); err != nil {
		return err
	}
	if len(s.rows) > 0 {
		s.a.Fault("Rows of %s are in bucket %d, which does not exist.", s.cursor[4:], s.rows[0].bucket)
	}
	return nil
}

// claimRow is a claim as it comes.
type claimRow struct {
	claim  payment.Claim
	digest []byte
}

func (r *claimRow) columns() []any {
	return []any{&r.claim.Number.Scope, &r.claim.Number.No, &r.digest, &r.claim.ID}
}

func (r *claimRow) read() (payment.Claim, error) {
	claim := r.claim
	claim.Digest = payment.ContentDigest{}
	copy(claim.Digest[:], r.digest)
	return claim, nil
}

// codeRow is a used code as it comes.
type codeRow struct {
	code  []byte
	trade ledger.DocumentID
}

func (r *codeRow) columns() []any { return []any{&r.code, &r.trade} }

func (r *codeRow) read() (payment.UsedCode, error) {
	used := payment.UsedCode{Trade: r.trade}
	var code ridecode.ID
	copy(code[:], r.code)
	used.Code = code
	return used, nil
}
