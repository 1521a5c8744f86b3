package storetest

import (
	"crypto/sha256"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

func testNothing(t *testing.T, open Open) {
	store, _ := open(t)
	called := 0
	err := store.Update(t.Context(), payment.Need{}, func(state payment.State) (payment.Changes, error) {
		called++
		if len(state.Trades)+len(state.Codes)+len(state.Accounts)+len(state.TopUps) != 0 {
			t.Errorf("nothing was asked for, and %+v came", state)
		}
		return payment.Changes{}, nil
	})
	if err != nil || called == 0 {
		t.Fatalf("an update of nothing: %v, decide called %d times", err, called)
	}
	report := auditClean(t, store)
	if report.Accounts+report.Transfers+report.Postings+report.Trades+report.Codes != 0 {
		t.Errorf("the books of nothing: %+v", report)
	}
}

// stored writes one trade with its top-up and looks at it in every way there is.
func stored(t *testing.T, open Open, trade payment.SettledTrade) {
	t.Helper()
	store, reopen := open(t)
	if err := settleTrade(t, store, trade); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		sameTrade(t, view(t, store, needOfTrade(trade)), trade)
		err := store.Update(t.Context(), needOfTrade(trade), func(state payment.State) (payment.Changes, error) {
			sameTrade(t, state, trade)
			return payment.Changes{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		auditClean(t, store)
		store = reopen()
	}
}

func needOfTrade(trade payment.SettledTrade) payment.Need {
	return payment.Need{Trades: []payment.TradeKey{trade.Key}, Codes: trade.Codes}
}

func settleTrade(t *testing.T, store payment.Store, trade payment.SettledTrade) error {
	t.Helper()
	user := ledger.Account{ID: "user:of the trade", Unbounded: true}
	if err := openAccounts(t.Context(), store, user, ledger.Account{ID: merchant}); err != nil {
		t.Fatal(err)
	}
	need := needOfTrade(trade)
	need.Accounts = []ledger.AccountID{user.ID, merchant}
	return store.Update(t.Context(), need, func(state payment.State) (payment.Changes, error) {
		book := bookOf(state)
		err := book.Apply(ledger.Transfer{ID: ledger.TransferID("ride:" + trade.TradeNo), Debit: user.ID, Credit: merchant,
			AmountFen: trade.Content.AmountFen, Code: payment.CodeRide, At: trade.SettledAt, Reference: string(trade.TradeNo)})
		return payment.Changes{Trades: []payment.SettledTrade{trade}, Entries: book.Entries()}, err
	})
}

func sameTrade(t testing.TB, state payment.State, want payment.SettledTrade) {
	t.Helper()
	got, exists := state.Trades[want.Key]
	if !exists {
		t.Fatalf("trade %q is not there", want.Key)
	}
	if !equalTrades(got, want) {
		t.Errorf("stored\n%s\nread\n%s", describe(want), describe(got))
	}
	if got.Content.Digest() != want.Digest {
		t.Error("the content read has another digest")
	}
	for _, code := range want.Codes {
		if state.Codes[code] != want.Key {
			t.Errorf("code %s has paid for %v, want %v", code, state.Codes[code], want.Key)
		}
	}
}

// describe leaves out the bytes of records, which may be many.
func describe(trade payment.SettledTrade) string {
	digests := ""
	for _, record := range trade.Content.Records {
		digests += fmt.Sprintf(" %d bytes %.4x", len(record), sha256.Sum256(record))
	}
	trade.Content.Records = nil
	return fmt.Sprintf("%+v with records%s", trade, digests)
}

// equalTrades compares what a store keeps: instants to the microsecond, in UTC, and lists without
// telling an empty one from none.
func equalTrades(got, want payment.SettledTrade) bool {
	for _, pair := range [][2]time.Time{{got.SettledAt, want.SettledAt}, {got.Content.OrderTime, want.Content.OrderTime}} {
		if !pair[0].Equal(pair[1].Truncate(time.Microsecond)) || pair[0].Location() != time.UTC {
			return false
		}
	}
	return reflect.DeepEqual(withoutInstants(got), withoutInstants(want))
}

func withoutInstants(trade payment.SettledTrade) payment.SettledTrade {
	trade.SettledAt, trade.Content.OrderTime = time.Time{}, time.Time{}
	trade.Codes = append([]ridecode.ID{}, trade.Codes...)
	records := [][]byte{}
	for _, record := range trade.Content.Records {
		records = append(records, append([]byte{}, record...))
	}
	trade.Content.Records = records
	return trade
}

func testRoundTrip(t *testing.T, open Open) {
	trade := newSale(7, userID(1)).trade(payment.PaidByUser)
	trade.Codes = []ridecode.ID{codeID(3), codeID(1), codeID(2), {}} // their order is kept
	trade.Content.Records = [][]byte{recordOf(tradeNo(1)), {0}, recordOf(tradeNo(2)), {}, {255, 0, 255}}
	trade.Content.SellerLogin = "metro@example.com"
	trade.SettledAt = noon().Add(999 * time.Nanosecond)
	trade.Digest = trade.Content.Digest()
	stored(t, open, trade)
}

// Nothing but numbers, amount and codes: all that may be empty is.
func testZeroValues(t *testing.T, open Open) {
	s := newSale(1, "")
	s.app = ""
	trade := s.trade(payment.PaidByUser)
	trade.Content = payment.Trade{OutTradeNo: s.number, AmountFen: 1}
	trade.Digest = trade.Content.Digest()
	trade.SettledAt = time.Time{}
	stored(t, open, trade)
}

func testExtremes(t *testing.T, open Open) {
	trade := newSale(1, userID(1)).trade(payment.PaidByUser)
	trade.Content.AmountFen = math.MaxInt64
	trade.Content.OrderTime = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	trade.SettledAt = time.Date(1, 1, 1, 0, 0, 0, 1_000, time.UTC)
	trade.Content.Records = [][]byte{make([]byte, 1<<20)}
	trade.Digest = trade.Content.Digest()
	for i := range trade.Digest {
		trade.Codes[0][i] = 0xff
	}
	stored(t, open, trade)
}

func testTexts(t *testing.T, open Open) {
	for _, text := range []string{
		"刷码乘车 🚇 𠮷", "it's \"quoted\" -- ; DROP TABLE trade; \\ %s ? $1 :a @b", " leading and trailing ", "line\r\nline\ttab\x7f\x01",
		"e\u0301 is not \u00e9", "\u202eright to left\u202c\ufeff\u00a0", "\U0010ffff",
	} {
		t.Run("", func(t *testing.T) {
			trade := textTrade(text)
			stored(t, open, trade)
		})
	}
}

func textTrade(text string) payment.SettledTrade {
	s := newSale(1, ridecode.UserID(text))
	s.app, s.number = payment.AppID(text), payment.OutTradeNo(text)
	trade := s.trade(payment.PaidByUser)
	trade.Content.Subject, trade.Content.BizContext = text, text
	trade.Content.CardType, trade.Content.SellerLogin = text, text
	trade.Digest = trade.Content.Digest()
	return trade
}

// Not every database can keep NUL or broken UTF-8 in a text. One that cannot has to say so; to cut it
// off would make two trades one.
func testNulText(t *testing.T, open Open) {
	for _, text := range []string{"before\x00after", "\x00", "\xff\xfe", "half \xe4\xb8"} {
		t.Run("", func(t *testing.T) {
			store, _ := open(t)
			trade := textTrade(text)
			if err := settleTrade(t, store, trade); err != nil {
				if state := view(t, store, payment.Need{Codes: trade.Codes}); len(state.Codes) != 0 {
					t.Errorf("refused (%v), and yet stored", err)
				}
			} else {
				sameTrade(t, view(t, store, needOfTrade(trade)), trade)
			}
			auditClean(t, store)
		})
	}
}

func testNeedFilters(t *testing.T, open Open) {
	store, _ := furnished(t, open, 3)
	a, b := newSale(1, userID(0)), newSale(2, userID(1))
	if _, err := settle(t.Context(), store, a, b); err != nil {
		t.Fatal(err)
	}
	user := payment.UserAccount(userID(0))
	state := view(t, store, payment.Need{
		Trades:   []payment.TradeKey{a.key(), {App: app, OutTradeNo: "none"}, a.key()},
		Codes:    []ridecode.ID{b.codes[0], codeID(99), b.codes[0]},
		Accounts: []ledger.AccountID{user, "user:none", user},
		TopUps:   []payment.TopUpID{"first-2", "none", "first-2"},
	})
	if len(state.Trades) != 1 || len(state.Codes) != 1 || len(state.Accounts) != 1 || len(state.TopUps) != 1 {
		t.Fatalf("not what was asked for: %d trades, %d codes, %d accounts, %d top-ups",
			len(state.Trades), len(state.Codes), len(state.Accounts), len(state.TopUps))
	}
	sameTrade(t, payment.State{Trades: state.Trades, Codes: map[ridecode.ID]payment.TradeKey{a.codes[0]: a.key()}}, a.trade(payment.PaidByUser))
	if state.Codes[b.codes[0]] != b.key() {
		t.Errorf("code: %v", state.Codes)
	}
	if got, want := state.Accounts[user], (ledger.Account{ID: user, Balance: plenty - fare, Floor: -100, Postings: 2}); got != want {
		t.Errorf("account: %+v, want %+v", got, want)
	}
	want := topUpOf("first-2", payment.UserAccount(userID(2)), plenty)
	if got := state.TopUps["first-2"]; got != want {
		t.Errorf("top-up: %+v, want %+v", got, want)
	}
	auditClean(t, store)
}

// Keys that a collation or a careless join would take for each other.
func testKeysAreExact(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1)
	keys := []payment.TradeKey{{App: "a", OutTradeNo: "bc"}, {App: "ab", OutTradeNo: "c"}, {App: "A", OutTradeNo: "bc"},
		{App: "a", OutTradeNo: "bc "}, {App: "a ", OutTradeNo: "bc"}, {App: "a", OutTradeNo: "ｂｃ"},
		{App: "a", OutTradeNo: "e\u0301"}, {App: "a", OutTradeNo: "\u00e9"}, {App: "a", OutTradeNo: "ß"}, {App: "a", OutTradeNo: "ss"},
		{App: "a", OutTradeNo: "1"}, {App: "a", OutTradeNo: "01"}, {App: "a", OutTradeNo: "1.0"}, {App: "", OutTradeNo: "1"}}
	for n, key := range keys {
		s := newSale(n, userID(0))
		s.app, s.number = key.App, key.OutTradeNo
		if state := view(t, store, payment.Need{Trades: []payment.TradeKey{key}}); len(state.Trades) != 0 {
			t.Errorf("%q is taken for another: %v", key, state.Trades)
		}
		if settled, err := settle(t.Context(), store, s); err != nil || len(settled) != 1 {
			t.Fatalf("%q: %v, %v", key, settled, err)
		}
	}
	if state := view(t, store, payment.Need{Trades: keys}); len(state.Trades) != len(keys) {
		t.Errorf("%d trades of %d", len(state.Trades), len(keys))
	}
	auditClean(t, store)
}

// A decision may do with the maps what it wants.
func testStateIsPrivate(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1)
	s := newSale(1, userID(0))
	if _, err := settle(t.Context(), store, s); err != nil {
		t.Fatal(err)
	}
	need := needOf([]sale{s})
	err := store.Update(t.Context(), need, func(state payment.State) (payment.Changes, error) {
		clear(state.Accounts)
		state.Codes[s.codes[0]] = payment.TradeKey{}
		trade := state.Trades[s.key()]
		trade.Content.Records[0][0] ^= 1
		trade.Codes[0][0] ^= 1
		return payment.Changes{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sameTrade(t, view(t, store, need), s.trade(payment.PaidByUser))
	auditClean(t, store)
}

func testBigBatch(t *testing.T, open Open) {
	const users = 64
	store, reopen := furnished(t, open, users)
	sales := make([]sale, bigBatch)
	for n := range sales {
		sales[n] = newSale(n, userID(n%users))
	}
	if settled, err := settle(t.Context(), store, sales...); err != nil || len(settled) != bigBatch {
		t.Fatalf("%d settled, %v", len(settled), err)
	}
	if settled, err := settle(t.Context(), store, sales...); err != nil || len(settled) != 0 {
		t.Fatalf("once more: %d settled, %v", len(settled), err)
	}
	store = reopen()
	state := view(t, store, needOf(sales))
	if len(state.Trades) != bigBatch || len(state.Codes) != bigBatch || state.Accounts[merchant].Balance != bigBatch*fare {
		t.Errorf("%d trades, %d codes, %d fen", len(state.Trades), len(state.Codes), state.Accounts[merchant].Balance)
	}
	auditClean(t, store)
}

// More keys than a statement takes parameters.
func testManyKeys(t *testing.T, open Open) {
	store, _ := open(t)
	accounts := make([]ledger.Account, manyKeys)
	var need payment.Need
	for n := range accounts {
		accounts[n] = ledger.Account{ID: ledger.AccountID(fmt.Sprintf("user:%d", n)), Floor: -money.Fen(n)}
		need.Accounts = append(need.Accounts, accounts[n].ID)
		need.Trades = append(need.Trades, newSale(n, "").key())
		need.Codes = append(need.Codes, codeID(n))
		need.TopUps = append(need.TopUps, payment.TopUpID(fmt.Sprint(n)))
	}
	if err := openAccounts(t.Context(), store, accounts...); err != nil {
		t.Fatal(err)
	}
	state := view(t, store, need)
	if len(state.Accounts) != manyKeys || len(state.Trades)+len(state.Codes)+len(state.TopUps) != 0 {
		t.Errorf("%d accounts", len(state.Accounts))
	}
	for _, account := range accounts {
		if state.Accounts[account.ID] != account {
			t.Fatalf("%+v, want %+v", state.Accounts[account.ID], account)
		}
	}
}
