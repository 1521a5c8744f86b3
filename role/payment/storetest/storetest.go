// Package storetest holds a payment.Store (支付机构账簿) to its word: one suite for every implementation.
//
// It knows nothing of any database. What a store answers to a batch is held against payment.Decide. Where a
// test needs changes that are wrong, it makes some, and expects the store to refuse them whole: the books are
// the last line of defence.
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
		{"Verdicts", testVerdicts},
		{"VerdictsInOneBatch", testVerdictsInOneBatch},
		{"PoorRiders", testPoorRiders},
		{"RoundTrip", testRoundTrip},
		{"Extremes", testExtremes},
		{"UnstorableOrder", testUnstorableOrder},
		{"NumbersAreExact", testNumbersAreExact},
		{"BigBatch", testBigBatch},
		{"ClosedDay", testClosedDay},
		{"AgainstDecide", testAgainstDecide},
		{"OneOfMany", testOneOfMany},
		{"OneCodeOfMany", testOneCodeOfMany},
		{"NoLostUpdate", testNoLostUpdate},
		{"UpdatesAndBatches", testUpdatesAndBatches},
		{"Claims", testClaims},
		{"Documents", testDocuments},
		{"Riders", testRiders},
		{"Crossing", testCrossing},
		{"Notices", testNotices},
		{"Terms", testTerms},
		{"Days", testDays},
		{"Lists", testLists},
		{"ListsCanStop", testListsCanStop},
		{"Visitors", testVisitors},
		{"FundsAnotherDay", testFundsAnotherDay},
		{"DecideError", testDecideError},
		{"DecidePanic", testDecidePanic},
		{"WrongChanges", testWrongChanges},
		{"Durable", testDurable},
		{"ContextEnded", testContextEnded},
		{"ContextEndsInDecide", testContextEndsInDecide},
		{"ViewIsSnapshot", testViewIsSnapshot},
		{"AuditCounts", testAuditCounts},
		{"Risk", testRisk},
		{"WrongRisk", testWrongRisk},
		{"TradesAfter", testTradesAfter},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}
