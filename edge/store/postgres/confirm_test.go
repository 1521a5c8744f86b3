package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

const impatient = 500 * time.Millisecond

// A leader that no standby follows any more settles a trade for itself: nobody hears of it, however often it is
// asked, until a standby has it.
func TestUnconfirmed(t *testing.T) {
	c := newCluster(t)
	name := c.emptyBooks(t)
	books := openURL(t, c.URL(name)).Payment()
	if err := storetest.Furnish(t.Context(), books); err != nil {
		t.Fatal(err)
	}
	admin := c.connect(t, "postgres")
	c.waitForStandby(t, admin, "nobody")
	for attempt := range 3 {
		if isSold(t, books, 1) {
			t.Fatalf("attempt %d was acknowledged", attempt)
		}
	}
	if visible := c.countTrades(t, name); visible != 1 {
		t.Fatalf("%d trades are to be seen: this test is about one", visible)
	}
	if topsUp(t, books) {
		t.Fatal("a top-up was acknowledged")
	}
	if isSeen(t, books) {
		t.Fatal("somebody was told of what no standby has")
	}
	c.waitForStandby(t, admin, "")
	if !isSold(t, books, 1) || !topsUp(t, books) || !isSeen(t, books) {
		t.Fatal("refused, with nobody to wait for")
	}
	if count := c.countTrades(t, name); count != 1 {
		t.Errorf("%d trades", count)
	}
	auditClean(t, books)
}

// An administrator may end the wait: the server calls that a success, and warns.
func TestUnconfirmedByAdministrator(t *testing.T) {
	c := newCluster(t)
	name := c.emptyBooks(t)
	books := openURL(t, c.URL(name)).Payment()
	if err := storetest.Furnish(t.Context(), books); err != nil {
		t.Fatal(err)
	}
	admin := c.connect(t, "postgres")
	c.waitForStandby(t, admin, "nobody")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	sold := make(chan error)
	go func() {
		_, err := storetest.Sell(ctx, books, 1)
		sold <- err
	}()
	for count := 0; count < 3; {
		var ended int
		err := admin.QueryRow(t.Context(), "select count(pg_cancel_backend(pid)) from pg_stat_activity where wait_event = 'SyncRep'").Scan(&ended)
		if err != nil {
			t.Fatal(err)
		}
		count += ended
		select {
		case err := <-sold:
			t.Fatalf("answered while no standby had it: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	c.waitForStandby(t, admin, "")
	if err := <-sold; err != nil {
		t.Fatal(err)
	}
	auditClean(t, books)
}

// waitForStandby lets commits wait for a standby of this name.
func (c *cluster) waitForStandby(t *testing.T, admin *pgx.Conn, name string) {
	t.Helper()
	script(t, admin, "alter system set synchronous_standby_names = '"+name+"'")
	script(t, admin, "select pg_reload_conf()")
	for deadline := time.Now().Add(startWait); ; time.Sleep(10 * time.Millisecond) {
		var is string
		if err := c.connect(t, "postgres").QueryRow(t.Context(), "show synchronous_standby_names").Scan(&is); err != nil || time.Now().After(deadline) {
			t.Fatal(is, err)
		}
		if is == name {
			time.Sleep(impatient / 2) // for the processes that were there before
			return
		}
	}
}

func (c *cluster) countTrades(t *testing.T, name string) (count int) {
	t.Helper()
	if err := c.connect(t, name).QueryRow(t.Context(), "select count(*) from shuama.trade").Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

func isSold(t *testing.T, books payment.Store, n int) bool {
	ctx, cancel := context.WithTimeout(t.Context(), impatient)
	defer cancel()
	_, err := storetest.Sell(ctx, books, n)
	return err == nil
}

// topsUp finds that nothing is to be written, as for a request that was carried out before.
func topsUp(t *testing.T, books payment.Store) bool {
	ctx, cancel := context.WithTimeout(t.Context(), impatient)
	defer cancel()
	return books.Update(ctx, payment.Need{Documents: []payment.DocumentKey{"top-up"}}, func(payment.State) (payment.Changes, error) {
		return payment.Changes{}, nil
	}) == nil
}

func isSeen(t *testing.T, books payment.Store) bool {
	ctx, cancel := context.WithTimeout(t.Context(), impatient)
	defer cancel()
	_, err := books.View(ctx, payment.Need{Accounts: []ledger.AccountID{"merchant:metro"}})
	return err == nil
}
