package storetest

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

func testNothing(t *testing.T, open Open) {
	store, _ := open(t)
	if count := store.Buckets(); count < 1 || count > payment.BucketsMax {
		t.Fatalf("%d buckets", count)
	}
	called := 0
	err := store.Update(t.Context(), payment.Need{}, func(state payment.State) (payment.Changes, error) {
		called++
		if len(state.Trades)+len(state.Documents)+len(state.Accounts)+len(state.Riders)+len(state.Claims)+len(state.About) != 0 || state.Free < 1 || state.Open != 0 {
			t.Errorf("nothing was asked for, and %+v came", state)
		}
		return payment.Changes{}, nil
	})
	if err != nil || called == 0 {
		t.Fatalf("an update of nothing: %v, decide called %d times", err, called)
	}
	if verdicts, err := store.Settle(t.Context(), payment.Batch{Day: today, Now: noon()}); err != nil || len(verdicts) != 0 {
		t.Errorf("a batch of nothing: %v, %v", verdicts, err)
	}
	if found, err := store.Find(t.Context(), nil); err != nil || len(found) != 0 {
		t.Errorf("numbers of nothing: %v, %v", found, err)
	}
	report := auditClean(t, store)
	if report.Accounts+report.Transfers+report.Trades+report.Codes+report.Documents+report.Claims != 0 {
		t.Errorf("the books of nothing: %+v", report)
	}
}

// scene is a store with one trade that was settled, and users in one bucket.
type scene struct {
	t      *testing.T
	store  payment.Store
	reopen func() payment.Store
	users  []ridecode.UserID // three of one bucket; the first has settled order-1
	bucket int
	no     payment.TradeNo
}

func newScene(t *testing.T, open Open) *scene {
	const usersCount = 40 // at sixteen buckets, three of them meet
	s := &scene{t: t}
	s.store, s.reopen = furnished(t, open, usersCount, plenty)
	byBucket := map[int][]ridecode.UserID{}
	for n := range usersCount {
		bucket := bucketOf(s.store, n)
		if byBucket[bucket] = append(byBucket[bucket], userID(n)); len(byBucket[bucket]) == 3 {
			s.users, s.bucket = byBucket[bucket], bucket
			break
		}
	}
	if s.users == nil {
		t.Skip("no three users of one bucket: too many buckets for this suite")
	}
	s.no = mustSettle(t, s.store, sale(1, s.users[0]))[0].TradeNo
	return s
}

// faulty are orders that the books do not settle after the scene's, and how they answer.
func (s *scene) faulty() []struct {
	name  string
	order payment.Order
	want  payment.Verdict
} {
	retry := sale(1, s.users[0])
	other := retry
	other.Content = append(bytes.Clone(retry.Content), 0)
	other.Digest = [32]byte{1}
	late := sale(10, s.users[0])
	late.Deadline = noon().Add(-time.Microsecond)
	lateRetry := retry
	lateRetry.Deadline = late.Deadline
	stranger := sale(13, "2088999999999999")
	stranger.User = strangerIn(s.store, s.bucket)
	content := tradeOf(13, stranger.User)
	stranger.Content, stranger.Digest = content.Append(nil), content.Digest()
	unopened := sale(14, s.users[0])
	unopened.Merchant = "merchant:unopened"
	rich := tradeOf(15, s.users[0])
	rich.AmountFen = 2 * plenty
	return []struct {
		name  string
		order payment.Order
		want  payment.Verdict
	}{
		{"other content", other, payment.Verdict{Answer: payment.OtherContent}},
		{"other content, another app's number", withApp(sale(16, s.users[0]), "2021000000000002"), payment.Verdict{Answer: payment.Paid}},
		{"again", retry, payment.Verdict{Answer: payment.PaidBefore, TradeNo: s.no, Payer: payment.PaidByUser}},
		{"again, after the deadline", lateRetry, payment.Verdict{Answer: payment.PaidBefore, TradeNo: s.no, Payer: payment.PaidByUser}},
		{"late", late, payment.Verdict{Answer: payment.Late}},
		{"late, with a used code", withCodes(late, 17, 1), payment.Verdict{Answer: payment.Late}},
		{"a used code", withCodes(sale(18, s.users[1]), 18, 1), payment.Verdict{Answer: payment.CodeUsed, Other: retry.Key}},
		{"a used code, of nobody", withCodes(stranger, 1), payment.Verdict{Answer: payment.CodeUsed, Other: retry.Key}},
		{"nobody", withNumber(stranger, "order-19"), payment.Verdict{Answer: payment.NoUser}},
		{"no merchant", unopened, payment.Verdict{Answer: payment.NoMerchant}},
		{"no funds", orderOf(rich, 15), payment.Verdict{Answer: payment.NoFunds}},
	}
}

func strangerIn(store payment.Store, bucket int) ridecode.UserID {
	for n := 1_000_000; ; n++ {
		if bucketOf(store, n) == bucket {
			return userID(n)
		}
	}
}

func withApp(o payment.Order, id payment.AppID) payment.Order {
	o.Key.App = id
	return o
}

func withNumber(o payment.Order, no payment.OutTradeNo) payment.Order {
	content := tradeOf(0, o.User)
	content.OutTradeNo, o.Key.OutTradeNo = no, no
	o.Content, o.Digest = content.Append(nil), content.Digest()
	return o
}

func withCodes(o payment.Order, codes ...int) payment.Order {
	o.Codes = nil
	for _, n := range codes {
		o.Codes = append(o.Codes, codeID(n))
	}
	return o
}

// Each answer by itself, and again after the books were opened anew: it is the same.
func testVerdicts(t *testing.T, open Open) {
	s := newScene(t, open)
	for range 2 {
		for _, c := range s.faulty() {
			verdicts, err := settle(t.Context(), s.store, c.order)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			s.compare(c.name, verdicts[0], c.want)
		}
		auditClean(t, s.store)
		s.store = s.reopen()
	}
}

func (s *scene) compare(name string, got, want payment.Verdict) {
	s.t.Helper()
	if want.Answer == payment.Paid && (got.Answer == payment.Paid || got.Answer == payment.PaidBefore) {
		return
	}
	if got != want {
		s.t.Errorf("%s: %+v, want %+v", name, got, want)
	}
}

// All of them in one batch, with good ones between them: no neighbour is harmed.
func testVerdictsInOneBatch(t *testing.T, open Open) {
	s := newScene(t, open)
	var batch []payment.Order
	var names []string
	var wants []payment.Verdict
	numbers, codes := map[payment.TradeKey]bool{}, map[ridecode.ID]bool{}
	add := func(name string, o payment.Order, want payment.Verdict) {
		fits := !numbers[o.Key]
		for _, code := range o.Codes {
			fits = fits && !codes[code]
		}
		if !fits { // a batch has no number and no code twice
			return
		}
		batch, names, wants, numbers[o.Key] = append(batch, o), append(names, name), append(wants, want), true
		for _, code := range o.Codes {
			codes[code] = true
		}
	}
	for i, c := range s.faulty() {
		add("a good neighbour", sale(100+i, s.users[i%3]), payment.Verdict{Answer: payment.Paid})
		add(c.name, c.order, c.want)
	}
	for range 2 {
		verdicts, err := s.store.Settle(t.Context(), payment.Batch{Bucket: s.bucket, Day: today, Now: noon(), Orders: batch})
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range verdicts {
			s.compare(names[i], got, wants[i])
		}
		auditClean(t, s.store)
	}
}

// Who pays: the balance, the credit line, the guarantee fund; one rider after the other, in the order of
// the batch, also where a smaller trade fits after a larger one did not.
func testPoorRiders(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1, 150)
	user, bucket := userID(0), bucketOf(store, 0)
	endow(t, store, bucket, 500)
	var orders []payment.Order
	for i, amount := range []money.Fen{100, 400, 100, 90, 50, 60, 20} {
		trade := tradeOf(i, user)
		trade.AmountFen = amount
		orders = append(orders, orderOf(trade, i))
	}
	verdicts, err := settle(t.Context(), store, orders...)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		answer payment.Answer
		payer  payment.Payer
	}{
		{payment.Paid, payment.PaidByUser}, {payment.Paid, payment.PaidByGuarantee}, {payment.Paid, payment.PaidByUser}, {payment.Paid, payment.PaidByGuarantee},
		{payment.Paid, payment.PaidByUser}, {payment.NoFunds, ""}, {payment.NoFunds, ""},
	} {
		if got := verdicts[i]; got.Answer != want.answer || got.Payer != want.payer {
			t.Errorf("trade %d: %+v, want %v by %s", i, got, want.answer, want.payer)
		}
	}
	if user, debt, fund := balance(t, store, payment.UserAccount(user)), balance(t, store, payment.DebtAccount(user)), balance(t, store, payment.GuaranteeAccount); user != -100 || debt != -490 || fund != 10 {
		t.Errorf("user %d, debt %d, fund %d", user, debt, fund)
	}
	if rider := view(t, store, payment.Need{Bucket: bucket, Riders: []ridecode.UserID{user}}).Riders[user]; !rider.OwesSince.Equal(noon()) {
		t.Errorf("the rider owes since %v", rider.OwesSince)
	}
	err = store.EachRider(t.Context(), bucket, func(rider payment.Rider, owed money.Fen) error {
		if rider.User != user || owed != 490 {
			t.Errorf("%s owes %d", rider.User, owed)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	auditClean(t, store)
}

// stored settles one trade and looks at it in every way there is.
func stored(t *testing.T, open Open, trade payment.Trade, codes ...int) {
	t.Helper()
	store, reopen := furnished(t, open, 1, plenty)
	o := orderOf(trade, codes...)
	verdict := mustSettle(t, store, o)[0]
	want := payment.SettledTrade{TradeNo: verdict.TradeNo, Key: o.Key, Merchant: merchant, Content: trade, Codes: o.Codes, SettledAt: noon(), Payer: payment.PaidByUser}
	day, bucket, id, ok := verdict.TradeNo.Parse()
	if !ok || day != today || bucket != bucketOf(store, 0) {
		t.Errorf("trade number %q", verdict.TradeNo)
	}
	for range 2 {
		got, there := tradeNamed(t, store, verdict.TradeNo)
		if !there || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
		err := store.EachTrade(t.Context(), bucket, today, func(each payment.SettledTrade) error {
			if !reflect.DeepEqual(each, want) {
				t.Errorf("%+v, want %+v", each, want)
			}
			return nil
		})
		found, err2 := store.Find(t.Context(), []payment.Number{o.Key.Number(), {Scope: string(app), No: "none"}})
		if claim := (payment.Claim{Number: o.Key.Number(), Digest: o.Digest, Bucket: bucket, ID: id}); err != nil || err2 != nil || len(found) != 1 || found[o.Key.Number()] != claim {
			t.Errorf("%v, %v; found %+v, want %+v", err, err2, found, claim)
		}
		auditClean(t, store)
		store = reopen()
	}
}

func testRoundTrip(t *testing.T, open Open) {
	trade := tradeOf(1, userID(0))
	trade.SellerLogin = "pc@alipay.com"
	trade.Records = append(trade.Records, recordOf(2), []byte{0})
	stored(t, open, trade, 1, 2, 3)
}

func testExtremes(t *testing.T, open Open) {
	many := make([]int, 300)
	for i := range many {
		many[i] = i
	}
	for name, test := range map[string]struct {
		change func(*payment.Trade)
		codes  []int
	}{
		"one fen":             {func(tr *payment.Trade) { tr.AmountFen = 1 }, []int{1}},
		"empty texts":         {func(tr *payment.Trade) { tr.Subject, tr.BizContext, tr.CardType = "", "", "" }, []int{1}},
		"texts that are none": {func(tr *payment.Trade) { tr.Subject, tr.BizContext = "a\x00b", "\xff\xfe\"'; DROP TABLE trade; --" }, []int{1}},
		"beyond the BMP":      {func(tr *payment.Trade) { tr.Subject = "🚇 ümläut \u2028" }, []int{1}},
		"far past":            {func(tr *payment.Trade) { tr.OrderTime = time.Unix(-1<<40, 0).UTC() }, []int{1}},
		"large records": {func(tr *payment.Trade) {
			tr.Records = [][]byte{bytes.Repeat([]byte{7}, 4097), {}, bytes.Repeat([]byte{8}, 4097)}
		}, []int{1}},
		"many codes": {func(*payment.Trade) {}, many},
	} {
		t.Run(name, func(t *testing.T) {
			trade := tradeOf(1, userID(0))
			test.change(&trade)
			stored(t, open, trade, test.codes...)
		})
	}
}

// An order that cannot be stored at all is an error of its batch, which leaves nothing; its neighbours
// settle without it.
func testUnstorableOrder(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1, plenty)
	for name, spoil := range map[string]func(*payment.Order){
		"no code":           func(o *payment.Order) { o.Codes = nil },
		"a code twice":      func(o *payment.Order) { o.Codes = append(o.Codes, o.Codes[0]) },
		"nothing to pay":    func(o *payment.Order) { o.AmountFen = 0 },
		"less than nothing": func(o *payment.Order) { o.AmountFen = -1 },
		"no number":         func(o *payment.Order) { o.Key.OutTradeNo = "" },
		"paid to itself":    func(o *payment.Order) { o.Merchant = payment.UserAccount(o.User) },
	} {
		good, bad := sale(1, userID(0)), sale(2, userID(0))
		spoil(&bad)
		before := auditMoney(t, store)
		if verdicts, err := settle(t.Context(), store, good, bad); err == nil && verdicts[1].Answer == payment.Paid {
			t.Errorf("%s: %+v", name, verdicts)
		} else if err != nil {
			if after := auditMoney(t, store); !reflect.DeepEqual(before, after) {
				t.Errorf("%s: the books were\n%+v\nand are\n%+v", name, before, after)
			}
		}
	}
	verdicts, err := settle(t.Context(), store, sale(1, userID(0)))
	if err != nil || verdicts[0].Answer != payment.Paid && verdicts[0].Answer != payment.PaidBefore {
		t.Errorf("the good one alone: %+v, %v", verdicts, err)
	}
	auditClean(t, store)
}

// Numbers are compared byte for byte: no case, no trailing space, no accent makes two of them one.
func testNumbersAreExact(t *testing.T, open Open) {
	store, _ := furnished(t, open, 1, plenty)
	numbers := []payment.OutTradeNo{"a", "A", "a ", " a", "\u00e1", "a\u0301", "a\u200b", "1", "01", "1.0", "a%", "a_", "'", `\`}
	for i, no := range numbers {
		trade := tradeOf(i, userID(0))
		trade.OutTradeNo = no
		mustSettle(t, store, orderOf(trade, i))
	}
	if report := auditClean(t, store); report.Trades != len(numbers) {
		t.Errorf("%d trades of %d numbers", report.Trades, len(numbers))
	}
}

func testBigBatch(t *testing.T, open Open) {
	const users, trades = 100, 4096
	store, reopen := furnished(t, open, users, plenty)
	orders := make([]payment.Order, trades)
	for n := range orders {
		orders[n] = sale(n, userID(n%users))
	}
	first := mustSettle(t, store, orders...)
	store = reopen()
	again, err := settle(t.Context(), store, orders...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range again {
		if again[i].Answer != payment.PaidBefore || again[i].TradeNo != first[i].TradeNo {
			t.Fatalf("order %d: %+v, first %+v", i, again[i], first[i])
		}
	}
	if paid := balance(t, store, merchant); paid != trades*fare {
		t.Errorf("%d fen paid", paid)
	}
	var listed, moved []payment.TradeNo
	for bucket := range store.Buckets() {
		err := errors.Join(
			store.EachTrade(t.Context(), bucket, today, func(trade payment.SettledTrade) error { listed = append(listed, trade.TradeNo); return nil }),
			store.EachTransfer(t.Context(), bucket, merchant, today, today, func(transfer ledger.Transfer) error {
				moved = append(moved, payment.NumberTrade(transfer.Day, bucket, transfer.ID.Document))
				return nil
			}))
		if err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(listed, moved) || !slices.IsSorted(listed) || len(listed) != trades {
		t.Errorf("%d trades and %d transfers are listed, sorted: %v", len(listed), len(moved), slices.IsSorted(listed))
	}
	if report := auditClean(t, store); report.Trades != trades || report.Codes != trades || report.Orphans != 0 {
		t.Errorf("%+v", report)
	}
}

// What comes in on a day that a bucket has closed stands in the next one.
func testClosedDay(t *testing.T, open Open) {
	store, reopen := furnished(t, open, 1, plenty)
	bucket := bucketOf(store, 0)
	close := func(day ledger.Day) {
		err := store.Update(t.Context(), payment.Need{Bucket: bucket}, func(payment.State) (payment.Changes, error) { return payment.Changes{Close: day}, nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ close, want ledger.Day }{{today - 1, today}, {today, today.Next()}, {today - 1, today.Next()}, {2026_12_31, 2027_01_01}} {
		close(c.close)
		n := int(c.want) + int(c.close)
		if day, _, _, _ := mustSettle(t, store, sale(n, userID(0)))[0].TradeNo.Parse(); day != c.want {
			t.Errorf("after %s was closed: settled on %s, want %s", c.close, day, c.want)
		}
	}
	store = reopen()
	if open := view(t, store, payment.Need{Bucket: bucket}).Open; open != 2027_01_01 {
		t.Errorf("open from %s", open)
	}
	if report := auditClean(t, store); report.Trades != 4 {
		t.Errorf("%d trades", report.Trades)
	}
}
