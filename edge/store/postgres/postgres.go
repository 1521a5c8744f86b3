// Package postgres keeps the books (账簿) of the institutions in PostgreSQL, version 15 or later: for a city,
// or for several servers on one set of books. Its neighbour edge/store keeps them in one file.
//
// Every promise of the SQLite books holds here: what was committed is there after a power cut, and the
// tables defend themselves. What a wrong caller would do to money fails on a constraint or a trigger
// before it is stored. An index that has gone bad is pg_amcheck's to find; the audit reads past indexes.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/shuama/shuama/role/payment"
)

// Errors of this package, for errors.Is.
var (
	ErrAddress = errors.New("postgres: this is no address of a database, like postgres://user:password@host:5432/shuama")
	ErrServer  = errors.New("postgres: this server cannot keep books")
	ErrForeign = errors.New("postgres: the schema shuama of this database belongs to another program")
	ErrNewer   = errors.New("postgres: these books were written by a newer version of Shuama: use that one")
	ErrClosed  = errors.New("postgres: closed")
	ErrLayout  = errors.New("postgres: books have 1 to 256 buckets")
)

const (
	versionMin  = 15_00_00         // server_version_num
	connectWait = 5 * time.Second  // for each host
	planLife    = 10 * time.Minute // of a connection, and of the plans that it has made
)

// DB is a pool of connections to one database. It is safe for concurrent use.
type DB struct {
	pool    *pgxpool.Pool
	closed  atomic.Bool
	layout  Layout
	careful []atomic.Bool // by bucket: its last batch was not simply paid, and the next one is likely so
}

// Layout is how books are divided. It is fixed when they are made.
type Layout struct {
	Buckets int // 1 to 256: on several machines, so many can share the work at the most
	// ClaimsApart claims numbers in a transaction before that which settles, so that none needs two
	// buckets: for books on several machines. On one it only costs a commit more.
	ClaimsApart bool
}

// DefaultLayout is for one machine: more buckets make batches smaller, fewer keep processors idle.
func DefaultLayout() Layout { return Layout{Buckets: 8} }

// Open connects to the database at url (postgres://…, with the parameters of libpq and pool_max_conns),
// and brings its tables up to date, which live in the schema shuama; where there are none it makes them, with
// DefaultLayout. Several programs may open the same books at once. A url that is none is ErrAddress, and is not repeated in the error: it may hold a
// password. A server that is too old or does not synchronise is ErrServer; tables that are not ours, or
// of a newer version, are refused untouched: ErrForeign, ErrNewer.
func Open(ctx context.Context, url string) (*DB, error) { return OpenAs(ctx, url, DefaultLayout()) }

// OpenAs is Open with a layout for books that are not there yet; those that are keep theirs.
func OpenAs(ctx context.Context, url string, layout Layout) (*DB, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, ErrAddress
	}
	if layout.Buckets < 1 || layout.Buckets > payment.BucketsMax {
		return nil, ErrLayout
	}
	config.ConnConfig.DialFunc = dialer().DialContext
	return open(ctx, config, layout)
}

// dialer makes connections that end when nobody answers any more: a machine that is gone says nothing.
func dialer() *net.Dialer {
	return &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: time.Second, Count: 3}}
}

func open(ctx context.Context, config *pgxpool.Config, layout Layout) (*DB, error) {
	configure(config)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	db := &DB{pool: pool, layout: layout}
	if err := db.migrate(ctx); err != nil {
		pool.Close()
		return nil, explain(ctx, err)
	}
	db.careful = make([]atomic.Bool, db.layout.Buckets)
	return db, nil
}

// Layout is how these books are divided.
func (db *DB) Layout() Layout { return db.layout }

// Close waits for what runs and disconnects. Calls after it fail with ErrClosed; closing again does
// nothing.
func (db *DB) Close() error {
	db.closed.Store(true)
	db.pool.Close()
	return nil
}

// configure sets what every connection needs. The books are read by key, in lists of keys whose length
// differs a thousandfold: a plan is made once, and always goes through the indexes.
func configure(config *pgxpool.Config) {
	settings := config.ConnConfig.RuntimeParams
	for name, value := range map[string]string{
		"client_encoding": "UTF8", "timezone": "UTC", "search_path": "pg_catalog", "default_transaction_isolation": "read committed",
		"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "enable_bitmapscan": "off", "jit": "off",
	} {
		settings[name] = value
	}
	if settings["application_name"] == "" {
		settings["application_name"] = "shuama"
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectWait
	}
	if config.ConnConfig.ValidateConnect == nil { // of several hosts, the one that leads
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	config.MaxConnLifetime = min(config.MaxConnLifetime, planLife)
	config.AfterConnect = examineServer
	watchCommits(&config.ConnConfig.Config)
}

// examineServer refuses a server that would lose what it has acknowledged, and turns on what a careless
// default has turned off. Each connection asks: the server behind an address may change.
func examineServer(ctx context.Context, conn *pgx.Conn) error {
	var version int
	var encoding, fsync, wholePages, commit string
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
		current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')`).
		Scan(&version, &encoding, &fsync, &wholePages, &commit)
	switch {
	case err != nil:
		return fmt.Errorf("postgres: %w", err)
	case version < versionMin:
		return fmt.Errorf("%w: its version is %d, and 15 is the first that can", ErrServer, version/1_00_00)
	case encoding != "UTF8":
		return fmt.Errorf("%w: the encoding of the database is %s and not UTF8", ErrServer, encoding)
	case fsync != "on" || wholePages != "on":
		return fmt.Errorf("%w: with fsync = %s and full_page_writes = %s a power cut loses money", ErrServer, fsync, wholePages)
	case commit == "on" || commit == "remote_apply":
		return nil
	}
	if _, err := conn.Exec(ctx, "SET synchronous_commit = on"); err != nil {
		return fmt.Errorf("postgres: synchronous_commit: %w", err)
	}
	return nil
}

// explain tells an error by what caused it: a context that has ended closes its connection.
func explain(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("postgres: %w (%w)", ctx.Err(), err)
	}
	return err
}

// take gives a connection for a while.
func (db *DB) take(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := db.pool.Acquire(ctx)
	if db.closed.Load() {
		if err == nil {
			conn.Release()
		}
		return nil, ErrClosed
	}
	if err != nil {
		return nil, unreachable(fmt.Errorf("postgres: connect: %w", err))
	}
	return conn, nil
}

// unreachable tells a server that may answer later from one that has refused for good.
func unreachable(err error) error {
	if errors.Is(err, ErrServer) {
		return err
	}
	return interrupted(err, true)
}
