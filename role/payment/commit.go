package payment

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
)

const (
	// BatchMax is how many orders are committed at once.
	BatchMax = 512
	// committersLeast and committersMost bound how many buckets are committed side by side. One prepares while another
	// waits for the disk; more than there are processors only make each other's batches small and late.
	committersLeast, committersMost = 2, 4
	// waitingMax bounds the orders that wait: who comes then is told to come again.
	waitingMax = 64 * 1024
)

var (
	errBusy = errors.New("payment: too many trades wait to be settled")
	errBug  = errors.New("payment: the books have a fault")
)

// Committers bring orders into the books, in batches that many callers share: while one batch of a bucket
// is being committed, the next one gathers. Nobody waits for a batch to fill. They are goroutines that
// come when there is work and go when there is none.
type Committers struct {
	store Store
	most  int // that run at once

	mutex   sync.Mutex
	buckets []bucketQueue
	ready   []int // buckets with orders that nobody commits, the longest waiting first
	running int
	waiting int // orders in all queues
}

type bucketQueue struct {
	orders []*waitingOrder
	taken  bool // it is in ready, or being committed
}

// waitingOrder is an order and who waits for its verdict.
type waitingOrder struct {
	order   Order
	at      moment
	verdict Verdict
	err     error
	caller  *caller
}

// caller waits for all its orders.
type caller struct {
	open     atomic.Int64  // orders without an answer
	answered chan struct{} // closed when there is none
}

func (c *caller) hear() {
	if c.open.Add(-1) == 0 {
		close(c.answered)
	}
}

// NewCommitters makes committers for a store. A Payment has its own.
func NewCommitters(store Store) *Committers {
	most := min(max(runtime.GOMAXPROCS(0), committersLeast), committersMost)
	return &Committers{store: store, most: most, buckets: make([]bucketQueue, store.Buckets())}
}

// Commit brings orders into the books, which were verified, and gives a verdict for each. After an error nobody
// knows: bring the same orders again.
func (c *Committers) Commit(ctx context.Context, orders []Order, day ledger.Day, now time.Time) ([]Verdict, error) {
	waiting := make([]*waitingOrder, len(orders))
	for i, order := range orders {
		waiting[i] = &waitingOrder{order: order, at: moment{now: storedTime(now), day: day}}
	}
	err := c.settle(ctx, waiting)
	verdicts := make([]Verdict, len(orders))
	for i, w := range waiting {
		if err != nil {
			break // they may still be written to
		}
		verdicts[i], err = w.verdict, w.err
	}
	return verdicts, err
}

// settle brings orders into the books and waits for their verdicts. Whether ctx ends does not matter to
// them: then nobody knows, and they are settled or not as if the answer had been lost.
func (c *Committers) settle(ctx context.Context, orders []*waitingOrder) error {
	if len(orders) == 0 {
		return nil
	}
	waits := &caller{answered: make(chan struct{})}
	waits.open.Store(int64(len(orders)))
	for _, w := range orders {
		w.caller = waits
	}
	if err := c.enqueue(context.WithoutCancel(ctx), orders); err != nil {
		return err
	}
	select {
	case <-waits.answered:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Committers) enqueue(ctx context.Context, orders []*waitingOrder) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.waiting+len(orders) > waitingMax && c.waiting > 0 {
		return errBusy
	}
	c.waiting += len(orders)
	for _, w := range orders {
		bucket := BucketOf(w.order.User, len(c.buckets))
		queue := &c.buckets[bucket]
		queue.orders = append(queue.orders, w)
		if !queue.taken {
			queue.taken = true
			c.ready = append(c.ready, bucket)
		}
	}
	for range c.ready {
		if c.running < c.most {
			c.running++
			go c.work(ctx)
		}
	}
	return nil
}

// work commits what is ready until nothing is.
func (c *Committers) work(ctx context.Context) {
	for {
		bucket, taken := c.take()
		if len(taken) == 0 {
			return
		}
		c.commit(ctx, bucket, taken)
		c.giveBack(bucket, len(taken))
	}
}

// take gives the next bucket's batch, or ends the committer.
func (c *Committers) take() (bucket int, taken []*waitingOrder) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.ready) == 0 {
		c.running--
		return 0, nil
	}
	bucket, c.ready = c.ready[0], c.ready[1:]
	return bucket, c.buckets[bucket].cut()
}

func (c *Committers) giveBack(bucket, count int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.waiting -= count
	queue := &c.buckets[bucket]
	if queue.taken = len(queue.orders) > 0; queue.taken {
		c.ready = append(c.ready, bucket)
	}
}

// cut takes a batch from the front. An order with a number or a code that stands in the batch already is
// left for the next one, and so is decided after it.
func (q *bucketQueue) cut() (batch []*waitingOrder) {
	numbers, codes := make(map[TradeKey]bool), make(map[ridecode.ID]bool)
	var left []*waitingOrder
	for i, w := range q.orders {
		if len(batch) == BatchMax {
			left = append(left, q.orders[i:]...)
			break
		}
		if numbers[w.order.Key] || anyOf(codes, w.order.Codes) {
			left = append(left, w)
			continue
		}
		batch = append(batch, w)
		numbers[w.order.Key] = true
		for _, code := range w.order.Codes {
			codes[code] = true
		}
	}
	q.orders = left
	return batch
}

func anyOf(set map[ridecode.ID]bool, codes []ridecode.ID) bool {
	for _, code := range codes {
		if set[code] {
			return true
		}
	}
	return false
}

// commit answers everybody in a batch. One order that cannot be stored at all takes nobody down with it:
// the batch is halved until it stands alone.
func (c *Committers) commit(ctx context.Context, bucket int, waiting []*waitingOrder) {
	verdicts, err := c.settleBatch(ctx, bucket, waiting)
	if err != nil && len(waiting) > 1 && !errors.Is(err, ErrAway) {
		half := len(waiting) / 2
		c.commit(ctx, bucket, waiting[:half])
		c.commit(ctx, bucket, waiting[half:])
		return
	}
	for i, w := range waiting {
		if w.err = err; err == nil {
			w.verdict = verdicts[i]
		}
		w.caller.hear()
	}
}

func (c *Committers) settleBatch(ctx context.Context, bucket int, waiting []*waitingOrder) (verdicts []Verdict, err error) {
	batch := Batch{Bucket: bucket, Orders: make([]Order, len(waiting))}
	for i, w := range waiting {
		batch.Orders[i] = w.order
		batch.Day = max(batch.Day, w.at.day)
		batch.Now = later(batch.Now, w.at.now)
	}
	defer func() {
		if recover() != nil { // a bug of the store is no reason to leave callers waiting
			verdicts, err = nil, errBug
		}
	}()
	verdicts, err = c.store.Settle(ctx, batch)
	if err == nil && len(verdicts) != len(waiting) {
		return nil, errBug
	}
	return verdicts, err
}
