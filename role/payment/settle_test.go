package payment_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/wallet"
)

const ming ridecode.UserID = "2088000000000001"

// scene is a city with a bus gate and a rider who has 50 yuan.
type scene struct {
	*testkit.World
	bus   *testkit.Gate
	phone *wallet.Wallet
	count int
}

func newScene(t *testing.T) *scene {
	w := testkit.New(t, 100_00)
	return &scene{World: w, phone: w.Rider(ming, 50_00, 0),
		bus: w.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus 19", Line: "19"}, 200)}
}

// ride makes a good trade: a code of this moment, its record, and a number of its own.
func (s *scene) ride(t *testing.T) payment.Trade {
	t.Helper()
	s.count++
	s.Pass(time.Second)
	got := s.bus.Tap(s.phone)
	if got.Verdict != ridecode.Success {
		t.Fatal(got.Trace.Reason())
	}
	return payment.Trade{OutTradeNo: payment.OutTradeNo(fmt.Sprintf("LINE19_%04d", s.count)), UserID: ming, OrderTime: s.Now(),
		Subject: "公交-19路", AmountFen: 200, BizContext: `{"line":"19"}`, Records: [][]byte{got.Record}}
}

func (s *scene) settle(t *testing.T, trades ...payment.Trade) []payment.Result {
	t.Helper()
	results := s.Payment.Settle(t.Context(), s.Payee, trades, s.Now())
	if len(results) != len(trades) {
		t.Fatalf("%d results for %d trades", len(results), len(trades))
	}
	for i, result := range results {
		if result.OutTradeNo != trades[i].OutTradeNo || (result.Outcome == payment.Settled) != (result.TradeNo != "") ||
			(result.Outcome == payment.Settled) != (result.Reason == "") || result.NeedRetry == result.NextRetry.IsZero() {
			t.Fatalf("trade %s: result %+v contradicts itself", trades[i].OutTradeNo, result)
		}
	}
	return results
}

func TestSettleOnce(t *testing.T) {
	s := newScene(t)
	trade := s.ride(t)
	first := s.settle(t, trade)[0]
	if first.Outcome != payment.Settled || len(first.TradeNo) != 28 || !strings.HasPrefix(string(first.TradeNo), "20261121") {
		t.Fatalf("%+v", first)
	}
	s.Restart()
	s.Pass(100 * 24 * time.Hour) // a retry is answered as it was, even after the deadline
	if again := s.settle(t, trade, trade); again[0] != first || again[1] != first {
		t.Errorf("first %+v, then %+v", first, again)
	}
	if s.Balance(payment.UserAccount(ming)) != 48_00 || s.Balance(s.Payee.Account) != 2_00 {
		t.Error("the money moved more than once, or not at all")
	}
	s.Audit()
}

// Every reason, one after the other; none of them moves a fen, none harms the good trade beside it.
func TestReasons(t *testing.T) {
	s := newScene(t)
	settled := s.ride(t)
	if got := s.settle(t, settled)[0]; got.Outcome != payment.Settled {
		t.Fatal(got)
	}
	stranger := s.GateSignedBy(record.TerminalInfo{POSID: "stranger", Kind: record.Single, Line: "19"}, 200, record.Legacy{})
	s.Pass(time.Second)
	unregistered := stranger.Tap(s.phone).Record
	cases := []struct {
		name   string
		change func(*payment.Trade)
		want   payment.Reason
		field  string
	}{
		{"no number", func(t *payment.Trade) { t.OutTradeNo = "" }, payment.IllegalParams, "out_trade_no"},
		{"long number", func(t *payment.Trade) { t.OutTradeNo = payment.OutTradeNo(strings.Repeat("x", 65)) }, payment.IllegalParams, "out_trade_no"},
		{"no user", func(t *payment.Trade) { t.UserID = "" }, payment.IllegalParams, "user_id"},
		{"no time", func(t *payment.Trade) { t.OrderTime = time.Time{} }, payment.IllegalParams, "actual_order_time"},
		{"no subject", func(t *payment.Trade) { t.Subject = "" }, payment.IllegalParams, "subject"},
		{"no amount", func(t *payment.Trade) { t.AmountFen = 0 }, payment.IllegalParams, "amount"},
		{"negative amount", func(t *payment.Trade) { t.AmountFen = -200 }, payment.IllegalParams, "amount"},
		{"long context", func(t *payment.Trade) { t.BizContext = strings.Repeat("交", 2049) }, payment.IllegalParams, "order_biz_context"},
		{"no records", func(t *payment.Trade) { t.Records = nil }, payment.IllegalParams, "records"},
		{"nine records", func(t *payment.Trade) { t.Records = make([][]byte, 9) }, payment.IllegalParams, "records"},
		{"one record twice", func(t *payment.Trade) { t.Records = append(t.Records, t.Records[0]) }, payment.IllegalParams, "records[1]"},
		{"settled with another amount", func(t *payment.Trade) { *t = settled; t.AmountFen = 100 }, payment.ContextInconsistent, "out_trade_no"},
		{"settled with another subject", func(t *payment.Trade) { *t = settled; t.Subject = "x" }, payment.ContextInconsistent, "out_trade_no"},
		{"another's account", func(t *payment.Trade) { t.SellerLogin = "mallory@example.com" }, payment.SellerNotAllowed, "seller_login_name"},
		{"noise", func(t *payment.Trade) { t.Records = [][]byte{[]byte("noise")} }, payment.RecordInvalid, "records[0]"},
		{"changed record", func(t *payment.Trade) {
			t.Records[0] = bytes.Clone(t.Records[0])
			t.Records[0][len(t.Records[0])-1] ^= 1
		}, payment.RecordInvalid, "integrity value"},
		{"unregistered terminal", func(t *payment.Trade) { t.Records = [][]byte{unregistered} }, payment.RecordInvalid, "pos_id"},
		{"another's ride", func(t *payment.Trade) { t.UserID = "2088000000000002" }, payment.RecordUserMismatch, "user_id"},
		{"another card", func(t *payment.Trade) { t.CardType = "GJ310000" }, payment.RecordCardMismatch, "card_type"},
		{"over the limit", func(t *payment.Trade) { t.AmountFen = 30_01 }, payment.QuotaExceeded, "amount"},
		{"a record that paid", func(t *payment.Trade) { t.Records = settled.Records }, payment.RecordUsed, string(settled.OutTradeNo)},
	}
	before := s.Audit()
	for i, c := range cases {
		bad := s.ride(t)
		c.change(&bad)
		results := s.settle(t, bad, s.ride(t))
		if results[0].Outcome != payment.Refused || results[0].Reason != c.want || !strings.Contains(results[0].Why, c.field) || results[0].NeedRetry {
			t.Errorf("%s: %+v, want %s naming %s", c.name, results[0], c.want, c.field)
		}
		if results[1].Outcome != payment.Settled {
			t.Errorf("%s harmed its neighbour: %+v", c.name, results[1])
		}
		if after := s.Audit(); after.Trades != before.Trades+i+1 || after.Transfers != before.Transfers+i+1 {
			t.Errorf("%s left something in the books", c.name)
		}
	}
}

func TestOverdueAndFuture(t *testing.T) {
	s := newScene(t)
	trade := s.ride(t)
	if got := s.Payment.Settle(t.Context(), s.Payee, []payment.Trade{trade}, s.Now().Add(-21*time.Second))[0]; got.Reason != payment.RecordInvalid {
		t.Errorf("a record from the future: %+v", got)
	}
	s.Pass(30 * 24 * time.Hour)
	if got := s.settle(t, trade)[0]; got.Outcome != payment.Settled {
		t.Errorf("on the last second: %+v", got)
	}
	s.Pass(-30 * 24 * time.Hour)
	trade = s.ride(t)
	s.Pass(30*24*time.Hour + time.Second)
	if got := s.settle(t, trade)[0]; got.Reason != payment.SettleOverdue {
		t.Errorf("one second later: %+v", got)
	}
}

// One code is one ride: it pays once, however many records and trades are made of it.
func TestOneCodeManyRecords(t *testing.T) {
	s := newScene(t)
	second := s.Gate(record.TerminalInfo{POSID: "bus2", Kind: record.Single, Line: "19"}, 200)
	code, err := s.phone.Present(s.Now())
	if err != nil {
		t.Fatal(err)
	}
	a, b := s.bus.Scan(code), second.Scan(code)
	if a.Verdict != ridecode.Success || b.Verdict != ridecode.Success {
		t.Fatal("two gates that do not know each other take one code each")
	}
	trade := func(no string, records ...[]byte) payment.Trade {
		return payment.Trade{OutTradeNo: payment.OutTradeNo(no), UserID: ming, OrderTime: s.Now(), Subject: "x", AmountFen: 200, Records: records}
	}
	results := s.settle(t, trade("a", a.Record), trade("b", b.Record), trade("c", a.Record, b.Record))
	if results[0].Outcome != payment.Settled || results[1].Reason != payment.RecordUsed || results[2].Reason != payment.RecordUsed {
		t.Errorf("%+v", results)
	}
	s.Audit()
}

// Balance, then credit line, then the guarantee fund; then the rider owes, and gets no new grant.
func TestWhoPays(t *testing.T) {
	s := newScene(t)
	const poor ridecode.UserID = "2088000000000002"
	s.phone = s.Rider(poor, 3_00, 1_00)
	var last payment.Trade
	for i, want := range []struct{ user, debt, guarantee money.Fen }{{1_00, 0, 100_00}, {-1_00, 0, 100_00}, {-1_00, -2_00, 98_00}} {
		last = s.ride(t)
		last.UserID = poor
		if got := s.settle(t, last)[0]; got.Outcome != payment.Settled {
			t.Fatalf("ride %d: %+v", i, got)
		}
		if s.Balance(payment.UserAccount(poor)) != want.user || s.Balance(payment.DebtAccount(poor)) != want.debt || s.Balance(payment.GuaranteeAccount) != want.guarantee {
			t.Errorf("ride %d: user %s, debt %s, guarantee %s", i, s.Balance(payment.UserAccount(poor)), s.Balance(payment.DebtAccount(poor)), s.Balance(payment.GuaranteeAccount))
		}
	}
	if s.Balance(s.Payee.Account) != 6_00 {
		t.Error("the merchant was not paid in full")
	}
	if _, err := s.Issuer.Authorize(t.Context(), codeissuer.Request{UserID: poor}, s.Now()); !errors.Is(err, codeissuer.ErrNotQualified) {
		t.Errorf("a rider who owes gets a grant: %v", err)
	}
	s.Audit()
}

// With nothing left anywhere the trade is not lost: it is to be sent again, and settles once there is money.
func TestNoFundsThenFunds(t *testing.T) {
	w := testkit.New(t, 0)
	s := &scene{World: w, phone: w.Rider(ming, 0, 0),
		bus: w.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Line: "19"}, 200)}
	trade := s.ride(t)
	got := s.settle(t, trade)[0]
	if got.Outcome != payment.Refused || got.Reason != payment.FundsNotEnough || !got.NeedRetry || !got.NextRetry.After(s.Now()) {
		t.Fatalf("%+v", got)
	}
	topUp := payment.TopUp{ID: "1", Account: payment.UserAccount(ming), AmountFen: 200, At: s.Now()}
	for range 3 {
		if err := s.Payment.TopUp(t.Context(), topUp); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.settle(t, trade)[0]; got.Outcome != payment.Settled || s.Balance(payment.UserAccount(ming)) != 0 {
		t.Errorf("after the top-up: %+v", got)
	}
	topUp.AmountFen = 300
	if err := s.Payment.TopUp(t.Context(), topUp); !errors.Is(err, payment.ErrTopUpDiffers) {
		t.Errorf("the same number with another amount: %v", err)
	}
	s.Audit()
}

// When the books do not answer, nobody is told more than is known.
func TestUnknown(t *testing.T) {
	s := newScene(t)
	trade := s.ride(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	results := s.Payment.Settle(cancelled, s.Payee, []payment.Trade{trade}, s.Now())
	if results[0].Outcome != payment.Unknown || !results[0].NeedRetry || !results[0].NextRetry.After(s.Now()) {
		t.Errorf("%+v", results)
	}
	if got := s.settle(t, trade)[0]; got.Outcome != payment.Settled {
		t.Errorf("the retry: %+v", got)
	}
}

func TestUserWithoutAccount(t *testing.T) {
	s := newScene(t)
	trade := s.ride(t)
	empty := testkit.New(t, 0)
	other := payment.New(empty.Books, everyKey{s}, everyKey{s}, payment.DefaultPolicy())
	if got := other.Settle(t.Context(), empty.Payee, []payment.Trade{trade}, s.Now())[0]; got.Reason != payment.UserNotExist {
		t.Errorf("%+v", got)
	}
}

// everyKey lends the keys of one city to another.
type everyKey struct{ s *scene }

func (e everyKey) IssuerKey(id ridecode.KeyID) (ridecode.Verifier, bool) {
	for _, key := range e.s.Issuer.Keys() {
		if key.ID == id {
			return key.Public, true
		}
	}
	return nil, false
}

func (e everyKey) TerminalIntegrity(app payment.AppID, posID string) (record.Integrity, bool) {
	return e.s.Terminals().TerminalIntegrity(app, posID)
}

func TestVerifyRecord(t *testing.T) {
	s := newScene(t)
	raw := s.ride(t).Records[0]
	if err := s.Payment.VerifyRecord(t.Context(), s.Payee, raw, s.Now()); err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 {
		flipped := bytes.Clone(raw)
		flipped[bit/8] ^= 1 << (bit % 8)
		var wrong *payment.RecordError
		if err := s.Payment.VerifyRecord(t.Context(), s.Payee, flipped, s.Now()); !errors.As(err, &wrong) {
			t.Fatalf("bit %d of byte %d flipped: %v", bit%8, bit/8, err)
		}
	}
}

func TestOpenings(t *testing.T) {
	s := newScene(t)
	if err := s.Payment.OpenUser(t.Context(), ming, 0); err != nil {
		t.Errorf("opened again: %v", err)
	}
	if err := s.Payment.OpenUser(t.Context(), ming, 5); !errors.Is(err, payment.ErrAccountDiffers) {
		t.Errorf("with another credit line: %v", err)
	}
	if err := s.Payment.OpenUser(t.Context(), "x", -1); !errors.Is(err, payment.ErrCreditLine) {
		t.Errorf("with a negative one: %v", err)
	}
	for _, order := range []payment.TopUp{{ID: "a", Account: "user:nobody", AmountFen: 1}, {ID: "b", Account: payment.OutsideAccount, AmountFen: 1},
		{ID: "c", Account: payment.UserAccount(ming)}, {ID: "d", Account: payment.UserAccount(ming), AmountFen: money.MaxFen + 1}, {Account: payment.UserAccount(ming), AmountFen: 1}} {
		if err := s.Payment.TopUp(t.Context(), order); err == nil {
			t.Errorf("%+v is taken", order)
		}
	}
	s.Audit()
}
