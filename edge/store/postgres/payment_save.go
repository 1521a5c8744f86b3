package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/shuama/shuama/edge/store/packing"
	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// open makes the accounts that are opened: transfers refer to them by number. Most changes open none.
func (r *lockedRows) open(ctx context.Context, conn *pgx.Conn, opened []ledger.Account) error {
	if len(opened) == 0 {
		return nil
	}
	var batch pgx.Batch
	if err := r.openAccounts(&batch, opened); err != nil {
		return err
	}
	return conn.SendBatch(ctx, &batch).Close()
}

func (r *lockedRows) openAccounts(batch *pgx.Batch, opened []ledger.Account) error {
	ids, unbounded := make([]string, len(opened)), make([]bool, len(opened))
	balances, floors, postings := make([]int64, len(opened)), make([]int64, len(opened)), make([]int64, len(opened))
	for i, account := range opened {
		if r.shared[account.ID] {
			return errExclusive
		}
		ids[i], balances[i], floors[i] = string(account.ID), int64(account.Balance), int64(account.Floor)
		unbounded[i], postings[i] = account.Unbounded, account.Postings
	}
	batch.Queue(`insert into shuama.account (id, balance, floor, unbounded, postings)
		select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::boolean[], $5::bigint[]) as opened (id) order by id collate "C"
		returning no, id`, ids, balances, floors, unbounded, postings).Query(func(rows pgx.Rows) error {
		var no int64
		var id ledger.AccountID
		_, err := pgx.ForEachRow(rows, []any{&no, &id}, func() error {
			r.accounts[id] = no
			delete(r.absent, id)
			return nil
		})
		return err
	})
	return nil
}

// saveAndCommit writes what was decided, and commits it in the same breath. From then on it is not
// interrupted: who asked would not know whether it happened.
func saveAndCommit(ctx context.Context, conn *pgx.Conn, rows *lockedRows, changes payment.Changes) error {
	var batch pgx.Batch
	rows.checkAbsent(&batch)
	for _, queue := range []error{rows.insertTransfers(&batch, changes.Entries), insertTrades(&batch, changes.Trades),
		rows.insertTopUps(&batch, changes.TopUps), ctx.Err()} {
		if queue != nil {
			return fmt.Errorf("postgres: write: %w", queue)
		}
	}
	var ended pgconn.CommandTag
	batch.Queue("commit").Exec(func(tag pgconn.CommandTag) error {
		ended = tag
		return nil
	})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitWait)
	defer cancel()
	changed := len(changes.Opened)+len(changes.Entries)+len(changes.Trades)+len(changes.TopUps) > 0
	err := committed(conn.SendBatch(ctx, &batch).Close(), changed)
	if err == nil && ended.String() != "COMMIT" { // PostgreSQL answers a commit after a failure so, and calls it no error
		return errors.New("postgres: the transaction was rolled back before its commit")
	}
	return err
}

// checkAbsent sees that the accounts that were not there still are not: the statement that locks does not
// see what was opened while it waited. Of those that this update opened itself, the key has told.
func (r *lockedRows) checkAbsent(batch *pgx.Batch) {
	if len(r.absent) > 0 {
		batch.Queue("select shuama.still_absent($1)", slices.Collect(maps.Keys(r.absent)))
	}
}

// committed tells what is known after a commit was sent. Only an error of the statement, after which the
// server goes on talking, says that nothing was written.
func committed(err error, changed bool) error {
	var refused *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && refused.SeverityUnlocalized == "ERROR":
		return interrupted(fmt.Errorf("postgres: write: %w", err), false)
	case pgconn.SafeToRetry(err) || !changed:
		return &lostError{err}
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}

// transferColumns is the rows of transfers, by column.
type transferColumns struct {
	ids, references                                            []string
	codes                                                      []int32
	debits, credits, amounts, ats                              []int64
	debitNumbers, debitBalances, creditNumbers, creditBalances []int64
}

// insertTransfers files the transfers; a trigger files their postings.
func (r *lockedRows) insertTransfers(batch *pgx.Batch, entries []ledger.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	var c transferColumns
	for i := range entries {
		if err := r.addTransfer(&c, &entries[i]); err != nil {
			return fmt.Errorf("transfer %q: %w", entries[i].Transfer.ID, err)
		}
	}
	batch.Queue(`insert into shuama.transfer (id, debit, credit, amount, code, at, reference, debit_number, debit_balance, credit_number, credit_balance)
		select id, debit, credit, amount, code, at, reference, debit_number, debit_balance, credit_number, credit_balance
		from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::integer[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
		with ordinality as filed (id, debit, credit, amount, code, at, reference, debit_number, debit_balance, credit_number, credit_balance, place)
		order by place`, c.ids, c.debits, c.credits, c.amounts, c.codes, c.ats, c.references,
		c.debitNumbers, c.debitBalances, c.creditNumbers, c.creditBalances)
	return nil
}

func (r *lockedRows) addTransfer(c *transferColumns, entry *ledger.Entry) error {
	t := &entry.Transfer
	if r.shared[t.Debit] || r.shared[t.Credit] {
		return errExclusive
	}
	debit, known := r.accounts[t.Debit]
	credit, alsoKnown := r.accounts[t.Credit]
	if !known || !alsoKnown {
		return fmt.Errorf("%w: it moves an account that was neither read nor opened", ErrInconsistent)
	}
	if !legsAgree(entry) {
		return fmt.Errorf("%w: a posting is not a leg of its transfer", ErrInconsistent)
	}
	c.ids, c.references, c.codes = append(c.ids, string(t.ID)), append(c.references, t.Reference), append(c.codes, int32(t.Code))
	c.debits, c.credits = append(c.debits, debit), append(c.credits, credit)
	c.amounts, c.ats = append(c.amounts, int64(t.AmountFen)), append(c.ats, t.At.UnixMicro())
	c.debitNumbers, c.debitBalances = append(c.debitNumbers, entry.Debit.Number), append(c.debitBalances, int64(entry.Debit.Balance))
	c.creditNumbers, c.creditBalances = append(c.creditNumbers, entry.Credit.Number), append(c.creditBalances, int64(entry.Credit.Balance))
	return nil
}

// legsAgree holds what is sent only once, in the transfer, against what the postings say.
func legsAgree(entry *ledger.Entry) bool {
	t := &entry.Transfer
	return entry.Debit.Transfer == t.ID && entry.Debit.Account == t.Debit && entry.Debit.AmountFen == -t.AmountFen &&
		entry.Credit.Transfer == t.ID && entry.Credit.Account == t.Credit && entry.Credit.AmountFen == t.AmountFen
}

// tradeColumnsOf is the rows of trades, by column.
type tradeColumnsOf struct {
	orderTimes, amounts, settledAts                                 []int64
	apps, numbers, tradeNos, users, cardTypes, sellerLogins, payers []string
	digests, subjects, bizContexts, codes, records                  [][]byte
}

// insertTrades files the trades; a trigger files their codes.
func insertTrades(batch *pgx.Batch, trades []payment.SettledTrade) error {
	if len(trades) == 0 {
		return nil
	}
	var c tradeColumnsOf
	for i := range trades {
		if err := c.add(&trades[i]); err != nil {
			return fmt.Errorf("trade %q of app %q: %w", trades[i].Key.OutTradeNo, trades[i].Key.App, err)
		}
	}
	batch.Queue(`insert into shuama.trade (app, out_trade_no, trade_no, digest, user_id, order_time, subject, amount, biz_context,
		card_type, seller_login, codes, records, settled_at, payer)
		select * from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::bigint[], $7::bytea[], $8::bigint[],
		$9::bytea[], $10::text[], $11::text[], $12::bytea[], $13::bytea[], $14::bigint[], $15::text[]) as filed (app, out_trade_no)
		order by app collate "C", out_trade_no collate "C"`,
		c.apps, c.numbers, c.tradeNos, c.digests, c.users, c.orderTimes, c.subjects, c.amounts, c.bizContexts,
		c.cardTypes, c.sellerLogins, c.codes, c.records, c.settledAts, c.payers)
	return nil
}

func (c *tradeColumnsOf) add(trade *payment.SettledTrade) error {
	content := &trade.Content
	if content.OutTradeNo != trade.Key.OutTradeNo {
		return fmt.Errorf("%w: its content has another number", ErrInconsistent)
	}
	if len(trade.Codes) == 0 {
		return fmt.Errorf("%w: no code has paid for it", ErrInconsistent)
	}
	c.apps, c.numbers = append(c.apps, string(trade.Key.App)), append(c.numbers, string(trade.Key.OutTradeNo))
	c.tradeNos, c.payers = append(c.tradeNos, string(trade.TradeNo)), append(c.payers, string(trade.Payer))
	c.digests, c.users = append(c.digests, trade.Digest[:]), append(c.users, string(content.UserID))
	c.orderTimes, c.settledAts = append(c.orderTimes, content.OrderTime.UnixMicro()), append(c.settledAts, trade.SettledAt.UnixMicro())
	c.subjects, c.bizContexts = append(c.subjects, []byte(content.Subject)), append(c.bizContexts, []byte(content.BizContext))
	c.amounts, c.cardTypes = append(c.amounts, int64(content.AmountFen)), append(c.cardTypes, content.CardType)
	c.sellerLogins, c.records = append(c.sellerLogins, content.SellerLogin), append(c.records, packing.JoinRecords(content.Records))
	codes := make([]byte, 0, len(trade.Codes)*len(ridecode.ID{}))
	for _, code := range trade.Codes {
		codes = append(codes, code[:]...)
	}
	c.codes = append(c.codes, codes)
	return nil
}

func (r *lockedRows) insertTopUps(batch *pgx.Batch, topUps []payment.TopUp) error {
	if len(topUps) == 0 {
		return nil
	}
	ids := make([]string, len(topUps))
	accounts, amounts, ats := make([]int64, len(topUps)), make([]int64, len(topUps)), make([]int64, len(topUps))
	for i, topUp := range topUps {
		account, known := r.accounts[topUp.Account]
		if !known {
			return fmt.Errorf("top-up %q: %w: its account was neither read nor opened", topUp.ID, ErrInconsistent)
		}
		ids[i], accounts[i], amounts[i], ats[i] = string(topUp.ID), account, int64(topUp.AmountFen), topUp.At.UnixMicro()
	}
	batch.Queue(`insert into shuama.top_up (id, account, amount, at)
		select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) as filed (id) order by id collate "C"`, ids, accounts, amounts, ats)
	return nil
}
