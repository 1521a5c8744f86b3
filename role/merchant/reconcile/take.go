package reconcile

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/shuama/shuama/protocol/bill"
)

// Lines and numbers that are handled at once: what a run holds in memory, and how long it holds the store.
const pageSize = 500

// MaxBillSize bounds a bill, unzipped, in bytes: ten million lines.
const MaxBillSize = 2 << 30

// Source opens the bill's file, unzipped, from its beginning. It is read twice: nothing of it counts before all
// of it is proven.
type Source func() (io.ReadCloser, error)

// Options of one run.
type Options struct {
	Replace bool // the bill takes the place of the one that is here
}

// Reconcile takes the bill of a day in, and gives the sums of the day. The same bill again changes nothing that
// has not changed in the merchant's books. What it refuses, *bill.LineError, ErrNotOurs, ErrOtherDay and
// ErrOtherContent, it refuses as a whole. After any other error, or a kill, the same call goes on where it was.
func (r *Reconciler) Reconcile(ctx context.Context, day Day, source Source, options Options, now time.Time) (Summary, error) {
	proven, err := r.prove(ctx, day, source)
	if err != nil {
		return Summary{}, err
	}
	taken, before, err := r.take(ctx, proven, source, options, now)
	if err != nil {
		return Summary{}, fmt.Errorf("reconcile: %s: %w", day, err)
	}
	summary, err := r.compareAll(ctx, taken, now)
	if err != nil {
		return Summary{}, fmt.Errorf("reconcile: %s: %w", day, err)
	}
	summary.Known, summary.Replaces = before.No == taken.No, before.No != 0 && before.No != taken.No
	return summary, nil
}

// prove reads all of a bill, and believes none of it before.
func (r *Reconciler) prove(ctx context.Context, day Day, source Source) (proven Bill, err error) {
	file, err := source()
	if err != nil {
		return Bill{}, err
	}
	defer file.Close()
	digest := sha256.New()
	head, totals, err := bill.Read(io.TeeReader(&bounded{file, MaxBillSize}, digest), func(bill.Line) error { return ctx.Err() })
	switch {
	case err != nil:
		return Bill{}, err
	case head.App != string(r.config.App):
		return Bill{}, fmt.Errorf("%w: #应用 is %.32q, and this merchant's is %q", ErrNotOurs, head.App, r.config.App)
	case head.Date != day.String():
		return Bill{}, fmt.Errorf("%w: #日期 is %s, and %s was asked for", ErrOtherDay, head.Date, day)
	}
	return Bill{Day: day, Digest: [32]byte(digest.Sum(nil)), Totals: totals}, nil
}

// bounded fails behind its bound, where io.LimitReader would seem to end.
type bounded struct {
	reader io.Reader
	left   int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("reconcile: the bill is over %d bytes", MaxBillSize)
	}
	return n, err
}

// take keeps a proven bill, and gives it with the one that counted for its day before.
func (r *Reconciler) take(ctx context.Context, proven Bill, source Source, options Options, now time.Time) (taken, before Bill, err error) {
	bills, err := r.store.Bills(ctx)
	if err != nil {
		return Bill{}, Bill{}, err
	}
	for _, b := range bills {
		if b.Day == proven.Day && b.counts() {
			before = b
		}
	}
	switch {
	case before.No != 0 && before.Digest == proven.Digest:
		return before, before, nil
	case before.No != 0 && !options.Replace:
		return Bill{}, Bill{}, fmt.Errorf("%w: that one is %x, this one %x", ErrOtherContent, before.Digest[:6], proven.Digest[:6])
	}
	proven.Begun = now
	if taken, err = r.store.Begin(ctx, proven); err != nil {
		return Bill{}, Bill{}, err
	}
	if err := r.keepLines(ctx, taken, source); err != nil {
		return Bill{}, Bill{}, err
	}
	return taken, before, r.store.Accept(ctx, taken.No, before.No, now)
}

var errChanged = errors.New("reconcile: the file changed while it was read")

// keepLines goes on behind the lines that an earlier run has kept.
func (r *Reconciler) keepLines(ctx context.Context, taken Bill, source Source) error {
	file, err := source()
	if err != nil {
		return err
	}
	defer file.Close()
	total, kept, read := taken.Totals.Trades.Count+taken.Totals.Refunds.Count, taken.Lines, 0
	var page []bill.Line
	flush := func() error {
		err := r.store.AddLines(ctx, taken.No, kept, page)
		kept, page = kept+len(page), page[:0]
		r.config.Progress(kept, 2*total)
		return err
	}
	digest := sha256.New()
	_, _, err = bill.Read(io.TeeReader(file, digest), func(line bill.Line) error {
		if read++; read <= kept {
			return nil
		}
		if page = append(page, line); len(page) == pageSize {
			return flush()
		}
		return nil
	})
	if err == nil && [32]byte(digest.Sum(nil)) != taken.Digest {
		err = errChanged
	}
	if err != nil || len(page) == 0 {
		return err
	}
	return flush()
}
