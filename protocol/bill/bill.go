// Package bill is the reconciliation file (对账文件) that a payment institution gives a merchant for each
// accounting day: a line for each trade and refund, and control totals behind them, so that both can prove
// that they mean the same money.
//
// It is text in UTF-8, comma-separated as in RFC 4180. Lines that begin with # are about the file: its head
// names version, app, merchant and day; its foot counts and adds up, and has the SHA-256 of every byte
// before it, so that a file that was cut off or changed on its way is noticed.
package bill

import (
	"time"

	"github.com/shuama/shuama/money"
)

// Version is the one that Writer writes and Read reads.
const Version = 1

// Head says whose bill it is.
type Head struct {
	App      string // app_id
	Merchant string // the account that it is paid into
	Date     string // the accounting day, as 2026-11-26
}

// Kind is what a line is about (业务类型).
type Kind string

// The kinds of line.
const (
	Trade  Kind = "交易"
	Refund Kind = "退款"
)

// Line is one trade or refund.
type Line struct {
	Kind       Kind
	TradeNo    string // trade_no, 28 digits
	OutTradeNo string // out_trade_no
	RequestNo  string // out_request_no, of a refund
	Subject    string
	At         time.Time // when it was done; whole seconds, Beijing time in the file, UTC here
	AmountFen  money.Fen // above 0, also of a refund
}

// Total is how many lines of a kind there are, and their sum.
type Total struct {
	Count  int
	SumFen money.Fen
}

// Totals are the control totals (合计).
type Totals struct{ Trades, Refunds Total }

func (t *Totals) add(line Line) (err error) {
	total := &t.Trades
	if line.Kind == Refund {
		total = &t.Refunds
	}
	total.Count++
	total.SumFen, err = total.SumFen.Add(line.AmountFen)
	return err
}

const timeFormat = "2006-01-02 15:04:05"

func beijing() *time.Location { return time.FixedZone("Beijing", 8*60*60) }

// columns is the line before the first one.
func columns() []string {
	return []string{"交易号", "商户订单号", "业务类型", "退款请求号", "标题", "完成时间", "金额"}
}

const (
	markVersion  = "#刷码对账单"
	markApp      = "#应用"
	markMerchant = "#商户"
	markDate     = "#日期"
	markTotal    = "#合计"
	markDigest   = "#校验"
)
