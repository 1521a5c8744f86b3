package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/shuama/shuama/edge/depot"
	"github.com/shuama/shuama/edge/gateway"
)

type merchantServeCommand struct {
	Dir      string `arg:"" help:"The merchant's folder." type:"existingdir"`
	Listen   string `help:"The address to listen at." default:"127.0.0.1:8090"`
	Settle   bool   `help:"Settle what is due, all the time." default:"true" negatable:""`
	RideData bool   `help:"Tell the platform of rides, all the time." default:"true" negatable:"" name:"ride-data"`
	sealFlags
}

// Help shows how it is used.
func (merchantServeCommand) Help() string {
	return `Terminals bring their records here and compare clocks; trades are settled as they become due, and
the platform is told of rides, near real time. The token that terminals show is in depot.token.

Example:
  shuama merchant serve merchant --listen 127.0.0.1:8090`
}

// Run serves terminals until it is told to stop.
func (c *merchantServeCommand) Run(w *world) (err error) {
	client, err := (&merchantSettleCommand{Dir: c.Dir, sealFlags: c.sealFlags}).client(w)
	if err != nil {
		return err
	}
	settler, cards, err := withCards(w, c.Dir, c.sealFlags, client)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeCounter(cards)) }()
	o, err := openOffice(c.Dir, settler)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	token, err := os.ReadFile(filepath.Join(c.Dir, depotToken))
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(w.stderr, nil))
	handler, err := depot.New(depot.Config{Intake: o, Online: o, Token: strings.TrimSpace(string(token)), Now: w.now, Logger: logger})
	if err != nil {
		return err
	}
	teller, err := newTeller(w, o.settings, o.db, client, cards)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "Terminals bring records to http://%s. Stop with Ctrl-C.\n", listener.Addr())
	ctx, cancel := context.WithCancel(w.context)
	defer cancel()
	var chores sync.WaitGroup
	chores.Go(func() { c.settle(ctx, w, o, logger) })
	if c.RideData {
		chores.Go(func() { tellRides(ctx, w, teller, logger) })
	}
	chores.Go(func() { keepCards(ctx, w, cards, client, logger) })
	err = serve(w.context, gateway.NewHTTPServer(c.Listen, handler), listener)
	cancel()
	chores.Wait()
	return err
}

// settleEvery is how often a serving merchant looks for due trades.
const settleEvery = 2 * time.Second

// settle goes on until the server stops: a fault of the gateway is the next round's business.
func (c *merchantServeCommand) settle(ctx context.Context, w *world, o *office, logger *slog.Logger) {
	if _, err := o.Reconsider(ctx, w.now().UTC()); err != nil {
		logger.Error("what stands aside", "err", err)
	}
	for c.Settle && ctx.Err() == nil {
		report, err := o.SettleDue(ctx, w.now().UTC())
		if report.Sent > 0 {
			logger.Info("settled", "sent", report.Sent, "settled", report.Settled, "failed", report.Failed, "again", report.Postponed)
		}
		if err = errors.Join(err, report.Fault); err != nil && ctx.Err() == nil {
			logger.Error("settlement", "err", err)
		}
		pause(ctx, settleEvery)
	}
}

// depotToken is the file with the token that a merchant's terminals show.
const depotToken = "depot.token"

func makeToken(dir string) error {
	return replaceFile(filepath.Join(dir, depotToken), []byte(rand.Text()+"\n"), 0o600)
}
