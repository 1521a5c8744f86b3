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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/payment"
)

const (
	appID     = "2026051100000001"
	generator = "0279BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798"
)

// The keys of this run: an app's, the platform's, and a stranger's.
var (
	appKey      = sync.OnceValue(newKey)
	platformKey = sync.OnceValue(newKey)
	strangerKey = sync.OnceValue(newKey)
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

// world is a gateway on loopback with one app, and what it logs.
type world struct {
	*observer
	url string
	log *logText
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
	app := gateway.App{
		ID: appID, Merchant: payment.Merchant{App: appID, Account: "merchant:1", LoginName: "pc@alipay.com"}, Key: signerOf(appKey()).Public(),
		Methods: []openapi.Method{openapi.MethodKeyQuery, openapi.MethodRecordVerify, openapi.MethodTradeSettle},
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
	handler, err := gateway.New(config)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = gateway.NewHTTPServer("", handler)
	server.Start()
	t.Cleanup(server.Close)
	w.url = server.URL + gateway.Path
	return w
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
	response, err := http.Post(w.url+"?"+query, contentType, bytes.NewReader([]byte(body)))
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
