package gateway

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// maxConnections bounds the connections of one server, some 20 KB each while they are idle.
const maxConnections = 20_000

// crowd keeps the connections of a server within a bound. Who comes beyond it takes the place of whoever has been
// idle longest, so that a crowd that only waits shuts nobody out; where all are busy, the new one is closed.
type crowd struct {
	max int

	mutex sync.Mutex
	open  map[net.Conn]*list.Element // its place among the idle; nil while it is busy
	idle  *list.List                 // of net.Conn, the longest idle in front
}

func newCrowd(max int) *crowd {
	return &crowd{max: max, open: map[net.Conn]*list.Element{}, idle: list.New()}
}

// follow is http.Server.ConnState.
func (c *crowd) follow(conn net.Conn, state http.ConnState) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if place := c.open[conn]; place != nil {
		c.idle.Remove(place)
	}
	switch state {
	case http.StateNew, http.StateActive:
		c.open[conn] = nil
	case http.StateIdle:
		c.open[conn] = c.idle.PushBack(conn)
	default:
		delete(c.open, conn)
	}
	if state == http.StateNew && len(c.open) > c.max {
		c.makeRoom(conn)
	}
}

// makeRoom closes a connection; its own goroutine then tells follow that it is gone.
func (c *crowd) makeRoom(newcomer net.Conn) {
	victim := newcomer
	if longest := c.idle.Front(); longest != nil {
		victim = c.idle.Remove(longest).(net.Conn)
	}
	delete(c.open, victim)
	victim.Close()
}
