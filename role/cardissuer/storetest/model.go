package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/cardissuer"
)

// modelCard is what a card should be, reckoned as a child would.
type modelCard struct {
	net   money.Fen
	rides map[string]money.Fen // taken
	back  map[string]money.Fen // given back
	paid  money.Fen
}

// testAgainstModel does what people do, in any order, some of it twice, and counts along.
func testAgainstModel(t *testing.T, open Open) {
	store, _ := open(t)
	issuer := newIssuer(t, store)
	platform := &modelPlatform{refuse: func() error { return nil }}
	first := 0
	rapid.Check(t, func(r *rapid.T) {
		models := map[int]*modelCard{}
		first += 3 // each run has cards of its own
		for no := first; no < first+3; no++ {
			issue(t, issuer, key(no))
			models[no] = &modelCard{rides: map[string]money.Fen{}, back: map[string]money.Fen{}}
		}
		now := start
		for step := range rapid.IntRange(1, 40).Draw(r, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(r, "minutes")) * time.Minute)
			no := first + rapid.IntRange(0, 2).Draw(r, "card")
			oneStep(r, t.Context(), issuer, no, models, step, now)
			if _, err := issuer.Push(t.Context(), platform, now); err != nil {
				r.Fatal(err)
			}
			card := mustCard(t, issuer, key(no))
			if card.NetFen() != models[no].net || card.BalanceFen < 0 || card.OwedFen < 0 || card.BalanceFen > 0 && card.OwedFen > 0 {
				r.Fatalf("card %+v, and it should have %s", card, models[no].net)
			}
			platform.check(r, issuer, card)
		}
		if report := prove(t, store); len(report.Faults) > 0 {
			r.Fatal("the book does not prove itself")
		}
	})
}

func oneStep(r *rapid.T, ctx context.Context, issuer *cardissuer.Issuer, no int, models map[int]*modelCard, step int, now time.Time) {
	model := models[no]
	amount := money.Fen(rapid.IntRange(1, 4000).Draw(r, "amount"))
	number := fmt.Sprintf("%d-%d", no, rapid.IntRange(0, step).Draw(r, "number")) // an old one, at times
	var err error
	switch rapid.SampledFrom([]string{"top-up", "ride", "ride", "refund", "suspend", "resume", "revoke", "close"}).Draw(r, "what") {
	case "top-up":
		before := model.net
		var entry cardissuer.Entry
		if entry, _, err = issuer.TopUp(ctx, number, key(no), amount, now); err == nil && entry.At.Equal(now) && entry.NetFen == before+amount {
			model.net += amount
		}
	case "ride":
		taken, again := model.rides[number]
		_, _, err = issuer.Debit(ctx, ride(number, key(no), amount, code(no*1000+len(model.rides)), code(no*1000+500+step)), now)
		if again != cardissuer.IsFault(err, cardissuer.NumberTaken) && !(again && taken == amount) && !cardissuer.IsFault(err, cardissuer.CodeUsed) {
			r.Fatalf("ride %s again: %v", number, err)
		}
		if err == nil && !again {
			model.rides[number], model.net = amount, model.net-amount
		}
	case "refund":
		err = model.refund(ctx, issuer, no, number, amount, now)
	case "suspend":
		_, err = issuer.Suspend(ctx, number, key(no), "停用", now)
	case "resume":
		_, err = issuer.Resume(ctx, number, key(no), now)
	case "revoke":
		_, err = issuer.Revoke(ctx, number, key(no), amount%2 == 0, now)
	case "close":
		var closed []cardissuer.Entry
		closed, err = issuer.CloseDue(ctx, now)
		for _, entry := range closed {
			for other := range models {
				if entry.Card == key(other) {
					models[other].net -= entry.AmountFen
				}
			}
		}
	}
	var refusal *cardissuer.Refusal
	if err != nil && !errors.As(err, &refusal) {
		r.Fatal(err)
	}
}

func (m *modelCard) refund(ctx context.Context, issuer *cardissuer.Issuer, no int, number string, amount money.Fen, now time.Time) error {
	before := m.net
	entry, card, err := issuer.RefundRide(ctx, number, number, key(no), amount, "多扣", now)
	if err != nil || !entry.At.Equal(now) || m.back[number] != 0 {
		return err
	}
	if amount > m.rides[number] {
		return fmt.Errorf("%s given back of a ride of %s", amount, m.rides[number])
	}
	m.back[number] = amount
	m.net += amount
	if card.State == cardissuer.Revoked { // what is left was paid out
		m.net = min(before+amount, 0)
	}
	return nil
}

// modelPlatform keeps what it was told last, as the platform does (codeissuer.Cards).
type modelPlatform struct {
	refuse func() error
	cards  map[cardissuer.CardKey]openapi.CardSendRequest
	order  []time.Time
}

func (p *modelPlatform) SendCard(_ context.Context, m openapi.CardSendRequest) error {
	if err := p.refuse(); err != nil {
		return err
	}
	if p.cards == nil {
		p.cards = map[cardissuer.CardKey]openapi.CardSendRequest{}
	}
	key := cardissuer.CardKey{Type: m.CardType, No: m.CardNo}
	before, known := p.cards[key]
	switch {
	case !known && m.Action != openapi.CardIssue:
		return fmt.Errorf("the platform was told %s of a card that it does not know", m.Action)
	case known && m.LastUpdate.Before(before.LastUpdate):
		return fmt.Errorf("the platform was told something older")
	}
	p.cards[key] = m
	p.order = append(p.order, m.LastUpdate)
	return nil
}

// check: what the platform knows is how the card is.
func (p *modelPlatform) check(t interface{ Fatalf(string, ...any) }, issuer *cardissuer.Issuer, card cardissuer.Card) {
	m := p.cards[card.Key]
	revoked := m.Action == openapi.CardRevoke
	if card.Sent.Version != card.Version || !m.LastUpdate.Equal(card.LastUpdate) || *m.BalanceFen != card.NetFen() ||
		revoked != (card.State == cardissuer.Revoked) || card.OwedFen > 0 && !*m.Disabled {
		t.Fatalf("the platform has %+v of %+v", m, card)
	}
}

// errAway is an outcome that nobody knows.
var errAway = errors.New("the store is away")

// flaky answers some updates with an error: before they happened, or after.
type flaky struct {
	cardissuer.Store
	turn int
}

func (f *flaky) Update(ctx context.Context, need cardissuer.Need, decide func(cardissuer.State) (cardissuer.Changes, error)) error {
	f.turn++
	if f.turn%3 == 0 {
		return errAway
	}
	err := f.Store.Update(ctx, need, decide)
	if f.turn%3 == 1 && err == nil {
		return errAway
	}
	return err
}

// Whoever repeats what he does not know the outcome of, until he does, loses and doubles nothing.
func testUnknownOutcomes(t *testing.T, open Open) {
	store, _ := open(t)
	issue(t, newIssuer(t, store), key(1))
	issuer, err := cardissuer.New(&flaky{Store: store}, cardissuer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	until := func(do func() error) {
		for range 10 {
			if err = do(); !errors.Is(err, errAway) {
				break
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	for n := range 20 {
		until(func() error { _, _, err := issuer.TopUp(ctx, fmt.Sprint(n), key(1), 200, start); return err })
		until(func() error {
			_, _, err := issuer.Debit(ctx, ride(fmt.Sprint(n), key(1), 150, code(n)), start)
			return err
		})
		until(func() error {
			_, _, err := issuer.RefundRide(ctx, fmt.Sprint(n), fmt.Sprint(n), key(1), 50, "多扣", start)
			return err
		})
	}
	if card := mustCard(t, issuer, key(1)); card.NetFen() != 20*100 || card.Version != 61 {
		t.Errorf("%+v", card)
	}
	platform := &modelPlatform{refuse: sequence(errAway, nil, &openapi.Error{Code: openapi.CodeUnavailable}, nil)}
	now := start
	for range 10 {
		now = now.Add(2 * time.Hour)
		until(func() error { _, err := issuer.Push(ctx, platform, now); return err })
	}
	platform.check(t, issuer, mustCard(t, issuer, key(1)))
	prove(t, store)
}

// sequence answers these errors one after another, and then none.
func sequence(errs ...error) func() error {
	return func() error {
		if len(errs) == 0 {
			return nil
		}
		err := errs[0]
		errs = errs[1:]
		return err
	}
}
