package pgserver

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrNoPatroni says that what a cluster needs is not on this machine.
var ErrNoPatroni = errors.New("pgserver: no patroni or no etcd: apt-get install patroni etcd-server")

// Machines is a cluster of PostgreSQL servers under Patroni, strictly synchronous, with one etcd: as an operator has
// it, only that all of its machines are folders of this one.
type Machines struct {
	Dir, Bin, Password string
	etcd               *exec.Cmd
	etcdPort           int
	machines           []*Machine
}

// Machine is a Patroni with its PostgreSQL.
type Machine struct {
	Name           string
	port, restPort int
	dir            string
	process        *exec.Cmd
	exited         chan struct{}
}

const (
	clusterWait = 2 * time.Minute
	lookEvery   = 50 * time.Millisecond
)

// NewMachines starts so many machines, and waits until one leads and the others follow it.
func NewMachines(count int) (*Machines, error) {
	bin, err := Binaries()
	if err != nil {
		return nil, err
	}
	for _, program := range []string{"patroni", "etcd"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, ErrNoPatroni
		}
	}
	dir, err := os.MkdirTemp("", "shuama-patroni-")
	if err != nil {
		return nil, err
	}
	m := &Machines{Dir: dir, Bin: bin, Password: rand.Text()}
	err = errors.Join(Own(dir), m.startEtcd())
	for n := 0; err == nil && n < count; n++ {
		err = m.add(fmt.Sprintf("machine%d", n+1))
	}
	if err == nil {
		err = m.WaitWhole()
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, m.logs())
		m.Remove()
		return nil, err
	}
	return m, nil
}

func (m *Machines) startEtcd() (err error) {
	if m.etcdPort, err = FreePort(); err != nil {
		return err
	}
	peerPort, err := FreePort()
	if err != nil {
		return err
	}
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", m.etcdPort), fmt.Sprintf("http://127.0.0.1:%d", peerPort)
	m.etcd = exec.Command("etcd", "--name=etcd", "--data-dir="+filepath.Join(m.Dir, "etcd"), "--listen-client-urls="+client,
		"--advertise-client-urls="+client, "--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=etcd="+peer)
	_, err = m.launch(m.etcd, "etcd.log")
	return err
}

func (m *Machines) launch(command *exec.Cmd, logName string) (chan struct{}, error) {
	log, err := os.OpenFile(filepath.Join(m.Dir, logName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	command.Dir, command.Stdout, command.Stderr = m.Dir, log, log
	command.Env = append(os.Environ(), "HOME="+m.Dir, "LC_ALL=C.UTF-8")
	return Launch(command, log)
}

func (m *Machines) add(name string) (err error) {
	machine := &Machine{Name: name, dir: filepath.Join(m.Dir, name)}
	if machine.port, err = FreePort(); err != nil {
		return err
	}
	if machine.restPort, err = FreePort(); err != nil {
		return err
	}
	if err := os.Mkdir(machine.dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(machine.settings(), []byte(m.settingsOf(machine)), 0o600); err != nil {
		return err
	}
	if err := Own(machine.dir, machine.settings()); err != nil {
		return err
	}
	m.machines = append(m.machines, machine)
	return m.Start(machine)
}

func (p *Machine) settings() string { return filepath.Join(p.dir, "patroni.yml") }

// settingsOf is a patroni.yml, as docs/OPERATIONS.md has it but for what a test must hurry.
func (m *Machines) settingsOf(p *Machine) string {
	return strings.NewReplacer("{name}", p.Name, "{dir}", p.dir, "{bin}", m.Bin, "{port}", strconv.Itoa(p.port), "{rest}", strconv.Itoa(p.restPort),
		"{etcd}", strconv.Itoa(m.etcdPort), "{password}", m.Password).Replace(`scope: shuama
name: {name}
restapi: {listen: "127.0.0.1:{rest}", connect_address: "127.0.0.1:{rest}"}
etcd3: {host: "127.0.0.1:{etcd}"}
bootstrap:
  dcs:
    ttl: 6
    loop_wait: 1
    retry_timeout: 2
    synchronous_mode: true
    synchronous_mode_strict: true
    maximum_lag_on_failover: 0
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters: {synchronous_commit: "on", fsync: "on", full_page_writes: "on", wal_log_hints: "on", max_connections: 60, shared_buffers: 64MB, max_wal_size: 2GB, wal_retrieve_retry_interval: 500ms}
  initdb: [{encoding: UTF8}, {locale: C.UTF-8}, {auth: scram-sha-256}, data-checksums]
postgresql:
  listen: "127.0.0.1:{port}"
  connect_address: "127.0.0.1:{port}"
  data_dir: {dir}/data
  bin_dir: {bin}
  pgpass: {dir}/pgpass
  authentication:
    superuser: {username: postgres, password: "{password}"}
    replication: {username: replicator, password: "{password}"}
    rewind: {username: rewinder, password: "{password}"}
  parameters: {unix_socket_directories: "{dir}"}
  pg_hba: ["local all all scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256"]
  remove_data_directory_on_rewind_failure: true
  remove_data_directory_on_diverged_timelines: true
`)
}

// Start starts a machine that is off.
func (m *Machines) Start(p *Machine) (err error) {
	p.process = exec.Command("patroni", p.settings())
	p.exited, err = m.launch(p.process, p.Name+".log")
	return err
}

// Kill ends all of a machine at once, as its plug does.
func (m *Machines) Kill(p *Machine) error {
	postmaster, err := p.findPostmaster()
	if err != nil {
		return err
	}
	killed := errors.Join(p.process.Process.Kill(), killTree(postmaster))
	<-p.exited
	return killed
}

func (p *Machine) findPostmaster() (int, error) {
	b, err := os.ReadFile(filepath.Join(p.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(b), "\n")
	return strconv.Atoi(first)
}

// killTree stops a process first, so that it hears of no child's end.
func killTree(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	for _, child := range childrenOf(pid) {
		_ = syscall.Kill(child, syscall.SIGKILL) // it may have ended by itself
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

func childrenOf(parent int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(b), ") ")
		fields := strings.Fields(rest)
		if err != nil || len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// member is how Patroni's REST tells of a machine.
type member struct {
	Name  string `json:"name"`
	Role  string `json:"role"`
	State string `json:"state"`
}

// members asks the machines, until one answers.
func (m *Machines) members() (members []member) {
	client := http.Client{Timeout: 2 * time.Second}
	for _, p := range m.machines {
		response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/cluster", p.restPort))
		if err != nil {
			continue
		}
		var all struct {
			Members []member `json:"members"`
		}
		err = errors.Join(json.NewDecoder(response.Body).Decode(&all), response.Body.Close())
		if err == nil {
			return all.Members
		}
	}
	return nil
}

// Leader is the machine that leads now; nil where none does.
func (m *Machines) Leader() *Machine {
	for _, told := range m.members() {
		for _, p := range m.machines {
			if p.Name == told.Name && told.Role == "leader" && told.State == "running" {
				return p
			}
		}
	}
	return nil
}

// WaitWhole waits until one machine leads, one is its synchronous standby, and all others follow.
func (m *Machines) WaitWhole() error {
	for deadline := time.Now().Add(clusterWait); time.Now().Before(deadline); time.Sleep(lookEvery) {
		roles := map[string]int{}
		for _, told := range m.members() {
			if told.State == "running" || told.State == "streaming" {
				roles[told.Role]++
			}
		}
		if roles["leader"] == 1 && roles["sync_standby"] >= 1 && roles["leader"]+roles["sync_standby"]+roles["replica"] == len(m.machines) {
			return nil
		}
	}
	return fmt.Errorf("pgserver: the machines do not come together: %+v", m.members())
}

// URL is the address of a database on whichever machine leads.
func (m *Machines) URL(database string) string {
	hosts := make([]string, len(m.machines))
	for i, p := range m.machines {
		hosts[i] = fmt.Sprintf("127.0.0.1:%d", p.port)
	}
	return fmt.Sprintf("postgres://postgres:%s@%s/%s?sslmode=disable&target_session_attrs=read-write&connect_timeout=2", m.Password, strings.Join(hosts, ","), database)
}

// Create makes a database on the leader, and waits until all machines have it: a client that meets one without it
// looks no further.
func (m *Machines) Create(ctx context.Context, name string) error {
	if err := do(ctx, m.URL("postgres"), "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		return err
	}
	for _, p := range m.machines {
		for do(ctx, p.url(m.Password, name), "SELECT 1") != nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(lookEvery):
			}
		}
	}
	return nil
}

func (p *Machine) url(password, database string) string {
	return fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%d/%s?sslmode=disable", password, p.port, database)
}

// Remove ends all machines, and takes their files away.
func (m *Machines) Remove() {
	for _, p := range m.machines {
		if p.process != nil && p.process.Process != nil {
			_ = m.Kill(p) // a machine that is off already has nothing to kill
			_ = p.process.Process.Kill()
		}
	}
	if m.etcd != nil && m.etcd.Process != nil {
		_ = m.etcd.Process.Kill()
	}
	_ = os.RemoveAll(m.Dir)
}

// logs is the end of what all programs have said.
func (m *Machines) logs() string {
	var all strings.Builder
	names, _ := filepath.Glob(filepath.Join(m.Dir, "*.log"))
	for _, name := range names {
		b, _ := os.ReadFile(name)
		fmt.Fprintf(&all, "== %s\n%s\n", filepath.Base(name), b[max(0, len(b)-3000):])
	}
	return all.String()
}
