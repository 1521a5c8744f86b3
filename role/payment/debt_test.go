package payment_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

const buckets = 4

// newDivided is a scene whose books have several buckets.
func newDivided(t *testing.T, guaranteeFen money.Fen, policy payment.Policy) *scene {
	w := testkit.NewOver(t, guaranteeFen, storetest.NewMemory(buckets), policy)
	return &scene{World: w, phone: w.Rider(ming, 50_00, 0),
		bus: w.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus 19", Line: "19"}, 200)}
}

// userIn is a user whose bucket is this one.
func userIn(bucket int) ridecode.UserID {
	for n := 0; ; n++ {
		if user := ridecode.UserID(fmt.Sprintf("20880000001%05d", n)); payment.BucketOf(user, buckets) == bucket {
			return user
		}
	}
}

// mustSettle settles trades that are all good.
func (s *scene) mustSettle(t *testing.T, trades ...payment.Trade) []payment.Result {
	t.Helper()
	results := s.settle(t, trades...)
	for _, result := range results {
		if result.Outcome != payment.Settled {
			t.Fatalf("%+v", result)
		}
	}
	return results
}

func (s *scene) topUp(t *testing.T, number string, account ledger.AccountID, amountFen money.Fen) {
	t.Helper()
	if err := s.Payment.TopUp(t.Context(), payment.TopUp{Number: number, Account: account, AmountFen: amountFen, At: s.Now()}); err != nil {
		t.Fatal(err)
	}
}

// balances holds accounts against what they should be.
func (s *scene) balances(t *testing.T, want map[ledger.AccountID]money.Fen) {
	t.Helper()
	for account, fen := range want {
		if got := s.Balance(account); got != fen {
			t.Errorf("%s: %s, want %s", account, got, fen)
		}
	}
}

// A rider who owes is stopped, told, pursued at every top-up, and free again when all is paid back.
func TestDebt(t *testing.T) {
	s := newDivided(t, 100_00, payment.DefaultPolicy())
	const poor ridecode.UserID = "2088000000000002"
	phone := s.Rider(poor, 1_00, 0)
	s.mustSettle(t, s.rideOf(t, poor, phone), s.rideOf(t, poor, phone), s.rideOf(t, poor, phone))
	user, debt := payment.UserAccount(poor), payment.DebtAccount(poor)
	s.balances(t, map[ledger.AccountID]money.Fen{user: 1_00, debt: -6_00, payment.GuaranteeAccount: 94_00, payment.ClaimsAccount: 6_00})
	if may, err := s.Payment.MayRide(t.Context(), poor, s.Now()); err != nil || may {
		t.Errorf("may ride: %v %v", may, err)
	}
	s.topUp(t, "a", user, 2_00)
	s.topUp(t, "a", user, 2_00) // the same order
	s.balances(t, map[ledger.AccountID]money.Fen{user: 0, debt: -3_00, payment.GuaranteeAccount: 97_00, payment.ClaimsAccount: 3_00})
	s.topUp(t, "b", user, 10_00)
	s.balances(t, map[ledger.AccountID]money.Fen{user: 7_00, debt: 0, payment.GuaranteeAccount: 100_00, payment.ClaimsAccount: 0})
	if may, err := s.Payment.MayRide(t.Context(), poor, s.Now()); err != nil || !may {
		t.Errorf("all is paid back, and he may ride: %v %v", may, err)
	}
	made, cleared := 0, 0
	for _, notice := range s.notices(t) {
		if notice.User == poor && notice.Kind == payment.DebtMade {
			made++
		}
		if notice.User == poor && notice.Kind == payment.DebtCleared {
			cleared++
		}
	}
	if made != 3 || cleared != 1 {
		t.Errorf("told of %d debts and %d times that all is paid", made, cleared)
	}
	s.Audit()
}

// notices is all that was posted, in no order.
func (s *scene) notices(t *testing.T) (all []payment.Notice) {
	t.Helper()
	for bucket := range s.Books.Buckets() {
		posted, err := s.Books.Posted(t.Context(), bucket, 1_000)
		if err != nil {
			t.Fatal(err)
		}
		deliveries, err := s.Payment.Expand(t.Context(), bucket, posted, everybody{})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range deliveries {
			if d.To == payment.ToRider || d.Notice.User == "" {
				all = append(all, d.Notice)
			}
		}
	}
	return all
}

// The credit line pays rides, and no debts: a debt is paid with money.
func TestCreditPaysNoDebt(t *testing.T) {
	s := newDivided(t, 100_00, payment.DefaultPolicy())
	const poor ridecode.UserID = "2088000000000002"
	phone := s.Rider(poor, 0, 0)
	s.mustSettle(t, s.rideOf(t, poor, phone))
	user, debt := payment.UserAccount(poor), payment.DebtAccount(poor)
	if err := s.Payment.SetCreditLine(t.Context(), poor, 5_00); err != nil {
		t.Fatal(err)
	}
	s.topUp(t, "a", user, 50)
	s.balances(t, map[ledger.AccountID]money.Fen{user: 0, debt: -1_50})
	s.mustSettle(t, s.rideOf(t, poor, phone), s.rideOf(t, poor, phone))
	s.balances(t, map[ledger.AccountID]money.Fen{user: -4_00, debt: -1_50})
	s.topUp(t, "b", user, 6_00) // 4.00 of it fill the credit line up again
	s.balances(t, map[ledger.AccountID]money.Fen{user: 50, debt: 0})
	if err := s.Payment.SetCreditLine(t.Context(), poor, 0); err != nil {
		t.Error(err)
	}
	s.mustSettle(t, s.rideOf(t, poor, phone))
	s.balances(t, map[ledger.AccountID]money.Fen{user: 50, debt: -2_00})
	s.Audit()
}

func TestCreditLine(t *testing.T) {
	s := newDivided(t, 0, payment.DefaultPolicy())
	const lin ridecode.UserID = "2088000000000003"
	phone := s.Rider(lin, 0, 3_00)
	s.mustSettle(t, s.rideOf(t, lin, phone))
	for _, c := range []struct {
		user ridecode.UserID
		fen  money.Fen
		want error
	}{{lin, 1_99, payment.ErrCreditUsed}, {lin, -1, payment.ErrCreditLine}, {lin, money.MaxFen + 1, payment.ErrCreditLine},
		{"2088000000000004", 1, payment.ErrNoAccount}, {lin, 2_00, nil}, {lin, 2_00, nil}} {
		if err := s.Payment.SetCreditLine(t.Context(), c.user, c.fen); !errors.Is(err, c.want) {
			t.Errorf("%s to %s: %v", c.user, c.fen, err)
		}
	}
	if got := s.settle(t, s.rideOf(t, lin, phone))[0]; got.Reason != payment.FundsNotEnough || !got.NeedRetry {
		t.Errorf("the line is used up: %+v", got)
	}
	s.Audit()
}

// What follows from a debt is the policy's: how much of it, and for how long.
func TestDenied(t *testing.T) {
	policy := payment.DefaultPolicy()
	policy.Debt = payment.DebtPolicy{DenyAboveFen: 3_00, DenyAfter: time.Hour}
	s := newDivided(t, 100_00, policy)
	deny := func(want ...ridecode.UserID) {
		t.Helper()
		denied, err := s.Payment.Denied(t.Context(), s.Now())
		var users []ridecode.UserID
		for _, d := range denied {
			users = append(users, d.User)
			if d.Reason == "" {
				t.Errorf("%s without a reason", d.User)
			}
		}
		slices.Sort(users)
		if slices.Sort(want); err != nil || !slices.Equal(users, want) {
			t.Errorf("denied are %v, want %v: %v", users, want, err)
		}
	}
	first, second := userIn(0), userIn(1)
	phones := map[ridecode.UserID]func(){}
	for _, user := range []ridecode.UserID{first, second} {
		phone := s.Rider(user, 0, 0)
		phones[user] = func() { s.mustSettle(t, s.rideOf(t, user, phone)) }
	}
	phones[first]()
	deny()
	phones[first]() // 4.00 yuan
	phones[second]()
	deny(first)
	s.Pass(2 * time.Hour)
	deny(first, second)
	s.topUp(t, "all", payment.UserAccount(first), 4_00)
	deny(second)
	if err := s.Payment.Block(t.Context(), ming, "reported stolen"); err != nil {
		t.Fatal(err)
	}
	deny(second, ming)
	if may, _ := s.Payment.MayRide(t.Context(), ming, s.Now()); may {
		t.Error("who is blocked may ride")
	}
	if err := s.Payment.Block(t.Context(), ming, ""); err != nil {
		t.Fatal(err)
	}
	if may, _ := s.Payment.MayRide(t.Context(), ming, s.Now()); !may {
		t.Error("who was let go may not ride")
	}
	if err := s.Payment.Block(t.Context(), "2088000000000009", "x"); !errors.Is(err, payment.ErrNoAccount) {
		t.Errorf("nobody is blocked: %v", err)
	}
}

// The guarantee fund lies in parts. When one runs dry, the others help; when all are dry, nobody is paid by
// half, and what one part gave back is there for another.
func TestGuaranteeGathers(t *testing.T) {
	s := newDivided(t, 9_00, payment.DefaultPolicy()) // 2.25 in each bucket
	poor := userIn(2)
	phone := s.Rider(poor, 0, 0)
	var rides []payment.Trade
	for range 5 {
		rides = append(rides, s.rideOf(t, poor, phone))
	}
	results := s.settle(t, rides...)
	settled := 0
	for _, result := range results {
		switch {
		case result.Outcome == payment.Settled:
			settled++
		case result.Reason != payment.FundsNotEnough || !result.NeedRetry:
			t.Errorf("%+v", result)
		}
	}
	if settled != 4 {
		t.Errorf("%d rides of 2.00 are paid from 9.00", settled)
	}
	s.balances(t, map[ledger.AccountID]money.Fen{payment.GuaranteeAccount: 1_00, payment.TransitAccount: 0, payment.DebtAccount(poor): -8_00, s.Payee.Account: 8_00})
	s.topUp(t, "more", payment.GuaranteeAccount, 1_00)
	s.mustSettle(t, rides...)
	s.balances(t, map[ledger.AccountID]money.Fen{payment.GuaranteeAccount: 0, payment.DebtAccount(poor): -10_00})
	s.Audit()
}
