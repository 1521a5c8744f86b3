package storetest

import (
	"context"
	"errors"
	"sync"

	"github.com/shuama/shuama/role/payment"
)

// Fault is what becomes of one write on its way to the books and back.
type Fault int

// The faults.
const (
	Well       Fault = iota
	Lost             // it never arrives; the caller hears that the books do not answer
	AnswerLost       // it is done, and the caller hears that the books do not answer
	Doubled          // it is done twice, and the second answer is heard
	Late             // it is done after the next write, and the caller hears that the books do not answer
)

// Faulty is a store behind a line that a schedule breaks. Nothing here depends on a clock or on which bucket's
// goroutine runs first: the same schedule makes the same history.
type Faulty struct {
	payment.Store
	Next func(bucket int) Fault // asked for each write, one at a time

	mutex sync.Mutex
	late  map[int][]func()
}

var errFaulty = errors.New("storetest: the line is broken")

func (f *Faulty) away() error { return errors.Join(payment.ErrAway, errFaulty) }

// Settle does what the schedule says to a batch.
func (f *Faulty) Settle(ctx context.Context, batch payment.Batch) ([]payment.Verdict, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	defer f.catchUp(batch.Bucket)()
	switch f.Next(batch.Bucket) {
	case Lost:
		return nil, f.away()
	case AnswerLost:
		_, err := f.Store.Settle(ctx, batch)
		return nil, errors.Join(err, f.away())
	case Doubled:
		if _, err := f.Store.Settle(ctx, batch); err != nil {
			return nil, err
		}
	case Late:
		f.late[batch.Bucket] = append(f.late[batch.Bucket], func() { _, _ = f.Store.Settle(context.WithoutCancel(ctx), batch) })
		return nil, f.away()
	}
	return f.Store.Settle(ctx, batch)
}

// catchUp does what is late once this write is done.
func (f *Faulty) catchUp(bucket int) func() {
	if f.late == nil {
		f.late = map[int][]func(){}
	}
	late := f.late[bucket]
	f.late[bucket] = nil
	return func() {
		for _, do := range late {
			do()
		}
	}
}

// Update does what the schedule says to an update. It is never late: what was decided long ago is not the
// store's to remember.
func (f *Faulty) Update(ctx context.Context, need payment.Need, decide func(payment.State) (payment.Changes, error)) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	defer f.catchUp(need.Bucket)()
	switch f.Next(need.Bucket) {
	case Lost, Late:
		return f.away()
	case AnswerLost:
		if err := f.Store.Update(ctx, need, decide); err != nil {
			return err
		}
		return f.away()
	case Doubled:
		if err := f.Store.Update(ctx, need, decide); err != nil {
			return err
		}
	}
	return f.Store.Update(ctx, need, decide)
}
