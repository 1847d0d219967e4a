package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openvideobox/videobox/appliance/boxd/internal/heal"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run"
)

const (
	healEvery = time.Second
	// booting is how long a box may take to send its first frame.
	booting = time.Minute
	// stepTimeout is for how long a step may take: a device that hangs can hold
	// up who resets it.
	stepTimeout = 20 * time.Second
)

// remedies are what the steps of the ladder do. Errors mean that nothing was
// done.
type remedies interface {
	take(ctx context.Context, s heal.Step) error
	mayRestart() bool
	// tidy ends what a boxd that was killed in the middle of a step left undone.
	tidy()
}

// healer puts a stream that stands still on its feet again.
type healer struct {
	sight    func() heal.Sight
	remedies remedies
	clock    clock.Clock
	taken    *prometheus.CounterVec
	ladder   heal.Ladder
	seen     bool // frames, since boxd's start
	// now is a time that no step of the clock touches: a box learns the time
	// while it runs, and that is no hour of trouble.
	now func() time.Duration

	mu   sync.Mutex
	last healing
}

// healing is the last step, in the status.
type healing struct {
	Step  string    `json:"step"`
	Time  time.Time `json:"time"`
	Error string    `json:"error,omitempty"` // it could not be taken
	Count int       `json:"count"`           // steps since boxd's start
}

func newHealer(sight func() heal.Sight, r remedies, c clock.Clock) *healer {
	begin := time.Now()
	return &healer{
		sight: sight, remedies: r, clock: c, now: func() time.Duration { return time.Since(begin) },
		taken: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "videobox_healing_steps_total",
			Help: "Steps taken because the stream stood still: worker, capture, usb-reset, usb-authorize, box-restart.",
		}, []string{"step"}),
	}
}

// run looks once a second, for ever.
func (h *healer) run(ctx context.Context) error {
	h.remedies.tidy()
	for {
		if err := clock.Sleep(ctx, h.clock, healEvery); err != nil {
			return err
		}
		h.look(ctx)
	}
}

// look takes the step that is due, if any.
func (h *healer) look(ctx context.Context) {
	sight := h.sight()
	if h.seen = h.seen || sight.Frames; !h.seen && h.now() < booting {
		return
	}
	step, due := h.ladder.Look(h.now(), sight.Trouble(), h.remedies.mayRestart)
	if !due {
		return
	}
	slog.Warn("the stream stands still though it need not", "step", step, "frames", sight.Frames, "live", sight.Live,
		"capture_answers", sight.Answers, "input", sight.Input)
	h.taken.WithLabelValues(step.String()).Inc()
	err := h.take(ctx, step)
	h.mu.Lock()
	h.last = healing{Step: step.String(), Time: time.Unix(0, h.clock.Now()).UTC(), Count: h.last.Count + 1}
	if err != nil {
		h.last.Error = err.Error()
	}
	h.mu.Unlock()
	if err != nil {
		slog.Warn("the step could not be taken", "step", step, "error", err)
		h.ladder.Failed()
	}
}

var errStepHangs = errors.New("it does not come to an end")

// take doesn't wait for a step that hangs in the kernel.
func (h *healer) take(ctx context.Context, s heal.Step) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("panic: %v", p)
			}
		}()
		done <- h.remedies.take(ctx, s)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errStepHangs
	}
}

func (h *healer) snapshot() *healing {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last.Count == 0 {
		return nil
	}
	last := h.last
	return &last
}

// sight is what the ladder is told: the stream as a reader gets it, and what
// capture says.
func (s *server) sight() heal.Sight {
	d, capture := s.streamDetail(), s.peers.Get("capture")
	v := heal.Sight{
		Frames: d.flows(), Live: d.flows() && d.Picture != showsSlate, Answers: capture.OK(),
	}
	if v.Answers {
		v.Input = inputOf(capture).state
	}
	return v
}

// heals is the part of boxd that does so, on a box: anywhere else programs and
// devices are somebody's own business.
func (s *server) heals(ctx context.Context) error {
	if !s.health.board.IsBox() {
		<-ctx.Done()
		return ctx.Err()
	}
	return run.Restart(ctx, "healing", run.Backoff{}, s.healer.run)
}

// steps in words, for people.
var stepWords = map[string]string{
	"worker": "capture's worker restarted", "capture": "capture restarted", "usb-reset": "capture device reset",
	"usb-authorize": "capture device taken off and put back", "box-restart": "restart of the box",
}

func (h *healing) row(now time.Time) row {
	r := row{ID: "healing", Label: "Repairs", Text: fmt.Sprintf("%s %s ago, %d in all", stepWords[h.Step], length(now.Sub(h.Time)), h.Count)}
	if h.Error != "" {
		r.State, r.Text = metrics.Degraded, r.Text+" · could not be done: "+h.Error
	}
	return r
}
