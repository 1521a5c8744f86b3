package storetest

import (
	"fmt"
	"reflect"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// The model's world is small, so that things meet.
const (
	modelUsers  = 3
	modelOrders = 12
	modelCodes  = 8
	modelTopUps = 6
)

// model is what the books should hold: the plainest way to keep them.
type model struct {
	trades   map[payment.TradeKey]payment.SettledTrade
	codes    map[ridecode.ID]payment.TradeKey
	accounts map[ledger.AccountID]ledger.Account
	topUps   map[payment.TopUpID]payment.TopUp
	entries  int
}

// state is all of it, as a decision may see it.
func (m *model) state() payment.State {
	state := payment.State{Trades: map[payment.TradeKey]payment.SettledTrade{}, Codes: map[ridecode.ID]payment.TradeKey{},
		Accounts: map[ledger.AccountID]ledger.Account{}, TopUps: map[payment.TopUpID]payment.TopUp{}}
	for key, trade := range m.trades {
		state.Trades[key] = trade
	}
	for code, key := range m.codes {
		state.Codes[code] = key
	}
	for id, account := range m.accounts {
		state.Accounts[id] = account
	}
	for id, order := range m.topUps {
		state.TopUps[id] = order
	}
	return state
}

func (m *model) apply(changes payment.Changes) {
	for _, account := range changes.Opened {
		m.accounts[account.ID] = account
	}
	for _, entry := range changes.Entries {
		m.post(entry.Debit)
		m.post(entry.Credit)
		m.entries++
	}
	for _, trade := range changes.Trades {
		m.trades[trade.Key] = trade
		for _, code := range trade.Codes {
			m.codes[code] = trade.Key
		}
	}
	for _, order := range changes.TopUps {
		m.topUps[order.ID] = order
	}
}

func (m *model) post(posting ledger.Posting) {
	account := m.accounts[posting.Account]
	account.Balance += posting.AmountFen
	account.Postings++
	m.accounts[posting.Account] = account
}

// needAll names everything that the model's world could hold.
func needAll() payment.Need {
	need := payment.Need{Accounts: []ledger.AccountID{house, fund, payment.ClaimsAccount, merchant}}
	for n := range modelUsers {
		need.Accounts = append(need.Accounts, payment.UserAccount(userID(n)), payment.DebtAccount(userID(n)))
	}
	for n := range modelOrders {
		need.Trades = append(need.Trades, newSale(n, "").key())
	}
	for n := range modelCodes {
		need.Codes = append(need.Codes, codeID(n))
	}
	for n := range modelTopUps {
		need.TopUps = append(need.TopUps, payment.TopUpID(fmt.Sprint(n)))
	}
	return need
}

// testAgainstModel lets random histories run on the store and on the model, and compares all of it
// after each step.
func testAgainstModel(t *testing.T, open Open) {
	rapid.Check(t, func(r *rapid.T) {
		store, reopen := open(t)
		m := &model{trades: map[payment.TradeKey]payment.SettledTrade{}, codes: map[ridecode.ID]payment.TradeKey{},
			accounts: map[ledger.AccountID]ledger.Account{}, topUps: map[payment.TopUpID]payment.TopUp{}}
		must(r, m.update(t, store, needAll(), openHouse))
		r.Repeat(map[string]func(*rapid.T){
			"settle": func(r *rapid.T) { must(r, m.settle(t, store, drawSales(r))) },
			"top up": func(r *rapid.T) { must(r, m.topUp(t, store, drawTopUp(r))) },
			"fail": func(r *rapid.T) {
				err := store.Update(t.Context(), needAll(), func(payment.State) (payment.Changes, error) { return payment.Changes{}, errDecide })
				if err == nil {
					r.Fatal("the error of decide was lost")
				}
			},
			"reopen": func(*rapid.T) { store = reopen() },
			"":       func(r *rapid.T) { m.compare(r, t, store) },
		})
		m.compareAudit(r, t, store)
	})
}

func must(r *rapid.T, err error) {
	if err != nil {
		r.Fatal(err)
	}
}

func openHouse(payment.State) (payment.Changes, error) {
	opened := []ledger.Account{{ID: house, Unbounded: true}, {ID: fund}, {ID: payment.ClaimsAccount}, {ID: merchant}}
	for n := range modelUsers {
		opened = append(opened, ledger.Account{ID: payment.UserAccount(userID(n)), Floor: -100 * money.Fen(n)})
	}
	return payment.Changes{Opened: opened}, nil
}

// update decides once for both. The model takes what the store has acknowledged.
func (m *model) update(t *testing.T, store payment.Store, need payment.Need, decide func(payment.State) (payment.Changes, error)) error {
	var changes payment.Changes
	err := store.Update(t.Context(), need, func(state payment.State) (_ payment.Changes, err error) {
		changes, err = decide(state)
		return changes, err
	})
	if err == nil {
		m.apply(changes)
	}
	return err
}

func (m *model) settle(t *testing.T, store payment.Store, sales []sale) error {
	var want, got []payment.OutTradeNo
	if _, err := decideSales(sales, &want)(m.state()); err != nil {
		return err
	}
	if err := m.update(t, store, needOf(sales), decideSales(sales, &got)); err != nil {
		return err
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("settled %v, want %v", got, want)
	}
	return nil
}

func (m *model) topUp(t *testing.T, store payment.Store, order payment.TopUp) error {
	need := payment.Need{Accounts: []ledger.AccountID{house, order.Account}, TopUps: []payment.TopUpID{order.ID}}
	return m.update(t, store, need, func(state payment.State) (payment.Changes, error) {
		if _, known := state.TopUps[order.ID]; known {
			return payment.Changes{}, nil
		}
		book := bookOf(state)
		err := book.Apply(topUpTransfer(order))
		return payment.Changes{Entries: book.Entries(), TopUps: []payment.TopUp{order}}, err
	})
}

func drawSales(r *rapid.T) []sale {
	return rapid.SliceOfN(rapid.Custom(drawSale), 1, 5).Draw(r, "sales")
}

func drawSale(r *rapid.T) sale {
	s := newSale(rapid.IntRange(0, modelOrders-1).Draw(r, "order"), userID(rapid.IntRange(0, modelUsers-1).Draw(r, "user")))
	s.amount = money.Fen(rapid.Int64Range(1, 400).Draw(r, "amount"))
	numbers := rapid.SliceOfNDistinct(rapid.IntRange(0, modelCodes-1), 1, 3, rapid.ID[int]).Draw(r, "codes")
	s.codes = nil
	for _, n := range numbers {
		s.codes = append(s.codes, codeID(n))
	}
	return s
}

func drawTopUp(r *rapid.T) payment.TopUp {
	account := rapid.SampledFrom([]ledger.AccountID{fund, payment.UserAccount(userID(0)), payment.UserAccount(userID(1)),
		payment.UserAccount(userID(2))}).Draw(r, "account")
	return topUpOf(fmt.Sprint(rapid.IntRange(0, modelTopUps-1).Draw(r, "top-up")), account, money.Fen(rapid.Int64Range(1, 1000).Draw(r, "amount")))
}

func (m *model) compare(r *rapid.T, t *testing.T, store payment.Store) {
	got, want := view(t, store, needAll()), m.state()
	if !reflect.DeepEqual(got.Accounts, want.Accounts) {
		r.Fatalf("accounts\n%+v, want\n%+v", got.Accounts, want.Accounts)
	}
	if !reflect.DeepEqual(got.Codes, want.Codes) {
		r.Fatalf("codes\n%v, want\n%v", got.Codes, want.Codes)
	}
	if !reflect.DeepEqual(got.TopUps, want.TopUps) {
		r.Fatalf("top-ups\n%+v, want\n%+v", got.TopUps, want.TopUps)
	}
	if len(got.Trades) != len(want.Trades) {
		r.Fatalf("%d trades, want %d", len(got.Trades), len(want.Trades))
	}
	for key, trade := range want.Trades {
		if !equalTrades(got.Trades[key], trade) {
			r.Fatalf("trade\n%s, want\n%s", describe(got.Trades[key]), describe(trade))
		}
	}
}

func (m *model) compareAudit(r *rapid.T, t *testing.T, store payment.Store) {
	report, err := store.Audit(t.Context())
	must(r, err)
	if len(report.Faults) > 0 {
		r.Fatalf("faults: %q", report.Faults)
	}
	var want []ledger.Account
	for _, account := range m.accounts {
		want = append(want, account)
	}
	for _, accounts := range [][]ledger.Account{want, report.Balances} {
		sort.Slice(accounts, func(i, j int) bool { return accounts[i].ID < accounts[j].ID })
	}
	if !reflect.DeepEqual(report.Balances, want) {
		r.Fatalf("balances\n%+v, want\n%+v", report.Balances, want)
	}
	if report.Transfers != m.entries || report.Trades != len(m.trades) || report.Codes != len(m.codes) {
		r.Fatalf("%d transfers, %d trades, %d codes; want %d, %d, %d",
			report.Transfers, report.Trades, report.Codes, m.entries, len(m.trades), len(m.codes))
	}
}
