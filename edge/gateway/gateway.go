// Package gateway is the open platform over HTTP (开放平台网关): the server that a payment institution puts
// before its Payment, and the client that a merchant calls it with.
//
// A request takes this way: HTTP, parameters, app, state and address, signature, permission, limits, method,
// answer. Everything up to the method's name is openapi's; what the methods are is in methods.go, and which
// error becomes which code in errors.go.
package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/payment"
)

// Path is where the gateway answers.
const Path = "/gateway.do"

// Payment is the institution behind the gateway; *payment.Payment is one.
type Payment interface {
	// Settle answers every trade, in order.
	Settle(ctx context.Context, merchant payment.Merchant, trades []payment.Trade, now time.Time) []payment.Result
	// VerifyRecord is nil for a genuine record, a *payment.RecordError for one that is not.
	VerifyRecord(ctx context.Context, merchant payment.Merchant, raw []byte, now time.Time) error
}

// Config is what a gateway is made of. What is under "needed" is; a part that is left out closes its methods:
// they answer isv.forbidden-api.
type Config struct {
	// Needed.
	Apps       Apps
	Signer     openapi.Signer // signs answers; its key is no app's
	Payment    Payment
	IssuerKeys func() []trust.Key // the institution keys that hold now
	Now        func() time.Time
	Logger     *slog.Logger // never gets content, parameters or signatures

	// Parts.
	Cards        Cards                // virtualcard.send, virtualcard.batchquery
	Rides        Rides                // commerce.data.send
	DenyList     DenyList             // userblacklist.query
	Bills        *BillService         // bill.downloadurl.query
	Certificates func() *Certificates // certificate mode, and alipaycert.download; nil while there are none

	// TimestampWindow refuses requests whose timestamp is further away than this. 0, the default, takes
	// every time: clients write their local time as if it were Beijing's (gateway-facts §7), so nothing
	// under 14 hours suits them all.
	TimestampWindow time.Duration
	// TrustedProxies are those whose X-Forwarded-For says where a call comes from.
	TrustedProxies []netip.Prefix
}

// server is a gateway at work.
type server struct {
	Config
	methods    map[openapi.Method]method
	signatures *signatures
	limits     limits
	bodies     bodyBudget
}

// New makes the handler of POST /gateway.do, and of GET /bill.do where there are bills. Other methods get 405
// and other paths 404; all else is answered with 200 and the platform's own codes, as clients expect it.
func New(config Config) (http.Handler, error) {
	if config.Apps == nil || config.Signer == nil || config.Payment == nil || config.IssuerKeys == nil ||
		config.Now == nil || config.Logger == nil {
		return nil, errors.New("gateway: Apps, Signer, Payment, IssuerKeys, Now and Logger are all needed")
	}
	if config.Certificates == nil {
		config.Certificates = func() *Certificates { return nil }
	}
	s := &server{Config: config, signatures: newSignatures(config.Signer)}
	s.limits.limiters = map[limitKey]*rate.Limiter{}
	s.methods = map[openapi.Method]method{}
	for _, m := range s.listMethods() {
		s.methods[m.Method] = m
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+Path, s.serve)
	if config.Bills != nil {
		if err := config.Bills.check(); err != nil {
			return nil, err
		}
		mux.HandleFunc("GET "+BillPath, s.serveBill)
	}
	return mux, nil
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	start := s.Now()
	x := s.newExchange()
	x.address = addressOf(r, s.TrustedProxies)
	body, release, err := s.bodies.read(w, r)
	defer release()
	answer := x.answer(r.Context(), r.URL.RawQuery, body, err)
	s.log(x, len(body), s.Now().Sub(start))
	header := w.Header()
	header.Set("Content-Type", "text/html;charset="+string(x.request.Charset()))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("trace_id", x.trace)
	if _, err := w.Write(answer); err != nil {
		s.Logger.Info("answer not delivered", "trace", x.trace)
	}
}

// newTrace names one exchange in the log and in the answer's header, which some clients show.
func newTrace() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// log keeps one line an exchange: names of apps and methods only where they are registered ones, where it came
// from, and nothing else of what came.
func (s *server) log(x *exchange, size int, took time.Duration) {
	level, code, sub := slog.LevelInfo, openapi.CodeSuccess, openapi.SubCode("")
	if refusal := x.refusal; refusal != nil {
		code, sub = refusal.Code, refusal.SubCode
	}
	if code == openapi.CodeUnavailable {
		level = slog.LevelError
	}
	s.Logger.Log(context.Background(), level, "exchange", "trace", x.trace, "app", string(x.app.ID), "method", string(x.method.Method),
		"code", string(code), "sub_code", string(sub), "body_bytes", size, "took", took, "from", x.address.String())
}
