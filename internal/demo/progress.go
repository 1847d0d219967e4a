package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// progress shows how far a piece of long work is: in place on a terminal, a
// line now and then where the output is piped.
type progress struct {
	what     string
	terminal bool
	last     time.Time
	text     string
}

func newProgress(what string) *progress {
	p := &progress{what: what, terminal: isTerminal(os.Stdout)}
	p.last = time.Now()
	if !p.terminal {
		fmt.Println(what)
	}
	return p
}

func (p *progress) show(text string) {
	p.text = text
	every := 200 * time.Millisecond
	if !p.terminal {
		every = 10 * time.Second
	}
	if time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	if p.terminal {
		fmt.Printf("\r\x1b[K%s: %s", p.what, text)
	} else {
		fmt.Printf("%s: %s\n", p.what, text)
	}
}

func (p *progress) done() {
	if p.terminal {
		fmt.Printf("\r\x1b[K%s: done\n", p.what)
	}
}

// counter shows bytes that pass through it.
type counter struct {
	bar   *progress
	n     int64
	total int64
}

func (c *counter) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	if c.total > 0 {
		c.bar.show(fmt.Sprintf("%.1f of %.1f MB", float64(c.n)/1e6, float64(c.total)/1e6))
	} else {
		c.bar.show(fmt.Sprintf("%.1f MB", float64(c.n)/1e6))
	}
	return len(b), nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
