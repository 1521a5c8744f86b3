package gateway_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
)

const (
	appID      = "2026051100000001"
	otherAppID = "2026051100000002"

	generator = "0279BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798"
)

// The keys of this run: an app's, the platform's, and a stranger's.
var (
	appKey      = sync.OnceValue(newKey)
	platformKey = sync.OnceValue(newKey)
	strangerKey = sync.OnceValue(newKey)
	rootKey     = sync.OnceValue(newKey)
)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, openapi.MinKeyBits)
	if err != nil {
		panic(err)
	}
	return key
}

func signerOf(key *rsa.PrivateKey) openapi.PrivateKey {
	signer, err := openapi.NewPrivateKey(key)
	if err != nil {
		panic(err)
	}
	return signer
}

func noon() time.Time { return time.Date(2026, 5, 11, 4, 0, 0, 0, time.UTC) }

// observer sees what arrives behind the gateway. It moves no money; the institution has its own tests.
type observer struct {
	mutex   sync.Mutex
	settled []payment.Trade
	records [][]byte
	asked   int

	results func([]payment.Trade) []payment.Result // nil: every trade is settled
	verdict error
}

func (o *observer) Settle(_ context.Context, merchant payment.Merchant, trades []payment.Trade, now time.Time) []payment.Result {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.asked++
	o.settled = append(o.settled, trades...)
	if merchant.App != appID || !now.Equal(noon()) {
		return nil
	}
	if o.results != nil {
		return o.results(trades)
	}
	var results []payment.Result
	for _, trade := range trades {
		results = append(results, payment.Result{OutTradeNo: trade.OutTradeNo, Outcome: payment.Settled, TradeNo: "2026051100000000000000000001"})
	}
	return results
}

func (o *observer) VerifyRecord(_ context.Context, merchant payment.Merchant, raw []byte, now time.Time) error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.asked++
	o.records = append(o.records, raw)
	if merchant.App != appID || !now.Equal(noon()) {
		return errors.New("not as configured")
	}
	return o.verdict
}

// world is a gateway on loopback with one app, and what it logs. Payment is observed; everything else is real.
type world struct {
	*observer
	url    string
	log    *logText
	bills  string // a folder: APP_ID/trade-2026-05-10.csv.zip
	config gateway.Config
}

// logText is a log that is read while it is written.
type logText struct {
	mutex sync.Mutex
	text  strings.Builder
}

func (l *logText) Write(b []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(b)
}

func (l *logText) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

// newWorld starts a gateway; change may alter its configuration and its app.
func newWorld(t testing.TB, change func(*gateway.Config, *gateway.App)) *world {
	t.Helper()
	w := &world{observer: &observer{}, log: &logText{}}
	key, err := trust.ParseKey(7, generator)
	if err != nil {
		t.Fatal(err)
	}
	config := gateway.Config{
		Signer: signerOf(platformKey()), Payment: w.observer, Now: noon, Logger: slog.New(slog.NewTextHandler(w.log, nil)),
		IssuerKeys: func() []trust.Key { return []trust.Key{key} },
	}
	w.addParts(t, &config)
	app := gateway.App{
		ID: appID, Merchant: payment.Merchant{App: appID, Account: "merchant:1", LoginName: "pc@alipay.com"}, Key: signerOf(appKey()).Public(),
		Methods: gateway.Methods(),
	}
	if change != nil {
		change(&config, &app)
	}
	if config.Apps == nil {
		config.Apps, err = gateway.NewAppList(app)
		if err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewUnstartedServer(nil)
	w.url = "http://" + server.Listener.Addr().String() + gateway.Path
	if config.Bills != nil {
		config.Bills.URL = strings.TrimSuffix(w.url, gateway.Path)
	}
	w.config = config
	handler, err := gateway.New(config)
	if err != nil {
		t.Fatal(err)
	}
	server.Config = gateway.NewHTTPServer("", handler)
	server.Start()
	t.Cleanup(server.Close)
	return w
}

// addParts are the real cards and rides on an SQLite file, a deny list, bills in a folder, and an authority.
func (w *world) addParts(t testing.TB, config *gateway.Config) {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "gateway.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	config.Cards = codeissuer.NewCards(db.Cards(), cardTypes{"GJ310000": appID, "GJ320000": otherAppID})
	config.Rides = rides.New(db.Rides())
	config.DenyList = denied{"2088000000000001", "2088000000000002", "2088000000000003"}
	w.bills = t.TempDir()
	config.Bills = &gateway.BillService{Files: billFiles(w.bills), URL: "http://replaced.invalid", Key: bytes.Repeat([]byte{7}, 32)}
	certificates, err := gateway.NewCertificates(authority().Root(), platformCert())
	if err != nil {
		t.Fatal(err)
	}
	config.Certificates = func() *gateway.Certificates { return certificates }
}

// The authority of this run, and certificates of the app's key and of the platform's.
var (
	authority    = sync.OnceValue(newAuthority)
	appCert      = sync.OnceValue(func() openapi.Certificate { return certificateOf(appID, appKey()) })
	platformCert = sync.OnceValue(func() openapi.Certificate { return certificateOf("platform", platformKey()) })
)

func newAuthority() *openapi.Authority {
	made, err := openapi.NewAuthority("Test Root", rootKey(), noon())
	if err != nil {
		panic(err)
	}
	return made
}

func certificateOf(subject string, key *rsa.PrivateKey) openapi.Certificate {
	certificate, err := authority().Issue(subject, &key.PublicKey, noon())
	if err != nil {
		panic(err)
	}
	return certificate
}

// certified is the app in certificate mode, with these certificates and no public key.
func certified(revoked bool, certificates ...openapi.Certificate) func(*gateway.Config, *gateway.App) {
	return func(_ *gateway.Config, app *gateway.App) {
		app.Key = nil
		for _, certificate := range certificates {
			known, err := gateway.NewAppCertificate(app.ID, certificate, authority().Root(), revoked)
			if err != nil {
				panic(err)
			}
			app.Certificates = append(app.Certificates, known)
		}
	}
}

// cardTypes are whose card types are.
type cardTypes map[ridecode.CardType]codeissuer.AppID

func (c cardTypes) CardTypeOwner(cardType ridecode.CardType) (codeissuer.AppID, bool) {
	app, registered := c[cardType]
	return app, registered
}

// denied is a deny list, ascending.
type denied []ridecode.UserID

func (d denied) DeniedUsers(_ context.Context, _ payment.AppID, skip, count int) ([]ridecode.UserID, error) {
	skip = min(skip, len(d))
	return d[skip:min(skip+count, len(d))], nil
}

// billFiles is a folder of bills.
type billFiles string

func (f billFiles) Bill(_ context.Context, merchant payment.Merchant, bill gateway.Bill) (*gateway.BillFile, error) {
	file, err := os.Open(filepath.Join(string(f), string(merchant.App), bill.Type+"-"+bill.Date+".csv.zip"))
	if err != nil {
		return nil, err
	}
	return &gateway.BillFile{Name: bill.Type + "_" + bill.Date + ".csv.zip", Modified: noon(), Content: file}, nil
}

func (w *world) client(t testing.TB) *gateway.Client {
	t.Helper()
	client, err := gateway.NewClient(gateway.ClientConfig{URL: w.url, AppID: appID, Signer: signerOf(appKey()),
		PlatformKey: signerOf(platformKey()).Public(), HTTP: &http.Client{Timeout: 20 * time.Second}, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// params is a good request without a content.
func params(method openapi.Method) map[string]string {
	return map[string]string{
		"app_id": appID, "method": string(method), "charset": "utf-8", "sign_type": "RSA2",
		"timestamp": "2026-05-11 12:00:00", "version": "1.0",
	}
}

// signText makes a signature over a text as it would stand in the sign parameter.
func signText(t testing.TB, key *rsa.PrivateKey, signType openapi.SignType, text string) string {
	t.Helper()
	signature, err := signerOf(key).Sign(signType, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(signature)
}

// encode writes a form, only of the names given; all of them without names.
func encode(params map[string]string, names ...string) string {
	values := url.Values{}
	for name, value := range params {
		if len(names) == 0 {
			values.Set(name, value)
		}
	}
	for _, name := range names {
		values.Set(name, params[name])
	}
	return values.Encode()
}

// post sends a request as it is and gives the whole answer.
func (w *world) post(t testing.TB, query, contentType, body string) (header http.Header, answer []byte) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, w.url+"?"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	return w.exchange(t, request)
}

func (w *world) do(t testing.TB, request *http.Request) []byte {
	t.Helper()
	_, answer := w.exchange(t, request)
	return answer
}

func (w *world) exchange(t testing.TB, request *http.Request) (header http.Header, answer []byte) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", response.StatusCode, err)
	}
	return response.Header, answer
}

// node is what stands in an answer, and whether the platform has signed it.
type node struct {
	Name       string
	Signed     bool
	Code       string           `json:"code"`
	Msg        string           `json:"msg"`
	SubCode    string           `json:"sub_code"`
	SubMsg     string           `json:"sub_msg"`
	Keys       []map[string]any `json:"keys"`
	ResultList []map[string]any `json:"result_list"`
}

// read takes an answer apart without the package under test: two members at most, the signature last.
func read(t testing.TB, answer []byte, signTypes ...openapi.SignType) node {
	t.Helper()
	var frame map[string]json.RawMessage
	if err := json.Unmarshal(answer, &frame); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	var n node
	var signature []byte
	for name, value := range frame {
		if name == "sign" {
			n.Signed = json.Unmarshal(value, &signature) == nil
			continue
		}
		if name == "alipay_cert_sn" {
			continue
		}
		n.Name = name
		if err := json.Unmarshal(value, &n); err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
	}
	verifies := func(signType openapi.SignType) bool {
		return signerOf(platformKey()).Public().Verify(signType, frame[n.Name], signature)
	}
	if n.Signed && !slices.ContainsFunc(signTypes, verifies) {
		t.Fatalf("%s: not signed by the platform", answer)
	}
	return n
}
