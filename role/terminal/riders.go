package terminal

import (
	"container/list"

	"github.com/shuama/shuama/protocol/ridecode"
)

// riders is when each rider was let through last. It is apart from the codes: a rider may have to wait
// for longer than his code held. It is bounded like them, but where it is full the rider who came
// through the longest ago is dropped: he may ride again early, which is better than a shut gate.
type riders struct {
	count int
	byID  map[ridecode.UserID]*list.Element
	order *list.List // of rider, the latest behind
}

type rider struct {
	id     ridecode.UserID
	at     int64 // Unix time
	passed int64 // the memory's own time
}

func newRiders(count int) riders {
	return riders{count: count, byID: make(map[ridecode.UserID]*list.Element), order: list.New()}
}

func (r *riders) last(id ridecode.UserID) (at int64, rode bool) {
	element, rode := r.byID[id]
	if !rode {
		return 0, false
	}
	return element.Value.(rider).at, true
}

func (r *riders) put(id ridecode.UserID, at, passed int64) {
	if element, rode := r.byID[id]; rode {
		element.Value = rider{id, at, passed}
		r.order.MoveToBack(element)
		return
	}
	if r.order.Len() >= r.count && r.order.Len() > 0 {
		r.drop(r.order.Front())
	}
	r.byID[id] = r.order.PushBack(rider{id, at, passed})
}

// release forgets the ride at that moment, and no later one of the same rider.
func (r *riders) release(id ridecode.UserID, at int64) {
	if element, rode := r.byID[id]; rode && element.Value.(rider).at == at {
		r.drop(element)
	}
}

// forget drops everybody who came through before that moment of the memory's own time.
func (r *riders) forget(before int64) {
	for front := r.order.Front(); front != nil && front.Value.(rider).passed < before; front = r.order.Front() {
		r.drop(front)
	}
}

func (r *riders) drop(element *list.Element) {
	delete(r.byID, element.Value.(rider).id)
	r.order.Remove(element)
}
