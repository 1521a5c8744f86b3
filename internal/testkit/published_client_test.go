package testkit_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/internal/testkit/nodeclient"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/payment"
)

// A published client, npm alipay-sdk 4 with response verification on, settles a real ride in the real
// books: once, however often it asks.
func TestPublishedClientSettles(t *testing.T) {
	w := testkit.New(t, 100_00)
	phone := w.Rider("2088000000000001", 50_00, 0)
	bus := w.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus", Line: "19"}, 2_00)
	ride := fmt.Sprintf("%x", bus.Tap(phone).Record)
	trade := func(amount any) map[string]any {
		return map[string]any{"bizContent": map[string]any{"trade_list": []any{map[string]any{"user_id": "2088000000000001",
			"out_trade_no": "LINE1_POS1_20261121080000", "actual_order_time": "2026-11-21 08:00:00", "subject": "19 路公交", "amount": amount, "records": []string{ride}}}}}
	}
	const prefix = "alipay.commerce.transport.offlinepay."
	answers := callPublished(t, w, []map[string]any{
		{"method": prefix + "key.query"},
		{"method": prefix + "record.verify", "params": map[string]any{"bizContent": map[string]any{"record": ride}}},
		{"method": prefix + "trade.settle", "params": trade(2)},
		{"method": prefix + "trade.settle", "params": trade("2.0")},
		{"method": prefix + "trade.settle", "params": trade("3.00")},
	})
	if keys := answers[0].Answer.Keys; len(keys) != 3 || answers[1].Answer.Code != "10000" {
		t.Errorf("%+v", answers[:2])
	}
	first, again, other := answers[2].Answer.ResultList[0], answers[3].Answer.ResultList[0], answers[4].Answer.ResultList[0]
	if first.Result != "SUCCESS" || again != first || other.Result != "FAIL" || other.ErrorCode != "CONTEXT_INCONSISTENT" {
		t.Errorf("first %+v, again %+v, other %+v", first, again, other)
	}
	if w.Balance(payment.UserAccount("2088000000000001")) != 48_00 || w.Audit().Trades != 1 {
		t.Error("the money moved more than once, or not at all")
	}
}

// published is what the client makes of an answer, in its own spelling.
type published struct {
	Answer struct {
		Code       string
		Keys       []any
		ResultList []struct{ Result, OutTradeNo, TradeNo, ErrorCode string }
	}
	Error string
}

func callPublished(t *testing.T, w *testkit.World, calls []map[string]any) []published {
	t.Helper()
	server := httptest.NewServer(w.Handler)
	defer server.Close()
	private, public := w.ClientKeys()
	task := map[string]any{"client": 4, "calls": calls, "config": map[string]any{"appId": testkit.AppID, "privateKey": private,
		"alipayPublicKey": public, "keyType": "PKCS8", "gateway": server.URL + gateway.Path}}
	var answers []published
	nodeclient.Run(t, "call.js", task, &answers)
	if len(answers) != len(calls) {
		t.Fatalf("%d answers to %d calls", len(answers), len(calls))
	}
	for i, answer := range answers {
		if answer.Error != "" {
			t.Fatalf("call %d: %s", i, answer.Error)
		}
	}
	return answers
}
