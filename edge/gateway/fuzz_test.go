package gateway_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
)

// wantOneAnswer: whatever came, there is one answer, in its frame, with a code of the table.
func wantOneAnswer(t *testing.T, handler http.Handler, log *logText, request *http.Request) (code string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	var frame map[string]json.RawMessage
	if err := json.Unmarshal(recorder.Body.Bytes(), &frame); err != nil || recorder.Code != http.StatusOK || len(frame) > 3 {
		t.Fatalf("status %d, %v: %s", recorder.Code, err, recorder.Body)
	}
	for name, value := range frame {
		if !strings.HasSuffix(name, "_response") {
			continue
		}
		var n node
		if err := json.Unmarshal(value, &n); err != nil || n.Code != "10000" && !slices.Contains(openapi.SubCodes(), openapi.SubCode(n.SubCode)) || n.SubCode == "aop.unknow-error" {
			t.Fatalf("%v: %s", err, value)
		}
		code = n.Code
	}
	if code == "" || strings.Contains(log.String(), "panic") {
		t.Fatalf("%s, log %s", recorder.Body, log)
	}
	return code
}

func fuzzHandler(f *testing.F) (http.Handler, *logText) {
	w := newWorld(f, nil)
	w.config.Logger = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelError}))
	handler, err := gateway.New(w.config)
	if err != nil {
		f.Fatal(err)
	}
	return handler, w.log
}

// FuzzForm: any query, any body, any type of it.
func FuzzForm(f *testing.F) {
	handler, log := fuzzHandler(f)
	f.Add("app_id="+appID+"&method=a.b", formType, []byte("biz_content=%7B%7D&sign=x&sign=y"))
	f.Add("app_id="+appID+"&charset=gbk&method=alipay.open.app.alipaycert.download&app_cert_sn=x", "", []byte("%"))
	f.Add("", "multipart/form-data", []byte("--"))
	f.Fuzz(func(t *testing.T, query, contentType string, body []byte) {
		request := httptest.NewRequest(http.MethodPost, gateway.Path, strings.NewReader(string(body)))
		request.URL.RawQuery = query
		request.Header.Set("Content-Type", contentType)
		if code := wantOneAnswer(t, handler, log, request); code == "10000" {
			t.Fatal("nobody has signed this")
		}
	})
}

// FuzzContent: any content that the app has signed, of any method.
func FuzzContent(f *testing.F) {
	handler, log := fuzzHandler(f)
	for i, content := range []string{"", `{"record":"00"}`, settleContent, cardContent("1"), `{"user_id":"u"}`, `{"page_index":1}`, rideContent("1"), `{"bill_type":"trade","bill_date":"2026-05-10"}`,
		`{"alipay_cert_sn":"x"}`} {
		f.Add(i, content)
	}
	methods := append(gateway.Methods(), openapi.MethodCertDownload)
	signer := signerOf(appKey())
	f.Fuzz(func(t *testing.T, method int, content string) {
		call := openapi.Call{AppID: appID, Method: methods[uint(method)%uint(len(methods))], Timestamp: noon(), Content: []byte(content)}
		query, body, err := call.Sign(signer)
		if err != nil {
			t.Fatal(err)
		}
		request := httptest.NewRequest(http.MethodPost, gateway.Path+"?"+query, strings.NewReader(string(body)))
		request.Header.Set("Content-Type", formType)
		wantOneAnswer(t, handler, log, request)
	})
}
