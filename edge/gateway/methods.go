package gateway

import (
	"context"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
)

// method is one method of the platform, ready to be called.
type method struct {
	openapi.Operation
	permission permission
	perform    func(ctx context.Context, c call, content []byte) (node []byte, err error)
}

// permission says who may call a method.
type permission int

// The permissions.
const (
	byContract permission = iota // an app whose registration names the method
	everyApp                     // what a client asks for by itself, to understand the platform
)

// call is what a method knows of its caller.
type call struct {
	app App
	now time.Time
}

// listMethods is the table of methods: the messages of each, who may call it, and what it does. What is not in
// this table does not exist; what is, is served, is in the API document, and can be permitted to apps. Payment
// by barcode (alipay.trade.*) finds its place here.
func (s *server) listMethods() []method {
	return []method{
		define(openapi.KeyQuery(), byContract, s.keyQuery),
		define(openapi.RecordVerify(), byContract, s.recordVerify),
		define(openapi.TradeSettle(), byContract, s.tradeSettle),
		define(openapi.CardSend(), byContract, s.cardSend),
		define(openapi.CardBatchQuery(), byContract, s.cardBatchQuery),
		define(openapi.DenyListQuery(), byContract, s.denyListQuery),
		define(openapi.DataSend(), byContract, s.dataSend),
		define(openapi.BillQuery(), byContract, s.billQuery),
		define(openapi.CertDownload(), everyApp, s.certDownload),
	}
}

// Methods are those that an app has to be permitted, in the order of the document.
func Methods() []openapi.Method {
	var names []openapi.Method
	for _, m := range new(server).listMethods() {
		if m.permission == byContract {
			names = append(names, m.Method)
		}
	}
	return names
}

func define[Request, Response any](codec openapi.Codec[Request, Response], permission permission,
	do func(context.Context, call, Request) (Response, error)) method {
	perform := func(ctx context.Context, c call, content []byte) ([]byte, error) {
		request, err := codec.ParseRequest(content)
		if err != nil {
			return nil, err
		}
		response, err := do(ctx, c, request)
		if err != nil {
			return nil, err
		}
		return codec.AppendResponse(nil, response), nil
	}
	return method{Operation: codec.Operation(), permission: permission, perform: perform}
}

// errNotOpen is a method whose part the platform was made without.
func errNotOpen() error {
	return openapi.Refuse(openapi.SubForbiddenAPI, "本平台未开通此接口，请联系平台")
}

func (s *server) keyQuery(context.Context, call, openapi.KeyQueryRequest) (openapi.KeyQueryResponse, error) {
	return openapi.KeyQueryResponse{Keys: s.IssuerKeys()}, nil
}

func (s *server) recordVerify(ctx context.Context, c call, r openapi.RecordVerifyRequest) (openapi.RecordVerifyResponse, error) {
	return openapi.RecordVerifyResponse{}, s.Payment.VerifyRecord(ctx, c.app.Merchant, r.Record, c.now)
}
