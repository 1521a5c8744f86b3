package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment"
)

const formType = "application/x-www-form-urlencoded"

// wantRefusal is one clear error, signed or not, and nothing that reached the institution.
func (w *world) wantRefusal(t *testing.T, answer []byte, code, sub string, signed bool) node {
	t.Helper()
	n := read(t, answer, openapi.RSA2, openapi.RSA)
	if n.Code != code || n.SubCode != sub || n.Signed != signed || n.SubMsg == "" || n.Msg == "" {
		t.Errorf("answer %.300s, want %s %s, signed %v", answer, code, sub, signed)
	}
	if w.asked != 0 {
		t.Errorf("the institution was asked %d times", w.asked)
	}
	return n
}

// TestHostileRequests: each gets one error, and the state stays as it was.
func TestHostileRequests(t *testing.T) {
	good := params(openapi.MethodTradeSettle)
	good["biz_content"] = settleContent
	good["sign"] = signText(t, appKey(), openapi.RSA2, strings.Replace(settleText, "CONTENT", settleContent, 1))
	body := encode(good)
	noise := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(noise)
	for _, test := range []struct {
		name, query, contentType, body string
		code, sub                      string
		signed                         bool
		nodeName                       string
	}{
		{name: "1 MB of noise", body: string(noise), code: "40002", sub: "isv.invalid-parameter"},
		{name: "1 MB of noise for an app that is known", query: "app_id=" + appID, body: string(noise), code: "40002", sub: "isv.invalid-parameter", signed: true},
		{name: "nothing", code: "40001", sub: "isv.missing-app-id", nodeName: "error_response"},
		{name: "a parameter twice in the body", body: body + "&method=x", code: "40002", sub: "isv.invalid-parameter", signed: true},
		{name: "a parameter in query and body", query: "sign_type=RSA", body: body, code: "40002", sub: "isv.invalid-parameter", signed: true},
		{name: "another app in the query", query: "app_id=1", body: body, code: "40002", sub: "isv.invalid-parameter"},
		{name: "sign twice", query: "sign=AAAA", body: body, code: "40002", sub: "isv.invalid-parameter", signed: true},
		{name: "body cut in the middle of an escape", body: body[:len(body)-1] + "%", code: "40002", sub: "isv.invalid-parameter", signed: true},
		{name: "body cut behind a parameter", body: body[:strings.LastIndex(body, "&")], code: "40001", sub: "isv.missing-version", signed: true},
		{name: "unknown app", body: strings.Replace(body, appID, "2026051100000002", 1), code: "40002", sub: "isv.invalid-app-id"},
		{name: "app id of markup", body: strings.Replace(body, appID, "%3Cscript%3E", 1), code: "40002", sub: "isv.invalid-app-id"},
		{name: "sign_type swapped", body: strings.Replace(body, "RSA2", "RSA", 1), code: "40002", sub: "isv.invalid-signature-type", signed: true},
		{name: "content changed", body: strings.Replace(body, "2.0", "0.1", 1), code: "40002", sub: "isv.invalid-signature", signed: true},
		{name: "sign inside the content only", body: "biz_content=" + url.QueryEscape(`{"sign":"x"}`) + "&" + encode(params(openapi.MethodTradeSettle)), code: "40001", sub: "isv.missing-signature", signed: true},
		{name: "multipart", contentType: "multipart/form-data; boundary=x", body: "--x--", query: encode(good, "app_id", "method"), code: "40002", sub: "isv.invalid-format", signed: true},
		{name: "JSON instead of a form", contentType: "application/json", body: settleContent, query: encode(good, "app_id", "method"), code: "40002", sub: "isv.invalid-format", signed: true},
		{name: "method of another kind", body: strings.Replace(body, "alipay.commerce", `%22%3A1%2C%22`, 1), code: "40002", sub: "isv.invalid-signature", signed: true, nodeName: "error_response"},
		{name: "no method", body: strings.Replace(body, "method=", "methodx=", 1), code: "40001", sub: "isv.missing-method", signed: true, nodeName: "error_response"},
		{name: "thousand parameters", body: body + strings.Repeat("&x", 1) + manyParams(1000), code: "40002", sub: "isv.invalid-parameter", signed: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, nil)
			contentType := test.contentType
			if contentType == "" {
				contentType = formType
			}
			_, answer := w.post(t, test.query, contentType, test.body)
			if n := w.wantRefusal(t, answer, test.code, test.sub, test.signed); test.nodeName != "" && n.Name != test.nodeName {
				t.Errorf("node %s", n.Name)
			}
			if strings.Contains(w.log.String(), "2088011211223344") || strings.Contains(w.log.String(), good["sign"]) {
				t.Errorf("the log has content: %s", w.log)
			}
			if bytes.Contains(answer, []byte("script")) {
				t.Errorf("the answer repeats what a stranger sent: %s", answer)
			}
		})
	}
}

func manyParams(count int) string {
	var out strings.Builder
	for i := range count {
		fmt.Fprintf(&out, "&n%d=1", i)
	}
	return out.String()
}

// TestHostileContents is signed by the app, and still not of its form.
func TestHostileContents(t *testing.T) {
	for _, test := range []struct {
		method  openapi.Method
		content string
		field   string
	}{
		{openapi.MethodKeyQuery, `[]`, "biz_content"},
		{openapi.MethodRecordVerify, ``, "biz_content"},
		{openapi.MethodRecordVerify, `{"record":{"sign":"x"}}`, "record"},
		{openapi.MethodRecordVerify, `{"record":"00","record":"01"}`, "biz_content"},
		{openapi.MethodTradeSettle, ``, "biz_content"},
		{openapi.MethodTradeSettle, `{"trade_list":{}}`, "trade_list"},
		{openapi.MethodTradeSettle, `{"trade_list":[[]]}`, "trade_list[0]"},
		{openapi.MethodTradeSettle, `{"trade_list":[{}]}`, "trade_list[0].out_trade_no"},
		{openapi.MethodTradeSettle, `{"trade_list":[` + strings.Repeat("{},", 300) + `{}]}`, "trade_list"},
	} {
		w := newWorld(t, nil)
		answer := w.call(t, test.method, test.content)
		n := w.wantRefusal(t, answer, "40004", "ILLEGAL_PARAMS", true)
		if !strings.HasPrefix(n.SubMsg, "请求参数错误："+test.field+": ") || !strings.Contains(n.SubMsg, "document 2 §4.2.") {
			t.Errorf("%.60s: %s", test.content, n.SubMsg)
		}
	}
}

// TestHostileJSON is signed by the app, and no JSON that anybody reads.
func TestHostileJSON(t *testing.T) {
	deep := strings.Repeat("[", 100000) + strings.Repeat("]", 100000)
	for _, content := range []string{`{"trade_list":`, deep, `{"trade_list":` + deep[50000:150000] + `}`, `{}{}`, "\x00", `{"a":01}`} {
		w := newWorld(t, nil)
		w.wantRefusal(t, w.call(t, openapi.MethodTradeSettle, content), "40002", "isv.illegal-json", true)
	}
}

// call sends a content, signed well.
func (w *world) call(t testing.TB, method openapi.Method, content string) []byte {
	t.Helper()
	query, body, err := openapi.Call{AppID: appID, Method: method, Timestamp: noon(), Content: []byte(content)}.Sign(signerOf(appKey()))
	if err != nil {
		t.Fatal(err)
	}
	_, answer := w.post(t, query, formType, string(body))
	return answer
}

func TestWrongKey(t *testing.T) {
	w := newWorld(t, nil)
	query, body, err := openapi.Call{AppID: appID, Method: openapi.MethodTradeSettle, Timestamp: noon(), Content: []byte(settleContent)}.Sign(signerOf(strangerKey()))
	if err != nil {
		t.Fatal(err)
	}
	_, answer := w.post(t, query, formType, string(body))
	n := w.wantRefusal(t, answer, "40002", "isv.invalid-signature", true)
	if !strings.HasPrefix(n.SubMsg, "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配") || strings.Contains(n.SubMsg, "2088") {
		t.Errorf("sub_msg %s", n.SubMsg)
	}
}

func TestPermissions(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*gateway.Config, *gateway.App)
		code   string
		sub    string
		signed bool
	}{
		{"no key registered", func(_ *gateway.Config, a *gateway.App) { a.Key = nil }, "40002", "isv.missing-signature-config", true},
		{"another method permitted", func(_ *gateway.Config, a *gateway.App) { a.Methods = []openapi.Method{openapi.MethodKeyQuery} }, "40006", "isv.insufficient-isv-permissions", true},
		{"nothing permitted", func(_ *gateway.Config, a *gateway.App) { a.Methods = nil }, "40006", "isv.insufficient-isv-permissions", true},
		{"registry down", func(c *gateway.Config, _ *gateway.App) { c.Apps = brokenApps{} }, "20000", "isp.unknow-error", false},
		{"clocks apart", func(c *gateway.Config, _ *gateway.App) {
			c.TimestampWindow, c.Now = time.Hour, func() time.Time { return noon().Add(61 * time.Minute) }
		}, "40002", "isv.invalid-timestamp", true},
		{"panic", func(c *gateway.Config, _ *gateway.App) { c.Payment = panicking{} }, "20000", "aop.unknow-error", true},
		{"panic in the registry", func(c *gateway.Config, _ *gateway.App) { c.Apps = nil; c.Apps = panickingApps{} }, "20000", "aop.unknow-error", false},
		{"signer down", func(c *gateway.Config, _ *gateway.App) { c.Signer = brokenSigner{} }, "20000", "aop.unknow-error", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, test.change)
			answer := w.call(t, openapi.MethodTradeSettle, settleContent)
			n := read(t, answer, openapi.RSA2)
			if n.Code != test.code || n.SubCode != test.sub || n.Signed != test.signed || n.Name != openapi.MethodTradeSettle.Node() {
				t.Errorf("answer %s", answer)
			}
			if strings.Contains(w.log.String(), "2088011211223344") || strings.Contains(w.log.String(), "biz_content") {
				t.Errorf("the log has content: %s", w.log)
			}
			if (test.code == "20000") != strings.Contains(w.log.String(), "level=ERROR") {
				t.Errorf("log %s", w.log)
			}
		})
	}
}

type brokenApps struct{}

func (brokenApps) App(context.Context, openapi.AppID) (gateway.App, bool, error) {
	return gateway.App{}, false, errors.New("disk full")
}

type panickingApps struct{}

func (panickingApps) App(context.Context, openapi.AppID) (gateway.App, bool, error) {
	panic("2088011211223344")
}

type brokenSigner struct{}

func (brokenSigner) Sign(openapi.SignType, []byte) ([]byte, error) {
	return nil, errors.New("key store closed")
}

type panicking struct{}

func (panicking) Settle(_ context.Context, _ payment.Merchant, trades []payment.Trade, _ time.Time) []payment.Result {
	panic("cannot settle for " + string(trades[0].UserID))
}

func (panicking) VerifyRecord(context.Context, payment.Merchant, []byte, time.Time) error { return nil }

// TestOtherResults: an institution that answers other trades than it was asked is not believed.
func TestOtherResults(t *testing.T) {
	for name, results := range map[string]func([]payment.Trade) []payment.Result{
		"too few":  func([]payment.Trade) []payment.Result { return nil },
		"too many": func([]payment.Trade) []payment.Result { return make([]payment.Result, 2) },
		"another": func([]payment.Trade) []payment.Result {
			return []payment.Result{{OutTradeNo: "X", Outcome: payment.Settled}}
		},
	} {
		w := newWorld(t, nil)
		w.results = results
		if n := read(t, w.call(t, openapi.MethodTradeSettle, settleContent), openapi.RSA2); n.Code != "20000" || n.SubCode != "isp.unknow-error" {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

func TestEveryReasonHasItsWords(t *testing.T) {
	reasons := []payment.Reason{payment.IllegalParams, payment.ContextInconsistent, payment.SellerNotAllowed, payment.RecordInvalid, payment.RecordUnverifiable,
		payment.RecordUserMismatch, payment.RecordCardMismatch, payment.QuotaExceeded, payment.SettleOverdue, payment.RecordUsed,
		payment.UserNotExist, payment.FundsNotEnough}
	seen := map[any]payment.Reason{}
	for _, reason := range reasons {
		w := newWorld(t, nil)
		w.results = func(trades []payment.Trade) []payment.Result {
			return []payment.Result{{OutTradeNo: trades[0].OutTradeNo, Outcome: payment.Refused, Reason: reason, Why: strings.Repeat("why ", 100)}}
		}
		got := read(t, w.call(t, openapi.MethodTradeSettle, settleContent), openapi.RSA2).ResultList[0]
		if got["error_code"] != string(reason) || got["result"] != "FAIL" || got["message"] == "处理失败" || len([]rune(got["error_message"].(string))) != 128 {
			t.Errorf("%s: %v", reason, got)
		}
		if other, twice := seen[got["message"]]; twice {
			t.Errorf("%s and %s say the same", reason, other)
		}
		seen[got["message"]] = reason
	}
}

func TestOtherPathsAndVerbs(t *testing.T) {
	w := newWorld(t, nil)
	for _, test := range []struct {
		verb, url string
		status    int
	}{{"GET", w.url, 405}, {"PUT", w.url, 405}, {"HEAD", w.url, 405}, {"POST", w.url + "x", 404}, {"POST", strings.TrimSuffix(w.url, gateway.Path) + "/", 404}} {
		request, err := http.NewRequest(test.verb, test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != test.status {
			t.Errorf("%s %s: %d", test.verb, test.url, response.StatusCode)
		}
	}
}

// dial sends raw bytes, so that a request can stop anywhere.
func (w *world) dial(t *testing.T) net.Conn {
	t.Helper()
	address, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

func readRaw(t *testing.T, conn net.Conn) []byte {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", response.StatusCode, err)
	}
	return answer
}

// TestLongBodyIsNotRead: a body that is announced with 10 MB is answered before a byte of it comes.
func TestLongBodyIsNotRead(t *testing.T) {
	w := newWorld(t, nil)
	conn := w.dial(t)
	fmt.Fprintf(conn, "POST %s?app_id=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n", gateway.Path, appID)
	if n := w.wantRefusal(t, readRaw(t, conn), "40002", "isv.invalid-parameter", true); !strings.Contains(n.SubMsg, "2097152") {
		t.Errorf("sub_msg %s", n.SubMsg)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Error("the connection is kept open for the rest:", err)
	}
}

// TestLongBodyIsReadToTheBound: a body of unknown length is read up to 2 MiB and no further.
func TestLongBodyIsReadToTheBound(t *testing.T) {
	w := newWorld(t, nil)
	conn := w.dial(t)
	fmt.Fprintf(conn, "POST %s?app_id=%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", gateway.Path, appID)
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<16, strings.Repeat("a", 1<<16))
	for range openapi.MaxRequestSize>>16 + 1 {
		if _, err := io.WriteString(conn, chunk); err != nil {
			t.Fatal(err)
		}
	}
	w.wantRefusal(t, readRaw(t, conn), "40002", "isv.invalid-parameter", true)
}

// TestTruncatedBody: a connection that ends early has asked for nothing.
func TestTruncatedBody(t *testing.T) {
	w := newWorld(t, nil)
	p := params(openapi.MethodTradeSettle)
	p["biz_content"] = settleContent
	p["sign"] = signText(t, appKey(), openapi.RSA2, strings.Replace(settleText, "CONTENT", settleContent, 1))
	body := encode(p)
	conn := w.dial(t)
	// All of the body comes, but one more byte was announced: was it "&" or a part of the version?
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", gateway.Path, formType, len(body)+1, body)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	w.wantRefusal(t, readRaw(t, conn), "40002", "isv.invalid-parameter", false)
}

func TestServerBounds(t *testing.T) {
	server := gateway.NewHTTPServer("127.0.0.1:0", http.NotFoundHandler())
	if server.ReadHeaderTimeout <= 0 || server.ReadTimeout <= 0 || server.WriteTimeout <= 0 || server.IdleTimeout <= 0 || server.MaxHeaderBytes <= 0 {
		t.Errorf("a slow client can hold %+v", server)
	}
	w := newWorld(t, nil)
	conn := w.dial(t)
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", gateway.Path, strings.Repeat("x", 64<<10))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%v, %v", response, err)
	}
}

func TestNewNeedsEverything(t *testing.T) {
	if _, err := gateway.New(gateway.Config{}); err == nil {
		t.Error("a gateway of nothing")
	}
	app := gateway.App{ID: "1", Merchant: payment.Merchant{App: "1"}}
	for name, apps := range map[string][]gateway.App{
		"twice": {app, app}, "no id": {{}}, "another's merchant": {{ID: "2", Merchant: payment.Merchant{App: "1"}}},
	} {
		if _, err := gateway.NewAppList(apps...); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
