package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/role/payment"
)

// OpenDeliveries makes a queue of one store with a schedule. Several work side by side, as servers of one
// database do.
type OpenDeliveries = func(gap func(attempt int) (time.Duration, bool)) payment.Deliveries

// RunDeliveries holds a payment.Deliveries to its word: what was posted is carried, again after a failure and
// never more often than it may be, however servers come and go.
func RunDeliveries(t *testing.T, store payment.Store, open OpenDeliveries) {
	const users, rounds, servers = 12, 4, 2
	if err := furnish(t.Context(), store, users, plenty); err != nil {
		t.Fatal(err)
	}
	p := &postman{lost: string(sale(0, "").Key.OutTradeNo), carried: map[string]int{}, tries: map[string]int{}}
	for round := range rounds {
		stop := runDeliveries(t, store, open, p, servers)
		for n := range users {
			mustSettle(t, store, sale(round*users+n, userID(n)))
		}
		if round == rounds-1 {
			p.wait(t, rounds*users-1)
		}
		stop()
	}
	for id, times := range p.carried {
		if times > rounds { // more than once only where a stop came between carrying and keeping
			t.Errorf("delivery %s was carried %d times", id, times)
		}
	}
	checkDelivered(t, store, open(shortGap))
}

// shortGap lets a failed delivery come again at once, as often as the real one does.
func shortGap(attempt int) (time.Duration, bool) {
	_, more := payment.DeliveryGap(attempt)
	return time.Millisecond, more
}

func checkDelivered(t *testing.T, store payment.Store, queue payment.Deliveries) {
	waiting, givenUp, err := queue.Undelivered(t.Context())
	if err != nil || waiting != 0 || givenUp != 1 {
		t.Errorf("%d wait, %d were given up: %v", waiting, givenUp, err)
	}
	for bucket := range store.Buckets() {
		if left, err := store.Posted(t.Context(), bucket, 10); err != nil || len(left) > 0 {
			t.Errorf("bucket %d has %d entries left: %v", bucket, len(left), err)
		}
	}
	auditClean(t, store)
}

// runDeliveries lets servers run until stop, which waits for them.
func runDeliveries(t *testing.T, store payment.Store, open OpenDeliveries, courier payment.Courier, servers int) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range servers {
		queue := open(shortGap)
		running.Go(func() {
			if err := queue.Run(ctx, expandTrades(store), courier); err != nil {
				t.Errorf("a queue stopped: %v", err)
			}
		})
	}
	return func() { cancel(); running.Wait() }
}

// postman finds nobody at home at each first attempt, and never at the delivery of one trade.
type postman struct {
	lost string

	mutex   sync.Mutex
	carried map[string]int
	tries   map[string]int
}

var errNobodyHome = errors.New("storetest: nobody is at home")

func (p *postman) Wants(payment.Recipient, payment.Notice) bool { return true }

func (p *postman) Carry(_ context.Context, d payment.Delivery) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.tries[d.ID]++; p.tries[d.ID] == 1 || d.ID == p.lost {
		return errNobodyHome
	}
	p.carried[d.ID]++
	return nil
}

// wait waits until so many deliveries were carried, and the one that never is was tried as often as may be.
func (p *postman) wait(t *testing.T, count int) {
	done := func() bool {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		return len(p.carried) >= count && p.tries[p.lost] >= payment.DeliveriesMax
	}
	for !done() && t.Context().Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(2 * time.Second) // for one try too many, which there must not be
	if p.tries[p.lost] != payment.DeliveriesMax {
		t.Errorf("tried %d times", p.tries[p.lost])
	}
}

// expandTrades makes a delivery of each trade, called by its number.
func expandTrades(store payment.Store) func(context.Context, int, []payment.Posted) ([]payment.Delivery, error) {
	return func(ctx context.Context, bucket int, posted []payment.Posted) (all []payment.Delivery, err error) {
		need := payment.Need{Bucket: bucket}
		for _, entry := range posted {
			need.Trades = append(need.Trades, entry.Trades...)
		}
		state, err := store.View(ctx, need)
		for _, trade := range state.Trades {
			all = append(all, payment.Delivery{ID: string(trade.Key.OutTradeNo), To: payment.ToRider,
				Notice: payment.Notice{Kind: payment.TradeSettled, TradeNo: trade.TradeNo, At: trade.SettledAt}})
		}
		return all, err
	}
}
