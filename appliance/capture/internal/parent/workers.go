package parent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/run"
)

// mostWait is how long a worker that dies again and again waits at most: what it
// dies of may end, and then the picture is to be back within two seconds.
const mostWait = time.Second

// settled is how long the worker must have sent pictures before its restarts are
// forgiven.
const settled = 10 * time.Second

// workers runs one worker after another.
type workers struct {
	p     *Parent
	keys  chan struct{} // of capacity 1: an IDR is wanted
	rates chan struct{} // of capacity 1: the bitrate has changed

	labels     atomic.Pointer[Labels]
	relabelled chan struct{} // of capacity 1: the worker doesn't know the labels yet

	restarts atomic.Uint64
	pid      atomic.Int64
	bitrate  atomic.Int64 // of the video, bit/s; a new worker starts with it
	muxing   atomic.Int64 // ns that the newest picture took through mux and ring
	last     atomic.Int64 // when the newest picture came, by clock.Elapsed; 0 none of this worker
	report   atomic.Pointer[link.Report]

	mu    sync.Mutex
	proc  *run.Process // nil: none
	asked bool         // it is being killed because somebody asked for it
}

func newWorkers(p *Parent) *workers {
	w := &workers{p: p, keys: make(chan struct{}, 1), rates: make(chan struct{}, 1), relabelled: make(chan struct{}, 1)}
	w.bitrate.Store(int64(p.cfg.Program.Bitrate))
	w.labels.Store(&p.cfg.Labels)
	return w
}

// relabel tells the worker and those after it. It never blocks.
func (w *workers) relabel(l Labels) {
	w.labels.Store(&l)
	select {
	case w.relabelled <- struct{}{}:
	default:
	}
}

// setBitrate changes the bitrate of this worker and of those to come.
func (w *workers) setBitrate(bps int) {
	w.bitrate.Store(int64(bps))
	select {
	case w.rates <- struct{}{}:
	default:
	}
}

// restart kills the worker that runs, for another one to take its place. ok is
// false when there is none.
func (w *workers) restart() (pid int64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.proc == nil {
		return 0, false
	}
	w.asked = true
	slog.Warn("capture worker is killed: asked for", "pid", w.proc.Pid())
	w.proc.Kill()
	return int64(w.proc.Pid()), true
}

// running notes the worker that can be killed, nil for none. It says whether
// the one before was killed because somebody asked for it.
func (w *workers) running(proc *run.Process) (asked bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked, w.asked, w.proc = w.asked, false, proc
	return asked
}

// askKey wants an IDR. It never blocks: the stream calls it under its lock.
func (w *workers) askKey() {
	select {
	case w.keys <- struct{}{}:
	default:
	}
}

func (w *workers) run(ctx context.Context) error {
	quick := 0 // restarts in a row that came soon
	return run.Restart(ctx, "capture worker", run.Backoff{Min: 50 * time.Millisecond, Max: mostWait, Good: settled, Clock: w.p.clk}, func(ctx context.Context) error {
		began := clock.Elapsed(w.p.clk)
		err := w.one(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.restarts.Add(1)
		if quick++; time.Duration(clock.Elapsed(w.p.clk)-began) >= settled {
			quick = 1
		}
		w.p.status.workerGone(err, quick)
		w.p.slates.say(words(err, quick), restartAdvice, time.Unix(0, w.p.clk.Now()).UTC())
		return err
	})
}

const restartAdvice = "Nothing to do at first: it comes back by itself. If it doesn't, unplug the capture device and plug it in again."

// restartCause is what the slate says while the worker is away.
const restartCause = "The capture program of this box is being restarted"

// words adds what happened once it has happened again and again.
func words(err error, quick int) string {
	if quick < 3 || err == nil {
		return restartCause
	}
	return fmt.Sprintf("%s, for the %dth time: %v", restartCause, quick, err)
}

// one runs one worker until it ends, hangs, or the context ends.
func (w *workers) one(ctx context.Context) error {
	c := w.p.cfg
	child := run.Child{
		Name: "capture worker", Path: c.Executable, Args: []string{"worker", "--name", c.Name},
		PipeStdin: true, PipeStdout: true, Grace: 500 * time.Millisecond, Line: passOn,
	}
	proc, err := child.Start(ctx)
	if err != nil {
		return err
	}
	w.pid.Store(int64(proc.Pid()))
	w.running(proc)
	w.last.Store(0)
	g := run.NewGroup(ctx)
	g.Go("", func(ctx context.Context) error { return w.write(ctx, proc) })
	g.Go("", func(ctx context.Context) error { return w.watch(ctx, proc) })
	err = w.read(proc.Stdout)
	w.p.stream.SetAbsent(true)
	w.pid.Store(0)
	asked := w.running(nil)
	g.Stop()
	proc.Stdin.Close()
	if ctx.Err() == nil {
		proc.Kill()
	} else {
		proc.Stop()
	}
	proc.Stdout.Close()
	if stalled := g.Wait(); errors.Is(stalled, errStalled) {
		return stalled
	}
	err = ended(proc.Wait(), err)
	if asked {
		return errAsked
	}
	return err
}

// ended says why a worker is no more. The last line of its log, which Wait's
// error holds, explains an exit but not a death by a signal.
func ended(exit, read error) error {
	status := new(exec.ExitError)
	switch {
	case exit == nil:
		return read
	case errors.As(exit, &status) && status.ProcessState.Sys().(syscall.WaitStatus).Signaled():
		return status
	}
	return exit
}

// passOn writes a child's log line as it is: it is in our format already.
func passOn(line string) { fmt.Fprintln(os.Stderr, line) }

// errAsked is the cause of a restart that the API was asked for.
var errAsked = errors.New("asked for")

// write gives the worker its task, once more with other labels, and passes calls
// for IDRs on.
func (w *workers) write(ctx context.Context, proc *run.Process) error {
	out, err := link.NewWriter(proc.Stdin)
	if err == nil {
		err = out.JSON(link.Task, w.task())
	}
	for err == nil {
		select {
		case <-w.relabelled:
			err = out.JSON(link.Task, w.task())
		case <-w.keys:
			err = out.NeedKey()
		case <-w.rates:
			err = out.Bitrate(int(w.bitrate.Load()))
		case <-ctx.Done():
			return nil
		}
	}
	return nil // a broken pipe: the read loop knows more
}

func (w *workers) task() link.Work {
	c, l := w.p.cfg, w.labels.Load()
	program := c.Program
	program.Bitrate = int(w.bitrate.Load())
	return link.Work{Program: program, Source: c.Source, Name: c.Name, Room: l.Room, Address: l.Address, SoundOffset: c.SoundOffset}
}

// read takes what the worker sends until the pipe ends.
func (w *workers) read(r io.Reader) error {
	in := link.NewReader(bufio.NewReaderSize(r, 64<<10))
	for first := true; ; {
		m, err := in.Read()
		if errors.Is(err, io.EOF) {
			return errors.New("ended")
		}
		if err != nil {
			return err
		}
		if m.Kind == link.Picture && first {
			first = false
			w.p.stream.SetAbsent(false)
			w.p.slates.say(restartCause, restartAdvice, time.Time{})
			slog.Info("capture worker delivers", "pid", w.pid.Load())
		}
		if err := w.take(m); err != nil {
			return err
		}
	}
}

// take hands a message on. A worker that sends nonsense is replaced.
func (w *workers) take(m link.Message) error {
	switch m.Kind {
	case link.Picture:
		p, err := m.Picture()
		if err != nil {
			return err
		}
		w.last.Store(max(clock.Elapsed(w.p.clk), 1))
		w.p.status.received(p)
		start := time.Now()
		err = w.p.stream.Picture(p)
		w.muxing.Store(int64(time.Since(start)))
		return err
	case link.Sound:
		s, err := m.Sound()
		if err != nil {
			return err
		}
		return w.p.stream.Sound(s)
	case link.Health:
		r := new(link.Report)
		if err := m.JSON(r); err != nil {
			return err
		}
		w.p.status.reported(r)
		w.report.Store(r)
	}
	return nil
}
