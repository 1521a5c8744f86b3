package openapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/shuama/shuama/protocol/openapi"
)

func response(node string) openapi.Response {
	return openapi.Response{Method: openapi.MethodKeyQuery, Node: []byte(node), SignType: openapi.RSA2, Charset: openapi.UTF8}
}

// TestResponseFrame holds the frame to gateway-facts §2, byte for byte.
func TestResponseFrame(t *testing.T) {
	answer, err := response(`{"code":"10000","msg":"Success"}`).Sign(platformKey())
	if err != nil {
		t.Fatal(err)
	}
	rest, ok := bytes.CutPrefix(answer, []byte(`{"alipay_commerce_transport_offlinepay_key_query_response":{"code":"10000","msg":"Success"},"sign":"`))
	sign, ok2 := bytes.CutSuffix(rest, []byte(`"}`))
	signature, err := base64.StdEncoding.DecodeString(string(sign))
	if !ok || !ok2 || err != nil || !platformKey().Public().Verify(openapi.RSA2, []byte(`{"code":"10000","msg":"Success"}`), signature) {
		t.Errorf("got %s", answer)
	}
}

// TestResponseHasOneMark: texts in an answer cannot look like its frame to clients that search it.
func TestResponseHasOneMark(t *testing.T) {
	texts := []string{"sign", `","sign":"`, "alipay_commerce_transport_offlinepay_key_query_response", `\_response`, "</script><b>", "𠮷 公交\u2028"}
	for _, text := range texts {
		quoted, _ := json.Marshal(text)
		node := `{"code":"10000","msg":` + string(quoted) + `,"sign":1}`
		for _, charset := range []openapi.Charset{openapi.UTF8, openapi.GBK} {
			r := response(node)
			r.Charset = charset
			answer, err := r.Sign(platformKey())
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Count(answer, []byte(`"sign"`)) != 1 || bytes.Count(answer, []byte("_response")) != 1 || bytes.Contains(answer, []byte("<")) {
				t.Errorf("a second mark in %s", answer)
			}
			if charset == openapi.GBK && bytes.ContainsFunc(answer, func(r rune) bool { return r >= utf8.RuneSelf }) {
				t.Errorf("not ASCII: %s", answer)
			}
			opened, err := openapi.OpenResponse(openapi.MethodKeyQuery, answer, platformKey().Public(), openapi.RSA2)
			if err != nil {
				t.Fatal(err)
			}
			var got struct{ Msg string }
			if err := json.Unmarshal(opened, &got); err != nil || got.Msg != text {
				t.Errorf("%q came out as %q: %v", text, got.Msg, err)
			}
		}
	}
}

func TestOpenResponseRefuses(t *testing.T) {
	good, err := response(`{"code":"10000","msg":"Success"}`).Sign(platformKey())
	if err != nil {
		t.Fatal(err)
	}
	swap := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	unsigned := response(`{"code":"40002","msg":"x","sub_code":"isv.invalid-app-id","sub_msg":"y"}`).Unsigned()
	var claim *openapi.UnsignedError
	if _, err := openapi.OpenResponse(openapi.MethodKeyQuery, unsigned, platformKey().Public(), openapi.RSA2); !errors.As(err, &claim) ||
		claim.Claim.SubCode != openapi.SubInvalidAppID {
		t.Errorf("unsigned error: %v", err)
	}
	for name, body := range map[string][]byte{
		"tampered":                     swap("Success", "Succexx"),
		"white space in the node":      swap(`"10000",`, `"10000", `),
		"signature cut":                swap(`=="`, `"`),
		"another node":                 swap("key_query", "key_guery"),
		"success as error_response":    swap("alipay_commerce_transport_offlinepay_key_query_response", "error_response"),
		"unsigned success":             response(`{"code":"10000","msg":"Success"}`).Unsigned(),
		"sign is no text":              []byte(`{"alipay_commerce_transport_offlinepay_key_query_response":{},"sign":1}`),
		"sign twice":                   swap(`,"sign"`, `,"sign":"","sign"`),
		"node twice":                   append([]byte(`{"alipay_commerce_transport_offlinepay_key_query_response":{"code":"10000"},`), good[1:]...),
		"something behind":             append(bytes.Clone(good), good...),
		"cut":                          good[:len(good)-1],
		"a list":                       []byte(`[]`),
		"nothing":                      nil,
		"not UTF-8":                    []byte("{\"\xff\":1}"),
		"HTML, as a proxy would write": []byte("<html>502</html>"),
	} {
		_, err := openapi.OpenResponse(openapi.MethodKeyQuery, body, platformKey().Public(), openapi.RSA2)
		var refused *openapi.ResponseError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, key := range map[string]openapi.Verifier{"the app's key": appKey().Public(), "no key": openapi.PublicKey{}} {
		if _, err := openapi.OpenResponse(openapi.MethodKeyQuery, good, key, openapi.RSA2); err == nil {
			t.Errorf("passed with %s", name)
		}
	}
	if _, err := openapi.OpenResponse(openapi.MethodKeyQuery, good, platformKey().Public(), openapi.RSA); err == nil {
		t.Error("passed as RSA")
	}
}

func TestSignedErrorResponse(t *testing.T) {
	r := response(string(openapi.Refuse(openapi.SubMissingMethod, "x").AppendNode(nil)))
	r.Method = ""
	answer, err := r.Sign(platformKey())
	if err != nil {
		t.Fatal(err)
	}
	node, err := openapi.OpenResponse(openapi.MethodKeyQuery, answer, platformKey().Public(), openapi.RSA2)
	if err != nil || subOf(t, openapi.ReadOutcome(node)) != openapi.SubMissingMethod {
		t.Errorf("%s: %v", node, err)
	}
}

func TestErrorTable(t *testing.T) {
	for sub, code := range map[openapi.SubCode]openapi.Code{
		openapi.SubBusinessUnknown: "20000", openapi.SubGatewayUnknown: "20000", openapi.SubMissingAppID: "40001",
		openapi.SubInvalidSignature: "40002", openapi.SubInvalidMethod: "40002", openapi.SubNotPermitted: "40006",
		openapi.SubFail: "40004", openapi.SubIllegalParams: "40004", "ACQ.TRADE_NOT_EXIST": "40004",
	} {
		e := openapi.Refuse(sub, strings.Repeat("长", 200))
		if e.Code != code || e.Msg == "" || utf8.RuneCountInString(e.SubMsg) > 128 || e.OutcomeKnown() != (code != "20000") {
			t.Errorf("%s: %+v", sub, e)
		}
		var back *openapi.Error
		if !errors.As(openapi.ReadOutcome(e.AppendNode(nil)), &back) || *back != *e {
			t.Errorf("%s: read back as %+v", sub, back)
		}
	}
	if err := openapi.ReadOutcome([]byte(`{"code":"10000","msg":"Success"}`)); err != nil {
		t.Error(err)
	}
	for _, node := range []string{``, `{}`, `{"code":10000}`, `{"code":""}`, `"10000"`} {
		var refusal *openapi.Error
		if err := openapi.ReadOutcome([]byte(node)); err == nil || errors.As(err, &refusal) {
			t.Errorf("%s: %v", node, err)
		}
	}
}

// FuzzOpenResponse: whatever one changed byte does to a signed answer, what is opened is what was signed.
func FuzzOpenResponse(f *testing.F) {
	f.Add([]byte(`{"code":"10000","msg":"Success","keys":[]}`), uint16(70), byte(1))
	f.Add([]byte(`{"code":"40004","sub_msg":"\"sign\":_response<"}`), uint16(3), byte(0x20))
	f.Fuzz(func(t *testing.T, node []byte, at uint16, flip byte) {
		node = bytes.TrimSpace(node) // nodes are written without space around them
		if _, known := openapi.ReadOutcome(node).(*openapi.Error); !known && openapi.ReadOutcome(node) != nil {
			openapi.OpenResponse(openapi.MethodKeyQuery, node, platformKey().Public(), openapi.RSA2)
			return
		}
		answer, err := response(string(node)).Sign(platformKey())
		if err != nil {
			t.Fatal(err)
		}
		signed, err := openapi.OpenResponse(openapi.MethodKeyQuery, answer, platformKey().Public(), openapi.RSA2)
		if err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
		if !sameJSON(t, signed, node) {
			t.Fatalf("%s means another thing than %s", signed, node)
		}
		answer[int(at)%len(answer)] ^= flip
		opened, err := openapi.OpenResponse(openapi.MethodKeyQuery, answer, platformKey().Public(), openapi.RSA2)
		if err == nil && !bytes.Equal(opened, signed) {
			t.Fatalf("%s was opened, %s was signed", opened, signed)
		}
	})
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	first, _ := json.Marshal(x)
	second, _ := json.Marshal(y)
	return bytes.Equal(first, second)
}
