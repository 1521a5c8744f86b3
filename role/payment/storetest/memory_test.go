package storetest_test

import (
	"fmt"
	"testing"

	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

// The suite itself is held by the plainest store. It cannot be opened again: to reopen gives it back.
func TestMemory(t *testing.T) {
	for _, buckets := range []int{1, 5} {
		t.Run(fmt.Sprint(buckets), func(t *testing.T) {
			storetest.Run(t, func(*testing.T) (payment.Store, func() payment.Store) {
				store := storetest.NewMemory(buckets)
				return store, func() payment.Store { return store }
			})
		})
	}
}
