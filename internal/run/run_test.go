package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/clock"
)

// TestMain also is the child processes of these tests.
func TestMain(m *testing.M) {
	if role := os.Getenv("RUN_TEST_ROLE"); role != "" {
		os.Exit(playRole(role))
	}
	goleak.VerifyTestMain(m)
}

// mainOf is runMain without the process: its exit code and stderr.
func mainOf(signals chan os.Signal, exit func(int), f func(context.Context) error) (int, string) {
	before := slog.Default()
	defer slog.SetDefault(before)
	var stderr bytes.Buffer
	code := runMain("prog", &stderr, signals, exit, f)
	return code, stderr.String()
}

func TestMainPrintsErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		want string
	}{
		{nil, 0, ""},
		{errors.New("no such room"), 1, "prog: no such room\n"},
		{errors.Join(errors.New("one"), errors.New("two")), 1, "prog: one\nprog: two\n"},
		{context.Canceled, 1, "prog: context canceled\n"}, // nobody asked to stop
	} {
		code, stderr := mainOf(nil, nil, func(context.Context) error { return c.err })
		if code != c.code || stderr != c.want {
			t.Errorf("%v: exit %d, stderr %q; want %d, %q", c.err, code, stderr, c.code, c.want)
		}
	}
}

func TestMainMakesAnErrorOfAPanic(t *testing.T) {
	code, stderr := mainOf(nil, nil, func(context.Context) error { panic("out of cheese") })
	if code != 1 || !strings.HasSuffix(stderr, "\nprog: panic: out of cheese\n") || !strings.Contains(stderr, "run_test.go") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}

func TestFirstSignalEndsTheContext(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	code, stderr := mainOf(signals, nil, func(ctx context.Context) error {
		<-ctx.Done()
		return fmt.Errorf("serving: %w", ctx.Err())
	})
	if code != 0 || stderr != "" {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}

func TestSecondSignalExitsAtOnce(t *testing.T) {
	signals := make(chan os.Signal, 2)
	signals <- syscall.SIGTERM
	signals <- syscall.SIGINT
	exited := make(chan int, 1)
	mainOf(signals, func(code int) { exited <- code }, func(ctx context.Context) error {
		if code := <-exited; code != 130 {
			t.Errorf("exit %d, want 130", code)
		}
		return nil
	})
}

func TestLogLevel(t *testing.T) {
	defer level.Set(slog.LevelInfo)
	t.Setenv(LevelEnv, "debug")
	_, stderr := mainOf(nil, nil, func(context.Context) error { slog.Debug("detail"); return nil })
	if !strings.Contains(stderr, "level=DEBUG msg=detail") {
		t.Errorf("stderr %q", stderr)
	}
	t.Setenv(LevelEnv, "loud")
	code, stderr := mainOf(nil, nil, func(context.Context) error { return nil })
	if want := "prog: VIDEOBOX_LOG: log level \"loud\"; use debug, info, warn or error\n"; code != 1 || stderr != want {
		t.Errorf("exit %d, stderr %q; want %q", code, stderr, want)
	}
}

func TestGroupEndsWithItsFirstError(t *testing.T) {
	g := NewGroup(t.Context())
	broken := errors.New("broken")
	g.Go("quiet", func(context.Context) error { return nil })
	g.Go("waiter", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	g.Go("disk", func(context.Context) error { return broken })
	if err := g.Wait(); !errors.Is(err, broken) || err.Error() != "disk: broken" {
		t.Errorf("error %v", err)
	}
	if g.Context().Err() == nil {
		t.Error("the context outlives the group")
	}
}

func TestGroupMakesAnErrorOfAPanic(t *testing.T) {
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.DiscardHandler))
	g := NewGroup(t.Context())
	g.Go("", func(context.Context) error { panic("out of cheese") })
	if err := g.Wait(); err == nil || err.Error() != "panic: out of cheese" {
		t.Errorf("error %v", err)
	}
}

func TestGroupStops(t *testing.T) {
	g := NewGroup(t.Context())
	g.Go("waiter", func(ctx context.Context) error { <-ctx.Done(); return nil })
	g.Stop()
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// logged is a handler's text, for several goroutines.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func TestRestartBacksOff(t *testing.T) {
	held := clock.NewHeld(1)
	ctx, cancel := context.WithCancel(t.Context())
	var log logged
	var causes []string
	var count uint64
	runs := 0
	done := make(chan error)
	go func() {
		done <- Restart(ctx, "source", Backoff{
			Min: time.Second, Max: 5 * time.Second, Good: time.Minute, Clock: held, Log: log.logger(),
			OnRestart: func(n uint64, cause error) { count, causes = n, append(causes, cause.Error()) },
		}, func(context.Context) error {
			switch runs++; runs {
			case 1, 2, 3:
				return errors.New("refused")
			case 4:
				return nil
			case 5:
				held.Advance(time.Minute) // it ran well for a while
				return errors.New("refused")
			}
			panic("bug")
		})
	}()
	var waits []time.Duration
	for range 6 {
		before := held.Now()
		at, err := held.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Duration(at - before); d < time.Minute {
			waits = append(waits, d)
		} else {
			waits = append(waits, d-time.Minute)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if want := []time.Duration{1e9, 2e9, 4e9, 5e9, 1e9, 2e9}; !reflect.DeepEqual(waits, want) {
		t.Errorf("waits %v, want %v", waits, want)
	}
	if want := []string{"refused", "refused", "refused", "ended without an error", "refused", "panic: bug"}; count < 6 || !reflect.DeepEqual(causes[:6], want) {
		t.Errorf("%d causes %q, want %q", count, causes, want)
	}
	if n := strings.Count(log.String(), "cause=refused"); n != 2 { // once a run of failures
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
}

func TestRestartEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Restart(ctx, "x", Backoff{}, func(context.Context) error { cancel(); return errors.New("late") })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestListenInUse(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	_, err = Listen(t.Context(), addr)
	want := "listen " + addr + ": in use; end what holds it (ss -ltnp sport = :" + addr[len("127.0.0.1:"):] + ") or change port_offset: address already in use"
	if !errors.Is(err, syscall.EADDRINUSE) || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	_, err = Listen(t.Context(), "192.0.2.1:0")
	if !errors.Is(err, syscall.EADDRNOTAVAIL) || !strings.Contains(err.Error(), "no such address on this host") {
		t.Errorf("error %v", err)
	}
}
