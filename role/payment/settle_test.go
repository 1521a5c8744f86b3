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
	return s.rideOf(t, ming, s.phone)
}

func (s *scene) rideOf(t *testing.T, user ridecode.UserID, phone *wallet.Wallet) payment.Trade {
	t.Helper()
	s.Pass(time.Second)
	got := s.bus.Tap(phone)
	if got.Verdict != ridecode.Success {
		t.Fatal(got.Trace.Reason())
	}
	return s.tradeOf(user, got.Record)
}

// tradeOf makes a trade with a number of its own.
func (s *scene) tradeOf(user ridecode.UserID, records ...[]byte) payment.Trade {
	s.count++
	return payment.Trade{OutTradeNo: payment.OutTradeNo(fmt.Sprintf("LINE19_%04d", s.count)), UserID: user, OrderTime: s.Now(),
		Subject: "公交-19路", AmountFen: 200, BizContext: `{"line":"19"}`, Records: records}
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
		{"unregistered terminal", func(t *payment.Trade) { t.Records = [][]byte{unregistered} }, payment.RecordUnverifiable, "pos_id"},
		{"settled number with one record twice", func(t *payment.Trade) { *t = settled; t.Records = [][]byte{settled.Records[0], settled.Records[0]} }, payment.IllegalParams, "records[1]"},
		{"settled number with no amount", func(t *payment.Trade) { *t = settled; t.AmountFen = 0 }, payment.IllegalParams, "amount"},
		{"one bad record twice", func(t *payment.Trade) { t.Records = [][]byte{[]byte("noise"), []byte("noise")} }, payment.IllegalParams, "records[1]"},
		{"one record twice for another's account", func(t *payment.Trade) { t.Records = append(t.Records, t.Records[0]); t.SellerLogin = "x" }, payment.IllegalParams, "records[1]"},
		{"another's ride, then noise", func(t *payment.Trade) { t.UserID = "2088000000000002"; t.Records = append(t.Records, []byte("noise")) }, payment.RecordInvalid, "records[1]"},
		{"unregistered terminal, then noise", func(t *payment.Trade) { t.Records = [][]byte{unregistered, []byte("noise")} }, payment.RecordInvalid, "records[1]"},
		{"over the limit, then an unregistered terminal", func(t *payment.Trade) { t.AmountFen = 30_01; t.Records = append(t.Records, unregistered) }, payment.RecordUnverifiable, "records[1]"},
		{"another's ride", func(t *payment.Trade) { t.UserID = "2088000000000002" }, payment.RecordUserMismatch, "user_id"},
		{"another card", func(t *payment.Trade) { t.CardType = "GJ310000" }, payment.RecordCardMismatch, "card_type"},
		{"over the limit", func(t *payment.Trade) { t.AmountFen = 30_01 }, payment.QuotaExceeded, "amount"},
		{"a record that paid", func(t *payment.Trade) { t.Records = settled.Records }, payment.RecordUsed, string(settled.OutTradeNo)},
	}
	if err := s.Payment.TopUp(t.Context(), payment.TopUp{Number: "enough", Account: payment.UserAccount(ming), AmountFen: 100_00, At: s.Now()}); err != nil {
		t.Fatal(err)
	}
	before := s.Audit()
	for i, c := range cases {
		bad := s.ride(t)
		c.change(&bad)
		results := s.settle(t, bad, s.ride(t))
		if results[0].Outcome != payment.Refused || results[0].Reason != c.want || !strings.Contains(results[0].Why, c.field) ||
			results[0].NeedRetry != (c.want == payment.RecordUnverifiable) {
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
	if got := s.Payment.Settle(t.Context(), s.Payee, []payment.Trade{trade}, s.Now().Add(-21*time.Second))[0]; got.Reason != payment.RecordUnverifiable {
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

// What time would cure is no final answer: once the terminal is registered, the key list has arrived or
// the clock has gone on, the same trade settles. After the deadline nobody waits any longer.
func TestCannotTellYet(t *testing.T) {
	s := newScene(t)
	stranger := s.GateSignedBy(record.TerminalInfo{POSID: "stranger", Kind: record.Single, Line: "19"}, 200, record.Legacy{})
	unregistered, unknownKey := s.ride(t), s.ride(t)
	s.Pass(time.Second)
	unregistered.Records, unregistered.OrderTime = [][]byte{stranger.Tap(s.phone).Record}, s.Now()
	keyless := payment.New(s.Books, noKeys{}, everyKey{s}, payment.DefaultPolicy())
	registered := payment.New(s.Books, everyKey{s}, anyApp{everyKey{s}}, payment.DefaultPolicy())
	const deadline = 30*24*time.Hour + time.Second
	for _, c := range []struct {
		name         string
		before, cure *payment.Payment
		trade        payment.Trade
		ahead, retry time.Duration // of the record's time, and of the retry, before and after the server's clock
		field        string
	}{
		{"terminal", s.Payment, registered, unregistered, 0, time.Hour, "pos_id"},
		{"key", keyless, s.Payment, unknownKey, 0, time.Hour, "code: key"},
		{"a minute ahead", s.Payment, s.Payment, s.ride(t), time.Minute, time.Hour, "acceptance time"},
		{"a day ahead", s.Payment, s.Payment, s.ride(t), 24 * time.Hour, 24 * time.Hour, "acceptance time"},
	} {
		settle := func(p *payment.Payment, now time.Time) payment.Result {
			return p.Settle(t.Context(), s.Payee, []payment.Trade{c.trade}, now)[0]
		}
		now := c.trade.OrderTime.Add(-c.ahead)
		if got := settle(c.before, now); got.Outcome != payment.Refused || got.Reason != payment.RecordUnverifiable ||
			!strings.Contains(got.Why, c.field) || !got.NeedRetry || !got.NextRetry.Equal(now.Add(c.retry)) {
			t.Errorf("%s: %+v", c.name, got)
		}
		var wrong *payment.RecordError
		if err := c.before.VerifyRecord(t.Context(), s.Payee, c.trade.Records[0], now); !errors.As(err, &wrong) || wrong.Reason != payment.RecordUnverifiable {
			t.Errorf("%s: record.verify answers %v", c.name, err)
		}
		if got := settle(c.before, c.trade.OrderTime.Add(deadline)); got.Reason != payment.SettleOverdue || got.NeedRetry {
			t.Errorf("%s, after the deadline: %+v", c.name, got)
		}
		if got := settle(c.cure, c.trade.OrderTime.Add(deadline-time.Second)); got.Outcome != payment.Settled {
			t.Errorf("%s, cured on the last second: %+v", c.name, got)
		}
	}
	s.Audit()
}

// A record that is wrong stays wrong, whatever else is not known yet.
func TestWrongBeforeUnknown(t *testing.T) {
	s := newScene(t)
	trade := s.ride(t)
	keyless := payment.New(s.Books, noKeys{}, everyKey{s}, payment.DefaultPolicy())
	raw := bytes.Clone(trade.Records[0])
	raw[len(raw)-1] ^= 1
	for name, p := range map[string]*payment.Payment{"key": keyless, "time": s.Payment} {
		var wrong *payment.RecordError
		if err := p.VerifyRecord(t.Context(), s.Payee, raw, s.Now().Add(-time.Hour)); !errors.As(err, &wrong) || wrong.Reason != payment.RecordInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The trade numbers of one app are not told to another.
func TestRecordUsedByAnotherApp(t *testing.T) {
	s := newScene(t)
	trade := s.ride(t)
	if got := s.settle(t, trade)[0]; got.Outcome != payment.Settled {
		t.Fatal(got)
	}
	other := payment.Merchant{App: "2021000000000002", Account: payment.MerchantAccount("ferry")}
	if err := s.Payment.OpenMerchant(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	p := payment.New(s.Books, everyKey{s}, anyApp{everyKey{s}}, payment.DefaultPolicy())
	got := p.Settle(t.Context(), other, []payment.Trade{trade}, s.Now())[0]
	if got.Reason != payment.RecordUsed || !strings.Contains(got.Why, "another trade") || strings.Contains(got.Why, string(trade.OutTradeNo)) {
		t.Errorf("%+v", got)
	}
}

// A bug that one trade brings out is an unknown outcome of that trade; its neighbours settle, and what
// is told of it quotes nothing.
func TestPanicIsUnknown(t *testing.T) {
	s := newScene(t)
	second := s.Gate(record.TerminalInfo{POSID: "buggy", Kind: record.Single, Line: "19"}, 200)
	bad, good := s.ride(t), s.ride(t)
	s.Pass(time.Second)
	bad.Records = [][]byte{second.Tap(s.phone).Record}
	policy, told := payment.DefaultPolicy(), ""
	policy.Panicked = func(what, stack string) { told += what + stack }
	p := payment.New(s.Books, everyKey{s}, buggy{everyKey{s}}, policy)
	results := p.Settle(t.Context(), s.Payee, []payment.Trade{bad, good}, s.Now())
	if got := results[0]; got.OutTradeNo != bad.OutTradeNo || got.Outcome != payment.Unknown || got.Reason != payment.SystemBusy || !got.NeedRetry || !got.NextRetry.After(s.Now()) {
		t.Errorf("%+v", got)
	}
	if results[1].Outcome != payment.Settled {
		t.Errorf("its neighbour: %+v", results[1])
	}
	if told == "" || strings.Contains(told, "a secret") {
		t.Errorf("told: %s", told)
	}
	if got := s.settle(t, bad)[0]; got.Outcome != payment.Settled {
		t.Errorf("once the bug is gone: %+v", got)
	}
	s.Audit()
}

// noKeys is a key list that has not arrived.
type noKeys struct{}

func (noKeys) IssuerKey(ridecode.KeyID) (ridecode.Verifier, bool) { return nil, false }

// anyApp knows every terminal for every app; "stranger" signs as terminals of 2018 do.
type anyApp struct{ everyKey }

func (a anyApp) TerminalIntegrity(_ payment.AppID, posID string) (record.Integrity, bool) {
	if posID == "stranger" {
		return record.Legacy{}, true
	}
	return a.everyKey.TerminalIntegrity(testkit.AppID, posID)
}

// buggy fails at one terminal.
type buggy struct{ everyKey }

func (b buggy) TerminalIntegrity(app payment.AppID, posID string) (record.Integrity, bool) {
	if posID == "buggy" {
		panic("a secret")
	}
	return b.everyKey.TerminalIntegrity(app, posID)
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
	topUp := payment.TopUp{Number: "1", Account: payment.UserAccount(ming), AmountFen: 200, At: s.Now()}
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
	for _, order := range []payment.TopUp{{Number: "a", Account: "user:nobody", AmountFen: 1}, {Number: "b", Account: payment.OutsideAccount, AmountFen: 1},
		{Number: "c", Account: payment.UserAccount(ming)}, {Number: "d", Account: payment.UserAccount(ming), AmountFen: money.MaxFen + 1}, {Account: payment.UserAccount(ming), AmountFen: 1}} {
		if err := s.Payment.TopUp(t.Context(), order); err == nil {
			t.Errorf("%+v is taken", order)
		}
	}
	s.Audit()
}
