package store

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/cardissuer"
)

// saveIssuer writes what was decided on state.
func saveIssuer(conn *sqlite.Conn, state cardissuer.State, changes cardissuer.Changes) error {
	if err := checkIssuer(state, changes); err != nil {
		return err
	}
	for _, write := range []func() error{
		func() error { return saveIssuerType(conn, changes.Type) },
		func() error { return saveIssuerCard(conn, changes.Card) },
		func() error { return insertIssuerEntry(conn, changes.Entry) },
		func() error { return openIssuerAccounts(conn, changes.Opened) },
		func() error { return insertIssuerTransfers(conn, state, changes) },
		func() error { return insertUsedCodes(conn, changes) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
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

func given[T any](item *T) []T {
	if item == nil {
		return nil
	}
	return []T{*item}
}

func saveIssuerType(conn *sqlite.Conn, cardType *cardissuer.CardType) error {
	return insert(conn, "INSERT INTO issuer_type ("+issuerTypeColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (card_type) DO UPDATE SET mode = excluded.mode, title = excluded.title, template = excluded.template, city_code = excluded.city_code,
		agent_id = excluded.agent_id, discount = excluded.discount,
		min_balance = excluded.min_balance, max_balance = excluded.max_balance, revoke_wait = excluded.revoke_wait`, given(cardType),
		func(stmt *sqlite.Stmt, t cardissuer.CardType) {
			for i, text := range []string{string(t.Type), string(t.Mode), t.Title, t.Template, t.CityCode, t.AgentID, t.DiscountType} {
				stmt.BindText(i+1, text)
			}
			stmt.BindInt64(8, int64(t.MinBalanceFen))
			stmt.BindInt64(9, int64(t.MaxBalanceFen))
			stmt.BindInt64(10, t.RevokeWait.Microseconds())
		})
}

func saveIssuerCard(conn *sqlite.Conn, card *cardissuer.Card) error {
	return insert(conn, `INSERT INTO issuer_card (card_type, card_no, user_id, data, state, tips, issued, revoke_due, last_update, version,
		sent_version, known, attempts, next_try, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (card_type, card_no) DO UPDATE SET user_id = excluded.user_id, data = excluded.data, state = excluded.state, tips = excluded.tips,
		issued = excluded.issued, revoke_due = excluded.revoke_due, last_update = excluded.last_update, version = excluded.version,
		sent_version = excluded.sent_version, known = excluded.known, attempts = excluded.attempts, next_try = excluded.next_try,
		reason = excluded.reason`, given(card), bindIssuerCard)
}

func bindIssuerCard(stmt *sqlite.Stmt, card cardissuer.Card) {
	stmt.BindText(1, string(card.Key.Type))
	stmt.BindText(2, string(card.Key.No))
	stmt.BindText(3, string(card.User))
	stmt.BindBytes(4, notNil(card.Data))
	stmt.BindText(5, string(card.State))
	stmt.BindText(6, card.Tips)
	stmt.BindInt64(7, card.Issued.UnixMicro())
	bindInstantOrNone(stmt, 8, card.RevokeDue)
	stmt.BindInt64(9, card.LastUpdate.UnixMicro())
	stmt.BindInt64(10, card.Version)
	stmt.BindInt64(11, card.Sent.Version)
	stmt.BindBool(12, card.Sent.Known)
	stmt.BindInt64(13, int64(card.Sent.Attempts))
	stmt.BindInt64(14, card.Sent.NextTry.UnixMicro())
	stmt.BindText(15, card.Sent.Reason)
}

func insertIssuerEntry(conn *sqlite.Conn, entry *cardissuer.Entry) error {
	err := insert(conn, "INSERT INTO issuer_entry ("+issuerEntryColumns+") VALUES (?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?, ?, ?)", given(entry),
		func(stmt *sqlite.Stmt, e cardissuer.Entry) {
			stmt.BindInt64(1, int64(e.ID))
			stmt.BindText(2, string(e.Kind))
			stmt.BindText(3, e.Number)
			stmt.BindBytes(4, e.Digest[:])
			stmt.BindText(5, string(e.Card.Type))
			stmt.BindText(6, string(e.Card.No))
			stmt.BindInt64(7, int64(e.About))
			stmt.BindInt64(8, int64(e.AmountFen))
			stmt.BindInt64(9, int64(e.NetFen))
			stmt.BindText(10, e.Text)
			stmt.BindInt64(11, e.At.UnixMicro())
		})
	if err != nil || entry == nil {
		return err
	}
	return step(conn, "UPDATE issuer_book SET next_entry = next_entry + 1")
}

func openIssuerAccounts(conn *sqlite.Conn, accounts []ledger.Account) error {
	return insert(conn, "INSERT INTO issuer_account (id, balance, floor, postings) VALUES (?, ?, ?, ?)", accounts,
		func(stmt *sqlite.Stmt, account ledger.Account) {
			stmt.BindText(1, string(account.ID))
			stmt.BindInt64(2, int64(account.Balance))
			stmt.BindNull(3)
			if !account.Unbounded {
				stmt.BindInt64(3, int64(account.Floor))
			}
			stmt.BindInt64(4, account.Postings)
		})
}

// insertIssuerTransfers files the transfers; a trigger moves their accounts.
func insertIssuerTransfers(conn *sqlite.Conn, state cardissuer.State, changes cardissuer.Changes) error {
	postings := map[ledger.AccountID]int64{}
	for _, account := range state.Accounts {
		postings[account.ID] = account.Postings
	}
	return insert(conn, `INSERT INTO issuer_transfer (no, debit, debit_posting, credit, credit_posting, amount, code, day, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, changes.Transfers, func(stmt *sqlite.Stmt, t ledger.Transfer) {
		postings[t.Debit]++
		postings[t.Credit]++
		stmt.BindInt64(1, transferNo(t.ID))
		stmt.BindText(2, string(t.Debit))
		stmt.BindInt64(3, postings[t.Debit])
		stmt.BindText(4, string(t.Credit))
		stmt.BindInt64(5, postings[t.Credit])
		for i, value := range []int64{int64(t.AmountFen), int64(t.Code), int64(t.Day), t.At.UnixMicro()} {
			stmt.BindInt64(i+6, value)
		}
	})
}

func insertUsedCodes(conn *sqlite.Conn, changes cardissuer.Changes) error {
	return insert(conn, "INSERT INTO issuer_used_code (code, entry) VALUES (?, ?)", changes.Codes, func(stmt *sqlite.Stmt, code ridecode.ID) {
		stmt.BindBytes(1, code[:])
		stmt.BindInt64(2, int64(changes.Entry.ID))
	})
}

// Audit implements cardissuer.Store. It reads every row of the tables themselves and counts again.
func (s *IssuerStore) Audit(ctx context.Context) (report cardissuer.AuditReport, err error) {
	err = s.db.read(ctx, func(conn *sqlite.Conn) error {
		auditor := cardissuer.NewAuditor()
		if err := auditIssuer(conn, auditor); err != nil {
			return err
		}
		report = auditor.Report()
		return nil
	})
	if err != nil {
		return cardissuer.AuditReport{}, fmt.Errorf("store: audit: %w", err)
	}
	return report, nil
}

func auditIssuer(conn *sqlite.Conn, a *cardissuer.Auditor) error {
	for _, part := range []struct {
		query string
		row   func(*sqlite.Stmt) error
	}{
		{"PRAGMA integrity_check", func(stmt *sqlite.Stmt) error {
			if found := stmt.ColumnText(0); found != "ok" {
				a.Fault("The file is damaged: %s.", found)
			}
			return nil
		}},
		{"SELECT card_type, card_no FROM issuer_card NOT INDEXED", func(stmt *sqlite.Stmt) error {
			a.Card(cardissuer.CardKey{Type: ridecode.CardType(stmt.ColumnText(0)), No: ridecode.CardNo(stmt.ColumnText(1))})
			return nil
		}},
		{"SELECT no, debit, credit, amount, code, day, at FROM issuer_transfer NOT INDEXED ORDER BY no", func(stmt *sqlite.Stmt) error {
			a.Transfer(readIssuerTransfer(stmt))
			return nil
		}},
		{"SELECT " + issuerEntryColumns + " FROM issuer_entry NOT INDEXED ORDER BY id", func(stmt *sqlite.Stmt) error {
			a.Entry(readIssuerEntry(stmt))
			return nil
		}},
		{"SELECT " + accountColumns + " FROM issuer_account NOT INDEXED", func(stmt *sqlite.Stmt) error {
			a.Account(readAccount(stmt))
			return nil
		}},
	} {
		if err := rows(conn, part.query, part.row); err != nil {
			return err
		}
	}
	return auditIssuerSchema(conn, a)
}

func readIssuerTransfer(stmt *sqlite.Stmt) ledger.Transfer {
	no := stmt.ColumnInt64(0)
	return ledger.Transfer{ID: ledger.TransferID{Document: ledger.DocumentID(no / legsRoom), Leg: uint8(no % legsRoom)},
		Debit: ledger.AccountID(stmt.ColumnText(1)), Credit: ledger.AccountID(stmt.ColumnText(2)), AmountFen: money.Fen(stmt.ColumnInt64(3)),
		Code: ledger.Code(stmt.ColumnInt64(4)), Day: ledger.Day(stmt.ColumnInt64(5)), At: instant(stmt.ColumnInt64(6))}
}

// auditIssuerSchema: whoever wants to change what is append-only has to remove a trigger first.
func auditIssuerSchema(conn *sqlite.Conn, a *cardissuer.Auditor) error {
	wanted, err := newSchema()
	if err != nil {
		return err
	}
	found, err := schemaOf(conn)
	if err != nil {
		return err
	}
	for _, object := range wanted {
		if sql, exists := found.find(object.name); !exists || sql != object.sql {
			a.Fault("The %s %s is missing, or not as it was made.", object.kind, object.name)
		}
	}
	return nil
}
