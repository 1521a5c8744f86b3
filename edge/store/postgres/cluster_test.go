package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// cluster is a server of Debian's own, with its files in a folder of its own, as an operator has it:
// it synchronises.
type cluster struct {
	bin, dir, password string
	port               int
	process            *exec.Cmd
	exited             chan struct{}
	settings           []string // of the server, as for -c
	names              atomic.Int64
	template           sync.Once
}

const startWait = 60 * time.Second

// common serves all tests that do not kill it.
var common struct {
	once    sync.Once
	cluster *cluster
}

func TestMain(m *testing.M) {
	code := m.Run()
	if common.cluster != nil {
		common.cluster.remove()
	}
	os.Exit(code)
}

func commonCluster(t testing.TB) *cluster {
	t.Helper()
	common.once.Do(func() { common.cluster = newCluster(t) })
	if common.cluster == nil {
		t.Fatal("no server: see the first failure")
	}
	return common.cluster
}

// binaries finds a server of version 15 or later, the newest that is installed.
func binaries(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("SHUAMA_TEST_POSTGRES"); dir != "" {
		return dir
	}
	newest, found := 0, ""
	servers, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	for _, server := range servers {
		dir := filepath.Dir(server)
		if version, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && version > newest {
			newest, found = version, dir
		}
	}
	if newest < 15 {
		t.Fatal("no PostgreSQL server of version 15 or later: apt-get install postgresql")
	}
	return found
}

func newCluster(t testing.TB, settings ...string) *cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "shuama-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{bin: binaries(t), dir: dir, password: rand.Text(),
		settings: append([]string{"fsync=on", "synchronous_commit=on", "max_connections=80", "shared_buffers=256MB", "max_wal_size=4GB"}, settings...)}
	writeFile(t, c.passwordFile(), []byte(c.password))
	own(t, dir, c.passwordFile())
	c.port = freePort(t)
	c.run(t, "initdb", "--username=postgres", "--pwfile="+c.passwordFile(), "--auth=scram-sha-256", "--encoding=UTF8",
		"--locale=C.UTF-8", "--data-checksums", "--no-instructions", c.dataDir())
	c.start(t)
	return c
}

func (c *cluster) dataDir() string      { return filepath.Join(c.dir, "data") }
func (c *cluster) passwordFile() string { return filepath.Join(c.dir, "password") }

func writeFile(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func (c *cluster) run(t testing.TB, program string, args ...string) string {
	t.Helper()
	command := exec.Command(filepath.Join(c.bin, program), args...)
	command.Dir, command.Env = c.dir, append(os.Environ(), "PGPASSWORD="+c.password)
	asServer(t, command)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, output)
	}
	return string(output)
}

// start starts the server and waits until it answers. After a kill, the processes of the old one may
// still be there for a moment: then the new one ends, and is started again.
func (c *cluster) start(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(startWait)
	for time.Now().Before(deadline) {
		c.launch(t)
		for time.Now().Before(deadline) && !c.hasExited() {
			if c.answers() {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
	t.Fatalf("the server does not start:\n%s", log)
}

// launch runs the server as a child that ends with this process, however this process ends.
func (c *cluster) launch(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(c.bin, "postgres"), "-D", c.dataDir(), "-p", strconv.Itoa(c.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+c.dir)
	for _, setting := range c.settings {
		command.Args = append(command.Args, "-c", setting)
	}
	command.Dir, command.Stdout, command.Stderr = c.dir, log, log
	asServer(t, command)
	exited, started := make(chan struct{}), make(chan error)
	go keep(command, started, exited, log)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	c.process, c.exited = command, exited
}

func (c *cluster) hasExited() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

func (c *cluster) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.url("postgres"))
	if err != nil {
		return false
	}
	return conn.Close(ctx) == nil
}

// kill ends the first process of the server as a power cut would; its children then end by themselves.
func (c *cluster) kill(t testing.TB) {
	t.Helper()
	if err := c.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.exited
}

func (c *cluster) remove() {
	if c.process != nil {
		_ = c.process.Process.Signal(os.Interrupt) // fast shutdown
		<-c.exited
	}
	_ = os.RemoveAll(c.dir)
}

func (c *cluster) url(database string) string { return c.urlOf("postgres", c.password, database) }

func (c *cluster) urlOf(user, password, database string) string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", user, password, c.port, database)
}

// connect gives a connection as any other program has it, of a superuser.
func (c *cluster) connect(t testing.TB, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.url(database))
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
		c.newDatabase(t, "books_template", "template0")
		closeAll(t, openURL(t, c.url("books_template")))
	})
	return c.copyBooks(t, "books_template")
}

func (c *cluster) copyBooks(t testing.TB, template string) string {
	t.Helper()
	name := fmt.Sprintf("books_%d", c.names.Add(1))
	c.newDatabase(t, name, template)
	return name
}

func (c *cluster) newDatabase(t testing.TB, name, template string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.url("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	script(t, conn, "CREATE DATABASE "+name+" TEMPLATE "+template)
}

// dropDatabase makes room: a test that opens a hundred books would fill the disk.
func (c *cluster) dropDatabase(t testing.TB, name string) {
	conn, err := pgx.Connect(context.Background(), c.url("postgres"))
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
		t.Error(err)
	}
}

func openURL(t testing.TB, url string) *DB {
	t.Helper()
	db, err := Open(t.Context(), url)
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
