//go:build vm

package vm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/clock/ntp/ntptest"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// timeServer is an NTP server on this host, and where the guest reaches it.
func timeServer(t *testing.T) (*ntptest.Server, string) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &ntptest.Server{Now: func() int64 { return time.Now().UnixNano() }}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(ctx, conn) }()
	t.Cleanup(func() { cancel(); <-done })
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	return s, "10.0.2.2:" + port
}

// stamps is a reader of the stream that keeps what each frame says, and when it
// came.
type stamps struct {
	mu      sync.Mutex
	probe   *mpegts.Probe
	last    h264.Stamp
	came    time.Time
	pauses  map[uint32]time.Duration // before the first frame of an epoch
	longest time.Duration
	err     error
}

func readStamps(t *testing.T, addr string) *stamps {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &stamps{probe: mpegts.NewProbe(), pauses: map[uint32]time.Duration{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := io.Copy(s, conn)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err = err; err == nil {
			s.err = io.EOF
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return s
}

func (s *stamps) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probe.Write(p)
	r := s.probe.Report()
	if r.Stamped == 0 || r.Latest == s.last {
		return len(p), nil
	}
	now := time.Now()
	if !s.came.IsZero() {
		pause := now.Sub(s.came)
		s.longest = max(s.longest, pause)
		if r.Latest.Epoch != s.last.Epoch {
			s.pauses[r.Latest.Epoch] = pause
		}
	}
	s.last, s.came = r.Latest, now
	return len(p), nil
}

// until waits for a frame as wanted.
func (s *stamps) until(ctx context.Context, t *testing.T, what string, ok func(h264.Stamp) bool) mpegts.Report {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		s.mu.Lock()
		last, rep, err := s.last, s.probe.Report(), s.err
		s.mu.Unlock()
		switch {
		case err != nil:
			t.Fatalf("%s: the reader was cut off: %v", what, err)
		case rep.Stamped > 0 && ok(last):
			return rep
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("%s: not seen; newest frame %+v", what, last)
		}
	}
}

func programTime(s h264.Stamp) time.Time { return time.Unix(0, s.Program).UTC() }

// TestShortClock boots a box whose clock is years off, with the only time server
// silent at first, then answering, then lost, then back.
func TestShortClock(t *testing.T) {
	server, addr := timeServer(t)
	server.Silence(true)
	b := boot(t, func(c *vm.Config) {
		c.RTC = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		c.Perm["event.yaml"] += fmt.Sprintf("time: [%q]\n", addr)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
	defer cancel()
	b.streams(ctx, t)
	s := readStamps(t, b.Addr(8899))
	before := s.until(ctx, t, "a frame before the clock is in sync", func(h264.Stamp) bool { return true })
	if year := programTime(before.Latest).Year(); year > 2020 || before.Latest.Flags&h264.Synced != 0 {
		t.Errorf("before any time: year %d, flags %d", year, before.Latest.Flags)
	}
	b.clockLeaf(ctx, t, "failed", "no time server has answered")

	server.Silence(false)
	answered := time.Now()
	after := s.until(ctx, t, "a frame in sync", func(f h264.Stamp) bool {
		return f.Flags&h264.Synced != 0 && f.Epoch != before.Latest.Epoch
	})
	t.Logf("in sync %.1f s after the server began to answer, flags %d", time.Since(answered).Seconds(), after.Latest.Flags)
	if off := time.Since(programTime(after.Latest)); off.Abs() > 2*time.Second {
		t.Errorf("program time is off by %v", off)
	}
	s.mu.Lock()
	pause, longest := s.pauses[after.Latest.Epoch], s.longest
	s.mu.Unlock()
	t.Logf("%v without a frame at the step, at most %v before", pause, longest)
	if pause > time.Second {
		t.Errorf("%v without a frame at the step, at most 1s", pause)
	}
	if n := after.Discontinuities - before.Discontinuities; n != 1 || after.Continuity != 0 {
		t.Errorf("%d discontinuities, %d continuity errors; want 1, 0", n, after.Continuity)
	}
	b.clockLeaf(ctx, t, "ok", "")

	server.Silence(true)
	lost := b.clockLeaf(ctx, t, "failed", "time lost: ")
	if lost > 10*time.Second {
		t.Errorf("the loss of time was seen after %v, at most 10s", lost)
	}
	if now := s.until(ctx, t, "a frame", func(h264.Stamp) bool { return true }); now.Latest.Flags&h264.Synced == 0 {
		t.Error("a clock that has just lost its servers counts as out of sync")
	}
	server.Silence(false)
	b.clockLeaf(ctx, t, "ok", "")
	if end := s.until(ctx, t, "a frame", func(h264.Stamp) bool { return true }); end.Latest.Epoch != after.Latest.Epoch {
		t.Error("a second step")
	}
}

// clockLeaf waits for the leaf's state and cause, and says how long that took.
func (b box) clockLeaf(ctx context.Context, t *testing.T, state, cause string) time.Duration {
	t.Helper()
	began := time.Now()
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	for {
		var status struct {
			Health []struct{ Name, State, Cause string }
			Detail struct{ Clock json.RawMessage }
		}
		_, body := b.get(ctx, t, "/api/status", "")
		if err := json.Unmarshal([]byte(body), &status); err != nil {
			t.Fatal(err)
		}
		for _, l := range status.Health {
			if l.Name == "clock" && l.State == state && strings.Contains(l.Cause, cause) {
				took := time.Since(began)
				t.Logf("clock is %s after %.1f s: %s %s", state, took.Seconds(), l.Cause, status.Detail.Clock)
				return took
			}
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("clock: never %s: %s", state, body)
		}
	}
}
