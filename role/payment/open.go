package payment

import (
	"context"
	"errors"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Errors of opening and topping up, for errors.Is.
var (
	ErrAccountDiffers = errors.New("payment: this account exists with other terms")
	ErrNoAccount      = errors.New("payment: no such account: open it first")
	ErrTopUpDiffers   = errors.New("payment: this top-up number was used for another account or amount")
	ErrTopUpAmount    = errors.New("payment: a top-up is an amount above 0 and at most ten thousand million yuan")
	ErrCreditLine     = errors.New("payment: a credit line is 0 or more")
)

// OpenHouse opens the institution's own accounts. Once is enough; again does nothing.
func (p *Payment) OpenHouse(ctx context.Context) error {
	return p.open(ctx,
		ledger.Account{ID: OutsideAccount, Unbounded: true},
		ledger.Account{ID: GuaranteeAccount},
		ledger.Account{ID: ClaimsAccount})
}

// OpenMerchant opens a merchant's account.
func (p *Payment) OpenMerchant(ctx context.Context, merchant Merchant) error {
	return p.open(ctx, ledger.Account{ID: merchant.Account})
}

// OpenUser opens a user's account, which may fall to minus its credit line (信用额度).
func (p *Payment) OpenUser(ctx context.Context, user ridecode.UserID, creditLineFen money.Fen) error {
	if creditLineFen < 0 || creditLineFen > money.MaxFen {
		return ErrCreditLine
	}
	return p.open(ctx, ledger.Account{ID: UserAccount(user), Floor: -creditLineFen})
}

func (p *Payment) open(ctx context.Context, accounts ...ledger.Account) error {
	var need Need
	for _, account := range accounts {
		need.Accounts = append(need.Accounts, account.ID)
	}
	return p.store.Update(ctx, need, func(state State) (Changes, error) {
		var changes Changes
		for _, account := range accounts {
			existing, exists := state.Accounts[account.ID]
			if exists && (existing.Floor != account.Floor || existing.Unbounded != account.Unbounded) {
				return Changes{}, ErrAccountDiffers
			}
			if !exists {
				changes.Opened = append(changes.Opened, account)
			}
		}
		return changes, nil
	})
}

// TopUp brings amountFen from outside to an account: a user's (充值) or the guarantee fund's. The same
// order again does nothing; its number with another account or amount is ErrTopUpDiffers.
func (p *Payment) TopUp(ctx context.Context, order TopUp) error {
	if order.AmountFen <= 0 || order.AmountFen > money.MaxFen || order.ID == "" {
		return ErrTopUpAmount
	}
	need := Need{TopUps: []TopUpID{order.ID}, Accounts: []ledger.AccountID{OutsideAccount, order.Account}}
	return p.store.Update(ctx, need, func(state State) (Changes, error) {
		if earlier, known := state.TopUps[order.ID]; known {
			return Changes{}, sameTopUp(earlier, order)
		}
		return topUp(state, order)
	})
}

func sameTopUp(earlier, order TopUp) error {
	if earlier.Account != order.Account || earlier.AmountFen != order.AmountFen {
		return ErrTopUpDiffers
	}
	return nil
}

func topUp(state State, order TopUp) (Changes, error) {
	book := ledger.NewBook(nil)
	for _, account := range state.Accounts {
		book.Open(account)
	}
	err := book.Apply(ledger.Transfer{ID: ledger.TransferID("topup:" + order.ID), Debit: OutsideAccount, Credit: order.Account,
		AmountFen: order.AmountFen, Code: CodeTopUp, At: order.At, Reference: string(order.ID)})
	if errors.Is(err, ledger.NoCreditAccount) || errors.Is(err, ledger.NoDebitAccount) {
		return Changes{}, ErrNoAccount
	}
	if err != nil {
		return Changes{}, err
	}
	return Changes{Entries: book.Entries(), TopUps: []TopUp{order}}, nil
}

// Accounts shows accounts as they stand; one that does not exist is not in the answer.
func (p *Payment) Accounts(ctx context.Context, ids ...ledger.AccountID) (map[ledger.AccountID]ledger.Account, error) {
	state, err := p.store.View(ctx, Need{Accounts: ids})
	return state.Accounts, err
}

// MayRide tells the code issuer whether a user qualifies for a grant (document 1 §5.5): the account
// exists and owes nothing.
func (p *Payment) MayRide(ctx context.Context, user ridecode.UserID, _ time.Time) (bool, error) {
	accounts, err := p.Accounts(ctx, UserAccount(user), DebtAccount(user))
	if err != nil {
		return false, err
	}
	_, exists := accounts[UserAccount(user)]
	return exists && accounts[DebtAccount(user)].Balance == 0, nil
}

// Audit proves the books: see AuditReport.
func (p *Payment) Audit(ctx context.Context) (AuditReport, error) { return p.store.Audit(ctx) }
