//go:build vm

package vm_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
)

const imagePC = "../../bin/videobox-pc.img"

// bootPC boots a PC box with a stick.
func bootPC(t *testing.T, change func(*vm.Config)) box {
	t.Helper()
	if err := vm.NeedsPC(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(imagePC); err != nil {
		t.Fatalf("%v; make image-pc builds it", err)
	}
	return boot(t, func(c *vm.Config) {
		c.PC, c.Image = true, imagePC
		if change != nil {
			change(c)
		}
	})
}

// TestShortPC is the same box on a PC: UEFI, the stick's picture and sound, the
// page, the screen, and recordings on a disk of their own.
func TestShortPC(t *testing.T) {
	b := bootPC(t, func(c *vm.Config) { c.Display = true })
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	first, err := vm.FirstByte(ctx, b.Machine, 8899)
	if err != nil {
		t.Fatalf("%v\n%s", err, b.Console.Last(20))
	}
	t.Logf("first byte %.1f s after QEMU's start", first.Seconds())
	if first > time.Minute {
		t.Errorf("the first byte of the stream came %.0f s after QEMU's start, want 60 s", first.Seconds())
	}
}
