package store_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

func TestPaymentStore(t *testing.T) { storetest.Run(t, openForSuite) }

// openForSuite gives a store on a file of its own. To reopen is to close the file and open it again.
func openForSuite(t *testing.T) (payment.Store, func() payment.Store) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "books.sqlite")
	db := open(t, path)
	return db.Payment(), func() payment.Store {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = open(t, path)
		return db.Payment()
	}
}

func open(t testing.TB, path string) *store.DB {
	t.Helper()
	db, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// A batch that names a number twice is a mistake of its caller: nothing of it is stored, and each of its orders
// can be, by itself.
func TestBatchContradictsItself(t *testing.T) {
	db := open(t, furnished(t))
	books := db.Payment()
	now := time.Date(2026, 8, 6, 4, 0, 0, 0, time.UTC)
	order := func(no payment.OutTradeNo, code byte) payment.Order {
		trade := payment.Trade{OutTradeNo: no, UserID: "2088000000000001", OrderTime: now, AmountFen: 5}
		return payment.Order{Key: payment.TradeKey{App: "app", OutTradeNo: no}, User: trade.UserID, Merchant: "merchant:metro", AmountFen: 5,
			Codes: []ridecode.ID{{code}}, Deadline: now, Content: trade.Append(nil), Digest: trade.Digest()}
	}
	settle := func(orders ...payment.Order) ([]payment.Verdict, error) {
		return books.Settle(t.Context(), payment.Batch{Day: 2026_08_06, Now: now, Orders: orders})
	}
	for name, orders := range map[string][]payment.Order{
		"a number twice": {order("1", 1), order("2", 2), order("1", 3)}, "an order twice": {order("1", 1), order("1", 1)},
	} {
		if verdicts, err := settle(orders...); err == nil || errors.Is(err, payment.ErrAway) {
			t.Errorf("%s: %+v, %v", name, verdicts, err)
		}
		if report, err := books.Audit(t.Context()); err != nil || report.Trades+report.Claims != 0 {
			t.Errorf("%s: %d trades, %v", name, report.Trades, err)
		}
	}
	if verdicts, err := settle(order("1", 1)); err != nil || verdicts[0].Answer != payment.Paid {
		t.Errorf("%+v, %v", verdicts, err)
	}
	auditClean(t, books)
}

func TestDeliveries(t *testing.T) {
	db, err := store.Open(filepath.Join(t.TempDir(), "books.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	storetest.RunDeliveries(t, db.Payment(), func(gap func(int) (time.Duration, bool)) payment.Deliveries { return db.Deliveries(gap) })
}
