// Package storetest holds a merchant.Store (商户记录与交易) to its word, and the merchant over it: one suite
// for every implementation.
//
// It knows nothing of any database. Its records carry real codes with real signatures, its payment
// institution is one that loses requests and answers: see Bank.
package storetest

import (
	"testing"

	"github.com/shuama/shuama/role/merchant"
)

// Open makes an empty store. again ends it, as far as that can be done in one process, and opens the
// same file again; the store must not be used after it. end ends whatever is open.
type Open = func(t testing.TB) (store merchant.Store, again func() merchant.Store, end func())

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"Nothing", testNothing},
		{"RoundTrip", testRoundTrip},
		{"Due", testDue},
		{"Windows", testWindows},
		{"Pages", testPages},
		{"Refunds", testRefunds},
		{"TradeForms", testTradeForms},
		{"TradeRefusals", testTradeRefusals},
		{"Sums", testSums},
		{"Riders", testRiders},
		{"OpenDue", testOpenDue},
		{"ChainBooks", testChainBooks},
		{"Chains", testChains},
		{"DecideError", testDecideError},
		{"Refusals", testRefusals},
		{"ContextEnded", testContextEnded},
		{"Bus", testBus},
		{"Metro", testMetro},
		{"LongestTrip", testLongestTrip},
		{"LateEntry", testLateEntry},
		{"LateAfterSent", testLateAfterSent},
		{"SetAside", testSetAside},
		{"Reconsider", testReconsider},
		{"BatchBounds", testBatchBounds},
		{"DefaultFare", testDefaultFare},
		{"DefaultWithdrawn", testDefaultWithdrawn},
		{"LeftOpen", testLeftOpen},
		{"Complete", testComplete},
		{"CompleteSent", testCompleteSent},
		{"LateUnderCap", testLateUnderCap},
		{"Month", testMonth},
		{"TableWrittenAnew", testTableWrittenAnew},
		{"ClaimUnderNewTable", testClaimUnderNewTable},
		{"Recount", testRecount},
		{"Replay", testReplay},
		{"TooLate", testTooLate},
		{"Companions", testCompanions},
		{"TurnedRound", testTurnedRound},
		{"ShutTransfer", testShutTransfer},
		{"FreeOnline", testFreeOnline},
		{"AnyOrderMoney", testAnyOrderMoney},
		{"AnyOrderRefused", testAnyOrderRefused},
		{"AnyOrder", testAnyOrder},
		{"SettleRules", testSettleRules},
		{"SettleStrange", testSettleStrange},
		{"SettleFault", testSettleFault},
		{"SettleRefusedBatch", testSettleRefusedBatch},
		{"SettleBatches", testSettleBatches},
		{"Unsettled", testUnsettled},
		{"SettledAt", testSettledAt},
		{"LossyBank", testLossyBank},
		{"Concurrent", testConcurrent},
		{"RideData", testRideData},
		{"RideStates", testRideStates},
		{"RideFrozen", testRideFrozen},
		{"RideAside", testRideAside},
		{"RideQueue", testRideQueue},
		{"RideLoss", testRideLoss},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}
