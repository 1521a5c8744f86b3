package payment_test

import (
	"errors"
	"testing"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/role/payment"
)

const password = "correct horse"

// newOnline is a scene with an online gate, where Ming has a password that is asked for above a yuan.
func newOnline(t *testing.T) *scene {
	policy := payment.DefaultPolicy()
	policy.Online.PasswordAboveFen = 1_00
	s := newDivided(t, 100_00, policy)
	s.bus = s.Gate(record.TerminalInfo{POSID: "online", Kind: record.Online, Line: "19"}, 200)
	if err := s.Payment.SetPassword(t.Context(), ming, password); err != nil {
		t.Fatal(err)
	}
	return s
}

// An online trade is settled while its rider waits; the same record, uploaded later, moves nothing more.
func TestOnlineThenUploaded(t *testing.T) {
	s := newOnline(t)
	trade := s.ride(t)
	trade.AmountFen = 1_00
	online := s.mustSettle(t, trade)[0]
	s.Pass(48 * time.Hour)
	if later := s.mustSettle(t, trade)[0]; later != online {
		t.Errorf("online %+v, uploaded %+v", online, later)
	}
	s.balances(t, map[ledger.AccountID]money.Fen{payment.UserAccount(ming): 49_00})
	s.Audit()
}

// The password is asked for once, is good for this one trade, and then the same request settles.
func TestPassword(t *testing.T) {
	s := newOnline(t)
	trade, key := s.ride(t), payment.TradeKey{App: s.Payee.App}
	key.OutTradeNo = trade.OutTradeNo
	if _, err := s.Payment.Approve(t.Context(), ming, key, password, s.Now()); !errors.Is(err, payment.ErrNotAsked) {
		t.Errorf("nothing waits yet: %v", err)
	}
	for range 3 {
		if got := s.settle(t, trade)[0]; got.Reason != payment.PasswordRequired || !got.NeedRetry || !got.NextRetry.After(s.Now()) {
			t.Fatalf("%+v", got)
		}
	}
	wanted := 0
	for _, notice := range s.notices(t) {
		if notice.Kind == payment.PasswordWanted {
			wanted++
		}
	}
	if wanted != 1 {
		t.Errorf("asked %d times", wanted)
	}
	other := trade
	other.AmountFen = 30_00
	if got := s.settle(t, other)[0]; got.Reason != payment.ContextInconsistent {
		t.Errorf("another amount under the number that waits: %+v", got)
	}
	if _, err := s.Payment.Approve(t.Context(), ming, key, "wrong", s.Now()); !errors.Is(err, payment.ErrPassword) {
		t.Errorf("a wrong password: %v", err)
	}
	asked, err := s.Payment.Approve(t.Context(), ming, key, password, s.Now())
	if err != nil || asked.AmountFen != 2_00 || asked.Subject != trade.Subject {
		t.Errorf("%+v %v", asked, err)
	}
	s.mustSettle(t, trade)
	if got := s.settle(t, s.ride(t))[0]; got.Reason != payment.PasswordRequired {
		t.Errorf("the next trade: %+v", got)
	}
	s.balances(t, map[ledger.AccountID]money.Fen{payment.UserAccount(ming): 48_00})
	s.Audit()
}

func TestPasswordsAreCounted(t *testing.T) {
	s := newOnline(t)
	trade := s.ride(t)
	key := payment.TradeKey{App: s.Payee.App, OutTradeNo: trade.OutTradeNo}
	s.settle(t, trade)
	approve := func(with string) error {
		_, err := s.Payment.Approve(t.Context(), ming, key, with, s.Now())
		return err
	}
	for range payment.DefaultPolicy().Online.PasswordTries {
		if err := approve("guess"); !errors.Is(err, payment.ErrPassword) {
			t.Fatal(err)
		}
	}
	if err := approve(password); !errors.Is(err, payment.ErrPasswordLocked) {
		t.Errorf("the right one after too many wrong ones: %v", err)
	}
	s.Pass(payment.DefaultPolicy().Online.PasswordWait)
	next := s.ride(t)
	key.OutTradeNo = next.OutTradeNo
	s.settle(t, next)
	if err := approve(password); err != nil {
		t.Error(err)
	}
	for _, short := range []string{"", "12345"} {
		if err := s.Payment.SetPassword(t.Context(), ming, short); !errors.Is(err, payment.ErrPasswordShort) {
			t.Errorf("%q: %v", short, err)
		}
	}
}

// A rider who may not ride is refused online, where the gate still can, and the refusal holds however long the
// merchant waits. A record that comes late has passed a gate that let him through, and is settled.
func TestOnlineRisk(t *testing.T) {
	s := newOnline(t)
	if err := s.Payment.Block(t.Context(), ming, "reported stolen"); err != nil {
		t.Fatal(err)
	}
	asked, late := s.ride(t), s.ride(t)
	for range 2 {
		if got := s.settle(t, asked)[0]; got.Reason != payment.RiskRefused || got.NeedRetry {
			t.Errorf("%+v", got)
		}
		s.Pass(payment.DefaultPolicy().Online.Within + time.Second)
	}
	s.mustSettle(t, late)
	if err := s.Payment.Block(t.Context(), ming, ""); err != nil {
		t.Fatal(err)
	}
	if got := s.settle(t, asked)[0]; got.Reason != payment.RiskRefused {
		t.Errorf("the same trade once he may ride: %+v", got)
	}
	s.Audit()
}

// A trade that nobody confirms is refused in the end, and cannot be confirmed then.
func TestNotConfirmed(t *testing.T) {
	s := newOnline(t)
	trade := s.ride(t)
	s.settle(t, trade)
	s.Pass(payment.DefaultPolicy().Online.PasswordWithin)
	if got := s.settle(t, trade)[0]; got.Reason != payment.PasswordRequired {
		t.Errorf("on the last second: %+v", got)
	}
	s.Pass(time.Second)
	if got := s.settle(t, trade)[0]; got.Reason != payment.RiskRefused || got.NeedRetry {
		t.Errorf("one second later: %+v", got)
	}
	key := payment.TradeKey{App: s.Payee.App, OutTradeNo: trade.OutTradeNo}
	if _, err := s.Payment.Approve(t.Context(), ming, key, password, s.Now()); !errors.Is(err, payment.ErrNotAsked) {
		t.Error(err)
	}
	s.balances(t, map[ledger.AccountID]money.Fen{payment.UserAccount(ming): 50_00})
	s.Audit()
}

// Who has no password is asked for none; double codes ask for it whatever the amount.
func TestWhoIsAsked(t *testing.T) {
	s := newOnline(t)
	lin := userIn(3)
	phone := s.Rider(lin, 10_00, 0)
	s.mustSettle(t, s.rideOf(t, lin, phone))
	s.Pass(time.Minute)
	doubled := s.shared(t, "a", "b")
	s.settle(t, doubled...)
	s.Pass(time.Minute)
	trade := s.ride(t)
	trade.AmountFen = 50
	if got := s.settle(t, trade)[0]; got.Reason != payment.PasswordRequired {
		t.Errorf("after a double code: %+v", got)
	}
}
