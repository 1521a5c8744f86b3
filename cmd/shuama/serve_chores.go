package main

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/shuama/shuama/edge/notify"
	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
)

const (
	chorePause  = 10 * time.Second
	noticeWait  = 15 * time.Second // for an answer to a notice
	noticePause = 5 * time.Second  // after the queue could not be had
)

// keepHouse does what a server does beside answering: it lets money arrive that a crash has left between two
// buckets, looks who belongs on the deny list, and closes accounting days.
func (c *city) keepHouse(ctx context.Context, w *world, b *books, logger *slog.Logger, keepDaysOpen bool) {
	var last ledger.Day
	for ctx.Err() == nil {
		if count, err := b.Arrive(ctx, w.now().UTC()); err != nil || count > 0 {
			told(ctx, logger, "money under way between buckets has arrived", err, "count", count)
		}
		c.findDenied(ctx, w, b, logger)
		if !keepDaysOpen {
			last = c.closeEnded(ctx, w, b, logger, last)
		}
		pause(ctx, chorePause)
	}
}

func (c *city) findDenied(ctx context.Context, w *world, b *books, logger *slog.Logger) {
	denied, err := b.Denied(ctx, w.now().UTC())
	if err != nil {
		told(ctx, logger, "", err)
		return
	}
	var users []ridecode.UserID
	for _, d := range denied {
		users = append(users, d.User)
	}
	slices.Sort(users)
	b.register.riders.Store(&users)
}

// closeEnded closes the last accounting day that has ended, unless it was the last one at the last look.
func (c *city) closeEnded(ctx context.Context, w *world, b *books, logger *slog.Logger, last ledger.Day) ledger.Day {
	policy, err := c.settings.Payment.policy()
	if err != nil {
		return last // openBooks has said so
	}
	day := policy.DayOf(w.now()).Previous()
	if day == last {
		return last
	}
	if closed, err := b.DayClosed(ctx, day); err == nil && closed && c.hasBills(day) {
		return day
	}
	bills, err := c.closeDay(ctx, b, day, w.now())
	if err != nil || bills > 0 {
		told(ctx, logger, "an accounting day is closed", err, "day", day.String(), "bills", bills)
	}
	if err != nil {
		return last
	}
	return day
}

// told logs what was done, or why not. A server that stops says nothing of it.
func told(ctx context.Context, logger *slog.Logger, what string, err error, args ...any) {
	switch {
	case err != nil && ctx.Err() == nil:
		logger.Error("a chore could not be done: it is tried again", "error", err)
	case err == nil && what != "":
		logger.Info(what, args...)
	}
}

// bringNotices brings notices to merchants and riders.
func (c *city) bringNotices(ctx context.Context, w *world, b *books, logger *slog.Logger) {
	private, err := unsealRSA(c.path("platform.sealed"), c.sealer)
	if err != nil {
		told(ctx, logger, "", err)
		return
	}
	signer, err := openapi.NewPrivateKey(private)
	if err != nil {
		told(ctx, logger, "", err)
		return
	}
	courier := &notify.Courier{Addresses: b.register, Signer: signer, HTTP: notify.NewHTTPClient(noticeWait), Now: w.now}
	for ctx.Err() == nil {
		told(ctx, logger, "", c.runDeliveries(ctx, b, courier))
		pause(ctx, noticePause)
	}
}

func (c *city) runDeliveries(ctx context.Context, b *books, courier *notify.Courier) error {
	queue, done, err := b.stores.deliveries(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = done() }()
	return b.Deliver(ctx, queue, courier)
}
