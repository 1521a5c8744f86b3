package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

func TestPaymentStore(t *testing.T) {
	for name, layout := range map[string]Layout{"default": DefaultLayout(), "claims apart": {Buckets: 3, ClaimsApart: true}} {
		t.Run(name, func(t *testing.T) {
			s := suite{books: map[*testing.T]*suiteBooks{}, layout: layout}
			storetest.Run(t, s.open)
		})
	}
}

// suite is the database of each test. To reopen is to disconnect and connect again.
type suite struct {
	books    map[*testing.T]*suiteBooks
	layout   Layout
	template string
}

type suiteBooks struct {
	name string
	db   *DB
}

func (s *suite) open(t *testing.T) (payment.Store, func() payment.Store) {
	t.Helper()
	c := commonCluster(t)
	if s.template == "" {
		s.template = fmt.Sprintf("books_%d_%v", s.layout.Buckets, s.layout.ClaimsApart)
		c.must(t, c.Create(s.template, "template0"))
		closeAll(t, openAs(t, c.URL(s.template), s.layout))
	}
	books, again := s.books[t]
	if again {
		books.empty(t, c)
	} else {
		books = &suiteBooks{name: c.copyBooks(t, s.template)}
		s.books[t] = books
		t.Cleanup(func() { c.must(t, c.Drop(books.name)) })
	}
	return books.reopen(t, c), func() payment.Store { return books.reopen(t, c) }
}

func (b *suiteBooks) reopen(t *testing.T, c *cluster) payment.Store {
	t.Helper()
	if b.db != nil {
		closeAll(t, b.db)
	}
	b.db = openURL(t, c.URL(b.name))
	return b.db.Payment()
}

// empty takes everything out, past the triggers. The model opens a hundred books one after the other, and
// to make a database takes longer than its history.
func (b *suiteBooks) empty(t *testing.T, c *cluster) {
	t.Helper()
	conn := c.connect(t, b.name)
	script(t, conn, "SET session_replication_role = replica; DELETE FROM shuama."+strings.Join(tables(), "; DELETE FROM shuama.")+
		"; UPDATE shuama.bucket SET next_document = 1, next_posted = 1, taken_posted = 0, open_day = 0")
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

func TestDeliveries(t *testing.T) {
	c := commonCluster(t)
	name, err := c.CreateNew()
	c.must(t, err)
	db := openAs(t, c.URL(name), Layout{Buckets: 3})
	storetest.RunDeliveries(t, db.Payment(), func(gap func(int) (time.Duration, bool)) payment.Deliveries {
		return openQueue(t, db, gap)
	})
}

// openQueue closes with the test.
func openQueue(t *testing.T, db *DB, gap func(int) (time.Duration, bool)) payment.Deliveries {
	t.Helper()
	queue, err := db.Deliveries(t.Context(), gap)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := queue.Close(); err != nil {
			t.Error(err)
		}
	})
	return queue
}
