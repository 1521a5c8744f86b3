// Package ledger is double entry (复式记账) as a deterministic machine: accounts, transfers, and the postings
// that transfers leave. It knows only money: no riders, no codes, no clock, no database.
//
// Every transfer takes from one account what it gives to another, so the sum of all postings is
// always zero. Nothing is ever changed or taken back: a correction is a new transfer.
package ledger

import (
	"fmt"
	"math"
	"time"

	"github.com/shuama/shuama/money"
)

// AccountID names an account, as "user:2088…" or "merchant:…". What stands before the colon is the
// caller's: the ledger does not read it.
type AccountID string

// DocumentID numbers what moves money in a book: a trade, a top-up, a payout. The caller gives each number
// once, and the same for the same order: that is what makes a repeated order harmless.
type DocumentID int64

// TransferID names a transfer: the Leg-th of its document, from 0.
type TransferID struct {
	Document DocumentID
	Leg      uint8
}

// Code says why money moved. Numbers are never given anew; callers define theirs from 1.
type Code uint16

// Account is one account's state. Balance is what stands to its credit: all its postings.
type Account struct {
	ID        AccountID
	Balance   money.Fen
	Floor     money.Fen // the lowest balance allowed: 0, or minus a credit line; not read when Unbounded
	Unbounded bool      // no floor: accounts of the institution itself that stand for the world outside
	Postings  int64     // how many there are, so that a lost one is noticed
}

// Transfer orders that AmountFen leave the account Debit and arrive on Credit.
type Transfer struct {
	ID        TransferID
	Debit     AccountID
	Credit    AccountID
	AmountFen money.Fen
	Code      Code
	Day       Day       // in whose statement it stands
	At        time.Time // when it was ordered, UTC
}

// Posting is one leg of a transfer as it stands in an account.
type Posting struct {
	Transfer  TransferID
	Account   AccountID
	AmountFen money.Fen // negative on the debit side
}

// Postings is the transfer's two legs. That they sum to zero is not checked anywhere, because they cannot
// do otherwise.
func (t Transfer) Postings() [2]Posting {
	return [2]Posting{{t.ID, t.Debit, -t.AmountFen}, {t.ID, t.Credit, t.AmountFen}}
}

// Refusal says why a transfer was not applied. With several faults it is the first of this list.
type Refusal int

// The refusals, in order of precedence.
const (
	AmountNotPositive Refusal = iota + 1
	SameAccount
	NoDebitAccount
	NoCreditAccount
	NotEnoughFunds // the debit account would fall below its floor
	BalanceTooLarge
)

func (r Refusal) Error() string {
	names := [...]string{AmountNotPositive: "the amount is not positive", SameAccount: "debit and credit are one account",
		NoDebitAccount: "the debit account does not exist", NoCreditAccount: "the credit account does not exist",
		NotEnoughFunds: "not enough funds", BalanceTooLarge: "a balance would not fit into an amount"}
	if r < 1 || int(r) >= len(names) {
		return fmt.Sprintf("ledger: refusal %d", int(r))
	}
	return "ledger: " + names[r]
}

// Book is the accounts that one transaction touches, and what it has done to them so far.
type Book struct {
	accounts  map[AccountID]*Account
	transfers []Transfer
}

// NewBook opens a book on these accounts. It keeps copies.
func NewBook(accounts ...Account) *Book {
	b := &Book{accounts: make(map[AccountID]*Account, len(accounts))}
	for _, account := range accounts {
		b.Open(account)
	}
	return b
}

// Open puts an account into the book, unless it is there already.
func (b *Book) Open(account Account) {
	if _, present := b.accounts[account.ID]; !present {
		b.accounts[account.ID] = &account
	}
}

// Account shows an account as it is now.
func (b *Book) Account(id AccountID) (Account, bool) {
	if account, present := b.accounts[id]; present {
		return *account, true
	}
	return Account{}, false
}

// Available is how much may leave an account: its balance down to its floor. Nothing leaves an account
// that does not exist.
func (b *Book) Available(id AccountID) money.Fen {
	account, present := b.accounts[id]
	switch {
	case !present:
		return 0
	case account.Unbounded:
		return money.MaxFen
	}
	return account.Balance - account.Floor
}

// Transfers is what was applied, in order.
func (b *Book) Transfers() []Transfer { return b.transfers }

// Apply moves the money, or refuses with a Refusal and leaves the book as it was.
func (b *Book) Apply(t Transfer) error {
	debit, credit, err := b.check(t)
	if err != nil {
		return err
	}
	b.transfers = append(b.transfers, t)
	debit.post(-t.AmountFen)
	credit.post(t.AmountFen)
	return nil
}

// Allows tells whether Apply would move the money.
func (b *Book) Allows(t Transfer) bool {
	_, _, err := b.check(t)
	return err == nil
}

func (b *Book) check(t Transfer) (debit, credit *Account, err error) {
	if t.AmountFen <= 0 {
		return nil, nil, AmountNotPositive
	}
	if t.Debit == t.Credit {
		return nil, nil, SameAccount
	}
	debit, credit = b.accounts[t.Debit], b.accounts[t.Credit]
	switch {
	case debit == nil:
		return nil, nil, NoDebitAccount
	case credit == nil:
		return nil, nil, NoCreditAccount
	case !debit.covers(t.AmountFen):
		return nil, nil, NotEnoughFunds
	}
	if _, err := credit.Balance.Add(t.AmountFen); err != nil {
		return nil, nil, BalanceTooLarge
	}
	return debit, credit, nil
}

func (a *Account) covers(amountFen money.Fen) bool {
	after, err := a.Balance.Add(-amountFen)
	if err != nil || after == math.MinInt64 {
		return false
	}
	return a.Unbounded || after >= a.Floor
}

func (a *Account) post(amountFen money.Fen) {
	a.Balance += amountFen // check has seen that it fits
	a.Postings++
}
