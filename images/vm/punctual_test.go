package vm

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// A process keeps its priority and gets a short slice, where Linux knows that.
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
	t.Logf("a slice of %d ns was %d", after.Runtime, before.Runtime)
	// Before 6.12 there is no slice to read.
	if before.Runtime != 0 && after.Runtime != slice || before.Runtime == slice || after.Nice != before.Nice || after.Policy != before.Policy {
		t.Errorf("%+v, was %+v", after, before)
	}
}
