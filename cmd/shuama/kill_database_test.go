package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shuama/shuama/internal/testkit/pgserver"
)

// Two servers work on one database while merchants settle, and a hundred times something dies: one of them, both,
// the database, everything at once as in a power cut, or the network between them. No trade is lost, none is paid
// twice, what was answered stays answered, and the books are proven. Books that claim numbers in a transaction of
// their own have one more place to be cut.
func TestSiege(t *testing.T) {
	t.Run("default", func(t *testing.T) { besiege(t, 60) })
	t.Run("claims apart", func(t *testing.T) { besiege(t, 40, "--claims-apart", "--buckets", "5") })
}

func besiege(t *testing.T, rounds int, layout ...string) {
	database, err := pgserver.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Remove)
	name, err := database.CreateNew()
	if err != nil {
		t.Fatal(err)
	}
	line := newWire(t, fmt.Sprintf("127.0.0.1:%d", database.Port))
	s := &siege{t: t, database: database, line: line, random: rand.New(rand.NewPCG(5, 5)), count: map[string]int{}}
	s.killing = newKilling(t, 2, strings.Replace(database.URL(name), fmt.Sprint(":", database.Port, "/"), fmt.Sprint(":", line.port(), "/"), 1), layout...)
	for _, server := range s.servers {
		server.start()
	}
	stop := s.load()
	for range rounds {
		s.strike()
	}
	stop()
	for _, server := range s.servers {
		server.kill()
	}
	s.prove(rounds)
	t.Logf("struck: %v", s.count)
}

type siege struct {
	*killing
	t        *testing.T
	database *pgserver.Server
	line     *wire
	random   *rand.Rand
	count    map[string]int
}

// strike waits for some answers, so that every blow meets work, and lets something die.
func (s *siege) strike() {
	s.awaitAnswers(1 + s.random.IntN(40))
	blows := []struct {
		name string
		do   func()
	}{{"one server", s.oneServer}, {"both servers", s.bothServers}, {"database", s.killDatabase}, {"everything", s.powerCut},
		{"network", s.cutNetwork}, {"network stands still", s.stillNetwork}}
	blow := blows[s.random.IntN(len(blows))]
	s.count[blow.name]++
	blow.do()
}

// awaitAnswers waits for so many answers more.
func (s *siege) awaitAnswers(more int) {
	answers := func() (count int) {
		s.note(func() { count = s.answers })
		return count
	}
	for until := answers() + more; answers() < until; time.Sleep(time.Millisecond) {
		if s.t.Context().Err() != nil {
			s.t.Fatal("no answers any more")
		}
	}
}

func (s *siege) oneServer() {
	server := s.servers[s.random.IntN(len(s.servers))]
	server.kill()
	server.start()
}

func (s *siege) bothServers() {
	for _, server := range s.servers {
		server.kill()
	}
	for _, server := range s.servers {
		server.start()
	}
}

func (s *siege) killDatabase() {
	s.must(s.database.Kill())
	s.must(s.database.Start())
}

func (s *siege) powerCut() {
	s.must(s.database.Kill())
	for _, server := range s.servers {
		server.kill()
	}
	s.must(s.database.Start())
	for _, server := range s.servers {
		server.start()
	}
}

func (s *siege) cutNetwork() {
	s.line.cut()
	time.Sleep(time.Duration(s.random.IntN(100)) * time.Millisecond)
	s.line.mend()
}

func (s *siege) stillNetwork() {
	s.line.hold()
	time.Sleep(time.Duration(s.random.IntN(300)) * time.Millisecond)
	s.line.cut() // what lay in it is lost
	s.line.mend()
}

func (s *siege) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// wire is the network between servers and database: it can be cut, and it can stand still.
type wire struct {
	listener net.Listener
	to       string
	broken   atomic.Bool
	still    atomic.Bool

	mutex sync.Mutex
	ends  map[net.Conn]bool
}

func newWire(t *testing.T, to string) *wire {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &wire{listener: listener, to: to, ends: map[net.Conn]bool{}}
	t.Cleanup(func() { listener.Close(); l.cut() })
	go l.serve()
	return l
}

func (l *wire) port() int { return l.listener.Addr().(*net.TCPAddr).Port }

func (l *wire) serve() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.to)
		if err != nil || l.broken.Load() {
			near.Close()
			if err == nil {
				far.Close()
			}
			continue
		}
		l.note(near, far)
		go l.carry(near, far)
		go l.carry(far, near)
	}
}

func (l *wire) note(ends ...net.Conn) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, end := range ends {
		l.ends[end] = true
	}
}

// carry carries one direction until either end is closed; while the wire stands still, nothing arrives.
func (l *wire) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 32*1024)
	for {
		n, err := from.Read(buffer)
		for l.still.Load() && !l.broken.Load() {
			time.Sleep(time.Millisecond)
		}
		if n > 0 && !l.broken.Load() {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err == io.EOF || err != nil {
			return
		}
	}
}

func (l *wire) hold() { l.still.Store(true) }

// cut breaks every connection, and every new one, until mend.
func (l *wire) cut() {
	l.broken.Store(true)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for end := range l.ends {
		end.Close()
		delete(l.ends, end)
	}
}

func (l *wire) mend() {
	l.still.Store(false)
	l.broken.Store(false)
}
