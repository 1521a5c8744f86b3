package store_test

import (
	"path/filepath"
	"testing"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/role/merchant/reconcile/storetest"
)

func TestReconcileStore(t *testing.T) { storetest.Run(t, openReconcile) }

func openReconcile(t testing.TB) (storetest.Books, func() storetest.Books, func()) {
	path := filepath.Join(t.TempDir(), "merchant.sqlite")
	db := openDB(t, path)
	books := func(db *store.DB) storetest.Books {
		return storetest.Books{Store: db.Reconcile(), Trades: db.Merchant()}
	}
	again := func() storetest.Books {
		closeDB(t, db)
		db = openDB(t, path)
		return books(db)
	}
	return books(db), again, func() { closeDB(t, db) }
}
