package storetest

import (
	"context"
	"fmt"

	"github.com/shuama/shuama/role/payment"
)

// workloadUsers is how many users share the sales of a workload.
const workloadUsers = 16

// Furnish opens the accounts that Sell needs. It is one step of what a test of crashes does by itself:
// furnish, sell until something breaks, and look what was sold.
func Furnish(ctx context.Context, store payment.Store) error {
	return furnish(ctx, store, workloadUsers)
}

// Sell settles the sales with these numbers, all in one Update. A number that was sold before is passed
// over.
func Sell(ctx context.Context, store payment.Store, numbers ...int) error {
	sales := make([]sale, len(numbers))
	for i, n := range numbers {
		sales[i] = newSale(n, userID(n%workloadUsers))
	}
	_, err := settle(ctx, store, sales...)
	return err
}

// Sold tells which of the numbers below end were sold, in order. A sale that is not there whole is an
// error.
func Sold(ctx context.Context, store payment.Store, end int) (sold []int, err error) {
	var sales []sale
	for n := range end {
		sales = append(sales, newSale(n, userID(n%workloadUsers)))
	}
	state, err := store.View(ctx, needOf(sales))
	if err != nil {
		return nil, err
	}
	for n, s := range sales {
		trade, there := state.Trades[s.key()]
		if _, used := state.Codes[s.codes[0]]; used != there {
			return nil, fmt.Errorf("sale %d: trade there %v, code there %v", n, there, used)
		}
		if there && !equalTrades(trade, s.trade(payment.PaidByUser)) {
			return nil, fmt.Errorf("sale %d: stored as %s", n, describe(trade))
		}
		if there {
			sold = append(sold, n)
		}
	}
	return sold, nil
}
