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

// TestShortPCTrial is the trial of a signed update on a PC, whose firmware takes
// the root from another file than gokrazy's init takes the trial from: a good
// one is committed in both, and one whose kernel crashes falls back to it.
func TestShortPCTrial(t *testing.T) {
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

// TestDrillPCTrial is one whose boxd dies, and one that loses its power.
func TestDrillPCTrial(t *testing.T) {
	v := bootUpdatablePC(t)
	v.sabotage(t, "write /perm/sabotage hunt boxd")
	v.fallsBack(t, badPC(t), "A", "boxd was killed or died too often")
	v.namesRoot(within(t, 20*time.Second), t, 2)

	v.wait(within(t, 2*time.Minute), t, "the box is well", isWell)
	mark := v.Console.Mark()
	v.begin(t, badPC(t))
	ctx := within(t, backWithin)
	if _, err := v.Console.WaitFrom(ctx, mark, "switching to inactive root partition"); err != nil {
		t.Fatal(err)
	}
	if err := v.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	if u := v.waitUpdate(t, 2*time.Minute, "committed", "failed"); u.State != "failed" || u.Running.Slot != "A" {
		t.Errorf("a trial without power: %+v, %+v", u, u.Last)
	}
	v.namesRoot(within(t, 20*time.Second), t, 2)
}
