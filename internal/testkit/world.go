// Package testkit is a whole city in one process (测试城市): every role with real keys, real signatures, real
// journals, real SQLite files and the real gateway, a clock that a test moves, and a line between
// merchant and platform that loses what a test wants lost. It also reads the shared vectors.
package testkit

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/journal"
	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/cardissuer"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
	"github.com/shuama/shuama/role/terminal"
	"github.com/shuama/shuama/role/wallet"
)

// AppID is the one app of a World.
const AppID = "2021000000000001"

// Fares is the table of a World's merchant: bus 19 for 2 yuan, a metro of two stations for 6.
func Fares() fare.Files {
	return fare.Files{
		"lines.csv":  []byte("line,group,fare\n19,bus,2.00\nmetro,metro,matrix\nmetro2,metro,matrix\n"),
		"matrix.csv": []byte("from,A,B\nA,3.00,6.00\nB,6.00,3.00\n"),
	}
}

// World is a city. Its fields may be used as they are; Restart makes its servers anew from disk.
type World struct {
	T        testing.TB
	Dir      string
	Issuer   *codeissuer.Issuer
	Payment  *payment.Payment
	Books    payment.Store
	Payee    payment.Merchant
	Merchant *merchant.Merchant
	Cards    *codeissuer.Cards // the platform's register of virtual cards, all of AppID
	Rides    *rides.Register
	Desk     *cardissuer.Issuer // the merchant's own card book
	Line     *Line
	Handler  http.Handler

	now       time.Time
	slots     []codeissuer.Slot
	ring      *trust.KeyRing
	terminals registered
	logger    *slog.Logger
	office    *store.DB     // the merchant's
	elsewhere payment.Store // nil: a file of its own
	policy    *payment.Policy
	platform  openapi.PrivateKey
	app       openapi.PrivateKey
	appKey    *rsa.PrivateKey
	publicKey *rsa.PublicKey // the platform's
	open      []io.Closer
}

// New makes a city with a guarantee fund of guaranteeFen, at eight in the morning.
func New(t testing.TB, guaranteeFen money.Fen) *World {
	t.Helper()
	return NewLogging(t, guaranteeFen, slog.New(slog.DiscardHandler))
}

// NewLogging is New with somebody who reads the gateway's log.
func NewLogging(t testing.TB, guaranteeFen money.Fen, logger *slog.Logger) *World {
	t.Helper()
	return newWorld(t, guaranteeFen, &World{logger: logger})
}

// NewOver is New over books that are kept elsewhere, as an institution with this policy.
func NewOver(t testing.TB, guaranteeFen money.Fen, books payment.Store, policy payment.Policy) *World {
	t.Helper()
	return newWorld(t, guaranteeFen, &World{logger: slog.New(slog.DiscardHandler), elsewhere: books, policy: &policy})
}

func newWorld(t testing.TB, guaranteeFen money.Fen, w *World) *World {
	t.Helper()
	w.T, w.Dir, w.now, w.terminals = t, t.TempDir(), time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), registered{}
	w.Payee = payment.Merchant{App: AppID, Account: payment.MerchantAccount("transit"), LoginName: "transit@example.com"}
	if w.policy == nil {
		policy := payment.DefaultPolicy()
		w.policy = &policy
	}
	w.makeKeys()
	w.Restart()
	w.must(w.Payment.OpenHouse(t.Context(), w.now))
	w.must(w.Payment.OpenMerchant(t.Context(), w.Payee))
	if guaranteeFen > 0 {
		w.must(w.Payment.TopUp(t.Context(), payment.TopUp{Number: "guarantee", Account: payment.GuaranteeAccount, AmountFen: guaranteeFen, At: w.now}))
	}
	t.Cleanup(w.close)
	return w
}

func (w *World) must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

func (w *World) makeKeys() {
	w.T.Helper()
	var list []trust.Key
	for id := range ridecode.KeyID(3) {
		private, err := secp256k1.GenerateKey(rand.Reader)
		w.must(err)
		w.slots = append(w.slots, codeissuer.Slot{ID: id, Public: private.PublicKey(), Signer: private})
		list = append(list, trust.Key{ID: id, Public: private.PublicKey()})
	}
	var err error
	w.ring, err = trust.NewKeyRing(list, trust.WindowSmall)
	w.must(err)
	var platformKey *rsa.PrivateKey
	w.platform, platformKey = w.rsa()
	w.publicKey = &platformKey.PublicKey
	w.app, w.appKey = w.rsa()
}

func (w *World) rsa() (openapi.PrivateKey, *rsa.PrivateKey) {
	w.T.Helper()
	private, err := rsa.GenerateKey(rand.Reader, openapi.MinKeyBits)
	w.must(err)
	key, err := openapi.NewPrivateKey(private)
	w.must(err)
	return key, private
}

// ClientKeys is the app's private key and the platform's public key, as other people's clients take them.
func (w *World) ClientKeys() (appPrivate, platformPublic string) {
	w.T.Helper()
	private, err := openapi.MarshalPrivateKey(w.appKey, openapi.PKCS8)
	w.must(err)
	public, err := openapi.MarshalPublicKey(w.publicKey)
	w.must(err)
	return openapi.BareKey(private), openapi.BareKey(public)
}

// Restart closes the books of payment institution and merchant, and opens them again from disk.
func (w *World) Restart() {
	w.T.Helper()
	w.close()
	books, err := store.Open(filepath.Join(w.Dir, "payment.db"))
	w.must(err)
	office, err := store.Open(filepath.Join(w.Dir, "merchant.db"))
	w.must(err)
	w.open = []io.Closer{books, office}
	if w.Books = w.elsewhere; w.Books == nil {
		w.Books = books.Payment()
	}
	w.Payment = payment.New(w.Books, w.ring, w.terminals, *w.policy)
	w.Cards, w.Rides = codeissuer.NewCards(books.Cards(), ownTypes{}), rides.New(books.Rides())
	w.Issuer, err = codeissuer.New(codeissuer.Config{Slots: w.slots, Active: codeissuer.RotateEvery(24 * time.Hour),
		Terms: codeissuer.DefaultTerms(), Users: w.Payment, Cards: w.Cards, Random: rand.Reader})
	w.must(err)
	w.connect(office)
}

// connect puts the real gateway and its client between merchant and payment institution.
func (w *World) connect(office *store.DB) {
	w.T.Helper()
	apps, err := gateway.NewAppList(gateway.App{ID: AppID, Merchant: w.Payee, Key: w.app.Public(),
		Methods: []openapi.Method{openapi.MethodKeyQuery, openapi.MethodRecordVerify, openapi.MethodTradeSettle, openapi.MethodCardSend, openapi.MethodDataSend}})
	w.must(err)
	w.Handler, err = gateway.New(gateway.Config{Apps: apps, Signer: w.platform, Payment: w.Payment, Cards: w.Cards, Rides: w.Rides, Now: w.Now,
		IssuerKeys: w.Issuer.Keys, Logger: w.logger})
	w.must(err)
	if w.Line == nil {
		w.Line = &Line{}
	}
	w.Line.handler = w.Handler
	w.Desk, err = cardissuer.New(office.Issuer(), cardissuer.Config{})
	w.must(err)
	w.office = office
	w.Merchant = w.MerchantWith(merchant.NewCardSettler(w.Client(), w.Client(), w.Till()))
}

// MerchantWith is the merchant, settling with another settler.
func (w *World) MerchantWith(settler merchant.Settler) *merchant.Merchant {
	w.T.Helper()
	fares, err := fare.Parse(Fares())
	w.must(err)
	m, err := merchant.New(w.office.Merchant(), settler, merchant.Config{Keys: w.ring, Clock: ridecode.DefaultClock(), Fares: fares})
	w.must(err)
	return m
}

// Teller tells the platform of the merchant's rides, over the World's Line.
func (w *World) Teller() *merchant.Teller {
	w.T.Helper()
	teller, err := merchant.NewTeller(w.office.Merchant(), w.Client(), merchant.TellerConfig{IsOutside: w.Till().Holds,
		RideSettings: merchant.RideSettings{Channel: "test", CityName: "杭州", PartnerName: "杭州公交", PartnerID: AppID}})
	w.must(err)
	return teller
}

// Client calls the gateway over the World's Line.
func (w *World) Client() *gateway.Client {
	w.T.Helper()
	client, err := gateway.NewClient(gateway.ClientConfig{URL: "http://platform.invalid" + gateway.Path, AppID: AppID, Signer: w.app,
		PlatformKey: w.platform.Public(), HTTP: &http.Client{Transport: w.Line}, Now: w.Now})
	w.must(err)
	return client
}

func (w *World) close() {
	for _, opened := range w.open {
		w.must(opened.Close())
	}
	w.open = nil
}

// Now is the city's clock.
func (w *World) Now() time.Time { return w.now }

// Pass moves the clock.
func (w *World) Pass(d time.Duration) { w.now = w.now.Add(d) }

// Rider opens an account with balanceFen and a credit line, and gives its phone a grant.
func (w *World) Rider(user ridecode.UserID, balanceFen, creditFen money.Fen) *wallet.Wallet {
	w.T.Helper()
	w.must(w.Payment.OpenUser(w.T.Context(), user, creditFen))
	if balanceFen > 0 {
		w.must(w.Payment.TopUp(w.T.Context(), payment.TopUp{Number: "first " + string(user), Account: payment.UserAccount(user), AmountFen: balanceFen, At: w.now}))
	}
	return w.Phone(codeissuer.Request{UserID: user})
}

// Phone gets a grant.
func (w *World) Phone(request codeissuer.Request) *wallet.Wallet {
	w.T.Helper()
	authorization, err := w.Issuer.Authorize(w.T.Context(), request, w.now)
	w.must(err)
	phone, err := wallet.New(authorization.Grant, authorization.UserKey)
	w.must(err)
	return phone
}

// Balance is what stands on an account; an account that does not exist has none.
func (w *World) Balance(id ledger.AccountID) money.Fen {
	w.T.Helper()
	accounts, err := w.Payment.Accounts(w.T.Context(), id)
	w.must(err)
	return accounts[id].Balance
}

// Audit fails the test unless every fen is proven.
func (w *World) Audit() payment.AuditReport {
	w.T.Helper()
	report, err := w.Payment.Audit(w.T.Context())
	w.must(err)
	for _, fault := range report.Faults {
		w.T.Error("audit: " + fault)
	}
	return report
}

// registered is the terminals whose records the payment institution can check.
type registered map[string]record.Integrity

// TerminalIntegrity finds what checks a terminal's records.
func (r registered) TerminalIntegrity(app payment.AppID, posID string) (record.Integrity, bool) {
	integrity, known := r[string(app)+" "+posID]
	return integrity, known
}

// Gate is a terminal with its journal.
type Gate struct {
	*terminal.Terminal
	World   *World
	Info    record.TerminalInfo
	FareFen money.Fen

	journal *journal.Journal
	taps    int
}

// Gate makes a terminal, registers its key, and opens its journal.
func (w *World) Gate(info record.TerminalInfo, fareFen money.Fen) *Gate {
	w.T.Helper()
	private, err := secp256k1.GenerateKey(rand.Reader)
	w.must(err)
	w.terminals[AppID+" "+info.POSID] = record.TerminalKey{Public: private.PublicKey()}
	return w.GateSignedBy(info, fareFen, record.TerminalSigner{Private: private})
}

// GateSignedBy makes a terminal that the payment institution has not been told of.
func (w *World) GateSignedBy(info record.TerminalInfo, fareFen money.Fen, signer record.IntegritySigner) *Gate {
	w.T.Helper()
	j, err := journal.Open(filepath.Join(w.Dir, info.POSID+".journal"))
	w.must(err)
	w.T.Cleanup(func() { j.Close() })
	g := &Gate{World: w, Info: info, FareFen: fareFen, journal: j}
	g.Terminal = terminal.New(g, 100_000)
	g.Configure(terminal.Settings{Keys: w.ring, CardTypes: []ridecode.CardType{ridecode.PlainCardType, "GJ310000", "GJ310001"},
		Clock: ridecode.DefaultClock(), Signer: signer, Chained: true})
	return g
}

// Keep puts a record into the gate's journal.
func (g *Gate) Keep(acceptance []byte) error {
	_, err := g.journal.Append(1, acceptance)
	return err
}

// Tap lets a phone show the code of this moment to the gate.
func (g *Gate) Tap(phone *wallet.Wallet) terminal.Acceptance {
	g.World.T.Helper()
	code, err := phone.Present(g.World.now)
	g.World.must(err)
	return g.Scan(code)
}

// Scan offers bytes to the gate.
func (g *Gate) Scan(code []byte) terminal.Acceptance {
	g.taps++
	info := g.Info
	info.RecordID = fmt.Sprintf("%s_%06d", info.POSID, g.taps)
	return g.Accept(code, terminal.Tap{POSParam: info.JSON(), AmountFen: g.FareFen}, g.World.now)
}

// Records is all that the gate's journal holds.
func (g *Gate) Records() [][]byte {
	g.World.T.Helper()
	var records [][]byte
	g.World.must(g.journal.Replay(0, func(entry journal.Entry) error {
		records = append(records, entry.Payload)
		return nil
	}))
	return records
}

// Line is the network between merchant and platform.
type Line struct {
	// Fate says what becomes of the next request; nil is Delivered.
	Fate func() Fate

	mutex   sync.Mutex
	handler http.Handler
}

// Fate is what a line does to a request.
type Fate int

// The fates.
const (
	Delivered   Fate = iota
	RequestLost      // the platform never sees it
	AnswerLost       // the platform has done it, and nobody is told
	Doubled          // the platform gets it twice, and the second answer arrives
)

// errLost is all that a client learns of a lost request or answer.
var errLost = errors.New("testkit: the line is dead")

// RoundTrip carries one request.
func (l *Line) RoundTrip(request *http.Request) (*http.Response, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	fate := Delivered
	if l.Fate != nil {
		fate = l.Fate()
	}
	if fate == RequestLost {
		return nil, errLost
	}
	if fate == Doubled {
		again := request.Clone(context.WithoutCancel(request.Context()))
		body, err := request.GetBody()
		if err != nil {
			return nil, err
		}
		again.Body = body
		l.handler.ServeHTTP(httptest.NewRecorder(), again)
	}
	answer := httptest.NewRecorder()
	l.handler.ServeHTTP(answer, request)
	if fate == AnswerLost {
		return nil, errLost
	}
	return answer.Result(), nil
}

// Another makes another server of the institution, over the same books.
func (w *World) Another(policy payment.Policy) *payment.Payment {
	return payment.New(w.Books, w.ring, w.terminals, policy)
}

// Terminals is what the payment institution knows of terminals.
func (w *World) Terminals() payment.TerminalKeys { return w.terminals }
