package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment"
)

func trade(number openapi.OutTradeNo) openapi.Trade {
	return openapi.Trade{OutTradeNo: number, UserID: "2088011211223344", OrderTime: noon(), Subject: "984 路公交", AmountFen: 200,
		BizContext: `{"line":"metro2"}`, CardType: "T0330100", Records: [][]byte{{0x0a}, {0x0b, 0x0c}}, SellerLogin: "pc@alipay.com"}
}

func TestClient(t *testing.T) {
	w := newWorld(t, nil)
	client := w.client(t)
	keys, err := client.KeyQuery(t.Context())
	if err != nil || len(keys) != 1 || keys[0].ID != 7 {
		t.Fatalf("keys %v, %v", keys, err)
	}
	if err := client.VerifyRecord(t.Context(), []byte{1, 2, 3}); err != nil || !reflect.DeepEqual(w.records, [][]byte{{1, 2, 3}}) {
		t.Errorf("record %x, %v", w.records, err)
	}
	w.results = func(trades []payment.Trade) []payment.Result {
		return []payment.Result{
			{OutTradeNo: "A", Outcome: payment.Settled, TradeNo: "1"},
			{OutTradeNo: "B", Outcome: payment.Unknown, Reason: payment.SystemBusy, Why: "ask again", NeedRetry: true, NextRetry: noon().Add(time.Minute)},
		}
	}
	results, err := client.Settle(t.Context(), []openapi.Trade{trade("A"), trade("B")})
	if err != nil {
		t.Fatal(err)
	}
	want := []openapi.TradeResult{
		{Outcome: openapi.OutcomeSuccess, Message: "成功", OutTradeNo: "A", TradeNo: "1"},
		{Outcome: openapi.OutcomeUnknown, Message: "处理结果未知，请以相同内容重试", ErrorCode: "SYSTEM_ERROR", ErrorMessage: "ask again",
			NeedRetry: true, NextRetry: noon().Add(time.Minute), OutTradeNo: "B"},
	}
	if !reflect.DeepEqual(results, want) {
		t.Errorf("got %+v", results)
	}
	checkArrived(t, w.settled)
}

func checkArrived(t *testing.T, got []payment.Trade) {
	t.Helper()
	sent := trade("A")
	want := payment.Trade{OutTradeNo: "A", UserID: sent.UserID, OrderTime: sent.OrderTime, Subject: sent.Subject, AmountFen: sent.AmountFen,
		BizContext: sent.BizContext, CardType: sent.CardType, Records: sent.Records, SellerLogin: sent.SellerLogin}
	if len(got) != 2 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("arrived as %+v", got)
	}
}

func TestClientReadsRefusals(t *testing.T) {
	w := newWorld(t, nil)
	w.verdict = &payment.RecordError{Reason: payment.RecordInvalid, Why: "integrity value: not this terminal's"}
	var refusal *openapi.Error
	err := w.client(t).VerifyRecord(t.Context(), []byte{1})
	if !errors.As(err, &refusal) || refusal.SubCode != openapi.SubFail || !strings.Contains(refusal.SubMsg, "integrity value") || !refusal.OutcomeKnown() {
		t.Errorf("got %v", err)
	}
	w.verdict = errors.New("books closed")
	err = w.client(t).VerifyRecord(t.Context(), []byte{1})
	if !errors.As(err, &refusal) || refusal.Code != openapi.CodeUnavailable || refusal.OutcomeKnown() {
		t.Errorf("got %v", err)
	}
	for _, count := range []int{0, openapi.MaxTrades + 1} {
		if _, err := w.client(t).Settle(t.Context(), make([]openapi.Trade, count)); err == nil {
			t.Errorf("%d trades in one request", count)
		}
	}
	large := trade("A")
	large.BizContext = strings.Repeat("x", openapi.MaxContentSize)
	if _, err := w.client(t).Settle(t.Context(), []openapi.Trade{large}); err == nil {
		t.Error("content over the bound")
	}
	if len(w.settled) != 0 {
		t.Error("something arrived")
	}
}

// clientOf talks to a platform that answers as the test says.
func clientOf(t *testing.T, answer http.HandlerFunc) *gateway.Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	client, err := gateway.NewClient(gateway.ClientConfig{URL: server.URL + gateway.Path, AppID: appID, Signer: signerOf(appKey()),
		PlatformKey: signerOf(platformKey()).Public(), HTTP: &http.Client{Timeout: 3 * time.Second}, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func signedNode(t *testing.T, method openapi.Method, node string) []byte {
	t.Helper()
	answer, err := openapi.Response{Method: method, Node: []byte(node), SignType: openapi.RSA2, Charset: openapi.UTF8}.Sign(signerOf(platformKey()))
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestClientDistrusts: of each bad answer the client says of what kind it is, and never what it asked.
func TestClientDistrusts(t *testing.T) {
	good := signedNode(t, openapi.MethodTradeSettle, `{"code":"10000","msg":"Success","result_list":[{"result":"SUCCESS","out_trade_no":"A"}]}`)
	var transport *gateway.TransportError
	var response *openapi.ResponseError
	var unsigned *openapi.UnsignedError
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		target any
	}{
		{"tampered", write(strings.Replace(string(good), "SUCCESS", "FAIL", 1)), &response},
		{"another method's node", write(string(signedNode(t, openapi.MethodKeyQuery, `{"code":"10000"}`))), &response},
		{"signed, and not of its form", write(string(signedNode(t, openapi.MethodTradeSettle, `{"code":"10000","result_list":{}}`))), &response},
		{"signed, and without a code", write(string(signedNode(t, openapi.MethodTradeSettle, `{}`))), &response},
		{"not signed", write(string(openapi.Response{Method: openapi.MethodTradeSettle, Node: openapi.Refuse(openapi.SubInvalidAppID, "").AppendNode(nil)}.Unsigned())), &unsigned},
		{"empty", write(""), &response},
		{"status 502", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); w.Write(good) }, &transport},
		{"redirect", redirect(good), &transport},
		{"endless", func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, io.LimitReader(zeros{}, 5<<20)) }, &transport},
		{"broken off", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "10000"); w.Write(good) }, &transport},
		{"silent", func(_ http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body); <-r.Context().Done() }, &transport},
	} {
		t.Run(test.name, func(t *testing.T) {
			results, err := clientOf(t, test.answer).Settle(t.Context(), []openapi.Trade{trade("A")})
			if results != nil || !errors.As(err, test.target) {
				t.Errorf("got %v, %v of type %T", results, err, err)
			}
			if err != nil && (strings.Contains(err.Error(), "sign=") || strings.Contains(err.Error(), "2088011211223344")) {
				t.Errorf("the error repeats the request: %v", err)
			}
		})
	}
}

// redirect sends a client elsewhere, where a good answer waits: a signed request is for one platform.
func redirect(good []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == gateway.Path {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			return
		}
		w.Write(good)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func write(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

// TestClientMatchesResults: results are found by number, and a trade nobody mentions is not lost.
func TestClientMatchesResults(t *testing.T) {
	client := clientOf(t, write(string(signedNode(t, openapi.MethodTradeSettle,
		`{"code":"10000","result_list":[{"result":"SUCCESS","out_trade_no":"B"},{"result":"FAIL","out_trade_no":"A"},{"result":"SUCCESS","out_trade_no":"X"}]}`))))
	results, err := client.Settle(t.Context(), []openapi.Trade{trade("A"), trade("B"), trade("C"), trade("A")})
	if err != nil || len(results) != 4 {
		t.Fatalf("%v, %v", results, err)
	}
	for i, want := range []openapi.Outcome{openapi.OutcomeFail, openapi.OutcomeSuccess, openapi.OutcomeUnknown, openapi.OutcomeUnknown} {
		if results[i].Outcome != want || results[i].NeedRetry != (want == openapi.OutcomeUnknown) {
			t.Errorf("result %d: %+v", i, results[i])
		}
	}
}

func TestClientStopsWhenTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client := clientOf(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	_, err := client.KeyQuery(ctx)
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "sign") {
		t.Errorf("got %v", err)
	}
}

func TestNewClientChecks(t *testing.T) {
	good := gateway.ClientConfig{URL: "https://example.com/gateway.do", AppID: appID, Signer: signerOf(appKey()),
		PlatformKey: signerOf(platformKey()).Public(), HTTP: http.DefaultClient, Now: noon}
	if _, err := gateway.NewClient(good); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"", "gateway.do", "ftp://example.com/", "https://", "https://example.com/?a=1", "https://exa mple.com"} {
		bad := good
		bad.URL = address
		if _, err := gateway.NewClient(bad); err == nil {
			t.Errorf("took %q", address)
		}
	}
	bad := good
	bad.PlatformKey = nil
	if _, err := gateway.NewClient(bad); err == nil {
		t.Error("took a platform without a key: it would verify nothing")
	}
}
