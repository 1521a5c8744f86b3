package storetest

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// The model's world is small, so that things meet.
const (
	modelUsers  = 4 // the last one has no account
	modelOrders = 14
	modelCodes  = 9
)

// model is one bucket as it should be: payment.Decide, and the plainest way to keep what it says.
type model struct {
	state  payment.BatchState
	owing  map[ridecode.UserID]bool
	trades map[payment.TradeKey]payment.SettledOrder
	topUps int
}

func newModel(users []ridecode.UserID) *model {
	m := &model{owing: map[ridecode.UserID]bool{}, trades: map[payment.TradeKey]payment.SettledOrder{}, state: payment.BatchState{Free: 1,
		Claims: map[payment.Number]payment.Claim{}, Trades: map[ledger.DocumentID]payment.SettledMark{}, Codes: map[ridecode.ID]payment.TradeKey{},
		Accounts: map[ledger.AccountID]ledger.Account{payment.GuaranteeAccount: {ID: payment.GuaranteeAccount}, payment.ClaimsAccount: {ID: payment.ClaimsAccount},
			payment.OutsideAccount: {ID: payment.OutsideAccount, Unbounded: true}, merchant: {ID: merchant}}}}
	for i, user := range users[:modelUsers-1] {
		id := payment.UserAccount(user)
		m.state.Accounts[id] = ledger.Account{ID: id, Floor: -100 * money.Fen(i)}
	}
	return m
}

func (m *model) settle(batch payment.Batch) []payment.Verdict {
	verdicts, changes := payment.Decide(m.state, batch)
	for _, claim := range changes.Claims {
		m.state.Claims[claim.Number] = claim
		m.state.Free++
	}
	for _, settled := range changes.Trades {
		m.state.Trades[settled.ID] = payment.SettledMark{Day: settled.Day, Payer: settled.Payer}
		m.trades[settled.Order.Key] = settled
		for _, code := range settled.Order.Codes {
			m.state.Codes[code] = settled.Order.Key
		}
	}
	for _, account := range changes.Opened {
		m.state.Accounts[account.ID] = account
	}
	for _, user := range changes.Owing {
		m.owing[user] = true
	}
	m.move(changes.Transfers)
	return verdicts
}

func (m *model) move(transfers []ledger.Transfer) {
	for _, transfer := range transfers {
		for _, posting := range transfer.Postings() {
			account := m.state.Accounts[posting.Account]
			account.Balance += posting.AmountFen
			account.Postings++
			m.state.Accounts[posting.Account] = account
		}
	}
}

// testAgainstDecide lets random histories run on the store and on the model, and compares answers and
// accounts after each step. Numbers of documents may differ: a store gives them out as it likes.
func testAgainstDecide(t *testing.T, open Open) {
	rapid.Check(t, func(r *rapid.T) {
		store, reopen := open(t)
		users := usersOfOneBucket(store)
		bucket := payment.BucketOf(users[0], store.Buckets())
		m := newModel(users)
		var accounts []ledger.Account
		for _, account := range m.state.Accounts {
			accounts = append(accounts, account)
		}
		must(r, openAccounts(t.Context(), store, bucket, accounts...))
		r.Repeat(map[string]func(*rapid.T){
			"settle": func(r *rapid.T) {
				batch := payment.Batch{Bucket: bucket, Day: today, Now: noon(), Orders: drawOrders(r, users)}
				got, err := store.Settle(t.Context(), batch)
				must(r, err)
				m.compareVerdicts(r, batch, got)
			},
			"top up": func(r *rapid.T) { m.topUp(r, t, store, bucket, users) },
			"reopen": func(*rapid.T) { store = reopen() },
			"":       func(r *rapid.T) { m.compare(r, t, store, bucket) },
		})
		m.compareAudit(r, t, store)
	})
}

func must(r *rapid.T, err error) {
	if err != nil {
		r.Fatal(err)
	}
}

// usersOfOneBucket finds the model's users, who meet.
func usersOfOneBucket(store payment.Store) (users []ridecode.UserID) {
	for n := 0; len(users) < modelUsers; n++ {
		if bucketOf(store, n) == bucketOf(store, 0) {
			users = append(users, userID(n))
		}
	}
	return users
}

// drawOrders draws a batch in which no number and no code stands twice.
func drawOrders(r *rapid.T, users []ridecode.UserID) (orders []payment.Order) {
	numbers := rapid.SliceOfNDistinct(rapid.IntRange(0, modelOrders-1), 1, 6, rapid.ID[int]).Draw(r, "numbers")
	codes := rapid.Permutation(rangeOf(modelCodes)).Draw(r, "codes")
	for _, n := range numbers {
		trade := tradeOf(n, users[rapid.IntRange(0, modelUsers-1).Draw(r, "user")])
		trade.AmountFen = rapid.SampledFrom([]money.Fen{100, 100, 100, 150, 333}).Draw(r, "amount")
		count := min(rapid.IntRange(1, 2).Draw(r, "count"), len(codes))
		if count == 0 {
			break
		}
		orders, codes = append(orders, orderOf(trade, codes[:count]...)), codes[count:]
	}
	return orders
}

func rangeOf(count int) []int {
	all := make([]int, count)
	for i := range all {
		all[i] = i
	}
	return all
}

func (m *model) compareVerdicts(r *rapid.T, batch payment.Batch, got []payment.Verdict) {
	want := m.settle(batch)
	if len(got) != len(want) {
		r.Fatalf("%d verdicts, want %d", len(got), len(want))
	}
	for i := range want {
		if (got[i].TradeNo == "") != (want[i].TradeNo == "") {
			r.Fatalf("order %d: %+v, want %+v", i, got[i], want[i])
		}
		got[i].TradeNo, want[i].TradeNo = "", ""
		if got[i] != want[i] {
			r.Fatalf("order %d of %s: %+v, want %+v", i, batch.Orders[i].User, got[i], want[i])
		}
	}
}

func (m *model) topUp(r *rapid.T, t *testing.T, store payment.Store, bucket int, users []ridecode.UserID) {
	account := rapid.SampledFrom([]ledger.AccountID{payment.GuaranteeAccount, payment.UserAccount(users[0]), payment.UserAccount(users[1])}).Draw(r, "account")
	amount := money.Fen(rapid.Int64Range(1, 500).Draw(r, "amount"))
	m.topUps++
	must(r, post(t.Context(), store, bucket, fmt.Sprint("top-up ", m.topUps), move{codeTopUp, payment.OutsideAccount, account, amount}))
	m.move([]ledger.Transfer{{Debit: payment.OutsideAccount, Credit: account, AmountFen: amount}})
}

func (m *model) compare(r *rapid.T, t *testing.T, store payment.Store, bucket int) {
	need := payment.Need{Bucket: bucket}
	for id := range m.state.Accounts {
		need.Accounts = append(need.Accounts, id)
	}
	for user := range m.owing {
		need.Riders = append(need.Riders, user)
	}
	state, err := store.View(t.Context(), need)
	must(r, err)
	if !reflect.DeepEqual(state.Accounts, m.state.Accounts) {
		r.Fatalf("accounts\n%+v, want\n%+v", state.Accounts, m.state.Accounts)
	}
	for user := range m.owing {
		if !state.Riders[user].OwesSince.Equal(noon()) {
			r.Fatalf("%s owes since %v", user, state.Riders[user].OwesSince)
		}
	}
}

func (m *model) compareAudit(r *rapid.T, t *testing.T, store payment.Store) {
	report, err := store.Audit(t.Context())
	must(r, err)
	if len(report.Faults) > 0 {
		r.Fatalf("faults: %q", report.Faults)
	}
	orphans := len(m.state.Claims) - len(m.trades)
	if report.Trades != len(m.trades) || report.Codes != len(m.state.Codes) || report.Claims != len(m.state.Claims) || report.Orphans != orphans || report.Documents != m.topUps {
		r.Fatalf("%+v; want %d trades, %d codes, %d claims, %d orphans, %d documents", report, len(m.trades), len(m.state.Codes), len(m.state.Claims), orphans, m.topUps)
	}
}
