package v4l2

import (
	"context"
	"errors"

	"github.com/openvideobox/videobox/drivers"
)

// question is whether a device that delivers nothing reacts at all.
type question struct {
	device Device
	asked  bool
	answer chan error // nil: no answer is waited for
}

// put asks once, and says whether that was now. A device that isn't on USB has
// no answer.
func (q *question) put() bool {
	if q.asked {
		return false
	}
	q.asked = true
	if q.device.OnUSB {
		answer := make(chan error, 1)
		q.answer = answer
		go func() { answer <- q.device.USB.Alive() }()
	}
	return true
}

// errClimbed says that a step was taken already.
var errClimbed = errors.New("a step was taken")

// wake takes a step against a device that reacts to nothing, before it is
// closed: closing makes uvcvideo ask it, and wait for 5 s.
func (s *Source) wake(ctx context.Context, sink drivers.Sink, cause error) error {
	sink.State(drivers.Frozen, cause.Error())
	s.cfg.Mute(true)
	s.ladder.next = max(s.ladder.next, reset)
	if err := s.climb(ctx, cause); err != nil {
		return err
	}
	return errClimbed
}
