package vm

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// A process comes before all others, or keeps its priority and gets a short slice.
func TestPunctual(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	before, err := unix.SchedGetAttr(child.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	punctual(child.Process.Pid)
	after, err := unix.SchedGetAttr(child.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v was %+v", after, before)
	switch {
	case after.Policy == schedFIFO && after.Priority == 1: // root's
	case after.Policy == schedOther && after.Nice == before.Nice && (after.Runtime == slice || before.Runtime == 0):
		// Before 6.12 there is no slice to read.
	default:
		t.Errorf("%+v, was %+v", after, before)
	}
}
