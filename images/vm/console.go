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

// Console is what the machine has written to its serial port.
type Console struct {
	mu      sync.Mutex
	lines   []string
	ended   bool
	changed chan struct{} // closed and replaced with every line, closed at the end
	done    chan struct{}
}

func newConsole(from *os.File, logFile string) *Console {
	c := &Console{changed: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		defer from.Close()
		c.read(from, logFile)
	}()
	return c
}

func (c *Console) read(from io.Reader, logFile string) {
	if log, err := os.Create(logFile); err == nil {
		defer log.Close()
		from = io.TeeReader(from, log)
	}
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadString('\n')
		c.mu.Lock()
		if line != "" && len(c.lines) < maxLines {
			c.lines = append(c.lines, strings.TrimRight(line, "\r\n"))
		}
		c.ended = err != nil
		close(c.changed)
		if err == nil {
			c.changed = make(chan struct{})
		}
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Wait waits for a line that holds the text, among those written already too.
func (c *Console) Wait(ctx context.Context, text string) (line string, err error) {
	for seen := 0; ; {
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

func (c *Console) wait() { <-c.done }
