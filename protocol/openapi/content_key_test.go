package openapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/shuama/shuama/protocol/openapi"
)

// contentKeyText is an AES key as an operator hands it out.
const contentKeyText = "MDEyMzQ1Njc4OWFiY2RlZg==" // 0123456789abcdef

func contentKey(t testing.TB, text string) *openapi.ContentKey {
	t.Helper()
	key, err := openapi.ParseContentKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// encrypted is made by OpenSSL: AES-128-CBC from zero, PKCS#7, base64.
func encrypted(t testing.TB, text string) string {
	t.Helper()
	command := exec.Command("openssl", "enc", "-aes-128-cbc", "-K", hex.EncodeToString([]byte("0123456789abcdef")), "-iv", strings.Repeat("00", 16), "-base64", "-A")
	command.Stdin = strings.NewReader(text)
	output, err := command.Output()
	if err != nil {
		t.Fatalf("openssl (apt-get install openssl): %v", err)
	}
	return string(output)
}

func TestParseContentKey(t *testing.T) {
	for _, text := range []string{"", "MDEyMzQ1Njc4OWFiY2RlZg", contentKeyText + "\n", "MDEyMzQ1Njc4OWFiY2Rl", "0123456789abcdef", base64.StdEncoding.EncodeToString(make([]byte, 32))} {
		if _, err := openapi.ParseContentKey(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v", contentKey(t, contentKeyText), contentKey(t, contentKeyText), contentKey(t, contentKeyText)); strings.Contains(shown, "0123") || strings.Contains(shown, "block") {
		t.Errorf("shown as %s", shown)
	}
}

// What OpenSSL encrypts we read, in both charsets, with the signature over the ciphertext.
func TestEncryptedRequest(t *testing.T) {
	const content = `{"subject":"松江大学城"}`
	gbk, err := simplifiedchinese.GBK.NewEncoder().String(content)
	if err != nil {
		t.Fatal(err)
	}
	for charset, plain := range map[string]string{"utf-8": content, "gbk": gbk} {
		params := common()
		maps.Copy(params, map[string]string{"charset": charset, "encrypt_type": "AES", "biz_content": encrypted(t, plain)})
		request, err := verify("", signedForm(t, params, openapi.RSA2, signingText(params)), openapi.Policy{ContentKey: contentKey(t, contentKeyText)})
		if err != nil || string(request.Content) != content || !request.Encrypted {
			t.Errorf("%s: %+v, %v", charset, request, err)
		}
	}
}

func TestEncryptedRequestRefuses(t *testing.T) {
	other := base64.StdEncoding.EncodeToString([]byte("fedcba9876543210"))
	good := encrypted(t, `{"record":"00"}`)
	for _, test := range []struct {
		name, encryptType, content, key string
		want                            openapi.SubCode
	}{
		{"good", "AES", good, contentKeyText, ""},
		{"no content, as at key.query", "AES", "", contentKeyText, ""},
		{"no key registered", "AES", good, "", openapi.SubDecryptKey},
		{"another key", "AES", good, other, openapi.SubDecryptUnknown},
		{"no encrypt_type", "", good, contentKeyText, openapi.SubDecryptMissingType},
		{"no encrypt_type and no key", "", good, "", openapi.SubIllegalJSON},
		{"another way", "aes", good, contentKeyText, openapi.SubInvalidEncryptType},
		{"in the clear", "AES", `{"record":"00"}`, contentKeyText, openapi.SubInvalidEncrypt},
		{"base64 of half a block", "AES", "AAAA", contentKeyText, openapi.SubInvalidEncrypt},
		{"base64 with a line feed", "AES", good[:4] + "\n" + good[4:], contentKeyText, openapi.SubInvalidEncrypt},
		{"what decrypts is no JSON", "AES", encrypted(t, `{"record":`), contentKeyText, openapi.SubDecryptUnknown},
		{"what decrypts is no text", "AES", encrypted(t, "\"\xff\""), contentKeyText, openapi.SubDecryptUnknown},
	} {
		params := common()
		params["encrypt_type"], params["biz_content"] = test.encryptType, test.content
		var policy openapi.Policy
		if test.key != "" {
			policy.ContentKey = contentKey(t, test.key)
		}
		_, err := verify("", signedForm(t, params, openapi.RSA2, signingText(params)), policy)
		if got := subOf(t, err); got != test.want {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

// The signature is asked first: nobody without the app's key learns what decrypts.
func TestNoPaddingOracle(t *testing.T) {
	params := common()
	params["encrypt_type"], params["biz_content"] = "AES", encrypted(t, `{"a":1}`)
	for range 32 {
		_, err := verify("", signedForm(t, params, openapi.RSA2, "another text"), openapi.Policy{ContentKey: contentKey(t, contentKeyText)})
		if subOf(t, err) != openapi.SubInvalidSignature {
			t.Fatal(err)
		}
		raw, _ := base64.StdEncoding.DecodeString(params["biz_content"])
		raw[len(raw)-1]++
		params["biz_content"] = base64.StdEncoding.EncodeToString(raw)
	}
}

// The answer is the base64 in quotes, and its signature covers the quotes (gateway-facts §2).
func TestEncryptedResponse(t *testing.T) {
	r := response(`{"code":"10000","msg":"Success","sub_msg":"成功"}`)
	r.ContentKey = contentKey(t, contentKeyText)
	answer, err := r.Sign(platformKey())
	if err != nil {
		t.Fatal(err)
	}
	wanted := `"` + encrypted(t, `{"code":"10000","msg":"Success","sub_msg":"成功"}`) + `"`
	if !bytes.HasPrefix(answer, []byte(`{"alipay_commerce_transport_offlinepay_key_query_response":`+wanted+`,"sign":"`)) {
		t.Errorf("got %s", answer)
	}
	node, err := openapi.OpenResponse(openapi.MethodKeyQuery, answer, platformKey().Public(), openapi.RSA2)
	if err != nil || string(node) != wanted {
		t.Fatalf("%s, %v", node, err)
	}
	plain, err := r.ContentKey.DecryptNode(node)
	if err != nil || string(plain) != string(r.Node) {
		t.Errorf("%s, %v", plain, err)
	}
	r.Charset = openapi.GBK
	if answer, err = r.Sign(platformKey()); err != nil || !bytes.Contains(answer, []byte(encrypted(t, `{"code":"10000","msg":"Success","sub_msg":"\u6210\u529f"}`))) {
		t.Errorf("for a client that reads GBK: %s, %v", answer, err)
	}
	for _, bad := range []string{`"AAAA"`, `"x"`, `""`, wanted[:len(wanted)-5] + `AAA="`} {
		if _, err := r.ContentKey.DecryptNode([]byte(bad)); err == nil {
			t.Errorf("opened %s", bad)
		}
	}
	if plain, err := r.ContentKey.DecryptNode([]byte(`{"code":"40002"}`)); err != nil || string(plain) != `{"code":"40002"}` {
		t.Errorf("an error in the clear: %s, %v", plain, err)
	}
}

// Our client's encrypted call, in certificate mode, read by our server's parser.
func TestEncryptedCall(t *testing.T) {
	for _, content := range []string{"", `{"record":"00"}`, `{"subject":"` + strings.Repeat("路", 100) + `"}`} {
		call := openapi.Call{AppID: "1", Method: openapi.MethodRecordVerify, Timestamp: noon(), Content: []byte(content), CertSN: "aa", RootCertSN: "bb_cc",
			ContentKey: contentKey(t, contentKeyText)}
		query, body, err := call.Sign(appKey())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(body, []byte("record")) {
			t.Errorf("in the clear: %s", body)
		}
		request, err := verify(query, body, openapi.Policy{ContentKey: contentKey(t, contentKeyText)})
		if err != nil || string(request.Content) != content {
			t.Errorf("%+v, %v", request, err)
		}
		if u, _ := openapi.ParseRequest(query, body); u.CertSN() != "aa" || u.RootCertSN() != "bb_cc" {
			t.Errorf("certificates %s, %s", u.CertSN(), u.RootCertSN())
		}
	}
}

func FuzzDecryptNode(f *testing.F) {
	f.Add([]byte(`"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) + `"`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, node []byte) {
		if plain, err := contentKey(t, contentKeyText).DecryptNode(node); err == nil && len(node) > 0 && node[0] == '"' && !bytes.Equal(plain, bytes.ToValidUTF8(plain, nil)) {
			t.Fatal("what opens is no text")
		}
	})
}
