package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/protocol/openapi"
)

// following is a city whose server runs while its settings change.
type following struct {
	t       *testing.T
	dir     string
	address string
	log     lockedText
}

// lockedText is written by a server and read by a test.
type lockedText struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *lockedText) Write(b []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(b)
}

func (l *lockedText) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

const followedApp = "2021000000000001"

func newFollowing(t *testing.T, prepare ...func(*following)) *following {
	f := &following{t: t, dir: t.TempDir(), address: freeAddress(t)}
	f.shuama("keys init city", "keys app city "+followedApp+" --out merchant --gateway http://"+f.address+gateway.Path)
	for _, p := range prepare {
		p(f)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	w := &world{context: ctx, stdin: strings.NewReader(""), stdout: io.Discard, stderr: &f.log, now: time.Now}
	go func() { ended <- run(w, []string{"serve", f.path("city"), "--listen", f.address}) }()
	t.Cleanup(func() {
		stop()
		if status := <-ended; status != exitAccepted {
			t.Errorf("serve ended with %d: %s", status, f.log.String())
		}
	})
	f.until("the server to answer", func() bool { return f.sub(f.client("merchant.sealed")) == "" })
	return f
}

func (f *following) path(name string) string { return filepath.Join(f.dir, name) }

// args are a command's; the names of the city's folder and of those beside it are made into paths.
func (f *following) args(command string) []string {
	args := strings.Fields(command)
	for i, arg := range args {
		if i > 0 && (arg == "city" || arg == "merchant") || strings.HasPrefix(arg, "files-") {
			args[i] = f.path(arg)
		}
	}
	return args
}

// shuama runs commands.
func (f *following) shuama(commands ...string) (out string) {
	f.t.Helper()
	for _, command := range commands {
		var text bytes.Buffer
		args := f.args(command)
		w := &world{context: f.t.Context(), stdin: strings.NewReader(""), stdout: &text, stderr: &text, now: time.Now}
		if status := run(w, args); status != exitAccepted {
			f.t.Fatalf("shuama %s: status %d: %s", command, status, text.String())
		}
		out = text.String()
	}
	return out
}

// until waits for what a running server takes up.
func (f *following) until(what string, done func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("waited in vain for %s; log: %s", what, f.log.String())
		}
	}
}

// client calls with a private key of the merchant's folder.
func (f *following) client(key string, change ...func(*gateway.ClientConfig)) *gateway.Client {
	f.t.Helper()
	sealer, err := hsm.KeyFileSealer(f.path("merchant/sealing.key"))
	if err != nil {
		f.t.Fatal(err)
	}
	private, err := unsealRSA(f.path("merchant/"+key), sealer)
	if err != nil {
		f.t.Fatal(err)
	}
	signer, err := openapi.NewPrivateKey(private)
	if err != nil {
		f.t.Fatal(err)
	}
	platform, err := os.ReadFile(f.path("merchant/platform.pub"))
	if err != nil {
		f.t.Fatal(err)
	}
	public, err := parseRSAPublic(string(platform))
	if err != nil {
		f.t.Fatal(err)
	}
	config := gateway.ClientConfig{URL: "http://" + f.address + gateway.Path, AppID: followedApp, Signer: signer, PlatformKey: public,
		HTTP: &http.Client{Timeout: 20 * time.Second}, Now: time.Now}
	for _, c := range change {
		c(&config)
	}
	client, err := gateway.NewClient(config)
	if err != nil {
		f.t.Fatal(err)
	}
	return client
}

// sub is the sub_code that a call of key.query is answered with; empty for success.
func (f *following) sub(client *gateway.Client) openapi.SubCode {
	f.t.Helper()
	_, err := client.KeyQuery(f.t.Context())
	return subCodeOf(err)
}

func subCodeOf(err error) openapi.SubCode {
	var refusal *openapi.Error
	var unsigned *openapi.UnsignedError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refusal):
		return refusal.SubCode
	case errors.As(err, &unsigned):
		return unsigned.Claim.SubCode
	}
	return openapi.SubCode(err.Error())
}

// A running server takes up at once what shuama app and its neighbours change.
func TestServeFollowsApps(t *testing.T) {
	f := newFollowing(t)
	client := f.client("merchant.sealed")
	change := func(want openapi.SubCode, command string) {
		t.Helper()
		f.shuama(command)
		f.until(command, func() bool { return f.sub(client) == want })
	}
	app := " city " + followedApp + " "
	change(openapi.SubNotPermitted, "app forbid"+app+string(openapi.MethodKeyQuery))
	change("", "app allow"+app+"--all")
	change(openapi.SubInvalidAppState, "app disable"+app)
	change("", "app enable"+app)
	change(openapi.SubNotPermitted, "app address"+app+"10.0.0.0/8 2001:db8::1")
	change("", "app address"+app+"127.0.0.1 10.0.0.0/8")
	change("", "app address"+app+"--anywhere")
	change(openapi.SubMethodLimited, "app limit"+app+"1 --method "+string(openapi.MethodKeyQuery))
	change("", "app limit"+app+"0 --method "+string(openapi.MethodKeyQuery))
	change(openapi.SubAppLimited, "app limit"+app+"1")
	change("", "app limit"+app+"0")
	if out := f.shuama("app list city"); !strings.Contains(out, followedApp+"  merchant merchant, public key, 8 methods") {
		t.Errorf("list: %s", out)
	}
	f.shuama("app remove" + app + "--sure")
	f.until("the app to be gone", func() bool { return f.sub(client) == openapi.SubInvalidAppID })
	var text bytes.Buffer
	w := &world{context: t.Context(), stdout: &text, stderr: &text, now: time.Now}
	if status := run(w, []string{"keys", "app", f.path("city"), followedApp, "--out", f.path("other")}); status != exitMisuse || !strings.Contains(text.String(), "was removed") {
		t.Errorf("the number is given again: %d %s", status, text.String())
	}
}

// Keys change while both sides go on: first two hold, then one; certificates hold until they are revoked, and a stolen
// key is out of every mode.
func TestServeFollowsKeys(t *testing.T) {
	f := newFollowing(t)
	old := f.client("merchant.sealed")
	if err := os.Link(f.path("merchant/merchant.sealed"), f.path("merchant/old.sealed")); err != nil {
		t.Fatal(err)
	}
	app := " city " + followedApp + " "
	f.shuama("app rotate-key" + app + "--merchant merchant")
	fresh := f.client("merchant.sealed")
	f.until("the new key", func() bool { return f.sub(fresh) == "" })
	if sub := f.sub(old); sub != "" {
		t.Errorf("the old key beside the new one: %s", sub)
	}
	f.shuama("app rotate-key" + app + "--finish")
	f.until("the old key to go", func() bool { return f.sub(old) == openapi.SubInvalidSignature })

	f.shuama("keys ca city", "app certificate"+app+"--out files-certs --keep 0s")
	root, err := readCertificate(f.path("files-certs/" + rootCertName))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := readCertificate(f.path("files-certs/" + appCertName(followedApp)))
	if err != nil {
		t.Fatal(err)
	}
	certified := f.client("merchant.sealed", func(c *gateway.ClientConfig) { c.CertSN, c.RootCertSN = certificate.SN(), openapi.RootSN(root) })
	f.until("the certificate", func() bool { return f.sub(certified) == "" })
	if sub := f.sub(fresh); sub != openapi.SubMissingSignatureKey {
		t.Errorf("without a certificate: %s", sub)
	}
	if out := f.shuama("app show" + app); !strings.Contains(out, string(certificate.SN())) || !strings.Contains(out, platformCertName) {
		t.Errorf("show: %s", out)
	}
	f.shuama("app revoke" + app + string(certificate.SN()))
	f.until("the revocation", func() bool { return f.sub(certified) == openapi.SubInvalidSignature })
	if sub := f.sub(fresh); sub != openapi.SubMissingSignatureKey {
		t.Errorf("the stolen key in public key mode: %s", sub)
	}
	for _, command := range []string{"app certificate" + app + "--out files-again", "app rotate-key" + app + "--public-key files-stolen.pub"} {
		f.refusesStolen(command)
	}
}

// refusesStolen: the key of a revoked certificate does not come back.
func (f *following) refusesStolen(command string) {
	f.t.Helper()
	sealer, err := hsm.KeyFileSealer(f.path("merchant/sealing.key"))
	if err != nil {
		f.t.Fatal(err)
	}
	private, err := unsealRSA(f.path("merchant/merchant.sealed"), sealer)
	if err != nil {
		f.t.Fatal(err)
	}
	public, err := openapi.MarshalPublicKey(&private.PublicKey)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path("files-stolen.pub"), public, 0o600); err != nil {
		f.t.Fatal(err)
	}
	var text bytes.Buffer
	w := &world{context: f.t.Context(), stdout: &text, stderr: &text, now: time.Now}
	if status := run(w, f.args(command)); status != exitMisuse {
		f.t.Errorf("shuama %s: status %d: %s", command, status, text.String())
	}
}

// Contents are encrypted, cards sent, users denied, as soon as the city says so.
func TestServeFollowsTheRest(t *testing.T) {
	f := newFollowing(t)
	app := " city " + followedApp + " "
	f.shuama("app encrypt" + app + "--out files-content.key")
	text, err := os.ReadFile(f.path("files-content.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := openapi.ParseContentKey(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	encrypting := f.client("merchant.sealed", func(c *gateway.ClientConfig) { c.ContentKey = key })
	verify := func() openapi.SubCode { return subCodeOf(encrypting.VerifyRecord(t.Context(), []byte{1})) }
	f.until("encryption", func() bool { return verify() == openapi.SubFail })
	if content, err := os.ReadFile(f.path("city/contents.sealed")); err != nil || bytes.Contains(content, text[:8]) {
		t.Errorf("%v, or the key lies open", err)
	}
	f.shuama("app encrypt" + app + "--off")
	f.until("no encryption", func() bool { return verify() == openapi.SubDecryptKey })

	client := f.client("merchant.sealed")
	card := openapi.CardSendRequest{Action: openapi.CardIssue, UserID: "2088000011112222", CardType: "GJ310000", CardNo: "1", LastUpdate: time.Now()}
	send := func() openapi.SubCode {
		_, err := gateway.Ask(t.Context(), client, openapi.CardSend(), card)
		return subCodeOf(err)
	}
	if sub := send(); sub != openapi.SubFail {
		t.Errorf("a card type that nobody has: %s", sub)
	}
	f.shuama("app card-type" + app + "GJ310000")
	f.until("the card type", func() bool { return send() == "" })
	f.shuama("trust deny city 2088000000000002", "trust deny city 2088000000000001")
	f.until("the deny list", func() bool {
		page, err := gateway.Ask(t.Context(), client, openapi.DenyListQuery(), openapi.DenyListRequest{PageIndex: 1, PageSize: 1000})
		return err == nil && len(page.Users) == 2 && page.Users[0] == "2088000000000001"
	})
	if err := os.MkdirAll(f.path("city/bills/"+followedApp), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.path("city/bills/"+followedApp+"/trade-2026-05-10.csv.zip"), []byte("bill"), 0o600); err != nil {
		t.Fatal(err)
	}
	bill, err := gateway.Ask(t.Context(), client, openapi.BillQuery(), openapi.BillQueryRequest{BillType: "trade", BillDate: "2026-05-10"})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(bill.DownloadURL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "bill" {
		t.Errorf("%s, %v", body, err)
	}
}
