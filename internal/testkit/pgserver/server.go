// Package pgserver starts PostgreSQL servers of Debian's own (测试数据库) for tests and measurements: with their
// files in a folder of their own, and as an operator has them: they synchronise. A server ends with the
// process that has started it, however that ends.
package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// versionMin is the first version that can keep books.
const versionMin = 15

const startWait = 60 * time.Second

// ErrNotInstalled says that there is no server on this machine.
var ErrNotInstalled = errors.New("pgserver: no PostgreSQL server of version 15 or later: apt-get install postgresql")

// Server is one server. Its process may be killed and started again.
type Server struct {
	Bin, Dir, Password string
	Port               int
	Settings           []string // as for -c; those of New and the caller's

	process *exec.Cmd
	exited  chan struct{}
	names   atomic.Int64
}

// New makes the files of a server in a folder of its own below the system's for temporary ones, and starts
// it. settings are as for postgres -c.
func New(settings ...string) (*Server, error) {
	bin, err := Binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "shuama-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{Bin: bin, Dir: dir, Password: rand.Text(),
		Settings: append([]string{"fsync=on", "synchronous_commit=on", "max_connections=80", "shared_buffers=256MB", "max_wal_size=4GB", "min_wal_size=4GB"}, settings...)}
	if err := s.init(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, s.Start()
}

// Binaries is the folder of the newest server that is installed; SHUAMA_TEST_POSTGRES names another one.
func Binaries() (string, error) {
	if dir := os.Getenv("SHUAMA_TEST_POSTGRES"); dir != "" {
		return dir, nil
	}
	newest, found := 0, ""
	servers, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	for _, server := range servers {
		dir := filepath.Dir(server)
		if version, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && version > newest {
			newest, found = version, dir
		}
	}
	if newest < versionMin {
		return "", ErrNotInstalled
	}
	return found, nil
}

func (s *Server) init() (err error) {
	if s.Port, err = FreePort(); err != nil {
		return err
	}
	if err := os.WriteFile(s.passwordFile(), []byte(s.Password), 0o600); err != nil {
		return err
	}
	if err := Own(s.Dir, s.passwordFile()); err != nil {
		return err
	}
	_, err = s.Run("initdb", "--username=postgres", "--pwfile="+s.passwordFile(), "--auth=scram-sha-256", "--encoding=UTF8",
		"--locale=C.UTF-8", "--data-checksums", "--no-instructions", s.DataDir())
	return err
}

// NewStandby makes a server that follows s, under a name by which s may wait for it, and starts it.
func (s *Server) NewStandby(name string) (*Server, error) {
	dir, err := os.MkdirTemp("", "shuama-postgres-")
	if err != nil {
		return nil, err
	}
	standby := &Server{Bin: s.Bin, Dir: dir, Password: s.Password, Settings: s.Settings}
	if standby.Port, err = FreePort(); err == nil {
		err = Own(dir)
	}
	if err == nil {
		_, err = s.Run("pg_basebackup", "--pgdata="+standby.DataDir(), "--wal-method=stream", "--checkpoint=fast", "--create-slot", "--slot="+name, "--write-recovery-conf",
			fmt.Sprintf("--dbname=host=127.0.0.1 port=%d user=postgres application_name=%s", s.Port, name))
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return standby, standby.Start()
}

// Set changes a setting of a running server, as ALTER SYSTEM does.
func (s *Server) Set(name, value string) error {
	return errors.Join(s.do("ALTER SYSTEM SET "+name+" = '"+value+"'"), s.do("SELECT pg_reload_conf()"))
}

// Warm lets a server have files for its log, as one has that has run for a day: a new one fills each with zeros
// before it uses it, which would be measured for no commit that comes later.
func (s *Server) Warm() error {
	const pieces, size = 400, 8 << 20
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for range pieces {
		if _, err := conn.Exec(ctx, "SELECT pg_logical_emit_message(false, 'warm', $1::text)", strings.Repeat("0", size)); err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, "CHECKPOINT")
	return err
}

// DataDir is where the server keeps its files.
func (s *Server) DataDir() string { return filepath.Join(s.Dir, "data") }

func (s *Server) passwordFile() string { return filepath.Join(s.Dir, "password") }

// FreePort is a port that nobody listens at now.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// Run runs a program of the server's, as the server's user, and gives what it prints.
func (s *Server) Run(program string, args ...string) (string, error) {
	command := exec.Command(filepath.Join(s.Bin, program), args...)
	command.Dir, command.Env = s.Dir, append(os.Environ(), "PGPASSWORD="+s.Password)
	if err := AsServer(command); err != nil {
		return "", err
	}
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", program, err, output)
	}
	return string(output), nil
}

// Start starts the server and waits until it answers. After a kill, the processes of the old one may
// still be there for a moment: then the new one ends, and is started again.
func (s *Server) Start() error {
	deadline := time.Now().Add(startWait)
	for time.Now().Before(deadline) {
		if err := s.launch(); err != nil {
			return err
		}
		for time.Now().Before(deadline) && !s.hasExited() {
			if s.Answers() {
				return nil
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
	return fmt.Errorf("pgserver: the server does not start:\n%s", log)
}

func (s *Server) launch() error {
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	command := exec.Command(filepath.Join(s.Bin, "postgres"), "-D", s.DataDir(), "-p", strconv.Itoa(s.Port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+s.Dir)
	for _, setting := range s.Settings {
		command.Args = append(command.Args, "-c", setting)
	}
	command.Dir, command.Stdout, command.Stderr = s.Dir, log, log
	exited, err := Launch(command, log)
	s.process, s.exited = command, exited
	return err
}

func (s *Server) hasExited() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// Answers tells whether the server takes connections.
func (s *Server) Answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	return err == nil && conn.Close(ctx) == nil
}

// PID is the server's first process.
func (s *Server) PID() int { return s.process.Process.Pid }

// Kill ends the first process of the server as a power cut would; its children then end by themselves.
func (s *Server) Kill() error {
	err := s.process.Process.Kill()
	<-s.exited
	return err
}

// Remove ends the server and takes its files away.
func (s *Server) Remove() {
	if s.process != nil {
		_ = s.process.Process.Signal(os.Interrupt) // fast shutdown
		<-s.exited
	}
	_ = os.RemoveAll(s.Dir)
}

// URL is a database's address for its superuser.
func (s *Server) URL(database string) string { return s.URLOf("postgres", s.Password, database) }

// URLOf is a database's address for a user.
func (s *Server) URLOf(user, password, database string) string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", user, password, s.Port, database)
}

// Create makes a database of this name from a template, as template0.
func (s *Server) Create(name, template string) error {
	return s.do("CREATE DATABASE " + name + " TEMPLATE " + template)
}

// CreateNew makes an empty database, and gives its name.
func (s *Server) CreateNew() (string, error) {
	name := fmt.Sprintf("new_%d", s.names.Add(1))
	return name, s.Create(name, "template0")
}

// Drop takes a database away, whoever is connected.
func (s *Server) Drop(name string) error { return s.do("DROP DATABASE " + name + " WITH (FORCE)") }

func (s *Server) do(statement string) error {
	return do(context.Background(), s.URL("postgres"), statement)
}

func do(ctx context.Context, url, statement string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

// MakePgbench fills a new database with pgbench's tables, for Pgbench.
func (s *Server) MakePgbench(scale int) error {
	if err := s.Create("pgbench", "template0"); err != nil {
		return err
	}
	_, err := s.Run("pgbench", s.pgbench("-i", "-q", "-s", strconv.Itoa(scale))...)
	return err
}

func (s *Server) pgbench(args ...string) []string {
	return append(append([]string{"--host=" + s.Dir, "--port=" + strconv.Itoa(s.Port), "--username=postgres"}, args...), "pgbench")
}

// Pgbench measures transactions a second of pgbench's TPC-B, prepared, 16 clients: what everybody has.
func (s *Server) Pgbench(seconds int) (float64, error) {
	output, err := s.Run("pgbench", s.pgbench("-c", "16", "-j", "2", "-M", "prepared", "-T", strconv.Itoa(seconds))...)
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`tps = ([0-9.]+)`).FindStringSubmatch(output)
	if found == nil {
		return 0, fmt.Errorf("pgserver: pgbench says no rate:\n%s", output)
	}
	return strconv.ParseFloat(found[1], 64)
}
