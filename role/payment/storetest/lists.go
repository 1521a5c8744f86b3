package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/payment"
)

var errEnough = errors.New("enough")

// Two days of rides, with a payout and a refund in them: the totals are what the transfers say.
func testDays(t *testing.T, open Open) {
	const users = 20
	store, reopen := furnished(t, open, users, plenty)
	settled := payment.SettledAccount(merchant)
	for bucket := range store.Buckets() {
		if err := openAccounts(t.Context(), store, bucket, ledger.Account{ID: settled}); err != nil {
			t.Fatal(err)
		}
	}
	for day := range 2 {
		for n := range users {
			mustSettle(t, store, sale(1000*day+n, userID(n)))
		}
		for bucket := range store.Buckets() {
			err := store.Update(t.Context(), payment.Need{Bucket: bucket}, func(state payment.State) (payment.Changes, error) {
				return payment.Changes{Close: max(today, state.Open)}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	bucket := bucketOf(store, 0)
	mine := int64(0)
	for n := range users {
		if bucketOf(store, n) == bucket {
			mine++
		}
	}
	for i, m := range []move{{payment.CodeSweep, merchant, settled, 200}, {payment.CodePayout, settled, payment.OutsideAccount, 50}, {payment.CodePayout, settled, payment.OutsideAccount, 30}} {
		if err := post(t.Context(), store, bucket, fmt.Sprint("after ", i), m); err != nil {
			t.Fatal(err)
		}
	}
	rides := payment.AccountTotal{Account: merchant, Code: payment.CodeRide, In: payment.Total{Count: mine, SumFen: money.Fen(mine) * fare}}
	third := today.Next().Next()
	store = reopen()
	for _, c := range []struct {
		first, last ledger.Day
		want        []payment.AccountTotal
	}{
		{today, today, []payment.AccountTotal{rides}},
		{today.Next(), today.Next(), []payment.AccountTotal{rides}},
		{third, third, []payment.AccountTotal{
			{Account: merchant, Code: payment.CodeSweep, Out: payment.Total{Count: 1, SumFen: 200}},
			{Account: settled, Code: payment.CodeSweep, In: payment.Total{Count: 1, SumFen: 200}},
			{Account: settled, Code: payment.CodePayout, Out: payment.Total{Count: 2, SumFen: 80}}}},
		{0, today - 1, nil},
		{0, today.Next(), []payment.AccountTotal{{Account: merchant, Code: payment.CodeRide, In: payment.Total{Count: 2 * mine, SumFen: 2 * rides.In.SumFen}}}},
	} {
		got, err := store.MerchantTotals(t.Context(), bucket, c.first, c.last)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s to %s: %+v, %v; want %+v", c.first, c.last, got, err, c.want)
		}
	}
	if merchants, err := store.Merchants(t.Context(), bucket); err != nil || !slices.Equal(merchants, []ledger.AccountID{merchant}) {
		t.Errorf("merchants %v, %v", merchants, err)
	}
	auditClean(t, store)
}

func testLists(t *testing.T, open Open) {
	const users = 6
	store, _ := furnished(t, open, users, plenty)
	bucket, user := bucketOf(store, 0), payment.UserAccount(userID(0))
	var numbers []payment.TradeNo
	for n := range 30 {
		if bucketOf(store, n%users) == bucket {
			numbers = append(numbers, mustSettle(t, store, sale(n, userID(n%users)))[0].TradeNo)
		}
	}
	var seen []payment.TradeNo
	err := store.EachTrade(t.Context(), bucket, today, func(trade payment.SettledTrade) error {
		seen = append(seen, trade.TradeNo)
		return nil
	})
	if err != nil || !slices.Equal(seen, numbers) {
		t.Errorf("trades %v, %v; want %v", seen, err, numbers)
	}
	if err := store.EachTrade(t.Context(), bucket, today.Next(), func(payment.SettledTrade) error { return errEnough }); err != nil {
		t.Errorf("a day without trades: %v", err)
	}
	var sum money.Fen
	var last ledger.TransferID
	err = store.EachTransfer(t.Context(), bucket, user, today, today, func(transfer ledger.Transfer) error {
		for _, posting := range transfer.Postings() {
			if posting.Account == user {
				sum += posting.AmountFen
			}
		}
		if transfer.ID.Document < last.Document || transfer.Debit != user && transfer.Credit != user || transfer.Day != today || !transfer.At.Equal(noon()) {
			t.Errorf("%+v after %+v", transfer, last)
		}
		last = transfer.ID
		return nil
	})
	parts, err2 := store.Balances(t.Context(), user, merchant, "user:nobody")
	if err != nil || err2 != nil || parts[user][bucket].Balance != sum || len(parts[user]) != 1 || len(parts[merchant]) != store.Buckets() || len(parts) != 2 {
		t.Errorf("%v, %v: transfers sum to %d, balances %+v", err, err2, sum, parts)
	}
	auditClean(t, store)
}

// Who visits may stop, and the books go on.
func testListsCanStop(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1, plenty)
	bucket := bucketOf(store, 0)
	for n := range 5 {
		mustSettle(t, store, sale(n, userID(0)))
	}
	for range 20 { // no connection is lost by it
		count := 0
		stop := func() error { count++; return errEnough }
		err1 := store.EachTrade(t.Context(), bucket, today, func(payment.SettledTrade) error { return stop() })
		err2 := store.EachTransfer(t.Context(), bucket, merchant, today, today, func(ledger.Transfer) error { return stop() })
		if !errors.Is(err1, errEnough) || !errors.Is(err2, errEnough) || count != 2 {
			t.Fatalf("%v, %v, %d visits", err1, err2, count)
		}
	}
	mustSettle(t, store, sale(10, userID(0)))
	auditClean(t, store)
}

// Who visits takes his time: he may ask the books for anything, and write into them, as deep as he likes.
func testVisitors(t *testing.T, open Open) {
	const deep = 12 // more than any store has connections for one caller
	store, _ := furnished(t, open, 1, plenty)
	bucket, next := bucketOf(store, 0), 0
	var visitAll func(depth int) error
	visitAll = func(depth int) error {
		mustSettle(t, store, sale(next, userID(0)))
		next++
		if depth == deep {
			return nil
		}
		once := func() error {
			if err := visitAll(depth + 1); err != nil {
				return err
			}
			return errEnough
		}
		if depth%2 == 0 {
			return store.EachTrade(t.Context(), bucket, today, func(payment.SettledTrade) error { return once() })
		}
		return store.EachTransfer(t.Context(), bucket, merchant, today, today, func(ledger.Transfer) error { return once() })
	}
	if err := visitAll(0); !errors.Is(err, errEnough) {
		t.Error(err)
	}
	if report := auditClean(t, store); report.Trades != deep+1 {
		t.Errorf("%d trades", report.Trades)
	}
}

// A number that was refused is settled under the document that it was claimed for, on the day on which there
// is money: lists are in the order of days, and of numbers within a day.
func testFundsAnotherDay(t *testing.T, open Open) {
	store, reopen := furnished(t, open, 1, 0)
	bucket, user := bucketOf(store, 0), payment.UserAccount(userID(0))
	dear := tradeOf(1, userID(0))
	dear.AmountFen = 3 * fare
	for range 2 {
		verdicts, err := settle(t.Context(), store, orderOf(dear, 1))
		if err != nil || verdicts[0].Answer != payment.NoFunds {
			t.Fatalf("%+v, %v", verdicts, err)
		}
	}
	topUp := func(key string) {
		if err := post(t.Context(), store, bucket, key, move{codeTopUp, payment.OutsideAccount, user, 5 * fare}); err != nil {
			t.Fatal(err)
		}
	}
	topUp("first day")
	early := mustSettle(t, store, sale(2, userID(0)))[0]
	err := store.Update(t.Context(), payment.Need{Bucket: bucket}, func(payment.State) (payment.Changes, error) { return payment.Changes{Close: today}, nil })
	if err != nil {
		t.Fatal(err)
	}
	between := mustSettle(t, store, sale(3, userID(0)))[0]
	late := mustSettle(t, store, orderOf(dear, 1))[0]
	store = reopen()
	_, _, number, _ := late.TradeNo.Parse()
	if _, _, before, _ := early.TradeNo.Parse(); number >= before {
		t.Errorf("document %d was claimed before %d", number, before)
	}
	for day, want := range map[ledger.Day][]payment.TradeNo{today: {early.TradeNo}, today.Next(): {late.TradeNo, between.TradeNo}} {
		var got []payment.TradeNo
		err := store.EachTrade(t.Context(), bucket, day, func(trade payment.SettledTrade) error { got = append(got, trade.TradeNo); return nil })
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", day, got, err, want)
		}
	}
	var amounts []money.Fen
	err = store.EachTransfer(t.Context(), bucket, user, today, today.Next(), func(transfer ledger.Transfer) error { amounts = append(amounts, transfer.AmountFen); return nil })
	if want := []money.Fen{5 * fare, fare, 3 * fare, fare}; err != nil || !slices.Equal(amounts, want) {
		t.Errorf("%v, %v; want %v", amounts, err, want)
	}
	auditClean(t, store)
}

func testAuditCounts(t *testing.T, open Open) {
	store, _ := furnished(t, open, 2, plenty)
	endow(t, store, bucketOf(store, 1), 3*plenty)
	broke := tradeOf(3, userID(1))
	broke.AmountFen = plenty + 1_000 // over the credit line, but not over the fund
	mustSettle(t, store, sale(1, userID(0)), sale(2, userID(1)), orderOf(broke, 3, 4))
	refused := tradeOf(5, userID(0))
	refused.AmountFen = 9 * plenty
	if _, err := settle(t.Context(), store, orderOf(refused, 5)); err != nil {
		t.Fatal(err)
	}
	report := auditClean(t, store)
	documents := 1
	for bucket := range store.Buckets() {
		if bucketOf(store, 0) == bucket || bucketOf(store, 1) == bucket {
			documents++
		}
	}
	got := [...]int{report.Accounts, report.Transfers, report.Trades, report.Codes, report.Claims, report.Orphans, report.Documents}
	if want := [...]int{5*store.Buckets() + 2 + 1, 2 + 1 + 2 + 2, 3, 4, 4, 1, documents}; got != want {
		t.Errorf("accounts, transfers, trades, codes, claims, orphans, documents: %d, want %d", got, want)
	}
	for _, account := range report.Balances {
		if shown := balance(t, store, account.ID); shown != account.Balance {
			t.Errorf("audit says %+v, balances say %d", account, shown)
		}
	}
}
