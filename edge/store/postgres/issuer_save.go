package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/role/cardissuer"
	"github.com/shuama/shuama/role/payment"
)

// save writes what was decided on state, in one round trip.
func (b *issuerBook) save(state cardissuer.State, changes cardissuer.Changes) error {
	if err := checkIssuer(state, changes); err != nil {
		return err
	}
	batch := &pgx.Batch{}
	if t := changes.Type; t != nil {
		batch.Queue("insert into shuama.issuer_type ("+issuerTypeColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			on conflict (card_type) do update set mode = excluded.mode, title = excluded.title, template = excluded.template, city_code = excluded.city_code,
			agent_id = excluded.agent_id, discount = excluded.discount, min_balance = excluded.min_balance, max_balance = excluded.max_balance,
			revoke_wait = excluded.revoke_wait`, string(t.Type), string(t.Mode), t.Title, t.Template, t.CityCode, t.AgentID, t.DiscountType,
			int64(t.MinBalanceFen), int64(t.MaxBalanceFen), t.RevokeWait.Microseconds())
	}
	if changes.Card != nil {
		queueIssuerCard(batch, changes.Card)
	}
	if changes.Entry != nil {
		queueIssuerEntry(batch, state, changes)
	}
	return b.conn.SendBatch(b.ctx, batch).Close()
}

// checkIssuer refuses money and codes without an entry, and an entry under a number that is not the next.
func checkIssuer(state cardissuer.State, changes cardissuer.Changes) error {
	if changes.Entry == nil && len(changes.Transfers)+len(changes.Codes)+len(changes.Opened) > 0 {
		return fmt.Errorf("%w: money moves without an entry", ErrInconsistent)
	}
	if changes.Entry != nil && changes.Entry.ID != state.Free {
		return fmt.Errorf("%w: entry %d is not the next", ErrInconsistent, changes.Entry.ID)
	}
	for i, transfer := range changes.Transfers {
		if transfer.ID != (ledger.TransferID{Document: state.Free, Leg: uint8(i)}) {
			return fmt.Errorf("%w: a transfer is not a leg of the entry", ErrInconsistent)
		}
	}
	if state.Card != nil && changes.Card != nil && changes.Card.Key != state.Card.Key {
		return fmt.Errorf("%w: another card was decided on", ErrInconsistent)
	}
	return nil
}

func queueIssuerCard(batch *pgx.Batch, c *cardissuer.Card) {
	data := c.Data
	if data == nil {
		data = []byte{}
	}
	var revokeDue *int64
	if !c.RevokeDue.IsZero() {
		due := c.RevokeDue.UnixMicro()
		revokeDue = &due
	}
	batch.Queue(`insert into shuama.issuer_card (card_type, card_no, user_id, data, state, tips, issued, revoke_due, last_update, version,
		sent_version, known, attempts, next_try, reason) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		on conflict (card_type, card_no) do update set user_id = excluded.user_id, data = excluded.data, state = excluded.state, tips = excluded.tips,
		issued = excluded.issued, revoke_due = excluded.revoke_due, last_update = excluded.last_update, version = excluded.version,
		sent_version = excluded.sent_version, known = excluded.known, attempts = excluded.attempts, next_try = excluded.next_try,
		reason = excluded.reason`, string(c.Key.Type), string(c.Key.No), string(c.User), data, string(c.State), c.Tips, c.Issued.UnixMicro(), revokeDue,
		c.LastUpdate.UnixMicro(), c.Version, c.Sent.Version, c.Sent.Known, c.Sent.Attempts, c.Sent.NextTry.UnixMicro(), c.Sent.Reason)
}

// queueIssuerEntry files an entry with its accounts, transfers and codes; a trigger moves the accounts.
func queueIssuerEntry(batch *pgx.Batch, state cardissuer.State, changes cardissuer.Changes) {
	e := changes.Entry
	batch.Queue(`insert into shuama.issuer_entry (id, kind, number, digest, card_type, card_no, about, amount, net, text, at)
		values ($1, $2, $3, $4, $5, $6, nullif($7::bigint, 0), $8, $9, $10, $11)`, int64(e.ID), string(e.Kind), e.Number, e.Digest[:],
		string(e.Card.Type), string(e.Card.No), int64(e.About), int64(e.AmountFen), int64(e.NetFen), e.Text, e.At.UnixMicro())
	batch.Queue("update shuama.issuer_book set next_entry = next_entry + 1")
	postings := map[ledger.AccountID]int64{}
	for _, account := range state.Accounts {
		postings[account.ID] = account.Postings
	}
	for _, a := range changes.Opened {
		var floor *int64
		if lowest := int64(a.Floor); !a.Unbounded {
			floor = &lowest
		}
		batch.Queue("insert into shuama.issuer_account (id, balance, floor, postings) values ($1, $2, $3, $4)", string(a.ID), int64(a.Balance), floor, a.Postings)
	}
	for _, t := range changes.Transfers {
		postings[t.Debit]++
		postings[t.Credit]++
		batch.Queue(`insert into shuama.issuer_transfer (no, debit, debit_posting, credit, credit_posting, amount, code, day, at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, int64(t.ID.Document)*legsRoom+int64(t.ID.Leg), string(t.Debit), postings[t.Debit],
			string(t.Credit), postings[t.Credit], int64(t.AmountFen), int32(t.Code), int32(t.Day), t.At.UnixMicro())
	}
	for _, code := range codeBytes(changes.Codes) {
		batch.Queue("insert into shuama.issuer_used_code (code, entry) values ($1, $2)", code, int64(e.ID))
	}
}

// legsRoom is how many numbers of transfers belong to each entry.
const legsRoom = 256

// Audit implements cardissuer.Store. It reads every row of the tables themselves at one moment, and counts again.
func (s *IssuerStore) Audit(ctx context.Context) (report cardissuer.AuditReport, err error) {
	err = s.db.read(ctx, func(conn *pgx.Conn) error {
		a := &issuerAuditor{auditor: auditor{ctx: ctx, conn: conn, Auditor: payment.NewAuditor(nil)}, book: cardissuer.NewAuditor()}
		report, err = a.count()
		return err
	})
	if err != nil {
		return cardissuer.AuditReport{}, fmt.Errorf("postgres: audit: %w", err)
	}
	return report, nil
}

// issuerAuditor counts the issuer's book; the schema it examines as the audit of payment does.
type issuerAuditor struct {
	auditor
	book *cardissuer.Auditor
}

func (a *issuerAuditor) count() (cardissuer.AuditReport, error) {
	if err := a.execute(beginSnapshot); err != nil {
		return cardissuer.AuditReport{}, err
	}
	for _, examine := range []func() error{a.readAll, a.examineSchema, a.cards, a.transfers, a.entries, a.accounts} {
		if err := examine(); err != nil {
			return cardissuer.AuditReport{}, err
		}
	}
	for _, fault := range a.auditor.Report().Faults {
		a.book.Fault("%s", fault)
	}
	return a.book.Report(), a.execute("commit")
}

func (a *issuerAuditor) cards() error {
	var key cardissuer.CardKey
	return a.rows("SELECT card_type, card_no FROM shuama.issuer_card", []any{&key.Type, &key.No}, func() error {
		a.book.Card(key)
		return nil
	})
}

func (a *issuerAuditor) transfers() error {
	var t ledger.Transfer
	var no, at int64
	return a.rows("SELECT no, debit, credit, amount, code::bigint, day, at FROM shuama.issuer_transfer ORDER BY no",
		[]any{&no, &t.Debit, &t.Credit, &t.AmountFen, &t.Code, &t.Day, &at}, func() error {
			t.ID, t.At = ledger.TransferID{Document: ledger.DocumentID(no / legsRoom), Leg: uint8(no % legsRoom)}, instant(at)
			a.book.Transfer(t)
			return nil
		})
}

func (a *issuerAuditor) entries() error {
	rows, err := a.conn.Query(a.ctx, "SELECT "+issuerEntryColumns+" FROM shuama.issuer_entry ORDER BY id", pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		entry, err := readIssuerEntry(rows)
		if err != nil {
			return err
		}
		a.book.Entry(entry)
	}
	return rows.Err()
}

func (a *issuerAuditor) accounts() error {
	rows, err := a.conn.Query(a.ctx, "SELECT id, balance, floor, postings FROM shuama.issuer_account", pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		account, err := readIssuerAccount(rows)
		if err != nil {
			return err
		}
		a.book.Account(account)
	}
	return rows.Err()
}
