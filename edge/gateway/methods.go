package gateway

import (
	"context"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
)

// method is one method of the platform, ready to be called.
type method struct {
	name    openapi.Method
	perform func(ctx context.Context, c call, content []byte) (node []byte, err error)
}

// call is what a method knows of its caller.
type call struct {
	app App
	now time.Time
}

// listMethods is the table of methods. A new one is a codec in openapi, a function here, and a line.
func (s *server) listMethods() map[openapi.Method]method {
	methods := map[openapi.Method]method{}
	for _, m := range []method{
		define(openapi.KeyQuery(), s.keyQuery),
		define(openapi.RecordVerify(), s.recordVerify),
		define(openapi.TradeSettle(), s.tradeSettle),
	} {
		methods[m.name] = m
	}
	return methods
}

func define[Request, Response any](codec openapi.Codec[Request, Response],
	do func(context.Context, call, Request) (Response, error)) method {
	return method{name: codec.Method, perform: func(ctx context.Context, c call, content []byte) ([]byte, error) {
		request, err := codec.ParseRequest(content)
		if err != nil {
			return nil, err
		}
		response, err := do(ctx, c, request)
		if err != nil {
			return nil, err
		}
		return codec.AppendResponse(nil, response), nil
	}}
}

func (s *server) keyQuery(context.Context, call, openapi.KeyQueryRequest) (openapi.KeyQueryResponse, error) {
	return openapi.KeyQueryResponse{Keys: s.IssuerKeys()}, nil
}

func (s *server) recordVerify(ctx context.Context, c call, r openapi.RecordVerifyRequest) (openapi.RecordVerifyResponse, error) {
	return openapi.RecordVerifyResponse{}, s.Payment.VerifyRecord(ctx, c.app.Merchant, r.Record, c.now)
}
