package gateway_test

import (
	"strings"
	"testing"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
)

const (
	settleText = "app_id=2026051100000001&biz_content=CONTENT&charset=utf-8&method=alipay.commerce.transport.offlinepay.trade.settle" +
		"&sign_type=RSA2&timestamp=2026-05-11 12:00:00&version=1.0"
	settleContent = `{"trade_list":[{"user_id":"2088011211223344","out_trade_no":"A & B=1%2B","actual_order_time":"2016-11-11 11:11:11",` +
		`"subject":"984 路公交","amount":"2.0","records":["0a3feae2ad6d7c"]}]}`
)

// clientShape is how a request may be laid out beside what published clients do (testdata/requests).
type clientShape struct {
	name        string
	content     string
	text        func(string) string // from the plain signing text to this client's
	query, body func(map[string]string) string
	contentType string
}

func clientShapes() []clientShape {
	common := []string{"app_id", "method", "charset", "sign_type", "timestamp", "version", "sign"}
	return []clientShape{
		{name: "no Content-Type", content: settleContent, text: func(s string) string { return s },
			query: func(p map[string]string) string { return encode(p, common...) },
			body:  func(p map[string]string) string { return encode(p, "biz_content") }},
		{name: "everything in the query, no body", content: settleContent, text: func(s string) string { return s },
			query: func(p map[string]string) string { return encode(p) }, body: func(map[string]string) string { return "" }},
		{name: "an odd Content-Type parameter", content: settleContent, text: func(s string) string { return s },
			query: func(p map[string]string) string { return encode(p, common...) },
			body:  func(p map[string]string) string { return encode(p, "biz_content") }, contentType: "application/x-www-form-urlencoded; charset=;x"},
	}
}

// TestClientShapes sends what no published client sends, and gateway-facts §1 asks to be taken: signed over a text
// that is written out here by hand.
func TestClientShapes(t *testing.T) {
	for _, test := range clientShapes() {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, nil)
			p := params(openapi.MethodTradeSettle)
			p["biz_content"] = test.content
			p["sign"] = signText(t, appKey(), openapi.RSA2, test.text(strings.Replace(settleText, "CONTENT", test.content, 1)))
			header, answer := w.post(t, test.query(p), test.contentType, test.body(p))
			n := read(t, answer, openapi.RSA2)
			if n.Code != "10000" || !n.Signed || len(n.ResultList) != 1 || n.ResultList[0]["out_trade_no"] != "A & B=1%2B" {
				t.Fatalf("answer %s", answer)
			}
			if len(w.settled) != 1 || w.settled[0].Subject != "984 路公交" || w.settled[0].AmountFen != 200 {
				t.Errorf("arrived as %+v", w.settled)
			}
			wantType := "text/html;charset=" + strings.ToLower(p["charset"])
			if got := header.Get("Content-Type"); got != wantType {
				t.Errorf("Content-Type %s, want %s", got, wantType)
			}
		})
	}
}

// TestAnswerBytes holds the whole frame to gateway-facts §2.
func TestAnswerBytes(t *testing.T) {
	w := newWorld(t, nil)
	p := params(openapi.MethodKeyQuery)
	p["sign"] = signText(t, appKey(), openapi.RSA2, keyQueryText)
	_, answer := w.post(t, encode(p), "", "")
	want := `{"alipay_commerce_transport_offlinepay_key_query_response":{"code":"10000","msg":"Success","keys":[{"key_id":7,"public_key":"` +
		generator + `"}]},"sign":"` +
		signText(t, platformKey(), openapi.RSA2, `{"code":"10000","msg":"Success","keys":[{"key_id":7,"public_key":"`+generator+`"}]}`) + `"}`
	if string(answer) != want {
		t.Errorf("got  %s\nwant %s", answer, want)
	}
}

const keyQueryText = "app_id=2026051100000001&charset=utf-8&method=alipay.commerce.transport.offlinepay.key.query" +
	"&sign_type=RSA2&timestamp=2026-05-11 12:00:00&version=1.0"

// TestSHA1Policy: sign_type RSA is for apps that were given it. Nobody else gets a SHA-1 signature of
// the platform's, not even under the refusal.
func TestSHA1Policy(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		w := newWorld(t, func(_ *gateway.Config, app *gateway.App) { app.AllowSHA1 = allowed })
		p := params(openapi.MethodKeyQuery)
		p["sign_type"] = "RSA"
		p["sign"] = signText(t, appKey(), openapi.RSA, strings.Replace(keyQueryText, "RSA2", "RSA", 1))
		_, answer := w.post(t, encode(p), "", "")
		n := read(t, answer, map[bool]openapi.SignType{true: openapi.RSA, false: openapi.RSA2}[allowed])
		if (n.Code == "10000") != allowed || !n.Signed {
			t.Errorf("allowed %v: %s", allowed, answer)
		}
	}
}
