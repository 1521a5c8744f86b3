package payment

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
)

// The guarantee fund (担保资金) lies in parts, one in each bucket, so that no ride waits for the whole of it.
// Riders who cannot pay are not spread evenly: parts run dry while others are full.

// levelGuarantee brings all parts to one height, after money has come into one of them.
func (p *Payment) levelGuarantee(ctx context.Context, at moment) error {
	parts, err := p.guaranteeParts(ctx)
	if err != nil {
		return err
	}
	share := total(parts) / money.Fen(len(parts))
	for bucket := range parts {
		if _, err := p.fetchGuarantee(ctx, parts, bucket, share, share, at.now); err != nil {
			return err
		}
	}
	return nil
}

// gatherGuarantee brings so much to each of these buckets, as far as there is as much, and tells whether
// anything moved.
func (p *Payment) gatherGuarantee(ctx context.Context, wanted map[int]money.Fen, at moment) (moved bool, err error) {
	parts, err := p.guaranteeParts(ctx)
	if err != nil {
		return false, err
	}
	for _, bucket := range slices.Sorted(maps.Keys(wanted)) {
		came, err := p.fetchGuarantee(ctx, parts, bucket, wanted[bucket], 0, at.now)
		if moved = moved || came; err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// fetchGuarantee fills one part up to wanted from the others, the fullest first, and leaves each of them
// at least so much. It keeps parts up to date.
func (p *Payment) fetchGuarantee(ctx context.Context, parts []money.Fen, bucket int, wanted, leave money.Fen, at time.Time) (came bool, err error) {
	for parts[bucket] < wanted {
		fullest := fullestBut(parts, bucket)
		amountFen := min(wanted-parts[bucket], parts[fullest]-leave)
		if fullest == bucket || amountFen <= 0 {
			return came, nil
		}
		moved, err := p.allot(ctx, fullest, bucket, amountFen, at)
		if err != nil {
			return came, err
		}
		if moved < amountFen { // somebody else has taken it
			parts[fullest] = 0
		} else {
			parts[fullest] -= moved
		}
		parts[bucket] += moved
		came = came || moved > 0
	}
	return came, nil
}

func fullestBut(parts []money.Fen, bucket int) int {
	fullest := bucket
	for i := range parts {
		if i != bucket && (fullest == bucket || parts[i] > parts[fullest]) {
			fullest = i
		}
	}
	return fullest
}

// allot moves money between two parts. A part that has less by now gives what it has.
func (p *Payment) allot(ctx context.Context, from, to int, amountFen money.Fen, at time.Time) (money.Fen, error) {
	amount := func(account ledger.Account) money.Fen { return min(amountFen, account.Balance) }
	return p.cross(ctx, crossing{from: from, to: to, debit: GuaranteeAccount, credit: GuaranteeAccount, amount: amount, code: CodeAllot}, at)
}

func (p *Payment) guaranteeParts(ctx context.Context) ([]money.Fen, error) {
	all, err := p.store.Balances(ctx, GuaranteeAccount)
	parts := make([]money.Fen, p.store.Buckets())
	for bucket, account := range all[GuaranteeAccount] {
		parts[bucket] = account.Balance
	}
	return parts, err
}

// total cannot wrap: all of it was paid in, each time at most money.MaxFen.
func total(parts []money.Fen) (sum money.Fen) {
	for _, part := range parts {
		sum += part
	}
	return sum
}
