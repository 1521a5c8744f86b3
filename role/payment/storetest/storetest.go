// Package storetest holds a payment.Store (支付机构账簿) to its word: one suite for every implementation.
//
// It knows nothing of any database. Where a test needs a decision that is wrong, it makes one, and
// expects the store to refuse it whole: the books are the last line of defence.
package storetest

import (
	"testing"

	"github.com/shuama/shuama/role/payment"
)

// Open makes an empty store that lives as long as t. reopen ends it, as far as that can be done in one
// process, and opens the same books again; store must not be used after it.
type Open = func(t *testing.T) (store payment.Store, reopen func() payment.Store)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"Nothing", testNothing},
		{"RoundTrip", testRoundTrip},
		{"ZeroValues", testZeroValues},
		{"Extremes", testExtremes},
		{"Texts", testTexts},
		{"NulText", testNulText},
		{"NeedFilters", testNeedFilters},
		{"KeysAreExact", testKeysAreExact},
		{"StateIsPrivate", testStateIsPrivate},
		{"DecideError", testDecideError},
		{"DecidePanic", testDecidePanic},
		{"WrongDecisions", testWrongDecisions},
		{"StaleDecision", testStaleDecision},
		{"Durable", testDurable},
		{"BigBatch", testBigBatch},
		{"ManyKeys", testManyKeys},
		{"ContextEnded", testContextEnded},
		{"ContextEndsWhileWaiting", testContextEndsWhileWaiting},
		{"ContextEndsInDecide", testContextEndsInDecide},
		{"NoLostUpdate", testNoLostUpdate},
		{"ConcurrentTransfers", testConcurrentTransfers},
		{"OneOfMany", testOneOfMany},
		{"OneCodeOfMany", testOneCodeOfMany},
		{"ViewIsSnapshot", testViewIsSnapshot},
		{"AuditIsSnapshot", testAuditIsSnapshot},
		{"AuditCounts", testAuditCounts},
		{"AuditFinds", testAuditFinds},
		{"AgainstModel", testAgainstModel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}
