package payment_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/bill"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

// cast is riders and rides that every run of the model starts from.
type cast struct {
	*scene
	users   []ridecode.UserID
	rides   []payment.Trade
	reserve []payment.Trade // what a merchant has at the end to pay refunds from
}

func newCast(t *testing.T) cast {
	c := cast{scene: newDivided(t, 0, payment.DefaultPolicy())}
	for n := range 6 {
		user := ridecode.UserID(fmt.Sprintf("2088000000002%03d", n))
		c.users = append(c.users, user)
		phone := c.Rider(user, 0, 0)
		for range 6 {
			c.rides, c.reserve = append(c.rides, c.rideOf(t, user, phone)), append(c.reserve, c.rideOf(t, user, phone))
		}
	}
	return c
}

// history is one run: two servers over books behind a broken line, and what must have come of what was asked.
type history struct {
	cast
	*rapid.T
	books   *storetest.Memory
	calm    bool // the line is whole
	servers []*payment.Payment
	now     time.Time

	sent    map[int]bool
	settled map[int]payment.TradeNo
	orders  map[string]func() error // in doubt, by what they are
	userIn  map[ridecode.UserID]money.Fen
	fundIn  money.Fen
	back    map[int]money.Fen
	refunds int
	topUps  int
	paidOut money.Fen
	payouts map[ledger.Day]money.Fen
	closed  []ledger.Day
}

// newHistory draws a schedule of faults: one for each bucket, so that it does not matter whose turn it is.
func newHistory(c cast, t *rapid.T) *history {
	h := &history{cast: c, T: t, books: storetest.NewMemory(buckets), calm: true, now: c.Now(), sent: map[int]bool{}, settled: map[int]payment.TradeNo{},
		orders: map[string]func() error{}, userIn: map[ridecode.UserID]money.Fen{}, back: map[int]money.Fen{}, payouts: map[ledger.Day]money.Fen{}}
	var schedules [buckets]*rand.Rand
	seed, one := rapid.Uint64().Draw(t, "schedule"), rapid.IntRange(2, 8).Draw(t, "one write in so many fails")
	for i := range schedules {
		schedules[i] = rand.New(rand.NewPCG(seed, uint64(i)))
	}
	faulty := &storetest.Faulty{Store: h.books, Next: func(bucket int) storetest.Fault {
		if h.calm || schedules[bucket].IntN(one) > 0 {
			return storetest.Well
		}
		return storetest.Fault(1 + schedules[bucket].IntN(4))
	}}
	for range 2 {
		h.servers = append(h.servers, payment.New(faulty, everyKey{c.scene}, everyKey{c.scene}, payment.DefaultPolicy()))
	}
	h.must(h.servers[0].OpenHouse(t.Context(), h.now))
	h.must(h.servers[0].OpenMerchant(t.Context(), c.Payee))
	for _, user := range c.users {
		h.must(h.servers[0].OpenUser(t.Context(), user, money.Fen(rapid.IntRange(0, 3).Draw(t, "credit line"))*1_00))
	}
	h.calm = false
	return h
}

func (h *history) must(err error) {
	if err != nil {
		h.Fatal(err)
	}
}

func (h *history) server() *payment.Payment {
	return h.servers[rapid.IntRange(0, 1).Draw(h.T, "server")]
}

// order does what may end in doubt: then it stays among the orders, and is repeated until it is known.
func (h *history) order(what string, do func() error) {
	h.orders[what] = do
	h.again(what)
}

func (h *history) again(what string) {
	err := h.orders[what]()
	if errors.Is(err, payment.ErrAway) {
		return
	}
	delete(h.orders, what)
	if err != nil {
		h.Fatalf("%s: %v", what, err)
	}
}

// settle sends some trades, of which a merchant may have sent some before.
func (h *history) settleSome() {
	var picked []int
	var trades []payment.Trade
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(h.rides)-1), 1, 12, rapid.ID[int]).Draw(h.T, "trades") {
		picked, trades = append(picked, i), append(trades, h.rides[i])
	}
	h.hear(picked, h.server().Settle(h.Context(), h.Payee, trades, h.now))
}

// hear holds answers against earlier ones: a trade that was settled stays so, under its number.
func (h *history) hear(picked []int, results []payment.Result) {
	for n, i := range picked {
		result := results[n]
		h.sent[i] = true
		switch {
		case result.Outcome == payment.Settled && h.settled[i] == "":
			h.settled[i] = result.TradeNo
		case result.Outcome == payment.Settled && h.settled[i] != result.TradeNo:
			h.Fatalf("%s was settled as %s, and then as %s", result.OutTradeNo, h.settled[i], result.TradeNo)
		case result.Outcome == payment.Refused && (h.settled[i] != "" || result.Reason != payment.FundsNotEnough):
			h.Fatalf("%+v, after %q", result, h.settled[i])
		}
	}
}

func (h *history) topUpSome() {
	h.topUps++
	order := payment.TopUp{Number: fmt.Sprint(h.topUps), Account: payment.GuaranteeAccount, AmountFen: money.Fen(rapid.IntRange(1, 500).Draw(h.T, "fen")), At: h.now}
	user := rapid.SampledFrom(append(h.users, "")).Draw(h.T, "whose")
	if user != "" {
		order.Account = payment.UserAccount(user)
		h.userIn[user] += order.AmountFen
	} else {
		h.fundIn += order.AmountFen
	}
	server := h.server()
	h.order("top-up "+order.Number, func() error { return server.TopUp(h.Context(), order) })
}

func (h *history) refundSome() {
	i := rapid.IntRange(0, len(h.rides)-1).Draw(h.T, "trade")
	fen := money.Fen(rapid.IntRange(1, 150).Draw(h.T, "fen"))
	if h.settled[i] == "" || h.back[i]+fen > h.rides[i].AmountFen {
		return
	}
	h.refunds++
	h.back[i] += fen
	order := payment.Refund{Trade: payment.TradeKey{App: h.Payee.App, OutTradeNo: h.rides[i].OutTradeNo}, RequestNo: fmt.Sprint(h.refunds), AmountFen: fen, At: h.now}
	server := h.server()
	h.order("refund "+order.RequestNo, func() error {
		_, err := server.Refund(h.Context(), h.Payee, order)
		if errors.Is(err, payment.ErrSellerFunds) {
			return errors.Join(err, payment.ErrAway) // later there is money again
		}
		return err
	})
}

func (h *history) closeDay() {
	if h.now.Sub(h.Now()) > 20*24*time.Hour { // after the settlement deadline nothing more can be proven
		return
	}
	day := payment.DefaultPolicy().DayOf(h.now)
	h.now = h.now.Add(24 * time.Hour)
	h.order("close "+day.String(), func() error {
		err := h.servers[0].CloseDay(h.Context(), day, h.now)
		if err == nil {
			h.closed = append(h.closed, day)
		}
		return err
	})
}

func (h *history) payOut() {
	if len(h.closed) == 0 {
		return
	}
	day, server := h.closed[len(h.closed)-1], h.server()
	h.order("pay out "+day.String(), func() error {
		fen, err := server.Payout(h.Context(), h.Payee, day, h.now)
		if errors.Is(err, payment.ErrNotLastDay) {
			return nil
		}
		if err == nil {
			h.payouts[day] = fen
		}
		return err
	})
}

func (h *history) arrive() {
	if _, err := h.server().Arrive(h.Context(), h.now); err != nil && !errors.Is(err, payment.ErrAway) {
		h.Fatal(err)
	}
}

func (h *history) repeatAll() {
	for _, what := range slices.Sorted(maps.Keys(h.orders)) {
		h.again(what)
	}
}

func (h *history) audit() {
	report, err := h.books.Audit(h.Context())
	h.must(err)
	if len(report.Faults) > 0 {
		h.Fatalf("audit: %v", report.Faults)
	}
}

// finish mends the line, gives money enough, and asks for everything until it is known.
func (h *history) finish() {
	h.calm = true
	h.fundIn += 1000_00
	h.must(h.servers[0].TopUp(h.Context(), payment.TopUp{Number: "last", Account: payment.GuaranteeAccount, AmountFen: 1000_00, At: h.now}))
	for i := range h.sent {
		h.hear([]int{i}, h.servers[1].Settle(h.Context(), h.Payee, []payment.Trade{h.rides[i]}, h.now))
		if h.settled[i] == "" {
			h.Fatalf("%s was sent and is not settled", h.rides[i].OutTradeNo)
		}
	}
	for n, result := range h.servers[0].Settle(h.Context(), h.Payee, h.reserve, h.now) {
		h.rides = append(h.rides, h.reserve[n])
		h.hear([]int{len(h.rides) - 1}, []payment.Result{result})
	}
	h.repeatAll()
	if len(h.orders) > 0 {
		h.Fatalf("these never end: %v", slices.Sorted(maps.Keys(h.orders)))
	}
	_, err := h.servers[0].Arrive(h.Context(), h.now)
	h.must(err)
}

func (h *history) balance(id ledger.AccountID) money.Fen {
	accounts, err := h.servers[0].Accounts(h.Context(), id)
	h.must(err)
	return accounts[id].Balance
}

// prove holds the books against what was ordered: every fen, and every notice.
func (h *history) prove() {
	var settled, back, topped money.Fen
	for i := range h.settled {
		settled += h.rides[i].AmountFen
	}
	for _, in := range h.userIn {
		topped += in
	}
	for _, user := range h.users {
		want := h.userIn[user]
		for i, trade := range h.rides {
			if trade.UserID == user && h.settled[i] != "" {
				want += h.back[i] - trade.AmountFen
				back += h.back[i]
			}
		}
		if got := h.balance(payment.UserAccount(user)) + h.balance(payment.DebtAccount(user)); got != want {
			h.Fatalf("%s has %s, and should have %s", user, got, want)
		}
	}
	for _, fen := range h.payouts {
		h.paidOut += fen
	}
	for what, sums := range map[string][2]money.Fen{
		"the merchant":       {h.balance(h.Payee.Account) + h.balance(payment.SettledAccount(h.Payee.Account)), settled - back - h.paidOut},
		"the guarantee fund": {h.balance(payment.GuaranteeAccount) + h.balance(payment.ClaimsAccount), h.fundIn},
		"transit":            {h.balance(payment.TransitAccount), 0},
		"the outside":        {h.balance(payment.OutsideAccount), h.paidOut - h.fundIn - topped},
	} {
		if sums[0] != sums[1] {
			h.Fatalf("%s has %s, and should have %s", what, sums[0], sums[1])
		}
	}
	h.proveNotices()
	h.proveDays()
	h.audit()
}

func (h *history) proveNotices() {
	told := map[payment.NoticeKind]int{}
	for bucket := range buckets {
		posted, err := h.books.Posted(h.Context(), bucket, 10_000)
		h.must(err)
		deliveries, err := h.servers[0].Expand(h.Context(), bucket, posted, everybody{})
		h.must(err)
		for _, d := range deliveries {
			if d.To == payment.ToMerchant {
				told[d.Notice.Kind]++
			}
		}
	}
	if told[payment.TradeSettled] != len(h.settled) || told[payment.Refunded] != h.refunds {
		h.Fatalf("told of %d trades of %d, and of %d refunds of %d", told[payment.TradeSettled], len(h.settled), told[payment.Refunded], h.refunds)
	}
}

// proveDays follows the statements from day to day, and holds each against its bill.
func (h *history) proveDays() {
	left, rides := money.Fen(0), int64(0)
	slices.Sort(h.closed)
	for _, day := range h.closed {
		statement, err := h.servers[0].Statement(h.Context(), h.Payee.Account, day)
		h.must(err)
		var trades, refunds payment.Total
		h.must(h.servers[0].EachBillLine(h.Context(), day, func(_ payment.AppID, _ ledger.AccountID, line bill.Line) error {
			total := &trades
			if line.Kind == bill.Refund {
				total = &refunds
			}
			total.Count++
			total.SumFen += line.AmountFen
			return nil
		}))
		if statement.OpeningFen != left || statement.ClosingFen != left+statement.Rides.SumFen-statement.Refunds.SumFen-statement.Payouts.SumFen ||
			trades != statement.Rides || refunds != statement.Refunds {
			h.Fatalf("%+v after %s, with %+v and %+v on its bill", statement, left, trades, refunds)
		}
		left, rides = statement.ClosingFen, rides+statement.Rides.Count
	}
	onClosed := int64(0)
	for _, number := range h.settled {
		if day, _, _, _ := number.Parse(); len(h.closed) > 0 && day <= h.closed[len(h.closed)-1] {
			onClosed++
		}
	}
	if rides != onClosed {
		h.Fatalf("%d rides on statements, %d were settled on closed days", rides, onClosed)
	}
}

// Whatever a line between servers and books loses, doubles or delays, whoever asks twice, and in whichever
// order: nothing is lost, nothing doubled, every fen is where it belongs.
func TestAgainstFaults(t *testing.T) {
	c := newCast(t)
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(c, t)
		t.Repeat(map[string]func(*rapid.T){
			"settle":  func(*rapid.T) { h.settleSome() },
			"top up":  func(*rapid.T) { h.topUpSome() },
			"refund":  func(*rapid.T) { h.refundSome() },
			"close":   func(*rapid.T) { h.closeDay() },
			"pay out": func(*rapid.T) { h.payOut() },
			"arrive":  func(*rapid.T) { h.arrive() },
			"repeat":  func(*rapid.T) { h.repeatAll() },
			"":        func(*rapid.T) { h.audit() },
		})
		h.finish()
		h.prove()
	})
}
