package e2e

import (
	"fmt"
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
	case s.State != metrics.OK:
		return fmt.Errorf("%s: %s", s.State, s.Cause)
	}
	return nil
}

// ok is nil while every program is.
func (c *chain) ok() error {
	for name, port := range c.programs() {
		s, err := c.status(port)
		if err != nil {
			return err
		}
		if s.State != metrics.OK {
			return fmt.Errorf("%s: %s: %s", name, s.State, s.Cause)
		}
	}
	return nil
}
