package postgres

import (
	"testing"

	"github.com/shuama/shuama/role/cardissuer"
	issuertest "github.com/shuama/shuama/role/cardissuer/storetest"
)

func TestIssuerStore(t *testing.T) {
	issuertest.Run(t, func(t testing.TB) (cardissuer.Store, func() cardissuer.Store) {
		db, reopen := ownBooks(t.(*testing.T))
		return db.Issuer(), func() cardissuer.Store { return reopen().Issuer() }
	})
}
