package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

const (
	app      payment.AppID    = "2021000000000001"
	merchant ledger.AccountID = "merchant:metro"
	house    ledger.AccountID = payment.OutsideAccount
	fund     ledger.AccountID = payment.GuaranteeAccount
	plenty   money.Fen        = 1_000_000
	fare     money.Fen        = 200
	bigBatch                  = 4096 // trades
	manyKeys                  = 70_000
)

// noon is when everything here happens: the suite has no clock.
func noon() time.Time { return time.Date(2026, 8, 6, 4, 0, 0, 123_456_000, time.UTC) }

// sale is a trade to settle: the smallest part of a payment.Trade that makes a difference to a store.
type sale struct {
	app    payment.AppID
	number payment.OutTradeNo
	no     payment.TradeNo
	user   ridecode.UserID
	amount money.Fen
	codes  []ridecode.ID
}

// newSale is the n-th sale to a user: all its numbers are its own.
func newSale(n int, user ridecode.UserID) sale {
	return sale{app: app, number: payment.OutTradeNo(fmt.Sprintf("order-%d", n)), no: tradeNo(n), user: user,
		amount: fare, codes: []ridecode.ID{codeID(n)}}
}

func tradeNo(n int) payment.TradeNo { return payment.TradeNo(fmt.Sprintf("20260806%020d", n)) }

// codeID is spread like the hashes that real ones are.
func codeID(n int) ridecode.ID {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("code"), uint64(n)))
}

func userID(n int) ridecode.UserID { return ridecode.UserID(fmt.Sprintf("2088%012d", n)) }

func (s sale) key() payment.TradeKey { return payment.TradeKey{App: s.app, OutTradeNo: s.number} }

func (s sale) trade(payer payment.Payer) payment.SettledTrade {
	content := payment.Trade{OutTradeNo: s.number, UserID: s.user, OrderTime: noon().Add(-time.Hour), Subject: "地铁 2 号线",
		AmountFen: s.amount, BizContext: `{"line":"2"}`, CardType: "ANT00001", Records: [][]byte{recordOf(s.no)}}
	return payment.SettledTrade{Key: s.key(), TradeNo: s.no, Digest: content.Digest(), Content: content,
		Codes: s.codes, SettledAt: noon(), Payer: payer}
}

// recordOf makes bytes of the size of a real record.
func recordOf(no payment.TradeNo) []byte {
	record := make([]byte, 0, 10*sha256.Size)
	for i := range 10 {
		sum := sha256.Sum256(append([]byte(no), byte(i)))
		record = append(record, sum[:]...)
	}
	return record
}

func (s sale) transfer(kind string, code ledger.Code, debit, credit ledger.AccountID) ledger.Transfer {
	return ledger.Transfer{ID: ledger.TransferID(kind + string(s.no)), Debit: debit, Credit: credit, AmountFen: s.amount,
		Code: code, At: noon(), Reference: string(s.no)}
}

func needOf(sales []sale) payment.Need {
	need := payment.Need{Accounts: []ledger.AccountID{merchant, fund, payment.ClaimsAccount}}
	for _, s := range sales {
		need.Trades = append(need.Trades, s.key())
		need.Codes = append(need.Codes, s.codes...)
		need.Accounts = append(need.Accounts, payment.UserAccount(s.user), payment.DebtAccount(s.user))
	}
	return need
}

// decideSales is what the payment institution does, without its checks of documents: a sale that was
// settled or whose code is used is passed over, the user pays or the fund does, and one that nobody
// can pay is passed over.
func decideSales(sales []sale, settled *[]payment.OutTradeNo) func(payment.State) (payment.Changes, error) {
	return func(state payment.State) (payment.Changes, error) {
		*settled = nil
		book := bookOf(state)
		var changes payment.Changes
		for _, s := range sales {
			if _, known := state.Trades[s.key()]; known || anyUsed(state, s.codes) {
				continue
			}
			payer, opened := pay(book, s)
			changes.Opened = append(changes.Opened, opened...)
			if payer == "" {
				continue
			}
			trade := s.trade(payer)
			changes.Trades = append(changes.Trades, trade)
			*settled = append(*settled, s.number)
			state.Trades[s.key()] = trade
			for _, code := range s.codes {
				state.Codes[code] = s.key()
			}
		}
		changes.Entries = book.Entries()
		return changes, nil
	}
}

func anyUsed(state payment.State, codes []ridecode.ID) bool {
	for _, code := range codes {
		if _, used := state.Codes[code]; used {
			return true
		}
	}
	return false
}

func pay(book *ledger.Book, s sale) (payment.Payer, []ledger.Account) {
	if book.Apply(s.transfer("ride:", payment.CodeRide, payment.UserAccount(s.user), merchant)) == nil {
		return payment.PaidByUser, nil
	}
	var opened []ledger.Account
	debt := s.transfer("debt:", payment.CodeDebt, payment.DebtAccount(s.user), payment.ClaimsAccount)
	if _, exists := book.Account(debt.Debit); !exists {
		opened = []ledger.Account{{ID: debt.Debit, Unbounded: true}}
		book.Open(opened[0])
	}
	if !book.Allows(debt) || book.Apply(s.transfer("guarantee:", payment.CodeGuarantee, fund, merchant)) != nil {
		return "", opened
	}
	if err := book.Apply(debt); err != nil {
		panic(err)
	}
	return payment.PaidByGuarantee, opened
}

func bookOf(state payment.State) *ledger.Book {
	book := ledger.NewBook(nil)
	for _, account := range state.Accounts {
		book.Open(account)
	}
	return book
}

// settle sends sales in one Update and tells which of them it settled.
func settle(ctx context.Context, store payment.Store, sales ...sale) (settled []payment.OutTradeNo, err error) {
	err = store.Update(ctx, needOf(sales), decideSales(sales, &settled))
	return settled, err
}

func topUpOf(id string, account ledger.AccountID, amount money.Fen) payment.TopUp {
	return payment.TopUp{ID: payment.TopUpID(id), Account: account, AmountFen: amount, At: noon()}
}

func topUpTransfer(order payment.TopUp) ledger.Transfer {
	return ledger.Transfer{ID: ledger.TransferID("topup:" + order.ID), Debit: house, Credit: order.Account,
		AmountFen: order.AmountFen, Code: payment.CodeTopUp, At: order.At, Reference: string(order.ID)}
}

func topUp(ctx context.Context, store payment.Store, orders ...payment.TopUp) error {
	need := payment.Need{Accounts: []ledger.AccountID{house}}
	for _, order := range orders {
		need.Accounts, need.TopUps = append(need.Accounts, order.Account), append(need.TopUps, order.ID)
	}
	return store.Update(ctx, need, func(state payment.State) (payment.Changes, error) {
		book := bookOf(state)
		var changes payment.Changes
		for _, order := range orders {
			if _, known := state.TopUps[order.ID]; known {
				continue
			}
			if err := book.Apply(topUpTransfer(order)); err != nil {
				return payment.Changes{}, err
			}
			changes.TopUps = append(changes.TopUps, order)
		}
		changes.Entries = book.Entries()
		return changes, nil
	})
}

// openAccounts opens those that do not exist.
func openAccounts(ctx context.Context, store payment.Store, accounts ...ledger.Account) error {
	var need payment.Need
	for _, account := range accounts {
		need.Accounts = append(need.Accounts, account.ID)
	}
	return store.Update(ctx, need, func(state payment.State) (changes payment.Changes, _ error) {
		for _, account := range accounts {
			if _, exists := state.Accounts[account.ID]; !exists {
				changes.Opened = append(changes.Opened, account)
			}
		}
		return changes, nil
	})
}

// furnish opens the institution's accounts, a merchant's, and those of users, each with plenty on it.
func furnish(ctx context.Context, store payment.Store, usersCount int) error {
	accounts := []ledger.Account{{ID: house, Unbounded: true}, {ID: fund}, {ID: payment.ClaimsAccount}, {ID: merchant}}
	orders := []payment.TopUp{topUpOf("fund", fund, plenty)}
	for n := range usersCount {
		account := ledger.Account{ID: payment.UserAccount(userID(n)), Floor: -100}
		accounts = append(accounts, account)
		orders = append(orders, topUpOf(fmt.Sprintf("first-%d", n), account.ID, plenty))
	}
	if err := openAccounts(ctx, store, accounts...); err != nil {
		return err
	}
	return topUp(ctx, store, orders...)
}

// furnished is an open store with users who have money.
func furnished(t *testing.T, open Open, usersCount int) (store payment.Store, reopen func() payment.Store) {
	t.Helper()
	store, reopen = open(t)
	if err := furnish(t.Context(), store, usersCount); err != nil {
		t.Fatal(err)
	}
	return store, reopen
}

func view(t testing.TB, store payment.Store, need payment.Need) payment.State {
	t.Helper()
	state, err := store.View(t.Context(), need)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// auditClean is the last word of every test: whatever it did, every fen is proven.
func auditClean(t testing.TB, store payment.Store) payment.AuditReport {
	t.Helper()
	report, err := store.Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range report.Faults {
		t.Errorf("audit: %s", fault)
	}
	if report.SumFen != 0 || report.Postings != 2*report.Transfers || len(report.Balances) != report.Accounts {
		t.Errorf("audit: sum %d, %d postings of %d transfers, %d balances of %d accounts",
			report.SumFen, report.Postings, report.Transfers, len(report.Balances), report.Accounts)
	}
	return report
}
