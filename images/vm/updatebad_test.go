//go:build vm

package vm_test

import (
	"context"
	"html"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/bundle"
)

// TestDrillUpdateBad brings bundles that must not stay, one after the other,
// onto one box. All but those with another init are one image, which does by
// orders what a bad one would; the kernel is the old root's, as it is in each
// trial.
func TestDrillUpdateBad(t *testing.T) {
	if err := makeBrokenInit(); err != nil {
		t.Fatal(err)
	}
	v := bootUpdatable(t, "", func(c *vm.Config) { c.Image, c.Ports[saboteurPort], c.Watchdog = sabotaged, 0, true })
	for i, tt := range []struct{ name, image, orders, reason string }{
		{"init crashes", brokenInit, "write /perm/sabotage.init crash", "before the new boxd could say anything: init or kernel crashed"},
		{"init hangs", brokenInit, "write /perm/sabotage.init hang", "before the new boxd could say anything: init or kernel crashed"},
		{"the kernel panics", sabotaged, "write /perm/sabotage write /proc/sysrq-trigger c", "crashed"},
		{"the kernel hangs", sabotaged, "write /perm/sabotage write /proc/sys/kernel/panic 0; write /proc/sysrq-trigger c", "crashed"},
		{"boxd crashes", sabotaged, "write /perm/sabotage hunt boxd", "boxd was killed or died too often"},
		{"boxd hangs", sabotaged, "write /perm/sabotage freeze boxd", "boxd was killed or died too often"},
		{"boxd goes on and answers nobody", sabotaged, "write /perm/sabotage deaf boxd", "boxd was killed or died too often"},
		{"capture crashes", sabotaged, "write /perm/sabotage hunt capture", "stream growing is failed, was ok"},
		{"record crashes", sabotaged, "write /perm/sabotage hunt record", "recorder growing is failed"},
		{"no network", sabotaged, "write /perm/sabotage down eth0", "network link is failed, was ok"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v.wait(within(t, 4*time.Minute), t, "the box is well", isWell)
			// What the bundle holds has no way into it once it is sabotaged; the root
			// that is fallen back to has.
			v.sabotage(t, tt.orders)
			v.fallsBack(t, openSource(t, tt.image).bundle(t, func(m *bundle.Manifest) { m.Version, m.Build = "bad", time.Now().Unix()+int64(i) }), "A", tt.reason)
		})
	}
}

// backWithin is how long a bundle that must not stay may keep the box from being
// its old self.
const backWithin = 4 * time.Minute

// fallsBack tries a bundle that must not stay. The reason must be there for
// programs and, in the same words, for people.
func (v victim) fallsBack(t *testing.T, file []byte, slot, reason string) {
	t.Helper()
	v.begin(t, file)
	began, restarts, mark := time.Now(), v.Restarts(), v.Console.Mark()
	if err := v.WaitRestarts(within(t, time.Minute), restarts+1); err != nil {
		t.Fatal(err)
	}
	u := v.waitUpdate(t, backWithin-time.Since(began), "failed", "committed")
	v.watchdogs(t, mark)
	t.Logf("back after %.0f s: %+v", time.Since(began).Seconds(), *u.Last)
	if u.State != "failed" || u.Running.Slot != slot || u.Last.To != "bad" || !strings.Contains(u.Last.Reason, reason) {
		t.Errorf("%+v, want slot %s and a reason with %q", u, slot, reason)
	}
	for path, password := range map[string]string{"/": "", "/updates": "secret"} {
		code, page := v.get(within(t, 10*time.Second), t, path, password)
		if page = html.UnescapeString(page); code != 200 || !strings.Contains(page, "bad failed, back on") || !strings.Contains(page, u.Last.Reason) {
			t.Errorf("the page %s doesn't say so: %d\n%s", path, code, page)
		}
	}
}

// watchdogs says who fed the machine's watchdog in a trial, as the console has it.
func (v victim) watchdogs(t *testing.T, mark int) {
	t.Helper()
	for _, said := range []string{"disabling hardware watchdog", "found hardware watchdog"} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if line, err := v.Console.WaitFrom(ctx, mark, said); err == nil {
			t.Log(line)
		}
		cancel()
	}
}
