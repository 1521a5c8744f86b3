package store

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/role/payment"
)

// save writes what was decided on state.
func (b *book) save(state payment.State, changes payment.Changes) error {
	if err := changes.Check(state.Free); err != nil {
		return err
	}
	for _, write := range []func() error{
		func() error { return b.openAccounts(changes.Opened) },
		func() error { return b.changeTerms(changes.Terms) },
		func() error { return b.insertDocuments(changes.Documents) },
		func() error { return b.insertTransfers(changes.Transfers) },
		func() error { return putRiders(b.conn, changes.Riders) },
		func() error { return insertRisk(b.conn, changes.Risk) },
		func() error { return putRiskSeen(b.conn, changes.RiskSeen) },
		func() error { return insertDepartures(b.conn, changes.Departed) },
		func() error { return deleteDepartures(b.conn, changes.Arrived) },
		func() error { return b.postNotices(changes.Notices) },
		func() error { return b.deleteNotices(changes.Taken) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	b.closeDay(changes.Close)
	return b.keepCounts()
}

// insert runs one prepared insertion for each item.
func insert[T any](conn *sqlite.Conn, query string, items []T, bind func(*sqlite.Stmt, T)) error {
	return each(conn, query, items, bind, func(*sqlite.Stmt, T) error { return nil })
}

func (b *book) insertDocuments(documents []payment.Document) error {
	b.count(len(documents))
	return insert(b.conn, "INSERT OR ROLLBACK INTO document (id, key, about, amount, at, body) VALUES (?, ?, nullif(?, 0), ?, ?, ?)", documents,
		func(stmt *sqlite.Stmt, document payment.Document) {
			stmt.BindInt64(1, int64(document.ID))
			stmt.BindText(2, string(document.Key))
			stmt.BindInt64(3, int64(document.About))
			stmt.BindInt64(4, int64(document.AmountFen))
			stmt.BindInt64(5, document.At.UnixMicro())
			stmt.BindBytes(6, notNil(document.Body))
		})
}

// insertTransfers files the transfers; a trigger moves their accounts.
func (b *book) insertTransfers(transfers []ledger.Transfer) error {
	if len(transfers) == 0 {
		return nil
	}
	stmt, err := b.conn.Prepare(`INSERT OR ROLLBACK INTO transfer (no, debit, debit_posting, credit, credit_posting, amount, code, day, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	for i := range transfers {
		if err := b.insertTransfer(stmt, &transfers[i]); err != nil {
			return fmt.Errorf("transfer %d of document %d: %w", transfers[i].ID.Leg, transfers[i].ID.Document, err)
		}
	}
	return nil
}

func (b *book) insertTransfer(stmt *sqlite.Stmt, t *ledger.Transfer) error {
	debit, err1 := b.row(t.Debit)
	credit, err2 := b.row(t.Credit)
	if err1 != nil || err2 != nil {
		return firstOf(err1, err2)
	}
	if t.Day < b.openDay {
		return fmt.Errorf("%w: day %s is closed", payment.ErrChanges, t.Day)
	}
	debit.postings++
	credit.postings++
	for i, value := range [...]int64{transferNo(t.ID), debit.no, debit.postings, credit.no, credit.postings,
		int64(t.AmountFen), int64(t.Code), int64(t.Day), t.At.UnixMicro()} {
		stmt.BindInt64(i+1, value)
	}
	return run(stmt)
}

// legsRoom is how many numbers of transfers belong to each document.
const legsRoom = 256

func transferNo(id ledger.TransferID) int64 { return int64(id.Document)*legsRoom + int64(id.Leg) }

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func putRiders(conn *sqlite.Conn, riders []payment.Rider) error {
	return insert(conn, `INSERT INTO rider (user_id, owes_since, doubles, blocked, password, failures, failed_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET owes_since = excluded.owes_since, doubles = excluded.doubles, blocked = excluded.blocked,
		password = excluded.password, failures = excluded.failures, failed_at = excluded.failed_at`, riders,
		func(stmt *sqlite.Stmt, rider payment.Rider) {
			stmt.BindText(1, string(rider.User))
			bindInstantOrNone(stmt, 2, rider.OwesSince)
			stmt.BindInt64(3, int64(rider.Doubles))
			stmt.BindText(4, rider.Blocked)
			if rider.Password == nil {
				stmt.BindNull(5)
			} else {
				stmt.BindBytes(5, rider.Password)
			}
			stmt.BindInt64(6, int64(rider.Failures))
			bindInstantOrNone(stmt, 7, rider.FailedAt)
		})
}

func bindInstantOrNone(stmt *sqlite.Stmt, param int, at time.Time) {
	if at.IsZero() {
		stmt.BindNull(param)
		return
	}
	stmt.BindInt64(param, at.UnixMicro())
}

func insertDepartures(conn *sqlite.Conn, departed []payment.Departure) error {
	return insert(conn, "INSERT INTO under_way (id, to_bucket, account, amount, code, document) VALUES (?, ?, ?, ?, ?, ?)", departed,
		func(stmt *sqlite.Stmt, d payment.Departure) {
			stmt.BindInt64(1, int64(d.ID))
			stmt.BindInt64(2, int64(d.To))
			stmt.BindText(3, string(d.Account))
			stmt.BindInt64(4, int64(d.AmountFen))
			stmt.BindInt64(5, int64(d.Code))
			stmt.BindText(6, string(d.Document))
		})
}

func deleteDepartures(conn *sqlite.Conn, arrived []ledger.DocumentID) error {
	return insert(conn, "DELETE FROM under_way WHERE id = ?", arrived, bindID)
}

func (b *book) postNotices(notices []payment.Notice) error {
	if len(notices) == 0 {
		return nil
	}
	text, err := json.Marshal(notices)
	if err != nil {
		return err
	}
	return b.post("INSERT INTO posted (notices, seq) VALUES (?, ?)", string(text))
}

// postTrades notes that these were settled together.
func (b *book) postTrades(trades []payment.SettledOrder) error {
	if len(trades) == 0 {
		return nil
	}
	text := []byte{'['}
	for i := range trades {
		text = append(strconv.AppendInt(text, int64(trades[i].ID), 10), ',')
	}
	text[len(text)-1] = ']'
	return b.post("INSERT INTO posted (trades, seq) VALUES (?, ?)", string(text))
}

func (b *book) post(query, text string) error {
	seq := b.nextPosted
	b.nextPosted, b.moved = seq+1, true
	return insert(b.conn, query, []string{text}, func(stmt *sqlite.Stmt, text string) {
		stmt.BindText(1, text)
		stmt.BindInt64(2, seq)
	})
}

func (b *book) deleteNotices(taken int64) error {
	if taken = min(taken, b.nextPosted-1); taken <= b.takenPosted {
		return nil
	}
	b.takenPosted, b.moved = taken, true
	return insert(b.conn, "DELETE FROM posted WHERE seq <= ?", []int64{taken}, func(stmt *sqlite.Stmt, taken int64) { stmt.BindInt64(1, taken) })
}

// closeDay closes a day and all before it. A closed day is never opened again.
func (b *book) closeDay(day ledger.Day) {
	if day != 0 && day >= b.openDay {
		b.openDay, b.moved = day.Next(), true
	}
}

// count gives out document numbers.
func (b *book) count(documents int) {
	if documents > 0 {
		b.nextDocument, b.moved = b.nextDocument+ledger.DocumentID(documents), true
	}
}

func (b *book) keepCounts() error {
	if !b.moved {
		return nil
	}
	return insert(b.conn, "UPDATE book SET next_document = ?, next_posted = ?, taken_posted = ?, open_day = ?", once, func(stmt *sqlite.Stmt, _ struct{}) {
		stmt.BindInt64(1, int64(b.nextDocument))
		stmt.BindInt64(2, b.nextPosted)
		stmt.BindInt64(3, b.takenPosted)
		stmt.BindInt64(4, int64(b.openDay))
	})
}

// claim takes a number for the next document, unless somebody has it, and tells who has.
func (b *book) claim(claim payment.Claim) (payment.Claim, error) {
	claim.ID = b.nextDocument
	taken, err := b.take(claim)
	if err != nil || taken {
		return claim, err
	}
	found := make(map[payment.Number]payment.Claim, 1)
	err = claimed(b.conn, []payment.Number{claim.Number}, found)
	return found[claim.Number], err
}

// take tells whether nobody had the number.
func (b *book) take(claim payment.Claim) (taken bool, err error) {
	err = insert(b.conn, "INSERT INTO claim (no, scope, digest, id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", []payment.Claim{claim},
		func(stmt *sqlite.Stmt, claim payment.Claim) {
			stmt.BindText(1, claim.Number.No)
			stmt.BindText(2, claim.Number.Scope)
			stmt.BindBytes(3, claim.Digest[:])
			stmt.BindInt64(4, int64(claim.ID))
		})
	if err != nil || b.conn.Changes() == 0 {
		return false, err
	}
	b.count(1)
	return true, nil
}
