package payment

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Errors of opening and changing accounts, for errors.Is.
var (
	ErrAccountDiffers = errors.New("payment: this account exists with other terms: change its credit line instead")
	ErrNoAccount      = errors.New("payment: no such account: open it first")
	ErrCreditLine     = errors.New("payment: a credit line is 0 or more")
	ErrCreditUsed     = errors.New("payment: more of the credit line is used than the new one allows")
)

// OpenHouse opens the books on their first accounting day, and the institution's own accounts, a part in every
// bucket. Once is enough; again does nothing.
func (p *Payment) OpenHouse(ctx context.Context, now time.Time) error {
	if err := p.openDays(ctx, p.moment(now)); err != nil {
		return err
	}
	return p.openEverywhere(ctx,
		ledger.Account{ID: OutsideAccount, Unbounded: true},
		ledger.Account{ID: GuaranteeAccount},
		ledger.Account{ID: ClaimsAccount},
		ledger.Account{ID: TransitAccount, Unbounded: true})
}

// openDays lets every bucket begin with the same day: the first one's, should midnight or a crash come between
// them.
func (p *Payment) openDays(ctx context.Context, first moment) error {
	for bucket := range p.store.Buckets() {
		state, err := p.store.View(ctx, Need{Bucket: bucket})
		if err != nil {
			return err
		}
		if state.Open == 0 {
			err = p.store.Update(ctx, Need{Bucket: bucket}, func(state State) (changes Changes, _ error) {
				if state.Open == 0 {
					changes.Close = first.day.Previous()
				}
				return changes, nil
			})
		} else if bucket == 0 {
			first.day = state.Open
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// OpenMerchant opens a merchant's accounts: a part in every bucket where rides pay into, and one that
// refunds and payouts draw on.
func (p *Payment) OpenMerchant(ctx context.Context, merchant Merchant) error {
	if err := p.openEverywhere(ctx, ledger.Account{ID: merchant.Account}); err != nil {
		return err
	}
	settled := SettledAccount(merchant.Account)
	return p.open(ctx, p.home(settled), ledger.Account{ID: settled})
}

func (p *Payment) openEverywhere(ctx context.Context, accounts ...ledger.Account) error {
	for bucket := range p.store.Buckets() {
		if err := p.open(ctx, bucket, accounts...); err != nil {
			return err
		}
	}
	return nil
}

// OpenUser opens a user's account, which may fall to minus its credit line (信用额度).
func (p *Payment) OpenUser(ctx context.Context, user ridecode.UserID, creditLineFen money.Fen) error {
	floor, err := floorOf(creditLineFen)
	if err != nil {
		return err
	}
	return p.open(ctx, p.bucket(user), ledger.Account{ID: UserAccount(user), Floor: floor})
}

func floorOf(creditLineFen money.Fen) (money.Fen, error) {
	if creditLineFen < 0 || creditLineFen > money.MaxFen {
		return 0, ErrCreditLine
	}
	return -creditLineFen, nil
}

// open opens what is not open. It looks before it writes: servers ask for the same accounts at each start.
func (p *Payment) open(ctx context.Context, bucket int, accounts ...ledger.Account) error {
	need := Need{Bucket: bucket}
	for _, account := range accounts {
		need.Accounts = append(need.Accounts, account.ID)
	}
	decide := func(state State) (changes Changes, _ error) {
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
	}
	state, err := p.store.View(ctx, need)
	if err != nil {
		return err
	}
	if changes, err := decide(state); err != nil || len(changes.Opened) == 0 {
		return err
	}
	return p.store.Update(ctx, need, decide)
}

// SetCreditLine changes how far a user's balance may fall. It cannot be less than what is used of it.
func (p *Payment) SetCreditLine(ctx context.Context, user ridecode.UserID, creditLineFen money.Fen) error {
	floor, err := floorOf(creditLineFen)
	if err != nil {
		return err
	}
	id := UserAccount(user)
	return p.store.Update(ctx, Need{Bucket: p.bucket(user), Accounts: []ledger.AccountID{id}}, func(state State) (Changes, error) {
		account, exists := state.Accounts[id]
		switch {
		case !exists:
			return Changes{}, ErrNoAccount
		case account.Balance < floor:
			return Changes{}, ErrCreditUsed
		case account.Floor == floor:
			return Changes{}, nil
		}
		return Changes{Terms: []ledger.Account{{ID: id, Floor: floor}}}, nil
	})
}

// Accounts shows accounts as they stand, each as the sum of its parts; one that does not exist is not in
// the answer.
func (p *Payment) Accounts(ctx context.Context, ids ...ledger.AccountID) (map[ledger.AccountID]ledger.Account, error) {
	parts, err := p.store.Balances(ctx, ids...)
	if err != nil {
		return nil, err
	}
	whole := make(map[ledger.AccountID]ledger.Account, len(parts))
	for id, all := range parts {
		if whole[id], err = sum(all); err != nil {
			return nil, err
		}
	}
	return whole, nil
}

// sum is an account of which these are the parts.
func sum(parts map[int]ledger.Account) (whole ledger.Account, err error) {
	for _, part := range parts {
		whole.ID, whole.Floor, whole.Unbounded = part.ID, part.Floor, part.Unbounded
		whole.Postings += part.Postings
		if whole.Balance, err = whole.Balance.Add(part.Balance); err != nil {
			return ledger.Account{}, err
		}
	}
	return whole, nil
}

// MayRide tells the code issuer whether a user qualifies for a grant (document 1 §5.5): the account
// exists, owes nothing, and is not stopped.
func (p *Payment) MayRide(ctx context.Context, user ridecode.UserID, now time.Time) (bool, error) {
	known, err := p.rider(ctx, user)
	if err != nil {
		return false, err
	}
	return known.exists && !p.stopped(known, now), nil
}

// Audit proves the books: see AuditReport.
func (p *Payment) Audit(ctx context.Context) (AuditReport, error) { return p.store.Audit(ctx) }

// bookOf is a book of all accounts that were read.
func bookOf(state State) *ledger.Book {
	return ledger.NewBook(slices.Collect(maps.Values(state.Accounts))...)
}
