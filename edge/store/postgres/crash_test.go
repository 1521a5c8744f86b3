package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/shuama/shuama/ledger"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/storetest"
)

const (
	crashRounds  = 12
	crashWriters = 4
	crashBatch   = 3
	killTime     = 3 * time.Second // of the test that kills connections
	startWait    = time.Minute
)

// crashLoad is writers that sell number after number, each its own, and repeat what has failed, as callers do.
type crashLoad struct {
	books        payment.Store
	next         atomic.Int64
	mu           sync.Mutex
	acknowledged map[int]bool
	begun        map[int]bool
	unknown      int
}

// sell sells batches until stop is closed. patient writers repeat a batch until it is acknowledged.
func (l *crashLoad) sell(ctx context.Context, stop <-chan struct{}, patient bool) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		first := int(l.next.Add(crashBatch)) - crashBatch
		numbers := []int{first, first + 1, first + 2}
		l.note(l.begun, numbers)
		_, err := storetest.Sell(ctx, l.books, numbers...)
		for patient && err != nil && ctx.Err() == nil {
			l.countUnknown()
			_, err = storetest.Sell(ctx, l.books, numbers...)
		}
		if err != nil {
			return
		}
		l.note(l.acknowledged, numbers)
	}
}

func (l *crashLoad) countUnknown() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unknown++
}

func (l *crashLoad) note(into map[int]bool, numbers []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range numbers {
		into[n] = true
	}
}

func newCrashLoad(t *testing.T, books payment.Store) *crashLoad {
	t.Helper()
	if err := storetest.Furnish(t.Context(), books); err != nil {
		t.Fatal(err)
	}
	return &crashLoad{books: books, acknowledged: map[int]bool{}, begun: map[int]bool{}}
}

// during runs the writers while disturb runs, and ends them.
func (l *crashLoad) during(t *testing.T, patient bool, disturb func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for range crashWriters {
		wait.Go(func() { l.sell(ctx, stop, patient) })
	}
	disturb()
	close(stop)
	if !patient {
		cancel() // nobody waits for a server that is gone
	}
	wait.Wait()
}

// count is how many were acknowledged.
func (l *crashLoad) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

// waitFor waits until so many were acknowledged.
func (l *crashLoad) waitFor(t *testing.T, count int) {
	t.Helper()
	for deadline := time.Now().Add(startWait); l.count() < count; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is sold any more")
		}
	}
}

// check holds what is stored against what was acknowledged: all of that, and nothing that was never asked
// for.
func (l *crashLoad) check(t *testing.T) {
	t.Helper()
	auditClean(t, l.books)
	end := int(l.next.Load())
	sold, err := storetest.Sold(t.Context(), l.books, end)
	if err != nil {
		t.Fatal(err)
	}
	for n := range end {
		_, stored := sold[n]
		if l.acknowledged[n] && !stored {
			t.Fatalf("number %d was acknowledged, and is not stored", n)
		}
		if stored && !l.begun[n] {
			t.Fatalf("number %d is stored, and nobody has sold it", n)
		}
	}
}

// A server that is killed at any moment, whole or one of its processes, loses nothing that was acknowledged
// and leaves nothing by half.
func TestServerKilled(t *testing.T) {
	c := newCluster(t)
	db := openURL(t, c.URL(c.emptyBooks(t)))
	load := newCrashLoad(t, db.Payment())
	for round := range crashRounds {
		before := len(load.acknowledged)
		load.during(t, false, func() {
			load.waitFor(t, before+1+rand.IntN(30*crashBatch))
			if round%3 == 2 {
				c.killBackend(t)
				return
			}
			c.must(t, c.Kill())
			c.must(t, c.Start())
		})
		load.check(t)
		if len(load.acknowledged) == before {
			t.Errorf("round %d interrupted nothing: nothing was sold in it", round)
		}
	}
	t.Logf("%d sales acknowledged, %d begun, over %d kills", len(load.acknowledged), len(load.begun), crashRounds)
}

// killBackend kills one process of the server, whereupon the others restart as after a crash.
func (c *cluster) killBackend(t *testing.T) {
	t.Helper()
	var pid int
	err := c.connect(t, "postgres").QueryRow(t.Context(), "SELECT pid FROM pg_stat_activity WHERE datname LIKE 'books%' ORDER BY random() LIMIT 1").Scan(&pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	deadline := time.Now().Add(startWait)
	for !c.Answers() {
		if time.Now().After(deadline) {
			t.Fatal("the server did not come back")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Connections that are cut again and again, by the server: every sale arrives once, with no more than
// repeating what was answered with an error.
func TestConnectionsKilled(t *testing.T) {
	c := commonCluster(t)
	name := c.emptyBooks(t)
	load := newCrashLoad(t, openURL(t, c.URL(name)).Payment())
	killer := c.connect(t, "postgres")
	kills := 0
	load.during(t, true, func() {
		for end := time.Now().Add(killTime); time.Now().Before(end); {
			var killed int
			err := killer.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
				WHERE datname = $1 AND state <> 'idle' ORDER BY random() LIMIT 1) AS busy`, name).Scan(&killed)
			if err != nil {
				t.Fatal(err)
			}
			kills += killed
			time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
		}
	})
	load.check(t)
	if len(load.acknowledged) != len(load.begun) || kills < 50 {
		t.Errorf("%d of %d acknowledged, %d connections killed", len(load.acknowledged), len(load.begun), kills)
	}
	t.Logf("%d sales, %d connections killed, %d updates repeated by the caller", len(load.acknowledged), kills, load.unknown)
}

// A page that the disk has lost, or that came back otherwise, does not pass for the truth.
func TestLostPages(t *testing.T) {
	c := newCluster(t)
	damaged := map[string]string{} // what was done, by database
	var damage []func()
	sold := c.emptyBooks(t)
	soldBooks(t, c.URL(sold))
	c.disconnect(t, sold)
	for _, table := range []string{"account", "claim", "trade", "used_code", "document", "transfer_20260806", "posted"} { // those with rows
		for way, spoil := range map[string]func([]byte){"lost": func(page []byte) { clear(page) }, "changed": func(page []byte) { page[len(page)-1] ^= 1 }} {
			name := c.copyBooks(t, sold)
			path := c.fileOf(t, name, "shuama."+table)
			damage = append(damage, func() { damagePage(t, path, spoil) })
			damaged[name] = "a page of " + table + " was " + way
		}
	}
	script(t, c.connect(t, "postgres"), "CHECKPOINT")
	c.must(t, c.Kill())
	for _, do := range damage {
		do()
	}
	c.must(t, c.Start())
	for name, what := range damaged {
		report, err := openURL(t, c.URL(name)).Payment().Audit(t.Context())
		if err == nil && len(report.Faults) == 0 {
			t.Errorf("%s, and nothing was found", what)
		}
	}
}

// disconnect ends all connections to a database, so that it can be copied.
func (c *cluster) disconnect(t *testing.T, database string) {
	t.Helper()
	script(t, c.connect(t, "postgres"), "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"+database+"'")
}

func (c *cluster) fileOf(t *testing.T, database, table string) (path string) {
	t.Helper()
	if err := c.connect(t, database).QueryRow(t.Context(), "SELECT pg_relation_filepath($1::regclass)", table).Scan(&path); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(c.DataDir(), path)
}

func damagePage(t *testing.T, path string, damage func([]byte)) {
	t.Helper()
	const pageSize = 8192
	content, err := os.ReadFile(path)
	if err != nil || len(content) < pageSize {
		t.Fatalf("%d bytes, %v", len(content), err)
	}
	damage(content[:pageSize])
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// cutter makes connections that break at a chosen statement.
type cutter struct {
	statement string
	before    bool // the statement does not reach the server any more
	armed     atomic.Bool
	dialer    net.Dialer
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: conn, cutter: c}, nil
}

type cutConn struct {
	net.Conn
	cutter *cutter
	silent atomic.Bool // what the server answers is lost
}

var errCut = errors.New("the line was cut")

func (c *cutConn) Write(b []byte) (int, error) {
	if !c.cutter.armed.Load() || !contains(b, c.cutter.statement) || !c.cutter.armed.CompareAndSwap(true, false) {
		return c.Conn.Write(b)
	}
	if c.cutter.before {
		_ = c.Conn.Close()
		return 0, errCut
	}
	c.silent.Store(true)
	return c.Conn.Write(b)
}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.silent.Load() {
		_ = c.Conn.Close()
		return 0, errCut
	}
	return n, err
}

func contains(b []byte, statement string) bool {
	for i := 0; i+len(statement) <= len(b); i++ {
		if string(b[i:i+len(statement)]) == statement {
			return true
		}
	}
	return false
}

// Whatever is cut, before the server has heard it or after, is tried again by the store itself, and
// happens once.
func TestLineCut(t *testing.T) {
	for name, test := range map[string]struct {
		statement string
		before    bool
		decided   int // times, of the update
	}{
		"before the question":       {"shuama.hold", true, 1},
		"after the question":        {"shuama.hold", false, 1},
		"before the commit arrives": {"insert into shuama.transfer", true, 2},
		"after the commit arrives":  {"insert into shuama.transfer", false, 2},
		"before the batch arrives":  {"shuama.settle(", true, 1},
		"after the batch arrives":   {"shuama.settle(", false, 1},
	} {
		t.Run(name, func(t *testing.T) { cutLine(t, &cutter{statement: test.statement, before: test.before}, test.decided) })
	}
}

func cutLine(t *testing.T, line *cutter, decided int) {
	c := commonCluster(t)
	name := c.emptyBooks(t)
	soldBooks(t, c.URL(name))
	config, err := pgxpool.ParseConfig(c.URL(name))
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.DialFunc = line.dial
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe // so that the text of each statement passes by
	db, err := open(t.Context(), config, DefaultLayout())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(t, db) })
	warm, count := 0, 0
	workOnce(t, db.Payment(), 100, &warm) // so that the statements are known
	line.armed.Store(true)
	workOnce(t, db.Payment(), 101, &count)
	if line.armed.Load() {
		t.Fatal("nothing was cut")
	}
	if count != decided {
		t.Errorf("decided %d times, want %d", count, decided)
	}
	workOnce(t, db.Payment(), 101, &count)
	auditClean(t, db.Payment())
	parts, err := db.Payment().Balances(t.Context(), "merchant:metro")
	sum := money.Fen(0)
	for _, part := range parts["merchant:metro"] {
		sum += part.Balance
	}
	if want := money.Fen(6*200 + 2*7 + 2*200); err != nil || sum != want {
		t.Errorf("the merchant has %d fen, want %d; %v", sum, want, err)
	}
}

// workOnce tops a merchant up with 7 fen and settles a sale, both once under their number.
func workOnce(t *testing.T, books *PaymentStore, n int, decided *int) {
	t.Helper()
	key := payment.DocumentKey(fmt.Sprint("once ", n))
	err := books.Update(t.Context(), payment.Need{Documents: []payment.DocumentKey{key}}, func(state payment.State) (payment.Changes, error) {
		*decided++
		if _, done := state.Documents[key]; done {
			return payment.Changes{}, nil
		}
		return payment.Changes{Documents: []payment.Document{{Key: key, ID: state.Free, AmountFen: 7, At: time.Unix(1_800_000_000, 0)}},
			Transfers: []ledger.Transfer{{ID: ledger.TransferID{Document: state.Free}, Debit: payment.OutsideAccount, Credit: "merchant:metro",
				AmountFen: 7, Code: payment.CodeTopUp, Day: 2026_08_06, At: time.Unix(1_800_000_000, 0)}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := storetest.Sell(t.Context(), books, n); err != nil {
		t.Fatal(err)
	}
}
