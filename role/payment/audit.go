package payment

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// faultsMax bounds what an audit lists; a table that was overwritten has a fault in every row.
const faultsMax = 1000

// Shelves is one bucket of the books as an audit reads it: every row there is, each list in the order of
// its numbers, all at one moment. The lists are read side by side, and each once. Believe no index: what it
// hides is what an audit is for.
type Shelves struct {
	Bucket    int
	Free      ledger.DocumentID
	Accounts  iter.Seq2[ledger.Account, error]  // by id
	Claims    iter.Seq2[Claim, error]           // of numbers that this bucket decides on, by ID
	Trades    iter.Seq2[StoredTrade, error]     // by ID
	Codes     iter.Seq2[UsedCode, error]        // by trade
	Documents iter.Seq2[Document, error]        // by ID
	Transfers iter.Seq2[ledger.Transfer, error] // by ID
}

// StoredTrade is a trade as it is kept: Content is what Trade.Append wrote.
type StoredTrade struct {
	ID        ledger.DocumentID
	Key       TradeKey
	User      ridecode.UserID
	Merchant  ledger.AccountID
	AmountFen money.Fen
	Payer     Payer
	Day       ledger.Day
	SettledAt time.Time
	Codes     []ridecode.ID
	Content   []byte
}

// Settled is the trade with its content taken apart.
func (t StoredTrade) Settled(bucket int) (SettledTrade, error) {
	content, err := ParseTrade(t.Content)
	return SettledTrade{TradeNo: NumberTrade(t.Day, bucket, t.ID), Key: t.Key, Merchant: t.Merchant, Content: content,
		Codes: t.Codes, SettledAt: t.SettledAt, Payer: t.Payer}, err
}

// UsedCode is a code and the trade that it has paid for.
type UsedCode struct {
	Code  ridecode.ID
	Trade ledger.DocumentID
}

// Auditor proves books, bucket after bucket. It counts everything again: each document and each trade has
// the transfers that it should have, each account is what its transfers say, each code has paid once, each
// number stands for its content, and what left one bucket has arrived in another or is under way.
type Auditor struct {
	report   AuditReport
	more     int // faults that are not listed
	total    *big.Int
	transit  *big.Int
	accounts map[ledger.AccountID]*ledger.Account // summed over buckets
	underWay map[DocumentKey]money.Fen            // by the arrival that would end it
}

// NewAuditor begins an audit of books in whose buckets this is under way.
func NewAuditor(underWay [][]Departure) *Auditor {
	a := &Auditor{total: new(big.Int), transit: new(big.Int), accounts: map[ledger.AccountID]*ledger.Account{},
		underWay: map[DocumentKey]money.Fen{}}
	for bucket, departures := range underWay {
		for _, d := range departures {
			a.underWay[arrivalKey(bucket, d.ID)] = d.AmountFen
		}
	}
	return a
}

// Fault notes what does not add up, as one sentence.
func (a *Auditor) Fault(format string, args ...any) {
	if len(a.report.Faults) == faultsMax {
		a.more++
		return
	}
	a.report.Faults = append(a.report.Faults, fmt.Sprintf(format, args...))
}

// Report ends an audit in which each of the books' buckets was given once. Money under way between them is
// counted here.
func (a *Auditor) Report() AuditReport {
	var onTheWay big.Int
	for _, amountFen := range a.underWay {
		onTheWay.Add(&onTheWay, big.NewInt(int64(amountFen)))
	}
	if a.transit.Cmp(&onTheWay) != 0 {
		a.Fault("Between buckets lie %s fen, and %s fen are under way.", a.transit, &onTheWay)
	}
	if a.total.Sign() != 0 {
		a.Fault("The sum of all balances is %s fen and not 0.", a.total)
	}
	a.report.SumFen, a.report.UnderWay = money.Fen(a.total.Int64()), money.Fen(onTheWay.Int64())
	for _, account := range a.accounts {
		a.report.Balances = append(a.report.Balances, *account)
	}
	slices.SortFunc(a.report.Balances, func(x, y ledger.Account) int { return strings.Compare(string(x.ID), string(y.ID)) })
	if a.more > 0 {
		a.report.Faults = append(a.report.Faults, fmt.Sprintf("There are %d more faults.", a.more))
	}
	return a.report
}

// Bucket proves one bucket. An error is one of reading.
func (a *Auditor) Bucket(s Shelves) error {
	b := &bucketAudit{Auditor: a, s: &s, tallies: map[ledger.AccountID]*ledger.Account{}}
	a.report.Buckets++
	if err := b.documents(); err != nil {
		return err
	}
	return b.balances()
}

// bucketAudit is the proof of one bucket: tallies is what its transfers make of each account.
type bucketAudit struct {
	*Auditor
	s       *Shelves
	tallies map[ledger.AccountID]*ledger.Account
}

// bundle is all that has one number.
type bundle struct {
	id        ledger.DocumentID
	claims    []Claim
	trades    []StoredTrade
	codes     []ridecode.ID
	documents []Document
	transfers []ledger.Transfer
}

// documents walks through all lists side by side, number after number.
func (b *bucketAudit) documents() error {
	claims, trades, codes := newRun(b.s.Claims), newRun(b.s.Trades), newRun(b.s.Codes)
	documents, transfers := newRun(b.s.Documents), newRun(b.s.Transfers)
	defer func() { claims.stop(); trades.stop(); codes.stop(); documents.stop(); transfers.stop() }()
	claimID := func(c Claim) ledger.DocumentID { return c.ID }
	tradeID := func(t StoredTrade) ledger.DocumentID { return t.ID }
	codeTrade := func(c UsedCode) ledger.DocumentID { return c.Trade }
	documentID := func(d Document) ledger.DocumentID { return d.ID }
	transferID := func(t ledger.Transfer) ledger.DocumentID { return t.ID.Document }
	for claims.more || trades.more || codes.more || documents.more || transfers.more {
		id := min(claims.next(claimID), trades.next(tradeID), codes.next(codeTrade), documents.next(documentID), transfers.next(transferID))
		all := bundle{id: id, claims: claims.take(id, claimID), trades: trades.take(id, tradeID),
			documents: documents.take(id, documentID), transfers: transfers.take(id, transferID)}
		for _, code := range codes.take(id, codeTrade) {
			all.codes = append(all.codes, code.Code)
		}
		b.examine(&all)
	}
	return errors.Join(claims.err, trades.err, codes.err, documents.err, transfers.err)
}

// run reads one list.
type run[T any] struct {
	pull func() (T, error, bool)
	stop func()
	head T
	more bool
	err  error
}

func newRun[T any](list iter.Seq2[T, error]) *run[T] {
	r := &run[T]{}
	r.pull, r.stop = iter.Pull2(list)
	r.advance()
	return r
}

func (r *run[T]) advance() {
	var err error
	if r.head, err, r.more = r.pull(); r.more && err != nil {
		r.err, r.more = err, false
	}
}

// next is the number at the head of the list; at its end, the last that there is.
func (r *run[T]) next(id func(T) ledger.DocumentID) ledger.DocumentID {
	if !r.more {
		return math.MaxInt64
	}
	return id(r.head)
}

func (r *run[T]) take(number ledger.DocumentID, id func(T) ledger.DocumentID) (taken []T) {
	for r.more && id(r.head) <= number {
		taken = append(taken, r.head)
		r.advance()
	}
	return taken
}

// examine judges all that has one number.
func (b *bucketAudit) examine(all *bundle) {
	r := &b.report
	r.Claims, r.Trades, r.Codes = r.Claims+len(all.claims), r.Trades+len(all.trades), r.Codes+len(all.codes)
	r.Documents, r.Transfers, r.Postings = r.Documents+len(all.documents), r.Transfers+len(all.transfers), r.Postings+2*len(all.transfers)
	for _, t := range all.transfers {
		b.tally(t)
	}
	if all.id < 1 || all.id >= b.s.Free {
		b.fault(all, "it is not a number that was given out")
	}
	switch owners := len(all.trades) + len(all.documents); {
	case owners > 1:
		b.fault(all, "%d trades and %d documents have it", len(all.trades), len(all.documents))
	case len(all.trades) == 1:
		b.examineTrade(all, &all.trades[0])
	case len(all.documents) == 1:
		b.examineDocument(all, &all.documents[0])
	default:
		b.examineOrphan(all)
	}
}

func (b *bucketAudit) fault(all *bundle, format string, args ...any) {
	what := fmt.Sprintf("number %d", all.id)
	if len(all.trades) > 0 {
		what = fmt.Sprintf("trade %q of app %q", all.trades[0].Key.OutTradeNo, all.trades[0].Key.App)
	} else if len(all.documents) > 0 {
		what = fmt.Sprintf("document %q", all.documents[0].Key)
	}
	b.Fault("Bucket %d, %s: %s.", b.s.Bucket, what, fmt.Sprintf(format, args...))
}

func (b *bucketAudit) tally(t ledger.Transfer) {
	for _, posting := range t.Postings() {
		account := b.tallies[posting.Account]
		if account == nil {
			account = &ledger.Account{ID: posting.Account}
			b.tallies[posting.Account] = account
		}
		sum, err := account.Balance.Add(posting.AmountFen)
		if err != nil {
			b.Fault("Bucket %d, account %q: a balance does not fit into an amount.", b.s.Bucket, posting.Account)
		}
		account.Balance, account.Postings = sum, account.Postings+1
	}
}

// examineTrade: its content is what its number stands for, its codes are used up by it, and what moved is
// its amount, from who it says has paid, to its merchant.
func (b *bucketAudit) examineTrade(all *bundle, t *StoredTrade) {
	content, err := ParseTrade(t.Content)
	if err != nil || content.OutTradeNo != t.Key.OutTradeNo || content.UserID != t.User || content.AmountFen != t.AmountFen {
		b.fault(all, "its content says something else than its row")
	}
	if len(all.claims) != 1 || all.claims[0].Number != t.Key.Number() || all.claims[0].Digest != sha256.Sum256(t.Content) {
		b.fault(all, "its number was not claimed for its content")
	}
	if !sameCodes(t.Codes, all.codes) {
		b.fault(all, "of its %d codes, %d are used up by it", len(t.Codes), len(all.codes))
	}
	if !sameTransfers(all.transfers, transfersOf(t)) {
		b.fault(all, "%s were paid by %s, and its transfers say something else", t.AmountFen, t.Payer)
	}
}

func sameCodes(a, b []ridecode.ID) bool {
	compare := func(x, y ridecode.ID) int { return slices.Compare(x[:], y[:]) }
	a, b = slices.SortedFunc(slices.Values(a), compare), slices.SortedFunc(slices.Values(b), compare)
	return slices.Equal(a, b) && len(a) > 0 && len(slices.Compact(a)) == len(b)
}

// transfersOf is what Decide has moved for a trade.
func transfersOf(t *StoredTrade) []ledger.Transfer {
	transfer := func(leg uint8, code ledger.Code, debit, credit ledger.AccountID) ledger.Transfer {
		return ledger.Transfer{ID: ledger.TransferID{Document: t.ID, Leg: leg}, Debit: debit, Credit: credit, AmountFen: t.AmountFen,
			Code: code, Day: t.Day, At: t.SettledAt}
	}
	switch t.Payer {
	case PaidByUser:
		return []ledger.Transfer{transfer(0, CodeRide, UserAccount(t.User), t.Merchant)}
	case PaidByGuarantee:
		return []ledger.Transfer{transfer(0, CodeGuarantee, GuaranteeAccount, t.Merchant), transfer(1, CodeDebt, DebtAccount(t.User), ClaimsAccount)}
	}
	return nil
}

func sameTransfers(got, want []ledger.Transfer) bool {
	return len(want) > 0 && slices.EqualFunc(got, want, func(x, y ledger.Transfer) bool {
		same := x.At.Equal(y.At)
		x.At, y.At = time.Time{}, time.Time{}
		return same && x == y
	})
}

// examineDocument: its first transfer is of its amount, the legs follow one another, all are of its moment and
// of one day, and it is of no trade.
func (b *bucketAudit) examineDocument(all *bundle, d *Document) {
	delete(b.underWay, d.Key) // it has arrived, and is about to be told so
	if len(all.claims) > 1 {
		b.fault(all, "%d numbers were claimed for it", len(all.claims))
	}
	if len(all.codes) > 0 {
		b.fault(all, "%d codes are used up by it, and it is no trade", len(all.codes))
	}
	var firstFen money.Fen
	for i, t := range all.transfers {
		if i == 0 {
			firstFen = t.AmountFen
		}
		ofTrade := t.Code == CodeRide || t.Code == CodeGuarantee || t.Code == CodeDebt
		if int(t.ID.Leg) != i || ofTrade || !t.At.Equal(d.At) || t.Day != all.transfers[0].Day {
			b.fault(all, "its transfer %d is none of it", i)
		}
	}
	if firstFen != d.AmountFen {
		b.fault(all, "it is of %s, and moved %s", d.AmountFen, firstFen)
	}
}

// examineOrphan: a number may have been claimed for what was then refused, or never sent again. Nothing
// else is without an owner.
func (b *bucketAudit) examineOrphan(all *bundle) {
	b.report.Orphans += len(all.claims)
	if len(all.claims) > 1 || len(all.codes) > 0 || len(all.transfers) > 0 {
		b.fault(all, "%d claims, %d codes and %d transfers belong to nothing", len(all.claims), len(all.codes), len(all.transfers))
	}
}

// balances: every account is what its transfers say, and above its floor; no transfer touches an account
// that is not there.
func (b *bucketAudit) balances() error {
	for account, err := range b.s.Accounts {
		if err != nil {
			return err
		}
		b.report.Accounts++
		b.examineAccount(account)
		b.sum(account)
	}
	for id := range b.tallies {
		b.Fault("Bucket %d, account %q: transfers touch it, and it does not exist.", b.s.Bucket, id)
	}
	return nil
}

func (b *bucketAudit) examineAccount(account ledger.Account) {
	tally := b.tallies[account.ID]
	if tally == nil {
		tally = &ledger.Account{}
	}
	delete(b.tallies, account.ID)
	if account.Balance != tally.Balance || account.Postings != tally.Postings {
		b.Fault("Bucket %d, account %q: it has %d fen from %d postings, and its transfers say %d fen from %d.",
			b.s.Bucket, account.ID, account.Balance, account.Postings, tally.Balance, tally.Postings)
	}
	if !account.Unbounded && account.Balance < account.Floor {
		b.Fault("Bucket %d, account %q: its balance of %d fen is below its floor of %d fen.", b.s.Bucket, account.ID, account.Balance, account.Floor)
	}
}

// sum adds a part to its account. Sums that wrap could cancel a theft out: the totals are exact however
// large.
func (b *bucketAudit) sum(part ledger.Account) {
	b.total.Add(b.total, big.NewInt(int64(part.Balance)))
	if part.ID == TransitAccount {
		b.transit.Add(b.transit, big.NewInt(int64(part.Balance)))
	}
	whole := b.accounts[part.ID]
	if whole == nil {
		b.accounts[part.ID] = &part
		return
	}
	sum, err := whole.Balance.Add(part.Balance)
	if err != nil {
		b.Fault("Account %q: its parts do not fit into an amount.", part.ID)
	}
	whole.Balance, whole.Postings = sum, whole.Postings+part.Postings
}
