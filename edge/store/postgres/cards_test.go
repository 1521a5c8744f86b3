package postgres

import (
	"testing"
	"time"

	"github.com/shuama/shuama/role/codeissuer"
	cardtest "github.com/shuama/shuama/role/codeissuer/storetest"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
	ridetest "github.com/shuama/shuama/role/payment/rides/storetest"
)

// ownBooks opens a database of the test's own. reopen disconnects and connects again.
func ownBooks(t *testing.T) (db *DB, reopen func() *DB) {
	t.Helper()
	c := commonCluster(t)
	name := c.emptyBooks(t)
	t.Cleanup(func() { c.must(t, c.Drop(name)) })
	db = openURL(t, c.URL(name))
	return db, func() *DB {
		closeAll(t, db)
		db = openURL(t, c.URL(name))
		return db
	}
}

func TestCardStore(t *testing.T) {
	cardtest.Run(t, func(t *testing.T) (codeissuer.CardStore, func() codeissuer.CardStore) {
		db, reopen := ownBooks(t)
		return db.Cards(), func() codeissuer.CardStore { return reopen().Cards() }
	})
}

func TestRideStore(t *testing.T) {
	ridetest.Run(t, func(t *testing.T) (rides.Store, func() rides.Store) {
		db, reopen := ownBooks(t)
		return db.Rides(), func() rides.Store { return reopen().Rides() }
	})
}

func TestRideNotices(t *testing.T) {
	ridetest.RunNotices(t, func(t *testing.T) (rides.Store, func(func(int) (time.Duration, bool)) payment.Deliveries) {
		db, _ := ownBooks(t)
		return db.Rides(), func(gap func(int) (time.Duration, bool)) payment.Deliveries { return openQueue(t, db, gap) }
	})
}

func TestAgreementStore(t *testing.T) {
	cardtest.RunAgreements(t, func(t *testing.T) (codeissuer.AgreementStore, func() codeissuer.AgreementStore) {
		db, reopen := ownBooks(t)
		return db.Agreements(), func() codeissuer.AgreementStore { return reopen().Agreements() }
	})
}
