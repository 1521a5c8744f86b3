package gateway_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/internal/testkit/nodeclient"
	"github.com/shuama/shuama/protocol/openapi"
)

// contentOf is biz_content for a published client.
func contentOf(t *testing.T, content string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(content), &object); err != nil {
		t.Fatalf("%v in %s", err, content)
	}
	return map[string]any{"bizContent": object}
}

// everyMethod is one good call of each method, and one that is refused.
func everyMethod(t *testing.T) []nodeCall {
	t.Helper()
	calls := []nodeCall{{Method: openapi.MethodKeyQuery}}
	for _, c := range []struct {
		method  openapi.Method
		content string
	}{
		{openapi.MethodRecordVerify, `{"record":"0ae23a47f65d"}`}, {openapi.MethodRecordVerify, `{"record":"0"}`},
		{openapi.MethodTradeSettle, settleContent}, {openapi.MethodTradeSettle, `{"trade_list":[]}`},
		{openapi.MethodCardSend, cardContent("1")}, {openapi.MethodCardSend, strings.Replace(cardContent("9"), "ISSUE", "REVOKE", 1)},
		{openapi.MethodCardBatchQuery, `{"user_id":"2088000011112222","include_deleted":true}`}, {openapi.MethodCardBatchQuery, `{"card_type":"GJ310000"}`},
		{openapi.MethodDenyListQuery, `{"page_index":1,"page_size":2}`}, {openapi.MethodDenyListQuery, `{"page_size":1001}`},
		{openapi.MethodDataSend, rideContent("1")}, {openapi.MethodDataSend, strings.Replace(rideContent("2"), "BUS", "TAXI", 1)},
		{openapi.MethodBillQuery, `{"bill_type":"trade","bill_date":"2026-05-10"}`}, {openapi.MethodBillQuery, `{"bill_type":"trade","bill_date":"2026-05-11"}`},
		{openapi.MethodCertDownload, `{"alipay_cert_sn":"` + string(platformCert().SN()) + `"}`}, {openapi.MethodCertDownload, `{"alipay_cert_sn":"00"}`},
	} {
		calls = append(calls, nodeCall{Method: c.method, Params: contentOf(t, c.content)})
	}
	return calls
}

// TestNodeEveryMethod: each method, good and refused, by both clients with verification on, and every message as the
// API document says.
func TestNodeEveryMethod(t *testing.T) {
	for _, client := range []int{3, 4} {
		w := newWorld(t, nil)
		w.putBill(t, appID, "trade-2026-05-10.csv.zip", "bill")
		recorded := recordAll(t, w.url)
		calls := everyMethod(t)
		results := nodeclient.Calls(t, client, nodeConfig(t, recorded.url), calls...)
		for i, result := range results {
			want := "10000"
			if i > 0 && i%2 == 0 {
				want = "40004"
			}
			if result.Error != "" || result.Answer["code"] != want {
				t.Errorf("client %d, call %d, %s: %+v", client, i, calls[i].Method, result)
			}
		}
		if models, is := results[7].Answer["cardModels"].([]any); !is || len(models) != 1 || models[0].(map[string]any)["cardData"] != "0aff" {
			t.Errorf("client %d: cards %+v", client, results[7])
		}
		if refused := results[6].Answer; refused["subErrorCode"] != "CARD_NOT_EXIST" || refused["errorMessage"] == "" {
			t.Errorf("client %d: a card's refusal %+v", client, refused)
		}
		if list, is := results[9].Answer["blackList"].([]any); !is || len(list) != 2 {
			t.Errorf("client %d: deny list %+v", client, results[9])
		}
		if status, _, body := fetch(t, fmt.Sprint(results[13].Answer["billDownloadUrl"])); status != 200 || body != "bill" {
			t.Errorf("client %d: the bill: %d %s", client, status, body)
		}
		recorded.holdToDocument(t, len(calls))
	}
}

// recording keeps what goes through it.
type recording struct {
	url      string
	mutex    sync.Mutex
	messages []message
}

type message struct {
	Method  string  `json:"method"`
	Content *string `json:"content"`
	Answer  string  `json:"answer"`
}

func recordAll(t *testing.T, address string) *recording {
	t.Helper()
	target, err := url.Parse(strings.TrimSuffix(address, gateway.Path))
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		request.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, request)
		r.keep(request.URL.Query(), string(body), answer.Body.String())
		w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	r.url = server.URL + gateway.Path
	return r
}

func (r *recording) keep(query url.Values, body, answer string) {
	m := message{Method: query.Get("method"), Answer: answer}
	if form, err := url.ParseQuery(body); err == nil && form.Has("biz_content") {
		content := form.Get("biz_content")
		m.Content = &content
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.messages = append(r.messages, m)
}

// holdToDocument: what was sent and answered is as docs/openapi.json says. Requests that were refused for their
// content are not held to it.
func (r *recording) holdToDocument(t *testing.T, count int) {
	t.Helper()
	if len(r.messages) != count {
		t.Fatalf("%d of %d exchanges recorded", len(r.messages), count)
	}
	for i := range r.messages {
		if strings.Contains(r.messages[i].Answer, "ILLEGAL_PARAMS") {
			r.messages[i].Content = nil
		}
	}
	var wrong []string
	nodeclient.Run(t, "document.js", map[string]any{"document": json.RawMessage(gateway.Document()), "messages": r.messages}, &wrong)
	for _, what := range wrong {
		t.Errorf("the API document says otherwise: %.600s", what)
	}
}

// TestDocument holds the committed file to the types. shuama app openapi prints the same.
func TestDocument(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "openapi.json")
	if *update {
		if err := os.WriteFile(path, gateway.Document(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(kept, gateway.Document()) {
		t.Errorf("%v: docs/openapi.json is not what the types say: shuama app openapi > docs/openapi.json", err)
	}
}

// TestDocumentIsStrict: a message that is not as the document says is found, or the test above would prove nothing.
func TestDocumentIsStrict(t *testing.T) {
	for name, m := range map[string]message{
		"no record":         {Method: string(openapi.MethodRecordVerify), Content: pointer(`{}`), Answer: `{"` + openapi.MethodRecordVerify.Node() + `":{"code":"10000","msg":"Success"}}`},
		"a bad amount":      {Method: string(openapi.MethodTradeSettle), Content: pointer(strings.Replace(settleContent, `"2.0"`, `"2.000"`, 1)), Answer: `{"` + openapi.MethodTradeSettle.Node() + `":{"code":"10000","msg":"Success","result_list":[]}}`},
		"no list in answer": {Method: string(openapi.MethodDenyListQuery), Answer: `{"` + openapi.MethodDenyListQuery.Node() + `":{"code":"10000","msg":"Success"}}`},
		"another node":      {Method: string(openapi.MethodDenyListQuery), Answer: `{"x_response":{"code":"10000","msg":"Success","black_list":[]}}`},
		"a strange code":    {Method: string(openapi.MethodKeyQuery), Answer: `{"` + openapi.MethodKeyQuery.Node() + `":{"code":"40009","msg":"x","sub_code":"FAIL","sub_msg":"x"}}`},
	} {
		var wrong []string
		nodeclient.Run(t, "document.js", map[string]any{"document": json.RawMessage(gateway.Document()), "messages": []message{m}}, &wrong)
		if len(wrong) == 0 {
			t.Errorf("%s: the document has nothing against it", name)
		}
	}
}

func pointer(text string) *string { return &text }

// TestNodeRefusesTampering puts somebody between client and gateway who changes one letter of every answer.
func TestNodeRefusesTampering(t *testing.T) {
	w := newWorld(t, nil)
	w.putBill(t, appID, "trade-2026-05-10.csv.zip", "bill")
	target, err := url.Parse(strings.TrimSuffix(w.url, gateway.Path))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, r)
		w.Write(bytes.Replace(answer.Body.Bytes(), []byte(`"code":"`), []byte(`"code":"0`), 1))
	}))
	defer between.Close()
	for _, client := range []int{3, 4} {
		calls := everyMethod(t)
		for i, result := range nodeclient.Calls(t, client, nodeConfig(t, between.URL+gateway.Path), calls...) {
			if !strings.Contains(result.Error, "验签失败") {
				t.Errorf("client %d, call %d, %s: took a tampered answer: %+v", client, i, calls[i].Method, result)
			}
		}
	}
}

// certConfig is a client in certificate mode: it reads three certificates, and no key of the platform's.
func certConfig(t *testing.T, address string) map[string]any {
	t.Helper()
	config := nodeConfig(t, address)
	delete(config, "alipayPublicKey")
	config["appCertContent"] = string(appCert().PEM())
	config["alipayPublicCertContent"] = string(platformCert().PEM())
	config["alipayRootCertContent"] = string(authority().Root().PEM())
	return config
}

// TestNodeCertificateMode: the clients name certificates by what they read in them, and so must we.
func TestNodeCertificateMode(t *testing.T) {
	for _, client := range []int{3, 4} {
		w := newWorld(t, certified(false, appCert()))
		w.putBill(t, appID, "trade-2026-05-10.csv.zip", "bill")
		recorded := recordAll(t, w.url)
		calls := everyMethod(t)
		for i, result := range nodeclient.Calls(t, client, certConfig(t, recorded.url), calls...) {
			if result.Error != "" || result.Answer["code"] != "10000" && i%2 == 1 || result.Answer["code"] != "40004" && i > 0 && i%2 == 0 {
				t.Errorf("client %d, call %d, %s: %+v", client, i, calls[i].Method, result)
			}
		}
		recorded.holdToDocument(t, len(calls))
		revoked := newWorld(t, certified(true, appCert()))
		result := nodeclient.Calls(t, client, certConfig(t, revoked.url), nodeCall{Method: openapi.MethodKeyQuery})[0]
		if result.Error != "" || result.Answer["subCode"] != "isv.invalid-signature" || !strings.Contains(fmt.Sprint(result.Answer["subMsg"]), "吊销") {
			t.Errorf("client %d, revoked: %+v", client, result)
		}
	}
}

// TestNodeEncryption: both clients encrypt and decrypt. Their own verification of an encrypted answer always fails
// (gateway-facts §2), so it is off here, and the signature is checked by us.
func TestNodeEncryption(t *testing.T) {
	text := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))
	key, err := openapi.ParseContentKey(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []int{3, 4} {
		w := newWorld(t, func(_ *gateway.Config, a *gateway.App) { a.ContentKey = key })
		recorded := recordAll(t, w.url)
		config := nodeConfig(t, recorded.url)
		config["encryptKey"] = text
		encrypted := func(method openapi.Method, content string) nodeCall {
			params := contentOf(t, content)
			params["needEncrypt"] = true
			return nodeCall{Method: method, Params: params, Options: map[string]any{"validateSign": false}}
		}
		results := nodeclient.Calls(t, client, config, encrypted(openapi.MethodTradeSettle, settleContent), encrypted(openapi.MethodRecordVerify, `{"record":"0"}`))
		if list, is := results[0].Answer["resultList"].([]any); results[0].Error != "" || !is || list[0].(map[string]any)["result"] != "SUCCESS" {
			t.Errorf("client %d: %+v", client, results[0])
		}
		if results[1].Answer["subCode"] != "ILLEGAL_PARAMS" {
			t.Errorf("client %d: a refusal: %+v", client, results[1])
		}
		if len(w.settled) != 1 || w.settled[0].Subject != "984 路公交" {
			t.Errorf("client %d: arrived as %+v", client, w.settled)
		}
		for _, m := range recorded.messages {
			if strings.Contains(*m.Content, "984") || strings.Contains(m.Answer, "SUCCESS") {
				t.Errorf("in the clear: %+v", m)
			}
			if _, err := openapi.OpenResponse(openapi.Method(m.Method), []byte(m.Answer), signerOf(platformKey()).Public(), openapi.RSA2); err != nil {
				t.Errorf("client %d: %v", client, err)
			}
		}
	}
}

// TestNodeNotifications: a notice of ours is believed by both clients, with %, + and Chinese in a value; one that was
// changed is not (gateway-facts §5).
func TestNodeNotifications(t *testing.T) {
	notice := openapi.Notification{AppID: appID, Type: "trade_status_sync", ID: "n1", Time: noon(), More: map[string]string{
		"trade_no": "2015080521001007096655443322", "subject": "公交 100% + 路&费=2", "total_amount": "2.00", "passback_params": "a%3Db", "body": ""}}
	signed, err := notice.Sign(signerOf(platformKey()), openapi.RSA2)
	if err != nil {
		t.Fatal(err)
	}
	received, err := url.ParseQuery(signed.Encode()) // as a merchant's server reads the form
	if err != nil {
		t.Fatal(err)
	}
	form := func(change, value string) map[string]string {
		flat := map[string]string{}
		for name := range received {
			flat[name] = received.Get(name)
		}
		if change != "" {
			flat[change] = value
		}
		return flat
	}
	for _, client := range []int{3, 4} {
		results := nodeclient.Calls(t, client, nodeConfig(t, "http://unused.invalid"), nodeCall{Notify: form("", "")}, nodeCall{Notify: form("total_amount", "200.00")},
			nodeCall{Notify: form("refund_fee", "1")}, nodeCall{Notify: form("sign", base64.StdEncoding.EncodeToString(make([]byte, 256)))})
		for i, result := range results {
			if want := i == 0; result.Answer["believed"] != want {
				t.Errorf("client %d, notice %d: %+v", client, i, result)
			}
		}
	}
}
