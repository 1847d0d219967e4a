//go:build vm

package vm_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
)

// usbDisk is an empty file to plug in.
func usbDisk(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "usb.raw")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(64 << 20); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDrillMachine is what the tests of a box need of its machine: the reset
// button, a screen, the USB bus, further disks, the log of writes, a kernel that
// crashes and the watchdog that saves it.
func TestDrillMachine(t *testing.T) {
	log := filepath.Join(t.TempDir(), "writes.log")
	b := boot(t, func(c *vm.Config) {
		c.Watchdog, c.Display, c.MAC, c.Log = true, true, "52:54:00:0b:0e:01", log
		c.Disks = []vm.Disk{{ID: "second", Path: usbDisk(t)}}
		c.Networks = []vm.Network{{MAC: "52:54:00:0b:0e:02", Backend: "user,net=10.0.9.0/24,restrict=on"}}
		c.Append = "sysrq_always_enabled=1 panic=0"
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	see := func(mark int, text string) {
		t.Helper()
		began := time.Now()
		line, err := b.Console.WaitFrom(ctx, mark, text)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%.1f s: %s", time.Since(began).Seconds(), line)
	}
	see(0, "virtio_blk virtio2: [vdb]")
	see(0, "i6300ESB timer")
	see(0, "MACROSILICON")
	b.streams(ctx, t)
	if img, err := b.Screendump(ctx); err != nil || img.Bounds().Dx() < 320 {
		t.Errorf("screen: %v", err)
	}

	mark := b.Console.Mark()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(b.PlugDisk(ctx, vm.Disk{ID: "pen", Path: usbDisk(t)}))
	see(mark, "Attached SCSI")
	check(b.UnplugDisk(ctx, "pen"))
	b.leaf(ctx, t, "device", true)
	check(b.UnplugStick(ctx))
	b.leaf(ctx, t, "device", false)
	check(b.PlugStick(ctx))
	b.leaf(ctx, t, "device", true)

	mark = b.Console.Mark()
	check(b.Reset(ctx))
	see(mark, "gokrazy build timestamp")
	b.streams(ctx, t)
	if old, err := filepath.Glob(log + ".*"); err != nil || len(old) != 1 {
		t.Errorf("logs of writes before the reset: %v, %v", old, err)
	}

	mark = b.Console.Mark()
	check(b.SysRq(ctx, 'c'))
	see(mark, "Kernel panic")
	crashed := time.Now()
	check(b.WaitRestarts(ctx, 2))
	t.Logf("the watchdog has reset the machine %.1f s after the crash", time.Since(crashed).Seconds())
	see(mark, "gokrazy build timestamp")
}
