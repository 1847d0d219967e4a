package ms213x

import (
	"context"
	"fmt"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
)

// pollEvery is how often a stick is asked: twice a second.
const pollEvery = 500 * time.Millisecond

// Monitor asks one stick again and again.
type Monitor struct {
	Open  func() (Transport, error)
	Map   Map
	Clock clock.Clock // nil: the system's
}

// Run tells what the stick says, each time it is asked, until the context ends
// or the stick doesn't answer; it returns an error in either case. That the
// signal is gone is told when two answers in a row say so: single ones have been
// seen to be wrong (FOSDEM/video-ms213x-status). That it is there is told at once.
func (m Monitor) Run(ctx context.Context, tell func(Status)) error {
	if m.Clock == nil {
		m.Clock = clock.System
	}
	t, err := m.Open()
	if err != nil {
		return fmt.Errorf("status of the signal: %w", err)
	}
	defer t.Close()
	doubts := 0
	for {
		s, err := Read(t, m.Map)
		if err != nil {
			return fmt.Errorf("status of the signal: %w", err)
		}
		if doubts++; s.Signal {
			doubts = 0
		}
		if s.Signal || doubts > 1 {
			tell(s)
		}
		if err := clock.Sleep(ctx, m.Clock, pollEvery); err != nil {
			return err
		}
	}
}
