package store_test

import (
	"path/filepath"
	"testing"

	"github.com/shuama/shuama/edge/store"
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
