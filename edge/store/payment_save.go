package store

import (
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/edge/store/packing"
	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/role/payment"
)

// save writes what was decided. The order is that of the references between tables.
func save(conn *sqlite.Conn, rows accountRows, changes payment.Changes) error {
	if err := openAccounts(conn, rows, changes.Opened); err != nil {
		return err
	}
	if err := insertTransfers(conn, rows, changes.Entries); err != nil {
		return err
	}
	if err := insertTrades(conn, changes.Trades); err != nil {
		return err
	}
	return insertTopUps(conn, rows, changes.TopUps)
}

func openAccounts(conn *sqlite.Conn, rows accountRows, opened []ledger.Account) error {
	if len(opened) == 0 {
		return nil
	}
	insert, err := conn.Prepare("INSERT OR ROLLBACK INTO account (id, balance, floor, unbounded, postings) VALUES (?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	for _, account := range opened {
		insert.BindText(1, string(account.ID))
		insert.BindInt64(2, int64(account.Balance))
		insert.BindInt64(3, int64(account.Floor))
		insert.BindBool(4, account.Unbounded)
		insert.BindInt64(5, account.Postings)
		if err := run(insert); err != nil {
			return fmt.Errorf("open account %q: %w", account.ID, err)
		}
		rows[account.ID] = conn.LastInsertRowID()
	}
	return nil
}

// insertTransfers files the transfers; a trigger files their postings.
func insertTransfers(conn *sqlite.Conn, rows accountRows, entries []ledger.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	insert, err := conn.Prepare(`INSERT OR ROLLBACK INTO transfer (id, debit, credit, amount, code, at, reference,
		debit_number, debit_balance, credit_number, credit_balance) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	for i := range entries {
		if err := insertTransfer(insert, rows, &entries[i]); err != nil {
			return fmt.Errorf("transfer %q: %w", entries[i].Transfer.ID, err)
		}
	}
	return nil
}

func insertTransfer(insert *sqlite.Stmt, rows accountRows, entry *ledger.Entry) error {
	debit, known := rows[entry.Transfer.Debit]
	credit, alsoKnown := rows[entry.Transfer.Credit]
	if !known || !alsoKnown {
		return fmt.Errorf("%w: it moves an account that was neither read nor opened", ErrInconsistent)
	}
	if !legsAgree(entry) {
		return fmt.Errorf("%w: a posting is not a leg of its transfer", ErrInconsistent)
	}
	insert.BindText(1, string(entry.Transfer.ID))
	insert.BindInt64(2, debit)
	insert.BindInt64(3, credit)
	insert.BindInt64(4, int64(entry.Transfer.AmountFen))
	insert.BindInt64(5, int64(entry.Transfer.Code))
	insert.BindInt64(6, entry.Transfer.At.UnixMicro())
	insert.BindText(7, entry.Transfer.Reference)
	insert.BindInt64(8, entry.Debit.Number)
	insert.BindInt64(9, int64(entry.Debit.Balance))
	insert.BindInt64(10, entry.Credit.Number)
	insert.BindInt64(11, int64(entry.Credit.Balance))
	return run(insert)
}

// legsAgree holds what the file keeps only once, in the transfer, against what the postings say.
func legsAgree(entry *ledger.Entry) bool {
	t := &entry.Transfer
	return entry.Debit.Transfer == t.ID && entry.Debit.Account == t.Debit && entry.Debit.AmountFen == -t.AmountFen &&
		entry.Credit.Transfer == t.ID && entry.Credit.Account == t.Credit && entry.Credit.AmountFen == t.AmountFen
}

func insertTrades(conn *sqlite.Conn, trades []payment.SettledTrade) error {
	if len(trades) == 0 {
		return nil
	}
	trade, err := conn.Prepare(`INSERT OR ROLLBACK INTO trade (app, out_trade_no, trade_no, digest, user_id, order_time, subject, amount,
		biz_context, card_type, seller_login, records, settled_at, payer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	code, err := conn.Prepare("INSERT OR ROLLBACK INTO used_code (code, trade, place) VALUES (?, ?, ?)")
	if err != nil {
		return err
	}
	for i := range trades {
		if err := insertTrade(conn, trade, code, &trades[i]); err != nil {
			return fmt.Errorf("trade %q of app %q: %w", trades[i].Key.OutTradeNo, trades[i].Key.App, err)
		}
	}
	return nil
}

func insertTrade(conn *sqlite.Conn, insert, code *sqlite.Stmt, trade *payment.SettledTrade) error {
	if trade.Content.OutTradeNo != trade.Key.OutTradeNo {
		return fmt.Errorf("%w: its content has another number", ErrInconsistent)
	}
	if len(trade.Codes) == 0 {
		return fmt.Errorf("%w: no code has paid for it", ErrInconsistent)
	}
	bindTrade(insert, trade)
	if err := run(insert); err != nil {
		return err
	}
	no := conn.LastInsertRowID()
	for place := range trade.Codes {
		code.BindBytes(1, trade.Codes[place][:])
		code.BindInt64(2, no)
		code.BindInt64(3, int64(place))
		if err := run(code); err != nil {
			return fmt.Errorf("code %d: %w", place, err)
		}
	}
	return nil
}

func bindTrade(insert *sqlite.Stmt, trade *payment.SettledTrade) {
	content := &trade.Content
	insert.BindText(1, string(trade.Key.App))
	insert.BindText(2, string(trade.Key.OutTradeNo))
	insert.BindText(3, string(trade.TradeNo))
	insert.BindBytes(4, trade.Digest[:])
	insert.BindText(5, string(content.UserID))
	insert.BindInt64(6, content.OrderTime.UnixMicro())
	insert.BindText(7, content.Subject)
	insert.BindInt64(8, int64(content.AmountFen))
	insert.BindText(9, content.BizContext)
	insert.BindText(10, content.CardType)
	insert.BindText(11, content.SellerLogin)
	insert.BindBytes(12, packing.JoinRecords(content.Records))
	insert.BindInt64(13, trade.SettledAt.UnixMicro())
	insert.BindText(14, string(trade.Payer))
}

func insertTopUps(conn *sqlite.Conn, rows accountRows, topUps []payment.TopUp) error {
	if len(topUps) == 0 {
		return nil
	}
	insert, err := conn.Prepare("INSERT OR ROLLBACK INTO top_up (id, account, amount, at) VALUES (?, ?, ?, ?)")
	if err != nil {
		return err
	}
	for _, topUp := range topUps {
		account, known := rows[topUp.Account]
		if !known {
			return fmt.Errorf("top-up %q: %w: its account was neither read nor opened", topUp.ID, ErrInconsistent)
		}
		insert.BindText(1, string(topUp.ID))
		insert.BindInt64(2, account)
		insert.BindInt64(3, int64(topUp.AmountFen))
		insert.BindInt64(4, topUp.At.UnixMicro())
		if err := run(insert); err != nil {
			return fmt.Errorf("top-up %q: %w", topUp.ID, err)
		}
	}
	return nil
}
