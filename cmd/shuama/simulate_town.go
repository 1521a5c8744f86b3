package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/edge/store/postgres"
	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
	"github.com/shuama/shuama/role/payment"
)

// What a simulated city is.
const (
	shardsCount   = 8 // riders and gates fall into so many parts, each with its own random numbers: the sums hang on no scheduler
	keysCount     = 4
	leakedKeyID   = ridecode.KeyID(0)
	townApp       = "2021000000000001"
	walletFen     = money.Fen(100_00)
	poorFen       = money.Fen(5_00)
	creditFen     = money.Fen(50_00)
	guaranteeFen  = money.Fen(1_000_000_00)
	topUpFen      = money.Fen(30_00)
	topUpEachDays = 3
)

// town is a simulated city.
type town struct {
	plan   simulateCommand
	world  *world
	start  time.Time
	clock  atomic.Int64 // unix seconds
	shards [shardsCount]*shard
	random *mathrand.Rand

	issuer    *codeissuer.Issuer
	payment   *payment.Payment
	merchant  *merchant.Merchant
	payee     payment.Merchant
	keys      []trust.Key
	leaked    *secp256k1.PrivateKey
	revoked   bool
	authority trust.SeedSigner
	reader    trust.Authority
	bundle    *trust.Bundle
	ring      *trust.KeyRing // of the bundle
	terminals townTerminals
	line      *townLine
	closers   []io.Closer

	tally    simTally
	progress progress
}

// townTerminals is what the payment institution knows of gates.
type townTerminals map[string]record.Integrity

// TerminalIntegrity finds what checks a gate's records.
func (t townTerminals) TerminalIntegrity(_ payment.AppID, posID string) (record.Integrity, bool) {
	integrity, known := t[posID]
	return integrity, known
}

func (t *town) now() time.Time { return time.Unix(t.clock.Load(), 0).UTC() }

// foundTown opens books, makes keys, and gives riders their accounts.
func foundTown(w *world, plan simulateCommand, dir string) (t *town, err error) {
	t = &town{plan: plan, world: w, start: time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC), terminals: townTerminals{},
		payee:  payment.Merchant{App: townApp, Account: payment.MerchantAccount("transit"), LoginName: "transit@example.com"},
		random: mathrand.New(mathrand.NewPCG(plan.Seed, shardsCount)), tally: newSimTally()}
	t.clock.Store(t.start.Unix())
	t.progress.begin(w)
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	slots, err := t.makeKeys()
	if err != nil {
		return t, err
	}
	books, err := t.openBooks(dir)
	if err != nil {
		return t, err
	}
	ring, err := trust.NewKeyRing(t.keys, trust.WindowFast)
	if err != nil {
		return t, err
	}
	ring.Remember(1 << 16)
	t.payment = payment.New(books, ring, t.terminals, payment.DefaultPolicy())
	t.issuer, err = codeissuer.New(codeissuer.Config{Slots: slots, Active: t.activeKey, Terms: codeissuer.DefaultTerms(), Users: t.payment, Random: rand.Reader})
	if err != nil {
		return t, err
	}
	if err := t.serve(dir, ring); err != nil {
		return t, err
	}
	if err := t.openAccounts(w.context); err != nil {
		return t, err
	}
	if err := t.publish(w.context); err != nil {
		return t, err
	}
	return t, t.makeShards(dir)
}

// activeKey signs with the key that will leak until it is taken away, and with the next one then.
func (t *town) activeKey(time.Time, []trust.Key) ridecode.KeyID {
	if t.revoked {
		return leakedKeyID + 1
	}
	return leakedKeyID
}

func (t *town) makeKeys() (slots []codeissuer.Slot, err error) {
	for id := range ridecode.KeyID(keysCount) {
		private, err := secp256k1.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		if id == leakedKeyID {
			t.leaked = private
		}
		slots = append(slots, codeissuer.Slot{ID: id, Public: private.PublicKey(), Signer: private})
		t.keys = append(t.keys, trust.Key{ID: id, Public: private.PublicKey()})
	}
	seed := make([]byte, 32)
	if _, err := rand.Read(seed); err != nil {
		return nil, err
	}
	if t.authority, err = trust.NewSeedSigner(seed); err != nil {
		return nil, err
	}
	t.reader, err = trust.NewAuthority(t.authority.PublicKey())
	return slots, err
}

func (t *town) openBooks(dir string) (payment.Store, error) {
	if t.plan.Database == "" {
		db, err := store.Open(filepath.Join(dir, "payment.db"))
		if err != nil {
			return nil, err
		}
		t.closers = append(t.closers, db)
		return db.Payment(), nil
	}
	db, err := postgres.Open(t.world.context, t.plan.Database)
	if err != nil {
		return nil, fmt.Errorf("--database: %w", err)
	}
	t.closers = append(t.closers, db)
	report, err := db.Payment().Audit(t.world.context)
	if err == nil && report.Accounts > 0 {
		err = errors.New("--database: there are books in it already: make an empty one with createdb")
	}
	return db.Payment(), err
}

// serve puts the real gateway on a port, and a merchant with books of its own before it.
func (t *town) serve(dir string, ring *trust.KeyRing) error {
	platform, err := openapi.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	app, err := openapi.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	apps, err := gateway.NewAppList(gateway.App{ID: townApp, Merchant: t.payee, Key: app.Public(), Methods: []openapi.Method{openapi.MethodTradeSettle}})
	if err != nil {
		return err
	}
	handler, err := gateway.New(gateway.Config{Apps: apps, Signer: platform, Payment: t.payment, IssuerKeys: t.issuer.Keys, Now: t.now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := gateway.NewHTTPServer("", handler)
	go func() { _ = server.Serve(listener) }()
	t.closers = append(t.closers, server)
	t.line = &townLine{random: mathrand.New(mathrand.NewPCG(t.plan.Seed, shardsCount+1)), lost: t.plan.Lost, to: &http.Transport{}}
	client, err := gateway.NewClient(gateway.ClientConfig{URL: "http://" + listener.Addr().String() + gateway.Path, AppID: townApp, Signer: app,
		PlatformKey: platform.Public(), HTTP: &http.Client{Transport: t.line, Timeout: time.Minute}, Now: t.now})
	if err != nil {
		return err
	}
	office, err := store.Open(filepath.Join(dir, "merchant.db"))
	if err != nil {
		return err
	}
	t.closers = append(t.closers, office)
	fares, err := fare.Parse(fare.Files{"lines.csv": []byte(t.fareTable())})
	if err != nil {
		return err
	}
	t.merchant, err = merchant.New(office.Merchant(), client, merchant.Config{Keys: ring, Clock: ridecode.DefaultClock(), Fares: fares})
	return err
}

func lineName(n int) string { return fmt.Sprintf("bus%d", n) }

// lineFare is 2 to 4 yuan.
func lineFare(n int) money.Fen { return money.Fen(200 + n%3*100) }

func (t *town) fareTable() string {
	var lines strings.Builder
	lines.WriteString("line,group,fare\n")
	for n := range t.plan.Lines {
		fmt.Fprintf(&lines, "%s,bus,%s\n", lineName(n), lineFare(n).Yuan())
	}
	return lines.String()
}

// openAccounts opens the institution's, the merchant's, and the riders' accounts, and fills them.
func (t *town) openAccounts(ctx context.Context) error {
	if err := t.payment.OpenHouse(ctx, t.now()); err != nil {
		return err
	}
	if err := t.payment.OpenMerchant(ctx, t.payee); err != nil {
		return err
	}
	if err := t.topUp(ctx, "guarantee", payment.GuaranteeAccount, guaranteeFen); err != nil {
		return err
	}
	for n := range t.plan.Riders {
		balance, credit := walletFen, creditFen
		if t.isPoor(n) {
			balance, credit = poorFen, 0
		}
		if err := t.payment.OpenUser(ctx, riderID(n), credit); err != nil {
			return err
		}
		if err := t.topUp(ctx, fmt.Sprintf("first %d", n), payment.UserAccount(riderID(n)), balance); err != nil {
			return err
		}
		t.progress.say("opening accounts: %d of %d riders", n+1, t.plan.Riders)
	}
	return nil
}

func (t *town) topUp(ctx context.Context, number string, account ledger.AccountID, amount money.Fen) error {
	t.tally.ToppedUpFen += amount
	return t.payment.TopUp(ctx, payment.TopUp{Number: number, Account: account, AmountFen: amount, At: t.now()})
}

func riderID(n int) ridecode.UserID { return ridecode.UserID(fmt.Sprintf("2088%012d", n)) }

// The first riders are the poor, the next are those whom the institution will stop.
func (t *town) isPoor(n int) bool { return n < int(t.plan.Poor*float64(t.plan.Riders)) }

func (t *town) isStopped(n int) bool {
	return !t.isPoor(n) && n < int((t.plan.Poor+t.plan.Denied)*float64(t.plan.Riders))
}

// publish signs the next trust bundle, and reads it as a gate does.
func (t *town) publish(ctx context.Context) error {
	now := t.now()
	days := func(count int) time.Time { return now.AddDate(0, 0, count) }
	draft := trust.Draft{Serial: 1, Issued: now, AlarmFrom: days(3), StaleAfter: days(7), DeadAfter: days(30), GraceLimitFen: 500,
		Versions:  trust.Versions{Keys: 1, CardRules: 1, DenyList: 1, Clock: 1},
		CardRules: []trust.CardRule{{Type: ridecode.PlainCardType, AnyInstitution: true, AnyClass: true}},
		Clock:     trust.Clock{Policy: ridecode.DefaultClock()}}
	for _, key := range t.keys {
		if key.ID != leakedKeyID || !t.revoked {
			draft.Keys = append(draft.Keys, key.Encode())
		}
	}
	denied, err := t.payment.Denied(ctx, now)
	if err != nil {
		return err
	}
	for _, d := range denied {
		draft.DeniedUsers = append(draft.DeniedUsers, trust.DeniedUser{User: d.User})
	}
	if t.bundle != nil {
		follow(&draft, t.bundle.Draft())
	}
	signed, err := draft.Sign(t.authority)
	if err != nil {
		return err
	}
	unverified, err := trust.Parse(signed)
	if err != nil {
		return err
	}
	if t.bundle, err = unverified.Verify(t.reader); err != nil {
		return err
	}
	if t.ring, err = t.bundle.KeyRing(trust.WindowSmall); err == nil {
		t.ring.Remember(1 << 14)
	}
	return err
}

func (t *town) close() (err error) {
	for _, s := range t.shards {
		if s != nil {
			err = errors.Join(err, s.close())
		}
	}
	for i := len(t.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, t.closers[i].Close())
	}
	t.closers = nil
	return err
}

// townLine is the network between merchant and platform: it loses requests before they arrive and answers after.
type townLine struct {
	random *mathrand.Rand
	lost   float64
	to     http.RoundTripper
	losses int64
}

var errTownLine = errors.New("simulate: the network is away")

// RoundTrip carries one request, or does not.
func (l *townLine) RoundTrip(request *http.Request) (*http.Response, error) {
	draw := l.random.Float64()
	if draw < l.lost/2 {
		l.losses++
		return nil, errTownLine
	}
	response, err := l.to.RoundTrip(request)
	if err != nil || draw >= l.lost {
		return response, err
	}
	l.losses++
	_, _ = io.Copy(io.Discard, response.Body)
	return nil, errors.Join(errTownLine, response.Body.Close())
}
