package postgres

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/shuama/shuama/internal/testkit/pgserver"
)

// cluster is a server with books on it.
type cluster struct {
	*pgserver.Server
	names    atomic.Int64
	template sync.Once
}

// common serves all tests that do not kill it.
var common struct {
	once    sync.Once
	cluster *cluster
}

func TestMain(m *testing.M) {
	code := m.Run()
	if common.cluster != nil {
		common.cluster.Remove()
	}
	os.Exit(code)
}

func commonCluster(t testing.TB) *cluster {
	t.Helper()
	common.once.Do(func() {
		server, err := pgserver.New()
		if err != nil {
			t.Fatal(err)
		}
		common.cluster = &cluster{Server: server}
	})
	if common.cluster == nil {
		t.Fatal("no server: see the first failure")
	}
	return common.cluster
}

// newCluster is a server of a test's own.
func newCluster(t testing.TB, settings ...string) *cluster {
	t.Helper()
	server, err := pgserver.New(settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Remove)
	return &cluster{Server: server}
}

func (c *cluster) must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// connect gives a connection as any other program has it, of a superuser.
func (c *cluster) connect(t testing.TB, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL(database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// script runs statements with nothing kept of them.
func script(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// emptyBooks makes a database with the tables in it; they are made once, and copied.
func (c *cluster) emptyBooks(t testing.TB) string {
	t.Helper()
	c.template.Do(func() {
		c.must(t, c.Create("books_template", "template0"))
		closeAll(t, openURL(t, c.URL("books_template")))
	})
	return c.copyBooks(t, "books_template")
}

func (c *cluster) copyBooks(t testing.TB, template string) string {
	t.Helper()
	name := fmt.Sprintf("books_%d", c.names.Add(1))
	c.must(t, c.Create(name, template))
	return name
}

func openURL(t testing.TB, url string) *DB { return openAs(t, url, DefaultLayout()) }

func openAs(t testing.TB, url string, layout Layout) *DB {
	t.Helper()
	db, err := OpenAs(t.Context(), url, layout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(t, db) })
	return db
}

func closeAll(t testing.TB, dbs ...*DB) {
	t.Helper()
	for _, db := range dbs {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// lines cuts a text for a message.
func lines(texts []string) string { return strings.Join(texts, "\n") }
