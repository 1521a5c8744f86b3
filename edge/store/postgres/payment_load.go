package postgres

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/edge/store/packing"
	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// lockedRows is the rows that this transaction has locked or made: it moves no others.
type lockedRows struct {
	accounts map[ledger.AccountID]int64
	shared   map[ledger.AccountID]bool // read, but not to be moved
	absent   map[ledger.AccountID]bool // accounts that were not there
}

// loading is the questions of one transaction, sent together, and where their answers go. Each looks its
// keys up one by one, in the order given; "offset 0" keeps PostgreSQL from thinking of something else
// (see schema/payment.sql).
type loading struct {
	batch pgx.Batch
	state payment.State
	rows  *lockedRows
}

func newLoading(need payment.Need) *loading {
	return &loading{
		state: payment.State{
			Trades:   make(map[payment.TradeKey]payment.SettledTrade),
			Codes:    make(map[ridecode.ID]payment.TradeKey),
			Accounts: make(map[ledger.AccountID]ledger.Account, len(need.Accounts)),
			TopUps:   make(map[payment.TopUpID]payment.TopUp),
		},
		rows: &lockedRows{accounts: make(map[ledger.AccountID]int64, len(need.Accounts)), shared: make(map[ledger.AccountID]bool),
			absent: make(map[ledger.AccountID]bool)},
	}
}

// loadSnapshot reads what need names, as it was at one moment.
func loadSnapshot(ctx context.Context, conn *pgx.Conn, need payment.Need) (payment.State, error) {
	l := newLoading(need)
	l.batch.Queue(beginSnapshot)
	l.readAccounts(texts(need.Accounts), "")
	l.readKeys(need)
	l.batch.Queue("commit")
	err := conn.SendBatch(ctx, &l.batch).Close()
	return l.state, err
}

// loadLocked begins a transaction, locks the accounts of need, and reads it. The locks come first: each
// later statement sees all that was committed by whoever held them before.
func loadLocked(ctx context.Context, conn *pgx.Conn, need payment.Need, exclusive bool) (payment.State, *lockedRows, error) {
	l := newLoading(need)
	l.batch.Queue("begin")
	l.lockAccounts(need, exclusive)
	l.readKeys(need)
	if err := conn.SendBatch(ctx, &l.batch).Close(); err != nil {
		return payment.State{}, nil, err
	}
	l.noteAbsent(need.Accounts)
	return l.state, l.rows, nil
}

// lockAccounts locks accounts in the order of their names, so that no two updates wait for each other.
// Every settlement names the guarantee fund and the claims, and few move them: they are shared under a
// lock of their own, at first, or all settlements would come one after the other. A lock of rows would
// do it too, but there new readers overtake a writer who waits, for ever if they come fast enough.
func (l *loading) lockAccounts(need payment.Need, exclusive bool) {
	own, common := splitCommon(need)
	if len(common) > 0 {
		lock := "select pg_advisory_xact_lock_shared($1, $2)"
		if exclusive {
			lock = "select pg_advisory_xact_lock($1, $2)"
		}
		l.batch.Queue(lock, lockClass, lockShared)
	}
	l.readAccounts(own, " for no key update")
	if exclusive {
		l.readAccounts(common, " for no key update")
		return
	}
	l.readAccounts(common, "")
	for _, id := range common {
		l.rows.shared[ledger.AccountID(id)] = true
	}
}

// splitCommon parts what all settlements name from the rest. Without trades it is no settlement, and
// likely moves what it names.
func splitCommon(need payment.Need) (own, common []string) {
	if len(need.Trades) == 0 {
		return texts(need.Accounts), nil
	}
	for _, id := range texts(need.Accounts) {
		switch ledger.AccountID(id) {
		case payment.GuaranteeAccount, payment.ClaimsAccount:
			common = append(common, id)
		default:
			own = append(own, id)
		}
	}
	return own, common
}

func (l *loading) readAccounts(ids []string, locking string) {
	if len(ids) == 0 {
		return
	}
	l.batch.Queue(`select a.no, k.id, a.balance, a.floor, a.unbounded, a.postings from unnest($1::text[]) as k (id),
		lateral (select * from shuama.account where id = k.id offset 0`+locking+") as a", ids).
		Query(func(rows pgx.Rows) error {
			var no int64
			var account ledger.Account
			columns := []any{&no, &account.ID, &account.Balance, &account.Floor, &account.Unbounded, &account.Postings}
			_, err := pgx.ForEachRow(rows, columns, func() error {
				l.state.Accounts[account.ID], l.rows.accounts[account.ID] = account, no
				return nil
			})
			return err
		})
}

func (l *loading) noteAbsent(ids []ledger.AccountID) {
	for _, id := range texts(ids) {
		if _, exists := l.rows.accounts[ledger.AccountID(id)]; !exists {
			l.rows.absent[ledger.AccountID(id)] = true
		}
	}
}

func (l *loading) readKeys(need payment.Need) {
	l.readTrades(need.Trades)
	l.readCodes(need.Codes)
	l.readTopUps(texts(need.TopUps))
}

// tradeColumns is what tradeRow reads, in this order.
const tradeColumns = `t.app, t.out_trade_no, t.trade_no, t.digest, t.user_id, t.order_time, t.subject, t.amount,
	t.biz_context, t.card_type, t.seller_login, t.codes, t.records, t.settled_at, t.payer`

// tradeRow is a trade as it comes.
type tradeRow struct {
	trade                                       payment.SettledTrade
	digest, subject, bizContext, codes, records []byte
	orderTime, settledAt                        int64
}

func (r *tradeRow) columns() []any {
	t := &r.trade
	return []any{&t.Key.App, &t.Key.OutTradeNo, &t.TradeNo, &r.digest, &t.Content.UserID, &r.orderTime, &r.subject, &t.Content.AmountFen,
		&r.bizContext, &t.Content.CardType, &t.Content.SellerLogin, &r.codes, &r.records, &r.settledAt, &t.Payer}
}

func (r *tradeRow) settled() (payment.SettledTrade, error) {
	t := r.trade
	t.Content.OutTradeNo = t.Key.OutTradeNo
	t.Content.Subject, t.Content.BizContext = string(r.subject), string(r.bizContext)
	t.Content.OrderTime, t.SettledAt = instant(r.orderTime), instant(r.settledAt)
	copy(t.Digest[:], r.digest)
	for code := range slices.Chunk(r.codes, len(ridecode.ID{})) {
		var id ridecode.ID
		copy(id[:], code)
		t.Codes = append(t.Codes, id)
	}
	var err error
	t.Content.Records, err = packing.SplitRecords(r.records)
	return t, err
}

func (l *loading) readTrades(keys []payment.TradeKey) {
	var apps, numbers []string
	for _, key := range keys {
		if isText(string(key.App)) && isText(string(key.OutTradeNo)) {
			apps, numbers = append(apps, string(key.App)), append(numbers, string(key.OutTradeNo))
		}
	}
	if len(apps) == 0 {
		return
	}
	l.batch.Queue("select "+tradeColumns+`
		from unnest($1::text[], $2::text[]) as k (app, out_trade_no),
		lateral (select * from shuama.trade where app = k.app and out_trade_no = k.out_trade_no offset 0) as t`, apps, numbers).
		Query(func(rows pgx.Rows) error {
			var r tradeRow
			_, err := pgx.ForEachRow(rows, r.columns(), func() (err error) {
				l.state.Trades[r.trade.Key], err = r.settled()
				return err
			})
			return err
		})
}

func (l *loading) readCodes(codes []ridecode.ID) {
	if len(codes) == 0 {
		return
	}
	keys := make([][]byte, len(codes))
	for i := range codes {
		keys[i] = codes[i][:]
	}
	l.batch.Queue(`select k.code, t.app, t.out_trade_no from unnest($1::bytea[]) as k (code),
		lateral (select trade from shuama.used_code where code = k.code offset 0) as c,
		lateral (select app, out_trade_no from shuama.trade where no = c.trade offset 0) as t`, keys).Query(func(rows pgx.Rows) error {
		var code []byte
		var key payment.TradeKey
		_, err := pgx.ForEachRow(rows, []any{&code, &key.App, &key.OutTradeNo}, func() error {
			var id ridecode.ID
			copy(id[:], code)
			l.state.Codes[id] = key
			return nil
		})
		return err
	})
}

func (l *loading) readTopUps(ids []string) {
	if len(ids) == 0 {
		return
	}
	l.batch.Queue(`select k.id, a.id, u.amount, u.at from unnest($1::text[]) as k (id),
		lateral (select * from shuama.top_up where id = k.id offset 0) as u,
		lateral (select id from shuama.account where no = u.account offset 0) as a`, ids).Query(func(rows pgx.Rows) error {
		var order payment.TopUp
		var at int64
		_, err := pgx.ForEachRow(rows, []any{&order.ID, &order.Account, &order.AmountFen, &at}, func() error {
			order.At = instant(at)
			l.state.TopUps[order.ID] = order
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
