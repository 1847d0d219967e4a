package parent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/run"
)

const (
	// stall is for how long a worker may send no picture before it is killed. A
	// worker without a signal sends the slate, so silence means that it hangs. Only
	// time in which this process had its turn counts: a machine that stands still
	// is no worker's fault. A frame takes 40 ms at most on a box, and 0.3 s the
	// first one in a machine without KVM.
	stall = 1500 * time.Millisecond
	// stopped is the same for a worker that somebody has stopped (SIGSTOP).
	stopped = 500 * time.Millisecond
	// startup is how long its first picture may take: opening a device can take
	// seconds, and the worker itself gives up waiting after one.
	startup = 10 * time.Second
	// look is how often a worker is looked at.
	look = 100 * time.Millisecond
)

var errStalled = errors.New("no picture")

// watch kills a worker that hangs; the read loop then sees the end of the pipe.
func (w *workers) watch(ctx context.Context, proc *run.Process) error {
	began := clock.Elapsed(w.p.clk)
	var s silence
	for {
		since, patience := w.last.Load(), stall
		if since == 0 {
			since, patience = began, startup
		}
		lasts := s.look(clock.Elapsed(w.p.clk), since)
		if lasts > stopped && isStopped(proc.Pid()) {
			patience = stopped
		}
		if lasts > patience {
			proc.Kill()
			return fmt.Errorf("%w for %v; killed", errStalled, patience)
		}
		if err := clock.Sleep(ctx, w.p.clk, look); err != nil {
			return nil
		}
	}
}

// silence measures how long a worker has sent nothing.
type silence struct {
	since  int64 // of the newest picture
	looked int64
	lost   int64 // ns since then in which this process had no turn
}

// look gives it at now, with the newest picture taken at since, without the time
// by which this look itself is late.
func (s *silence) look(now, since int64) time.Duration {
	if since != s.since {
		s.since, s.lost = since, 0
	}
	if late := now - s.looked - int64(look); s.looked != 0 && late > int64(look) {
		s.lost += min(late, now-since)
	}
	s.looked = now
	return time.Duration(now - since - s.lost)
}

// isStopped says whether a process is stopped by a signal (proc(5), stat).
func isStopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	return bytes.HasPrefix(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" T"))
}
