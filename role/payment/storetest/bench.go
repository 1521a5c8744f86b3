package storetest

import (
	"fmt"
	"testing"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/role/payment"
)

const benchUsers = 50_000

// Bench measures trades settled per second, all verdicts included, at batches of 1, 64 and 512. Users
// differ within a batch, the merchant is one: the hottest row there can be. beside, which may be nil,
// runs next to each batch for comparison.
func Bench(b *testing.B, store payment.Store, beside func(b *testing.B, batch int)) {
	if err := furnishMany(b, store, benchUsers); err != nil {
		b.Fatal(err)
	}
	next := 0
	for _, batch := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("batch=%d/store", batch), func(b *testing.B) {
			for b.Loop() {
				benchBatch(b, store, next, batch)
				next += batch
			}
			b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "trades/s")
		})
		if beside != nil {
			b.Run(fmt.Sprintf("batch=%d/beside", batch), func(b *testing.B) { beside(b, batch) })
		}
	}
	auditClean(b, store)
}

func benchBatch(b *testing.B, store payment.Store, from, batch int) {
	sales := make([]sale, batch)
	for i := range sales {
		n := from + i
		sales[i] = newSale(n, userID(n*7919%benchUsers))
	}
	settled, err := settle(b.Context(), store, sales...)
	if err != nil || len(settled) != batch {
		b.Fatalf("%d settled of %d: %v", len(settled), batch, err)
	}
}

func furnishMany(b *testing.B, store payment.Store, usersCount int) error {
	if err := furnish(b.Context(), store, 0); err != nil {
		return err
	}
	var accounts []ledger.Account
	var orders []payment.TopUp
	for n := range usersCount {
		account := ledger.Account{ID: payment.UserAccount(userID(n))}
		accounts, orders = append(accounts, account), append(orders, topUpOf(fmt.Sprintf("first-%d", n), account.ID, plenty))
	}
	if err := openAccounts(b.Context(), store, accounts...); err != nil {
		return err
	}
	return topUp(b.Context(), store, orders...)
}
