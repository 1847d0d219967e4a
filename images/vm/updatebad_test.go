//go:build vm

package vm_test

import (
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/bundle"
)

// TestDrillUpdateBad brings bundles that must not stay, one after the other,
// onto one box. They are one image, which does by orders what a bad one would;
// its kernel is the old root's, as it is in each trial.
func TestDrillUpdateBad(t *testing.T) {
	v := bootUpdatable(t, "", nil)
	v.begin(t, openSource(t, sabotaged).bundle(t, nil))
	if u := v.waitUpdate(t, 4*time.Minute, "committed", "failed"); u.State != "committed" {
		t.Fatalf("%+v", u)
	}
	for i, tt := range []struct{ name, orders, reason string }{
		{"capture crashes", "hunt capture", "stream growing"},
		{"record crashes", "hunt record", "recorder growing"},
		{"boxd hangs", "freeze boxd", "boxd"},
		{"the kernel panics", "write /proc/sysrq-trigger c", "restarted"},
		{"no network", "down eth0", "is failed, was ok"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v.sabotage(t, "write /perm/sabotage "+tt.orders)
			// What the bundle holds has no way into it once it is sabotaged; the root
			// that is fallen back to has.
			v.fallsBack(t, openSource(t, sabotaged).bundle(t, func(m *bundle.Manifest) { m.Version, m.Build = "bad", m.Build+int64(i)+1 }), "B", tt.reason)
		})
	}
}
