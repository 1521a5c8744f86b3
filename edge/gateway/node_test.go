package gateway_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/internal/testkit/nodeclient"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment"
)

type (
	nodeCall   = nodeclient.Call
	nodeResult = nodeclient.Result
)

// TestLockFileNamesNoHost: the packages are pinned by their digests, and come from wherever npm is set to.
func TestLockFileNamesNoHost(t *testing.T) {
	lock, err := os.ReadFile(filepath.Join("testdata", "node", "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(lock, []byte(`"resolved"`)) || !bytes.Contains(lock, []byte(`"integrity"`)) {
		t.Error("write it again with npm install --omit-lockfile-registry-resolved")
	}
}

func nodeConfig(t *testing.T, address string) map[string]any {
	t.Helper()
	private, err := openapi.MarshalPrivateKey(appKey(), openapi.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	public, err := openapi.MarshalPublicKey(&platformKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"appId": appID, "privateKey": openapi.BareKey(private), "keyType": "PKCS8",
		"alipayPublicKey": openapi.BareKey(public), "gateway": address, "timeout": 20000}
}

func settleParams(extra map[string]any) map[string]any {
	trade := map[string]any{
		"userId": "2088011211223344", "outTradeNo": "LINE1_POS1_20160425120102", "actualOrderTime": "2016-11-11 11:11:11",
		"subject": "公交-19 路—车号 3241-08:34", "amount": 2, "records": []string{"0A3feae2ad6d7c"},
		"orderBizContext": `{ "line": "metro2", "start_station": "松江大学城", "sign": "{}" }`, "sellerLoginName": "pc@alipay.com",
	}
	bad := map[string]any{}
	for name, value := range trade {
		bad[name] = value
	}
	bad["amount"], bad["outTradeNo"] = "-2", "LINE1_POS1_20160425120103"
	params := map[string]any{"bizContent": map[string]any{"tradeList": []any{trade, bad}}}
	for name, value := range extra {
		params[name] = value
	}
	return params
}

func TestNodeClients(t *testing.T) {
	for _, client := range []int{3, 4} {
		t.Run(map[int]string{3: "3.6.2", 4: "4.14.0"}[client], func(t *testing.T) {
			w := newWorld(t, nil)
			results := nodeclient.Calls(t, client, nodeConfig(t, w.url),
				nodeCall{Method: openapi.MethodKeyQuery},
				nodeCall{Method: openapi.MethodRecordVerify, Params: map[string]any{"bizContent": map[string]any{"record": "0AE23a47f65d"}}},
				nodeCall{Method: openapi.MethodTradeSettle, Params: settleParams(nil)},
				nodeCall{Method: openapi.MethodTradeSettle, Params: settleParams(map[string]any{"notifyUrl": ""})},
			)
			for i, result := range results {
				if result.Error != "" || result.Answer["code"] != "10000" {
					t.Fatalf("call %d: %+v", i, result)
				}
			}
			keys := results[0].Answer["keys"].([]any)
			if key := keys[0].(map[string]any); len(keys) != 1 || key["keyId"] != 7.0 || key["publicKey"] != generator {
				t.Errorf("keys %v", keys)
			}
			if len(w.records) != 1 || !bytes.Equal(w.records[0], []byte{0x0a, 0xe2, 0x3a, 0x47, 0xf6, 0x5d}) {
				t.Errorf("record %x", w.records)
			}
			checkNodeSettle(t, w, results[2])
		})
	}
}

func checkNodeSettle(t *testing.T, w *world, result nodeResult) {
	t.Helper()
	list := result.Answer["resultList"].([]any)
	first, second := list[0].(map[string]any), list[1].(map[string]any)
	if first["result"] != "SUCCESS" || first["outTradeNo"] != "LINE1_POS1_20160425120102" || first["tradeNo"] == "" {
		t.Errorf("good trade: %v", first)
	}
	if second["result"] != "FAIL" || second["errorCode"] != "ILLEGAL_PARAMS" || second["needRetry"] != false ||
		!strings.Contains(second["errorMessage"].(string), "trade_list[1].amount") {
		t.Errorf("bad trade: %v", second)
	}
	if len(w.settled) != 2 { // the good one, once for each of the two calls
		t.Fatalf("%d trades arrived", len(w.settled))
	}
	got := w.settled[0]
	if got.AmountFen != 200 || got.Subject != "公交-19 路—车号 3241-08:34" || got.OrderTime.Unix() != 1478833871 ||
		got.BizContext != `{ "line": "metro2", "start_station": "松江大学城", "sign": "{}" }` || got.SellerLogin != "pc@alipay.com" {
		t.Errorf("arrived as %+v", got)
	}
}

// TestNodeClientsSHA1: old clients sign with RSA, at an app that allows it, and verify the answer so.
func TestNodeClientsSHA1(t *testing.T) {
	w := newWorld(t, func(_ *gateway.Config, app *gateway.App) { app.AllowSHA1 = true })
	for _, client := range []int{3, 4} {
		config := nodeConfig(t, w.url)
		config["signType"] = "RSA"
		results := nodeclient.Calls(t, client, config, nodeCall{Method: openapi.MethodKeyQuery}, nodeCall{Method: openapi.MethodKeyQuery, Params: map[string]any{"appAuthToken": "x"}})
		if result := results[0]; result.Error != "" || result.Answer["code"] != "10000" {
			t.Errorf("%d: %+v", client, result)
		}
		if result := results[1]; result.Error != "" || result.Answer["subCode"] != string(openapi.SubNoAppAuth) {
			t.Errorf("%d: a refusal before the signature is checked: %+v", client, result)
		}
	}
}

// TestNodeClientsReadErrors: an error that a client cannot verify is an error that nobody reads.
func TestNodeClientsReadErrors(t *testing.T) {
	w := newWorld(t, nil)
	w.verdict = &payment.RecordError{Reason: payment.RecordInvalid, Why: `integrity value: "sign" does not hold`}
	stranger, err := openapi.MarshalPrivateKey(strangerKey(), openapi.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []int{3, 4} {
		results := nodeclient.Calls(t, client, nodeConfig(t, w.url),
			nodeCall{Method: openapi.MethodRecordVerify, Params: map[string]any{"bizContent": map[string]any{"record": "00"}}},
			nodeCall{Method: openapi.MethodRecordVerify, Params: map[string]any{"bizContent": map[string]any{"record": "0x"}}},
			nodeCall{Method: "alipay.trade.create", Params: map[string]any{"bizContent": map[string]any{"a": 1}}},
			nodeCall{Method: openapi.MethodKeyQuery, Params: map[string]any{"appAuthToken": "x"}},
		)
		wrongKey := nodeConfig(t, w.url)
		wrongKey["privateKey"] = openapi.BareKey(stranger)
		results = append(results, nodeclient.Calls(t, client, wrongKey, nodeCall{Method: openapi.MethodKeyQuery})...)
		for i, want := range []openapi.SubCode{openapi.SubFail, openapi.SubIllegalParams, openapi.SubInvalidMethod, openapi.SubNoAppAuth,
			openapi.SubInvalidSignature} {
			if got := results[i]; got.Error != "" || got.Answer["subCode"] != string(want) || got.Answer["subMsg"] == "" {
				t.Errorf("%d, call %d: %+v, want %s", client, i, got, want)
			}
		}
	}
}

// TestNodeClientsRefuseTampering puts somebody between client and gateway.
func TestNodeClientsRefuseTampering(t *testing.T) {
	w := newWorld(t, nil)
	target, err := url.Parse(strings.TrimSuffix(w.url, gateway.Path))
	if err != nil {
		t.Fatal(err)
	}
	between := httptest.NewServer(&tamperer{httputil.NewSingleHostReverseProxy(target)})
	defer between.Close()
	for _, client := range []int{3, 4} {
		results := nodeclient.Calls(t, client, nodeConfig(t, between.URL+gateway.Path), nodeCall{Method: openapi.MethodTradeSettle, Params: settleParams(nil)},
			nodeCall{Method: openapi.MethodKeyQuery})
		if !strings.Contains(results[0].Error, "验签失败") {
			t.Errorf("%d: took a tampered answer: %+v", client, results[0])
		}
		if results[1].Error != "" {
			t.Errorf("%d: an answer that was left alone: %+v", client, results[1])
		}
	}
}

// tamperer turns failed trades into settled ones.
type tamperer struct{ next http.Handler }

func (p *tamperer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	recorder := httptest.NewRecorder()
	p.next.ServeHTTP(recorder, r)
	body := bytes.Replace(recorder.Body.Bytes(), []byte(`"FAIL"`), []byte(`"SUCCESS"`), 1)
	w.Write(body)
}
