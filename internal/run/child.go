package run

import (
	"context"
	"errors"
	"fmt"

	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/clock"
)

// Child says how to start a child process. It can be started any number of
// times; each start gives a Process.
//
// The child leads a process group of its own, so that a terminal's Ctrl-C
// reaches the parent alone, which then stops its children in order. It is
// killed when its parent dies, even by SIGKILL.
type Child struct {
	Name       string // in logs and errors; the path when empty
	Path       string // looked up in PATH when it has no slash
	Args       []string
	Env        []string // added to the parent's
	Dir        string
	Stdin      *os.File // nil: /dev/null; see PipeStdin
	Stdout     *os.File // nil: /dev/null; see PipeStdout
	Stderr     *os.File // nil: line by line into Log
	ExtraFiles []*os.File
	PipeStdin  bool // Process.Stdin is a pipe into it
	PipeStdout bool // Process.Stdout is a pipe out of it

	Grace time.Duration     // from SIGTERM to SIGKILL; 0: 3 s
	Log   *slog.Logger      // for stderr; nil: the default
	Line  func(line string) // gets every stderr line, unlimited, instead of Log
	Clock clock.Clock       // nil: the system's
}

// Process is a started child.
type Process struct {
	// Stdin and Stdout are the parent's ends of the pipes that were asked for.
	// Who reads or writes closes them; both support deadlines.
	Stdin  *os.File
	Stdout *os.File

	child   Child
	cmd     *exec.Cmd
	stderr  *lineLogger
	stopped chan struct{} // closed by Stop
	once    sync.Once
	done    chan struct{}
	err     error
}

// Start starts the child. It is stopped as by Stop when the context ends.
func (c Child) Start(ctx context.Context) (*Process, error) {
	c = c.withDefaults()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &Process{child: c, stopped: make(chan struct{}), done: make(chan struct{})}
	p.cmd = exec.Command(c.Path, c.Args...)
	p.cmd.Dir = c.Dir
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.ExtraFiles = c.ExtraFiles
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	childEnds, err := p.openFiles()
	if err == nil {
		started := make(chan error)
		go p.hold(started)
		err = <-started
	}
	for _, f := range childEnds {
		f.Close()
	}
	if err != nil {
		p.closeFiles()
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	go p.stopWith(ctx)
	return p, nil
}

// Run starts the child and waits for it. When the context ended it returns the
// context's error.
func (c Child) Run(ctx context.Context) error {
	p, err := c.Start(ctx)
	if err != nil {
		return err
	}
	p.closeFiles()
	if err := p.Wait(); ctx.Err() == nil {
		return err
	}
	return ctx.Err()
}

func (c Child) withDefaults() Child {
	if c.Name == "" {
		c.Name = c.Path
	}
	if c.Grace <= 0 {
		c.Grace = 3 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Clock == nil {
		c.Clock = clock.System
	}
	return c
}

// openFiles sets the child's three files and returns those the parent closes
// once the child has them.
func (p *Process) openFiles() (childEnds []*os.File, err error) {
	pipe := func(mine **os.File, theirs func(*os.File), reading bool) {
		r, w, perr := os.Pipe()
		if perr != nil {
			err = errors.Join(err, perr)
			return
		}
		if reading {
			r, w = w, r
		}
		*mine = w
		theirs(r)
		childEnds = append(childEnds, r)
	}
	if p.child.Stdin != nil {
		p.cmd.Stdin = p.child.Stdin
	}
	if p.child.Stdout != nil {
		p.cmd.Stdout = p.child.Stdout
	}
	if p.child.PipeStdin {
		pipe(&p.Stdin, func(f *os.File) { p.cmd.Stdin = f }, false)
	}
	if p.child.PipeStdout {
		pipe(&p.Stdout, func(f *os.File) { p.cmd.Stdout = f }, true)
	}
	if p.child.Stderr != nil {
		p.cmd.Stderr = p.child.Stderr
		return childEnds, err
	}
	p.stderr = newLineLogger(p.child)
	pipe(&p.stderr.file, func(f *os.File) { p.cmd.Stderr = f }, true)
	return childEnds, err
}

func (p *Process) closeFiles() {
	for _, f := range []*os.File{p.Stdin, p.Stdout} {
		if f != nil {
			f.Close()
		}
	}
	if p.stderr != nil && p.cmd.Process == nil && p.stderr.file != nil {
		p.stderr.file.Close()
	}
}

// hold starts the child and stays on the thread that forked it until it is
// gone: the kernel sends the parent-death signal when that thread ends, not when
// the process does (prctl(2), PR_SET_PDEATHSIG).
func (p *Process) hold(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		if p.stderr != nil {
			p.stderr.run()
		}
	}()
	started <- nil
	p.sweep()
	err := p.cmd.Wait()
	if p.stderr != nil {
		// Whoever else still holds it can't keep us.
		p.stderr.file.SetReadDeadline(time.Now().Add(time.Second))
	}
	<-logged
	p.err = p.report(err)
	close(p.done)
}

// sweep waits until the child has exited and kills the rest of its group while
// the child is a zombie, so that the group's number can't have been reused.
func (p *Process) sweep() {
	for {
		err := unix.Waitid(unix.P_PID, p.Pid(), nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			break
		}
	}
	_ = unix.Kill(-p.Pid(), unix.SIGKILL) // ESRCH: nobody is left
}

// report says how it ended: nil when it exited with 0 or was stopped.
func (p *Process) report(err error) error {
	select {
	case <-p.stopped:
		return nil
	default:
	}
	switch {
	case err == nil:
		return nil
	case p.stderr != nil && p.stderr.last != "":
		return fmt.Errorf("%s: %w: %s", p.child.Name, err, p.stderr.last)
	}
	return fmt.Errorf("%s: %w", p.child.Name, err)
}

func (p *Process) stopWith(ctx context.Context) {
	select {
	case <-ctx.Done():
		p.Stop()
	case <-p.done:
	}
}

// Pid is the child's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the child's end. Its error has the exit status and the last
// line of stderr; it is nil after exit status 0 and after Stop.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Stop asks the child to end by SIGTERM, kills it after the grace, and waits.
// Calling it twice, or after the end, is fine.
func (p *Process) Stop() {
	p.once.Do(func() {
		close(p.stopped)
		p.end()
	})
	<-p.done
}

// Kill ends the child at once by SIGKILL and waits.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *Process) end() {
	select {
	case <-p.done:
		return
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	reached, stop := p.child.Clock.After(p.child.Clock.Now() + int64(p.child.Grace))
	defer stop()
	select {
	case <-p.done:
	case <-reached:
		p.child.Log.Warn("killed, it didn't end in time", "name", p.child.Name, "pid", p.Pid(), "grace", p.child.Grace)
		_ = p.cmd.Process.Kill()
	}
}
