package payment_test

import (
	"testing"

	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment"
)

// A ride with a prepaid card is not taken from its rider's account, whatever the trade says of its card type.
func TestPrepaidRidesAreNotSettledHere(t *testing.T) {
	const user ridecode.UserID = "2088000000000001"
	w := testkit.New(t, 0)
	w.Rider(user, 50_00, 0)
	for _, kind := range []ridecode.CardType{"GJ310000", "GJ310001"} {
		_, err := w.Cards.Send(t.Context(), testkit.AppID, codeissuer.CardMessage{Action: codeissuer.IssueCard, User: user, LastUpdate: w.Now(),
			Key: codeissuer.CardKey{Type: kind, No: "1"}}, w.Now())
		if err != nil {
			t.Fatal(err)
		}
	}
	gate := w.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus", Line: "19"}, 2_00)
	policy := payment.DefaultPolicy()
	policy.IsPrepaid = func(cardType ridecode.CardType) bool { return cardType == "GJ310000" }
	p := w.Another(policy)
	for i, test := range []struct {
		card ridecode.CardType
		said string
		want payment.Reason
		left money.Fen
	}{
		{"GJ310000", "GJ310000", payment.RecordCardMismatch, 50_00},
		{"GJ310000", "", payment.RecordCardMismatch, 50_00},
		{"GJ310001", "GJ310001", "", 48_00},
	} {
		w.Pass(1e9)
		tapped := gate.Tap(w.Phone(codeissuer.Request{UserID: user, CardType: test.card, CardNo: "1"}))
		trade := payment.Trade{OutTradeNo: payment.OutTradeNo(rune('A' + i)), UserID: user, CardType: test.said, OrderTime: w.Now(), Subject: "bus",
			AmountFen: 2_00, Records: [][]byte{tapped.Record}}
		got := p.Settle(t.Context(), w.Payee, []payment.Trade{trade}, w.Now())[0]
		if got.Reason != test.want || w.Balance(payment.UserAccount(user)) != test.left {
			t.Errorf("%+v: %+v", test, got)
		}
	}
}
