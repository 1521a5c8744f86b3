package codeissuer

import (
	"context"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// Risk (风控) says how far a user's next grant may go. A payment institution can answer it.
type Risk interface {
	// GrantBounds gives the most that a grant may allow now; a zero field bounds nothing. A user who gets none is a
	// *NotQualified.
	GrantBounds(ctx context.Context, user ridecode.UserID, now time.Time) (Terms, error)
}

// NotQualified is ErrNotQualified with what the user can be told: why, and what to do.
type NotQualified struct{ Why, Next string }

func (e *NotQualified) Error() string {
	return ErrNotQualified.Error() + ": " + e.Why + ". What to do: " + e.Next
}

// Unwrap is ErrNotQualified.
func (e *NotQualified) Unwrap() error { return ErrNotQualified }

// bound makes terms the lesser of what was agreed and what risk says.
func (i *Issuer) bound(ctx context.Context, user ridecode.UserID, terms Terms, now time.Time) (Terms, error) {
	if i.risk == nil {
		return terms, nil
	}
	most, err := i.risk.GrantBounds(ctx, user, now)
	if err != nil {
		return Terms{}, err
	}
	if most.Lasts > 0 {
		terms.Lasts = min(terms.Lasts, most.Lasts)
	}
	if most.ValidSec > 0 {
		terms.ValidSec = min(terms.ValidSec, most.ValidSec)
	}
	if most.LimitFen > 0 {
		terms.LimitFen = min(terms.LimitFen, most.LimitFen)
	}
	return terms, nil
}
