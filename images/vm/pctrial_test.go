//go:build vm

package vm_test

import (
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/bundle"
)

// bootUpdatablePC boots a PC box with the tests' key, which is well.
func bootUpdatablePC(t *testing.T) victim {
	t.Helper()
	v := bootVictimPC(t, func(c *vm.Config) { c.Perm["videobox/update.key"], c.Watchdog = publicKey(), true })
	v.wait(within(t, 2*time.Minute), t, "the box is well", isWell)
	return v
}

// badPC is a bundle for PCs that does as /perm/sabotage says.
func badPC(t *testing.T) []byte {
	return openSource(t, sabotagedPC).bundle(t, func(m *bundle.Manifest) { m.Version, m.Build = "bad", time.Now().Unix() })
}

// TestDrillPCTrial is the trial of a signed update on a PC, whose firmware takes
// the root from another file than gokrazy's init takes the trial from: a good
// one is committed in both, and one whose kernel crashes falls back to it.
func TestDrillPCTrial(t *testing.T) {
	v := bootUpdatablePC(t)
	gap := v.watchGap(t)
	v.begin(t, openSource(t, sabotagedPC).bundle(t, func(m *bundle.Manifest) { m.Build++ }))
	u := v.waitUpdate(t, backWithin, "committed", "failed")
	if u.State != "committed" || u.Running.Slot != "B" {
		t.Fatalf("%+v, %+v", u, u.Last)
	}
	t.Logf("outage of the stream: %.1f s for a reader; the box says %.1f s", gap().Seconds(), u.Last.Outage/1000)
	v.namesRoot(within(t, 20*time.Second), t, 3)

	v.sabotage(t, "write /perm/sabotage write /proc/sysrq-trigger c")
	v.fallsBack(t, badPC(t), "B", "crashed")
	v.namesRoot(within(t, 20*time.Second), t, 3)
}
