package cardissuer

import (
	"fmt"
	"math/big"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
)

// AuditReport is what an audit found.
type AuditReport struct {
	Cards     int
	Entries   int
	Transfers int
	HeldFen   money.Fen // on all cards together
	OwedFen   money.Fen // by all cards together
	RidesFen  money.Fen // that rides have brought in
	PaidInFen money.Fen // topped up, less what was paid out
	Faults    []string  // empty: the book proves itself
}

const faultsMax = 1000

// Auditor counts a book again from its rows. Hand it every card, then every entry and transfer in the order of
// their numbers, then every account, and ask for the Report.
type Auditor struct {
	report   AuditReport
	cards    map[CardKey]bool
	net      map[CardKey]money.Fen // as the entries say
	moved    map[ledger.DocumentID]legs
	accounts map[ledger.AccountID]*counted
	last     ledger.DocumentID
}

// legs is what the transfers of an entry did.
type legs struct {
	count                         int
	in, ride, owed, back, paidOut money.Fen
}

type counted struct {
	sum      big.Int
	postings int64
}

// NewAuditor begins an audit.
func NewAuditor() *Auditor {
	return &Auditor{cards: map[CardKey]bool{}, net: map[CardKey]money.Fen{}, moved: map[ledger.DocumentID]legs{}, accounts: map[ledger.AccountID]*counted{}}
}

// Fault notes what is wrong.
func (a *Auditor) Fault(format string, args ...any) {
	if len(a.report.Faults) < faultsMax {
		a.report.Faults = append(a.report.Faults, fmt.Sprintf(format, args...))
	}
}

// Card counts a card.
func (a *Auditor) Card(key CardKey) {
	a.report.Cards++
	a.cards[key] = true
}

// Transfer counts the two postings of a transfer.
func (a *Auditor) Transfer(t ledger.Transfer) {
	a.report.Transfers++
	for _, posting := range t.Postings() {
		a.post(posting)
	}
	l := a.moved[t.ID.Document]
	if int(t.ID.Leg) != l.count {
		a.Fault("Entry %d: leg %d stands where leg %d should.", t.ID.Document, t.ID.Leg, l.count)
	}
	l.count++
	switch t.Code {
	case CodeTopUp:
		l.in += t.AmountFen
	case CodeRide:
		l.ride += t.AmountFen
	case CodeRideOwed:
		l.owed += t.AmountFen
	case CodeRideRefund:
		l.back += t.AmountFen
	case CodePaidOut:
		l.paidOut += t.AmountFen
	case CodeDebtPaid:
	default:
		a.Fault("Entry %d: a transfer for a reason that is not known: %d.", t.ID.Document, t.Code)
	}
	a.moved[t.ID.Document] = l
}

func (a *Auditor) post(posting ledger.Posting) {
	account := a.accounts[posting.Account]
	if account == nil {
		account = &counted{}
		a.accounts[posting.Account] = account
	}
	account.postings++
	account.sum.Add(&account.sum, big.NewInt(int64(posting.AmountFen)))
}

// Entry holds an entry against its transfers, which were handed in before it.
func (a *Auditor) Entry(e Entry) {
	a.report.Entries++
	if e.ID <= a.last {
		a.Fault("Entry %d stands behind entry %d.", e.ID, a.last)
	}
	a.last = e.ID
	l := a.moved[e.ID]
	delete(a.moved, e.ID)
	if want := l.expected(e.Kind); want != e.AmountFen {
		a.Fault("Entry %d: its amount is %s, and its transfers moved %s.", e.ID, e.AmountFen, want)
	}
	if e.Card.No == "" {
		return
	}
	if !a.cards[e.Card] {
		a.Fault("Entry %d is about a card that does not exist.", e.ID)
	}
	a.net[e.Card] += l.in + l.back - l.ride - l.owed - l.paidOut
	if a.net[e.Card] != e.NetFen {
		a.Fault("Entry %d: it says that the card has %s, and the postings say %s.", e.ID, e.NetFen, a.net[e.Card])
	}
}

// expected is the amount of an entry of a kind with these legs; a refund to a revoked card is paid out at once.
func (l legs) expected(kind EntryKind) money.Fen {
	switch kind {
	case EntryTopUp:
		return l.in
	case EntryRide:
		return l.ride + l.owed
	case EntryRefund:
		return l.back
	case EntryClose:
		return l.paidOut
	}
	return l.in + l.ride + l.owed + l.back + l.paidOut // nothing moves
}

// Account holds a balance against the postings.
func (a *Auditor) Account(account ledger.Account) {
	found := a.accounts[account.ID]
	if found == nil {
		found = &counted{}
	}
	if found.postings != account.Postings || found.sum.Cmp(big.NewInt(int64(account.Balance))) != 0 {
		a.Fault("Account %q: it says %s in %d postings, and there are %d that add up to %s fen.",
			account.ID, account.Balance, account.Postings, found.postings, &found.sum)
	}
	delete(a.accounts, account.ID)
	a.total(account)
}

func (a *Auditor) total(account ledger.Account) {
	switch {
	case account.ID == OutsideAccount:
		a.report.PaidInFen = -account.Balance
	case account.ID == RidesAccount:
		a.report.RidesFen = account.Balance
	case len(account.ID) > 5 && account.ID[:5] == "card:":
		a.report.HeldFen += account.Balance
		if account.Balance < 0 {
			a.Fault("Account %q is below zero.", account.ID)
		}
	case len(account.ID) > 5 && account.ID[:5] == "debt:":
		a.report.OwedFen -= account.Balance
		if account.Balance > 0 {
			a.Fault("Account %q is above zero.", account.ID)
		}
	default:
		a.Fault("Account %q is not one of a card issuer's.", account.ID)
	}
}

// Report ends the audit.
func (a *Auditor) Report() AuditReport {
	for id := range a.accounts {
		a.Fault("Account %q has postings and does not exist.", id)
	}
	for id := range a.moved {
		a.Fault("Transfers of entry %d are there, and the entry is not.", id)
	}
	if r := a.report; r.HeldFen-r.OwedFen+r.RidesFen != r.PaidInFen {
		a.Fault("The book does not sum to zero: %s held, %s owed, %s of rides, %s paid in.", r.HeldFen, r.OwedFen, r.RidesFen, r.PaidInFen)
	}
	return a.report
}
