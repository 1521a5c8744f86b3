package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

const (
	app      payment.AppID    = "2021000000000001"
	merchant ledger.AccountID = "merchant:metro"
	plenty   money.Fen        = 1_000_000
	fare     money.Fen        = 200
	credit   money.Fen        = 100 // every user's credit line
	today    ledger.Day       = 2026_08_06

	codeTopUp = payment.CodeTopUp
	codePlain = 60_000 // of transfers that belong to no order of payment's
)

// noon is when everything here happens: the suite has no clock. Stores keep microseconds.
func noon() time.Time { return time.Date(2026, 8, 6, 4, 0, 0, 123_456_000, time.UTC) }

// codeID is like those of real codes: a second, 20,000 codes in each, and a hash.
func codeID(n int) ridecode.ID {
	id := ridecode.ID(sha256.Sum256(binary.BigEndian.AppendUint64([]byte("code"), uint64(n))))
	binary.BigEndian.PutUint32(id[:4], uint32(noon().Unix())+uint32(n/20_000))
	return id
}

func userID(n int) ridecode.UserID { return ridecode.UserID(fmt.Sprintf("2088%012d", n)) }

// tradeOf is the n-th trade of a user: all its numbers are its own.
func tradeOf(n int, user ridecode.UserID) payment.Trade {
	return payment.Trade{OutTradeNo: payment.OutTradeNo(fmt.Sprintf("order-%d", n)), UserID: user, OrderTime: noon().Add(-time.Hour).Truncate(time.Second),
		Subject: "地铁 2 号线", AmountFen: fare, BizContext: `{"line":"2"}`, CardType: "ANT00001", Records: [][]byte{recordOf(n)}}
}

// recordOf makes bytes of the size of a real record.
func recordOf(n int) []byte {
	record := make([]byte, 0, 13*sha256.Size)
	for i := range 13 {
		sum := sha256.Sum256(fmt.Append(nil, n, i))
		record = append(record, sum[:]...)
	}
	return record
}

// orderOf is a verified trade; codes are the numbers of those that it uses.
func orderOf(trade payment.Trade, codes ...int) payment.Order {
	o := payment.Order{Key: payment.TradeKey{App: app, OutTradeNo: trade.OutTradeNo}, User: trade.UserID, Merchant: merchant, AmountFen: trade.AmountFen,
		Deadline: noon().Add(time.Hour), Content: trade.Append(nil), Digest: trade.Digest()}
	for _, n := range codes {
		o.Codes = append(o.Codes, codeID(n))
	}
	return o
}

// sale is the n-th order of a user, with a code of its own.
func sale(n int, user ridecode.UserID) payment.Order { return orderOf(tradeOf(n, user), n) }

// settle sorts orders by bucket, settles each bucket's in one batch, and gives the verdicts in their order.
func settle(ctx context.Context, store payment.Store, orders ...payment.Order) ([]payment.Verdict, error) {
	places, verdicts := map[int][]int{}, make([]payment.Verdict, len(orders))
	for i, o := range orders {
		bucket := payment.BucketOf(o.User, store.Buckets())
		places[bucket] = append(places[bucket], i)
	}
	for bucket, mine := range places {
		batch := payment.Batch{Bucket: bucket, Day: today, Now: noon()}
		for _, i := range mine {
			batch.Orders = append(batch.Orders, orders[i])
		}
		answers, err := store.Settle(ctx, batch)
		if err != nil {
			return nil, err
		}
		if len(answers) != len(mine) {
			return nil, fmt.Errorf("%d verdicts on %d orders", len(answers), len(mine))
		}
		for n, i := range mine {
			verdicts[i] = answers[n]
		}
	}
	return verdicts, nil
}

// mustSettle settles and wants each order paid.
func mustSettle(t testing.TB, store payment.Store, orders ...payment.Order) []payment.Verdict {
	t.Helper()
	verdicts, err := settle(t.Context(), store, orders...)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range verdicts {
		if v.Answer != payment.Paid {
			t.Fatalf("order %d: %+v", i, v)
		}
	}
	return verdicts
}

// move is one leg of a document.
type move struct {
	code          ledger.Code
	debit, credit ledger.AccountID
	amount        money.Fen
}

// posting makes a document of moves: what Update is for.
func posting(key string, moves ...move) func(payment.State) (payment.Changes, error) {
	return func(state payment.State) (payment.Changes, error) {
		if _, done := state.Documents[payment.DocumentKey(key)]; done {
			return payment.Changes{}, nil
		}
		document := payment.Document{Key: payment.DocumentKey(key), ID: state.Free, At: noon(), Body: []byte(key)}
		var changes payment.Changes
		for i, m := range moves {
			if i == 0 {
				document.AmountFen = m.amount
			}
			changes.Transfers = append(changes.Transfers, ledger.Transfer{ID: ledger.TransferID{Document: state.Free, Leg: uint8(i)},
				Debit: m.debit, Credit: m.credit, AmountFen: m.amount, Code: m.code, Day: max(today, state.Open), At: noon()})
		}
		changes.Documents = []payment.Document{document}
		return changes, nil
	}
}

// post posts a document in a bucket, once.
func post(ctx context.Context, store payment.Store, bucket int, key string, moves ...move) error {
	need := payment.Need{Bucket: bucket, Documents: []payment.DocumentKey{payment.DocumentKey(key)}}
	for _, m := range moves {
		need.Accounts = append(need.Accounts, m.debit, m.credit)
	}
	return store.Update(ctx, need, posting(key, moves...))
}

func opening(accounts ...ledger.Account) func(payment.State) (payment.Changes, error) {
	return func(state payment.State) (changes payment.Changes, _ error) {
		for _, account := range accounts {
			if _, exists := state.Accounts[account.ID]; !exists {
				changes.Opened = append(changes.Opened, account)
			}
		}
		return changes, nil
	}
}

// openAccounts opens those that do not exist.
func openAccounts(ctx context.Context, store payment.Store, bucket int, accounts ...ledger.Account) error {
	need := payment.Need{Bucket: bucket}
	for _, account := range accounts {
		need.Accounts = append(need.Accounts, account.ID)
	}
	return store.Update(ctx, need, opening(accounts...))
}

// furnish opens the institution's accounts and a merchant's in every bucket, and those of users, each with
// an amount on it.
func furnish(ctx context.Context, store payment.Store, usersCount int, amount money.Fen) error {
	users := map[int][]ledger.Account{}
	for n := range usersCount {
		bucket := payment.BucketOf(userID(n), store.Buckets())
		users[bucket] = append(users[bucket], ledger.Account{ID: payment.UserAccount(userID(n)), Floor: -credit})
	}
	for bucket := range store.Buckets() {
		accounts := append([]ledger.Account{{ID: payment.OutsideAccount, Unbounded: true}, {ID: payment.GuaranteeAccount}, {ID: payment.ClaimsAccount},
			{ID: payment.TransitAccount, Unbounded: true}, {ID: merchant}}, users[bucket]...)
		if err := openAccounts(ctx, store, bucket, accounts...); err != nil {
			return err
		}
		var moves []move
		for _, account := range users[bucket] {
			moves = append(moves, move{codeTopUp, payment.OutsideAccount, account.ID, amount})
		}
		if err := fill(ctx, store, bucket, moves); err != nil {
			return err
		}
	}
	return nil
}

// fill posts moves in documents of as many legs as there can be; an amount of 0 is left out.
func fill(ctx context.Context, store payment.Store, bucket int, moves []move) error {
	const legsMax = 250
	for n := 0; len(moves) > 0 && moves[0].amount > 0; n++ {
		part := moves[:min(legsMax, len(moves))]
		if err := post(ctx, store, bucket, fmt.Sprintf("first-%d", n), part...); err != nil {
			return err
		}
		moves = moves[len(part):]
	}
	return nil
}

// furnished is an open store with users who have money.
func furnished(t *testing.T, open Open, usersCount int, amount money.Fen) (store payment.Store, reopen func() payment.Store) {
	t.Helper()
	store, reopen = open(t)
	if err := furnish(t.Context(), store, usersCount, amount); err != nil {
		t.Fatal(err)
	}
	return store, reopen
}

// endow puts money into the guarantee fund's part of a bucket.
func endow(t testing.TB, store payment.Store, bucket int, amount money.Fen) {
	t.Helper()
	if err := post(t.Context(), store, bucket, "endow", move{codeTopUp, payment.OutsideAccount, payment.GuaranteeAccount, amount}); err != nil {
		t.Fatal(err)
	}
}

func bucketOf(store payment.Store, n int) int { return payment.BucketOf(userID(n), store.Buckets()) }

func view(t testing.TB, store payment.Store, need payment.Need) payment.State {
	t.Helper()
	state, err := store.View(t.Context(), need)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// balance is what stands on an account over all buckets.
func balance(t testing.TB, store payment.Store, id ledger.AccountID) (sum money.Fen) {
	t.Helper()
	parts, err := store.Balances(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts[id] {
		sum += part.Balance
	}
	return sum
}

// tradeNamed views the trade that has a number.
func tradeNamed(t testing.TB, store payment.Store, no payment.TradeNo) (payment.SettledTrade, bool) {
	t.Helper()
	_, bucket, id, ok := no.Parse()
	if !ok {
		t.Fatalf("%q is no trade number", no)
	}
	trade, there := view(t, store, payment.Need{Bucket: bucket, Trades: []ledger.DocumentID{id}}).Trades[id]
	return trade, there
}

// auditClean is the last word of every test: whatever it did, every fen is proven.
func auditClean(t testing.TB, store payment.Store) payment.AuditReport {
	t.Helper()
	report, err := store.Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range report.Faults {
		t.Errorf("audit: %s", fault)
	}
	if report.SumFen != 0 || report.Postings != 2*report.Transfers || report.Buckets != store.Buckets() {
		t.Errorf("audit: sum %d, %d postings of %d transfers, %d buckets", report.SumFen, report.Postings, report.Transfers, report.Buckets)
	}
	return report
}

// auditMoney leaves out numbers: they may be claimed before what they were claimed for fails.
func auditMoney(t testing.TB, store payment.Store) payment.AuditReport {
	t.Helper()
	report := auditClean(t, store)
	report.Claims, report.Orphans = 0, 0
	return report
}
