package metrics

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
)

// DefaultStall is for how long a hop may carry nothing before it says so. It is
// above the 1 s between keyframes and the 2 s of an HLS segment need their own.
const DefaultStall = 2 * time.Second

// HopCounter counts what passes a hop. Its methods may be called from any
// goroutine and don't allocate; the counting ones take no lock but four times a
// second, for the rates.
type HopCounter struct {
	name, direction, kind string
	clock                 clock.Clock
	created               int64

	address    atomic.Pointer[string]
	bytes      atomic.Uint64
	frames     atomic.Uint64
	dropped    atomic.Uint64
	continuity atomic.Uint64
	readers    atomic.Int64
	serving    atomic.Bool // readers are counted: with none, nothing needs to flow
	idle       atomic.Bool
	last       atomic.Int64 // when data last passed, by clock.Elapsed; 0 never
	latency    atomic.Int64 // ns; negative unknown
	stall      atomic.Int64 // ns; 0 never
	stalled    atomic.Pointer[State]
	set        atomic.Pointer[verdict]
	rate       rate
}

type verdict struct {
	state State
	cause string
}

func newHop(c clock.Clock, name, direction, kind, address string) *HopCounter {
	h := &HopCounter{name: name, direction: direction, kind: kind, clock: c, created: clock.Elapsed(c)}
	h.rate.next.Store(h.created)
	h.latency.Store(-1)
	h.SetAddress(address)
	h.set.Store(&verdict{state: OK})
	if direction == "out" {
		h.SetStall(DefaultStall, Failed)
	} else {
		h.SetStall(DefaultStall, Degraded)
	}
	return h
}

// Add counts bytes that passed.
func (h *HopCounter) Add(bytes int) {
	now := clock.Elapsed(h.clock)
	h.rate.tick(now, h.bytes.Load(), h.frames.Load())
	h.bytes.Add(uint64(bytes))
	h.last.Store(now)
}

// Frame counts a frame whose oldest live input was captured at capture, UTC ns;
// 0 means nothing live is in it, and the latency becomes unknown.
func (h *HopCounter) Frame(capture int64) {
	h.Again()
	if capture == 0 {
		h.latency.Store(-1)
		return
	}
	h.latency.Store(max(h.clock.Now()-capture, 0))
}

// Again counts a frame that shows what the one before showed: the latency stays
// that of the newest frame that was new.
func (h *HopCounter) Again() {
	now := clock.Elapsed(h.clock)
	h.rate.tick(now, h.bytes.Load(), h.frames.Load())
	h.frames.Add(1)
	h.last.Store(now)
}

// Drop counts frames, packets or readers that were given up.
func (h *HopCounter) Drop(n int) { h.dropped.Add(uint64(n)) }

// ContinuityError counts breaks of the TS continuity counter.
func (h *HopCounter) ContinuityError(n int) { h.continuity.Add(uint64(n)) }

// AddReaders changes the number of readers by n. From the first call on the hop
// is one that serves readers, and may be silent while there are none.
func (h *HopCounter) AddReaders(n int) {
	h.readers.Add(int64(n))
	h.serving.Store(true)
}

// SetReaders sets the number of readers, as AddReaders does.
func (h *HopCounter) SetReaders(n int) {
	h.readers.Store(int64(n))
	h.serving.Store(true)
}

// SetAddress sets what is at the other end, or where the hop listens.
func (h *HopCounter) SetAddress(address string) { h.address.Store(&address) }

// SetState sets what the program knows of the hop. The hop shows it, or that
// nothing passes when that is worse. OK needs no cause.
func (h *HopCounter) SetState(state State, cause string) {
	if v := h.set.Load(); v.state == state && v.cause == cause {
		return
	}
	h.set.Store(&verdict{state, cause})
}

// SetStall sets for how long the hop may carry nothing, and what it is then;
// 0 lets it be silent for ever. At first it is two seconds, then an input is
// degraded and an output failed.
func (h *HopCounter) SetStall(after time.Duration, state State) {
	h.stalled.Store(&state)
	h.stall.Store(int64(after))
}

// SetIdle says that nothing is expected to pass, for as long as it is true.
func (h *HopCounter) SetIdle(idle bool) { h.idle.Store(idle) }

// Snapshot is the hop as it is now.
func (h *HopCounter) Snapshot() Hop {
	now := clock.Elapsed(h.clock)
	s := Hop{
		Name: h.name, Direction: h.direction, Kind: h.kind, Address: *h.address.Load(),
		Bytes: h.bytes.Load(), Frames: h.frames.Load(),
		Dropped: h.dropped.Load(), ContinuityErrors: h.continuity.Load(),
		Readers: int(h.readers.Load()), LatencyMS: -1, AgeMS: -1,
	}
	bytes, frames := h.rate.per(now, s.Bytes, s.Frames)
	s.BitsPerSecond, s.FramesPerSecond = 8*bytes, frames
	if l := h.latency.Load(); l >= 0 {
		s.LatencyMS = milliseconds(l)
	}
	last := h.last.Load()
	if last != 0 {
		s.AgeMS = milliseconds(max(now-last, 0))
	}
	v := h.verdict(now, last)
	s.State, s.Cause = v.state, v.cause
	return s
}

func (h *HopCounter) verdict(now, last int64) verdict {
	v, stall := *h.set.Load(), h.stall.Load()
	if h.idle.Load() || stall == 0 || h.serving.Load() && h.readers.Load() <= 0 {
		return v
	}
	found := verdict{state: OK}
	silent := now - max(last, h.created)
	switch {
	case silent > stall:
		found = verdict{*h.stalled.Load(), fmt.Sprintf("no data for %.1f s", float64(silent)/1e9)}
	case last == 0:
		found = verdict{Starting, "no data yet"}
	}
	if found.state.Worse(v.state) {
		return found
	}
	return v
}

func milliseconds(ns int64) float64 { return float64(ns/1000) / 1000 }
