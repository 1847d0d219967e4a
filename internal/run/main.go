// Package run is what every program's life has in common: signals and exit
// codes, groups of goroutines, restarts with back-off, child processes that
// never outlive their parent, and listening sockets with errors that say what
// to do.
//
// Children rely on Linux: process groups, and PR_SET_PDEATHSIG (prctl(2)).
// Tested on Debian 12, kernel 6.1 and later.
package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// LevelEnv names the environment variable that sets the log level: debug, info,
// warn or error. A child inherits it.
const LevelEnv = "VIDEOBOX_LOG"

var level slog.LevelVar

// SetLevel sets the log level, as a flag does; "" changes nothing.
func SetLevel(text string) error {
	if text == "" {
		return nil
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("log level %q; use debug, info, warn or error", text)
	}
	level.Set(l)
	return nil
}

// Main is the body of every main: it sets up the log, runs f with a context
// that ends at SIGINT or SIGTERM, and exits with 0, or with 1 after printing
// each line of the error as "program: line". A second signal exits at once.
func Main(f func(ctx context.Context) error) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	os.Exit(runMain(filepath.Base(os.Args[0]), os.Stderr, signals, os.Exit, f))
}

func runMain(program string, stderr io.Writer, signals <-chan os.Signal, exit func(int), f func(context.Context) error) int {
	slog.SetDefault(slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: &level})))
	if err := SetLevel(os.Getenv(LevelEnv)); err != nil {
		fmt.Fprintf(stderr, "%s: %s: %v\n", program, LevelEnv, err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	watching := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(watching)
		watchSignals(signals, ended, cancel, exit)
	}()
	err := protect(ctx, f)
	stopped := ctx.Err() != nil
	cancel()
	close(ended)
	<-watching
	if err == nil || stopped && errors.Is(err, context.Canceled) {
		return 0
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(stderr, "%s: %s\n", program, strings.TrimRight(line, "\n"))
	}
	return 1
}

// watchSignals cancels at the first signal and exits at the second with the
// shell's code for a death by it.
func watchSignals(signals <-chan os.Signal, ended <-chan struct{}, cancel func(), exit func(int)) {
	select {
	case <-signals:
		cancel()
	case <-ended:
		return
	}
	select {
	case s := <-signals:
		code := 1
		if n, ok := s.(syscall.Signal); ok {
			code = 128 + int(n)
		}
		exit(code)
	case <-ended:
	}
}
