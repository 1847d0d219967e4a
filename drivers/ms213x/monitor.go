package ms213x

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
)

// pollEvery is how often a stick is asked: twice a second.
const pollEvery = 500 * time.Millisecond

// forgiven is how many times in a row a stick may answer wrongly, or not in time.
const forgiven = 2

// Monitor asks one stick again and again.
type Monitor struct {
	Open  func() (Transport, error)
	Map   Map
	Clock clock.Clock // nil: the system's
}

// Run tells what the stick says, each time it is asked, until the context ends
// or the stick doesn't answer; it returns an error in either case. That the
// signal is gone is told when two answers in a row say so: single ones have been
// seen to be wrong (FOSDEM/video-ms213x-status). That it is there is told at once,
// and so is the first answer: nothing is known before it, and a stick without a
// signal would show its own picture meanwhile.
//
// What was told last holds through wrong answers and time-outs, as long as they
// aren't more than two in a row: for 1.5 s, or 16 when each question is held for 5.
func (m Monitor) Run(ctx context.Context, tell func(Status)) error {
	if m.Clock == nil {
		m.Clock = clock.System
	}
	t, err := m.Open()
	if err != nil {
		return fmt.Errorf("status of the signal: %w", err)
	}
	defer t.Close()
	for doubts, failed := 1, 0; ; {
		s, err := Read(t, m.Map)
		if err != nil {
			if failed++; failed > forgiven || final(err) {
				return fmt.Errorf("status of the signal: %w", err)
			}
		} else {
			failed = 0
			if doubts++; s.Signal {
				doubts = 0
			}
			if s.Signal || doubts > 1 {
				tell(s)
			}
		}
		if err := clock.Sleep(ctx, m.Clock, pollEvery); err != nil {
			return err
		}
	}
}

// final says that asking again is no use: the device is gone.
func final(err error) bool {
	for _, e := range []error{syscall.ENODEV, syscall.ENXIO, syscall.EBADF, fs.ErrNotExist, fs.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
