package openapi

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
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
	Content   []byte    // biz_content, decrypted, in UTF-8: JSON, or empty when there is none
	Encrypted bool      // it came encrypted, and so does the answer go
	params    []param
}

// Policy is what an app's registration says of its requests.
type Policy struct {
	AllowSHA1  bool        // sign_type RSA is taken too
	ContentKey *ContentKey // nil: no content is encrypted
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

// CertSN is the certificate whose key is said to have signed; empty in public key mode.
func (u *Unverified) CertSN() CertSN { return CertSN(u.get("app_cert_sn")) }

// RootCertSN is the authority that the client trusts; empty in public key mode.
func (u *Unverified) RootCertSN() CertSN { return CertSN(u.get("alipay_root_cert_sn")) }

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
// encrypt_type, auth_token, app_auth_token, timestamp); the signature; the content's encryption, charset,
// size, and that it is JSON. The error is an *Error.
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
	return u.open(policy)
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
	if encryptType := u.get("encrypt_type"); encryptType != "" && encryptType != encryptAES {
		return Refuse(SubInvalidEncryptType, "encrypt_type 只支持 AES，不加密时请不传")
	}
	if u.get("auth_token") != "" {
		return Refuse(SubInvalidAuthToken, "本平台不发放 auth_token，请不传")
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
	signature, ok := strictBase64(sign)
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

func (u *Unverified) open(policy Policy) (*Request, error) {
	r := &Request{AppID: u.AppID(), Method: u.Method(), SignType: u.SignType(), Charset: u.Charset(), params: u.params}
	r.Timestamp, _ = ParseTime(u.get("timestamp"))
	r.Encrypted = u.get("encrypt_type") != ""
	content, err := u.decrypted(policy.ContentKey)
	if err != nil {
		return nil, err
	}
	content, ok := r.Charset.decode(content)
	switch {
	case !ok && r.Encrypted:
		return nil, errUndecryptable()
	case !ok:
		return nil, Refuse(SubInvalidCharset, "biz_content 不是 charset 所说的编码")
	case len(content) > MaxContentSize:
		return nil, Refuse(SubInvalidParameter, fmt.Sprintf("biz_content 超过 %d 字节，请分批请求", MaxContentSize))
	case len(content) > 0 && !isJSON(content) && r.Encrypted:
		return nil, errUndecryptable()
	case len(content) > 0 && !isJSON(content):
		return nil, Refuse(SubIllegalJSON, "biz_content 须为一个 JSON 对象的文本")
	}
	r.Content = content
	return r, nil
}

// decrypted is biz_content in the client's charset. That the content fits neither padding nor JSON nearly
// always means that the two sides have two keys.
func (u *Unverified) decrypted(key *ContentKey) ([]byte, error) {
	content := find(u.params, "biz_content")
	ciphertext, looksEncrypted := ciphertextOf(content)
	switch {
	case u.get("encrypt_type") == "" && looksEncrypted && key != nil:
		return nil, Refuse(SubDecryptMissingType, "biz_content 已加密，请在请求中加上 encrypt_type=AES")
	case u.get("encrypt_type") == "":
		return content, nil
	case key == nil:
		return nil, Refuse(SubDecryptKey, "该应用未登记内容加密密钥，请向平台申请，或不传 encrypt_type")
	case len(content) == 0:
		return nil, nil
	case !looksEncrypted:
		return nil, Refuse(SubInvalidEncrypt, "biz_content 须为 AES/CBC/PKCS7 密文的 Base64")
	}
	text, ok := key.decrypt(ciphertext)
	if !ok {
		return nil, errUndecryptable()
	}
	return text, nil
}

func errUndecryptable() *Error {
	return Refuse(SubDecryptUnknown, "请检查内容加密密钥是否与平台登记的一致，以及明文是否为 JSON")
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
	AppID      AppID
	Method     Method
	Timestamp  time.Time
	Content    []byte      // biz_content in UTF-8; empty when there is nothing to say
	CertSN     CertSN      // of the app's certificate; empty in public key mode
	RootCertSN CertSN      // of the platform's authority; empty in public key mode
	ContentKey *ContentKey // encrypts the content; nil for a plain one
}

// Sign writes the call, signed with RSA2, as the official clients do: the content in the body, the
// rest in the URL's query.
func (c Call) Sign(signer Signer) (query string, body []byte, err error) {
	inBody, common := c.params()
	all := append(append([]param(nil), inBody...), common...)
	slices.SortFunc(all, func(a, b param) int { return strings.Compare(a.name, b.name) })
	signature, err := signer.Sign(RSA2, appendSigningText(nil, all, false))
	if err != nil {
		return "", nil, err
	}
	common = append(common, param{"sign", []byte(base64.StdEncoding.EncodeToString(signature))})
	return string(appendEncoded(nil, common)), appendEncoded(nil, inBody), nil
}

func (c Call) params() (inBody, common []param) {
	common = []param{{"app_id", []byte(c.AppID)}, {"charset", []byte(UTF8)}, {"format", []byte("json")}, {"method", []byte(c.Method)},
		{"sign_type", []byte(RSA2)}, {"timestamp", []byte(FormatTime(c.Timestamp))}, {"version", []byte("1.0")}}
	if c.CertSN != "" {
		common = append(common, param{"app_cert_sn", []byte(c.CertSN)}, param{"alipay_root_cert_sn", []byte(c.RootCertSN)})
	}
	switch {
	case len(c.Content) == 0:
	case c.ContentKey != nil:
		common = append(common, param{"encrypt_type", []byte(encryptAES)})
		inBody = []param{{"biz_content", c.ContentKey.encrypt(c.Content)}}
	default:
		inBody = []param{{"biz_content", c.Content}}
	}
	return inBody, common
}
