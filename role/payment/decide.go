package payment

import (
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/protocol/ridecode"
)

// BatchState is what a bucket says of a batch: what it has of the numbers, codes and accounts that the
// orders name, with the merchants', the guarantee fund's and the claims' accounts.
type BatchState struct {
	Free     ledger.DocumentID
	Open     ledger.Day
	Claims   map[Number]Claim
	Trades   map[ledger.DocumentID]SettledMark // of the claims
	Codes    map[ridecode.ID]TradeKey          // the trade that a code has paid for
	Accounts map[ledger.AccountID]ledger.Account
}

// SettledMark is what a repeated order needs to know of a settled trade.
type SettledMark struct {
	Day   ledger.Day
	Payer Payer
}

// BatchChanges is what a batch writes.
type BatchChanges struct {
	Claims    []Claim
	Trades    []SettledOrder
	Opened    []ledger.Account
	Transfers []ledger.Transfer
	Owing     []ridecode.UserID // who owes from now on, if he did not before
}

// SettledOrder is an order whose money moves.
type SettledOrder struct {
	ID    ledger.DocumentID
	Day   ledger.Day
	Payer Payer
	Order *Order
}

// Decide is what every store answers to a batch, one order after the other. It is a pure function.
//
// A number that nobody had is claimed, whatever the answer: from then on it stands for this content. The
// user's balance pays, then his credit line, which is how far the balance may fall, then the guarantee fund:
// a lawful offline trade must be completed (document 1 §5.5.2), and the rider owes it from then on.
func Decide(state BatchState, batch Batch) ([]Verdict, BatchChanges) {
	d := decision{state: state, batch: &batch, day: max(batch.Day, state.Open), book: ledger.NewBook(), free: state.Free,
		codes: make(map[ridecode.ID]TradeKey, len(batch.Orders))}
	for _, account := range state.Accounts {
		d.book.Open(account)
	}
	verdicts := make([]Verdict, len(batch.Orders))
	for i := range batch.Orders {
		verdicts[i] = d.decide(&batch.Orders[i])
	}
	d.changes.Transfers = d.book.Transfers()
	return verdicts, d.changes
}

// decision is one run of Decide.
type decision struct {
	state   BatchState
	batch   *Batch
	day     ledger.Day
	book    *ledger.Book
	free    ledger.DocumentID
	codes   map[ridecode.ID]TradeKey // used by this batch
	changes BatchChanges
}

func (d *decision) decide(o *Order) Verdict {
	claim, fits := d.claim(o)
	if !fits {
		return Verdict{Answer: OtherContent}
	}
	if mark, settled := d.state.Trades[claim.ID]; settled {
		return Verdict{Answer: PaidBefore, TradeNo: NumberTrade(mark.Day, d.batch.Bucket, claim.ID), Payer: mark.Payer}
	}
	if d.batch.Now.After(o.Deadline) {
		return Verdict{Answer: Late}
	}
	for _, code := range o.Codes {
		if other, used := d.usedFor(code); used {
			return Verdict{Answer: CodeUsed, Other: other}
		}
	}
	return d.pay(o, claim.ID)
}

// claim finds who has the number, or takes it.
func (d *decision) claim(o *Order) (claim Claim, fits bool) {
	number := o.Key.Number()
	claim, taken := d.state.Claims[number]
	if !taken {
		claim = Claim{Number: number, Digest: o.Digest, Bucket: d.batch.Bucket, ID: d.free}
		d.free++
		d.changes.Claims = append(d.changes.Claims, claim)
	}
	return claim, claim.Digest == o.Digest && claim.Bucket == d.batch.Bucket
}

func (d *decision) usedFor(code ridecode.ID) (TradeKey, bool) {
	if other, used := d.state.Codes[code]; used {
		return other, true
	}
	other, used := d.codes[code]
	return other, used
}

func (d *decision) pay(o *Order, id ledger.DocumentID) Verdict {
	if _, exists := d.book.Account(UserAccount(o.User)); !exists {
		return Verdict{Answer: NoUser}
	}
	if _, exists := d.book.Account(o.Merchant); !exists {
		return Verdict{Answer: NoMerchant}
	}
	payer := d.move(o, id)
	if payer == "" {
		return Verdict{Answer: NoFunds}
	}
	for _, code := range o.Codes {
		d.codes[code] = o.Key
	}
	d.changes.Trades = append(d.changes.Trades, SettledOrder{ID: id, Day: d.day, Payer: payer, Order: o})
	return Verdict{Answer: Paid, TradeNo: NumberTrade(d.day, d.batch.Bucket, id), Payer: payer}
}

// move finds who pays, and moves the money; nobody is "".
func (d *decision) move(o *Order, id ledger.DocumentID) Payer {
	if d.book.Apply(d.transfer(o, id, 0, CodeRide, UserAccount(o.User), o.Merchant)) == nil {
		return PaidByUser
	}
	guarantee := d.transfer(o, id, 0, CodeGuarantee, GuaranteeAccount, o.Merchant)
	owed := d.transfer(o, id, 1, CodeDebt, DebtAccount(o.User), ClaimsAccount)
	if !d.book.Allows(guarantee) {
		return ""
	}
	d.openDebt(owed.Debit)
	if !d.book.Allows(owed) {
		return ""
	}
	for _, t := range []ledger.Transfer{guarantee, owed} {
		if err := d.book.Apply(t); err != nil {
			panic("payment: internal error: a transfer that was allowed was refused: " + err.Error())
		}
	}
	d.changes.Owing = append(d.changes.Owing, o.User)
	return PaidByGuarantee
}

func (d *decision) transfer(o *Order, id ledger.DocumentID, leg uint8, code ledger.Code, debit, credit ledger.AccountID) ledger.Transfer {
	return ledger.Transfer{ID: ledger.TransferID{Document: id, Leg: leg}, Debit: debit, Credit: credit,
		AmountFen: o.AmountFen, Code: code, Day: d.day, At: d.batch.Now}
}

// openDebt opens a user's debt account when it is first needed.
func (d *decision) openDebt(id ledger.AccountID) {
	if _, exists := d.book.Account(id); exists {
		return
	}
	account := ledger.Account{ID: id, Unbounded: true}
	d.book.Open(account)
	d.changes.Opened = append(d.changes.Opened, account)
}

// storedTime is a time as stores keep it: UTC, to the microsecond.
func storedTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
