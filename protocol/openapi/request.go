package openapi

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// Unverified is a request whose signature nobody has checked: it can be asked whose it claims to be,
// so that the right key is found and the answer is addressed, and nothing more.
type Unverified struct {
	params []param
	fault  error
}

// Request is a request that was signed by its app.
type Request struct {
	AppID     AppID
	Method    Method
	SignType  SignType
	Charset   Charset
	Timestamp time.Time // as the client claims; most write their local time as if it were Beijing's
	Content   []byte    // biz_content in UTF-8; empty when there is none
	params    []param
}

// Policy is what an app's registration says of its signatures.
type Policy struct {
	AllowSHA1 bool // sign_type RSA is taken too
}

// ParseRequest reads the parameters of a URL's query and of a body. The result is never nil, so that
// a request with a fault can still be answered under the app and the method it names; the fault is an
// *Error and comes again from Verify.
func ParseRequest(query string, body []byte) (*Unverified, error) {
	if len(query)+len(body) > MaxRequestSize {
		u := &Unverified{fault: Refuse(SubInvalidParameter, fmt.Sprintf("请求超过 %d 字节", MaxRequestSize))}
		return u, u.fault
	}
	params, err := readParams([]byte(query), body)
	return &Unverified{params: params, fault: err}, err
}

// AppID is whose request this claims to be.
func (u *Unverified) AppID() AppID { return AppID(u.get("app_id")) }

// Method is what the request asks for.
func (u *Unverified) Method() Method { return Method(u.get("method")) }

// SignType is how the request asks for its answer to be signed; RSA2 where it names no way to sign. Whether
// the app may have SHA-1, its registration says: see Policy.
func (u *Unverified) SignType() SignType {
	if SignType(u.get("sign_type")) == RSA {
		return RSA
	}
	return RSA2
}

// Charset is how the client will read the answer.
func (u *Unverified) Charset() Charset {
	charset, _ := parseCharset(u.get("charset"))
	return charset
}

func (u *Unverified) get(name string) string { return string(find(u.params, name)) }

func find(params []param, name string) []byte {
	for _, p := range params {
		if p.name == name {
			return p.value
		}
	}
	return nil
}

// Verify checks the whole envelope and then its signature, under the key that is registered for
// AppID. With several faults the error is the first of: doubled or broken parameters; a missing one
// (method, sign_type, sign, timestamp, version); a wrong one (sign_type, format, charset, version,
// encrypt_type, app_auth_token, timestamp); the signature; the content's charset and size.
// The error is an *Error.
func (u *Unverified) Verify(key Verifier, policy Policy) (*Request, error) {
	if u.fault != nil {
		return nil, u.fault
	}
	if err := u.checkPresent(); err != nil {
		return nil, err
	}
	if err := u.checkValues(policy); err != nil {
		return nil, err
	}
	if err := u.checkSignature(key); err != nil {
		return nil, err
	}
	return u.open()
}

func (u *Unverified) checkPresent() error {
	for _, need := range [...]struct {
		name string
		sub  SubCode
	}{{"method", SubMissingMethod}, {"sign_type", SubMissingSignatureType}, {"sign", SubMissingSignature},
		{"timestamp", SubMissingTimestamp}, {"version", SubMissingVersion}} {
		if u.get(need.name) == "" {
			return Refuse(need.sub, "请在请求中加上 "+need.name)
		}
	}
	return nil
}

func (u *Unverified) checkValues(policy Policy) error {
	switch signType := SignType(u.get("sign_type")); {
	case signType == RSA && !policy.AllowSHA1:
		return Refuse(SubInvalidSignatureType, "该应用只接受 RSA2")
	case signType != RSA && signType != RSA2:
		return Refuse(SubInvalidSignatureType, "请使用 RSA2")
	}
	if format := u.get("format"); format != "" && !strings.EqualFold(format, "json") {
		return Refuse(SubInvalidFormat, "format 只支持 JSON，可以不传")
	}
	if _, known := parseCharset(u.get("charset")); !known {
		return Refuse(SubInvalidCharset, "charset 只支持 utf-8 与 gbk")
	}
	if u.get("version") != "1.0" {
		return Refuse(SubInvalidParameter, "version 固定为 1.0")
	}
	return u.checkOptions()
}

// checkOptions refuses what would change the request's meaning if it were ignored.
func (u *Unverified) checkOptions() error {
	if u.get("encrypt_type") != "" {
		return Refuse(SubInvalidEncryptType, "本平台尚不支持内容加密，请不传 encrypt_type")
	}
	if u.get("app_auth_token") != "" {
		return Refuse(SubNoAppAuth, "请以商户自己的应用发起请求，不传 app_auth_token")
	}
	if _, ok := ParseTime(u.get("timestamp")); !ok {
		return Refuse(SubInvalidTimestamp, "格式为 yyyy-MM-dd HH:mm:ss")
	}
	return nil
}

// checkSignature tries the documented text, without empty values, and then the one that some clients
// sign, with them. Nothing of the signed text gets into the error, which the real platform quotes: it
// holds the content, and errors reach logs.
func (u *Unverified) checkSignature(key Verifier) error {
	sign := u.get("sign")
	signature, ok := decodeSignature(sign)
	if !ok && strings.Contains(sign, " ") {
		return Refuse(SubInvalidSignature, "sign 中的 + 变成了空格，请对参数值做百分号编码")
	}
	if !ok {
		return Refuse(SubInvalidSignature, "sign 不是标准 Base64")
	}
	text := appendSigningText(nil, u.params, false)
	signType := SignType(u.get("sign_type"))
	if key.Verify(signType, text, signature) {
		return nil
	}
	kept := appendSigningText(nil, u.params, true)
	if !bytes.Equal(kept, text) && key.Verify(signType, kept, signature) {
		return nil
	}
	return Refuse(SubInvalidSignature, "除 sign 外的全部参数按名称排序，以 名称=值 用 & 连接，值取 URL 编码之前的原文")
}

func (u *Unverified) open() (*Request, error) {
	r := &Request{AppID: u.AppID(), Method: u.Method(), SignType: u.SignType(), Charset: u.Charset(), params: u.params}
	r.Timestamp, _ = ParseTime(u.get("timestamp"))
	content, ok := r.Charset.decode(find(u.params, "biz_content"))
	if !ok {
		return nil, Refuse(SubInvalidCharset, "biz_content 不是 charset 所说的编码")
	}
	if len(content) > MaxContentSize {
		return nil, Refuse(SubInvalidParameter, fmt.Sprintf("biz_content 超过 %d 字节，请分批请求", MaxContentSize))
	}
	r.Content = content
	return r, nil
}

// Param is another parameter of the request, in UTF-8; empty when it is absent or no text.
func (r *Request) Param(name string) string {
	value, ok := r.Charset.decode(find(r.params, name))
	if !ok {
		return ""
	}
	return string(value)
}

// Call is a request to be made.
type Call struct {
	AppID     AppID
	Method    Method
	Timestamp time.Time
	Content   []byte // biz_content in UTF-8; empty when there is nothing to say
}

// Sign writes the call, signed with RSA2, as the official clients do: the content in the body, the
// rest in the URL's query.
func (c Call) Sign(signer Signer) (query string, body []byte, err error) {
	params := []param{{"app_id", []byte(c.AppID)}}
	if len(c.Content) > 0 {
		params = append(params, param{"biz_content", c.Content})
	}
	params = append(params, param{"charset", []byte(UTF8)}, param{"format", []byte("json")}, param{"method", []byte(c.Method)},
		param{"sign_type", []byte(RSA2)}, param{"timestamp", []byte(FormatTime(c.Timestamp))}, param{"version", []byte("1.0")})
	signature, err := signer.Sign(RSA2, appendSigningText(nil, params, false))
	if err != nil {
		return "", nil, err
	}
	common := params[:1:1]
	if len(c.Content) > 0 {
		body = appendEncoded(nil, params[1:2])
		common = append(common, params[2:]...)
	} else {
		common = params
	}
	common = append(common, param{"sign", []byte(base64.StdEncoding.EncodeToString(signature))})
	return string(appendEncoded(nil, common)), body, nil
}
