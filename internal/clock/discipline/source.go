package discipline

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/openvideobox/videobox/internal/clock/ntp"
)

// source is one time server and what it has said lately.
type source struct {
	name    string
	samples []ntp.Reading // oldest first, none older than window

	next    int64 // when to ask, raw ns
	asking  bool
	asked   int   // questions
	missed  int   // without a good answer, in a row
	answer  int64 // when the last good one came, raw ns; 0: never
	every   int64 // asked at most so often; more after RATE, ns
	err     error // of the last question
	verdict Verdict
	now     estimate // as judged last

	delays         []float64 // of samples, ascending, ns
	fastest, floor float64   // the lowest delay, and the error of a sample with it, ns
}

// good notes an answer.
func (s *source) good(r ntp.Reading, now int64) {
	s.samples = append(s.samples, r)
	s.missed, s.err, s.answer = 0, nil, now
}

// bad notes a question without a good answer. It says whether to ask again soon.
func (s *source) bad(err error) (again bool) {
	s.missed++
	s.err = err
	kiss := new(ntp.Kiss)
	if !errors.As(err, &kiss) {
		return s.missed <= retries
	}
	switch {
	case kiss.Slower():
		s.every = min(2*s.every, int64(slowest))
	case kiss.Denied():
		s.every, s.samples = int64(banned), nil
	}
	return false
}

// forget leaves out what is older than the window, but for a few that tell more
// than nothing after a long silence.
func (s *source) forget(now int64) {
	n := 0
	for left := len(s.samples); left > maxSamples || left > minSamples && now-s.samples[n].Raw > int64(window); left-- {
		n++
	}
	s.samples = append(s.samples[:0], s.samples[n:]...)
}

// estimate is a straight line through a server's samples, in ns and ppb, at the
// instant it was made for.
type estimate struct {
	ok     bool
	offset float64 // of the server's UTC against the present line, ns
	freq   float64 // of UTC against the raw clock, ppb
	sigma  float64 // standard error of offset, ns
	spread float64 // standard error of freq, ppb
	bound  float64 // how far the offset can be off if the server is honest, ns
	delay  float64 // the lowest in the window, ns
	jitter float64 // of the samples about the line, weighted, ns
}

const (
	// least is the error of any sample, ns: time stamps are taken in user space.
	least = 100e3
	// ageing is what a crystal's frequency may wander by, ppb: how much a sample
	// is less worth for each second that it is old.
	ageing = 300
)

// weight is how much to believe a sample. What it took longer than the fastest
// may all have happened on one way: half of that is its error. So the samples of
// lowest delay decide, and a burst of jitter counts for next to nothing.
func (s *source) weight(r ntp.Reading, now int64) float64 {
	age := float64(now-r.Raw) / 1e9
	sigma := math.Hypot(s.floor+(float64(r.Delay)-s.fastest)/2, ageing*age)
	return 1 / (sigma * sigma)
}

// measure finds the lowest delay, and how much lower the true one may be: with
// jitter on both ways the fourth lowest lies as far above the lowest as that
// above the true one.
func (s *source) measure() {
	s.delays = s.delays[:0]
	for _, r := range s.samples {
		s.delays = append(s.delays, float64(r.Delay))
	}
	slices.Sort(s.delays)
	s.fastest = s.delays[0]
	s.floor = least + (s.delays[min(3, len(s.delays)-1)]-s.fastest)/2
	if len(s.delays) < 4 {
		s.floor = max(s.floor, s.fastest/4)
	}
}

// line is UTC as a straight line over the raw clock.
type line struct {
	raw  int64   // an instant
	utc  int64   // at it, ns
	freq float64 // how much UTC runs faster, ppb
}

// at is UTC at another instant.
func (l line) at(raw int64) int64 {
	return l.utc + (raw - l.raw) + int64(math.Round(float64(raw-l.raw)*l.freq/1e9))
}

// prior is what is known about the crystal without samples, ppb.
type prior struct{ freq, sigma float64 }

// fit draws the line through a server's samples by weighted least squares, at
// now and against base, with the crystal's frequency held near p while there is
// too little to tell it.
func (s *source) fit(now int64, base line, p prior) estimate {
	s.forget(now)
	if len(s.samples) == 0 {
		return estimate{}
	}
	s.measure()
	e := estimate{ok: true, delay: s.fastest}
	utc := base.at(now)
	// Normal equations of y = offset + freq x, x in s before now, y in ns.
	sw, sx, sy := 0.0, 0.0, 0.0
	sxx, sxy := 1/(p.sigma*p.sigma), p.freq/(p.sigma*p.sigma)
	y := func(r ntp.Reading) float64 { return float64(r.Offset + now - utc) }
	for _, r := range s.samples {
		w, x := s.weight(r, now), float64(r.Raw-now)/1e9
		sw, sx, sy = sw+w, sx+w*x, sy+w*y(r)
		sxx, sxy = sxx+w*x*x, sxy+w*x*y(r)
	}
	det := sw*sxx - sx*sx
	e.offset, e.freq = (sy*sxx-sx*sxy)/det, (sw*sxy-sx*sy)/det
	e.sigma, e.spread = math.Sqrt(sxx/det), math.Sqrt(sw/det)
	for _, r := range s.samples {
		d := y(r) - e.offset - e.freq*float64(r.Raw-now)/1e9
		e.jitter += s.weight(r, now) * d * d / sw
	}
	e.jitter = math.Sqrt(e.jitter)
	e.bound = e.delay/2 + float64(s.samples[len(s.samples)-1].Root) + 3*e.sigma
	return e
}

// Verdict is what is thought of a server.
type Verdict string

// The verdicts.
const (
	Unheard Verdict = "not heard yet"
	Chosen  Verdict = "chosen"  // the line goes through it, or nearest to it
	Agrees  Verdict = "agrees"  // of the majority
	Liar    Verdict = "liar"    // outvoted
	Alone   Verdict = "no vote" // there is no majority
	Silent  Verdict = "silent"  // doesn't answer
)

const (
	// window is what samples are kept of: long enough for the fastest of them to
	// be near the fastest there is, short enough for a crystal to be steady.
	window     = 1536 * time.Second
	maxSamples = 256
	minSamples = 32
	// retries is how often a question is repeated at once.
	retries = 3
	// slowest and banned are how seldom a server that sent RATE or DENY is asked.
	slowest = 1024 * time.Second
	banned  = time.Hour
)
