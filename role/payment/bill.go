package payment

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/bill"
)

// EachBillLine visits what belongs into the reconciliation files (对账文件) of a closed day, all merchants' in
// one walk: every trade that was settled on it, and every refund that was paid, with the app and the
// merchant that it is for.
func (p *Payment) EachBillLine(ctx context.Context, day ledger.Day, visit func(AppID, ledger.AccountID, bill.Line) error) error {
	if closed, err := p.DayClosed(ctx, day); err != nil || !closed {
		return errors.Join(err, ErrDayNotClosed)
	}
	for bucket := range p.store.Buckets() {
		err := p.store.EachTrade(ctx, bucket, day, func(trade SettledTrade) error {
			return visit(trade.Key.App, trade.Merchant, billLine(bill.Trade, trade))
		})
		if err != nil {
			return err
		}
		if err := p.eachRefund(ctx, bucket, day, visit); err != nil {
			return err
		}
	}
	return nil
}

func billLine(kind bill.Kind, trade SettledTrade) bill.Line {
	return bill.Line{Kind: kind, TradeNo: string(trade.TradeNo), OutTradeNo: string(trade.Key.OutTradeNo), Subject: trade.Content.Subject,
		At: trade.SettledAt, AmountFen: trade.Content.AmountFen}
}

// eachRefund visits the refunds that merchants have paid from a bucket on a day.
func (p *Payment) eachRefund(ctx context.Context, bucket int, day ledger.Day, visit func(AppID, ledger.AccountID, bill.Line) error) error {
	merchants, err := p.store.Merchants(ctx, bucket)
	if err != nil {
		return err
	}
	for _, merchant := range merchants {
		err := p.store.EachTransfer(ctx, bucket, SettledAccount(merchant), day, day, func(t ledger.Transfer) error {
			if t.Code != CodeRefund {
				return nil
			}
			line, app, err := p.refundLine(ctx, bucket, t)
			if err != nil {
				return err
			}
			return visit(app, merchant, line)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// refundLine finds the trade that a refund's transfer belongs to: the key of its document says where it is.
func (p *Payment) refundLine(ctx context.Context, bucket int, t ledger.Transfer) (bill.Line, AppID, error) {
	state, err := p.store.View(ctx, Need{Bucket: bucket, Numbered: []ledger.DocumentID{t.ID.Document}})
	if err != nil {
		return bill.Line{}, "", err
	}
	var in int
	var id ledger.DocumentID
	key := state.Numbered[t.ID.Document].Key
	parts := strings.SplitN(string(key), "/", 4) // see payRefund
	if len(parts) != 4 || parts[0] != "refund-paid" {
		return bill.Line{}, "", fmt.Errorf("payment: internal error: a refund was paid with document %q", key)
	}
	if _, err := fmt.Sscan(parts[1]+" "+parts[2], &in, &id); err != nil {
		return bill.Line{}, "", err
	}
	state, err = p.store.View(ctx, Need{Bucket: in, Trades: []ledger.DocumentID{id}})
	if err != nil {
		return bill.Line{}, "", err
	}
	line := billLine(bill.Refund, state.Trades[id])
	line.RequestNo, line.At, line.AmountFen = parts[3], t.At, t.AmountFen
	return line, state.Trades[id].Key.App, nil
}
