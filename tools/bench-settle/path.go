package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/terminal"
	"github.com/shuama/shuama/role/wallet"
)

const (
	pathMost     = 40_000 // trades a second for which requests are made: more than comes of it
	listSize     = 100
	ridesEach    = 2 // of a rider, with one grant: half of the grants are new to the server
	gatesCount   = 40
	pathClients  = 16
	rememberMost = 1 << 17
)

// city is a server over the books, and what riders and gates need to make real records for it.
type city struct {
	issuer   *codeissuer.Issuer
	gates    []*terminal.Terminal
	app      openapi.PrivateKey
	server   *http.Server
	url      string
	nextUser int
	made     atomic.Int64
}

// newCity makes 32 institution keys, gates with keys of their own, and the real gateway on a port.
func newCity(books payment.Store) (*city, error) {
	c := &city{}
	var slots []codeissuer.Slot
	var keys []trust.Key
	for id := range ridecode.KeyID(32) {
		private, err := secp256k1.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		slots = append(slots, codeissuer.Slot{ID: id, Public: private.PublicKey(), Signer: private})
		keys = append(keys, trust.Key{ID: id, Public: private.PublicKey()})
	}
	ring, err := trust.NewKeyRing(keys, trust.WindowFast)
	if err != nil {
		return nil, err
	}
	ring.Remember(rememberMost)
	c.issuer, err = codeissuer.New(codeissuer.Config{Slots: slots, Active: codeissuer.RotateEvery(time.Second), Terms: codeissuer.DefaultTerms(),
		Users: anyone{}, Random: rand.Reader})
	if err != nil {
		return nil, err
	}
	terminals, err := c.makeGates(ring)
	if err != nil {
		return nil, err
	}
	return c, c.serve(payment.New(books, ring, terminals, payment.DefaultPolicy()))
}

// anyone may ride.
type anyone struct{}

func (anyone) MayRide(context.Context, ridecode.UserID, time.Time) (bool, error) { return true, nil }

// gateKeys is what the payment institution knows of the gates.
type gateKeys map[string]record.Integrity

func (k gateKeys) TerminalIntegrity(_ payment.AppID, posID string) (record.Integrity, bool) {
	integrity, known := k[posID]
	return integrity, known
}

// forgetful keeps no journal: what a gate does on its own machine is not measured here.
type forgetful struct{}

func (forgetful) Keep([]byte) error { return nil }

func (c *city) makeGates(ring *trust.KeyRing) (gateKeys, error) {
	known := gateKeys{}
	for n := range gatesCount {
		private, err := secp256k1.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		gate := terminal.New(forgetful{}, 1<<20)
		gate.Configure(terminal.Settings{Keys: ring, CardTypes: []ridecode.CardType{ridecode.PlainCardType}, Clock: ridecode.DefaultClock(),
			Signer: record.TerminalSigner{Private: private}})
		c.gates = append(c.gates, gate)
		known[posID(n)] = record.TerminalKey{Public: private.PublicKey()}
	}
	return known, nil
}

func posID(n int) string { return fmt.Sprintf("gate%02d", n) }

func (c *city) serve(p *payment.Payment) error {
	platform, err := openapi.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if c.app, err = openapi.GenerateKey(rand.Reader); err != nil {
		return err
	}
	apps, err := gateway.NewAppList(gateway.App{ID: app, Key: c.app.Public(), Methods: []openapi.Method{openapi.MethodTradeSettle},
		Merchant: payment.Merchant{App: app, Account: payee}})
	if err != nil {
		return err
	}
	handler, err := gateway.New(gateway.Config{Apps: apps, Signer: platform, Payment: p, IssuerKeys: c.issuer.Keys, Now: benchNow, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.server, c.url = &http.Server{Handler: handler}, "http://"+listener.Addr().String()+gateway.Path
	go func() { _ = c.server.Serve(listener) }()
	return nil
}

func (c *city) close() error { return c.server.Close() }

// signedRequest is a request as it goes over the line.
type signedRequest struct {
	query string
	body  []byte
}

// prepare lets riders ride, and signs the requests that settle their rides: merchants do that elsewhere.
func (c *city) prepare(lasts time.Duration) ([]signedRequest, error) {
	requests := make([]signedRequest, int(pathMost*lasts.Seconds())/listSize)
	errs := make([]error, runtime.GOMAXPROCS(0))
	var next atomic.Int64
	var wait sync.WaitGroup
	first := c.nextUser
	c.nextUser += len(requests) * listSize / ridesEach
	for worker := range errs {
		wait.Go(func() {
			for errs[worker] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(requests) {
					return
				}
				requests[i], errs[worker] = c.request(first + i*listSize/ridesEach)
			}
		})
	}
	wait.Wait()
	return requests, errors.Join(errs...)
}

func (c *city) request(user int) (signedRequest, error) {
	var trades []openapi.Trade
	for n := range listSize / ridesEach {
		rides, err := c.ride(user + n)
		if err != nil {
			return signedRequest{}, err
		}
		trades = append(trades, rides...)
	}
	codec := openapi.TradeSettle()
	call := openapi.Call{AppID: openapi.AppID(app), Method: codec.Method, Timestamp: benchNow(), Content: codec.AppendRequest(nil, openapi.NewSettleRequest(trades))}
	query, body, err := call.Sign(c.app)
	return signedRequest{query, body}, err
}

// ride is the rides of one user with one grant.
func (c *city) ride(n int) (trades []openapi.Trade, err error) {
	user := ridecode.UserID(fmt.Sprintf("2088%012d", n%usersCount))
	at := benchNow().Add(-time.Hour).Add(time.Duration(n/codesASecond) * time.Second)
	authorization, err := c.issuer.Authorize(context.Background(), codeissuer.Request{UserID: user}, at)
	if err != nil {
		return nil, err
	}
	phone, err := wallet.New(authorization.Grant, authorization.UserKey)
	if err != nil {
		return nil, err
	}
	for i := range ridesEach {
		at = at.Add(time.Duration(i) * time.Minute)
		number := c.made.Add(1)
		gate := int(number) % gatesCount
		code, err := phone.Present(at)
		if err != nil {
			return nil, err
		}
		info := record.TerminalInfo{POSID: posID(gate), Kind: record.Single, Subject: "bus192", Line: "192", RecordID: fmt.Sprintf("%s_%08d", posID(gate), number)}
		got := c.gates[gate].Accept(code, terminal.Tap{POSParam: info.JSON(), AmountFen: fareFen}, at)
		if got.Verdict != ridecode.Success {
			return nil, errors.New(got.Trace.Reason())
		}
		trades = append(trades, openapi.Trade{OutTradeNo: openapi.OutTradeNo(fmt.Sprintf("192_%s_%x_%d", at.Format("20060102150405"), record.Identify(got.Record), number))[:60],
			UserID: user, OrderTime: at, Subject: "公交-192路", AmountFen: fareFen, BizContext: `{"line":"192"}`, Records: [][]byte{got.Record}})
	}
	return trades, nil
}

// pathRate is how many trades a second are settled through HTTP. The answers are looked at afterwards.
func (c *city) pathRate(requests []signedRequest, lasts time.Duration) (figure, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: pathClients}}
	answers, errs := make([][][]byte, pathClients), make([]error, pathClients)
	var next atomic.Int64
	var wait sync.WaitGroup
	began := time.Now()
	for worker := range pathClients {
		wait.Go(func() {
			for time.Since(began) < lasts && errs[worker] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(requests) {
					errs[worker] = errors.New("all requests are used up: pathMost is too small for this machine")
					return
				}
				var answer []byte
				answer, errs[worker] = c.send(client, requests[i])
				answers[worker] = append(answers[worker], answer)
			}
		})
	}
	wait.Wait()
	took := time.Since(began)
	count := 0
	for _, all := range answers {
		for _, answer := range all {
			settled := bytes.Count(answer, []byte(`"result":"SUCCESS"`))
			if settled != listSize {
				return figure{}, fmt.Errorf("%d of a list of %d were settled: %.500s", settled, listSize, answer)
			}
			count += settled
		}
	}
	return figure{rate: float64(count) / took.Seconds()}, errors.Join(errs...)
}

func (c *city) send(client *http.Client, r signedRequest) ([]byte, error) {
	response, err := client.Post(c.url+"?"+r.query, "application/x-www-form-urlencoded;charset=utf-8", bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}
