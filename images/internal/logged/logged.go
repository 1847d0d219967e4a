// Package logged runs programs that say more than a person wants to read, such
// as gok and the kernel's make: all of it goes to a file, and whoever runs them
// shows what matters.
package logged

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Log is where to and how a program's words go.
type Log struct {
	Name  string // of the program, for errors
	Path  string // the file; made with its folder, appended to
	Lines int    // how many of the last lines are in an error
	// Filter sees all that is said, before file and Show; may be nil.
	Filter func(io.Writer) io.Writer
	Show   func(io.Reader) // need not read all
}

// Run runs a command made by exec.CommandContext. It is a process group of its
// own: none of its children outlives it or this program.
func (l Log) Run(cmd *exec.Cmd) error {
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(l.Path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	out, in := io.Pipe()
	var to io.Writer = in
	if l.Filter != nil {
		to = l.Filter(in)
	}
	cmd.Stdout, cmd.Stderr = to, to // one writer for both: os/exec writes one after the other
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		said := io.TeeReader(out, log)
		l.Show(said)
		_, _ = io.Copy(io.Discard, said) // who shows no more must not stop the program
	}()
	err = cmd.Run()
	in.Close()
	<-shown
	if err != nil {
		return fmt.Errorf("%s: %w; all it said is in %s, the end of it:\n%s", l.Name, err, l.Path, last(l.Path, l.Lines))
	}
	return nil
}

func last(path string, n int) string {
	data, _ := os.ReadFile(path)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
