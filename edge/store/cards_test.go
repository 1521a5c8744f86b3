package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/shuama/shuama/role/codeissuer"
	cardtest "github.com/shuama/shuama/role/codeissuer/storetest"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
	ridetest "github.com/shuama/shuama/role/payment/rides/storetest"
)

func TestCardStore(t *testing.T) {
	cardtest.Run(t, func(t *testing.T) (codeissuer.CardStore, func() codeissuer.CardStore) {
		path := filepath.Join(t.TempDir(), "books.sqlite")
		db := open(t, path)
		return db.Cards(), func() codeissuer.CardStore {
			closeAll(t, db)
			db = open(t, path)
			return db.Cards()
		}
	})
}

func TestRideStore(t *testing.T) {
	ridetest.Run(t, func(t *testing.T) (rides.Store, func() rides.Store) {
		path := filepath.Join(t.TempDir(), "books.sqlite")
		db := open(t, path)
		return db.Rides(), func() rides.Store {
			closeAll(t, db)
			db = open(t, path)
			return db.Rides()
		}
	})
}

func TestRideNotices(t *testing.T) {
	ridetest.RunNotices(t, func(t *testing.T) (rides.Store, func(func(int) (time.Duration, bool)) payment.Deliveries) {
		db := open(t, filepath.Join(t.TempDir(), "books.sqlite"))
		return db.Rides(), func(gap func(int) (time.Duration, bool)) payment.Deliveries { return db.Deliveries(gap) }
	})
}

func TestAgreementStore(t *testing.T) {
	cardtest.RunAgreements(t, func(t *testing.T) (codeissuer.AgreementStore, func() codeissuer.AgreementStore) {
		path := filepath.Join(t.TempDir(), "books.sqlite")
		db := open(t, path)
		return db.Agreements(), func() codeissuer.AgreementStore {
			closeAll(t, db)
			db = open(t, path)
			return db.Agreements()
		}
	})
}
