package notify_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/notify"
	"github.com/shuama/shuama/internal/testkit/nodeclient"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment"
)

// post is somebody who takes notices: what came is kept, what is answered can be chosen.
type post struct {
	*httptest.Server
	forms  []url.Values
	answer func(http.ResponseWriter)
}

func newPost(t *testing.T) *post {
	p := &post{answer: func(w http.ResponseWriter) { _, _ = w.Write([]byte("success")) }}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		p.forms = append(p.forms, r.PostForm)
		p.answer(w)
	}))
	t.Cleanup(p.Close)
	return p
}

// addresses is where the merchant's and the riders' notices go.
type addresses struct{ merchant, rider string }

func (a addresses) MerchantNotices(payment.AppID) string { return a.merchant }
func (a addresses) RiderNotices() string                 { return a.rider }

type office struct {
	*notify.Courier
	key openapi.PrivateKey
	rsa *rsa.PrivateKey
}

func newOffice(t *testing.T, a addresses) office {
	private, err := rsa.GenerateKey(rand.Reader, openapi.MinKeyBits)
	if err != nil {
		t.Fatal(err)
	}
	key, err := openapi.NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC) }
	return office{key: key, rsa: private, Courier: &notify.Courier{Addresses: a, Signer: key, HTTP: notify.NewHTTPClient(5 * time.Second), Now: now}}
}

// everyKind is a delivery of each kind of notice, to whom it concerns.
func everyKind() (all []payment.Delivery) {
	at := time.Date(2026, 11, 25, 23, 59, 58, 0, time.UTC)
	for i, kind := range []payment.NoticeKind{payment.TradeSettled, payment.DebtMade, payment.DebtCleared, payment.DoubleAccepted,
		payment.PasswordWanted, payment.ToppedUp, payment.Refunded, payment.PaidOut, payment.RideTold, payment.RiderDenied} {
		notice := payment.Notice{Kind: kind, App: "2021000000000001", User: "2088000000000001", TradeNo: "2026112600000000000000000001",
			OutTradeNo: "19路/1 & 2=3%", Account: "merchant:transit", Number: "退款+1", AmountFen: 2_05, At: at}
		if kind == payment.RideTold {
			notice.Ride = &payment.ToldRide{App: notice.App, Merchant: "申通 & 公交", Line: "19 路", From: "龙翔桥", State: payment.RidePaid}
		}
		for _, to := range []payment.Recipient{payment.ToMerchant, payment.ToRider} {
			all = append(all, payment.Delivery{ID: string(to) + strings.Repeat("x", i), To: to, Notice: notice})
		}
	}
	return all
}

// Whatever is told is signed as the platform signs: our own check and the published clients believe it, and not
// when anything was changed.
func TestClientsBelieve(t *testing.T) {
	p := newPost(t)
	o := newOffice(t, addresses{p.URL, p.URL})
	for _, d := range everyKind() {
		if err := o.Carry(t.Context(), d); err != nil {
			t.Fatalf("%+v: %v", d, err)
		}
	}
	private, err := openapi.MarshalPrivateKey(o.rsa, openapi.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	public, err := openapi.MarshalPublicKey(&o.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{"appId": "2021000000000001", "keyType": "PKCS8", "privateKey": openapi.BareKey(private), "alipayPublicKey": openapi.BareKey(public)}
	var calls []nodeclient.Call
	for _, form := range p.forms {
		if err := openapi.VerifyNotification(form, o.key.Public()); err != nil {
			t.Errorf("%v: %v", form, err)
		}
		calls = append(calls, nodeclient.Call{Notify: flat(form)})
		changed := flat(form)
		changed["gmt_create"] = "2026-11-26 08:00:00"
		calls = append(calls, nodeclient.Call{Notify: changed})
	}
	for _, version := range []int{3, 4} {
		for i, result := range nodeclient.Calls(t, version, config, calls...) {
			if result.Error != "" || result.Answer["believed"] != (i%2 == 0) {
				t.Errorf("version %d, %v: %+v", version, calls[i].Notify, result)
			}
		}
	}
}

func flat(form url.Values) map[string]string {
	one := map[string]string{}
	for name := range form {
		one[name] = form.Get(name)
	}
	return one
}

// The form has the field's names, and each recipient learns what is his.
func TestForm(t *testing.T) {
	p := newPost(t)
	o := newOffice(t, addresses{p.URL, p.URL})
	settled := everyKind()[:2]
	for _, d := range settled {
		if err := o.Carry(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"app_id": "2021000000000001", "notify_type": "trade_status_sync", "notify_id": "merchant", "trade_status": "TRADE_SUCCESS",
		"total_amount": "2.05", "out_trade_no": "19路/1 & 2=3%", "gmt_payment": "2026-11-26 07:59:58", "notify_time": "2026-11-26 08:00:00", "sign_type": "RSA2"} {
		if got := p.forms[0].Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := p.forms[1].Get("app_id"); got != "riders" {
		t.Errorf("a rider's notice is for app %q", got)
	}
}

// Only the word success, alone and with status 200, says that a notice was taken; a notice is brought to nobody
// else; and no error quotes the address, which may hold a secret.
func TestNotTaken(t *testing.T) {
	elsewhere := newPost(t)
	for name, answer := range map[string]func(http.ResponseWriter){
		"fail":        func(w http.ResponseWriter) { _, _ = w.Write([]byte("fail")) },
		"a page":      func(w http.ResponseWriter) { _, _ = w.Write([]byte("<p>success</p>")) },
		"status 500":  func(w http.ResponseWriter) { w.WriteHeader(500); _, _ = w.Write([]byte("success")) },
		"status 201":  func(w http.ResponseWriter) { w.WriteHeader(201); _, _ = w.Write([]byte("success")) },
		"a redirect":  func(w http.ResponseWriter) { w.Header().Set("Location", elsewhere.URL); w.WriteHeader(307) },
		"a flood":     func(w http.ResponseWriter) { _, _ = w.Write(slices.Repeat([]byte("success"), 1<<16)) },
		"hanging up":  func(w http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"no answer":   func(w http.ResponseWriter) {},
		"wrong case":  func(w http.ResponseWriter) { _, _ = w.Write([]byte("SUCCESS")) },
		"one success": func(w http.ResponseWriter) { _, _ = w.Write([]byte("success success")) },
	} {
		p := newPost(t)
		p.answer = answer
		o := newOffice(t, addresses{p.URL + "/?token=a-secret", ""})
		err := o.Carry(t.Context(), everyKind()[0])
		if !errors.Is(err, notify.ErrNotTaken) || strings.Contains(err.Error(), "a-secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(elsewhere.forms) > 0 {
		t.Error("a notice has followed a redirect")
	}
	p := newPost(t)
	p.answer = func(w http.ResponseWriter) { _, _ = w.Write([]byte("success\r\n")) }
	if err := newOffice(t, addresses{p.URL, ""}).Carry(t.Context(), everyKind()[0]); err != nil {
		t.Errorf("with a line's end: %v", err)
	}
	for _, address := range []string{"http://127.0.0.1:1/?token=a-secret", "::a-secret", "ftp://a-secret/"} {
		if err := newOffice(t, addresses{address, ""}).Carry(t.Context(), everyKind()[0]); err == nil || strings.Contains(err.Error(), "a-secret") {
			t.Errorf("%v", err)
		}
	}
}

// Who has no address is brought nothing, also when he had one when the notice was made.
func TestNoAddress(t *testing.T) {
	p := newPost(t)
	o := newOffice(t, addresses{merchant: p.URL})
	toMerchant, toRider := everyKind()[0], everyKind()[1]
	if !o.Wants(toMerchant.To, toMerchant.Notice) || o.Wants(toRider.To, toRider.Notice) {
		t.Error("who has an address?")
	}
	if err := o.Carry(context.Background(), toRider); err != nil || len(p.forms) > 0 {
		t.Errorf("%d forms: %v", len(p.forms), err)
	}
}
