package main

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/appliance/capture/internal/link"
	"github.com/openvideobox/videobox/appliance/capture/internal/source"
	"github.com/openvideobox/videobox/appliance/capture/internal/worker"
	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/internal/run"
)

// errParentGone ends a worker whose parent has closed its end of the pipe.
var errParentGone = errors.New("the parent is gone")

// work is the worker's life: a task from in, pictures and sounds to out, until
// in ends.
func work(ctx context.Context, in, out *os.File) error {
	// A whole IDR fits, so that the encoder doesn't wait for the parent.
	_, _ = unix.FcntlInt(out.Fd(), unix.F_SETPIPE_SZ, 1<<20)
	w, err := link.NewWriter(out)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tasks := make(chan link.Work, 1)
	var newest atomic.Pointer[link.Work]
	var running atomic.Pointer[worker.Worker]
	var bitrate atomic.Int64 // asked for and not passed on yet
	go func() {
		err := worker.Serve(link.NewReader(bufio.NewReader(in)), func(t link.Work) {
			newest.Store(&t)
			select {
			case tasks <- t:
			default: // one task a life: of a later one the labels count
			}
			if w := running.Load(); w != nil {
				w.Relabel(t)
			}
		}, func() {
			if w := running.Load(); w != nil {
				w.NeedKey()
			}
		}, func(bps int) {
			bitrate.Store(int64(bps))
			passOn(&bitrate, running.Load())
		})
		if err == nil {
			err = errParentGone
		}
		cancel(err)
	}()
	select {
	case t := <-tasks:
		err = encode(ctx, t, w, func(w *worker.Worker) {
			running.Store(w)
			passOn(&bitrate, w)
			w.Relabel(*newest.Load())
		})
	case <-ctx.Done():
		err = ctx.Err()
	}
	if errors.Is(err, context.Canceled) && !errors.Is(context.Cause(ctx), errParentGone) {
		return context.Cause(ctx)
	}
	if errors.Is(context.Cause(ctx), errParentGone) {
		return nil
	}
	return err
}

// passOn gives the worker, once there is one, the bitrate asked for.
func passOn(bitrate *atomic.Int64, w *worker.Worker) {
	if w == nil {
		return
	}
	if bps := bitrate.Swap(0); bps != 0 {
		w.SetBitrate(int(bps))
	}
}

// open makes a source. Tests have one more.
var open = source.Open

// sourceWait is how long a source that ended waits at most before it is tried
// again: a device that comes back is to be seen within two seconds.
const sourceWait = 500 * time.Millisecond

// encode runs source and encoder until one of them fails or the context ends.
func encode(ctx context.Context, t link.Work, out *link.Writer, running func(*worker.Worker)) error {
	enc, err := program.NewVideoEncoder(t.Program)
	if err != nil {
		return err
	}
	defer enc.Close()
	w := worker.New(t, clock.System, enc, out)
	running(w)
	g := run.NewGroup(ctx)
	g.Go("", w.Run)
	g.Go("source", func(ctx context.Context) error {
		ctx, replace := context.WithCancelCause(ctx)
		defer replace(nil)
		err := run.Restart(ctx, "source", run.Backoff{Max: sourceWait, OnRestart: func(_ uint64, cause error) {
			w.Restarted()
			report(w, cause)
		}}, func(ctx context.Context) error {
			s, err := open(t.Source, t.Program)
			if err != nil {
				return err
			}
			began := time.Now()
			err = s.Run(ctx, w)
			slog.Debug("source ended", "after", time.Since(began), "err", err)
			if errors.Is(err, drivers.ErrWedged) {
				replace(err) // a new process may fare better
			}
			return err
		})
		if cause := context.Cause(ctx); errors.Is(cause, drivers.ErrWedged) {
			return cause
		}
		return err
	})
	return g.Wait()
}

// report makes a state of a source's failure.
func report(w *worker.Worker, cause error) {
	state := drivers.Failed
	if e := new(drivers.Error); errors.As(cause, &e) {
		state = e.State
	}
	w.State(state, cause.Error())
}
