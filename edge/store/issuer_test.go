package store_test

import (
	"path/filepath"
	"testing"

	"github.com/shuama/shuama/edge/store"
	"github.com/shuama/shuama/role/cardissuer"
	issuertest "github.com/shuama/shuama/role/cardissuer/storetest"
)

func TestIssuerStore(t *testing.T) {
	issuertest.Run(t, func(t testing.TB) (cardissuer.Store, func() cardissuer.Store) {
		path := filepath.Join(t.TempDir(), "cards.sqlite")
		db := openIssuer(t, path)
		return db.Issuer(), func() cardissuer.Store {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			return openIssuer(t, path).Issuer()
		}
	})
}

func openIssuer(t testing.TB, path string) *store.DB {
	t.Helper()
	db, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
