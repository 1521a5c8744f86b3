package reconcile

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/merchant"
)

const (
	reasonSizeMax = 256 // bytes
	personSizeMax = 64
)

// Differences lists differences with their histories, by number; all of them, or those that are not resolved.
// After an error nothing follows.
func (r *Reconciler) Differences(ctx context.Context, all bool) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		for after := int64(0); ; {
			page, err := r.store.Differences(ctx, all, after, pageSize)
			if err != nil {
				yield(Difference{}, fmt.Errorf("reconcile: list: %w", err))
				return
			}
			for _, difference := range page {
				if after = difference.No; !yield(difference, nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
		}
	}
}

// UnbilledRefunds lists the refunds that riders are owed as far as bills tell: named here, and in no bill. After an
// error nothing follows.
func (r *Reconciler) UnbilledRefunds(ctx context.Context) iter.Seq2[merchant.Refund, error] {
	return func(yield func(merchant.Refund, error) bool) {
		for after := ""; ; {
			page, err := r.store.UnbilledRefunds(ctx, after, pageSize)
			if err != nil {
				yield(merchant.Refund{}, fmt.Errorf("reconcile: list: %w", err))
				return
			}
			for _, refund := range page {
				if after = refund.Number; !yield(refund, nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
		}
	}
}

// Resolve closes a difference by the word of a person. The sums go on to name it; it does not open again as long
// as it is the same. ErrUnknown, ErrResolved.
func (r *Reconciler) Resolve(ctx context.Context, no int64, person, reason string, now time.Time) (Difference, error) {
	if err := errors.Join(checkText("reason", reason, reasonSizeMax), checkText("person", person, personSizeMax)); err != nil {
		return Difference{}, err
	}
	found, err := r.difference(ctx, no)
	if err != nil {
		return Difference{}, err
	}
	err = r.store.Update(ctx, []openapi.OutTradeNo{found.OutTradeNo}, func(facts []Facts) ([]Move, error) {
		for _, difference := range facts[0].Differences {
			if difference.No == no && difference.State == Resolved {
				return nil, ErrResolved
			}
		}
		return []Move{{found.Content, Step{At: now, State: Resolved, Person: person, Reason: reason}}}, nil
	})
	if err != nil {
		return Difference{}, fmt.Errorf("difference %d: %w", no, err)
	}
	return r.difference(ctx, no)
}

func (r *Reconciler) difference(ctx context.Context, no int64) (Difference, error) {
	page, err := r.store.Differences(ctx, true, no-1, 1)
	if err != nil {
		return Difference{}, err
	}
	if len(page) == 0 || page[0].No != no {
		return Difference{}, fmt.Errorf("difference %d: %w", no, ErrUnknown)
	}
	return page[0], nil
}

func checkText(what, text string, sizeMax int) error {
	if strings.TrimSpace(text) == "" || len(text) > sizeMax || !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return fmt.Errorf("reconcile: %s: not 1 to %d bytes of printable text", what, sizeMax)
	}
	return nil
}
