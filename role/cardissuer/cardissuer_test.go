package cardissuer_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/carddata"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/cardissuer"
)

var now = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

const rider ridecode.UserID = "2088000011112222"

var (
	prepaid  = cardissuer.CardKey{Type: "GJ310000", No: "3100000001"}
	postpaid = cardissuer.CardKey{Type: "GJ310001", No: "3100000001"}
)

// desk is an issuer over a real store, with a card of each mode.
type desk struct {
	*testing.T
	*cardissuer.Issuer
	platform *platform
}

func newDesk(t *testing.T, config cardissuer.Config) *desk {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "cards.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	issuer, err := cardissuer.New(db.Issuer(), config)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{T: t, Issuer: issuer, platform: &platform{}}
	d.must(issuer.RegisterType(t.Context(), "1", cardissuer.CardType{Type: prepaid.Type, Mode: cardissuer.Prepaid, Title: "市民卡", CityCode: "310000", DiscountType: `91"discount`,
		MinBalanceFen: 200, MaxBalanceFen: 10_000, RevokeWait: time.Hour}, now))
	d.must(issuer.RegisterType(t.Context(), "2", cardissuer.CardType{Type: postpaid.Type, Mode: cardissuer.Postpaid, Title: "乘车卡"}, now))
	for _, key := range []cardissuer.CardKey{prepaid, postpaid} {
		_, err := issuer.Issue(t.Context(), cardissuer.Order{Number: string(key.Type), Key: key, User: rider, Data: cardissuer.Data{Lasts: time.Hour}}, now)
		d.must(err)
	}
	return d
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *desk) topUp(number string, amount money.Fen) error {
	_, _, err := d.TopUp(d.Context(), number, prepaid, amount, now)
	return err
}

func (d *desk) ride(number string, amount money.Fen) error {
	_, _, err := d.Debit(d.Context(), cardissuer.Ride{OutTradeNo: number, Key: prepaid, User: rider, AmountFen: amount,
		Codes: []ridecode.ID{{byte(len(number)), number[len(number)-1]}}}, now)
	return err
}

// push sends what is due, and gives the last message about the prepaid card.
func (d *desk) push(at time.Time) openapi.CardSendRequest {
	d.Helper()
	_, err := d.Push(d.Context(), d.platform, at)
	d.must(err)
	return d.platform.last(prepaid)
}

// platform keeps every message, and answers with what it is told to.
type platform struct {
	sent    []openapi.CardSendRequest
	answers []error
}

func (p *platform) SendCard(_ context.Context, m openapi.CardSendRequest) error {
	p.sent = append(p.sent, m)
	if len(p.answers) == 0 {
		return nil
	}
	err := p.answers[0]
	p.answers = p.answers[1:]
	return err
}

func (p *platform) last(key cardissuer.CardKey) (last openapi.CardSendRequest) {
	for _, m := range p.sent {
		if m.CardType == key.Type && m.CardNo == key.No {
			last = m
		}
	}
	return last
}

func assertMessage(t *testing.T, m openapi.CardSendRequest, action openapi.CardAction, balance money.Fen, code, tips string) {
	t.Helper()
	if m.Action != action || m.BalanceFen == nil || *m.BalanceFen != balance || *m.Disabled != (tips != "") || *m.DisabledCode != code ||
		!strings.Contains(*m.DisabledTips, tips) {
		t.Errorf("%s, balance %v, disabled %v %q %q; want %s %s %q %q", m.Action, m.BalanceFen, *m.Disabled, *m.DisabledCode, *m.DisabledTips, action, balance, code, tips)
	}
	if content := openapi.CardSend().AppendRequest(nil, m); len(content) == 0 {
		t.Error("it cannot be written")
	} else if _, err := openapi.CardSend().ParseRequest(content); err != nil {
		t.Errorf("the platform refuses it: %v", err)
	}
}

// The life of a prepaid card, and what the platform is told of it.
func TestPrepaidLife(t *testing.T) {
	d := newDesk(t, cardissuer.Config{})
	assertMessage(t, d.push(now), openapi.CardIssue, 0, "CARD_OVERDUE", "余额不足")
	if ext := d.platform.last(prepaid).ExtInfo; *ext != `{"city_code":"310000","discount_type":"91\"discount"}` {
		t.Errorf("ext_info %s", *ext)
	}
	d.must(d.topUp("1", 500))
	assertMessage(t, d.push(now), openapi.CardUpdate, 500, "", "")
	d.must(d.ride("R1", 400))
	assertMessage(t, d.push(now), openapi.CardUpdate, 100, "CARD_OVERDUE", "余额不足") // less than the 200 that one may board with
	d.must(d.ride("R2", 300))
	assertMessage(t, d.push(now), openapi.CardUpdate, -200, "CARD_OVERDUE", "欠费2.00元")
	if _, err := d.Revoke(t.Context(), "1", prepaid, false, now); !cardissuer.IsFault(err, cardissuer.Owes) {
		t.Errorf("a card that owes is revoked: %v", err)
	}
	d.must(d.topUp("2", 1000)) // the debt first
	assertMessage(t, d.push(now), openapi.CardUpdate, 800, "", "")
	_, err := d.Suspend(t.Context(), "2", prepaid, "已挂失", now)
	d.must(err)
	assertMessage(t, d.push(now), openapi.CardUpdate, 800, "", "已挂失")
	_, err = d.Resume(t.Context(), "3", prepaid, now)
	d.must(err)
	_, err = d.Revoke(t.Context(), "4", prepaid, false, now)
	d.must(err)
	assertMessage(t, d.push(now), openapi.CardUpdate, 800, "CARD_REVOKING", "退卡")
	d.closing(t)
}

// closing: a ride that comes late is taken, and the rest is paid out when the wait is over.
func (d *desk) closing(t *testing.T) {
	d.must(d.ride("R3", 300))
	if err := d.topUp("3", 1); !cardissuer.IsFault(err, cardissuer.WrongState) {
		t.Errorf("money comes to a card that is being revoked: %v", err)
	}
	early, err := d.CloseDue(t.Context(), now.Add(time.Hour-time.Second))
	if d.must(err); len(early) != 0 {
		t.Errorf("closed too early: %+v", early)
	}
	closed, err := d.CloseDue(t.Context(), now.Add(time.Hour))
	if d.must(err); len(closed) != 1 || closed[0].AmountFen != 500 || closed[0].NetFen != 0 {
		t.Errorf("closed %+v", closed)
	}
	assertMessage(t, d.push(now.Add(time.Hour)), openapi.CardRevoke, 0, "CARD_REVOKING", "已注销")
	d.must(d.ride("R4", 100)) // too late to be taken, not too late to be owed
	card, err := d.Card(t.Context(), prepaid)
	if d.must(err); card.OwedFen != 100 || card.State != cardissuer.Revoked {
		t.Errorf("%+v", card)
	}
	report, err := d.Audit(t.Context())
	if d.must(err); len(report.Faults) != 0 || report.PaidInFen != 1000 || report.RidesFen != 1100 || report.OwedFen != 100 {
		t.Errorf("%+v", report)
	}
}

// A revocation waits for a ride that came late and left a debt, and goes on once that is paid.
func TestRevocationWaitsForDebt(t *testing.T) {
	d := newDesk(t, cardissuer.Config{})
	_, err := d.Revoke(t.Context(), "1", prepaid, true, now)
	d.must(err)
	d.must(d.ride("R1", 300))
	if closed, err := d.CloseDue(t.Context(), now.Add(24*time.Hour)); err != nil || len(closed) != 0 {
		t.Fatalf("closed %+v, %v", closed, err)
	}
	if err := d.topUp("1", 301); !cardissuer.IsFault(err, cardissuer.WrongState) {
		t.Errorf("more than it owes: %v", err)
	}
	d.must(d.topUp("2", 300))
	if closed, err := d.CloseDue(t.Context(), now); err != nil || len(closed) != 1 {
		t.Errorf("closed %+v, %v", closed, err)
	}
}

func TestRefusals(t *testing.T) {
	d := newDesk(t, cardissuer.Config{})
	d.must(d.topUp("1", 500))
	d.must(d.ride("R1", 100))
	ctx := t.Context()
	second := func(_ any, err error) error { return err }
	third := func(_, _ any, err error) error { return err }
	order := cardissuer.Order{Number: "x", Key: prepaid, User: rider}
	odd, stranger := order, order
	odd.Key.No, stranger.Key.Type = "31-1", "GJ999999"
	other := cardissuer.Ride{OutTradeNo: "R9", Key: prepaid, User: "2088000011112223", AmountFen: 1, Codes: []ridecode.ID{{9}}}
	again := cardissuer.Ride{OutTradeNo: "R9", Key: prepaid, User: rider, AmountFen: 1, Codes: []ridecode.ID{{2, '1'}}}
	for name, attempt := range map[string]struct {
		err  error
		want cardissuer.Fault
	}{
		"a number with other contents": {d.topUp("1", 501), cardissuer.NumberTaken},
		"a ride with another amount":   {d.ride("R1", 101), cardissuer.NumberTaken},
		"too much":                     {d.topUp("2", 10_000), cardissuer.BalanceAbove},
		"nothing":                      {d.topUp("2", 0), cardissuer.BadRequest},
		"a card number taken":          {second(d.Issue(ctx, order, now)), cardissuer.CardTaken},
		"an odd number":                {second(d.Issue(ctx, odd, now)), cardissuer.BadRequest},
		"no such type":                 {second(d.Issue(ctx, stranger, now)), cardissuer.NoCardType},
		"a postpaid card":              {third(d.TopUp(ctx, "3", postpaid, 1, now)), cardissuer.NotPrepaid},
		"another rider's ride":         {third(d.Debit(ctx, other, now)), cardissuer.OtherUser},
		"a code that has paid":         {third(d.Debit(ctx, again, now)), cardissuer.CodeUsed},
		"no ride":                      {third(d.RefundRide(ctx, "1", "R7", prepaid, 1, "", now)), cardissuer.NoRide},
		"more than the ride":           {third(d.RefundRide(ctx, "2", "R1", prepaid, 101, "", now)), cardissuer.RefundTooHigh},
		"no tips":                      {second(d.Suspend(ctx, "1", prepaid, "", now)), cardissuer.BadRequest},
		"not suspended":                {second(d.Resume(ctx, "1", prepaid, now)), cardissuer.WrongState},
		"another mode": {d.RegisterType(ctx, "3", cardissuer.CardType{Type: prepaid.Type, Mode: cardissuer.Postpaid, Title: "x"}, now),
			cardissuer.TypeDiffers},
		"the plain code": {d.RegisterType(ctx, "4", cardissuer.CardType{Type: "ANT00001", Mode: cardissuer.Prepaid, Title: "x"}, now),
			cardissuer.BadRequest},
	} {
		if !cardissuer.IsFault(attempt.err, attempt.want) || strings.Contains(attempt.err.Error(), string(prepaid.No)) {
			t.Errorf("%s: %v, want %s", name, attempt.err, attempt.want)
		}
	}
	if card, err := d.Card(ctx, prepaid); err != nil || card.NetFen() != 400 {
		t.Errorf("%+v, %v", card, err)
	}
}

// A refusal that may pass is asked again with back-off; a platform that has something newer is told under a
// newer time, one that has lost the card is told of it anew.
func TestPushRetries(t *testing.T) {
	d := newDesk(t, cardissuer.Config{})
	refusal := func(code string) error {
		refused := openapi.Refuse(openapi.SubFail, "失败")
		refused.SubErrorCode = code
		return refused
	}
	d.platform.answers = []error{errors.New("no answer")}
	report, err := d.Push(t.Context(), d.platform, now)
	if d.must(err); report.Fault == nil || report.Sent != 1 {
		t.Errorf("%+v", report)
	}
	d.platform.answers = []error{nil, refusal("CARD_TYPE_NOT_REGISTERED")} // the card that waits, and the other
	at := now.Add(time.Minute)
	if report, err = d.Push(t.Context(), d.platform, at); err != nil || report.Taken != 1 || report.Refused != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	for _, code := range []string{"CARD_DATA_OUTDATED", "CARD_NOT_EXIST"} {
		before := d.platform.sent[len(d.platform.sent)-1]
		at = at.Add(3 * time.Hour)
		d.platform.answers = []error{refusal(code)}
		_, err = d.Push(t.Context(), d.platform, at)
		d.must(err)
		if sent := d.platform.sent[len(d.platform.sent)-1]; before.LastUpdate.After(sent.LastUpdate) {
			t.Error("an older time")
		}
	}
	at = at.Add(3 * time.Hour)
	_, err = d.Push(t.Context(), d.platform, at)
	d.must(err)
	last := d.platform.sent[len(d.platform.sent)-1]
	if left, err := d.Push(t.Context(), d.platform, at.Add(24*time.Hour)); err != nil || left.Sent != 0 || last.Action != openapi.CardIssue || !last.LastUpdate.After(now.Add(time.Hour)) {
		t.Errorf("%+v, %v, last %+v", left, err, last)
	}
}

// Sealed card data opens for its card alone, and a repeated order gives the card of the first time.
func TestCardDataIsSealed(t *testing.T) {
	rule, err := carddata.NewSealed([]carddata.Key{{ID: 1, Algorithm: carddata.SM4GCM, Bytes: bytes.Repeat([]byte{7}, 16)}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(t, cardissuer.Config{Institution: ridecode.Quad{0, 0, 0, 1}, Rules: map[ridecode.CardType]carddata.Rule{prepaid.Type: rule}, Random: rand.Reader})
	key := cardissuer.CardKey{Type: prepaid.Type, No: "A1"}
	order := cardissuer.Order{Number: "o", Key: key, User: rider, Data: cardissuer.Data{Payload: []byte("month"), Lasts: time.Hour}}
	first, err := d.Issue(t.Context(), order, now)
	d.must(err)
	second, err := d.Issue(t.Context(), order, now)
	if d.must(err); !bytes.Equal(first.Data, second.Data) || bytes.Contains(first.Data, []byte("month")) {
		t.Errorf("%x, then %x", first.Data, second.Data)
	}
	named := carddata.Card{Institution: ridecode.Quad{0, 0, 0, 1}, Type: key.Type, No: key.No, User: rider}
	if content, err := rule.Open(named, first.Data, now); err != nil || string(content.Payload) != "month" {
		t.Errorf("%+v, %v", content, err)
	}
	named.No = "A2"
	if _, err := rule.Open(named, first.Data, now); !errors.Is(err, carddata.NotGenuine) {
		t.Errorf("opens for another card: %v", err)
	}
	changed, err := d.SetData(t.Context(), "n", key, cardissuer.Data{Payload: []byte("year"), Lasts: 48 * time.Hour}, now)
	if d.must(err); bytes.Equal(changed.Data, first.Data) || !changed.LastUpdate.After(first.LastUpdate) {
		t.Errorf("%+v", changed)
	}
}

func BenchmarkDebit(b *testing.B) {
	db, err := store.Open(filepath.Join(b.TempDir(), "cards.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	issuer, err := cardissuer.New(db.Issuer(), cardissuer.Config{})
	if err != nil {
		b.Fatal(err)
	}
	err = issuer.RegisterType(b.Context(), "1", cardissuer.CardType{Type: prepaid.Type, Mode: cardissuer.Prepaid, Title: "市民卡"}, now)
	if err == nil {
		_, err = issuer.Issue(b.Context(), cardissuer.Order{Number: "1", Key: prepaid, User: rider}, now)
	}
	n := 0
	for b.Loop() {
		n++
		ride := cardissuer.Ride{OutTradeNo: strconv.Itoa(n), Key: prepaid, User: rider, AmountFen: 200, Codes: []ridecode.ID{{byte(n), byte(n >> 8), byte(n >> 16)}}}
		if err == nil {
			_, _, err = issuer.Debit(b.Context(), ride, now)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
