package payment_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/payment"
)

func (s *scene) refund(t *testing.T, trade payment.Trade, number string, amountFen money.Fen) (payment.RefundResult, error) {
	t.Helper()
	return s.Payment.Refund(t.Context(), s.Payee, payment.Refund{Trade: payment.TradeKey{App: s.Payee.App, OutTradeNo: trade.OutTradeNo},
		RequestNo: number, AmountFen: amountFen, At: s.Now()})
}

// Refunds of a trade add up to its amount at most, each happens once, and the money is swept from wherever
// rides have left it.
func TestRefunds(t *testing.T) {
	s := newDivided(t, 10_00, payment.DefaultPolicy())
	trade := s.ride(t)
	s.mustSettle(t, trade)
	for _, step := range []struct {
		number   string
		fen      money.Fen
		want     error
		refunded money.Fen
		changed  bool
	}{
		{"a", 50, nil, 50, true},
		{"a", 50, nil, 50, false},
		{"a", 51, payment.ErrRefundDiffers, 0, false},
		{"b", 1_51, payment.ErrRefundTooMuch, 0, false},
		{"b", 1_50, nil, 2_00, true},
		{"b", 1_50, nil, 2_00, false},
		{"c", 1, payment.ErrRefundTooMuch, 0, false},
		{"", 1, payment.ErrRefundAmount, 0, false},
		{"d", 0, payment.ErrRefundAmount, 0, false},
	} {
		got, err := s.refund(t, trade, step.number, step.fen)
		if !errors.Is(err, step.want) || got.RefundedFen != step.refunded || got.Changed != step.changed {
			t.Errorf("refund %q of %s: %+v %v", step.number, step.fen, got, err)
		}
	}
	if _, err := s.refund(t, s.ride(t), "x", 1); !errors.Is(err, payment.ErrNoTrade) {
		t.Errorf("a trade that was never settled: %v", err)
	}
	s.balances(t, map[ledger.AccountID]money.Fen{payment.UserAccount(ming): 50_00, s.Payee.Account: 0, payment.SettledAccount(s.Payee.Account): 0,
		payment.TransitAccount: 0})
	told := 0
	for _, notice := range s.notices(t) {
		if notice.Kind == payment.Refunded {
			told++
		}
	}
	if told != 2 {
		t.Errorf("told of %d refunds", told)
	}
	s.Audit()
}

// Another merchant's trade is nobody's to refund.
func TestRefundOfAnothersTrade(t *testing.T) {
	s := newDivided(t, 10_00, payment.DefaultPolicy())
	trade := s.ride(t)
	s.mustSettle(t, trade)
	other := payment.Merchant{App: "2021000000000002", Account: payment.MerchantAccount("ferry")}
	if err := s.Payment.OpenMerchant(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	for _, app := range []payment.AppID{other.App, s.Payee.App} {
		order := payment.Refund{Trade: payment.TradeKey{App: app, OutTradeNo: trade.OutTradeNo}, RequestNo: "a", AmountFen: 1, At: s.Now()}
		if got, err := s.Payment.Refund(t.Context(), other, order); err == nil {
			t.Errorf("%+v", got)
		}
	}
}

// What was paid out is not there to refund from: the order is kept, and paid once there is money.
func TestRefundWaitsForFunds(t *testing.T) {
	s := newDivided(t, 10_00, payment.DefaultPolicy())
	trade := s.ride(t)
	s.mustSettle(t, trade)
	day := s.closeDay(t)
	if paid, err := s.Payment.Payout(t.Context(), s.Payee, day, s.Now()); err != nil || paid != 2_00 {
		t.Fatal(paid, err)
	}
	if _, err := s.refund(t, trade, "a", 2_00); !errors.Is(err, payment.ErrSellerFunds) {
		t.Fatalf("nothing is left: %v", err)
	}
	if _, err := s.refund(t, trade, "b", 1); !errors.Is(err, payment.ErrRefundTooMuch) {
		t.Errorf("the refund that waits counts: %v", err)
	}
	s.mustSettle(t, s.ride(t))
	if got, err := s.refund(t, trade, "a", 2_00); err != nil || !got.Changed {
		t.Errorf("%+v %v", got, err)
	}
	s.balances(t, map[ledger.AccountID]money.Fen{payment.UserAccount(ming): 48_00, s.Payee.Account: 0, payment.SettledAccount(s.Payee.Account): 0})
	s.Audit()
}

// A refund pays what its rider owes first, in whichever bucket he is.
func TestRefundPaysDebt(t *testing.T) {
	for bucket := range buckets {
		s := newDivided(t, 100_00, payment.DefaultPolicy())
		user := userIn(bucket)
		phone := s.Rider(user, 2_00, 0)
		paid, owed := s.rideOf(t, user, phone), s.rideOf(t, user, phone)
		s.mustSettle(t, paid)
		s.mustSettle(t, owed)
		if got, err := s.refund(t, paid, "a", 1_50); err != nil || !got.Changed {
			t.Fatal(got, err)
		}
		s.balances(t, map[ledger.AccountID]money.Fen{payment.UserAccount(user): 0, payment.DebtAccount(user): -50})
		if _, err := s.refund(t, owed, "b", 2_00); err != nil {
			t.Fatal(err)
		}
		s.balances(t, map[ledger.AccountID]money.Fen{payment.UserAccount(user): 1_50, payment.DebtAccount(user): 0, payment.GuaranteeAccount: 100_00})
		if may, _ := s.Payment.MayRide(t.Context(), user, s.Now()); !may {
			t.Error("he owes nothing, and may not ride")
		}
		s.Audit()
	}
}

// Who has paid a trade sees what became of it; for anybody else, and under another app, it is not there.
func TestPaidBy(t *testing.T) {
	s := newDivided(t, 10_00, payment.DefaultPolicy())
	part, whole, unsettled := s.ride(t), s.ride(t), s.ride(t)
	s.mustSettle(t, part, whole)
	if _, err := s.refund(t, part, "a", 50); err != nil {
		t.Fatal(err)
	}
	keys := []payment.TradeKey{{App: "another", OutTradeNo: part.OutTradeNo}}
	for _, trade := range []payment.Trade{part, whole, unsettled} {
		keys = append(keys, payment.TradeKey{App: s.Payee.App, OutTradeNo: trade.OutTradeNo})
	}
	paid, err := s.Payment.PaidBy(t.Context(), ming, keys)
	want := map[payment.TradeKey]payment.PaidTrade{keys[1]: {AmountFen: 2_00, RefundedFen: 50, Payer: payment.PaidByUser}, keys[2]: {AmountFen: 2_00, Payer: payment.PaidByUser}}
	if err != nil || !maps.Equal(paid, want) {
		t.Errorf("%+v, %v", paid, err)
	}
	if paid, err := s.Payment.PaidBy(t.Context(), userIn(0), keys); err != nil || len(paid) != 0 {
		t.Errorf("another user: %+v, %v", paid, err)
	}
}
