package postgres

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

const (
	ridesOfEach = 30
	ridersBroke = 3
	rideFare    = money.Fen(5)
)

// Riders who cannot pay are paid for out of the fund, which all settlements share, by many at once and in
// the same moment as riders who can. Each rider's first debt opens an account that the others have found
// missing.
func TestGuaranteeTogether(t *testing.T) {
	c := commonCluster(t)
	books := openURL(t, c.url(c.emptyBooks(t))).Payment()
	furnishRiders(t, books)
	var wait sync.WaitGroup
	var decided atomic.Int64
	for worker := range 6 {
		wait.Go(func() {
			for n := range ridesOfEach {
				rider := fmt.Sprintf("broke-%d", n%ridersBroke)
				if n%2 == worker%2 {
					rider = "rich"
				}
				if err := ride(t.Context(), books, ridecode.UserID(rider), worker, n, &decided); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	report := auditClean(t, books)
	want := map[ledger.AccountID]money.Fen{"merchant:metro": 6 * ridesOfEach * rideFare, "user:rich": 10_000 - 3*ridesOfEach*rideFare,
		payment.GuaranteeAccount: 10_000 - 3*ridesOfEach*rideFare, payment.ClaimsAccount: 3 * ridesOfEach * rideFare}
	for _, account := range report.Balances {
		if balance, known := want[account.ID]; known && account.Balance != balance {
			t.Errorf("%s has %d fen, want %d", account.ID, account.Balance, balance)
		}
	}
	if len(report.Balances) != 5+2*ridersBroke {
		t.Errorf("%d accounts", len(report.Balances))
	}
	t.Logf("%d rides took %d decisions", 6*ridesOfEach, decided.Load())
}

func furnishRiders(t *testing.T, books payment.Store) {
	t.Helper()
	opened := []ledger.Account{{ID: payment.OutsideAccount, Unbounded: true}, {ID: payment.GuaranteeAccount}, {ID: payment.ClaimsAccount},
		{ID: "merchant:metro"}, {ID: "user:rich"}}
	for n := range ridersBroke {
		opened = append(opened, ledger.Account{ID: ledger.AccountID(fmt.Sprintf("user:broke-%d", n))})
	}
	update(t, books, payment.Need{}, func(payment.State) (payment.Changes, error) { return payment.Changes{Opened: opened}, nil })
	for _, account := range []ledger.AccountID{payment.GuaranteeAccount, "user:rich"} {
		order := payment.TopUp{ID: payment.TopUpID(account), Account: account, AmountFen: 10_000, At: time.Unix(1_800_000_000, 0)}
		update(t, books, payment.Need{Accounts: []ledger.AccountID{payment.OutsideAccount, account}}, func(state payment.State) (payment.Changes, error) {
			book := bookOf(state)
			err := book.Apply(ledger.Transfer{ID: ledger.TransferID("topup:" + order.ID), Debit: payment.OutsideAccount, Credit: account,
				AmountFen: order.AmountFen, Code: payment.CodeTopUp, At: order.At, Reference: string(order.ID)})
			return payment.Changes{Entries: book.Entries(), TopUps: []payment.TopUp{order}}, err
		})
	}
}

func update(t *testing.T, books payment.Store, need payment.Need, decide func(payment.State) (payment.Changes, error)) {
	t.Helper()
	if err := books.Update(t.Context(), need, decide); err != nil {
		t.Fatal(err)
	}
}

func bookOf(state payment.State) *ledger.Book {
	book := ledger.NewBook(nil)
	for _, account := range state.Accounts {
		book.Open(account)
	}
	return book
}

// ride settles one trade as payment does: by the user, or by the fund with a debt.
func ride(ctx context.Context, books payment.Store, user ridecode.UserID, worker, n int, decided *atomic.Int64) error {
	content := payment.Trade{OutTradeNo: payment.OutTradeNo(fmt.Sprintf("ride-%d-%d", worker, n)), UserID: user, AmountFen: rideFare}
	trade := payment.SettledTrade{Key: payment.TradeKey{App: "1", OutTradeNo: content.OutTradeNo}, Content: content, Digest: content.Digest(),
		TradeNo: payment.TradeNo(fmt.Sprintf("%028d", 1000*worker+n)), Codes: []ridecode.ID{sha256.Sum256([]byte(content.OutTradeNo))},
		SettledAt: time.Unix(1_800_000_000, 0), Payer: payment.PaidByUser}
	need := payment.Need{Trades: []payment.TradeKey{trade.Key}, Codes: trade.Codes, Accounts: []ledger.AccountID{"merchant:metro",
		payment.GuaranteeAccount, payment.ClaimsAccount, payment.UserAccount(user), payment.DebtAccount(user)}}
	return books.Update(ctx, need, func(state payment.State) (changes payment.Changes, err error) {
		decided.Add(1)
		book := bookOf(state)
		apply := func(kind string, code ledger.Code, debit, credit ledger.AccountID) error {
			return book.Apply(ledger.Transfer{ID: ledger.TransferID(kind + string(trade.TradeNo)), Debit: debit, Credit: credit,
				AmountFen: rideFare, Code: code, At: trade.SettledAt, Reference: string(trade.TradeNo)})
		}
		settled := trade
		if apply("ride:", payment.CodeRide, payment.UserAccount(user), "merchant:metro") != nil {
			settled.Payer = payment.PaidByGuarantee
			if _, exists := state.Accounts[payment.DebtAccount(user)]; !exists {
				changes.Opened = []ledger.Account{{ID: payment.DebtAccount(user), Unbounded: true}}
				book.Open(changes.Opened[0])
			}
			err = apply("guarantee:", payment.CodeGuarantee, payment.GuaranteeAccount, "merchant:metro")
			if err == nil {
				err = apply("debt:", payment.CodeDebt, payment.DebtAccount(user), payment.ClaimsAccount)
			}
		}
		changes.Trades, changes.Entries = []payment.SettledTrade{settled}, book.Entries()
		return changes, err
	})
}

// An update that read an account as missing, while another opened it, is decided again: also when it
// writes nothing about that account.
func TestOpenedMeanwhile(t *testing.T) {
	c := commonCluster(t)
	name := c.emptyBooks(t)
	books := openURL(t, c.url(name)).Payment()
	furnishRiders(t, books)
	deciding, opened := make(chan struct{}), make(chan struct{})
	go func() {
		<-deciding
		err := books.Update(t.Context(), payment.Need{}, func(payment.State) (payment.Changes, error) {
			return payment.Changes{Opened: []ledger.Account{{ID: "user:late"}}}, nil
		})
		if err != nil {
			t.Error(err)
		}
		close(opened)
	}()
	found := []bool{}
	update(t, books, payment.Need{Accounts: []ledger.AccountID{"user:late", "user:rich"}}, func(state payment.State) (payment.Changes, error) {
		_, exists := state.Accounts["user:late"]
		found = append(found, exists)
		if len(found) == 1 {
			close(deciding)
			<-opened
		}
		return payment.Changes{}, nil
	})
	if len(found) != 2 || found[0] || !found[1] {
		t.Errorf("decided on %v: once without the account, and once with it", found)
	}
}
