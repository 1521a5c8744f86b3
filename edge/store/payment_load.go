package store

import (
	"errors"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// book is the books in one transaction, with their counts as they will be at its end.
type book struct {
	conn         *sqlite.Conn
	nextDocument ledger.DocumentID
	nextPosted   int64
	takenPosted  int64
	openDay      ledger.Day
	moved        bool                             // the counts are other ones than those stored
	rows         map[ledger.AccountID]*accountRow // of the accounts that were read or opened
}

func openBook(conn *sqlite.Conn) (*book, error) {
	b := &book{conn: conn, rows: make(map[ledger.AccountID]*accountRow)}
	found := false
	err := each(conn, "SELECT next_document, next_posted, taken_posted, open_day FROM book", once, nothing, func(stmt *sqlite.Stmt, _ struct{}) error {
		b.nextDocument, b.nextPosted = ledger.DocumentID(stmt.ColumnInt64(0)), stmt.ColumnInt64(1)
		b.takenPosted, b.openDay = stmt.ColumnInt64(2), ledger.Day(stmt.ColumnInt64(3))
		found = true
		return nil
	})
	if err == nil && !found {
		err = errCountsGone
	}
	return b, err
}

var errCountsGone = errors.New("store: the counts of the books are gone")

// loadAndClaim claims the numbers of need, and reads what it names.
func (b *book) loadAndClaim(need payment.Need) (payment.State, error) {
	claims := make(map[payment.Number]payment.Claim, len(need.Claims))
	for _, claim := range need.Claims {
		standing, err := b.claim(claim)
		if err != nil {
			return payment.State{}, err
		}
		claims[claim.Number] = standing
	}
	state, err := b.load(need)
	state.Claims = claims
	return state, err
}

// load reads what need names.
func (b *book) load(need payment.Need) (payment.State, error) {
	state := payment.State{
		Free: b.nextDocument, Open: b.openDay,
		Accounts:  make(map[ledger.AccountID]ledger.Account, len(need.Accounts)),
		Documents: make(map[payment.DocumentKey]payment.Document),
		Numbered:  make(map[ledger.DocumentID]payment.Document),
		About:     make(map[ledger.DocumentID][]payment.Document),
		Trades:    make(map[ledger.DocumentID]payment.SettledTrade),
		Riders:    make(map[ridecode.UserID]payment.Rider),
		Risk:      make(map[ridecode.UserID][]payment.RiskEntry),
		Claims:    make(map[payment.Number]payment.Claim),
	}
	return state, errors.Join(
		loadRisk(b.conn, need.Risk, state.Risk),
		loadRiskSeen(b.conn, need.RiskSeen, &state.RiskSeen),
		b.loadAccounts(need.Accounts, state.Accounts),
		loadDocuments(b.conn, need.Documents, state.Documents),
		loadNumbered(b.conn, need.Numbered, state.Numbered),
		loadAbout(b.conn, need.About, state.About),
		loadTrades(b.conn, need.Trades, state.Trades),
		loadRiders(b.conn, need.Riders, state.Riders))
}

func loadDocuments(conn *sqlite.Conn, keys []payment.DocumentKey, into map[payment.DocumentKey]payment.Document) error {
	return each(conn, "SELECT "+documentColumns+" FROM document WHERE key = ?", keys, bindText,
		func(stmt *sqlite.Stmt, key payment.DocumentKey) error {
			into[key] = readDocument(stmt)
			return nil
		})
}

func loadNumbered(conn *sqlite.Conn, ids []ledger.DocumentID, into map[ledger.DocumentID]payment.Document) error {
	return each(conn, "SELECT "+documentColumns+" FROM document WHERE id = ?", ids, bindID,
		func(stmt *sqlite.Stmt, id ledger.DocumentID) error {
			into[id] = readDocument(stmt)
			return nil
		})
}

func loadAbout(conn *sqlite.Conn, trades []ledger.DocumentID, into map[ledger.DocumentID][]payment.Document) error {
	return each(conn, "SELECT "+documentColumns+" FROM document WHERE about = ? ORDER BY id", trades, bindID,
		func(stmt *sqlite.Stmt, trade ledger.DocumentID) error {
			into[trade] = append(into[trade], readDocument(stmt))
			return nil
		})
}

// documentColumns is what readDocument reads, in this order.
const documentColumns = "id, key, about, amount, at, body"

func readDocument(stmt *sqlite.Stmt) payment.Document {
	return payment.Document{ID: ledger.DocumentID(stmt.ColumnInt64(0)), Key: payment.DocumentKey(stmt.ColumnText(1)),
		About: ledger.DocumentID(stmt.ColumnInt64(2)), AmountFen: money.Fen(stmt.ColumnInt64(3)), At: instant(stmt.ColumnInt64(4)), Body: columnBytes(stmt, 5)}
}

func loadTrades(conn *sqlite.Conn, ids []ledger.DocumentID, into map[ledger.DocumentID]payment.SettledTrade) error {
	return each(conn, "SELECT "+tradeColumns+" FROM trade WHERE id = ?", ids, bindID,
		func(stmt *sqlite.Stmt, id ledger.DocumentID) (err error) {
			into[id], err = readTrade(stmt).Settled(0)
			return err
		})
}

// tradeColumns is what readTrade reads, in this order.
const tradeColumns = "trade.id, app, out_trade_no, user_id, merchant, trade.amount, payer, trade.day, settled_at, codes, content"

func readTrade(stmt *sqlite.Stmt) payment.StoredTrade {
	return payment.StoredTrade{ID: ledger.DocumentID(stmt.ColumnInt64(0)),
		Key:  payment.TradeKey{App: payment.AppID(stmt.ColumnText(1)), OutTradeNo: payment.OutTradeNo(stmt.ColumnText(2))},
		User: ridecode.UserID(stmt.ColumnText(3)), Merchant: ledger.AccountID(stmt.ColumnText(4)), AmountFen: money.Fen(stmt.ColumnInt64(5)),
		Payer: payment.Payer(stmt.ColumnText(6)), Day: ledger.Day(stmt.ColumnInt64(7)), SettledAt: instant(stmt.ColumnInt64(8)),
		Codes: readCodes(columnBytes(stmt, 9)), Content: columnBytes(stmt, 10)}
}

func readCodes(joined []byte) (codes []ridecode.ID) {
	for len(joined) > 0 {
		var code ridecode.ID
		joined = joined[copy(code[:], joined):]
		codes = append(codes, code)
	}
	return codes
}

func loadRiders(conn *sqlite.Conn, users []ridecode.UserID, into map[ridecode.UserID]payment.Rider) error {
	return each(conn, "SELECT "+riderColumns+" FROM rider WHERE user_id = ?", users, bindText,
		func(stmt *sqlite.Stmt, user ridecode.UserID) error {
			into[user] = readPaymentRider(stmt)
			return nil
		})
}

// riderColumns is what readPaymentRider reads, in this order.
const riderColumns = "user_id, owes_since, doubles, blocked, password, failures, failed_at"

func readPaymentRider(stmt *sqlite.Stmt) payment.Rider {
	rider := payment.Rider{User: ridecode.UserID(stmt.ColumnText(0)), OwesSince: instantOrNone(stmt, 1), Doubles: stmt.ColumnInt(2),
		Blocked: stmt.ColumnText(3), Failures: stmt.ColumnInt(5), FailedAt: instantOrNone(stmt, 6)}
	if !stmt.ColumnIsNull(4) {
		rider.Password = columnBytes(stmt, 4)
	}
	return rider
}

// claimed reads who has a number.
func claimed(conn *sqlite.Conn, numbers []payment.Number, into map[payment.Number]payment.Claim) error {
	return each(conn, "SELECT digest, id FROM claim WHERE no = ? AND scope = ?", numbers,
		func(stmt *sqlite.Stmt, number payment.Number) {
			stmt.BindText(1, number.No)
			stmt.BindText(2, number.Scope)
		},
		func(stmt *sqlite.Stmt, number payment.Number) error {
			claim := payment.Claim{Number: number, ID: ledger.DocumentID(stmt.ColumnInt64(1))}
			stmt.ColumnBytes(0, claim.Digest[:])
			into[number] = claim
			return nil
		})
}

// once is the key of a query that takes nothing.
var once = []struct{}{{}}

func nothing(*sqlite.Stmt, struct{}) {}

func bindText[K ~string](stmt *sqlite.Stmt, key K) { stmt.BindText(1, string(key)) }

func bindID(stmt *sqlite.Stmt, id ledger.DocumentID) { stmt.BindInt64(1, int64(id)) }

// each runs one prepared query for each key, and hands over every row.
//
// Where a query that is asked often, for few keys, joins or has a LIMIT, its parameters are written +?: SQLite would
// else prepare it again each time that they are cleared, and after a 0 or 1, lest the plan suit these better. That
// costs ten times what finding a row does; over a page of keys it is nothing.
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

func instantOrNone(stmt *sqlite.Stmt, column int) time.Time {
	if stmt.ColumnIsNull(column) {
		return time.Time{}
	}
	return instant(stmt.ColumnInt64(column))
}
