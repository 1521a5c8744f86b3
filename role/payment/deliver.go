package payment

import (
	"context"
	"fmt"
	"time"

	"github.com/shuama/shuama/ledger"
)

// Recipient is whom a notice is brought to.
type Recipient string

// The recipients.
const (
	ToMerchant Recipient = "merchant" // the app that it names
	ToRider    Recipient = "rider"    // whoever keeps the riders' wallets
)

// Delivery is a notice on its way to one recipient. Its ID is the same however often it is tried: who gets
// it twice can tell.
type Delivery struct {
	ID     string
	To     Recipient
	Notice Notice
}

// Courier brings deliveries out of the institution; edge/notify has one.
type Courier interface {
	// Wants tells whether a recipient has an address at all.
	Wants(to Recipient, notice Notice) bool
	// Carry brings one, and is nil when the recipient has said that he has it.
	Carry(ctx context.Context, d Delivery) error
}

// Deliveries keeps deliveries until they were carried: at least once each, and not for ever. A store has
// one.
type Deliveries interface {
	// Run takes what was posted in every bucket, as expand tells who gets it, and lets the courier carry
	// it, until ctx ends. What was taken is kept in the same transaction. Several may run on one database.
	Run(ctx context.Context, expand func(ctx context.Context, bucket int, posted []Posted) ([]Delivery, error), courier Courier) error
	// Undelivered counts what waits, and what was given up.
	Undelivered(ctx context.Context) (waiting, givenUp int, err error)
}

// DeliveryGap is how long after a failed attempt, from 1, the next one is due; ok is false when there is none
// (gateway-facts §5: eight deliveries within 25 hours).
func DeliveryGap(attempt int) (gap time.Duration, ok bool) {
	gaps := []time.Duration{4 * time.Minute, 10 * time.Minute, 10 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 15 * time.Hour}
	if attempt < 1 || attempt > len(gaps) {
		return 0, false
	}
	return gaps[attempt-1], true
}

// DeliveriesMax is how often one delivery is tried.
const DeliveriesMax = 8

// Deliver runs the deliveries of these books until ctx ends.
func (p *Payment) Deliver(ctx context.Context, deliveries Deliveries, courier Courier) error {
	return deliveries.Run(ctx, func(ctx context.Context, bucket int, posted []Posted) ([]Delivery, error) {
		return p.Expand(ctx, bucket, posted, courier)
	}, courier)
}

// Expand makes deliveries of what a bucket has posted, for whom the courier has an address: trades are looked up.
func (p *Payment) Expand(ctx context.Context, bucket int, posted []Posted, courier Courier) (all []Delivery, err error) {
	trades, err := p.postedTrades(ctx, bucket, posted)
	if err != nil {
		return nil, err
	}
	for _, entry := range posted {
		notices := entry.Notices
		for _, id := range entry.Trades {
			notices = append(notices, noticesOf(trades[id])...)
		}
		for n, notice := range notices {
			for _, to := range []Recipient{ToMerchant, ToRider} {
				if concerns(to, notice) && courier.Wants(to, notice) {
					all = append(all, Delivery{ID: fmt.Sprintf("%d-%d-%d-%s", bucket, entry.Seq, n, to), To: to, Notice: notice})
				}
			}
		}
	}
	return all, nil
}

func (p *Payment) postedTrades(ctx context.Context, bucket int, posted []Posted) (map[ledger.DocumentID]SettledTrade, error) {
	need := Need{Bucket: bucket}
	for _, entry := range posted {
		need.Trades = append(need.Trades, entry.Trades...)
	}
	if len(need.Trades) == 0 {
		return nil, nil
	}
	state, err := p.store.View(ctx, need)
	return state.Trades, err
}

func concerns(to Recipient, notice Notice) bool {
	return to == ToMerchant && notice.App != "" || to == ToRider && notice.User != ""
}
