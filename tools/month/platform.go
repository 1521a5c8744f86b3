package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/payment"
)

const (
	appID        = "2021000000000001"
	guaranteeFen = money.Fen(1_000_000_00)
	creditFen    = money.Fen(500_00) // of nine riders in ten
	walletFen    = money.Fen(500_00) // of every twentieth, who has no credit line
	poorFen      = money.Fen(5_00)   // of every other twentieth
	repaidFen    = money.Fen(100_00) // of every second of these, when the month is over
	rememberKeys = 1 << 16           // grants whose signature was checked
)

// platform is the payment institution with books of its own, behind the real gateway on a port.
type platform struct {
	*payment.Payment
	books   *store.DB
	path    string
	clock   atomic.Int64 // unix seconds
	client  *gateway.Client
	payee   payment.Merchant
	closers []io.Closer

	opening, closing time.Duration // of accounts; of days, with their bills
	poor             int
	toppedUp         money.Fen
	billed           bill.Totals
	lastRefund       string
}

// everyGate has the integrity values of document 1 §7.2.5.
type everyGate struct{}

// TerminalIntegrity implements payment.TerminalKeys.
func (everyGate) TerminalIntegrity(payment.AppID, string) (record.Integrity, bool) {
	return record.Legacy{}, true
}

func openPlatform(ctx context.Context, dir string, ring *trust.KeyRing, riders int) (p *platform, err error) {
	p = &platform{path: filepath.Join(dir, "payment.db"), payee: payment.Merchant{App: appID, Account: payment.MerchantAccount("transit"), LoginName: "transit@example.com"}}
	p.clock.Store(firstDay().Unix())
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.books, err = store.Open(p.path); err != nil {
		return p, err
	}
	p.closers = append(p.closers, p.books)
	ring.Remember(rememberKeys)
	p.Payment = payment.New(p.books.Payment(), ring, everyGate{}, payment.DefaultPolicy())
	if err := p.serve(ring); err != nil {
		return p, err
	}
	return p, p.openAccounts(ctx, riders)
}

func (p *platform) now() time.Time { return time.Unix(p.clock.Load(), 0).UTC() }

func (p *platform) serve(ring *trust.KeyRing) error {
	ours, err := openapi.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	theirs, err := openapi.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	apps, err := gateway.NewAppList(gateway.App{ID: appID, Merchant: p.payee, Key: theirs.Public(), Methods: []openapi.Method{openapi.MethodTradeSettle}})
	if err != nil {
		return err
	}
	handler, err := gateway.New(gateway.Config{Apps: apps, Signer: ours, Payment: p.Payment, IssuerKeys: ring.Keys, Now: p.now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := gateway.NewHTTPServer("", handler)
	go func() { _ = server.Serve(listener) }()
	p.closers = append(p.closers, server)
	p.client, err = gateway.NewClient(gateway.ClientConfig{URL: "http://" + listener.Addr().String() + gateway.Path, AppID: appID, Signer: theirs,
		PlatformKey: ours.Public(), HTTP: &http.Client{Timeout: time.Minute}, Now: p.now})
	return err
}

// openAccounts gives most riders a credit line, some a balance, and some too little of it: the guarantee fund pays for
// these, and they owe.
func (p *platform) openAccounts(ctx context.Context, riders int) error {
	begun := time.Now()
	if err := errors.Join(p.OpenHouse(ctx, p.now()), p.OpenMerchant(ctx, p.payee)); err != nil {
		return err
	}
	if err := p.topUp(ctx, "guarantee", payment.GuaranteeAccount, guaranteeFen); err != nil {
		return err
	}
	for number := range riders {
		credit, balance := creditFen, money.Fen(0)
		switch number % 20 {
		case 0:
			credit, balance = 0, poorFen
			p.poor++
		case 1:
			credit, balance = 0, walletFen
		}
		if err := p.OpenUser(ctx, userOf(number), credit); err != nil {
			return err
		}
		if balance == 0 {
			continue
		}
		if err := p.topUp(ctx, fmt.Sprint("first ", number), payment.UserAccount(userOf(number)), balance); err != nil {
			return err
		}
	}
	p.opening = time.Since(begun)
	return nil
}

func (p *platform) topUp(ctx context.Context, number string, account ledger.AccountID, amount money.Fen) error {
	p.toppedUp += amount
	return p.TopUp(ctx, payment.TopUp{Number: number, Account: account, AmountFen: amount, At: p.now()})
}

// repay tops up every second rider who had too little.
func (p *platform) repay(ctx context.Context, riders int) error {
	for number := 0; number < riders; number += 40 {
		if err := p.topUp(ctx, fmt.Sprint("repaid ", number), payment.UserAccount(userOf(number)), repaidFen); err != nil {
			return err
		}
	}
	return nil
}

// giveBack pays what the merchant has named for refund since the last time.
func (p *platform) giveBack(ctx context.Context, office *merchant.Merchant) error {
	passed := p.lastRefund == ""
	for refund, err := range office.Refunds(ctx) {
		if err != nil {
			return err
		}
		if !passed {
			passed = refund.Number == p.lastRefund
			continue
		}
		order := payment.Refund{Trade: payment.TradeKey{App: appID, OutTradeNo: payment.OutTradeNo(refund.OutTradeNo)}, RequestNo: refund.Number,
			AmountFen: refund.AmountFen, Reason: refund.Reason, At: p.now()}
		if _, err := p.Refund(ctx, p.payee, order); err != nil {
			return fmt.Errorf("refund %s of %s: %w", refund.Number, refund.OutTradeNo, err)
		}
		p.lastRefund = refund.Number
	}
	return nil
}

// closeDay ends the day that is over, and writes the merchant's bill for it.
func (p *platform) closeDay(ctx context.Context, dir string) (path, date string, err error) {
	begun := time.Now()
	day := payment.DefaultPolicy().DayOf(p.now().Add(-time.Second))
	if err := p.CloseDay(ctx, day, p.now()); err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, "trade-"+day.String()+".csv")
	file, err := os.Create(path)
	if err != nil {
		return "", "", err
	}
	out, err := bill.NewWriter(file, bill.Head{App: appID, Merchant: string(p.payee.Account), Date: day.String()})
	if err == nil {
		err = p.EachBillLine(ctx, day, func(_ payment.AppID, _ ledger.AccountID, line bill.Line) error { return out.Write(line) })
	}
	if err != nil {
		return "", "", errors.Join(err, file.Close())
	}
	totals, err := out.Close()
	p.billed.Trades.Count, p.billed.Trades.SumFen = p.billed.Trades.Count+totals.Trades.Count, p.billed.Trades.SumFen+totals.Trades.SumFen
	p.billed.Refunds.Count, p.billed.Refunds.SumFen = p.billed.Refunds.Count+totals.Refunds.Count, p.billed.Refunds.SumFen+totals.Refunds.SumFen
	p.closing += time.Since(begun)
	return path, day.String(), errors.Join(err, file.Close())
}

// sums are the institution's books, by kind of account.
type sums struct {
	users, debts, claims, guarantee, merchant, underWay money.Fen
	fault                                               string
}

func (p *platform) audit(ctx context.Context) (s sums, err error) {
	report, err := p.Audit(ctx)
	if err != nil {
		return s, err
	}
	s.underWay = report.UnderWay
	if len(report.Faults) > 0 || report.SumFen != 0 {
		s.fault = fmt.Sprintf("the books: postings add up to %s; %v", report.SumFen, report.Faults)
	}
	for _, account := range report.Balances {
		switch kind, _, _ := strings.Cut(string(account.ID), ":"); kind {
		case "user":
			s.users += account.Balance
		case "debt":
			s.debts += account.Balance
		case "claims":
			s.claims += account.Balance
		case "guarantee":
			s.guarantee += account.Balance
		case "merchant", "settled":
			s.merchant += account.Balance
		}
	}
	return s, nil
}

func (p *platform) close() (err error) {
	for i := len(p.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, p.closers[i].Close())
	}
	p.closers = nil
	return err
}
