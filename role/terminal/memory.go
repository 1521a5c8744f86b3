package terminal

import (
	"container/heap"
	"sync"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

const (
	// marginSec is how much longer than any clock within the policy could take it a code stays known,
	// in seconds. A clock that runs ahead and is set right takes codes a second time that were over by
	// it: the code must still be known then.
	marginSec = 3600

	// strideSec is the most that the memory's own time goes on between two taps, in seconds: a clock
	// that jumps a day ahead makes the memory older by a minute.
	strideSec = 60
)

// memory is the codes that were accepted here and could still be shown again. It is bounded: when it
// is full of codes that still hold, it says so, and forgets none of them.
//
// The terminal's clock may jump ahead and be set back, so `now` alone lets it forget nothing. A code
// goes in two cases only: it was over an hour ago by the memory's own time, which follows the highest
// clock seen and never by more than a minute a tap; or the memory is full, and then the code that is
// over the longest makes room for the new one. What is left to an attacker: to have the clock set
// back by more than the hour, or to run it ahead while a full memory's worth of other riders taps.
type memory struct {
	mutex   sync.Mutex
	count   int
	codes   map[ridecode.ID]*known
	queue   overQueue
	riders  riders
	highest int64 // Unix time, the latest that was seen
	passed  int64 // the memory's own time, in seconds
}

type answer int

const (
	claimed answer = iota
	seen
	tooSoon
	full
)

func newMemory(count int) *memory {
	return &memory{count: count, codes: make(map[ridecode.ID]*known), riders: newRiders(count)}
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
	if _, isKnown := m.codes[tap.id]; isKnown {
		return seen
	}
	now := tap.at.Unix()
	if last, rode := m.riders.last(tap.rider); rode && now-last < againSec && now >= last {
		return tooSoon
	}
	m.pass(now)
	m.riders.forget(m.passed - againSec - marginSec)
	if !m.makeRoom(now) {
		return full
	}
	m.remember(tap)
	return claimed
}

// recall remembers a tap of before a restart. The time of its record decides what is over, and not
// now, which may be ahead; only a memory that would be full otherwise drops what is over by now. The
// rider is remembered in any case: his wait has nothing to do with how long the code holds.
func (m *memory) recall(tap tapped, now int64) answer {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	at := tap.at.Unix()
	m.pass(at)
	m.riders.put(tap.rider, at, m.passed)
	if _, isKnown := m.codes[tap.id]; isKnown {
		return seen
	}
	if !m.makeRoom(max(at, now)) {
		return full
	}
	m.remember(tap)
	return claimed
}

// release forgets a claim whose record was not kept.
func (m *memory) release(tap tapped) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if code, isKnown := m.codes[tap.id]; isKnown {
		heap.Remove(&m.queue, code.place)
		delete(m.codes, tap.id)
	}
	m.riders.release(tap.rider, tap.at.Unix())
}

// pass lets the memory's own time go on. A clock below the highest is one that was set back, or
// another reader's a moment before: neither makes anything older.
func (m *memory) pass(now int64) {
	if now > m.highest {
		m.passed += min(now-m.highest, strideSec)
		m.highest = now
	}
}

// makeRoom tells whether one code more has its place.
func (m *memory) makeRoom(now int64) bool {
	for len(m.queue) > 0 && m.queue[0].keep < m.passed {
		m.drop()
	}
	if len(m.queue) >= m.count && len(m.queue) > 0 && m.queue[0].until < now {
		m.drop()
	}
	return len(m.queue) < m.count
}

func (m *memory) drop() {
	delete(m.codes, heap.Pop(&m.queue).(*known).id)
}

func (m *memory) remember(tap tapped) {
	at, until := tap.at.Unix(), tap.until.Unix()
	code := &known{id: tap.id, until: until, keep: m.passed + max(until-at, 0) + marginSec}
	m.codes[tap.id] = code
	heap.Push(&m.queue, code)
	m.riders.put(tap.rider, at, m.passed)
}

// known is one accepted code.
type known struct {
	id    ridecode.ID
	until int64 // Unix time, last second at which the code could be accepted
	keep  int64 // the memory's own time, up to which the code stays known while there is room
	place int   // in the queue
}

// overQueue has the code that is over first in front.
type overQueue []*known

func (q overQueue) Len() int           { return len(q) }
func (q overQueue) Less(i, j int) bool { return q[i].until < q[j].until }
func (q overQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}
func (q *overQueue) Push(x any) {
	code := x.(*known)
	code.place = len(*q)
	*q = append(*q, code)
}
func (q *overQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil // or the array behind would hold it
	*q = old[:len(old)-1]
	return last
}
