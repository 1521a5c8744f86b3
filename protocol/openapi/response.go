package openapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

const clauseEnvelope = "gateway-facts §2"

// Response is an answer to be sent: the node is a JSON object, as a Codec or Error.AppendNode writes it.
type Response struct {
	Method     Method
	Node       []byte
	SignType   SignType
	Charset    Charset
	CertSN     CertSN      // of the platform's certificate; empty for a client in public key mode
	ContentKey *ContentKey // encrypts the node; nil for a plain one
}

// Sign writes {"<method>_response":{…},"sign":"…"}, the one form that every published client can
// verify (gateway-facts §2): compact, the node first, the signature last and unescaped. In certificate mode
// "alipay_cert_sn" stands between them, which in key mode two clients could not verify. A node that is
// encrypted is a JSON text, and its signature covers the two quotes.
func (r Response) Sign(signer Signer) ([]byte, error) {
	node := sealNode(r.Node, r.Charset)
	if r.ContentKey != nil {
		node = slices.Concat([]byte{'"'}, r.ContentKey.encrypt(node), []byte{'"'})
	}
	signature, err := signer.Sign(r.SignType, node)
	if err != nil {
		return nil, err
	}
	out := append(r.open(), node...)
	if r.CertSN != "" {
		out = appendMember(out, "alipay_cert_sn", string(r.CertSN))
	}
	out = append(out, `,"sign":"`...)
	out = base64.StdEncoding.AppendEncode(out, signature)
	return append(out, `"}`...), nil
}

// Unsigned writes {"<method>_response":{…}}: for an app that is not known, which has no key to expect
// an answer under.
func (r Response) Unsigned() []byte {
	return append(append(r.open(), sealNode(r.Node, r.Charset)...), '}')
}

func (r Response) open() []byte {
	return append(append([]byte(`{"`), r.Method.Node()...), `":`...)
}

// sealNode rewrites a node, without changing its meaning, so that clients which search an answer for
// marks find only the frame's: no "sign" key (gopay) and no second node name (Java) can stand inside,
// whatever a merchant wrote into a trade number; and no markup, for answers are called text/html. For a
// client that reads GBK it is plain ASCII: the same bytes in both charsets, and it can say what GBK cannot.
func sealNode(node []byte, charset Charset) []byte {
	node = bytes.ReplaceAll(node, []byte(`"sign"`), []byte(`"\u0073ign"`))
	node = bytes.ReplaceAll(node, []byte("_response"), []byte(`\u005fresponse`))
	node = bytes.ReplaceAll(node, []byte("<"), []byte(`\u003c`))
	if charset == UTF8 {
		return node
	}
	return escapeNonASCII(node)
}

func escapeNonASCII(node []byte) []byte {
	out := make([]byte, 0, len(node))
	for _, r := range string(node) {
		switch high, low := utf16.EncodeRune(r); {
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case high == utf8.RuneError:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		}
	}
	return out
}

// ResponseError says that an answer cannot be believed: it is not of its form, or its signature is not
// the platform's. What became of the request is not known.
type ResponseError struct{ Why string }

func (e *ResponseError) Error() string { return "openapi: the answer cannot be believed: " + e.Why }

// UnsignedError is an answer without a signature. A platform that does not know the app answers so,
// and so can anybody between: Claim helps a person to find a wrong setting and decides nothing.
type UnsignedError struct{ Claim *Error }

func (e *UnsignedError) Error() string {
	return "openapi: the answer is not signed; it claims: " + e.Claim.Error()
}

// OpenResponse checks an answer to a request for method and gives the node, in the bytes that were
// signed: a JSON object, or the JSON text of an encrypted one, which ContentKey.DecryptNode opens. Errors are *ResponseError and *UnsignedError.
func OpenResponse(method Method, body []byte, key Verifier, signType SignType) (node []byte, err error) {
	members, err := readFrame(body)
	if err != nil {
		return nil, err
	}
	node, err = findNode(members, method)
	if err != nil {
		return nil, err
	}
	sign, signed := members["sign"]
	if !signed {
		return nil, unsigned(node)
	}
	var text string
	if json.Unmarshal(sign, &text) != nil {
		return nil, &ResponseError{"its sign is not a text"}
	}
	signature, ok := strictBase64(text)
	if !ok || !key.Verify(signType, node, signature) {
		return nil, &ResponseError{"its signature is not made with the platform's key; check that the key is the platform's public key, not the app's"}
	}
	return node, nil
}

// findNode takes the method's node, or an error's; error_response cannot bring a success.
func findNode(members map[string]json.RawMessage, method Method) ([]byte, error) {
	if node, present := members[method.Node()]; present {
		return node, nil
	}
	node, present := members[errorNode]
	if _, isError := ReadOutcome(node).(*Error); present && isError {
		return node, nil
	}
	return nil, &ResponseError{"it holds no " + method.Node()}
}

func unsigned(node []byte) error {
	if claim, isError := ReadOutcome(node).(*Error); isError {
		return &UnsignedError{Claim: claim}
	}
	return &ResponseError{"it holds no sign"}
}

// readFrame takes the outer object apart. The values are the very bytes that came.
func readFrame(body []byte) (map[string]json.RawMessage, error) {
	o, err := readContent(body, nameNode, clauseEnvelope)
	if err != nil {
		return nil, &ResponseError{err.Error()}
	}
	return o.members, nil
}
