package recording

import (
	"math"
	"slices"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
)

// Kinds of spans.
const (
	NoSignal = "no signal" // the slate is shown; from the stream itself
	Black    = "black"
	Frozen   = "frozen"
	Silent   = "silent"
)

// Span is a time of the stream that shows or sounds other than a talk should.
type Span struct {
	Kind  string    `json:"kind"`
	Start time.Time `json:"start"` // program time
	End   time.Time `json:"end"`   // of the last frame of it
}

// Loudness is of the sound while a file was recorded, by what capture measured.
type Loudness struct {
	Mean     float64 `json:"mean_lufs"` // of the momentary loudness, as power
	Max      float64 `json:"max_lufs"`  // of the momentary loudness
	TruePeak float64 `json:"true_peak_dbtp"`
	Samples  int     `json:"samples"` // measurements
}

// Observation is what somebody who decodes the stream says of it, twice a
// second or so.
type Observation struct {
	Momentary float64 // LUFS
	TruePeak  float64 // dBTP, of the louder channel
	Black     bool
	Frozen    bool
	Silent    bool
}

// Observe takes what capture measures. It counts for the frame recorded next,
// so it may be late by as much as its sender waits. Any goroutine may call it.
func (r *Recorder) Observe(o Observation) {
	r.cut.mu.Lock()
	defer r.cut.mu.Unlock()
	r.cut.observed = &o
}

// content gathers spans and loudness of a file.
type content struct {
	spans   []Span
	omitted int
	open    map[string]int // kind: index in spans
	sum     float64        // of 10^(momentary/10)
	loud    Loudness
}

// frame notes a frame with a stamp.
func (c *content) frame(flags h264.Flags, at time.Time) {
	c.set(NoSignal, flags&h264.Slate != 0, at)
	for _, i := range c.open {
		c.spans[i].End = at
	}
}

// observe notes what was measured at the frame at.
func (c *content) observe(o Observation, at time.Time) {
	c.set(Black, o.Black, at)
	c.set(Frozen, o.Frozen, at)
	c.set(Silent, o.Silent, at)
	if !finite(o.Momentary) {
		return
	}
	if c.loud.Samples == 0 {
		c.loud.Max, c.loud.TruePeak = o.Momentary, o.TruePeak
	}
	c.loud.Samples++
	c.sum += math.Pow(10, o.Momentary/10)
	c.loud.Max = max(c.loud.Max, o.Momentary)
	if finite(o.TruePeak) {
		c.loud.TruePeak = max(c.loud.TruePeak, o.TruePeak)
	}
}

func finite(x float64) bool { return !math.IsInf(x, 0) && !math.IsNaN(x) }

// set begins or ends a span.
func (c *content) set(kind string, on bool, at time.Time) {
	_, is := c.open[kind]
	switch {
	case on && !is && len(c.spans) >= maxGaps:
		c.omitted++
	case on && !is:
		if c.open == nil {
			c.open = map[string]int{}
		}
		c.open[kind] = len(c.spans)
		c.spans = append(c.spans, Span{kind, at, at})
	case !on && is:
		delete(c.open, kind)
	}
}

// next is the content of the file after this one: what is going on goes on.
func (c *content) next(at time.Time) (n content) {
	for kind := range c.open {
		n.set(kind, true, at)
	}
	return n
}

// fill puts it into an entry.
func (c *content) fill(e *Entry) {
	e.Spans, e.SpansOmitted = slices.Clone(c.spans), c.omitted
	slices.SortStableFunc(e.Spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	if c.loud.Samples > 0 {
		l := c.loud
		l.Mean = 10 * math.Log10(c.sum/float64(l.Samples))
		e.Loudness = &l
	}
}
