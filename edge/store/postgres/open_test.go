package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

func TestOpenRefuses(t *testing.T) {
	c := commonCluster(t)
	for name, test := range map[string]struct {
		create, script string
		want           error
	}{
		"a newer version's":         {"TEMPLATE books_template", "INSERT INTO shuama.schema_version (version, name) VALUES (1000, 'later')", ErrNewer},
		"another program's":         {"TEMPLATE template0", "CREATE SCHEMA shuama; CREATE TABLE shuama.recipe (id integer)", ErrForeign},
		"another table of versions": {"TEMPLATE template0", "CREATE SCHEMA shuama; CREATE TABLE shuama.schema_version (name text)", ErrForeign},
		"another encoding":          {"TEMPLATE template0 ENCODING SQL_ASCII LOCALE 'C'", "SELECT 1", ErrServer},
	} {
		t.Run(name, func(t *testing.T) {
			c.emptyBooks(t) // so that the template is there
			database := fmt.Sprintf("refused_%d", c.names.Add(1))
			script(t, c.connect(t, "postgres"), "CREATE DATABASE "+database+" "+test.create)
			conn := c.connect(t, database)
			script(t, conn, test.script)
			before := describe(t, conn)
			_, err := Open(t.Context(), c.URL(database))
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if after := describe(t, conn); after != before {
				t.Errorf("it was changed: %s, before %s", after, before)
			}
		})
	}
}

// describe tells what is in a database, closely enough to see that something was made in it.
func describe(t *testing.T, conn *pgx.Conn) (found string) {
	t.Helper()
	err := conn.QueryRow(t.Context(), `SELECT string_agg(nspname || '.' || relname, ' ' ORDER BY 1) FROM pg_class
		JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname NOT LIKE 'pg%'`).Scan(&found)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A password stands in no error, wherever the address is wrong.
func TestOpenKeepsSecrets(t *testing.T) {
	c := commonCluster(t)
	const secret = "geheim%zz"
	for _, url := range []string{
		"postgres://shuama:" + secret + "@127.0.0.1/x", "postgres://shuama:" + secret + "@127.0.0.1:port/x", secret,
		"host=127.0.0.1 password=" + secret + " sslmode=never", "postgres://shuama:geheim@127.0.0.1:1/x?connect_timeout=2",
		c.URLOf("postgres", "geheim", "postgres"), c.URLOf("nobody", "geheim", "postgres"), c.URLOf("postgres", c.Password, "none"),
	} {
		db, err := Open(t.Context(), url)
		if err == nil {
			closeAll(t, db)
			t.Fatal("it was opened")
		}
		for _, text := range []string{"geheim", c.Password} {
			if strings.Contains(err.Error(), text) {
				t.Errorf("the password is in %q", err)
			}
		}
	}
	if _, err := Open(t.Context(), secret); !errors.Is(err, ErrAddress) {
		t.Errorf("%v", err)
	}
}

// A server that does not synchronise is refused; a careless default of a role is put right.
func TestOpenWantsDurability(t *testing.T) {
	c := newCluster(t, "fsync=off")
	if _, err := Open(t.Context(), c.URL("postgres")); !errors.Is(err, ErrServer) || !strings.Contains(err.Error(), "fsync = off") {
		t.Errorf("without fsync: %v", err)
	}
	c = commonCluster(t)
	script(t, c.connect(t, "postgres"), "CREATE ROLE careless SUPERUSER LOGIN PASSWORD 'x'; ALTER ROLE careless SET synchronous_commit = off")
	db := openURL(t, c.URLOf("careless", "x", c.emptyBooks(t)))
	err := db.read(t.Context(), func(conn *pgx.Conn) error {
		var commit, seqscan, bitmapscan string
		err := conn.QueryRow(t.Context(), "SELECT current_setting('synchronous_commit'), current_setting('enable_seqscan'), current_setting('enable_bitmapscan')").
			Scan(&commit, &seqscan, &bitmapscan)
		if commit != "on" || seqscan != "off" || bitmapscan != "off" {
			t.Errorf("synchronous_commit %s, enable_seqscan %s, enable_bitmapscan %s", commit, seqscan, bitmapscan)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Several programs that start at once on an empty database make its tables once.
func TestOpenTogether(t *testing.T) {
	c := commonCluster(t)
	c.must(t, c.Create("together", "template0"))
	var wait sync.WaitGroup
	for range 6 {
		wait.Go(func() {
			db, err := Open(t.Context(), c.URL("together"))
			if err != nil {
				t.Error(err)
				return
			}
			closeAll(t, db)
		})
	}
	wait.Wait()
	auditClean(t, openURL(t, c.URL("together")).Payment())
}

func TestClosed(t *testing.T) {
	c := commonCluster(t)
	db := openURL(t, c.URL(c.emptyBooks(t)))
	closeAll(t, db, db)
	books := db.Payment()
	if err := storetest.Furnish(t.Context(), books); !errors.Is(err, ErrClosed) {
		t.Errorf("update: %v", err)
	}
	if _, err := books.View(t.Context(), payment.Need{}); !errors.Is(err, ErrClosed) {
		t.Errorf("view: %v", err)
	}
	if _, err := books.Audit(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("audit: %v", err)
	}
}

// Two programs on one set of books, which meet in every account: nothing is lost, and nothing doubled.
func TestTwoServers(t *testing.T) {
	c := commonCluster(t)
	url := c.URL(c.emptyBooks(t))
	var wait sync.WaitGroup
	for worker := range 2 {
		db := openURL(t, url)
		wait.Go(func() {
			if err := sellAll(t.Context(), db.Payment(), worker); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	books := openURL(t, url).Payment()
	sold, err := storetest.Sold(t.Context(), books, 151)
	if err != nil || len(sold) != 150 {
		t.Errorf("%d sold, %v", len(sold), err)
	}
	auditClean(t, books)
}

// sellAll sells numbers of which the other worker sells a third too.
func sellAll(ctx context.Context, books payment.Store, worker int) error {
	if err := storetest.Furnish(ctx, books); err != nil {
		return err
	}
	for n := range 50 {
		if _, err := storetest.Sell(ctx, books, 3*n, 3*n+1+worker); err != nil {
			return err
		}
	}
	return nil
}

// While another program holds an account, a writer waits as long as its context, and readers do not.
func TestHeldByAnother(t *testing.T) {
	c := commonCluster(t)
	name := c.emptyBooks(t)
	books := openURL(t, c.URL(name)).Payment()
	if err := storetest.Furnish(t.Context(), books); err != nil {
		t.Fatal(err)
	}
	other := c.connect(t, name)
	script(t, other, "BEGIN")
	script(t, other, "SELECT FROM shuama.account WHERE id = 'merchant:metro' FOR UPDATE")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := storetest.Sell(ctx, books, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("sell: %v", err)
	}
	if sold, err := storetest.Sold(t.Context(), books, 3); err != nil || len(sold) != 0 {
		t.Errorf("sold %v, %v", sold, err)
	}
	done := make(chan error, 1)
	go func() { _, err := storetest.Sell(t.Context(), books, 2); done <- err }()
	time.Sleep(50 * time.Millisecond)
	script(t, other, "ROLLBACK")
	if err := <-done; err != nil {
		t.Errorf("sell, when it was released: %v", err)
	}
	auditClean(t, books)
}
