package openapi

import (
	"unicode/utf8"

	"github.com/shuama/shuama/protocol/form"
)

// Code is the outcome of a call (code, gateway-facts §6).
type Code string

// The codes.
const (
	CodeSuccess        Code = "10000"
	CodeUnavailable    Code = "20000" // the outcome is not known: send the same request again
	CodeMissing        Code = "40001"
	CodeInvalid        Code = "40002"
	CodeBusinessFailed Code = "40004"
	CodeNotPermitted   Code = "40006"
)

const maxSubMsgCharacters = 128 // document 2 §4.2.1.7: sub_msg is String(128)

// SubCode says what is wrong (sub_code, gateway-facts §6; document 2 §4.2.1.7 for the last ones).
type SubCode string

// The sub codes that this platform gives, spelled as the real one spells them.
const (
	SubBusinessUnknown      SubCode = "isp.unknow-error" // the institution behind the gateway
	SubGatewayUnknown       SubCode = "aop.unknow-error" // the gateway itself
	SubMissingAppID         SubCode = "isv.missing-app-id"
	SubMissingMethod        SubCode = "isv.missing-method"
	SubMissingSignatureType SubCode = "isv.missing-signature-type"
	SubMissingSignature     SubCode = "isv.missing-signature"
	SubMissingTimestamp     SubCode = "isv.missing-timestamp"
	SubMissingVersion       SubCode = "isv.missing-version"
	SubInvalidParameter     SubCode = "isv.invalid-parameter"
	SubInvalidAppID         SubCode = "isv.invalid-app-id"
	SubInvalidMethod        SubCode = "isv.invalid-method"
	SubInvalidFormat        SubCode = "isv.invalid-format"
	SubInvalidSignatureType SubCode = "isv.invalid-signature-type"
	SubInvalidSignature     SubCode = "isv.invalid-signature"
	SubInvalidEncryptType   SubCode = "isv.invalid-encrypt-type"
	SubInvalidTimestamp     SubCode = "isv.invalid-timestamp"
	SubInvalidCharset       SubCode = "isv.invalid-charset"
	SubNoSignatureConfig    SubCode = "isv.missing-signature-config"
	SubNoAppAuth            SubCode = "isv.not-support-app-auth"
	SubNotPermitted         SubCode = "isv.insufficient-isv-permissions"
	SubFail                 SubCode = "FAIL"
	SubIllegalParams        SubCode = "ILLEGAL_PARAMS"
)

// Error is a refusal as the platform states it: code, msg, sub_code, sub_msg.
type Error struct {
	Code    Code
	Msg     string
	SubCode SubCode
	SubMsg  string // at most 128 characters; Chinese, as the real platform's are
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

// rowOf is the table of gateway-facts §6. Sub codes that are not in it are a method's own.
func rowOf(sub SubCode) errorRow {
	for _, row := range [...]errorRow{
		{SubBusinessUnknown, CodeUnavailable, "服务暂不可用（业务系统不可用）"},
		{SubGatewayUnknown, CodeUnavailable, "服务暂不可用（网关自身的未知错误）"},
		{SubMissingAppID, CodeMissing, "缺少appId参数"},
		{SubMissingMethod, CodeMissing, "缺少方法名参数"},
		{SubMissingSignatureType, CodeMissing, "缺少签名类型参数"},
		{SubMissingSignature, CodeMissing, "缺少签名参数"},
		{SubMissingTimestamp, CodeMissing, "缺少时间戳参数"},
		{SubMissingVersion, CodeMissing, "缺少版本参数"},
		{SubInvalidParameter, CodeInvalid, "参数无效"},
		{SubInvalidAppID, CodeInvalid, "无效的AppID参数"},
		{SubInvalidMethod, CodeInvalid, "不存在的方法名"},
		{SubInvalidFormat, CodeInvalid, "无效的数据格式"},
		{SubInvalidSignatureType, CodeInvalid, "无效的签名类型"},
		{SubInvalidSignature, CodeInvalid, "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配"},
		{SubInvalidEncryptType, CodeInvalid, "无效的加密类型"},
		{SubInvalidTimestamp, CodeInvalid, "非法的时间戳参数"},
		{SubInvalidCharset, CodeInvalid, "字符集错误"},
		{SubNoSignatureConfig, CodeInvalid, "验签出错，未配置对应签名算法的公钥或者证书"},
		{SubNoAppAuth, CodeInvalid, "不支持第三方应用授权"},
		{SubNotPermitted, CodeNotPermitted, "ISV权限不足"},
		{SubFail, CodeBusinessFailed, "业务处理失败"},
		{SubIllegalParams, CodeBusinessFailed, "请求参数错误"},
	} {
		if row.sub == sub {
			return row
		}
	}
	return errorRow{sub, CodeBusinessFailed, "业务处理失败"}
}

// AppendNode writes the error as a response's node.
func (e *Error) AppendNode(dst []byte) []byte {
	dst = appendMember(append(dst, '{'), "code", string(e.Code))
	dst = appendMember(dst, "msg", e.Msg)
	dst = appendMember(dst, "sub_code", string(e.SubCode))
	dst = appendMember(dst, "sub_msg", e.SubMsg)
	return append(dst, '}')
}

// ReadOutcome is nil for the node of a call that succeeded, the platform's *Error for one that did
// not, and a *form.Error for a node that is neither.
func ReadOutcome(node []byte) error {
	o, err := readContent(node, nameNode, clauseEnvelope)
	if err != nil {
		return err
	}
	e := &Error{Code: Code(o.text("code", 16)), Msg: o.prose("msg", 1024),
		SubCode: SubCode(o.text("sub_code", 1024)), SubMsg: o.prose("sub_msg", 4096)}
	switch {
	case o.err != nil:
		return o.err
	case e.Code == "":
		return &form.Error{Field: "code", Offset: -1, Clause: clauseEnvelope, Why: "missing"}
	case e.Code == CodeSuccess:
		return nil
	}
	return e
}
