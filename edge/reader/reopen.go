package reader

import (
	"context"
	"time"
)

// Backoff is how long to wait before a lost device is opened again: First, then twice as long each
// time, up to Most. The zero value is 200 ms and 5 s.
type Backoff struct {
	First, Most time.Duration
}

func (b Backoff) orDefault() Backoff {
	if b.First <= 0 {
		b.First = 200 * time.Millisecond
	}
	if b.Most <= 0 {
		b.Most = 5 * time.Second
	}
	b.Most = max(b.Most, b.First)
	return b
}

// Reopening is a source that opens another one, and opens it again whenever it fails, until its input
// ends or ctx is done. It never fails itself.
//
// tell learns of each new trouble once, and with nil that the device is back (which it also is when
// it opens for the first time after trouble); it must not block. It may be nil.
func Reopening(open func() (Source, error), wait Backoff, tell func(error)) Source {
	if tell == nil {
		tell = func(error) {}
	}
	return &reopening{open: open, wait: wait.orDefault(), tell: tell}
}

type reopening struct {
	open    func() (Source, error)
	wait    Backoff
	tell    func(error)
	trouble string // told last; empty: none
}

func (r *reopening) Run(ctx context.Context, found func(Scan)) error {
	pause := r.wait.First
	for ctx.Err() == nil {
		began := time.Now()
		if r.once(ctx, found) {
			return nil
		}
		if time.Since(began) >= r.wait.Most {
			pause = r.wait.First // it worked for a while
		}
		sleep(ctx, pause)
		pause = min(2*pause, r.wait.Most)
	}
	return nil
}

// once runs the source to its end and answers whether that was a good one.
func (r *reopening) once(ctx context.Context, found func(Scan)) (ended bool) {
	source, err := r.open()
	if err == nil {
		r.well()
		err = source.Run(ctx, found)
	}
	if err == nil {
		return true
	}
	if trouble := err.Error(); trouble != r.trouble {
		r.trouble = trouble
		r.tell(err)
	}
	return false
}

func (r *reopening) well() {
	if r.trouble != "" {
		r.trouble = ""
		r.tell(nil)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
