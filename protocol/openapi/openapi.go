// Package openapi is the messages of the open platform (开放平台报文): the signed envelope that merchants and
// the payment institution exchange, and one request and response pair for each method.
//
// The envelope is not in document 2, which leaves it to the platform; gateway-facts has it as
// published clients speak it. A request is a set of parameters: ParseRequest reads them into an
// Unverified, and only Verify, which checks the signature, gives a Request with its content. A
// response is a JSON object whose first member, the node, is what the signature covers.
//
// A Codec is all that this package knows of a method. Adding a method is writing one.
package openapi

import (
	"strings"
	"time"
)

// Typed names, so that none is taken for another.
type (
	// AppID is a registered application of a merchant (app_id).
	AppID string
	// Method names what is asked for (method), as MethodTradeSettle.
	Method string
	// OutTradeNo is the merchant's number of a trade (out_trade_no), unique within its app.
	OutTradeNo string
	// TradeNo is the payment institution's number of a trade (trade_no).
	TradeNo string
	// SignType names how an envelope is signed (sign_type).
	SignType string
	// Charset names how the values of an envelope are written (charset).
	Charset string
)

// The methods of this package.
const (
	MethodKeyQuery       Method = "alipay.commerce.transport.offlinepay.key.query"
	MethodRecordVerify   Method = "alipay.commerce.transport.offlinepay.record.verify"
	MethodTradeSettle    Method = "alipay.commerce.transport.offlinepay.trade.settle"
	MethodCardSend       Method = "alipay.commerce.transport.offlinepay.virtualcard.send"
	MethodCardBatchQuery Method = "alipay.commerce.transport.offlinepay.virtualcard.batchquery"
	MethodDenyListQuery  Method = "alipay.commerce.transport.offlinepay.userblacklist.query"
	MethodDataSend       Method = "alipay.commerce.data.send"
	MethodBillQuery      Method = "alipay.data.dataservice.bill.downloadurl.query"
	MethodCertDownload   Method = "alipay.open.app.alipaycert.download"
)

// The ways to sign, gateway-facts §1.
const (
	RSA2 SignType = "RSA2" // RSASSA-PKCS1-v1_5 over SHA-256
	RSA  SignType = "RSA"  // the same over SHA-1: two texts of one digest can be made on purpose
)

// The charsets, gateway-facts §7; gb2312 is read as GBK, which holds it.
const (
	UTF8 Charset = "utf-8"
	GBK  Charset = "gbk"
)

// Bounds of a request, in bytes, and of its parameters.
const (
	MaxRequestSize = 2 << 20 // query and body together
	MaxContentSize = 1 << 20 // biz_content, decoded
	maxParams      = 64
	maxNameSize    = 64 // of a parameter's name and of a method
)

// errorNode is the response's node where no method can be told.
const errorNode = "error_response"

// Node is the name of the method's member in a response, as "alipay_…_key_query_response". A method that
// could not be one gives "error_response": its text must not get into the frame of an answer.
func (m Method) Node() string {
	if !m.isName() {
		return errorNode
	}
	return strings.ReplaceAll(string(m), ".", "_") + "_response"
}

func (m Method) isName() bool {
	for _, c := range []byte(m) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' {
			return false
		}
	}
	return m != "" && len(m) <= maxNameSize
}

// timeLayout is yyyy-MM-dd HH:mm:ss.
const timeLayout = "2006-01-02 15:04:05"

// Beijing is the zone of every time in these messages, UTC+8 all year (gateway-facts §7).
func Beijing() *time.Location { return time.FixedZone("Beijing", 8*60*60) }

// FormatTime writes an instant as yyyy-MM-dd HH:mm:ss in Beijing.
func FormatTime(t time.Time) string { return t.In(Beijing()).Format(timeLayout) }

// ParseTime reads exactly yyyy-MM-dd HH:mm:ss in Beijing; the result is UTC.
func ParseTime(text string) (time.Time, bool) {
	t, err := time.ParseInLocation(timeLayout, text, Beijing())
	// time.Parse also takes one-digit hours and fractions of a second.
	if err != nil || t.Format(timeLayout) != text {
		return time.Time{}, false
	}
	return t.UTC(), true
}
