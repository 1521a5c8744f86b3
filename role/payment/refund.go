package payment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
)

// Errors of refunds, for errors.Is.
var (
	ErrRefundAmount  = errors.New("payment: a refund has a request number, and an amount above 0")
	ErrNoTrade       = errors.New("payment: no such trade was settled")
	ErrRefundDiffers = errors.New("payment: this refund number was used for another amount")
	ErrRefundTooMuch = errors.New("payment: with the refunds before it this is more than the trade's amount")
	ErrSellerFunds   = errors.New("payment: the merchant has not that much settled: the refund is noted, send it again later")
)

// Refund orders that money of a settled trade goes back to its rider (退款). A trade may have several, each
// with a number of its own.
type Refund struct {
	Trade     TradeKey
	RequestNo string // out_request_no: the same for the same refund
	AmountFen money.Fen
	Reason    string
	At        time.Time
}

// RefundResult answers a refund.
type RefundResult struct {
	Trade       SettledTrade
	RefundedFen money.Fen // of this trade, all refunds together
	Changed     bool      // false when this one was made before
}

// refundBody is what a refund's document says.
type refundBody struct {
	RequestNo string
	AmountFen money.Fen
	Reason    string
}

// Refund gives money back. The merchant pays it from what is settled, which its parts are swept into when
// it does not reach; what the rider still owes is paid from it first. It happens once, however often it is
// asked for; after any other error than those named here, ask again.
func (p *Payment) Refund(ctx context.Context, merchant Merchant, order Refund) (RefundResult, error) {
	if order.AmountFen <= 0 || order.AmountFen > money.MaxFen || order.RequestNo == "" || order.Trade.App != merchant.App {
		return RefundResult{}, ErrRefundAmount
	}
	earlier, err := p.find(ctx, []TradeKey{order.Trade})
	if err != nil {
		return RefundResult{}, err
	}
	trade := earlier[order.Trade].trade
	if trade == nil {
		return RefundResult{}, ErrNoTrade
	}
	result := RefundResult{Trade: *trade}
	if result.RefundedFen, err = p.noteRefund(ctx, *trade, order); err != nil {
		return RefundResult{}, err
	}
	result.Changed, err = p.payRefund(ctx, *trade, order)
	return result, err
}

// noteRefund keeps the order in the trade's bucket, where all its refunds are added up, and gives their sum.
func (p *Payment) noteRefund(ctx context.Context, trade SettledTrade, order Refund) (sumFen money.Fen, err error) {
	_, bucket, id, _ := trade.TradeNo.Parse()
	key := DocumentKey(fmt.Sprintf("refund/%d/%s", id, order.RequestNo))
	body, err := json.Marshal(refundBody{order.RequestNo, order.AmountFen, order.Reason})
	if err != nil {
		return 0, err
	}
	need := Need{Bucket: bucket, Documents: []DocumentKey{key}, About: []ledger.DocumentID{id}}
	err = p.store.Update(ctx, need, func(state State) (Changes, error) {
		sumFen = refundsOf(state.About[id])
		if noted, known := state.Documents[key]; known {
			return Changes{}, sameRefund(noted, order)
		}
		if sumFen += order.AmountFen; sumFen > trade.Content.AmountFen {
			return Changes{}, ErrRefundTooMuch
		}
		w := p.write(state, order.At)
		return w.changes(Document{Key: key, About: id, Body: body}), nil
	})
	return sumFen, err
}

func sameRefund(noted Document, order Refund) error {
	var body refundBody
	if err := json.Unmarshal(noted.Body, &body); err != nil || body.AmountFen != order.AmountFen {
		return ErrRefundDiffers
	}
	return nil
}

// refundsOf adds up the refunds among the documents about a trade; other documents have another body.
func refundsOf(documents []Document) (sumFen money.Fen) {
	for _, document := range documents {
		var body refundBody
		if json.Unmarshal(document.Body, &body) == nil && body.RequestNo != "" {
			sumFen += body.AmountFen
		}
	}
	return sumFen
}

// payRefund moves the money; moved is false when it had moved before.
func (p *Payment) payRefund(ctx context.Context, trade SettledTrade, order Refund) (moved bool, err error) {
	_, bucket, id, _ := trade.TradeNo.Parse()
	user, settled := UserAccount(trade.Content.UserID), SettledAccount(trade.Merchant)
	c := crossing{from: p.home(settled), to: bucket, debit: settled, credit: user, amount: exactly(order.AmountFen), code: CodeRefund,
		key: DocumentKey(fmt.Sprintf("refund-paid/%d/%d/%s", bucket, id, order.RequestNo)),
		notices: []Notice{{Kind: Refunded, App: trade.Key.App, User: trade.Content.UserID, TradeNo: trade.TradeNo,
			OutTradeNo: trade.Key.OutTradeNo, Number: order.RequestNo, AmountFen: order.AmountFen}}}
	amountFen, err := p.cross(ctx, c, order.At)
	if errors.Is(err, ledger.NotEnoughFunds) {
		if err := p.Sweep(ctx, trade.Merchant, order.At); err != nil {
			return false, err
		}
		amountFen, err = p.cross(ctx, c, order.At)
	}
	if errors.Is(err, ledger.NotEnoughFunds) {
		return false, ErrSellerFunds
	}
	return amountFen > 0, err
}

// Sweep brings what rides have paid a merchant from all its parts to its settled account (归集). A part
// never falls below 0.
func (p *Payment) Sweep(ctx context.Context, merchant ledger.AccountID, at time.Time) error {
	parts, err := p.store.Balances(ctx, merchant)
	if err != nil {
		return err
	}
	settled := SettledAccount(merchant)
	all := func(account ledger.Account) money.Fen { return account.Balance }
	for bucket, part := range parts[merchant] {
		if part.Balance == 0 {
			continue
		}
		if _, err := p.cross(ctx, crossing{from: bucket, to: p.home(settled), debit: merchant, credit: settled, amount: all, code: CodeSweep}, at); err != nil {
			return err
		}
	}
	return nil
}
