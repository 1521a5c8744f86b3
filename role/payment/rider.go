package payment

import (
	"context"
	"slices"
	"strings"
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

	findings []Finding
	pardons  []Pardon
}

func riderNeed(bucket int, user ridecode.UserID) Need {
	return ridersNeed(bucket, user)
}

func ridersNeed(bucket int, users ...ridecode.UserID) Need {
	need := Need{Bucket: bucket, Riders: users}
	from, to := riskEver()
	for _, user := range users {
		need.Accounts = append(need.Accounts, UserAccount(user), DebtAccount(user))
		for _, kind := range []RiskKind{RiskFinding, RiskAppeal} {
			need.Risk = append(need.Risk, RiskNeed{User: user, Kind: kind, From: from, To: to, Limit: findingsMax})
		}
	}
	return need
}

func riderOf(state State, user ridecode.UserID) knownRider {
	known := knownRider{Rider: Rider{User: user}}
	if rider, there := state.Riders[user]; there {
		known.Rider = rider
	}
	known.account, known.exists = state.Accounts[UserAccount(user)]
	known.owedFen = -state.Accounts[DebtAccount(user)].Balance
	known.findings, known.pardons = findingsOf(state.Risk[user]), pardonsOf(state.Risk[user])
	return known
}

func (p *Payment) rider(ctx context.Context, user ridecode.UserID) (knownRider, error) {
	state, err := p.store.View(ctx, riderNeed(p.bucket(user), user))
	return riderOf(state, user), err
}

// stopped tells whether a rider gets no grant now, and no online trade.
func (p *Payment) stopped(known knownRider, now time.Time) bool {
	return p.policy.judge(known, p.policy.Risk.New.Rides, now).Outcome.rank() >= RiskNoGrant.rank()
}

// Denied is a rider whom gates turn away, and why.
type Denied struct {
	User    ridecode.UserID
	Reason  string
	Rules   []RiskRule // that say so
	OwedFen money.Fen
	Doubles int
}

// denied is a rider on the deny list, if he belongs there.
func (p *Payment) denied(known knownRider, now time.Time) (d Denied, is bool) {
	d = Denied{User: known.User, OwedFen: known.owedFen, Doubles: known.Doubles}
	var why []string
	for _, reason := range p.policy.judge(known, p.policy.Risk.New.Rides, now).Reasons {
		if reason.Outcome == RiskDeny {
			d.Rules, why = append(d.Rules, reason.Rule), append(why, reason.Why)
		}
	}
	d.Reason = strings.Join(why, "; ")
	return d, len(why) > 0
}

// Denied lists the riders that belong on the deny list (黑名单) by the institution's policy, bucket by bucket.
func (p *Payment) Denied(ctx context.Context, now time.Time) (all []Denied, err error) {
	for bucket := range p.store.Buckets() {
		of, err := p.deniedIn(ctx, bucket, now)
		if err != nil {
			return nil, err
		}
		all = append(all, of...)
	}
	return all, nil
}

// deniedIn looks at the few of whom something was found, and at all others of whom something is known.
func (p *Payment) deniedIn(ctx context.Context, bucket int, now time.Time) (all []Denied, err error) {
	found := map[ridecode.UserID]bool{}
	err = p.eachFound(ctx, bucket, func(known knownRider) error {
		found[known.User] = true
		if d, is := p.denied(known, now); is {
			all = append(all, d)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = p.store.EachRider(ctx, bucket, func(rider Rider, owedFen money.Fen) error {
		if d, is := p.denied(knownRider{Rider: rider, owedFen: owedFen}, now); is && !found[rider.User] {
			all = append(all, d)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b Denied) int { return strings.Compare(string(a.User), string(b.User)) })
	return all, err
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
