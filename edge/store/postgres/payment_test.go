package postgres

import (
	"strings"
	"testing"

	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

func TestPaymentStore(t *testing.T) { storetest.Run(t, suite{}.open) }

// suite is the database of each test. To reopen is to disconnect and connect again.
type suite map[*testing.T]*suiteBooks

type suiteBooks struct {
	name string
	db   *DB
}

func (s suite) open(t *testing.T) (payment.Store, func() payment.Store) {
	t.Helper()
	c := commonCluster(t)
	books, again := s[t]
	if again {
		books.empty(t, c)
	} else {
		books = &suiteBooks{name: c.emptyBooks(t)}
		s[t] = books
		t.Cleanup(func() { c.dropDatabase(t, books.name) })
	}
	return books.reopen(t, c), func() payment.Store { return books.reopen(t, c) }
}

func (b *suiteBooks) reopen(t *testing.T, c *cluster) payment.Store {
	t.Helper()
	if b.db != nil {
		closeAll(t, b.db)
	}
	b.db = openURL(t, c.url(b.name))
	return b.db.Payment()
}

// empty takes everything out, past the triggers. The model opens a hundred books one after the other, and
// to make a database takes longer than its history.
func (b *suiteBooks) empty(t *testing.T, c *cluster) {
	t.Helper()
	conn := c.connect(t, b.name)
	script(t, conn, "SET session_replication_role = replica; DELETE FROM shuama."+strings.Join(tables(), "; DELETE FROM shuama."))
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func auditClean(t testing.TB, books payment.Store) payment.AuditReport {
	t.Helper()
	report, err := books.Audit(t.Context())
	if err != nil || len(report.Faults) > 0 {
		t.Fatalf("audit: %s, %v", lines(report.Faults), err)
	}
	return report
}
