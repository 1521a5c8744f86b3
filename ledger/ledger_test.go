package ledger_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
)

// With several faults, the refusal is the first of the list.
func TestRefusalsInOrder(t *testing.T) {
	accounts := []ledger.Account{{ID: "poor", Balance: 5}, {ID: "lent", Balance: 5, Floor: -10},
		{ID: "rich", Balance: math.MaxInt64}, {ID: "world", Unbounded: true, Balance: math.MinInt64 + 2}}
	cases := []struct {
		name          string
		debit, credit ledger.AccountID
		amount        money.Fen
		want          error
	}{
		{"nothing, to itself", "poor", "poor", 0, ledger.AmountNotPositive},
		{"negative", "poor", "lent", -1, ledger.AmountNotPositive},
		{"to itself, and absent", "absent", "absent", 1, ledger.SameAccount},
		{"both absent", "absent", "nowhere", 1, ledger.NoDebitAccount},
		{"credit absent, and no funds", "poor", "nowhere", 100, ledger.NoCreditAccount},
		{"no funds, and too large", "poor", "rich", 6, ledger.NotEnoughFunds},
		{"all funds", "poor", "lent", 5, nil},
		{"down to the floor", "lent", "poor", 15, nil},
		{"below the floor", "lent", "poor", 16, ledger.NotEnoughFunds},
		{"too large", "poor", "rich", 5, ledger.BalanceTooLarge},
		{"below what fits", "world", "poor", 2, ledger.NotEnoughFunds},
		{"the last that fits", "world", "poor", 1, nil},
	}
	for _, c := range cases {
		book := ledger.NewBook(accounts...)
		order := ledger.Transfer{Debit: c.debit, Credit: c.credit, AmountFen: c.amount}
		if allowed := book.Allows(order); allowed != (c.want == nil) {
			t.Errorf("%s: Allows says %v", c.name, allowed)
		}
		if err := book.Apply(order); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if c.want != nil && len(book.Transfers()) != 0 {
			t.Errorf("%s: refused, and yet posted", c.name)
		}
	}
}

// Any transfers at all: postings sum to zero, every balance is opening plus its postings, and no bounded
// account is below its floor.
func TestBooksAlwaysBalance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []ledger.AccountID{"a", "b", "c", "world"}
		opening := map[ledger.AccountID]ledger.Account{}
		var accounts []ledger.Account
		for _, name := range names {
			account := ledger.Account{ID: name, Floor: -money.Fen(rapid.Int64Range(0, 100).Draw(t, "floor")), Unbounded: name == "world"}
			account.Balance = money.Fen(rapid.Int64Range(int64(account.Floor), 1000).Draw(t, "opening"))
			opening[name] = account
			accounts = append(accounts, account)
		}
		book := ledger.NewBook(accounts...)
		for range rapid.IntRange(0, 50).Draw(t, "count") {
			_ = book.Apply(ledger.Transfer{Debit: rapid.SampledFrom(names).Draw(t, "debit"), Credit: rapid.SampledFrom(names).Draw(t, "credit"),
				AmountFen: money.Fen(rapid.Int64Range(-5, 500).Draw(t, "amount"))})
		}
		assertBalanced(t, book, opening)
	})
}

func assertBalanced(t *rapid.T, book *ledger.Book, running map[ledger.AccountID]ledger.Account) {
	var sum money.Fen
	for _, transfer := range book.Transfers() {
		for _, posting := range transfer.Postings() {
			account := running[posting.Account]
			account.Balance += posting.AmountFen
			account.Postings++
			running[posting.Account] = account
			sum += posting.AmountFen
		}
	}
	if sum != 0 {
		t.Fatalf("postings sum to %d", sum)
	}
	for id, want := range running {
		if got, _ := book.Account(id); got != want || !got.Unbounded && got.Balance < got.Floor {
			t.Fatalf("account is %+v, postings say %+v", got, want)
		}
	}
}
