package openapi

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Bounds of a settle request. Document 2 names neither count (DIVERGENCES).
const (
	MaxTrades  = 200 // in one request
	MaxRecords = 8   // of one trade: a bus has one, a metro two, a chain of changes more
)

const (
	clauseSettle       = "document 2 §4.2.3.5"
	clauseSettleResult = "document 2 §4.2.3.7"
)

// SettleRequest is trades to settle (document 2 §4.2.3.5). What is written is a list of trades; what
// was read is a list of entries, of which some may be faulty.
type SettleRequest struct{ Entries []SettleEntry }

// SettleEntry is one entry of trade_list: a trade, or why it is none. One bad trade does not harm its
// neighbours as long as it can be named in the answer.
type SettleEntry struct {
	OutTradeNo OutTradeNo
	Trade      Trade // the zero Trade when Fault is set
	Fault      error // a *form.Error
}

// Trade is one offline trade (AlipayOfflineTrade, document 2 §4.2.3.5). Lengths are in characters.
type Trade struct {
	OutTradeNo  OutTradeNo      // 1 to 64, printable ASCII
	UserID      ridecode.UserID // 1 to 64
	OrderTime   time.Time       // actual_order_time, whole seconds; Beijing time on the wire, UTC here
	Subject     string          // 1 to 128, one line
	AmountFen   money.Fen       // amount; yuan on the wire
	BizContext  string          // order_biz_context: JSON text, not looked into, at most 2048
	CardType    string          // card_type, at most 64; may be empty
	Records     [][]byte        // 1 to MaxRecords, each 1 to record.MaxSize bytes; hex on the wire
	SellerLogin string          // seller_login_name, at most 64; may be empty
}

// Outcome is what became of a trade (result, document 2 §4.2.3.7).
type Outcome string

// The outcomes.
const (
	OutcomeSuccess Outcome = "SUCCESS" // the money has moved
	OutcomeFail    Outcome = "FAIL"    // it has not
	OutcomeUnknown Outcome = "UNKNOWN" // ask again with the same trade
)

// SettleResponse answers each entry of the request, in its order (result_list).
type SettleResponse struct{ Results []TradeResult }

// TradeResult answers one trade (AlipayOfflineTradeResult, document 2 §4.2.3.7). Lengths are in
// characters; longer texts are cut when they are written.
type TradeResult struct {
	Outcome      Outcome
	Message      string // at most 128
	ErrorCode    string // at most 64; empty for SUCCESS
	ErrorMessage string // at most 128
	NeedRetry    bool
	NextRetry    time.Time // next_retry_time, whole seconds; zero when there is nothing to retry
	OutTradeNo   OutTradeNo
	TradeNo      TradeNo // of a settled trade
}

// TradeSettle is 脱机交易结算, document 2 §4.2.3.
func TradeSettle() Codec[SettleRequest, SettleResponse] {
	return Codec[SettleRequest, SettleResponse]{
		Method:         MethodTradeSettle,
		ParseRequest:   parseSettleRequest,
		AppendRequest:  appendSettleRequest,
		ParseResponse:  parseSettleResponse,
		AppendResponse: appendSettleResponse,
	}
}

// NewSettleRequest asks for trades to be settled.
func NewSettleRequest(trades []Trade) SettleRequest {
	request := SettleRequest{Entries: make([]SettleEntry, len(trades))}
	for i, trade := range trades {
		request.Entries[i] = SettleEntry{OutTradeNo: trade.OutTradeNo, Trade: trade}
	}
	return request
}

// parseSettleRequest fails as a whole when the list is none, or when an entry cannot even be named:
// then nothing is settled.
func parseSettleRequest(content []byte) (SettleRequest, error) {
	o, err := readContent(content, nameContent, clauseSettle)
	if err != nil {
		return SettleRequest{}, err
	}
	list := o.list("trade_list", 1, MaxTrades)
	if o.err != nil {
		return SettleRequest{}, o.err
	}
	request := SettleRequest{Entries: make([]SettleEntry, 0, len(list))}
	for i, value := range list {
		entry, err := readEntry(value, fmt.Sprintf("trade_list[%d]", i))
		if err != nil {
			return SettleRequest{}, err
		}
		request.Entries = append(request.Entries, entry)
	}
	return request, nil
}

func readEntry(value json.RawMessage, name string) (SettleEntry, error) {
	o := readEntryObject(value, name, clauseSettle)
	fault := o.err
	if len(o.doubled) > 0 && !slices.Contains(o.doubled, "out_trade_no") {
		o.err = nil // until the number is read, to refuse the trade under it
	}
	entry := SettleEntry{OutTradeNo: o.outTradeNo()}
	if o.err != nil {
		return SettleEntry{}, o.err
	}
	o.err = fault
	entry.Trade = readTrade(o, entry.OutTradeNo)
	if o.err != nil {
		entry.Trade, entry.Fault = Trade{}, o.err
	}
	return entry, nil
}

func readTrade(o *object, number OutTradeNo) Trade {
	trade := Trade{
		OutTradeNo:  number,
		UserID:      ridecode.UserID(o.required("user_id", 64)),
		OrderTime:   o.moment("actual_order_time"),
		Subject:     o.required("subject", 128),
		AmountFen:   o.amount("amount"),
		BizContext:  o.prose("order_biz_context", 2048),
		CardType:    o.text("card_type", 64),
		Records:     o.records("records", 1, MaxRecords, record.MaxSize),
		SellerLogin: o.text("seller_login_name", 64),
	}
	if trade.OrderTime.IsZero() {
		o.fail("actual_order_time", "missing or empty")
	}
	return trade
}

func (o *object) outTradeNo() OutTradeNo {
	number := o.required("out_trade_no", 64)
	if !form.IsPrintable(number) {
		o.fail("out_trade_no", "not printable ASCII")
	}
	return OutTradeNo(number)
}

func appendSettleRequest(dst []byte, r SettleRequest) []byte {
	dst = append(dst, `{"trade_list":[`...)
	for i, entry := range r.Entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendTrade(dst, entry.Trade)
	}
	return append(dst, `]}`...)
}

func appendTrade(dst []byte, t Trade) []byte {
	dst = appendMember(append(dst, '{'), "user_id", string(t.UserID))
	dst = appendMember(dst, "out_trade_no", string(t.OutTradeNo))
	dst = appendMember(dst, "actual_order_time", FormatTime(t.OrderTime))
	dst = appendMember(dst, "subject", t.Subject)
	dst = appendMember(dst, "amount", t.AmountFen.Yuan())
	dst = appendOptional(dst, "order_biz_context", t.BizContext)
	dst = appendOptional(dst, "card_type", t.CardType)
	dst = append(appendName(dst, "records"), '[')
	for i, raw := range t.Records {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(hex.AppendEncode(append(dst, '"'), raw), '"')
	}
	dst = append(dst, ']')
	dst = appendOptional(dst, "seller_login_name", t.SellerLogin)
	return append(dst, '}')
}

func parseSettleResponse(node []byte) (SettleResponse, error) {
	o, err := readContent(node, nameNode, clauseSettleResult)
	if err != nil {
		return SettleResponse{}, err
	}
	var response SettleResponse
	for i, value := range o.list("result_list", 0, MaxTrades) {
		result, err := readResult(readEntryObject(value, fmt.Sprintf("result_list[%d]", i), clauseSettleResult))
		if err != nil {
			return SettleResponse{}, err
		}
		response.Results = append(response.Results, result)
	}
	return response, o.err
}

func readResult(o *object) (TradeResult, error) {
	result := TradeResult{
		Outcome:      Outcome(o.required("result", 64)),
		Message:      o.prose("message", 128),
		ErrorCode:    o.text("error_code", 64),
		ErrorMessage: o.prose("error_message", 128),
		NeedRetry:    o.flag("need_retry"),
		NextRetry:    o.moment("next_retry_time"),
		OutTradeNo:   o.outTradeNo(),
		TradeNo:      TradeNo(o.text("trade_no", 64)),
	}
	if result.NextRetry.IsZero() {
		result.NextRetry = o.moment("next_try_time") // the classes of the official clients call it so
	}
	switch result.Outcome {
	case OutcomeSuccess, OutcomeFail, OutcomeUnknown:
	default:
		o.fail("result", "none of SUCCESS, FAIL, UNKNOWN")
	}
	return result, o.err
}

func appendSettleResponse(dst []byte, r SettleResponse) []byte {
	dst = append(appendName(appendSuccess(dst), "result_list"), '[')
	for i, result := range r.Results {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendResult(dst, result)
	}
	return append(dst, `]}`...)
}

// appendResult gives the time of the next try under both of its names: document 2's and that of the
// classes of the official clients (gateway-facts §3).
func appendResult(dst []byte, r TradeResult) []byte {
	dst = appendMember(append(dst, '{'), "result", string(r.Outcome))
	dst = appendOptional(dst, "message", Shorten(r.Message, 128))
	dst = appendOptional(dst, "error_code", Shorten(r.ErrorCode, 64))
	dst = appendOptional(dst, "error_message", Shorten(r.ErrorMessage, 128))
	dst = append(appendName(dst, "need_retry"), fmt.Sprint(r.NeedRetry)...)
	if !r.NextRetry.IsZero() {
		dst = appendMember(dst, "next_retry_time", FormatTime(r.NextRetry))
		dst = appendMember(dst, "next_try_time", FormatTime(r.NextRetry))
	}
	dst = appendMember(dst, "out_trade_no", string(r.OutTradeNo))
	dst = appendOptional(dst, "trade_no", string(r.TradeNo))
	return append(dst, '}')
}
