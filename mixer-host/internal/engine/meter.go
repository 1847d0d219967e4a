package engine

import (
	"math"
	"sync"

	"github.com/openvideobox/videobox/internal/level"
)

// Levels is what the control page shows of a sound.
type Levels struct {
	level.Values
	Peak float64 `json:"peak_dbfs"` // sample peak of the last 100 ms or less
}

// meter measures a sound, for one writer and many readers.
type meter struct {
	mu     sync.Mutex
	level  *level.Meter
	peak   int // since the values were made
	values Levels
	filled int // samples since then
}

func newMeter() *meter {
	m := &meter{level: level.New(0)}
	m.values = Levels{Values: m.level.Values(), Peak: level.Floor}
	return m
}

const meterStep = 4800 // samples of 100 ms, the meter's own step

// Write takes interleaved samples.
func (m *meter) Write(pcm []int16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.level.Write(pcm)
	for _, v := range pcm {
		m.peak = max(m.peak, int(v), -int(v))
	}
	if m.filled += len(pcm) / 2; m.filled >= meterStep {
		m.values = Levels{Values: m.level.Values(), Peak: level.Floor}
		if m.peak > 0 {
			m.values.Peak = 20 * math.Log10(float64(m.peak)/32768)
		}
		m.filled, m.peak = 0, 0
	}
}

func (m *meter) Levels() Levels {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values
}

// Levels are the sources' by role, before their volume, and the mix's as "mix".
func (e *Engine) Levels() map[string]Levels {
	l := map[string]Levels{"mix": e.meter.Levels()}
	for _, in := range e.sources {
		l[in.Role()] = in.meter.Levels()
	}
	return l
}
