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
	mutex  sync.Mutex
	count  int
	until  map[ridecode.ID]int64 // last second at which the code could be accepted
	queue  expiryQueue
	riders map[ridecode.UserID]int64 // when each was let through last; swept with the codes
}

type answer int

const (
	claimed answer = iota
	seen
	tooSoon
	full
)

func newMemory(count int) *memory {
	return &memory{count: count, until: make(map[ridecode.ID]int64), riders: make(map[ridecode.UserID]int64)}
}

// tapped is one acceptance that is to be remembered.
type tapped struct {
	id    ridecode.ID
	rider ridecode.UserID
	at    time.Time // now
	until time.Time // last second at which the code could be accepted
}

// claim remembers a code and its rider, unless the code is known or the rider was let through less
// than againSec ago.
func (m *memory) claim(tap tapped, againSec int64) answer {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if _, known := m.until[tap.id]; known {
		return seen
	}
	now := tap.at.Unix()
	if last, rode := m.riders[tap.rider]; rode && now-last < againSec && now >= last {
		return tooSoon
	}
	m.forget(now)
	if len(m.until) >= m.count || len(m.queue) >= 2*m.count {
		return full
	}
	m.until[tap.id] = tap.until.Unix()
	m.riders[tap.rider] = now
	heap.Push(&m.queue, expiry{id: tap.id, rider: tap.rider, at: now, until: max(tap.until.Unix(), now+againSec)})
	return claimed
}

// release forgets a claim whose record was not kept. Its place in the queue runs out by itself; claim
// bounds the queue, so that a journal that fails for hours fills nothing.
func (m *memory) release(tap tapped) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.until, tap.id)
	delete(m.riders, tap.rider)
}

func (m *memory) forget(now int64) {
	for len(m.queue) > 0 && m.queue[0].until < now {
		over := heap.Pop(&m.queue).(expiry)
		if m.until[over.id] <= over.until {
			delete(m.until, over.id)
		}
		if m.riders[over.rider] == over.at { // not let through since
			delete(m.riders, over.rider)
		}
	}
}

type expiry struct {
	id    ridecode.ID
	rider ridecode.UserID
	at    int64
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
