package openapi_test

import (
	"bytes"
	"maps"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/shuama/shuama/protocol/openapi"
)

const keyQueryText = "app_id=2026051100000001&charset=utf-8&method=alipay.commerce.transport.offlinepay.key.query" +
	"&sign_type=RSA2&timestamp=2026-05-11 12:00:00&version=1.0"

func verify(query string, body []byte, policy openapi.Policy) (*openapi.Request, error) {
	u, _ := openapi.ParseRequest(query, body)
	return u.Verify(appKey().Public(), policy)
}

func TestVerifyTakesWhatClientsSend(t *testing.T) {
	with := func(extra map[string]string) map[string]string {
		params := common()
		maps.Copy(params, extra)
		return params
	}
	gbk, err := simplifiedchinese.GBK.NewEncoder().String(`{"subject":"松江大学城"}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		params   map[string]string
		signType openapi.SignType
		text     string // what the client signs
		content  string
	}{
		{"no content", common(), openapi.RSA2, keyQueryText, ""},
		{"empty value signed and sent, as Node and Python do", with(map[string]string{"notify_url": ""}), openapi.RSA2,
			strings.Replace(keyQueryText, "&sign_type", "&notify_url=&sign_type", 1), ""},
		{"empty value sent and not signed, as Java does", with(map[string]string{"notify_url": ""}), openapi.RSA2, keyQueryText, ""},
		{"format JSON and a parameter nobody knows", with(map[string]string{"format": "JSON", "terminal_type": "a&b=c"}), openapi.RSA2,
			strings.Replace(strings.Replace(keyQueryText, "&method", "&format=JSON&method", 1), "&timestamp", "&terminal_type=a&b=c&timestamp", 1), ""},
		{"GBK bytes", with(map[string]string{"charset": "GBK", "biz_content": gbk}), openapi.RSA2,
			strings.Replace(keyQueryText, "charset=utf-8", "biz_content="+gbk+"&charset=GBK", 1), `{"subject":"松江大学城"}`},
		{"RSA", with(map[string]string{"sign_type": "RSA"}), openapi.RSA, strings.Replace(keyQueryText, "RSA2", "RSA", 1), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := signedForm(t, test.params, test.signType, test.text)
			for side, place := range map[string]func() (*openapi.Request, error){
				"body":  func() (*openapi.Request, error) { return verify("", body, openapi.Policy{AllowSHA1: true}) },
				"query": func() (*openapi.Request, error) { return verify(string(body), nil, openapi.Policy{AllowSHA1: true}) },
				"both":  func() (*openapi.Request, error) { return verify(string(body), body, openapi.Policy{AllowSHA1: true}) },
			} {
				request, err := place()
				if err != nil {
					t.Fatalf("in the %s: %v", side, err)
				}
				if string(request.Content) != test.content || request.AppID != "2026051100000001" || !request.Timestamp.Equal(noon()) {
					t.Errorf("in the %s: %q of %s at %s", side, request.Content, request.AppID, request.Timestamp)
				}
			}
		})
	}
}

// TestVerifyRefuses changes one thing of a good request, and signs it or not. Every fault has one answer.
func TestVerifyRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(map[string]string)
		want   openapi.SubCode
	}{
		{"no method", remove("method"), openapi.SubMissingMethod},
		{"no sign_type", remove("sign_type"), openapi.SubMissingSignatureType},
		{"no timestamp", remove("timestamp"), openapi.SubMissingTimestamp},
		{"no version", remove("version"), openapi.SubMissingVersion},
		{"empty version", set("version", ""), openapi.SubMissingVersion},
		{"sign_type RSA3", set("sign_type", "RSA3"), openapi.SubInvalidSignatureType},
		{"sign_type RSA at an app that has RSA2", set("sign_type", "RSA"), openapi.SubInvalidSignatureType},
		{"format xml", set("format", "xml"), openapi.SubInvalidFormat},
		{"charset big5", set("charset", "big5"), openapi.SubInvalidCharset},
		{"version 2.0", set("version", "2.0"), openapi.SubInvalidParameter},
		{"timestamp of another form", set("timestamp", "2026-05-11T12:00:00Z"), openapi.SubInvalidTimestamp},
		{"timestamp with one digit", set("timestamp", "2026-05-11 9:00:00"), openapi.SubInvalidTimestamp},
		{"timestamp with a fraction", set("timestamp", "2026-05-11 12:00:00.5"), openapi.SubInvalidTimestamp},
		{"timestamp of no day", set("timestamp", "2026-02-30 12:00:00"), openapi.SubInvalidTimestamp},
		{"encryption of another kind", set("encrypt_type", "SM4"), openapi.SubInvalidEncryptType},
		{"encryption, and no key", set("encrypt_type", "AES"), openapi.SubDecryptKey},
		{"a user's token", set("auth_token", "x"), openapi.SubInvalidAuthToken},
		{"content that is not JSON", set("biz_content", `{"a":`), openapi.SubIllegalJSON},
		{"for somebody else", set("app_auth_token", "201611BB"), openapi.SubNoAppAuth},
		{"content that is not UTF-8", set("biz_content", "\xcb\xc9"), openapi.SubInvalidCharset},
		{"content that is not GBK", func(p map[string]string) { p["charset"], p["biz_content"] = "gbk", "\xff\xff" }, openapi.SubInvalidCharset},
		{"content too long", set("biz_content", strings.Repeat("a", openapi.MaxContentSize+1)), openapi.SubInvalidParameter},
	} {
		t.Run(test.name, func(t *testing.T) {
			params := common()
			test.change(params)
			body := signedForm(t, params, openapi.RSA2, signingText(params))
			_, err := verify("", body, openapi.Policy{})
			if got := subOf(t, err); got != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func remove(name string) func(map[string]string) {
	return func(p map[string]string) { delete(p, name) }
}

func set(name, value string) func(map[string]string) {
	return func(p map[string]string) { p[name] = value }
}

// signingText is the rule of gateway-facts §1 once more, made another way than the package does.
func signingText(params map[string]string) string {
	var pairs []string
	for name, value := range params {
		if value != "" && name != "sign" {
			pairs = append(pairs, name+"="+value)
		}
	}
	for i := range pairs { // by name; no name here is another's beginning
		for j := i + 1; j < len(pairs); j++ {
			if pairs[j] < pairs[i] {
				pairs[i], pairs[j] = pairs[j], pairs[i]
			}
		}
	}
	return strings.Join(pairs, "&")
}

// TestSignatureCoversEverything changes a request after it was signed.
func TestSignatureCoversEverything(t *testing.T) {
	params := common()
	params["biz_content"] = `{"record":"00"}`
	good := string(signedForm(t, params, openapi.RSA2, signingText(params)))
	if _, err := verify("", []byte(good), openapi.Policy{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, old, new string }{
		{"another content", "%2200%22", "%2201%22"},
		{"another method", "key.query", "trade.settle"},
		{"another app", "2026051100000001", "2026051100000002"},
		{"another time", "12%3A00%3A00", "12%3A00%3A01"},
		{"a parameter more", "version=1.0", "version=1.0&notify_url=x"},
		{"a parameter less", "charset=utf-8&", ""},
		{"sign_type swapped", "sign_type=RSA2", "sign_type=RSA"},
		{"two parameters run together", "&sign_type=RSA2&timestamp", "&sign_type=RSA2%26timestamp"},
		{"sign of another text", "sign=", "sign=AAAA"},
		{"sign cut", "%3D%3D", ""},
		{"sign with a line feed", "%3D%3D", "%3D%3D%0A"},
		{"sign not base64", "sign=", "sign=!"},
		{"sign as base64url", "sign=", "sign=-_"},
		{"no sign", "sign=", "sing="},
	} {
		bad := strings.Replace(good, test.old, test.new, 1)
		if bad == good {
			t.Fatalf("%s: nothing was changed", test.name)
		}
		_, err := verify("", []byte(bad), openapi.Policy{AllowSHA1: true})
		if err == nil {
			t.Errorf("%s: passed", test.name)
		}
	}
}

func TestSpacesForPlus(t *testing.T) {
	params := common()
	for { // until the signature has a plus
		body := string(signedForm(t, params, openapi.RSA2, signingText(params)))
		if !strings.Contains(body, "%2B") {
			params["nonce"] += "x"
			continue
		}
		_, err := verify("", []byte(strings.ReplaceAll(body, "%2B", "+")), openapi.Policy{})
		if subOf(t, err) != openapi.SubInvalidSignature || !strings.Contains(err.Error(), "百分号编码") {
			t.Errorf("got %v", err)
		}
		return
	}
}

// TestErrorsKeepContentSecret: the real platform quotes the signed text in the error; ours is in logs.
func TestErrorsKeepContentSecret(t *testing.T) {
	params := common()
	params["biz_content"] = `{"card_no":"31000000000000007"}`
	body := signedForm(t, params, openapi.RSA2, "another text")
	_, err := verify("", body, openapi.Policy{})
	if subOf(t, err) != openapi.SubInvalidSignature || strings.Contains(err.Error(), "3100") {
		t.Errorf("got %v", err)
	}
}

func TestTwoReadersSeeOneValue(t *testing.T) {
	params := common()
	good := string(signedForm(t, params, openapi.RSA2, signingText(params)))
	for _, test := range []struct {
		name, query, body string
		want              openapi.SubCode
	}{
		{"charset twice, one value, as gopay does", "charset=utf-8", good, ""},
		{"charset twice, two values", "charset=gbk", good, openapi.SubInvalidParameter},
		{"method twice in one body", "", good + "&method=x", openapi.SubInvalidParameter},
		{"method a second time, empty", "method=", good, openapi.SubInvalidParameter},
		{"method a second time, spelled with escapes", "", good + "&%6dethod=x", openapi.SubInvalidParameter},
		{"broken escape", "", good + "&x=%g0", openapi.SubInvalidParameter},
		{"escape cut off", "", good + "&x=%4", openapi.SubInvalidParameter},
		{"no name", "", good + "&=x", openapi.SubInvalidParameter},
		{"a long name", "", good + "&" + strings.Repeat("n", 65) + "=x", openapi.SubInvalidParameter},
		{"too many", "", good + "&" + many(64), openapi.SubInvalidParameter},
		{"too long", "", good + "&x=" + strings.Repeat("x", openapi.MaxRequestSize), openapi.SubInvalidParameter},
		{"empty pairs", "&&", "&" + good + "&&", ""},
	} {
		_, err := verify(test.query, []byte(test.body), openapi.Policy{})
		if got := subOf(t, err); got != test.want {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
		u, parseErr := openapi.ParseRequest(test.query, []byte(test.body))
		if (parseErr == nil) != (err == nil) {
			t.Errorf("%s: ParseRequest says %v, Verify %v", test.name, parseErr, err)
		}
		if test.name != "too long" && u.AppID() != "2026051100000001" {
			t.Errorf("%s: the answer cannot be addressed", test.name)
		}
	}
}

func many(count int) string {
	var out strings.Builder
	for i := range count {
		out.WriteString("&n" + strings.Repeat("i", i/26) + string(rune('a'+i%26)) + "=1")
	}
	return out.String()
}

// TestCallIsWhatTheOtherSideReads: our client's request, read by our server's parser.
func TestCallIsWhatTheOtherSideReads(t *testing.T) {
	for _, content := range []string{"", `{"record":"0A&=+ %"}`, `{"subject":"公交-19 路"}`} {
		call := openapi.Call{AppID: "1", Method: openapi.MethodRecordVerify, Timestamp: noon(), Content: []byte(content)}
		query, body, err := call.Sign(appKey())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains([]byte(query), []byte("biz_content")) {
			t.Error("the content stands in the URL, which servers log")
		}
		if _, err := url.ParseQuery(query); err != nil {
			t.Error(err)
		}
		request, err := verify(query, body, openapi.Policy{})
		if err != nil {
			t.Fatal(err)
		}
		if string(request.Content) != content || request.Method != call.Method || !request.Timestamp.Equal(noon()) || request.Param("format") != "json" {
			t.Errorf("came out as %+v", request)
		}
	}
}

func TestMethodNode(t *testing.T) {
	for method, want := range map[openapi.Method]string{
		openapi.MethodKeyQuery:                  "alipay_commerce_transport_offlinepay_key_query_response",
		"":                                      "error_response",
		`x":1,"`:                                "error_response",
		openapi.Method(strings.Repeat("a", 65)): "error_response",
		"alipay.Trade":                          "error_response",
		openapi.Method("alipay.trade.pay\x00"):  "error_response",
		openapi.Method("some.method.nobody.knows"): "some_method_nobody_knows_response",
	} {
		if got := method.Node(); got != want {
			t.Errorf("%q: %s, want %s", method, got, want)
		}
	}
}

// FuzzParseRequest: no text of a stranger panics, and what is read does not depend on where it stood.
func FuzzParseRequest(f *testing.F) {
	f.Add("app_id=1&method=a.b&sign=x", []byte("biz_content=%7B%7D&charset=utf-8"))
	f.Add("charset=utf-8", []byte("charset=utf-8&a=+%20&a=%20+"))
	f.Add("%", []byte("=&==&&a"))
	f.Fuzz(func(t *testing.T, query string, body []byte) {
		u, err := openapi.ParseRequest(query, body)
		if u == nil {
			t.Fatal("nothing to address an answer with")
		}
		u.Method().Node()
		if _, verifyErr := u.Verify(appKey().Public(), openapi.Policy{AllowSHA1: true}); verifyErr == nil {
			t.Fatal("nobody has signed this")
		} else {
			subOf(t, verifyErr)
		}
		if err != nil {
			return
		}
		joined, err := openapi.ParseRequest("", append([]byte(query+"&"), body...))
		if len(query)+1+len(body) > openapi.MaxRequestSize {
			return
		}
		if err != nil || joined.AppID() != u.AppID() || joined.Method() != u.Method() {
			t.Fatalf("read differently from one place: %v", err)
		}
	})
}
