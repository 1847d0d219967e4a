package e2e

import (
	"fmt"
	"net"
	"testing"
	"time"
)

// TestEndsWhole starts a chain and ends it as Ctrl-C does: no process is left
// and every port is free.
func TestEndsWhole(t *testing.T) {
	c, err := startChain(500, "--camera", "pattern")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the chain is ok", c.ok)
	start := time.Now()
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	t.Logf("ended in %v", time.Since(start).Round(time.Millisecond))
	if c.err != nil {
		t.Errorf("exit: %v", c.err)
	}
	for _, port := range []int{1935, 1936, 8000, 8080, 8081, 8082, 8101, 8102, 8899, 8898, 18899, 18898, 28899, 28900, 28999} {
		ln, err := net.Listen("tcp", c.hostPort(port))
		if err != nil {
			t.Error(err)
			continue
		}
		ln.Close()
	}
}

// TestKilledDemoLeavesNothing kills the demo itself: its children end within 5 s.
func TestKilledDemoLeavesNothing(t *testing.T) {
	c, err := startChain(500, "--camera", "pattern")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the chain is ok", c.ok)
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.done
	took := eventually(t, 5*time.Second, "no process is left", func() error {
		if left := c.processes(); len(left) > 0 {
			return fmt.Errorf("%q", left)
		}
		return nil
	})
	t.Logf("all gone after %v", took.Round(time.Millisecond))
	if err := c.stop(); err != nil {
		t.Error(err)
	}
}
