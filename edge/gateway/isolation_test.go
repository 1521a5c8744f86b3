package gateway_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
)

// twoMerchants are two apps on one platform with real books, real records and real cards: testkit's app, signed by
// appKey, and another, signed by strangerKey. A terminal of the one is also registered for the other.
type twoMerchants struct {
	*testkit.World
	url  string
	log  *logText
	cert openapi.Certificate // of the first
}

// everyApps lets each app find the terminals of the first.
type everyApps struct{ payment.TerminalKeys }

func (e everyApps) TerminalIntegrity(_ payment.AppID, posID string) (record.Integrity, bool) {
	return e.TerminalKeys.TerminalIntegrity(testkit.AppID, posID)
}

func newTwoMerchants(t *testing.T) *twoMerchants {
	t.Helper()
	m := &twoMerchants{World: testkit.New(t, 1000_00), log: &logText{}}
	other := payment.Merchant{App: otherAppID, Account: payment.MerchantAccount("metro"), LoginName: "metro@example.com"}
	if err := m.Payment.OpenMerchant(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	ring, err := trust.NewKeyRing(m.Issuer.Keys(), trust.WindowSmall)
	if err != nil {
		t.Fatal(err)
	}
	contentKey, err := openapi.ParseContentKey(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef")))
	if err != nil {
		t.Fatal(err)
	}
	m.cert = certificateOf(testkit.AppID, appKey())
	certificate, err := gateway.NewAppCertificate(testkit.AppID, m.cert, authority().Root(), false)
	if err != nil {
		t.Fatal(err)
	}
	apps, err := gateway.NewAppList(
		gateway.App{ID: testkit.AppID, Merchant: m.Payee, Key: signerOf(appKey()).Public(), PreviousKey: signerOf(rootKey()).Public(), PreviousUntil: m.Now().Add(time.Hour),
			Certificates: []gateway.AppCertificate{certificate}, ContentKey: contentKey, AllowSHA1: true, Methods: gateway.Methods()},
		gateway.App{ID: otherAppID, Merchant: other, Key: signerOf(strangerKey()).Public(), Methods: gateway.Methods()})
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(m.Dir + "/parts.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	certificates, err := gateway.NewCertificates(authority().Root(), platformCert())
	if err != nil {
		t.Fatal(err)
	}
	handler, err := gateway.New(gateway.Config{Apps: apps, Signer: signerOf(platformKey()), IssuerKeys: m.Issuer.Keys, Now: m.Now,
		Payment: payment.New(m.Books, ring, everyApps{m.Terminals()}, payment.DefaultPolicy()), Logger: slog.New(slog.NewTextHandler(m.log, nil)),
		Cards: codeissuer.NewCards(db.Cards(), cardTypes{"GJ310000": testkit.AppID, "GJ320000": otherAppID}), Rides: rides.New(db.Rides()),
		Certificates: func() *gateway.Certificates { return certificates }})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	m.url = server.URL + gateway.Path
	return m
}

// as asks as one of the two.
func (m *twoMerchants) as(t *testing.T, app openapi.AppID, method openapi.Method, content string) []byte {
	t.Helper()
	signer := signerOf(appKey())
	if app == otherAppID {
		signer = signerOf(strangerKey())
	}
	return m.send(t, openapi.Call{AppID: app, Method: method, Timestamp: m.Now(), Content: []byte(content)}, signer)
}

func (m *twoMerchants) send(t *testing.T, call openapi.Call, signer openapi.Signer) []byte {
	t.Helper()
	return (&world{url: m.url}).send(t, call, signer)
}

func tradeContent(user, number, amount string, records ...[]byte) string {
	var list []string
	for _, r := range records {
		list = append(list, fmt.Sprintf(`"%x"`, r))
	}
	return `{"trade_list":[{"user_id":"` + user + `","out_trade_no":"` + number + `","actual_order_time":"2026-11-21 08:00:00","subject":"19 路","amount":"` + amount +
		`","records":[` + strings.Join(list, ",") + `]}]}`
}

func resultIn(t *testing.T, answer []byte) map[string]any {
	t.Helper()
	return membersOf(t, answer)["result_list"].([]any)[0].(map[string]any)
}

// Two merchants never see each other's trades, cards or riders.
func TestMerchantsAreApart(t *testing.T) {
	m := newTwoMerchants(t)
	phone := m.Rider("2088000000000001", 50_00, 0)
	bus := m.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus", Line: "19"}, 2_00)
	first := bus.Tap(phone).Record
	m.Pass(time.Minute)
	second := bus.Tap(phone).Record
	mine := resultIn(t, m.as(t, testkit.AppID, openapi.MethodTradeSettle, tradeContent("2088000000000001", "N1", "2.00", first)))
	if mine["result"] != "SUCCESS" {
		t.Fatalf("%v", mine)
	}
	// The same number of the other merchant is another trade: neither a retry nor a conflict, and nothing of the first.
	theirs := resultIn(t, m.as(t, otherAppID, openapi.MethodTradeSettle, tradeContent("2088000000000001", "N1", "3.00", second)))
	if theirs["result"] != "SUCCESS" || theirs["trade_no"] == mine["trade_no"] {
		t.Errorf("%v", theirs)
	}
	// A record that has paid for a trade of the first is used; of whose trade, the second is not told.
	used := resultIn(t, m.as(t, otherAppID, openapi.MethodTradeSettle, tradeContent("2088000000000001", "N2", "2.00", first)))
	if used["error_code"] != "RECORD_USED" || strings.Contains(fmt.Sprint(used), "N1") || strings.Contains(fmt.Sprint(used), fmt.Sprint(mine["trade_no"])) {
		t.Errorf("%v", used)
	}
	if m.Balance(payment.MerchantAccount("metro")) != 3_00 || m.Balance(m.Payee.Account) != 2_00 {
		t.Error("the money went to the wrong merchant")
	}
	m.Audit()
}

func TestCardsAreApart(t *testing.T) {
	m := newTwoMerchants(t)
	now := "2026-11-21 08:00:00"
	card := strings.NewReplacer("2026-05-11 11:00:00", now).Replace(cardContent("1"))
	wantMembers(t, m.as(t, testkit.AppID, openapi.MethodCardSend, card), map[string]any{"code": "10000"})
	wantMembers(t, m.as(t, otherAppID, openapi.MethodCardSend, strings.Replace(card, "GJ310000", "GJ320000", 1)), map[string]any{"code": "10000"})
	for _, action := range []string{"ISSUE", "UPDATE", "REVOKE"} {
		answer := m.as(t, otherAppID, openapi.MethodCardSend, strings.Replace(card, "ISSUE", action, 1))
		wantMembers(t, answer, map[string]any{"code": "40004", "sub_error_code": "CARD_TYPE_NOT_REGISTERED"})
		unknown := m.as(t, otherAppID, openapi.MethodCardSend, strings.NewReplacer("ISSUE", action, "GJ310000", "GJ990000").Replace(card))
		if !bytes.Equal(answer, unknown) {
			t.Error("a type of another app is told from one that nobody has")
		}
	}
	for app, cardType := range map[openapi.AppID]string{testkit.AppID: "GJ310000", otherAppID: "GJ320000"} {
		for _, query := range []string{`{"user_id":"2088000011112222","include_deleted":true}`, `{"card_no":"1"}`} {
			cards := membersOf(t, m.as(t, app, openapi.MethodCardBatchQuery, query))["card_models"].([]any)
			if len(cards) != 1 || cards[0].(map[string]any)["card_type"] != cardType {
				t.Errorf("%s, %s: %v", app, query, cards)
			}
		}
	}
}

// One number of ride data of two apps is two rides.
func TestRidesAreApart(t *testing.T) {
	m := newTwoMerchants(t)
	wantMembers(t, m.as(t, testkit.AppID, openapi.MethodDataSend, rideContent("1")), map[string]any{"code": "10000"})
	wantMembers(t, m.as(t, otherAppID, openapi.MethodDataSend, strings.Replace(rideContent("1"), "64 路", "1 号线", 1)), map[string]any{"code": "10000"})
	wantMembers(t, m.as(t, testkit.AppID, openapi.MethodDataSend, strings.Replace(rideContent("1"), "64 路", "1 号线", 1)), map[string]any{"code": "40004"})
}

// A trade that comes again moves no money again, whatever the request around it looks like: another time, another
// key, a certificate, SHA-1, encryption, another order of members, the very same bytes.
func TestRepeatedHoweverSigned(t *testing.T) {
	m := newTwoMerchants(t)
	phone := m.Rider("2088000000000001", 50_00, 0)
	bus := m.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus", Line: "19"}, 2_00)
	content := tradeContent("2088000000000001", "N1", "2.00", bus.Tap(phone).Record)
	plain := openapi.Call{AppID: testkit.AppID, Method: openapi.MethodTradeSettle, Timestamp: m.Now(), Content: []byte(content)}
	contentKey, err := openapi.ParseContentKey(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef")))
	if err != nil {
		t.Fatal(err)
	}
	later, certified, encrypted, turned := plain, plain, plain, plain
	later.Timestamp = m.Now().Add(time.Second)
	certified.CertSN, certified.RootCertSN = m.cert.SN(), openapi.RootSN(authority().Root())
	encrypted.ContentKey = contentKey
	turned.Content = []byte(strings.Replace(strings.Replace(content, `"amount":"2.00",`, ``, 1), `"user_id"`, `"amount":2,"x":1,"user_id"`, 1))
	first := resultIn(t, m.send(t, plain, signerOf(appKey())))
	if first["result"] != "SUCCESS" {
		t.Fatalf("%v", first)
	}
	for name, answer := range map[string][]byte{
		"the very same bytes": m.send(t, plain, signerOf(appKey())), "a second later": m.send(t, later, signerOf(appKey())),
		"signed with the old key": m.send(t, plain, signerOf(rootKey())), "members in another order": m.send(t, turned, signerOf(appKey())), "SHA-1": m.sha1(t, content),
		"by certificate": m.send(t, certified, signerOf(appKey())),
	} {
		if again := resultIn(t, answer); !maps.Equal(again, first) {
			t.Errorf("%s: %v", name, again)
		}
	}
	node, err := openapi.OpenResponse(plain.Method, m.send(t, encrypted, signerOf(appKey())), signerOf(platformKey()).Public(), openapi.RSA2)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := contentKey.DecryptNode(node); err != nil || !strings.Contains(string(text), fmt.Sprint(first["trade_no"])) {
		t.Errorf("encrypted: %s, %v", text, err)
	}
	if m.Balance(payment.UserAccount("2088000000000001")) != 48_00 || m.Audit().Trades != 1 {
		t.Error("the money moved more than once, or not at all")
	}
}

// sha1 asks as an old client does.
func (m *twoMerchants) sha1(t *testing.T, content string) []byte {
	t.Helper()
	p := params(openapi.MethodTradeSettle)
	maps.Copy(p, map[string]string{"app_id": testkit.AppID, "sign_type": "RSA", "biz_content": content})
	p["sign"] = signText(t, appKey(), openapi.RSA, plainText(p))
	_, answer := (&world{url: m.url}).post(t, "", formType, encode(p))
	return answer
}
