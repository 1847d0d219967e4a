package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run/runtest"
)

// binary builds tstee once: load is measured on the program as it ships.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "tstee")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// child is a running tstee, or a program that stands for it.
type child struct {
	*exec.Cmd
	stdin  io.WriteCloser
	shift  int
	stderr *runtest.Log
}

// freeShift finds a PORTSHIFT of which every port is free.
func freeShift(tb testing.TB) int {
	tb.Helper()
	for range 100 {
		shift := 2000 + rand.IntN(8000) // sproxy takes 2 to 10000
		if free(shift+streamPort, shift+bufferedPort, shift+httpPort, shift+statusPort) {
			return shift
		}
	}
	tb.Fatal("no free ports")
	return 0
}

func free(ports ...int) bool {
	for _, p := range ports {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			return false
		}
		ln.Close()
	}
	return true
}

// start runs path with a shift, and ends it with the test.
func start(tb testing.TB, path string, args ...string) *child {
	tb.Helper()
	c := &child{shift: freeShift(tb), stderr: &runtest.Log{}}
	c.Cmd = exec.Command(path, append(args, strconv.Itoa(c.shift))...)
	c.Stderr = c.stderr
	in, err := c.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	c.stdin = in
	if err := c.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		if c.ProcessState == nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		if tb.Failed() && c.stderr.String() != "" {
			tb.Logf("%s said:\n%s", filepath.Base(path), c.stderr)
		}
	})
	return c
}

func startTstee(tb testing.TB, args ...string) *child {
	tb.Helper()
	path, err := binary()
	if err != nil {
		tb.Fatal(err)
	}
	return start(tb, path, append(args, "--address", "127.0.0.1")...)
}

func (c *child) address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+c.shift) }

// dial waits for the program to listen.
func (c *child) dial(tb testing.TB, port int) net.Conn {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", c.address(port))
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(patience))
			return conn
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%v\n%s", err, c.stderr)
		}
	}
}

// cpu is the time the process has run, from the scheduler: /proc/PID/stat
// would count in steps of 10 ms.
func (c *child) cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var sum time.Duration
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", c.Process.Pid))
	if err != nil || len(tasks) == 0 {
		tb.Skip("this kernel has no /proc/PID/task/*/schedstat")
	}
	for _, t := range tasks {
		text, err := os.ReadFile(t)
		if err != nil {
			continue // a thread that ended
		}
		ns, _ := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}

// await waits until so many readers are being served: a connection may be open
// before its server knows of it.
func (c *child) await(t testing.TB, readers int) {
	t.Helper()
	runtest.Eventually(t, fmt.Sprintf("%d readers", readers), func() bool {
		s, err := c.status(t)
		return err == nil && hop(s, "stream").Readers+hop(s, "buffered").Readers+hop(s, "http").Readers == readers
	})
}

func (c *child) status(t testing.TB) (metrics.Status, error) {
	return metrics.Fetch(t.Context(), http.DefaultClient, "http://"+c.address(statusPort))
}

func hop(s metrics.Status, name string) metrics.Hop {
	h, _ := s.Hop(name)
	return h
}
