package payment

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Errors of topping up, for errors.Is.
var (
	ErrTopUpDiffers = errors.New("payment: this top-up number was used for another account or amount")
	ErrTopUpAmount  = errors.New("payment: a top-up has a number, and an amount above 0 and at most ten thousand million yuan")
)

// TopUp brings money from outside to an account (充值).
type TopUp struct {
	Number    string // chosen by who orders it, the same for the same order
	Account   ledger.AccountID
	AmountFen money.Fen
	At        time.Time
}

func (o TopUp) digest() ContentDigest {
	return sha256.Sum256(binary.BigEndian.AppendUint64(appendSized(nil, string(o.Account)), uint64(o.AmountFen)))
}

// TopUp brings money to a user, or into the guarantee fund. The same order again does nothing; its number
// with another account or amount is ErrTopUpDiffers. What the user owes is paid back first.
func (p *Payment) TopUp(ctx context.Context, order TopUp) error {
	if order.AmountFen <= 0 || order.AmountFen > money.MaxFen || order.Number == "" {
		return ErrTopUpAmount
	}
	user, isUser := userOf(order.Account)
	if !isUser && order.Account != GuaranteeAccount {
		return ErrNoAccount
	}
	bucket := p.home(GuaranteeAccount)
	if isUser {
		bucket = p.bucket(user)
	}
	if err := p.store.Update(ctx, topUpNeed(bucket, user, order), p.topUp(user, order)); err != nil || isUser {
		return err
	}
	return p.levelGuarantee(ctx, p.moment(order.At))
}

func topUpNeed(bucket int, user ridecode.UserID, order TopUp) Need {
	need := Need{Bucket: bucket}
	if user != "" {
		need = riderNeed(bucket, user)
	}
	number := Number{Scope: "/top-up", No: order.Number}
	need.Accounts = append(need.Accounts, OutsideAccount, GuaranteeAccount, ClaimsAccount)
	need.Documents = []DocumentKey{topUpKey(order)}
	need.Claims = []Claim{{Number: number, Digest: order.digest(), Bucket: bucket}}
	return need
}

func topUpKey(order TopUp) DocumentKey { return DocumentKey("top-up/" + order.Number) }

func (p *Payment) topUp(user ridecode.UserID, order TopUp) func(State) (Changes, error) {
	return func(state State) (Changes, error) {
		for _, claim := range state.Claims {
			if claim.Digest != order.digest() {
				return Changes{}, ErrTopUpDiffers
			}
		}
		if _, done := state.Documents[topUpKey(order)]; done {
			return Changes{}, nil
		}
		w := p.write(state, order.At)
		if err := w.apply(0, CodeTopUp, OutsideAccount, order.Account, order.AmountFen); err != nil {
			return Changes{}, err
		}
		if user != "" {
			w.note(Notice{Kind: ToppedUp, User: user, Number: order.Number, AmountFen: order.AmountFen})
			w.pursue(user)
		}
		return w.changes(Document{Key: topUpKey(order), AmountFen: order.AmountFen}), nil
	}
}

// writing is a document that is being written: its transfers, and what follows from them.
type writing struct {
	p     *Payment
	state State
	book  *ledger.Book
	at    moment
	legs  uint8
	out   Changes
}

func (p *Payment) write(state State, at time.Time) *writing {
	m := p.moment(at)
	m.day = max(m.day, state.Open)
	return &writing{p: p, state: state, book: bookOf(state), at: m}
}

// apply moves money as leg of the document.
func (w *writing) apply(leg uint8, code ledger.Code, debit, credit ledger.AccountID, amountFen money.Fen) error {
	err := w.book.Apply(ledger.Transfer{ID: ledger.TransferID{Document: w.state.Free, Leg: leg}, Debit: debit, Credit: credit,
		AmountFen: amountFen, Code: code, Day: w.at.day, At: w.at.now})
	if errors.Is(err, ledger.NoCreditAccount) || errors.Is(err, ledger.NoDebitAccount) {
		return ErrNoAccount
	}
	return err
}

func (w *writing) note(notice Notice) {
	notice.At = w.at.now
	w.out.Notices = append(w.out.Notices, notice)
}

// changes is all of it, under one document.
func (w *writing) changes(document Document) Changes {
	document.ID, document.At = w.state.Free, w.at.now
	w.out.Documents = append(w.out.Documents, document)
	w.out.Transfers = w.book.Transfers()
	return w.out
}

// pursue lets a user who has money pay back what he owes (追偿): to the guarantee fund, and his debt is less
// by as much. His credit line pays no debts.
func (w *writing) pursue(user ridecode.UserID) {
	known := riderOf(w.state, user)
	debt, _ := w.book.Account(DebtAccount(user))
	account, _ := w.book.Account(UserAccount(user))
	pay := min(-debt.Balance, account.Balance)
	if pay <= 0 {
		return
	}
	if w.apply(1, CodeRepay, UserAccount(user), GuaranteeAccount, pay) != nil || w.apply(2, CodeDebtPaid, ClaimsAccount, DebtAccount(user), pay) != nil {
		panic("payment: internal error: what is owed cannot be paid back")
	}
	if debt.Balance+pay == 0 {
		known.OwesSince = time.Time{}
		w.out.Riders = append(w.out.Riders, known.Rider)
		w.note(Notice{Kind: DebtCleared, User: user, AmountFen: pay})
	}
}
