package openapi

import (
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
		Method: MethodTradeSettle, Title: "脱机交易结算",
		request:  message[SettleRequest]{clause: clauseSettle, tell: (*SettleRequest).tell},
		response: message[SettleResponse]{clause: clauseSettleResult, tell: (*SettleResponse).tell},
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

// tell fails as a whole when the list is none, or when an entry cannot even be named: then nothing is
// settled.
func (r *SettleRequest) tell(d members) {
	d.list(need("trade_list", MaxTrades, "待结算脱机交易列表").atLeast(1), listOf(&r.Entries, (*SettleEntry).tell))
}

func (e *SettleEntry) tell(d members) {
	if o, reading := d.(*object); reading {
		e.read(o)
		return
	}
	e.Trade.tell(d)
}

// read takes a fault of the trade to itself, as long as the number can be told.
func (e *SettleEntry) read(o *object) {
	fault := o.err
	if len(o.doubled) > 0 && !slices.Contains(o.doubled, "out_trade_no") {
		o.err = nil // until the number is read, to refuse the trade under it
	}
	outTradeNo(o, &e.OutTradeNo)
	if o.err != nil {
		return
	}
	o.err = fault
	if e.Trade.tell(o); o.err != nil {
		e.Trade, e.Fault, o.err = Trade{}, o.err, nil
	}
}

func (t *Trade) tell(d members) {
	var openID string
	rider(d, &t.UserID, &openID)
	outTradeNo(d, &t.OutTradeNo)
	d.moment(need("actual_order_time", 0, "交易实际发生时间"), &t.OrderTime)
	d.text(need("subject", 128, "交易标题，将会展现给用户"), &t.Subject)
	d.amount(need("amount", 0, "交易金额，单位元"), &t.AmountFen)
	d.text(may("order_biz_context", 2048, "交易扩展信息，JSON 格式字符串").lines(), &t.BizContext)
	d.text(may("card_type", 64, "卡类型"), &t.CardType)
	d.blobs(need("records", MaxRecords, "原始脱机操作记录列表，hex").atLeast(1).eachOf(record.MaxSize), &t.Records)
	d.text(may("seller_login_name", 64, "收款方账号，不传时收款到签约账号"), &t.SellerLogin)
}

func outTradeNo(d members, number *OutTradeNo) {
	text(d, need("out_trade_no", 64, "商户唯一的外部交易号"), number)
	d.demand(form.IsPrintable(*number), "out_trade_no", "not printable ASCII")
}

func (r *SettleResponse) tell(d members) {
	d.list(need("result_list", MaxTrades, "脱机交易结算处理结果列表，与请求同序"), listOf(&r.Results, (*TradeResult).tell))
}

// tell gives the time of the next try under both of its names: document 2's and that of the classes of the
// official clients (gateway-facts §3).
func (r *TradeResult) tell(d members) {
	text(d, need("result", 64, "脱机交易结果").oneOf(string(OutcomeSuccess), string(OutcomeFail), string(OutcomeUnknown)), &r.Outcome)
	d.text(may("message", 128, "结果描述").shortened(), &r.Message)
	d.text(may("error_code", 64, "错误码").shortened(), &r.ErrorCode)
	d.text(may("error_message", 128, "错误描述").shortened(), &r.ErrorMessage)
	d.flag(may("need_retry", 0, "是否需要重试"), &r.NeedRetry)
	again := r.NextRetry
	d.moment(may("next_retry_time", 0, "下一次重试时间"), &r.NextRetry)
	d.moment(may("next_try_time", 0, "下一次重试时间，公开客户端的字段名"), &again)
	if r.NextRetry.IsZero() {
		r.NextRetry = again
	}
	outTradeNo(d, &r.OutTradeNo)
	text(d, may("trade_no", 64, "支付宝交易号"), &r.TradeNo)
}
