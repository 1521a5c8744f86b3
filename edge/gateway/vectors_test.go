package gateway_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
)

var update = flag.Bool("update", false, "write testdata/requests and docs/openapi.json anew")

// published is a client of gateway-facts §1: how it lays a request out. What is the same for all stands in request.
type publishedClient struct {
	name        string
	clause      string
	inQuery     func(name string) bool // which parameters go into the URL
	inBody      func(name string) bool
	extra       map[string]string // what it sends beside app_id, method, charset, sign_type, timestamp, version
	sorted      bool              // whether it writes parameters by name; else as they come
	signsEmpty  bool              // whether empty values are in the signed text
	sendsEmpty  bool
	space       string // what a space is written as
	plain       string // what is not percent-encoded beside letters and digits
	contentType string
	gbk         bool
}

func isContent(name string) bool { return name == "biz_content" }
func isCommon(name string) bool  { return name != "biz_content" }
func always(string) bool         { return true }
func never(string) bool          { return false }

const urlencoded = "application/x-www-form-urlencoded"

func publishedClients() []publishedClient {
	return []publishedClient{
		{name: "node-4", clause: "gateway-facts §1, Node 4: common in the query, content in the body, no format", inQuery: isCommon, inBody: isContent,
			signsEmpty: true, sendsEmpty: true, space: "+", plain: "*-._", contentType: urlencoded + ";charset=UTF-8"},
		{name: "node-4-empty-notify", clause: "gateway-facts §1, Node 4: an empty notify_url is sent and signed", inQuery: isCommon, inBody: isContent,
			extra: map[string]string{"notify_url": ""}, signsEmpty: true, sendsEmpty: true, space: "+", plain: "*-._", contentType: urlencoded + ";charset=UTF-8"},
		{name: "node-3", clause: "gateway-facts §1, Node 3: spaces as %20, a Content-Type without a charset", inQuery: isCommon, inBody: isContent,
			signsEmpty: true, sendsEmpty: true, space: "%20", plain: "-_.!~*'()", contentType: urlencoded},
		{name: "smartwalle", clause: "gateway-facts §1, smartwalle: everything in the body, by name", inQuery: never, inBody: always,
			extra: map[string]string{"format": "JSON"}, sorted: true, space: "+", plain: "-_.~", contentType: urlencoded},
		{name: "gopay", clause: "gateway-facts §1, gopay: charset in the query, and a second time in the body", inQuery: func(name string) bool { return name == "charset" },
			inBody: always, extra: map[string]string{"format": "JSON"}, sorted: true, space: "+", plain: "-_.~", contentType: urlencoded},
		{name: "python", clause: "gateway-facts §1, Python: format json, empty values signed and sent", inQuery: isCommon, inBody: isContent,
			extra: map[string]string{"format": "json", "notify_url": "", "return_url": ""}, signsEmpty: true, sendsEmpty: true, space: "+", plain: "-_.~", contentType: urlencoded + ";charset=utf-8"},
		{name: "python-gbk", clause: "gateway-facts §1, Python: charset gbk", inQuery: isCommon, inBody: isContent,
			extra: map[string]string{"format": "json"}, signsEmpty: true, sendsEmpty: true, space: "+", plain: "-_.~", contentType: urlencoded + ";charset=gbk", gbk: true},
		{name: "java", clause: "gateway-facts §1, Java: alipay_sdk, empty values sent and not signed", inQuery: isCommon, inBody: isContent,
			extra: map[string]string{"format": "json", "alipay_sdk": "alipay-sdk-java-4.38.0", "notify_url": ""}, sendsEmpty: true, space: "+", plain: "*-._", contentType: urlencoded + ";charset=UTF-8"},
		{name: "java-gbk", clause: "gateway-facts §1, Java: charset GBK", inQuery: isCommon, inBody: isContent,
			extra: map[string]string{"format": "json", "alipay_sdk": "alipay-sdk-java-4.38.0"}, space: "+", plain: "*-._", contentType: urlencoded + ";charset=GBK", gbk: true},
	}
}

// vectorContents are what is asked, with what a careless reader would trip over: a space, a plus, a percent sign,
// an ampersand, Chinese.
var vectorContents = []struct {
	name   string
	method openapi.Method
	text   string
}{
	{"settle", openapi.MethodTradeSettle, `{"trade_list":[{"actual_order_time":"2016-11-11 11:11:11","amount":"2.00","out_trade_no":"A & B=1%2B","records":["0a3feae2ad6d7c"],` +
		`"subject":"984 路公交+地铁","user_id":"2088011211223344"}]}`},
	{"keys", openapi.MethodKeyQuery, ""},
}

// request is the whole HTTP request of a client.
func (c publishedClient) request(t *testing.T, method openapi.Method, content string) []byte {
	t.Helper()
	charset := "utf-8"
	if c.gbk {
		charset = "gbk"
		encoded, err := simplifiedchinese.GBK.NewEncoder().String(content)
		if err != nil {
			t.Fatal(err)
		}
		content = encoded
	}
	p := map[string]string{"app_id": appID, "method": string(method), "charset": charset, "sign_type": "RSA2", "timestamp": "2026-05-11 12:00:00", "version": "1.0"}
	maps.Copy(p, c.extra)
	if content != "" {
		p["biz_content"] = content
	}
	digest := sha256.Sum256([]byte(c.signedText(p)))
	signature, err := rsa.SignPKCS1v15(nil, vectorKey(t), crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	p["sign"] = base64.StdEncoding.EncodeToString(signature)
	target, body := gateway.Path, c.form(p, c.inBody)
	if query := c.form(p, c.inQuery); query != "" {
		target += "?" + query
	}
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: platform.example\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", target, c.contentType, len(body), body)
}

func (c publishedClient) signedText(p map[string]string) string {
	var pairs []string
	for name, value := range p {
		if value != "" || c.signsEmpty {
			pairs = append(pairs, name+"="+value)
		}
	}
	slices.Sort(pairs) // no name here is another's beginning
	return strings.Join(pairs, "&")
}

func (c publishedClient) form(p map[string]string, in func(string) bool) string {
	names := slices.Sorted(maps.Keys(p))
	if !c.sorted { // as the clients come to them: no order is a client's promise
		slices.SortFunc(names, func(a, b string) int { return strings.Compare(reversed(a), reversed(b)) })
	}
	var pairs []string
	for _, name := range names {
		if in(name) && (p[name] != "" || c.sendsEmpty) {
			pairs = append(pairs, name+"="+c.encode(p[name]))
		}
	}
	return strings.Join(pairs, "&")
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

func (c publishedClient) encode(value string) string {
	var out strings.Builder
	for _, b := range []byte(value) {
		switch {
		case b >= '0' && b <= '9', b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', strings.IndexByte(c.plain, b) >= 0:
			out.WriteByte(b)
		case b == ' ':
			out.WriteString(c.space)
		default:
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	return out.String()
}

// vectorKey is the key of the files.
func vectorKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "requests", "app.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := openapi.ParsePrivateKey(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestRequestVectors: what the builders make is what stands in the files, and what stands in the files is answered
// so that the client can read it.
func TestRequestVectors(t *testing.T) {
	written := map[string]bool{"app.key": true, "README.md": true}
	for _, client := range publishedClients() {
		for _, content := range vectorContents {
			name := client.name + "-" + content.name + ".http"
			written[name] = true
			t.Run(name, func(t *testing.T) {
				made := fmt.Appendf(nil, "# client: %s\n# clause: %s\n# expect: 10000\n%s", client.name, client.clause, client.request(t, content.method, content.text))
				path := filepath.Join("testdata", "requests", name)
				if *update {
					if err := os.WriteFile(path, made, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				kept, err := os.ReadFile(path)
				if err != nil || !bytes.Equal(kept, made) {
					t.Fatalf("%v: the file is not what the client sends; go test -run TestRequestVectors -update writes it", err)
				}
				replay(t, kept, client, content.method)
			})
		}
	}
	entries, err := os.ReadDir(filepath.Join("testdata", "requests"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !written[entry.Name()] {
			t.Errorf("%s is no client's", entry.Name())
		}
	}
}

// replay sends the bytes of a file as they are.
func replay(t *testing.T, file []byte, client publishedClient, method openapi.Method) {
	t.Helper()
	w := newWorld(t, func(_ *gateway.Config, app *gateway.App) { app.Key = signerOf(vectorKey(t)).Public() })
	for bytes.HasPrefix(file, []byte("#")) {
		_, file, _ = bytes.Cut(file, []byte("\n"))
	}
	conn := w.dial(t)
	if _, err := conn.Write(file); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", response.StatusCode, err)
	}
	if n := read(t, answer.Bytes(), openapi.RSA2); n.Code != "10000" || !n.Signed || n.Name != method.Node() {
		t.Fatalf("answer %s", answer.Bytes())
	}
	checkCharset(t, client, response.Header.Get("Content-Type"), answer.Bytes())
	if method != openapi.MethodTradeSettle {
		return
	}
	if len(w.settled) != 1 || w.settled[0].Subject != "984 路公交+地铁" || w.settled[0].OutTradeNo != "A & B=1%2B" || w.settled[0].AmountFen != 200 ||
		!w.settled[0].OrderTime.Equal(time.Date(2016, 11, 11, 3, 11, 11, 0, time.UTC)) {
		t.Errorf("arrived as %+v", w.settled)
	}
}

// checkCharset: the answer says the request's charset and is written in it, so that whoever decodes by it and
// encodes again has the bytes that were signed.
func checkCharset(t *testing.T, client publishedClient, contentType string, answer []byte) {
	t.Helper()
	if want := map[bool]string{true: "text/html;charset=gbk", false: "text/html;charset=utf-8"}[client.gbk]; contentType != want {
		t.Errorf("Content-Type %s, want %s", contentType, want)
	}
	if !client.gbk {
		return
	}
	text, err := simplifiedchinese.GBK.NewDecoder().Bytes(answer)
	if err != nil {
		t.Fatal(err)
	}
	again, err := simplifiedchinese.GBK.NewEncoder().Bytes(text)
	if err != nil || !bytes.Equal(again, answer) {
		t.Errorf("read as GBK and written again it is %s: %v", again, err)
	}
}
