package payment

import (
	"context"
	"fmt"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// knownRider is all that the books know of a user.
type knownRider struct {
	Rider
	exists  bool
	account ledger.Account
	owedFen money.Fen
}

func riderNeed(bucket int, user ridecode.UserID) Need {
	return Need{Bucket: bucket, Accounts: []ledger.AccountID{UserAccount(user), DebtAccount(user)}, Riders: []ridecode.UserID{user}}
}

func riderOf(state State, user ridecode.UserID) knownRider {
	known := knownRider{Rider: Rider{User: user}}
	if rider, there := state.Riders[user]; there {
		known.Rider = rider
	}
	known.account, known.exists = state.Accounts[UserAccount(user)]
	known.owedFen = -state.Accounts[DebtAccount(user)].Balance
	return known
}

func (p *Payment) rider(ctx context.Context, user ridecode.UserID) (knownRider, error) {
	state, err := p.store.View(ctx, riderNeed(p.bucket(user), user))
	return riderOf(state, user), err
}

// denial is why a rider is on the deny list, empty when he is not. What is kept is what has happened; what
// follows from it is the policy's, and may change.
func (p *Payment) denial(rider Rider, owedFen money.Fen, now time.Time) string {
	switch policy := p.policy; {
	case rider.Blocked != "":
		return rider.Blocked
	case owedFen > policy.Debt.DenyAboveFen:
		return fmt.Sprintf("owes more than %s", policy.Debt.DenyAboveFen)
	case owedFen > 0 && !rider.OwesSince.IsZero() && now.Sub(rider.OwesSince) >= policy.Debt.DenyAfter:
		return "owes for too long"
	case policy.Doubles.DenyAfter > 0 && rider.Doubles >= policy.Doubles.DenyAfter:
		return "codes of this rider were used twice"
	}
	return ""
}

// Denied is a rider whom gates turn away, and why.
type Denied struct {
	User    ridecode.UserID
	Reason  string
	OwedFen money.Fen
	Doubles int
}

// Denied lists the riders that belong on the deny list (黑名单) by the institution's policy, bucket by bucket.
func (p *Payment) Denied(ctx context.Context, now time.Time) (all []Denied, err error) {
	for bucket := range p.store.Buckets() {
		err := p.store.EachRider(ctx, bucket, func(rider Rider, owedFen money.Fen) error {
			if reason := p.denial(rider, owedFen, now); reason != "" {
				all = append(all, Denied{User: rider.User, Reason: reason, OwedFen: owedFen, Doubles: rider.Doubles})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Block stops a rider for a reason that support gives; an empty reason lets him ride again, and forgets
// his double codes: who was pardoned starts anew.
func (p *Payment) Block(ctx context.Context, user ridecode.UserID, reason string) error {
	return p.changeRider(ctx, user, func(rider *knownRider) error {
		rider.Blocked = reason
		if reason == "" {
			rider.Doubles = 0
		}
		return nil
	})
}

func (p *Payment) changeRider(ctx context.Context, user ridecode.UserID, change func(*knownRider) error) error {
	return p.store.Update(ctx, riderNeed(p.bucket(user), user), func(state State) (Changes, error) {
		known := riderOf(state, user)
		if !known.exists {
			return Changes{}, ErrNoAccount
		}
		if err := change(&known); err != nil {
			return Changes{}, err
		}
		return Changes{Riders: []Rider{known.Rider}}, nil
	})
}
