package gateway_test

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
)

// wrong is one way to be wrong: what is changed of a good world and a good request, and which answer comes.
type wrong struct {
	world   func(*gateway.Config, *gateway.App)
	params  map[string]string // in place of the good ones; "-" is left out
	key     string            // who signs instead of the app
	content string
	method  openapi.Method
	times   int // how often it is sent; the last answer counts
	code    string
	says    string // part of what the answer tells to do
	open    bool   // unsigned, since the app is not known
}

// oneOfEach is a way to be wrong for every sub code that this platform gives.
func oneOfEach() map[openapi.SubCode]wrong {
	contentKey, _ := openapi.ParseContentKey(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef")))
	withKey := func(_ *gateway.Config, a *gateway.App) { a.ContentKey = contentKey }
	blocks := base64.StdEncoding.EncodeToString(make([]byte, 32))
	return map[openapi.SubCode]wrong{
		openapi.SubBusinessUnknown:      {method: openapi.MethodDataSend, content: rideContent("1"), world: func(c *gateway.Config, _ *gateway.App) { c.Rides = brokenRides{} }, code: "20000", says: "重试"},
		openapi.SubGatewayUnknown:       {world: func(c *gateway.Config, _ *gateway.App) { c.Payment = panicking{} }, code: "20000", says: "重试"},
		openapi.SubInvalidAuthToken:     {params: map[string]string{"auth_token": "x"}, code: "20001", says: "请不传"},
		openapi.SubMissingAppID:         {params: map[string]string{"app_id": "-"}, code: "40001", says: "app_id", open: true},
		openapi.SubMissingMethod:        {params: map[string]string{"method": "-"}, code: "40001", says: "method"},
		openapi.SubMissingSignatureType: {params: map[string]string{"sign_type": "-"}, code: "40001", says: "sign_type"},
		openapi.SubMissingSignature:     {params: map[string]string{"sign": "-"}, code: "40001", says: "sign"},
		openapi.SubMissingSignatureKey:  {world: certified(false, appCert()), code: "40001", says: "app_cert_sn"},
		openapi.SubMissingTimestamp:     {params: map[string]string{"timestamp": "-"}, code: "40001", says: "timestamp"},
		openapi.SubMissingVersion:       {params: map[string]string{"version": ""}, code: "40001", says: "version"},
		openapi.SubDecryptMissingType:   {world: withKey, content: blocks, code: "40001", says: "encrypt_type=AES"},
		openapi.SubInvalidParameter:     {params: map[string]string{"version": "2.0"}, code: "40002", says: "1.0"},
		openapi.SubInvalidAppID:         {params: map[string]string{"app_id": "1"}, code: "40002", says: "app_id", open: true},
		openapi.SubInvalidMethod:        {method: "alipay.trade.pay", code: "40002", says: "method"},
		openapi.SubForbiddenAPI:         {method: openapi.MethodDenyListQuery, content: "{}", world: func(c *gateway.Config, _ *gateway.App) { c.DenyList = nil }, code: "40002", says: "未开通"},
		openapi.SubInvalidFormat:        {params: map[string]string{"format": "xml"}, code: "40002", says: "JSON"},
		openapi.SubIllegalJSON:          {content: "{", code: "40002", says: "JSON"},
		openapi.SubInvalidSignatureType: {params: map[string]string{"sign_type": "RSA"}, code: "40002", says: "RSA2"},
		openapi.SubInvalidSignature:     {key: "stranger", code: "40002", says: "按名称排序"},
		openapi.SubInvalidEncryptType:   {params: map[string]string{"encrypt_type": "DES"}, code: "40002", says: "AES"},
		openapi.SubInvalidEncrypt:       {world: withKey, params: map[string]string{"encrypt_type": "AES"}, code: "40002", says: "Base64"},
		openapi.SubDecryptKey:           {params: map[string]string{"encrypt_type": "AES"}, content: blocks, code: "40002", says: "密钥"},
		openapi.SubDecryptUnknown:       {world: withKey, params: map[string]string{"encrypt_type": "AES"}, content: blocks, code: "40002", says: "密钥"},
		openapi.SubInvalidTimestamp:     {params: map[string]string{"timestamp": "2026-05-11"}, code: "40002", says: "yyyy-MM-dd HH:mm:ss"},
		openapi.SubInvalidCharset:       {params: map[string]string{"charset": "big5"}, code: "40002", says: "utf-8"},
		openapi.SubNoSignatureConfig:    {world: func(_ *gateway.Config, a *gateway.App) { a.Key = nil }, code: "40002", says: "公钥"},
		openapi.SubNoAppAuth:            {params: map[string]string{"app_auth_token": "x"}, code: "40002", says: "app_auth_token"},
		openapi.SubInvalidAppState:      {world: func(_ *gateway.Config, a *gateway.App) { a.Disabled = true }, code: "40003", says: "联系平台"},
		openapi.SubAppLimited:           {world: func(_ *gateway.Config, a *gateway.App) { a.Limit.PerSec = 1 }, times: 2, code: "40005", says: "降低"},
		openapi.SubMethodLimited: {world: func(_ *gateway.Config, a *gateway.App) {
			a.MethodLimits = map[openapi.Method]gateway.Limit{openapi.MethodTradeSettle: {PerSec: 1}}
		}, times: 2, code: "40005", says: "此接口"},
		openapi.SubNotPermitted:  {world: func(_ *gateway.Config, a *gateway.App) { a.Methods = nil }, code: "40006", says: "未签约"},
		openapi.SubFail:          {method: openapi.MethodCardSend, content: strings.Replace(cardContent("1"), "ISSUE", "UPDATE", 1), code: "40004", says: "ISSUE"},
		openapi.SubIllegalParams: {content: `{"trade_list":[]}`, code: "40004", says: "trade_list"},
		openapi.SubBillNotExist:  {method: openapi.MethodBillQuery, content: `{"bill_type":"trade","bill_date":"2026-05-10"}`, code: "40004", says: "bill_date"},
	}
}

// TestEverySubCode walks every sub code: its code, that the answer is signed as soon as the app is known, that it
// says what to do, that it is short enough for document 2, and that nothing reached the institution.
func TestEverySubCode(t *testing.T) {
	ways := oneOfEach()
	for _, sub := range openapi.SubCodes() {
		way, known := ways[sub]
		if !known {
			t.Errorf("%s: no way to be answered so", sub)
			continue
		}
		t.Run(string(sub), func(t *testing.T) {
			w := newWorld(t, way.world)
			var n node
			for range max(way.times, 1) {
				n = read(t, w.wrongly(t, way), openapi.RSA2)
			}
			if n.SubCode != string(sub) || n.Code != way.code || n.Signed == way.open || n.Msg == "" {
				t.Fatalf("answered %+v", n)
			}
			_, what, told := strings.Cut(n.SubMsg, "：")
			if !told || !strings.Contains(what, way.says) || len([]rune(n.SubMsg)) > 128 {
				t.Errorf("it says %q, and not what to do", n.SubMsg)
			}
			if w.asked > way.times/2 {
				t.Errorf("the institution was asked %d times", w.asked)
			}
		})
	}
	if len(ways) != len(openapi.SubCodes()) {
		t.Errorf("%d ways for %d sub codes", len(ways), len(openapi.SubCodes()))
	}
}

// wrongly sends a request that is good but for one thing.
func (w *world) wrongly(t *testing.T, way wrong) []byte {
	t.Helper()
	if way.method == "" {
		way.method = openapi.MethodTradeSettle
	}
	if way.content == "" {
		way.content = settleContent
	}
	p := params(way.method)
	p["biz_content"] = way.content
	maps.Copy(p, way.params)
	maps.DeleteFunc(p, func(_, value string) bool { return value == "-" })
	key := appKey()
	if way.key != "" {
		key = strangerKey()
	}
	if way.params["sign"] != "-" {
		p["sign"] = signText(t, key, openapi.RSA2, plainText(p))
	}
	_, answer := w.post(t, "", formType, encode(p))
	return answer
}

// plainText is what is signed (gateway-facts §1), made here once more.
func plainText(p map[string]string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if name == "sign" || p[name] == "" {
			continue
		}
		if out.Len() > 0 {
			out.WriteString("&")
		}
		out.WriteString(name + "=" + p[name])
	}
	return out.String()
}
