package cache

import (
	"container/list"
	"sync"
)

// key names a segment.
type key struct {
	room, rendition string
	number          int64
}

// segment is the body of one, with its ETag. It never changes.
type segment struct {
	data []byte
	etag string
}

// store keeps the most recently used segments within a bound of bytes.
type store struct {
	limit int64

	mu      sync.Mutex
	used    int64
	order   *list.List // of *item, most recently used first
	items   map[key]*list.Element
	hits    uint64
	misses  uint64
	evicted uint64
}

type item struct {
	key key
	seg segment
}

// overhead is what an item needs besides its bytes.
const overhead = 512

func newStore(limit int64) *store {
	return &store{limit: limit, order: list.New(), items: make(map[key]*list.Element)}
}

func (s *store) get(k key) (segment, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.items[k]
	if !ok {
		s.misses++
		return segment{}, false
	}
	s.hits++
	s.order.MoveToFront(e)
	return e.Value.(*item).seg, true
}

// peek is get without being counted, nor as a use.
func (s *store) peek(k key) (segment, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.items[k]
	if !ok {
		return segment{}, false
	}
	return e.Value.(*item).seg, true
}

func (s *store) put(k key, seg segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.items[k]; ok {
		return
	}
	s.items[k] = s.order.PushFront(&item{k, seg})
	s.used += int64(len(seg.data)) + overhead
	for s.used > s.limit && s.order.Len() > 1 {
		e := s.order.Back()
		it := s.order.Remove(e).(*item)
		delete(s.items, it.key)
		s.used -= int64(len(it.seg.data)) + overhead
		s.evicted++
	}
}

// Store is what /api/status says of the store.
type Store struct {
	Segments int    `json:"segments"`
	Bytes    int64  `json:"bytes"`
	Limit    int64  `json:"limit"`
	Hits     uint64 `json:"hits"`
	Misses   uint64 `json:"misses"`
	Evicted  uint64 `json:"evicted"`
}

func (s *store) status() Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Store{s.order.Len(), s.used, s.limit, s.hits, s.misses, s.evicted}
}
