package testkit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/cardissuer"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/wallet"
)

const (
	prepaidType  ridecode.CardType = "GJ310000"
	postpaidType ridecode.CardType = "GJ310001"
)

// cardDay is a city whose riders have a prepaid and a postpaid card each, and what it must come to.
type cardDay struct {
	*testkit.World
	t        *testing.T
	random   *rand.Rand
	gate     *testkit.Gate
	riders   []ridecode.UserID
	phones   map[cardissuer.CardKey]*wallet.Wallet
	netFen   map[cardissuer.CardKey]money.Fen
	accounts map[ridecode.UserID]money.Fen
	count    int
}

func newCardDay(t *testing.T, random *rand.Rand) *cardDay {
	d := &cardDay{World: testkit.New(t, 0), t: t, random: random, phones: map[cardissuer.CardKey]*wallet.Wallet{},
		netFen: map[cardissuer.CardKey]money.Fen{}, accounts: map[ridecode.UserID]money.Fen{}}
	d.gate = d.Gate(record.TerminalInfo{POSID: "bus", Kind: record.Single, Subject: "bus", Line: "19"}, 2_00)
	for mode, kind := range map[cardissuer.Mode]ridecode.CardType{cardissuer.Prepaid: prepaidType, cardissuer.Postpaid: postpaidType} {
		d.must(d.Desk.RegisterType(t.Context(), string(kind), cardissuer.CardType{Type: kind, Mode: mode, Title: "卡"}, d.Now()))
	}
	for i := range 3 {
		user := ridecode.UserID(fmt.Sprintf("208800000000%04d", i))
		d.Rider(user, 500_00, 0)
		d.riders, d.accounts[user] = append(d.riders, user), 500_00
		d.openCard(user, prepaidType)
		d.openCard(user, postpaidType)
	}
	d.Line.Fate = func() testkit.Fate { return testkit.Fate(random.IntN(4)) }
	return d
}

func (d *cardDay) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func keyOf(user ridecode.UserID, kind ridecode.CardType) cardissuer.CardKey {
	return cardissuer.CardKey{Type: kind, No: ridecode.CardNo(user[8:])}
}

// openCard issues a card with enough on it for a first grant, which holds for the whole day.
func (d *cardDay) openCard(user ridecode.UserID, kind ridecode.CardType) {
	key := keyOf(user, kind)
	_, err := d.Desk.Issue(d.t.Context(), cardissuer.Order{Number: string(kind + "/" + ridecode.CardType(user)), Key: key, User: user}, d.Now())
	d.must(err)
	if kind == prepaidType {
		d.topUp(key, 5_00)
	}
	_, err = d.Desk.Push(d.t.Context(), d, d.Now())
	d.must(err)
	d.phones[key] = d.Phone(codeissuer.Request{UserID: user, CardType: key.Type, CardNo: key.No})
}

func (d *cardDay) topUp(key cardissuer.CardKey, amount money.Fen) {
	d.count++
	for range 1 + d.count%2 { // some come twice
		_, _, err := d.Desk.TopUp(d.t.Context(), fmt.Sprint(d.count), key, amount, d.Now())
		d.must(err)
	}
	d.netFen[key] += amount
}

func (d *cardDay) ride() {
	user := d.riders[d.random.IntN(len(d.riders))]
	kind := []ridecode.CardType{prepaidType, postpaidType}[d.random.IntN(2)]
	key := keyOf(user, kind)
	if got := d.gate.Tap(d.phones[key]); got.Verdict != ridecode.Success {
		d.t.Fatal(got.Trace.Reason())
	}
	if kind == prepaidType {
		d.netFen[key] -= 2_00
	} else {
		d.accounts[user] -= 2_00
	}
}

func (d *cardDay) collect() {
	_, err := d.Merchant.Collect(d.t.Context(), d.gate.Records(), d.Now())
	d.must(err)
}

func (d *cardDay) settle() merchant.Report {
	report, err := d.Merchant.SettleDue(d.t.Context(), d.Now())
	d.must(err)
	return report
}

func (d *cardDay) push() cardissuer.Pushed {
	report, err := d.Desk.Push(d.t.Context(), d, d.Now())
	d.must(err)
	return report
}

// A day over a line that loses requests, loses answers and doubles them, with restarts: each prepaid ride is
// taken from its card exactly once, each postpaid one from its rider's account, and what the platform knows of
// each card is what the issuer's book says.
func TestLossyCards(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			d := newCardDay(t, rand.New(rand.NewPCG(seed, 2)))
			for range 100 {
				d.Pass(time.Duration(1+d.random.IntN(90)) * time.Second)
				switch what := d.random.IntN(20); {
				case what < 9:
					d.ride()
				case what < 11:
					d.topUp(keyOf(d.riders[d.random.IntN(3)], prepaidType), money.Fen(1+d.random.IntN(600)))
				case what < 13:
					d.collect()
				case what < 16:
					d.settle()
				case what < 19:
					d.push()
				default:
					d.Restart()
				}
			}
			d.comeToAnEnd()
		})
	}
}

func (d *cardDay) comeToAnEnd() {
	d.collect()
	for round := 0; ; round++ {
		d.Pass(2 * time.Hour)
		report := d.settle()
		pushed := d.push()
		if round > 200 {
			d.t.Fatalf("no end: %+v, %+v", report, pushed)
		}
		if report.Failed > 0 || len(report.Strange) > 0 {
			d.t.Fatalf("%+v", report)
		}
		if waiting, err := d.Desk.Waiting(d.t.Context()); err == nil && len(waiting) == 0 && report.NextDue.IsZero() && report.Fault == nil {
			break
		}
	}
	for key, want := range d.netFen {
		card, err := d.Desk.Card(d.t.Context(), key)
		if d.must(err); card.NetFen() != want {
			d.t.Errorf("card %s has %s, want %s", key.No, card.NetFen(), want)
		}
		d.checkPlatform(card)
	}
	for user, want := range d.accounts {
		if got := d.Balance(payment.UserAccount(user)); got != want {
			d.t.Errorf("%s has %s, want %s", user, got, want)
		}
	}
	report, err := d.Desk.Audit(d.t.Context())
	if d.must(err); len(report.Faults) > 0 {
		d.t.Error(report.Faults)
	}
	d.Audit()
}

func (d *cardDay) checkPlatform(card cardissuer.Card) {
	known, exists, err := d.Cards.Shown(d.t.Context(), codeissuer.CardKey{Type: card.Key.Type, No: card.Key.No}, card.User)
	d.must(err)
	if !exists || *known.BalanceFen != card.NetFen() || !known.LastUpdate.Equal(card.LastUpdate) || known.Disabled != (card.NetFen() < 1) {
		d.t.Errorf("the platform has %+v of %+v", known, card)
	}
}

// A record that the platform does not know to be genuine never reaches the book; a card that is not there is a
// final answer; a fault of the platform is not.
func TestCardRidesThatFail(t *testing.T) {
	d := newCardDay(t, rand.New(rand.NewPCG(9, 9)))
	d.Line.Fate = nil
	d.ride()
	for d.netFen[keyOf(d.riders[0], prepaidType)]+d.netFen[keyOf(d.riders[1], prepaidType)]+d.netFen[keyOf(d.riders[2], prepaidType)] == 15_00 {
		d.Pass(time.Minute)
		d.ride() // until it was a prepaid one
	}
	var prepaid []byte
	var rider ridecode.UserID
	for _, raw := range d.gate.Records() {
		u, err := record.Parse(raw)
		d.must(err)
		code, err := ridecode.Parse(u.CodeBytes())
		d.must(err)
		if grant := code.SkipVerification().Grant; grant.CardType == prepaidType {
			prepaid, rider = raw, grant.UserID
		}
	}
	trade := openapi.Trade{OutTradeNo: "T1", UserID: rider, CardType: string(prepaidType), AmountFen: 2_00, Subject: "x", Records: [][]byte{prepaid}, OrderTime: d.Now()}
	settler := merchant.NewCardSettler(d.Client(), d.Client(), d.Till())
	one := func(change func(*openapi.Trade)) (openapi.TradeResult, error) {
		changed := trade
		change(&changed)
		results, err := settler.Settle(t.Context(), []openapi.Trade{changed})
		return append(results, openapi.TradeResult{})[0], err
	}
	forged := append([]byte(nil), prepaid...)
	forged[len(forged)-1] ^= 1
	for name, attempt := range map[string]struct {
		change func(*openapi.Trade)
		code   string
	}{
		"forged":         {func(t *openapi.Trade) { t.Records = [][]byte{forged} }, "RECORD_INVALID"},
		"another rider":  {func(t *openapi.Trade) { t.UserID = "2088999999999999" }, "RECORD_INVALID"},
		"no record form": {func(t *openapi.Trade) { t.Records = [][]byte{{1, 2, 3}} }, "RECORD_INVALID"},
	} {
		if got, err := one(attempt.change); err != nil || got.Outcome != openapi.OutcomeFail || got.NeedRetry || got.ErrorCode != attempt.code {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	d.Line.Fate = func() testkit.Fate { return testkit.RequestLost }
	if got, err := one(func(*openapi.Trade) {}); err == nil || got.Outcome != "" {
		t.Errorf("a lost request: %+v, %v", got, err)
	}
	d.Line.Fate = nil
	for range 2 {
		if got, err := one(func(*openapi.Trade) {}); err != nil || got.Outcome != openapi.OutcomeSuccess || got.TradeNo == "" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	for name, change := range map[string]func(*openapi.Trade){
		"another amount":                  func(t *openapi.Trade) { t.AmountFen = 3_00 },
		"the record under another number": func(t *openapi.Trade) { t.OutTradeNo = "T2" },
	} {
		if got, err := one(change); err != nil || got.Outcome != openapi.OutcomeFail {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// absent is a payment institution that never answers.
type absent struct{ err error }

func (a absent) Settle(context.Context, []openapi.Trade) ([]openapi.TradeResult, error) {
	return nil, a.err
}

// A platform that is away for some trades leaves the answers of the others standing.
func TestAnswersBesideAFault(t *testing.T) {
	d := newCardDay(t, rand.New(rand.NewPCG(3, 3)))
	d.Line.Fate = nil
	for range 12 {
		d.Pass(time.Minute)
		d.ride()
	}
	d.collect()
	away := fmt.Errorf("the platform is away")
	m := d.MerchantWith(merchant.NewCardSettler(absent{away}, d.Client(), d.Till()))
	settled, err := m.SettleDue(t.Context(), d.Now())
	d.must(err)
	if settled.Fault != away || settled.Settled == 0 || settled.Settled == settled.Sent {
		t.Errorf("%+v", settled)
	}
	d.Pass(2 * time.Hour)
	if rest := d.settle(); rest.Failed != 0 || !rest.NextDue.IsZero() || rest.Settled != settled.Postponed {
		t.Errorf("%+v after %+v", rest, settled)
	}
	d.comeToAnEnd()
}
