//go:build vm

package vm_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/metrics"
)

const imagePC = "../../bin/videobox-pc.img"

// bootPC boots a PC box with a stick.
func bootPC(t *testing.T, change func(*vm.Config)) victim {
	t.Helper()
	if err := vm.NeedsPC(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(imagePC); err != nil {
		t.Fatalf("%v; make image-pc builds it", err)
	}
	return victim{boot(t, func(c *vm.Config) {
		c.PC, c.Image = true, imagePC
		if change != nil {
			change(c)
		}
	})}
}

// bootVictimPC boots one with a saboteur in it; its stream is there.
func bootVictimPC(t *testing.T, change func(*vm.Config)) victim {
	t.Helper()
	if err := makeSabotagedPC(); err != nil {
		t.Fatal(err)
	}
	v := bootPC(t, func(c *vm.Config) {
		c.Image = sabotagedPC
		c.Ports[saboteurPort] = 0
		if change != nil {
			change(c)
		}
	})
	ctx := within(t, 2*time.Minute)
	v.streams(ctx, t)
	eventually(ctx, t, "the box streams and its saboteur doesn't answer", func() error {
		_, err := v.inside(ctx, "pids saboteur")
		return err
	})
	return v
}

// recordingDisk is a disk that somebody has labelled for recordings.
func recordingDisk(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recordings.img")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 2<<30); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.ext4", "-q", "-F", "-L", "videobox", path)
	return path
}

// recordsToDisk waits until the box records to a disk of its own, and it grows.
func (v victim) recordsToDisk(ctx context.Context, t *testing.T) {
	t.Helper()
	v.wait(ctx, t, "recording to the disk", func(s metrics.Status) bool {
		detail, _ := s.Detail.(map[string]any)
		record, _ := detail["record"].(map[string]any)
		status, _ := record["status"].(map[string]any)
		said, _ := status["detail"].(map[string]any)
		dir, _ := said["dir"].(string)
		return strings.HasPrefix(dir, "/run/videobox/disk/recordings/") && states(s)["recorder growing"] == metrics.OK
	})
}

// TestShortPC is the same box on a PC with UEFI: the stick's picture and sound,
// the page, the screen, and recordings on an SSD.
func TestShortPC(t *testing.T) {
	v := bootPC(t, func(c *vm.Config) {
		c.Display, c.Disks = true, []vm.Disk{{ID: "ssd", Path: recordingDisk(t), NVMe: true}}
	})
	ctx := within(t, 3*time.Minute)
	first := v.streams(ctx, t)
	t.Logf("first byte %.1f s after QEMU's start", first.Seconds())
	if first > time.Minute {
		t.Errorf("the first byte of the stream came %.0f s after QEMU's start, want 60 s", first.Seconds())
	}
	v.recordsToDisk(ctx, t)
	v.checkStream(ctx, t)
	v.checkPage(ctx, t)
	v.hearsTheStick(ctx, t)
	n := v.screenAfter(ctx, t, -1)
	t.Logf("on the screen: frame %d, then %d", n, v.screenAfter(ctx, t, n))
}

// hearsTheStick: what the stick tells of its signal, by HID, gets through.
func (v victim) hearsTheStick(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, c := range []struct{ command, state, cause string }{
		{"nosignal", "no signal", "no signal on the HDMI input"},
		{"signal", "streaming", ""},
	} {
		if said := v.stick.Command(c.command); said != "ok" {
			t.Fatal(said)
		}
		v.await(ctx, t, c.command, is(c.state, c.cause))
	}
}

// TestShortPCBIOS is a PC without UEFI, which records to a card slot's card:
// QEMU 7.2 has no e.MMC, and this is the same driver with another protocol.
func TestShortPCBIOS(t *testing.T) {
	v := bootPC(t, func(c *vm.Config) {
		c.BIOS, c.Disks = true, []vm.Disk{{ID: "emmc", Path: recordingDisk(t), Card: true}}
	})
	ctx := within(t, 2*time.Minute)
	v.streams(ctx, t)
	v.recordsToDisk(ctx, t)
}

// TestShortPCModules loads a module that nothing needs but tests, with
// parameters, and runs a program of this repository in the box, against it. The
// graphics card is one that the kernel has no driver for: what the firmware has
// set up is the screen. Its recordings go to a USB disk.
func TestShortPCModules(t *testing.T) {
	v := bootVictimPC(t, func(c *vm.Config) {
		c.Display, c.GPU = true, "vmware-svga"
		c.Disks = []vm.Disk{{ID: "usb", Path: recordingDisk(t), USB: true}}
		c.Perm["v4l2.test"] = testsInside(t, "drivers/v4l2")
	})
	ctx := within(t, time.Minute)
	if name, err := v.inside(ctx, "read /sys/class/graphics/fb0/name"); err != nil || name != "simpledrmdrmfb\n" {
		t.Errorf("framebuffer %q, %v", name, err)
	}
	t.Logf("on the screen: frame %d", v.screenAfter(ctx, t, -1))
	v.recordsToDisk(ctx, t)
	v.sabotage(t, "module vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x3 vid_cap_nr=7")
	if name, err := v.inside(ctx, "read /sys/class/video4linux/video7/name"); err != nil || !strings.HasPrefix(name, "vivid-") {
		t.Errorf("vivid's device: %q, %v", name, err)
	}
	said, err := v.inside(ctx, "run /perm/v4l2.test -test.run=TestIntervalHasTheKernelsSize -test.v")
	if err != nil || !strings.Contains(said, "\nPASS\n") {
		t.Errorf("%v\n%s", err, said)
	}
	if said, err := v.inside(ctx, "run /perm/v4l2.test -no-such-flag"); err == nil {
		t.Errorf("a program that fails: %s", said)
	}
}
