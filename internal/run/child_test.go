package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/clock"
)

// patience is how long a test waits for something that happens at once.
const patience = 20 * time.Second

// playRole is this test binary as somebody's child.
func playRole(role string) int {
	switch role {
	case "cat":
		if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
			return 1
		}
	case "fail":
		fmt.Fprint(os.Stderr, "first\nlast words\n\n")
		return 3
	case "talk":
		for i := range 100 {
			fmt.Fprintf(os.Stderr, "line %d\r", i)
		}
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		select {}
	case "wait":
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin) // never ends: nobody closes it
	case "parent": // the grandchild holds our stdout open for as long as it lives
		c := self("wait")
		c.PipeStdin, c.PipeStdout = false, false
		c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
		if _, err := c.Start(context.Background()); err != nil {
			return 1
		}
		select {}
	case "family": // leaves a grandchild that knows nothing of its parent's death
		c := exec.Command("/proc/self/exe")
		c.Env = append(os.Environ(), "RUN_TEST_ROLE=wait")
		c.Stdin, c.Stdout = os.Stdin, os.Stdout
		if c.Start() != nil {
			return 1
		}
	case "burn":
		for used := (unix.Rusage{}); used.Utime.Nano() < 1e8; {
			if unix.Getrusage(unix.RUSAGE_SELF, &used) != nil {
				return 1
			}
		}
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin)
	}
	return 0
}

func self(role string) Child {
	return Child{
		Name: role, Path: "/proc/self/exe", Env: []string{"RUN_TEST_ROLE=" + role},
		PipeStdin: true, PipeStdout: true,
	}
}

func start(t *testing.T, c Child) *Process {
	t.Helper()
	p, err := c.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		p.closeFiles()
	})
	return p
}

func ready(t *testing.T, p *Process) {
	t.Helper()
	p.Stdout.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(p.Stdout).ReadString('\n')
	if line != "ready\n" {
		t.Fatalf("child said %q, %v", line, err)
	}
}

func TestChildPipes(t *testing.T) {
	p := start(t, self("cat"))
	if _, err := io.WriteString(p.Stdin, "through the child"); err != nil {
		t.Fatal(err)
	}
	p.Stdin.Close()
	got, err := io.ReadAll(p.Stdout) // also what it wrote just before it ended
	if err != nil || string(got) != "through the child" {
		t.Errorf("read %q, %v", got, err)
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	p.Stop()
	p.Stop()
}

func TestChildReportsItsLastWords(t *testing.T) {
	var log logged
	c := self("fail")
	c.Log = log.logger()
	err := c.Run(t.Context())
	if err == nil || err.Error() != "fail: exit status 3: last words" {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(log.String(), "msg=first child=fail") {
		t.Errorf("log %q", log.String())
	}
}

func TestChildThatIsNotThere(t *testing.T) {
	_, err := Child{Name: "encoder", Path: "/nonexistent"}.Start(t.Context())
	if want := "start encoder: fork/exec /nonexistent: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestStopKillsAfterTheGrace(t *testing.T) {
	held := clock.NewHeld(1)
	c := self("stubborn")
	c.Clock, c.Grace, c.Log = held, time.Hour, new(logged).logger()
	p := start(t, c)
	ready(t, p)
	stopped := make(chan struct{})
	go func() { p.Stop(); close(stopped) }()
	if _, err := held.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-stopped
	if err := p.Wait(); err != nil {
		t.Errorf("a child that was stopped failed: %v", err)
	}
}

func TestContextStopsTheChild(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := self("wait")
	c.PipeStdin, c.PipeStdout = false, false
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	c.Stdin = r
	go cancel()
	if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// eof waits until nobody holds the other end any more.
func eof(t *testing.T, r *os.File) {
	t.Helper()
	r.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatalf("a process still holds the pipe: %v", err)
	}
}

func TestChildrenDieWithTheirKilledParent(t *testing.T) {
	p := start(t, self("parent"))
	ready(t, p) // said by the grandchild
	if err := unix.Kill(p.Pid(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eof(t, p.Stdout)
}

func TestAnExitedChildLeavesNobody(t *testing.T) {
	p := start(t, self("family"))
	eof(t, p.Stdout)
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

// TestChildOutlivesTheThreadThatStartedIt: a goroutine that ends while locked to
// its thread takes the thread with it, and the parent-death signal would follow.
func TestChildOutlivesTheThreadThatStartedIt(t *testing.T) {
	c := self("cat")
	var p *Process
	var err error
	thread := mortalThread(func() { p, err = c.Start(t.Context()) })
	if err != nil {
		t.Fatal(err)
	}
	defer p.closeFiles()
	defer p.Kill()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread)); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the thread goes on")
		}
	}
	if _, err := io.WriteString(p.Stdin, "alive\n"); err != nil {
		t.Fatal(err)
	}
	p.Stdout.SetReadDeadline(time.Now().Add(patience))
	if line, err := bufio.NewReader(p.Stdout).ReadString('\n'); line != "alive\n" {
		t.Errorf("the child said %q, %v", line, err)
	}
}

// mortalThread runs f on a thread that ends, which the process's first doesn't,
// and returns its number.
func mortalThread(f func()) int {
	tid := make(chan int)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			tid <- mortalThread(f)
			runtime.UnlockOSThread()
			return
		}
		f()
		tid <- unix.Gettid()
	}()
	return <-tid
}

func TestChildLinesAreLimited(t *testing.T) {
	var log logged
	held := clock.NewHeld(1)
	c := self("talk")
	c.Clock, c.Log = held, log.logger()
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), `msg="line `); n != linesPerSecond {
		t.Errorf("%d lines logged, want %d", n, linesPerSecond)
	}
	if !strings.Contains(log.String(), "child=talk lines=80") {
		t.Errorf("log doesn't say what is missing:\n%s", log.String())
	}
}

func TestChildLinesGoToTheirReader(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	c := self("talk")
	c.Line = func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 100 || lines[99] != "line 99" {
		t.Errorf("%d lines, the last of them %q", len(lines), lines[len(lines)-1])
	}
}

func TestProcessUsageWithDescendants(t *testing.T) {
	p := start(t, self("burn"))
	ready(t, p)
	child, err := ProcessUsage(p.Pid(), false)
	if err != nil {
		t.Fatal(err)
	}
	if child.CPUSeconds < 0.05 || child.ResidentBytes < 1<<20 {
		t.Errorf("a child that used 0.1 s of CPU time used %+v", child)
	}
	own, err := ProcessUsage(os.Getpid(), false)
	if err != nil {
		t.Fatal(err)
	}
	all, err := ProcessUsage(os.Getpid(), true)
	if err != nil {
		t.Fatal(err)
	}
	if all.Processes < 2 || all.CPUSeconds < own.CPUSeconds+child.CPUSeconds || all.ResidentBytes < child.ResidentBytes {
		t.Errorf("own %+v, child %+v, together %+v", own, child, all)
	}
	p.Kill()
	if _, err := ProcessUsage(p.Pid(), false); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("usage of a process that has ended: %v", err)
	}
}

// Who ended is seen at once, and who came meanwhile with it.
func TestFamilyKnowsWhoEnded(t *testing.T) {
	first, f := start(t, self("burn")), Family{PID: os.Getpid()}
	ready(t, first)
	count := func() int {
		t.Helper()
		u, err := f.Usage()
		if err != nil {
			t.Fatal(err)
		}
		return u.Processes
	}
	if n := count(); n != 2 {
		t.Fatalf("%d processes, want 2", n)
	}
	first.Kill()
	if n := count(); n != 1 {
		t.Errorf("%d processes after the child's end, want 1", n)
	}
	second := start(t, self("burn"))
	ready(t, second)
	f.looked = f.looked.Add(-newMembers)
	if n := count(); n != 2 {
		t.Errorf("%d processes with the next child, want 2", n)
	}
}

func TestParseStat(t *testing.T) {
	// From a Debian 12 host, with a name that tries to confuse.
	const line = "4242 (a) R 1 (b)) S 17 4242 4242 0 -1 4194304 1 0 0 0 150 50 30 20 20 0 4 0 999 123456 256 18446744073709551615\n"
	s, err := parseStat(4242, []byte(line))
	want := stat{pid: 4242, parent: 17, own: 200, waited: 50, resident: 256 * uint64(os.Getpagesize())}
	if err != nil || s != want {
		t.Errorf("got %+v, %v; want %+v", s, err, want)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S 1 2 3"} {
		if _, err := parseStat(1, []byte(bad)); err == nil {
			t.Errorf("%q is a stat", bad)
		}
	}
}
