package engine

import (
	"math"
	"sync"
)

// meter measures a sound for the control page and for alarms.
type meter struct {
	mu   sync.Mutex
	peak int
}

func newMeter() *meter { return &meter{} }

// Write takes interleaved samples.
func (m *meter) Write(pcm []int16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range pcm {
		m.peak = max(m.peak, int(v), -int(v))
	}
}

var _ = math.Inf
