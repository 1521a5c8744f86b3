package openapi

import "unicode/utf8"

// Code is the outcome of a call (code, gateway-facts §6).
type Code string

// The codes.
const (
	CodeSuccess        Code = "10000"
	CodeUnavailable    Code = "20000" // the outcome is not known: send the same request again
	CodeToken          Code = "20001"
	CodeMissing        Code = "40001"
	CodeInvalid        Code = "40002"
	CodeConditions     Code = "40003"
	CodeBusinessFailed Code = "40004"
	CodeLimited        Code = "40005" // later, the same request may do
	CodeNotPermitted   Code = "40006"
)

const maxSubMsgCharacters = 128 // document 2 §4.2.1.7: sub_msg is String(128)

// SubCode says what is wrong (sub_code, gateway-facts §6; document 2 §4.2.1.7 for the last ones).
type SubCode string

// The sub codes that this platform gives, spelled as the real one spells them.
const (
	SubBusinessUnknown      SubCode = "isp.unknow-error" // the institution behind the gateway
	SubGatewayUnknown       SubCode = "aop.unknow-error" // the gateway itself
	SubInvalidAuthToken     SubCode = "aop.invalid-auth-token"
	SubMissingAppID         SubCode = "isv.missing-app-id"
	SubMissingMethod        SubCode = "isv.missing-method"
	SubMissingSignatureType SubCode = "isv.missing-signature-type"
	SubMissingSignature     SubCode = "isv.missing-signature"
	SubMissingSignatureKey  SubCode = "isv.missing-signature-key" // in certificate mode: which certificate
	SubMissingTimestamp     SubCode = "isv.missing-timestamp"
	SubMissingVersion       SubCode = "isv.missing-version"
	SubDecryptMissingType   SubCode = "isv.decryption-error-missing-encrypt-type"
	SubInvalidParameter     SubCode = "isv.invalid-parameter"
	SubInvalidAppID         SubCode = "isv.invalid-app-id"
	SubInvalidMethod        SubCode = "isv.invalid-method"
	SubForbiddenAPI         SubCode = "isv.forbidden-api" // a method that this platform has not opened
	SubInvalidFormat        SubCode = "isv.invalid-format"
	SubIllegalJSON          SubCode = "isv.illegal-json"
	SubInvalidSignatureType SubCode = "isv.invalid-signature-type"
	SubInvalidSignature     SubCode = "isv.invalid-signature"
	SubInvalidEncryptType   SubCode = "isv.invalid-encrypt-type"
	SubInvalidEncrypt       SubCode = "isv.invalid-encrypt"
	SubDecryptKey           SubCode = "isv.decryption-error-not-valid-encrypt-key"
	SubDecryptUnknown       SubCode = "isv.decryption-error-unknown"
	SubInvalidTimestamp     SubCode = "isv.invalid-timestamp"
	SubInvalidCharset       SubCode = "isv.invalid-charset"
	SubNoSignatureConfig    SubCode = "isv.missing-signature-config"
	SubNoAppAuth            SubCode = "isv.not-support-app-auth"
	SubInvalidAppState      SubCode = "isv.invalid-app-state"
	SubAppLimited           SubCode = "isv.app-call-limited"
	SubMethodLimited        SubCode = "isv.method-call-limited"
	SubNotPermitted         SubCode = "isv.insufficient-isv-permissions"
	SubFail                 SubCode = "FAIL"
	SubIllegalParams        SubCode = "ILLEGAL_PARAMS"
	SubBillNotExist         SubCode = "isp.bill_not_exist"
)

// Error is a refusal as the platform states it: code, msg, sub_code, sub_msg, and for a virtual card
// sub_error_code and error_message (document 2 §4.2.4.7).
type Error struct {
	Code         Code
	Msg          string
	SubCode      SubCode
	SubMsg       string // at most 128 characters; Chinese, as the real platform's are
	SubErrorCode string
	ErrorMessage string // at most 128 characters
}

func (e *Error) Error() string {
	return "openapi: " + string(e.Code) + " " + e.Msg + ", " + string(e.SubCode) + ": " + e.SubMsg
}

// OutcomeKnown tells whether the call certainly had no effect. Where it is false the same request
// should be sent again.
func (e *Error) OutcomeKnown() bool { return e.Code != CodeUnavailable }

// Refuse makes the error of a sub code: its fixed text, then what to do. Never pass a text that came
// with a request nobody has verified: the platform would sign what a stranger wrote.
func Refuse(sub SubCode, what string) *Error {
	row := rowOf(sub)
	text := row.text
	if what != "" {
		text += "：" + what
	}
	return &Error{Code: row.code, Msg: row.code.msg(), SubCode: sub, SubMsg: Shorten(text, maxSubMsgCharacters)}
}

// Shorten cuts a text for people down to a number of characters.
func Shorten(text string, characters int) string {
	if utf8.RuneCountInString(text) <= characters {
		return text
	}
	runes := []rune(text)
	return string(runes[:characters-1]) + "…"
}

func (c Code) msg() string {
	switch c {
	case CodeSuccess:
		return "Success"
	case CodeUnavailable:
		return "Service Currently Unavailable"
	case CodeToken:
		return "Insufficient Token Permissions"
	case CodeConditions:
		return "Insufficient Conditions"
	case CodeLimited:
		return "Call Limited"
	case CodeMissing:
		return "Missing Required Arguments"
	case CodeInvalid:
		return "Invalid Arguments"
	case CodeNotPermitted:
		return "Insufficient Permissions"
	}
	return "Business Failed"
}

type errorRow struct {
	sub  SubCode
	code Code
	text string
}

// SubCodes is every sub code that this platform gives.
func SubCodes() []SubCode {
	var subs []SubCode
	for _, row := range errorTable() {
		subs = append(subs, row.sub)
	}
	return subs
}

// rowOf finds a sub code in the table. Those that are not in it are a method's own.
func rowOf(sub SubCode) errorRow {
	for _, row := range errorTable() {
		if row.sub == sub {
			return row
		}
	}
	return errorRow{sub, CodeBusinessFailed, "业务处理失败"}
}

// errorTable is that of gateway-facts §6.
func errorTable() []errorRow {
	return []errorRow{
		{SubBusinessUnknown, CodeUnavailable, "服务暂不可用（业务系统不可用）"},
		{SubGatewayUnknown, CodeUnavailable, "服务暂不可用（网关自身的未知错误）"},
		{SubInvalidAuthToken, CodeToken, "无效的访问令牌"},
		{SubMissingAppID, CodeMissing, "缺少appId参数"},
		{SubMissingMethod, CodeMissing, "缺少方法名参数"},
		{SubMissingSignatureType, CodeMissing, "缺少签名类型参数"},
		{SubMissingSignature, CodeMissing, "缺少签名参数"},
		{SubMissingSignatureKey, CodeMissing, "缺少签名配置"},
		{SubMissingTimestamp, CodeMissing, "缺少时间戳参数"},
		{SubMissingVersion, CodeMissing, "缺少版本参数"},
		{SubDecryptMissingType, CodeMissing, "解密出错，未指定加密算法"},
		{SubInvalidParameter, CodeInvalid, "参数无效"},
		{SubInvalidAppID, CodeInvalid, "无效的AppID参数"},
		{SubInvalidMethod, CodeInvalid, "不存在的方法名"},
		{SubForbiddenAPI, CodeInvalid, "不允许访问该API"},
		{SubInvalidFormat, CodeInvalid, "无效的数据格式"},
		{SubIllegalJSON, CodeInvalid, "非法的JSON"},
		{SubInvalidSignatureType, CodeInvalid, "无效的签名类型"},
		{SubInvalidSignature, CodeInvalid, "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配"},
		{SubInvalidEncryptType, CodeInvalid, "无效的加密类型"},
		{SubInvalidEncrypt, CodeInvalid, "解密异常"},
		{SubDecryptKey, CodeInvalid, "解密出错，未配置加密密钥"},
		{SubDecryptUnknown, CodeInvalid, "解密出错"},
		{SubInvalidTimestamp, CodeInvalid, "非法的时间戳参数"},
		{SubInvalidCharset, CodeInvalid, "字符集错误"},
		{SubNoSignatureConfig, CodeInvalid, "验签出错，未配置对应签名算法的公钥或者证书"},
		{SubNoAppAuth, CodeInvalid, "不支持第三方应用授权"},
		{SubInvalidAppState, CodeConditions, "应用状态异常"},
		{SubAppLimited, CodeLimited, "应用调用次数超限"},
		{SubMethodLimited, CodeLimited, "API调用次数超限"},
		{SubNotPermitted, CodeNotPermitted, "ISV权限不足"},
		{SubFail, CodeBusinessFailed, "业务处理失败"},
		{SubIllegalParams, CodeBusinessFailed, "请求参数错误"},
		{SubBillNotExist, CodeBusinessFailed, "账单不存在"},
	}
}

// AppendNode writes the error as a response's node.
func (e *Error) AppendNode(dst []byte) []byte {
	w := writer{append(dst, '{')}
	e.tell(&w)
	return append(w.dst, '}')
}

func (e *Error) tell(d members) {
	e.tellCommon(d)
	tellCardFault(d, &e.SubErrorCode, &e.ErrorMessage)
}

func (e *Error) tellCommon(d members) {
	text(d, need("code", 16, "网关返回码"), &e.Code)
	d.text(may("msg", 1024, "网关返回码描述").lines(), &e.Msg)
	text(d, may("sub_code", 1024, "业务返回码"), &e.SubCode)
	d.text(may("sub_msg", 4096, "业务返回码描述").lines(), &e.SubMsg)
}

// ReadOutcome is nil for the node of a call that succeeded, the platform's *Error for one that did
// not, and a *form.Error for a node that is neither.
func ReadOutcome(node []byte) error {
	e, err := message[Error]{clause: clauseEnvelope, tell: (*Error).tell}.read(node, nameNode)
	switch {
	case err != nil:
		return err
	case e.Code == CodeSuccess:
		return nil
	}
	return &e
}
