package gateway

import (
	"context"
	"errors"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment"
)

// errResults is a Payment that answers other trades than it was asked: nobody can say what it did.
var errResults = errors.New("gateway: the results are not those of the trades")

// tradeSettle hands the trades that could be read to the institution, and answers every entry in the
// order of the request.
func (s *server) tradeSettle(ctx context.Context, c call, r openapi.SettleRequest) (openapi.SettleResponse, error) {
	var trades []payment.Trade
	for _, entry := range r.Entries {
		if entry.Fault == nil {
			trades = append(trades, tradeOf(entry.Trade))
		}
	}
	var results []payment.Result
	if len(trades) > 0 {
		results = s.Payment.Settle(ctx, c.app.Merchant, trades, c.now)
	}
	if !answers(results, trades) {
		return openapi.SettleResponse{}, errResults
	}
	var response openapi.SettleResponse
	for _, entry := range r.Entries {
		if entry.Fault != nil {
			response.Results = append(response.Results, faultResult(entry))
			continue
		}
		response.Results = append(response.Results, resultOf(results[0]))
		results = results[1:]
	}
	return response, nil
}

func answers(results []payment.Result, trades []payment.Trade) bool {
	if len(results) != len(trades) {
		return false
	}
	for i := range results {
		if results[i].OutTradeNo != trades[i].OutTradeNo {
			return false
		}
	}
	return true
}

func tradeOf(t openapi.Trade) payment.Trade {
	return payment.Trade{
		OutTradeNo: payment.OutTradeNo(t.OutTradeNo), UserID: t.UserID, OrderTime: t.OrderTime, Subject: t.Subject,
		AmountFen: t.AmountFen, BizContext: t.BizContext, CardType: t.CardType, Records: t.Records, SellerLogin: t.SellerLogin,
	}
}

func resultOf(r payment.Result) openapi.TradeResult {
	return openapi.TradeResult{
		Outcome: openapi.Outcome(r.Outcome), Message: messageOf(r.Outcome, r.Reason), ErrorCode: string(r.Reason), ErrorMessage: r.Why,
		NeedRetry: r.NeedRetry, NextRetry: r.NextRetry, OutTradeNo: openapi.OutTradeNo(r.OutTradeNo), TradeNo: openapi.TradeNo(r.TradeNo),
	}
}

// faultResult answers an entry that is no trade: the institution never sees it.
func faultResult(entry openapi.SettleEntry) openapi.TradeResult {
	return resultOf(payment.Result{OutTradeNo: payment.OutTradeNo(entry.OutTradeNo), Outcome: payment.Refused,
		Reason: payment.IllegalParams, Why: entry.Fault.Error()})
}
