package payment_test

import (
	"context"
	"testing"

	"github.com/shuama/shuama/role/payment"
)

// everybody has an address.
type everybody struct{}

func (everybody) Wants(payment.Recipient, payment.Notice) bool  { return true }
func (everybody) Carry(context.Context, payment.Delivery) error { return nil }

// nobody has one.
type nobody struct{ everybody }

func (nobody) Wants(payment.Recipient, payment.Notice) bool { return false }

// A settled ride is told to its merchant and to its rider, once however often it is sent, and each delivery has
// a name of its own.
func TestNoticesOfATrade(t *testing.T) {
	s := newDivided(t, 10_00, payment.DefaultPolicy())
	trade := s.ride(t)
	result := s.mustSettle(t, trade)[0]
	s.mustSettle(t, trade)
	bucket, ids := payment.BucketOf(ming, buckets), map[string]bool{}
	posted, err := s.Books.Posted(t.Context(), bucket, 100)
	if err != nil {
		t.Fatal(err)
	}
	deliveries, err := s.Payment.Expand(t.Context(), bucket, posted, everybody{})
	if err != nil {
		t.Fatal(err)
	}
	told := map[payment.Recipient]int{}
	for _, d := range deliveries {
		if ids[d.ID] {
			t.Errorf("two deliveries are %s", d.ID)
		}
		ids[d.ID] = true
		if d.Notice.Kind == payment.TradeSettled {
			told[d.To]++
			if d.Notice.TradeNo != result.TradeNo || d.Notice.OutTradeNo != trade.OutTradeNo || d.Notice.User != ming || d.Notice.AmountFen != 200 || !d.Notice.At.Equal(s.Now()) {
				t.Errorf("%+v", d)
			}
		}
	}
	if told[payment.ToMerchant] != 1 || told[payment.ToRider] != 1 {
		t.Errorf("told %v", told)
	}
	if none, err := s.Payment.Expand(t.Context(), bucket, posted, nobody{}); err != nil || len(none) != 0 {
		t.Errorf("without an address: %v %v", none, err)
	}
}

func TestDeliveryGaps(t *testing.T) {
	var total, last = 0.0, false
	for attempt := 1; attempt < payment.DeliveriesMax; attempt++ {
		gap, more := payment.DeliveryGap(attempt)
		if !more || gap <= 0 {
			t.Errorf("attempt %d: %v %v", attempt, gap, more)
		}
		total += gap.Hours()
	}
	_, last = payment.DeliveryGap(payment.DeliveriesMax)
	if _, zero := payment.DeliveryGap(0); last || zero || total < 24 || total > 25 {
		t.Errorf("eight deliveries within %.1f hours", total)
	}
}
