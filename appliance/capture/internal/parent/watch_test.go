package parent

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/run"
)

// watched runs watch on a child that has just sent a picture.
func watched(t *testing.T) (p *Parent, clk *clock.Held, proc *run.Process, done chan error, ctx context.Context) {
	t.Helper()
	p, clk = newParent(t)
	proc, err := run.Child{Name: "sleep", Path: "/bin/sleep", Args: []string{"60"}, PipeStdout: true}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	done = make(chan error, 1)
	p.workers.last.Store(clock.Elapsed(clk))
	go func() { done <- p.workers.watch(ctx, proc); close(done) }()
	t.Cleanup(func() {
		cancel()
		for range done {
		}
		proc.Kill()
		proc.Stdout.Close()
	})
	return p, clk, proc, done, ctx
}

// killedAfter steps the clock from look to look until watch ends.
func killedAfter(ctx context.Context, t *testing.T, clk *clock.Held, done <-chan error) (time.Duration, error) {
	t.Helper()
	for began := clk.Now(); ; {
		over, stop := context.WithCancel(ctx)
		go func() { // watch may wait for the clock no more
			select {
			case <-done:
			case <-over.Done():
			}
			stop()
		}()
		_, err := clk.Next(over)
		stop()
		if err != nil {
			return time.Duration(clk.Now() - began), ctx.Err()
		}
	}
}

func TestASilentWorkerIsKilled(t *testing.T) {
	_, clk, proc, done, ctx := watched(t)
	took, err := killedAfter(ctx, t, clk, done)
	if err != nil || took > stall+2*look {
		t.Errorf("after %v, %v; want %v", took, err, stall)
	}
	<-proc.Done()
}

// TestAStoppedWorkerIsKilled sooner, since there is no doubt about it.
func TestAStoppedWorkerIsKilled(t *testing.T) {
	_, clk, proc, done, ctx := watched(t)
	if err := syscall.Kill(proc.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for !isStopped(proc.Pid()) {
		if ctx.Err() != nil {
			t.Fatal("never stopped")
		}
	}
	if took, err := killedAfter(ctx, t, clk, done); err != nil || took > stopped+2*look {
		t.Errorf("after %v, %v; want %v", took, err, stopped)
	}
	<-proc.Done()
}

// TestAMachineThatStandsStillIsNoStall: nobody had a turn for a minute.
func TestAMachineThatStandsStillIsNoStall(t *testing.T) {
	p, clk, _, done, ctx := watched(t)
	for range 3 {
		if _, err := clk.Waited(ctx); err != nil {
			t.Fatal(err)
		}
		clk.Advance(time.Minute)
		if _, err := clk.Waited(ctx); err != nil {
			t.Fatal(err)
		}
		p.workers.last.Store(clock.Elapsed(clk))
	}
	select {
	case err := <-done:
		t.Errorf("killed: %v", err)
	default:
	}
}

func TestErrStalledSaysForHowLong(t *testing.T) {
	_, clk, _, done, ctx := watched(t)
	var err error
	for err == nil && ctx.Err() == nil {
		select {
		case err = <-done:
		default:
			clk.Advance(look)
		}
	}
	if !errors.Is(err, errStalled) || !strings.Contains(err.Error(), "1.5s") {
		t.Errorf("%v", err)
	}
}
