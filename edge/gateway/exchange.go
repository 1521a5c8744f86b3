package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
)

// exchange is one request being answered, and what is known of it so far.
type exchange struct {
	*server
	trace   string
	address netip.Addr
	request *openapi.Unverified // never nil: an answer is addressed by it, also after a panic
	app     App                 // zero while it is not known
	method  method              // zero while it is not known
	content *openapi.ContentKey // encrypts the answer; nil until an encrypted request was read
	refusal *openapi.Error
}

// newExchange knows nothing yet, and can be answered all the same.
func (s *server) newExchange() *exchange {
	return &exchange{server: s, trace: newTrace(), request: &openapi.Unverified{}}
}

// answer gives the bytes to send. Whatever goes wrong, it is one error under the method's node, signed
// as soon as the app is known: clients throw unsigned answers away (gateway-facts §2). A panic is a
// bug of ours, and is answered as an unknown outcome, which makes the client ask again.
func (x *exchange) answer(ctx context.Context, query string, body []byte, bodyErr error) (answer []byte) {
	defer func() {
		if caught := recover(); caught != nil {
			x.logPanic(caught)
			answer = x.seal(x.refuse(openapi.Refuse(openapi.SubGatewayUnknown, "请稍后以相同内容重试")))
		}
	}()
	request, fault := openapi.ParseRequest(query, body)
	x.request = request
	if bodyErr != nil {
		fault = bodyErr
	}
	node, err := x.perform(ctx, fault)
	if err != nil {
		node = x.refuse(err)
	}
	return x.seal(node)
}

// perform gives the node of a call that succeeded. A fault of the body or of the parameters comes before
// what may follow from it, as a missing app_id; the app is looked for all the same, to sign the answer.
func (x *exchange) perform(ctx context.Context, fault error) ([]byte, error) {
	err := x.findApp(ctx)
	if fault != nil {
		return nil, fault
	}
	if err != nil {
		return nil, err
	}
	if err := x.admit(); err != nil {
		return nil, err
	}
	now := x.Now()
	request, err := x.verify(now)
	if err != nil {
		return nil, err
	}
	if err := x.limits.take(x.app, x.method.Method, now); err != nil {
		return nil, err
	}
	return x.method.perform(ctx, call{app: x.app, now: now}, request.Content)
}

// findApp comes before everything else, as on the real platform.
func (x *exchange) findApp(ctx context.Context) error {
	id := x.request.AppID()
	if id == "" {
		return openapi.Refuse(openapi.SubMissingAppID, "请在请求中加上 app_id")
	}
	app, known, err := x.Apps.App(ctx, id)
	if err != nil {
		return err
	}
	if !known {
		return openapi.Refuse(openapi.SubInvalidAppID, "请检查 app_id 是否已在本平台登记")
	}
	x.app = app
	return nil
}

// verify checks the signature, then what the app may do.
func (x *exchange) verify(now time.Time) (*openapi.Request, error) {
	key, err := x.signers(now)
	if err != nil {
		return nil, err
	}
	request, err := x.request.Verify(key, openapi.Policy{AllowSHA1: x.app.AllowSHA1, ContentKey: x.app.ContentKey})
	if err != nil {
		return nil, err
	}
	if request.Encrypted {
		x.content = x.app.ContentKey
	}
	method, known := x.methods[request.Method]
	if !known {
		return nil, openapi.Refuse(openapi.SubInvalidMethod, "请检查 method 的拼写")
	}
	x.method = method
	if method.permission == byContract && !x.app.permits(method.Method) {
		return nil, openapi.Refuse(openapi.SubNotPermitted, "该应用未签约此接口")
	}
	if away := now.Sub(request.Timestamp).Abs(); x.TimestampWindow > 0 && away > x.TimestampWindow {
		return nil, openapi.Refuse(openapi.SubInvalidTimestamp, "与平台时间相差过大，请校准时钟并使用北京时间")
	}
	return request, nil
}

// refuse gives the node of an error, and notes it for the log.
func (x *exchange) refuse(err error) []byte {
	refusal, unexpected := refusalOf(err)
	if unexpected {
		x.Logger.Error("institution failed", "trace", x.trace, "error", err)
	}
	x.refusal = refusal
	return refusal.AppendNode(nil)
}

// seal makes an answer of a node. An app that is not known has no key to expect a signature under.
func (x *exchange) seal(node []byte) []byte {
	if x.app.ID == "" {
		return x.response(node).Unsigned()
	}
	answer, err := x.response(node).Sign(x.signatures)
	if err != nil {
		x.Logger.Error("cannot sign answers", "trace", x.trace, "error", err)
		return x.response(x.refuse(openapi.Refuse(openapi.SubGatewayUnknown, "请稍后以相同内容重试"))).Unsigned()
	}
	return answer
}

// response answers a client in certificate mode with the platform's certificate named, also where its own was
// refused: without it, two clients cannot read why.
func (x *exchange) response(node []byte) openapi.Response {
	r := openapi.Response{Method: x.request.Method(), Node: node, SignType: x.signType(), Charset: x.request.Charset(), ContentKey: x.content}
	if x.request.CertSN() == "" {
		return r
	}
	if certificates := x.Certificates(); certificates != nil {
		r.CertSN = certificates.platformSN
	}
	return r
}

// signType is the request's where the app was given SHA-1. Everybody can name an app: an answer to a
// request that nobody has verified would be a SHA-1 signature under the platform's key for the asking.
func (x *exchange) signType() openapi.SignType {
	if x.app.AllowSHA1 {
		return x.request.SignType()
	}
	return openapi.RSA2
}

// logPanic keeps where it happened. The value of the panic is shown only when it is the runtime's: any
// other may quote content.
func (x *exchange) logPanic(caught any) {
	what := fmt.Sprintf("%T", caught)
	if fault, isRuntime := caught.(runtime.Error); isRuntime {
		what = fault.Error()
	}
	x.Logger.Error("panic", "trace", x.trace, "what", what, "stack", string(debug.Stack()))
}
