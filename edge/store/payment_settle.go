package store

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// errCodeUsed says that a code which nobody had looked at has paid before.
var errCodeUsed = errors.New("store: a code was used before")

// Settle implements payment.Store. New numbers are claimed, and new codes used up, without a look whether
// they are there: the tables tell. Where a code is, the batch begins anew and looks first.
func (s *PaymentStore) Settle(ctx context.Context, batch payment.Batch) ([]payment.Verdict, error) {
	if len(batch.Orders) == 0 {
		return nil, nil
	}
	verdicts, err := s.settle(ctx, &batch, s.careful.Load())
	if errors.Is(err, errCodeUsed) {
		verdicts, err = s.settle(ctx, &batch, true)
	}
	if err != nil {
		return nil, err
	}
	s.careful.Store(answered(verdicts, payment.CodeUsed))
	return verdicts, nil
}

func answered(verdicts []payment.Verdict, answer payment.Answer) bool {
	for i := range verdicts {
		if verdicts[i].Answer == answer {
			return true
		}
	}
	return false
}

func (s *PaymentStore) settle(ctx context.Context, batch *payment.Batch, careful bool) (verdicts []payment.Verdict, err error) {
	err = s.write(ctx, func(b *book) (err error) {
		verdicts, err = b.settle(batch, careful)
		return err
	})
	return verdicts, err
}

// settling is a batch on its way through one transaction.
type settling struct {
	*book
	batch   *payment.Batch
	state   payment.BatchState
	careful bool // all codes were looked at
}

func (b *book) settle(batch *payment.Batch, careful bool) ([]payment.Verdict, error) {
	s := &settling{book: b, batch: batch, careful: careful, state: payment.BatchState{Free: b.nextDocument, Open: b.openDay,
		Claims: make(map[payment.Number]payment.Claim), Trades: make(map[ledger.DocumentID]payment.SettledMark),
		Codes: make(map[ridecode.ID]payment.TradeKey), Accounts: make(map[ledger.AccountID]ledger.Account, len(batch.Orders)+1)}}
	for _, read := range []func() error{s.claimAll, s.loadParties} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	verdicts, changes, err := s.decide()
	if err != nil {
		return nil, err
	}
	return verdicts, s.write(changes)
}

// claimAll claims each order's number.
func (s *settling) claimAll() error {
	for i := range s.batch.Orders {
		o := &s.batch.Orders[i]
		taken, err := s.take(payment.Claim{Number: o.Key.Number(), Digest: o.Digest, ID: s.nextDocument})
		switch {
		case err != nil:
		case !taken:
			err = s.loadEarlier(o)
		case s.careful:
			err = s.loadCodes(o)
		}
		if err != nil {
			return fmt.Errorf("trade %q of app %q: %w", o.Key.OutTradeNo, o.Key.App, err)
		}
	}
	return nil
}

// loadEarlier reads what became of a number that was claimed before. If it was not settled, one of its codes
// may be why.
func (s *settling) loadEarlier(o *payment.Order) error {
	number := o.Key.Number()
	if err := claimed(s.conn, []payment.Number{number}, s.state.Claims); err != nil {
		return err
	}
	id := s.state.Claims[number].ID
	err := each(s.conn, "SELECT day, payer FROM trade WHERE id = ?", []ledger.DocumentID{id}, bindID, func(stmt *sqlite.Stmt, id ledger.DocumentID) error {
		s.state.Trades[id] = payment.SettledMark{Day: ledger.Day(stmt.ColumnInt64(0)), Payer: payment.Payer(stmt.ColumnText(1))}
		return nil
	})
	if _, settled := s.state.Trades[id]; err != nil || settled {
		return err
	}
	return s.loadCodes(o)
}

// loadParties reads the accounts of users and merchants.
func (s *settling) loadParties() error {
	for i := range s.batch.Orders {
		for _, id := range [...]ledger.AccountID{payment.UserAccount(s.batch.Orders[i].User), s.batch.Orders[i].Merchant} {
			if _, known := s.state.Accounts[id]; known {
				continue
			}
			if err := s.loadAccounts([]ledger.AccountID{id}, s.state.Accounts); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *settling) loadCodes(o *payment.Order) error {
	return each(s.conn, "SELECT app, out_trade_no FROM used_code JOIN trade ON trade.id = used_code.trade WHERE code = +?", o.Codes,
		func(stmt *sqlite.Stmt, code ridecode.ID) { stmt.BindBytes(1, code[:]) },
		func(stmt *sqlite.Stmt, code ridecode.ID) error {
			s.state.Codes[code] = payment.TradeKey{App: payment.AppID(stmt.ColumnText(0)), OutTradeNo: payment.OutTradeNo(stmt.ColumnText(1))}
			return nil
		})
}

// decide decides, and once more where an order falls short: that of its codes, or of those accounts that step
// in for a user, is not known yet.
func (s *settling) decide() ([]payment.Verdict, payment.BatchChanges, error) {
	verdicts, changes := payment.Decide(s.state, *s.batch)
	if fallsShort(verdicts) {
		if err := s.loadMore(verdicts); err != nil {
			return nil, payment.BatchChanges{}, err
		}
		verdicts, changes = payment.Decide(s.state, *s.batch)
	}
	if taken := s.nextDocument - s.state.Free; int(taken) != len(changes.Claims) {
		return nil, payment.BatchChanges{}, fmt.Errorf("%w: %d numbers are new, and %d were claimed", ErrInconsistent, len(changes.Claims), taken)
	}
	return verdicts, changes, nil
}

func fallsShort(verdicts []payment.Verdict) bool {
	return answered(verdicts, payment.NoUser) || answered(verdicts, payment.NoMerchant) || answered(verdicts, payment.NoFunds)
}

func (s *settling) loadMore(verdicts []payment.Verdict) error {
	ids := []ledger.AccountID{payment.GuaranteeAccount, payment.ClaimsAccount}
	for i, verdict := range verdicts {
		if verdict.Answer <= payment.CodeUsed {
			continue
		}
		if err := s.loadCodes(&s.batch.Orders[i]); err != nil {
			return err
		}
		ids = append(ids, payment.DebtAccount(s.batch.Orders[i].User))
	}
	return s.loadAccounts(ids, s.state.Accounts)
}

// write writes what was decided. Codes come first: if one was used, the least was done for nothing.
func (s *settling) write(changes payment.BatchChanges) error {
	for _, write := range []func() error{
		func() error { return s.useCodes(changes.Trades) },
		func() error { return s.openAccounts(changes.Opened) },
		func() error { return s.insertTrades(changes.Trades) },
		func() error { return s.insertTransfers(changes.Transfers) },
		func() error { return s.noteOwing(changes.Owing) },
		func() error { return s.postTrades(changes.Trades) },
		s.keepCounts,
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

func (s *settling) useCodes(trades []payment.SettledOrder) error {
	if len(trades) == 0 {
		return nil
	}
	stmt, err := s.conn.Prepare("INSERT INTO used_code (code, trade) VALUES (?, ?) ON CONFLICT DO NOTHING")
	if err != nil {
		return err
	}
	for i := range trades {
		for place := range trades[i].Order.Codes {
			stmt.BindBytes(1, trades[i].Order.Codes[place][:])
			stmt.BindInt64(2, int64(trades[i].ID))
			if err := run(stmt); err != nil {
				return err
			}
			if s.conn.Changes() == 0 {
				return s.codeUsed(trades[i].Order)
			}
		}
	}
	return nil
}

// codeUsed tells a code that was used before from one that stands twice in the batch: those before were
// looked at.
func (s *settling) codeUsed(o *payment.Order) error {
	if !s.careful {
		return errCodeUsed
	}
	return fmt.Errorf("%w: trade %q of app %q has a code twice", ErrInconsistent, o.Key.OutTradeNo, o.Key.App)
}

func (s *settling) insertTrades(trades []payment.SettledOrder) error {
	if len(trades) == 0 {
		return nil
	}
	stmt, err := s.conn.Prepare(`INSERT OR ROLLBACK INTO trade (id, app, out_trade_no, user_id, merchant, amount, payer, day, settled_at, codes, content)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	settledAt := s.batch.Now.UnixMicro()
	for i := range trades {
		bindTrade(stmt, &trades[i], settledAt)
		if err := run(stmt); err != nil {
			return fmt.Errorf("trade %q of app %q: %w", trades[i].Order.Key.OutTradeNo, trades[i].Order.Key.App, err)
		}
	}
	return nil
}

func bindTrade(stmt *sqlite.Stmt, trade *payment.SettledOrder, settledAt int64) {
	o := trade.Order
	stmt.BindInt64(1, int64(trade.ID))
	stmt.BindText(2, string(o.Key.App))
	stmt.BindText(3, string(o.Key.OutTradeNo))
	stmt.BindText(4, string(o.User))
	stmt.BindText(5, string(o.Merchant))
	stmt.BindInt64(6, int64(o.AmountFen))
	stmt.BindText(7, string(trade.Payer))
	stmt.BindInt64(8, int64(trade.Day))
	stmt.BindInt64(9, settledAt)
	stmt.BindBytes(10, joinCodes(o.Codes))
	stmt.BindBytes(11, notNil(o.Content))
}

func joinCodes(codes []ridecode.ID) []byte {
	if len(codes) == 1 {
		return codes[0][:]
	}
	joined := make([]byte, 0, len(codes)*len(ridecode.ID{}))
	for i := range codes {
		joined = append(joined, codes[i][:]...)
	}
	return joined
}

// noteOwing notes since when riders owe, unless they did before.
func (s *settling) noteOwing(users []ridecode.UserID) error {
	return insert(s.conn, "INSERT INTO rider (user_id, owes_since) VALUES (?, ?) ON CONFLICT DO UPDATE SET owes_since = excluded.owes_since WHERE owes_since IS NULL", users,
		func(stmt *sqlite.Stmt, user ridecode.UserID) {
			stmt.BindText(1, string(user))
			stmt.BindInt64(2, s.batch.Now.UnixMicro())
		})
}

// Find implements payment.Store.
func (s *PaymentStore) Find(ctx context.Context, keys []payment.Number) (map[payment.Number]payment.Claim, error) {
	found := make(map[payment.Number]payment.Claim, len(keys))
	err := s.read(ctx, "find", func(b *book) error { return claimed(b.conn, keys, found) })
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Balances implements payment.Store.
func (s *PaymentStore) Balances(ctx context.Context, ids ...ledger.AccountID) (map[ledger.AccountID]map[int]ledger.Account, error) {
	accounts := make(map[ledger.AccountID]ledger.Account, len(ids))
	if err := s.read(ctx, "balances", func(b *book) error { return b.loadAccounts(ids, accounts) }); err != nil {
		return nil, err
	}
	parts := make(map[ledger.AccountID]map[int]ledger.Account, len(accounts))
	for id, account := range accounts {
		parts[id] = map[int]ledger.Account{0: account}
	}
	return parts, nil
}
