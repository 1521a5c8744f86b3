package gateway_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
)

// certCall is a call in certificate mode, signed with the app's key unless another is given.
func certCall(certificate openapi.Certificate) openapi.Call {
	return openapi.Call{AppID: appID, Method: openapi.MethodKeyQuery, Timestamp: noon(), CertSN: certificate.SN(), RootCertSN: openapi.RootSN(authority().Root())}
}

func (w *world) send(t testing.TB, call openapi.Call, signer openapi.Signer) []byte {
	t.Helper()
	query, body, err := call.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	_, answer := w.post(t, query, formType, string(body))
	return answer
}

// In certificate mode the answer names the platform's certificate between node and signature (gateway-facts §2).
func TestCertificateMode(t *testing.T) {
	w := newWorld(t, certified(false, appCert()))
	answer := w.send(t, certCall(appCert()), signerOf(appKey()))
	if n := read(t, answer, openapi.RSA2); n.Code != "10000" || !n.Signed {
		t.Fatalf("answer %s", answer)
	}
	if !strings.Contains(string(answer), `]},"alipay_cert_sn":"`+string(platformCert().SN())+`","sign":"`) {
		t.Errorf("answer %s", answer)
	}
	client, err := gateway.NewClient(gateway.ClientConfig{URL: w.url, AppID: appID, Signer: signerOf(appKey()), PlatformKey: signerOf(platformKey()).Public(),
		HTTP: http.DefaultClient, Now: noon, CertSN: appCert().SN(), RootCertSN: openapi.RootSN(authority().Root())})
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := client.KeyQuery(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("%v, %v", keys, err)
	}
	// Key mode has no certificate in its answer: two published clients could not verify it.
	if answer := newWorld(t, nil).call(t, openapi.MethodKeyQuery, ""); strings.Contains(string(answer), "cert_sn") {
		t.Errorf("key mode: %s", answer)
	}
}

// What is wrong with a certificate is told, signed, with the platform's certificate named.
func TestCertificateRefusals(t *testing.T) {
	stranger := certificateOf(appID, strangerKey())
	for _, test := range []struct {
		name   string
		world  func(*gateway.Config, *gateway.App)
		change func(*openapi.Call)
		signer openapi.Signer
		sub    openapi.SubCode
		says   string
	}{
		{"another certificate of the app's", certified(false, appCert()), func(c *openapi.Call) { c.CertSN = stranger.SN() }, nil, openapi.SubNoSignatureConfig, "app_cert_sn"},
		{"the platform's certificate", certified(false, appCert()), func(c *openapi.Call) { c.CertSN = platformCert().SN() }, nil, openapi.SubNoSignatureConfig, "app_cert_sn"},
		{"an app in key mode", nil, func(*openapi.Call) {}, nil, openapi.SubNoSignatureConfig, "app_cert_sn"},
		{"no certificate named", certified(false, appCert()), func(c *openapi.Call) { c.CertSN, c.RootCertSN = "", "" }, nil, openapi.SubMissingSignatureKey, "app_cert_sn"},
		{"no root named", certified(false, appCert()), func(c *openapi.Call) { c.RootCertSN = "" }, nil, openapi.SubMissingSignatureKey, "alipay_root_cert_sn"},
		{"another root", certified(false, appCert()), func(c *openapi.Call) {
			c.RootCertSN = "687b59193f3f462dd5336e5abf83c5d8_02941eef3187dddf3d3b83462e1dfcf6"
		}, nil, openapi.SubInvalidParameter, "alipay_root_cert_sn"},
		{"revoked", certified(true, appCert()), func(*openapi.Call) {}, nil, openapi.SubInvalidSignature, "吊销"},
		{"expired", func(c *gateway.Config, a *gateway.App) {
			certified(false, appCert())(c, a)
			c.Now = func() time.Time { return appCert().NotAfter().Add(time.Second) }
		}, func(*openapi.Call) {}, nil, openapi.SubInvalidSignature, "有效期"},
		{"signed with another key", certified(false, appCert()), func(*openapi.Call) {}, signerOf(strangerKey()), openapi.SubInvalidSignature, "验签出错"},
		{"the certificate of another key", certified(false, appCert(), stranger), func(c *openapi.Call) { c.CertSN = stranger.SN() }, nil, openapi.SubInvalidSignature, "验签出错"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, test.world)
			call := certCall(appCert())
			test.change(&call)
			if test.signer == nil {
				test.signer = signerOf(appKey())
			}
			answer := w.send(t, call, test.signer)
			n := read(t, answer, openapi.RSA2)
			if n.SubCode != string(test.sub) || !n.Signed || !strings.Contains(n.SubMsg, test.says) {
				t.Errorf("answer %s", answer)
			}
			if named := strings.Contains(string(answer), `},"alipay_cert_sn":"`+string(platformCert().SN())+`","sign"`); named != (call.CertSN != "") {
				t.Errorf("the platform's certificate: %s", answer)
			}
		})
	}
}

// A certificate is its app's, and its authority's.
func TestNewAppCertificate(t *testing.T) {
	other, err := openapi.NewAuthority("Test Root", strangerKey(), noon())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.NewAppCertificate(appID, appCert(), other.Root(), false); err == nil {
		t.Error("another authority's")
	}
	if _, err := gateway.NewAppCertificate(otherAppID, appCert(), authority().Root(), false); err == nil {
		t.Error("another app's")
	}
	if _, err := gateway.NewCertificates(other.Root(), platformCert()); err == nil {
		t.Error("a platform of another authority")
	}
}

// A stolen certificate is worth nothing from the moment it is revoked, on a server that goes on running: neither
// by its name nor, with its key, in public key mode.
func TestStolenCertificate(t *testing.T) {
	var revoked atomic.Bool
	w := newWorld(t, func(c *gateway.Config, a *gateway.App) {
		plain := *a
		c.Apps = appsFunc(func() gateway.App {
			app := plain
			certified(revoked.Load(), appCert())(nil, &app)
			return app
		})
	})
	thief := signerOf(appKey())
	if n := read(t, w.send(t, certCall(appCert()), thief), openapi.RSA2); n.Code != "10000" {
		t.Fatalf("before: %+v", n)
	}
	revoked.Store(true)
	if n := read(t, w.send(t, certCall(appCert()), thief), openapi.RSA2); n.SubCode != "isv.invalid-signature" {
		t.Errorf("after: %+v", n)
	}
	plain := certCall(appCert())
	plain.CertSN, plain.RootCertSN = "", ""
	if n := read(t, w.send(t, plain, thief), openapi.RSA2); n.SubCode != "isv.missing-signature-key" {
		t.Errorf("in public key mode: %+v", n)
	}
}

// alipaycert.download is answered to every app, and hands out what checks against the root.
func TestCertDownload(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config, a *gateway.App) { certified(false, appCert())(c, a); a.Methods = nil })
	ask := func(sn openapi.CertSN) []byte {
		call := certCall(appCert())
		call.Method, call.Content = openapi.MethodCertDownload, []byte(`{"alipay_cert_sn":"`+string(sn)+`"}`)
		return w.send(t, call, signerOf(appKey()))
	}
	members := membersOf(t, ask(platformCert().SN()))
	text, err := base64.StdEncoding.DecodeString(fmt.Sprint(members["alipay_cert_content"]))
	if err != nil {
		t.Fatalf("%v in %v", err, members)
	}
	certificate, err := openapi.ParseCertificate(string(text))
	if err != nil || certificate.SN() != platformCert().SN() || certificate.IssuedBy(authority().Root()) != nil {
		t.Errorf("%v", err)
	}
	wantMembers(t, ask("00"), map[string]any{"code": "40004", "sub_code": "FAIL"})
}

// Two keys hold at once until the older one's time is over.
func TestTwoKeys(t *testing.T) {
	now := noon()
	w := newWorld(t, func(c *gateway.Config, a *gateway.App) {
		c.Now = func() time.Time { return now }
		a.PreviousKey, a.PreviousUntil = signerOf(strangerKey()).Public(), noon().Add(time.Hour)
	})
	call := openapi.Call{AppID: appID, Method: openapi.MethodKeyQuery, Timestamp: noon()}
	for after, want := range map[time.Duration]string{0: "10000", time.Hour - time.Second: "10000", time.Hour: "40002"} {
		now = noon().Add(after)
		if n := read(t, w.send(t, call, signerOf(strangerKey())), openapi.RSA2); n.Code != want {
			t.Errorf("the old key after %s: %+v", after, n)
		}
		if n := read(t, w.send(t, call, signerOf(appKey())), openapi.RSA2); n.Code != "10000" {
			t.Errorf("the new key after %s: %+v", after, n)
		}
		if n := read(t, w.send(t, call, signerOf(rootKey())), openapi.RSA2); n.SubCode != "isv.invalid-signature" {
			t.Errorf("a third key after %s: %+v", after, n)
		}
	}
}

// A limit counts what the app has signed, and nothing that others say in its name.
func TestLimits(t *testing.T) {
	now := noon()
	limit := 2
	w := newWorld(t, func(c *gateway.Config, a *gateway.App) {
		c.Now = func() time.Time { return now }
		app := *a
		c.Apps = appsFunc(func() gateway.App { app.Limit.PerSec = limit; return app })
	})
	call := openapi.Call{AppID: appID, Method: openapi.MethodKeyQuery, Timestamp: noon()}
	ask := func(signer openapi.Signer) string { return read(t, w.send(t, call, signer), openapi.RSA2).SubCode }
	for range 5 {
		if sub := ask(signerOf(strangerKey())); sub != "isv.invalid-signature" {
			t.Errorf("a stranger: %s", sub)
		}
	}
	wantEach := func(when string, subs ...string) {
		t.Helper()
		for i, want := range subs {
			if got := ask(signerOf(appKey())); got != want {
				t.Errorf("%s, call %d: %q, want %q", when, i, got, want)
			}
		}
	}
	wantEach("at first", "", "", "isv.app-call-limited", "isv.app-call-limited")
	now = now.Add(500 * time.Millisecond)
	wantEach("half a second later", "", "isv.app-call-limited")
	limit = 5
	wantEach("with a new limit", "isv.app-call-limited")
	now = now.Add(time.Second)
	wantEach("a second later", "", "", "", "", "", "isv.app-call-limited")
	limit = 0
	wantEach("without a limit", "", "", "", "", "", "", "")
}

func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		name, list, trusted, forwarded string
		want                           string
	}{
		{"on the list", "127.0.0.0/8", "", "", ""},
		{"not on the list", "10.0.0.0/8", "", "", "isv.insufficient-isv-permissions"},
		{"a header that nobody trusts", "10.0.0.0/8", "", "10.1.2.3", "isv.insufficient-isv-permissions"},
		{"behind a proxy that is trusted", "10.0.0.0/8", "127.0.0.1/32", "10.1.2.3", ""},
		{"behind two", "10.0.0.0/8", "127.0.0.1/32 192.168.0.0/16", "10.1.2.3, 192.168.1.1", ""},
		{"what a client wrote itself before the proxy's word", "10.0.0.0/8", "127.0.0.1/32", "10.1.2.3, 203.0.113.9", "isv.insufficient-isv-permissions"},
		{"a header of rubbish", "10.0.0.0/8", "127.0.0.1/32", "10.1.2.3, x", "isv.insufficient-isv-permissions"},
		{"IPv6, with a port", "2001:db8::/32", "127.0.0.1/32", "[2001:db8::7]:99", ""},
		{"IPv4 in IPv6", "10.0.0.0/8", "127.0.0.1/32", "::ffff:10.1.2.3", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, func(c *gateway.Config, a *gateway.App) {
				a.Addresses = []netip.Prefix{netip.MustParsePrefix(test.list)}
				for _, proxy := range strings.Fields(test.trusted) {
					c.TrustedProxies = append(c.TrustedProxies, netip.MustParsePrefix(proxy))
				}
			})
			query, _, err := openapi.Call{AppID: appID, Method: openapi.MethodKeyQuery, Timestamp: noon()}.Sign(signerOf(appKey()))
			if err != nil {
				t.Fatal(err)
			}
			request, err := http.NewRequest(http.MethodPost, w.url+"?"+query, nil)
			if err != nil {
				t.Fatal(err)
			}
			if test.forwarded != "" {
				request.Header.Set("X-Forwarded-For", test.forwarded)
			}
			if n := read(t, w.do(t, request), openapi.RSA2); n.SubCode != test.want || !n.Signed {
				t.Errorf("%+v, want %q", n, test.want)
			}
		})
	}
}

// The timestamp may be refused by policy, in both directions; off is the default.
func TestTimestampPolicy(t *testing.T) {
	for window, want := range map[time.Duration]map[time.Duration]string{
		0:              {0: "", 1000 * time.Hour: "", -1000 * time.Hour: ""},
		24 * time.Hour: {0: "", 24 * time.Hour: "", -24 * time.Hour: "", 24*time.Hour + time.Second: "isv.invalid-timestamp", -24*time.Hour - time.Second: "isv.invalid-timestamp"},
	} {
		w := newWorld(t, func(c *gateway.Config, _ *gateway.App) { c.TimestampWindow = window })
		for off, sub := range want {
			call := openapi.Call{AppID: appID, Method: openapi.MethodKeyQuery, Timestamp: noon().Add(off)}
			if n := read(t, w.send(t, call, signerOf(appKey())), openapi.RSA2); n.SubCode != sub {
				t.Errorf("window %s, off by %s: %+v", window, off, n)
			}
		}
	}
}

// AES both ways; an error about the content itself comes in the clear, and one behind it encrypted.
func TestEncryption(t *testing.T) {
	key, err := openapi.ParseContentKey(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef")))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(_ *gateway.Config, a *gateway.App) { a.ContentKey = key })
	client := func(contentKey *openapi.ContentKey) *gateway.Client {
		made, err := gateway.NewClient(gateway.ClientConfig{URL: w.url, AppID: appID, Signer: signerOf(appKey()), PlatformKey: signerOf(platformKey()).Public(),
			HTTP: http.DefaultClient, Now: noon, ContentKey: contentKey})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	if err := client(key).VerifyRecord(t.Context(), []byte{1, 2}); err != nil || len(w.records) != 1 {
		t.Errorf("%v, records %x", err, w.records)
	}
	call := openapi.Call{AppID: appID, Method: openapi.MethodTradeSettle, Timestamp: noon(), Content: []byte(`{"trade_list":[]}`), ContentKey: key}
	answer := string(w.send(t, call, signerOf(appKey())))
	node, err := openapi.OpenResponse(call.Method, []byte(answer), signerOf(platformKey()).Public(), openapi.RSA2)
	if err != nil || node[0] != '"' {
		t.Fatalf("an error behind the content: %s, %v", answer, err)
	}
	if plain, err := key.DecryptNode(node); err != nil || !strings.Contains(string(plain), "ILLEGAL_PARAMS") {
		t.Errorf("%s, %v", plain, err)
	}
	other, err := openapi.ParseContentKey(base64.StdEncoding.EncodeToString([]byte("fedcba9876543210")))
	if err != nil {
		t.Fatal(err)
	}
	if refusal, is := client(other).VerifyRecord(t.Context(), []byte{1, 2}).(*openapi.Error); !is || refusal.SubCode != openapi.SubDecryptUnknown {
		t.Errorf("another key: %v", refusal)
	}
	if strings.Contains(w.log.String(), "0123456789abcdef") {
		t.Error("the key is in the log")
	}
}
