package payment

import (
	"context"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// CheckPassword tells whether a password is the user's (支付密码), for whoever lets him in: ErrPassword, or
// ErrPasswordLocked after some wrong ones, for a while. It says the same, and takes as long, for a user who does
// not exist: nobody learns here who does.
func (p *Payment) CheckPassword(ctx context.Context, user ridecode.UserID, password string, now time.Time) error {
	now = storedTime(now)
	known, err := p.rider(ctx, user)
	if err != nil {
		return err
	}
	if p.isLocked(known.Rider, now) {
		return ErrPasswordLocked
	}
	sealed := known.Password
	if len(sealed) == 0 {
		sealed = make([]byte, saltSize+passwordKeySize)
	}
	right := checkPassword(sealed, password) && len(known.Password) > 0 // slow on purpose: outside the transaction
	if !known.exists {
		return ErrPassword
	}
	return p.countPassword(ctx, user, right, now)
}

func (p *Payment) isLocked(rider Rider, now time.Time) bool {
	policy := p.policy.Online
	return rider.Failures >= policy.PasswordTries && now.Sub(rider.FailedAt) < policy.PasswordWait
}

// countPassword counts wrong ones, also those that came at the same time.
func (p *Payment) countPassword(ctx context.Context, user ridecode.UserID, right bool, now time.Time) error {
	var refused error
	err := p.store.Update(ctx, riderNeed(p.bucket(user), user), func(state State) (Changes, error) {
		known := riderOf(state, user)
		refused = nil
		switch {
		case p.isLocked(known.Rider, now):
			refused = ErrPasswordLocked
			return Changes{}, nil
		case right && known.Failures == 0:
			return Changes{}, nil
		case right:
			known.Failures, known.FailedAt = 0, time.Time{}
		default:
			refused = ErrPassword
			known.Failures, known.FailedAt = known.Failures+1, now
		}
		return Changes{Riders: []Rider{known.Rider}}, nil
	})
	if err != nil {
		return err
	}
	return refused
}
