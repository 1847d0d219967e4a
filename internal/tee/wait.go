package tee

import "slices"

// waiter is woken by the next publish, or by the ring's end.
type waiter struct {
	wake   chan struct{} // of one element: waking never blocks and is never lost
	queued bool          // in ring.waiting; guarded by ring.mu
}

func newWaiter() waiter { return waiter{wake: make(chan struct{}, 1)} }

func (w *waiter) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// enqueue and the others need ring.mu.
func (r *Ring) enqueue(w *waiter) {
	if !w.queued {
		w.queued = true
		r.waiting = append(r.waiting, w)
	}
}

func (r *Ring) dequeue(w *waiter) {
	if w.queued {
		w.queued = false
		i := slices.Index(r.waiting, w)
		last := len(r.waiting) - 1
		r.waiting[i], r.waiting[last] = r.waiting[last], nil
		r.waiting = r.waiting[:last]
	}
}

func (r *Ring) wakeAll() {
	for i, w := range r.waiting {
		w.queued = false
		w.poke()
		r.waiting[i] = nil
	}
	r.waiting = r.waiting[:0]
}
