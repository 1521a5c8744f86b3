package payment

import (
	"context"
	"fmt"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
)

// crossing is money that goes from an account of one bucket to one of another.
type crossing struct {
	from, to      int
	debit, credit ledger.AccountID
	amount        func(ledger.Account) money.Fen // of the debit account: how much goes; 0: nothing
	code          ledger.Code
	key           DocumentKey       // empty: not an order that could be repeated
	about         ledger.DocumentID // a trade of the bucket it comes from
	body          []byte
	notices       []Notice // told when it arrives
}

func exactly(amountFen money.Fen) func(ledger.Account) money.Fen {
	return func(ledger.Account) money.Fen { return amountFen }
}

// cross moves money in two transactions, one in each bucket. Between them it lies in TransitAccount, and
// deliverAll finds it there after a crash. Its key makes it happen once; moved is what went, 0 when it had
// gone before.
func (p *Payment) cross(ctx context.Context, c crossing, at time.Time) (moved money.Fen, err error) {
	var departure Departure
	need := arrivalNeed(c.from, c.credit)
	need.Accounts = append(need.Accounts, c.debit)
	if c.key != "" {
		need.Documents = []DocumentKey{c.key}
	}
	err = p.store.Update(ctx, need, func(state State) (Changes, error) {
		moved, departure = 0, Departure{}
		if _, done := state.Documents[c.key]; done {
			return Changes{}, nil
		}
		changes, left, err := p.depart(state, c, at)
		moved, departure = left.AmountFen, left
		return changes, err
	})
	if err != nil || moved == 0 || c.from == c.to {
		return moved, err
	}
	return moved, p.deliver(ctx, c.from, departure, at)
}

func (p *Payment) depart(state State, c crossing, at time.Time) (Changes, Departure, error) {
	amountFen := c.amount(state.Accounts[c.debit])
	if amountFen == 0 {
		return Changes{}, Departure{}, nil
	}
	if c.key == "" {
		c.key = DocumentKey(fmt.Sprintf("move/%d", state.Free))
	}
	w := p.write(state, at)
	left := Departure{ID: state.Free, To: c.to, Account: c.credit, AmountFen: amountFen, Code: c.code, Document: c.key}
	if err := w.leave(c, left); err != nil {
		return Changes{}, Departure{}, err
	}
	for _, notice := range c.notices {
		w.note(notice)
	}
	return w.changes(Document{Key: c.key, About: c.about, AmountFen: amountFen, Body: c.body}), left, nil
}

// leave moves the money out of its account. Within one bucket it arrives at once.
func (w *writing) leave(c crossing, left Departure) error {
	if c.from == c.to {
		return w.arrive(c.code, c.debit, c.credit, left.AmountFen)
	}
	w.out.Departed = []Departure{left}
	return w.apply(0, c.code, c.debit, TransitAccount, left.AmountFen)
}

// arrive moves money to an account; a user's pays what he owes first.
func (w *writing) arrive(code ledger.Code, debit, credit ledger.AccountID, amountFen money.Fen) error {
	if err := w.apply(0, code, debit, credit, amountFen); err != nil {
		return err
	}
	if user, is := userOf(credit); is {
		w.pursue(user)
	}
	return nil
}

// arrivalNeed is what arrive looks at.
func arrivalNeed(bucket int, account ledger.AccountID) Need {
	need := Need{Bucket: bucket}
	if user, is := userOf(account); is {
		need = riderNeed(bucket, user)
	}
	need.Accounts = append(need.Accounts, account, TransitAccount, GuaranteeAccount, ClaimsAccount)
	return need
}

// deliver lets what has left a bucket arrive, and then tells that bucket so. Either may happen twice and
// counts once.
func (p *Payment) deliver(ctx context.Context, from int, d Departure, at time.Time) error {
	key, need := arrivalKey(from, d.ID), arrivalNeed(d.To, d.Account)
	need.Documents = []DocumentKey{key}
	err := p.store.Update(ctx, need, func(state State) (Changes, error) {
		if _, arrived := state.Documents[key]; arrived {
			return Changes{}, nil
		}
		w := p.write(state, at)
		if err := w.arrive(d.Code, TransitAccount, d.Account, d.AmountFen); err != nil {
			return Changes{}, err
		}
		return w.changes(Document{Key: key, AmountFen: d.AmountFen, Body: []byte(d.Document)}), nil
	})
	if err != nil {
		return err
	}
	return p.store.Update(ctx, Need{Bucket: from}, func(State) (Changes, error) {
		return Changes{Arrived: []ledger.DocumentID{d.ID}}, nil
	})
}

func arrivalKey(from int, id ledger.DocumentID) DocumentKey {
	return DocumentKey(fmt.Sprintf("arrival/%d/%d", from, id))
}

// Arrive lets everything arrive that is under way between buckets, and tells how much that was. A server
// calls it now and then: what it finds is what a crash has left.
func (p *Payment) Arrive(ctx context.Context, at time.Time) (count int, err error) {
	for bucket := range p.store.Buckets() {
		departures, err := p.store.UnderWay(ctx, bucket)
		if err != nil {
			return count, err
		}
		for _, d := range departures {
			if err := p.deliver(ctx, bucket, d, at); err != nil {
				return count, err
			}
			count++
		}
	}
	return count, nil
}
