package vm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// maxLines is how much of the console is kept; all of it is in serial.log.
const maxLines = 10_000

// Console is what the machine has written to its serial port, over restarts.
type Console struct {
	log *os.File

	mu      sync.Mutex
	lines   []string
	ended   bool
	changed chan struct{} // closed and replaced with every line, closed at the end
}

func newConsole(logFile string) (*Console, error) {
	log, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	return &Console{log: log, changed: make(chan struct{})}, nil
}

// follow reads one run of QEMU; what it gives is closed at its end.
func (c *Console) follow(from io.ReadCloser) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer from.Close()
		c.read(io.TeeReader(from, c.log))
	}()
	return done
}

func (c *Console) read(from io.Reader) {
	for r := bufio.NewReader(from); ; {
		line, err := r.ReadString('\n')
		c.mu.Lock()
		if line != "" && len(c.lines) < maxLines {
			c.lines = append(c.lines, strings.TrimRight(line, "\r\n"))
		}
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// end says that no more will come. Nobody may follow any more.
func (c *Console) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended = true
		close(c.changed)
		c.log.Close()
	}
}

// Mark is a place for WaitFrom: what is written from now on.
func (c *Console) Mark() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.lines)
}

// Wait waits for a line that holds the text, among those written already too.
func (c *Console) Wait(ctx context.Context, text string) (line string, err error) {
	return c.WaitFrom(ctx, 0, text)
}

// WaitFrom waits for a line after a Mark.
func (c *Console) WaitFrom(ctx context.Context, mark int, text string) (line string, err error) {
	for seen := mark; ; {
		c.mu.Lock()
		lines, ended, changed := c.lines, c.ended, c.changed
		c.mu.Unlock()
		for ; seen < len(lines); seen++ {
			if strings.Contains(lines[seen], text) {
				return lines[seen], nil
			}
		}
		if ended {
			return "", fmt.Errorf("console: ended without %q; last: %s", text, c.Last(3))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", fmt.Errorf("console: no %q: %w; last: %s", text, ctx.Err(), c.Last(3))
		}
	}
}

// Last is the last n lines.
func (c *Console) Last(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.lines[max(0, len(c.lines)-n):], "\n")
}
