package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/trust"
)

// maxAnswerSize bounds what a client reads of an answer: MaxTrades results, and room.
const maxAnswerSize = 4 << 20

// ClientConfig is what a merchant's client is made of.
type ClientConfig struct {
	// Needed.
	URL         string // of the gateway, with its path and without a query
	AppID       openapi.AppID
	Signer      openapi.Signer   // the app's
	PlatformKey openapi.Verifier // the platform's
	HTTP        *http.Client     // with a timeout; redirects are not followed
	Now         func() time.Time

	// CertSN and RootCertSN are given together, in certificate mode: the app's certificate and the platform's
	// authority. PlatformKey is then that of the platform's certificate, which the authority has issued.
	CertSN, RootCertSN openapi.CertSN
	// ContentKey encrypts contents, and opens answers.
	ContentKey *openapi.ContentKey
}

// Client calls the open platform as one app. It is safe for concurrent use. The signature of every
// answer is checked over the bytes that came; use https all the same, for an answer is not bound to
// its request: an old one could be played again.
type Client struct{ config ClientConfig }

// TransportError says that no answer came. What became of the request is not known: the same request
// may be sent again.
type TransportError struct {
	Why string // never holds the URL, whose query is the signed request
	Err error  // may be nil
}

func (e *TransportError) Error() string {
	if e.Err == nil {
		return "gateway: " + e.Why
	}
	return "gateway: " + e.Why + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *TransportError) Unwrap() error { return e.Err }

// NewClient checks the configuration; it does not connect.
func NewClient(config ClientConfig) (*Client, error) {
	if config.AppID == "" || config.Signer == nil || config.PlatformKey == nil || config.HTTP == nil || config.Now == nil {
		return nil, errors.New("gateway: AppID, Signer, PlatformKey, HTTP and Now are all needed")
	}
	if (config.CertSN == "") != (config.RootCertSN == "") {
		return nil, errors.New("gateway: CertSN and RootCertSN are given together")
	}
	address, err := url.Parse(config.URL)
	if err != nil || address.Host == "" || address.RawQuery != "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, errors.New("gateway: the URL is not http:// or https:// with a host and without a query")
	}
	direct := *config.HTTP
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	config.HTTP = &direct
	return &Client{config: config}, nil
}

// KeyQuery asks for the institution keys that hold now (document 2 §4.2.1). Errors are those of Settle.
func (c *Client) KeyQuery(ctx context.Context) ([]trust.Key, error) {
	response, err := Ask(ctx, c, openapi.KeyQuery(), openapi.KeyQueryRequest{})
	return response.Keys, err
}

// VerifyRecord asks whether a record is genuine (document 2 §4.2.2): nil when it is, an *openapi.Error
// with openapi.SubFail when it is not. Other errors are those of Settle.
func (c *Client) VerifyRecord(ctx context.Context, raw []byte) error {
	_, err := Ask(ctx, c, openapi.RecordVerify(), openapi.RecordVerifyRequest{Record: raw})
	return err
}

// Settle has trades settled, at most openapi.MaxTrades (document 2 §4.2.3). There is one result for
// each trade, in their order; a trade that the platform does not mention is OutcomeUnknown.
//
// Errors: *openapi.Error is the platform's refusal of the whole request, *TransportError says that no
// answer came, *openapi.ResponseError and *openapi.UnsignedError that it cannot be believed. After all
// but a refusal whose OutcomeKnown is true, the trades may or may not be settled: send them again,
// unchanged.
func (c *Client) Settle(ctx context.Context, trades []openapi.Trade) ([]openapi.TradeResult, error) {
	if len(trades) == 0 || len(trades) > openapi.MaxTrades {
		return nil, fmt.Errorf("gateway: %d trades in one request, not 1 to %d", len(trades), openapi.MaxTrades)
	}
	response, err := Ask(ctx, c, openapi.TradeSettle(), openapi.NewSettleRequest(trades))
	if err != nil {
		return nil, err
	}
	return matchResults(trades, response.Results), nil
}

// matchResults puts results beside their trades by number: the order of an answer is nobody's promise.
func matchResults(trades []openapi.Trade, results []openapi.TradeResult) []openapi.TradeResult {
	byNumber := make(map[openapi.OutTradeNo][]openapi.TradeResult, len(results))
	for _, result := range results {
		byNumber[result.OutTradeNo] = append(byNumber[result.OutTradeNo], result)
	}
	matched := make([]openapi.TradeResult, len(trades))
	for i, trade := range trades {
		number := trade.OutTradeNo
		if rest := byNumber[number]; len(rest) > 0 {
			matched[i], byNumber[number] = rest[0], rest[1:]
			continue
		}
		matched[i] = openapi.TradeResult{OutTradeNo: number, Outcome: openapi.OutcomeUnknown, NeedRetry: true,
			Message: "处理结果未知，请以相同内容重试", ErrorMessage: "the platform's answer does not mention this trade"}
	}
	return matched
}

// Ask calls any method of the platform. Errors are those of Settle.
func Ask[Request, Response any](ctx context.Context, c *Client, codec openapi.Codec[Request, Response], request Request) (Response, error) {
	var response Response
	content := codec.AppendRequest(nil, request)
	if len(content) > openapi.MaxContentSize {
		return response, fmt.Errorf("gateway: the content is over %d bytes: send fewer entries at once", openapi.MaxContentSize)
	}
	call := openapi.Call{AppID: c.config.AppID, Method: codec.Method, Timestamp: c.config.Now(), Content: content,
		CertSN: c.config.CertSN, RootCertSN: c.config.RootCertSN, ContentKey: c.config.ContentKey}
	node, err := c.node(ctx, call)
	if err != nil {
		return response, err
	}
	response, err = codec.ParseResponse(node)
	if err != nil {
		return response, &openapi.ResponseError{Why: err.Error()}
	}
	return response, nil
}

// node gives the signed node of a call that succeeded.
func (c *Client) node(ctx context.Context, call openapi.Call) ([]byte, error) {
	answer, err := c.post(ctx, call)
	if err != nil {
		return nil, err
	}
	node, err := openapi.OpenResponse(call.Method, answer, c.config.PlatformKey, openapi.RSA2)
	if err != nil {
		return nil, err
	}
	if c.config.ContentKey != nil {
		if node, err = c.config.ContentKey.DecryptNode(node); err != nil {
			return nil, err
		}
	}
	var refusal *openapi.Error
	switch err := openapi.ReadOutcome(node); {
	case errors.As(err, &refusal):
		return nil, refusal
	case err != nil:
		return nil, &openapi.ResponseError{Why: err.Error()}
	}
	return node, nil
}

func (c *Client) post(ctx context.Context, call openapi.Call) ([]byte, error) {
	query, body, err := call.Sign(c.config.Signer)
	if err != nil {
		return nil, fmt.Errorf("gateway: signing the request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.config.URL+"?"+query, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("gateway: the request cannot be made from this URL")
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=utf-8")
	response, err := c.config.HTTP.Do(request)
	if err != nil {
		return nil, &TransportError{Why: "no answer", Err: withoutURL(err)}
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, &TransportError{Why: fmt.Sprintf("HTTP status %d instead of 200", response.StatusCode)}
	}
	return readAnswer(response.Body)
}

func readAnswer(body io.Reader) ([]byte, error) {
	answer, err := io.ReadAll(io.LimitReader(body, maxAnswerSize+1))
	if err != nil {
		return nil, &TransportError{Why: "the answer broke off", Err: err}
	}
	if len(answer) > maxAnswerSize {
		return nil, &TransportError{Why: fmt.Sprintf("the answer is over %d bytes", maxAnswerSize)}
	}
	return answer, nil
}

// withoutURL takes the URL out of an error of net/http: its query holds the signed request, and errors
// reach logs.
func withoutURL(err error) error {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		return inURL.Err
	}
	return err
}

// SendRides tells of rides of one user, at most openapi.MaxRides (document 2 §4.2.5). Errors are those of Settle; a
// business result that is no success is an *openapi.Error with openapi.SubFail.
func (c *Client) SendRides(ctx context.Context, message openapi.DataSendRequest) error {
	response, err := Ask(ctx, c, openapi.DataSend(), message)
	if err == nil && response.BizCode != "" && response.BizCode != "SUCCESS" {
		return openapi.Refuse(openapi.SubFail, response.BizCode+" "+response.BizMsg)
	}
	return err
}
