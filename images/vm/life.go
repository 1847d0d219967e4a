package vm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/openvideobox/videobox/internal/run"
)

// life is one run of QEMU. A reset ends it (-no-reboot) and another one begins,
// for QEMU itself would boot the kernel that it was given at its start.
type life struct {
	process *run.Process
	qmp     *qmp
	console <-chan struct{} // closed when all of its output has been read
}

// boot starts QEMU with the boot files as they are now.
func (m *Machine) boot(ctx context.Context) (*life, error) {
	c := m.config
	cmdline, err := c.bootFiles(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.newLog(); err != nil {
		return nil, err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	args := c.args(cmdline, m.forwards())
	child := run.Child{Name: "qemu", Path: c.program(), Args: args, PipeStdin: true, PipeStdout: true, ExtraFiles: []*os.File{theirs}}
	l := &life{}
	if l.process, err = child.Start(ctx); err != nil {
		ours.Close()
		return nil, err
	}
	l.console = m.Console.follow(l.process.Stdout)
	theirs.Close() // else its end would not end ours
	if l.qmp, err = newQMP(ours); err == nil {
		punctual(l.process.Pid()) // now that its other threads are there, which would inherit it
		err = m.findPorts(ctx, l.qmp)
	}
	if err != nil {
		l.process.Stop()
		return nil, errors.Join(err, l.end())
	}
	return l, nil
}

// bootFiles are what the machine's firmware does not find by itself: the kernel
// and its command line, and the device tree of a screen.
func (c Config) bootFiles(ctx context.Context) (cmdline string, err error) {
	if c.PC {
		return "", c.makeVars()
	}
	if cmdline, err = bootFiles(ctx, c.Dir); err != nil {
		return "", err
	}
	screen, err := c.makeScreen(ctx)
	return strings.TrimSpace(cmdline + screen + " " + c.Append), err
}

// end waits for QEMU's end and for what it has said until then.
func (l *life) end() error {
	err := l.process.Wait()
	if l.qmp != nil {
		l.qmp.finish()
	}
	l.process.Stdin.Close()
	<-l.console
	return err
}

// keep starts QEMU again after each reset.
func (m *Machine) keep(ctx context.Context) {
	defer close(m.done)
	defer m.Console.end()
	defer m.cancel()
	for {
		if err := m.life.end(); err != nil && ctx.Err() == nil {
			slog.Warn("vm: QEMU has ended", "err", err)
		}
		if cause := m.life.qmp.cause(); ctx.Err() != nil || !isReset(cause) {
			return
		}
		next, err := m.boot(ctx)
		if err != nil {
			if ctx.Err() == nil {
				slog.Error("vm: no restart", "err", err)
			}
			return
		}
		m.mu.Lock()
		m.life = next
		m.restarts++
		close(m.changed)
		m.changed = make(chan struct{})
		m.mu.Unlock()
	}
}

// isReset tells causes of QEMU's SHUTDOWN event after which a real machine
// boots again. With -no-reboot a watchdog's reset is one of the guest.
func isReset(cause string) bool {
	return cause == "guest-reset" || cause == "host-qmp-system-reset" || cause == "subsystem-reset"
}

// Restarts is how often the machine has booted again.
func (m *Machine) Restarts() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.restarts
}

// WaitRestarts waits until the machine has booted again n times.
func (m *Machine) WaitRestarts(ctx context.Context, n int) error {
	for {
		m.mu.Lock()
		now, changed := m.restarts, m.changed
		m.mu.Unlock()
		if now >= n {
			return nil
		}
		select {
		case <-changed:
		case <-m.done:
			return errors.New("the machine has ended for good; last: " + m.Console.Last(3))
		case <-ctx.Done():
			return fmt.Errorf("restart %d: %w; last: %s", n, ctx.Err(), m.Console.Last(3))
		}
	}
}

// forwards are the ports to ask for: those taken before, after a restart.
func (m *Machine) forwards() map[int]int {
	if len(m.ports) > 0 {
		return m.ports
	}
	return m.config.Ports
}

// findPorts asks QEMU which ports of the host it has taken.
func (m *Machine) findPorts(ctx context.Context, q *qmp) error {
	if len(m.ports) > 0 {
		return nil
	}
	var table string
	if err := q.run(ctx, "human-monitor-command", map[string]any{"command-line": "info usernet"}, &table); err != nil {
		return err
	}
	for line := range strings.Lines(table) {
		// Protocol[State] FD SourceAddress Port DestAddress Port RecvQ SendQ
		f := strings.Fields(line)
		if len(f) < 6 || f[0] != "TCP[HOST_FORWARD]" {
			continue
		}
		host, herr := strconv.Atoi(f[3])
		guest, gerr := strconv.Atoi(f[5])
		if err := errors.Join(herr, gerr); err != nil {
			return fmt.Errorf("info usernet: %q: %w", line, err)
		}
		m.ports[guest] = host
	}
	for guest := range m.config.Ports {
		if m.ports[guest] == 0 {
			return fmt.Errorf("QEMU doesn't forward port %d: %s", guest, table)
		}
	}
	return nil
}
