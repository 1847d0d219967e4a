package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/metrics"
)

// testKills kills each process in turn: it is back within 5 s, and the player
// goes on.
func testKills(t *testing.T, c *chain, b *browser) {
	for _, name := range []string{"box1 capture", "box2 capture", "box1 record", "box1 boxd", "mixer", "push", "main", "backup", "dump", "cache"} {
		t.Run(name, func(t *testing.T) {
			port := c.programs()[name]
			before, err := c.status(port)
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(before.Process.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			took := eventually(t, 5*time.Second, name+" is ok again", func() error { return c.again(port, before.Process.PID) })
			at := b.currentTime(t)
			player := eventually(t, 15*time.Second, "the player goes on", func() error {
				if now := b.currentTime(t); now < at+2 {
					return fmt.Errorf("at %.1f, was at %.1f", now, at)
				}
				return nil
			})
			t.Logf("back after %.1f s, the player moved 2 s in %.1f s", took.Seconds(), player.Seconds())
			eventually(t, 10*time.Second, "the whole chain is ok", c.ok)
		})
	}
}

// again is nil once another process than pid answers at port and is well.
func (c *chain) again(port, pid int) error {
	s, err := c.status(port)
	switch {
	case err != nil:
		return err
	case s.Process.PID == pid:
		return fmt.Errorf("still process %d", pid)
	}
	return well(s)
}

// ok is nil while every program is well.
func (c *chain) ok() error {
	for name, port := range c.programs() {
		s, err := c.status(port)
		if err == nil {
			err = well(s)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// well is nil when a program does all it should. That a recording lacks what
// was lost in a fault before is said for a minute; it is no fault of now.
func well(s metrics.Status) error {
	past := func(cause string) bool { return strings.Contains(cause, "missing") }
	for _, h := range s.Hops {
		if h.State != metrics.OK && !past(h.Cause) {
			return fmt.Errorf("%s %s: %s", h.Name, h.State, h.Cause)
		}
	}
	for _, l := range s.Health {
		// How hot this host is, and how full its disk, is not the chain's fault.
		hosts := l.Name == "temperature" || l.Name == "disk space" && l.State == metrics.Degraded
		if !hosts && l.State != metrics.NotApplicable && l.State != metrics.OK && !past(l.Cause) {
			return fmt.Errorf("%s %s: %s", l.Name, l.State, l.Cause)
		}
	}
	if s.State == metrics.Starting || s.State == metrics.Failed {
		return fmt.Errorf("%s: %s", s.State, s.Cause)
	}
	return nil
}
