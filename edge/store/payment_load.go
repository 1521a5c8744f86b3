package store

import (
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/edge/store/packing"
	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// accountRows is the rows of the accounts that were read or opened in this transaction: save moves no
// others.
type accountRows map[ledger.AccountID]int64

// load reads what need names. The rows let save write only over what was read.
func load(conn *sqlite.Conn, need payment.Need) (payment.State, accountRows, error) {
	state := payment.State{
		Trades:   make(map[payment.TradeKey]payment.SettledTrade),
		Codes:    make(map[ridecode.ID]payment.TradeKey),
		Accounts: make(map[ledger.AccountID]ledger.Account, len(need.Accounts)),
		TopUps:   make(map[payment.TopUpID]payment.TopUp),
	}
	rows := make(accountRows, len(need.Accounts))
	if err := loadAccounts(conn, need.Accounts, state.Accounts, rows); err != nil {
		return payment.State{}, nil, err
	}
	if err := loadTrades(conn, need.Trades, state.Trades); err != nil {
		return payment.State{}, nil, err
	}
	if err := loadCodes(conn, need.Codes, state.Codes); err != nil {
		return payment.State{}, nil, err
	}
	if err := loadTopUps(conn, need.TopUps, state.TopUps); err != nil {
		return payment.State{}, nil, err
	}
	return state, rows, nil
}

func loadAccounts(conn *sqlite.Conn, ids []ledger.AccountID, into map[ledger.AccountID]ledger.Account, rows accountRows) error {
	return each(conn, "SELECT no, balance, floor, unbounded, postings FROM account WHERE id = ?", ids,
		func(stmt *sqlite.Stmt, id ledger.AccountID) { stmt.BindText(1, string(id)) },
		func(stmt *sqlite.Stmt, id ledger.AccountID) error {
			rows[id] = stmt.ColumnInt64(0)
			into[id] = ledger.Account{ID: id, Balance: money.Fen(stmt.ColumnInt64(1)), Floor: money.Fen(stmt.ColumnInt64(2)),
				Unbounded: stmt.ColumnBool(3), Postings: stmt.ColumnInt64(4)}
			return nil
		})
}

func loadTrades(conn *sqlite.Conn, keys []payment.TradeKey, into map[payment.TradeKey]payment.SettledTrade) error {
	return each(conn, "SELECT "+tradeColumns+" FROM trade WHERE app = ? AND out_trade_no = ?", keys,
		func(stmt *sqlite.Stmt, key payment.TradeKey) {
			stmt.BindText(1, string(key.App))
			stmt.BindText(2, string(key.OutTradeNo))
		},
		func(stmt *sqlite.Stmt, key payment.TradeKey) error {
			trade, err := readTrade(stmt, key)
			if err != nil {
				return err
			}
			trade.Codes, err = codesOf(conn, stmt.ColumnInt64(0))
			into[key] = trade
			return err
		})
}

// tradeColumns is what readTrade reads, in this order.
const tradeColumns = "no, trade_no, digest, user_id, order_time, subject, amount, biz_context, card_type, " +
	"seller_login, records, settled_at, payer"

func readTrade(stmt *sqlite.Stmt, key payment.TradeKey) (payment.SettledTrade, error) {
	trade := payment.SettledTrade{
		Key:     key,
		TradeNo: payment.TradeNo(stmt.ColumnText(1)),
		Content: payment.Trade{
			OutTradeNo:  key.OutTradeNo,
			UserID:      ridecode.UserID(stmt.ColumnText(3)),
			OrderTime:   instant(stmt.ColumnInt64(4)),
			Subject:     stmt.ColumnText(5),
			AmountFen:   money.Fen(stmt.ColumnInt64(6)),
			BizContext:  stmt.ColumnText(7),
			CardType:    stmt.ColumnText(8),
			SellerLogin: stmt.ColumnText(9),
		},
		SettledAt: instant(stmt.ColumnInt64(11)),
		Payer:     payment.Payer(stmt.ColumnText(12)),
	}
	stmt.ColumnBytes(2, trade.Digest[:])
	var err error
	trade.Content.Records, err = packing.SplitRecords(columnBytes(stmt, 10))
	return trade, err
}

func codesOf(conn *sqlite.Conn, trade int64) (codes []ridecode.ID, err error) {
	err = each(conn, "SELECT code FROM used_code WHERE trade = ? ORDER BY place", []int64{trade},
		func(stmt *sqlite.Stmt, trade int64) { stmt.BindInt64(1, trade) },
		func(stmt *sqlite.Stmt, _ int64) error {
			var code ridecode.ID
			stmt.ColumnBytes(0, code[:])
			codes = append(codes, code)
			return nil
		})
	return codes, err
}

func loadCodes(conn *sqlite.Conn, codes []ridecode.ID, into map[ridecode.ID]payment.TradeKey) error {
	return each(conn, "SELECT app, out_trade_no FROM used_code JOIN trade ON trade.no = used_code.trade WHERE code = ?", codes,
		func(stmt *sqlite.Stmt, code ridecode.ID) { stmt.BindBytes(1, code[:]) },
		func(stmt *sqlite.Stmt, code ridecode.ID) error {
			into[code] = payment.TradeKey{App: payment.AppID(stmt.ColumnText(0)), OutTradeNo: payment.OutTradeNo(stmt.ColumnText(1))}
			return nil
		})
}

func loadTopUps(conn *sqlite.Conn, ids []payment.TopUpID, into map[payment.TopUpID]payment.TopUp) error {
	return each(conn, "SELECT account.id, amount, at FROM top_up JOIN account ON account.no = top_up.account WHERE top_up.id = ?", ids,
		func(stmt *sqlite.Stmt, id payment.TopUpID) { stmt.BindText(1, string(id)) },
		func(stmt *sqlite.Stmt, id payment.TopUpID) error {
			into[id] = payment.TopUp{ID: id, Account: ledger.AccountID(stmt.ColumnText(0)),
				AmountFen: money.Fen(stmt.ColumnInt64(1)), At: instant(stmt.ColumnInt64(2))}
			return nil
		})
}

// each runs one prepared query for each key, and hands over every row.
func each[K any](conn *sqlite.Conn, query string, keys []K, bind func(*sqlite.Stmt, K), row func(*sqlite.Stmt, K) error) error {
	if len(keys) == 0 {
		return nil
	}
	stmt, err := conn.Prepare(query)
	if err != nil {
		return err
	}
	for _, key := range keys {
		bind(stmt, key)
		if err := rowsOf(stmt, key, row); err != nil {
			return err
		}
	}
	return nil
}

func rowsOf[K any](stmt *sqlite.Stmt, key K, row func(*sqlite.Stmt, K) error) error {
	for {
		found, err := stmt.Step()
		if err != nil {
			return err
		}
		if !found {
			return stmt.Reset()
		}
		if err := row(stmt, key); err != nil {
			return err
		}
	}
}

func columnBytes(stmt *sqlite.Stmt, column int) []byte {
	b := make([]byte, stmt.ColumnLen(column))
	stmt.ColumnBytes(column, b)
	return b
}

func instant(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
