package parent

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/appliance/capture/internal/worker"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/internal/tee"
)

// line is a capture but for its processes: worker, link, parent and a TCP reader,
// all on one clock.
type line struct {
	t      *testing.T
	clk    *clock.Held
	p      *Parent
	w      *worker.Worker
	synced bool

	mu     sync.Mutex
	probe  *mpegts.Probe
	stamps []h264.Stamp
	ended  error
}

func (l *line) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.probe.Write(p)
}

func (l *line) report() mpegts.Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		l.t.Fatalf("the reader was cut off: %v", l.ended)
	}
	return l.probe.Report()
}

func newLine(t *testing.T) *line {
	p, clk := newParent(t)
	l := &line{t: t, clk: clk, p: p, probe: mpegts.NewProbe()}
	p.stream = program.NewStream(shape, p.ring, program.Options{
		Clock: clk, Synced: func() bool { return l.synced }, NeedKey: p.workers.askKey,
		Frame: func(s h264.Stamp) {
			p.status.sent(s)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.stamps = append(l.stamps, s)
		},
	})
	p.ring.SetDelay(0)
	p.stream.SetAbsent(true)
	p.stream.SetSlate(aSlate(t))
	l.run(l.connect())
	return l
}

func aSlate(t *testing.T) *program.Slate {
	t.Helper()
	task, _ := json.Marshal(SlateTask{shape, picture.SlateText{Name: "box1"}})
	var out bytes.Buffer
	if err := EncodeSlate(bytes.NewReader(task), &out); err != nil {
		t.Fatal(err)
	}
	s := new(program.Slate)
	if err := s.UnmarshalBinary(out.Bytes()); err != nil {
		t.Fatal(err)
	}
	return s
}

// connect makes the worker and the pipe from it.
func (l *line) connect() (from, to *os.File) {
	l.t.Helper()
	enc, err := program.NewVideoEncoder(shape)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(enc.Close)
	from, to, err = os.Pipe()
	if err != nil {
		l.t.Fatal(err)
	}
	out, err := link.NewWriter(to)
	if err != nil {
		l.t.Fatal(err)
	}
	l.w = worker.New(link.Work{Program: shape, Source: "test", Name: "box1"}, l.clk, enc, out)
	return from, to
}

func (l *line) run(from, to *os.File) {
	l.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(l.t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = (&tee.Server{Ring: l.p.ring, From: tee.Newest}).Serve(ctx, ln) })
	all.Go(func() { _ = l.p.stream.Run(ctx) })
	all.Go(func() { _ = l.w.Run(ctx); to.Close() })
	all.Go(func() { _ = l.p.workers.read(from) })
	all.Go(func() {
		for {
			select {
			case <-l.p.workers.keys:
				l.w.NeedKey()
			case <-ctx.Done():
				return
			}
		}
	})
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		l.t.Fatal(err)
	}
	all.Go(func() {
		_, err := io.Copy(l, conn)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.ended = err; err == nil {
			l.ended = io.EOF
		}
	})
	l.t.Cleanup(func() {
		cancel()
		l.p.ring.Close()
		from.Close()
		to.Close()
		conn.Close()
		all.Wait()
	})
}

func (l *line) sent() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.stamps)
}

// play delivers frames in their time for d, each once what became of the one
// before has been seen, or hasn't for a while: after a step some are lost.
func (l *line) play(d time.Duration) {
	l.t.Helper()
	f := media.NewFrame(shape.Width, shape.Height)
	end := clock.Elapsed(l.clk) + int64(d)
	for clock.Elapsed(l.clk) < end {
		n := media.FrameAt(l.clk.Now(), shape.Rate) + 1
		before := l.sent()
		l.clk.Set(media.FrameTime(n, shape.Rate))
		f.Time = media.FrameTime(n, shape.Rate)
		f.Y[int(n)%len(f.Y)] += 50
		l.w.Video(f)
		for range 100 {
			if l.sent() > before {
				break
			}
			time.Sleep(time.Millisecond) // for another goroutine, not for the clock
		}
	}
}

// TestAStepOfTheClockGoesThroughCapture has a reader that stays connected while a
// box gets its first time.
func TestAStepOfTheClockGoesThroughCapture(t *testing.T) {
	for _, d := range []time.Duration{50 * 365 * 24 * time.Hour, -3 * time.Second, 300 * time.Millisecond} {
		t.Run(d.String(), func(t *testing.T) {
			l := newLine(t)
			l.play(2 * time.Second)
			l.settle()
			before, sent := l.report(), l.sent()
			l.clk.Step(d)
			l.synced = true
			l.play(2 * time.Second)
			l.settle()
			after := l.report()
			if n := after.Discontinuities - before.Discontinuities; n != 1 || after.Continuity != 0 || after.PCRJumps != 0 {
				t.Errorf("%d discontinuities, %d continuity errors, %d PCR jumps: %q", n, after.Continuity, after.PCRJumps, after.Faults())
			}
			l.checkFrames(d, sent)
		})
	}
}

// settle waits until the reader has what was sent.
func (l *line) settle() {
	l.t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for l.report().Stamped == 0 || l.report().Latest != l.last() {
		if time.Now().After(deadline) {
			l.t.Fatalf("the reader has %+v, sent was %+v", l.report().Latest, l.last())
		}
		time.Sleep(time.Millisecond)
	}
}

func (l *line) last() h264.Stamp {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stamps[len(l.stamps)-1]
}

// checkFrames wants a new epoch after the first sent frames, that starts within
// a second, is live within a second, and in sync.
func (l *line) checkFrames(d time.Duration, sent int) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	old, fresh := l.stamps[sent-1], l.stamps[sent:]
	for len(fresh) > 0 && fresh[0].Epoch == old.Epoch {
		fresh = fresh[1:]
	}
	if len(fresh) < 25 {
		l.t.Fatalf("%d frames in two seconds after the step", len(fresh))
	}
	if pause := time.Duration(fresh[0].Program-old.Program) - d; pause < 0 || pause > time.Second {
		l.t.Errorf("the first frame of the new epoch came %v later", pause)
	}
	live := 0
	for i, s := range fresh {
		if s.Epoch != fresh[0].Epoch || s.Flags&h264.Synced == 0 {
			l.t.Fatalf("frame %d after the step: %+v", i, s)
		}
		if i > 0 && s.Frame != fresh[i-1].Frame+1 {
			l.t.Errorf("frame %d after %d", s.Frame, fresh[i-1].Frame)
		}
		if live == 0 && s.Flags&h264.Live != 0 {
			live = i + 1
		}
	}
	if live == 0 || live > 25 {
		l.t.Errorf("live with frame %d after the step, at most 25", live)
	}
}
