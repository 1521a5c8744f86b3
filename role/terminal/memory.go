package terminal

import (
	"container/heap"
	"sync"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// memory is the codes that were accepted here and could still be shown again. It is bounded: when it
// is full of codes that still hold, it says so, and forgets none of them.
type memory struct {
	mutex sync.Mutex
	count int
	until map[ridecode.ID]int64 // last second at which the code could be accepted
	queue expiryQueue
}

type answer int

const (
	claimed answer = iota
	seen
	full
)

func newMemory(count int) *memory {
	return &memory{count: count, until: make(map[ridecode.ID]int64)}
}

// claim remembers a code, unless it is known.
func (m *memory) claim(id ridecode.ID, until, now time.Time) answer {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if _, known := m.until[id]; known {
		return seen
	}
	m.forget(now.Unix())
	if len(m.until) >= m.count {
		return full
	}
	m.until[id] = until.Unix()
	heap.Push(&m.queue, expiry{id: id, until: until.Unix()})
	return claimed
}

// release forgets a claim whose record was not kept. Its place in the queue runs out by itself.
func (m *memory) release(id ridecode.ID) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.until, id)
}

func (m *memory) forget(now int64) {
	for len(m.queue) > 0 && m.queue[0].until < now {
		over := heap.Pop(&m.queue).(expiry)
		if m.until[over.id] == over.until {
			delete(m.until, over.id)
		}
	}
}

type expiry struct {
	id    ridecode.ID
	until int64
}

// expiryQueue has the code that is over first in front.
type expiryQueue []expiry

func (q expiryQueue) Len() int           { return len(q) }
func (q expiryQueue) Less(i, j int) bool { return q[i].until < q[j].until }
func (q expiryQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *expiryQueue) Push(x any)        { *q = append(*q, x.(expiry)) }
func (q *expiryQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
