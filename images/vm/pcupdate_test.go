//go:build vm

package vm_test

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
)

// bootDevice is the boot partition of a PC in the virtual machine.
const bootDevice = "/dev/vda1"

// TestShortPCUpdate is `gok update` and restarts of a PC box while something
// keeps its boot partition mounted or open: what gokrazy's init writes there
// would stay in memory (lost with the power), and kexec would get EBUSY.
func TestShortPCUpdate(t *testing.T) {
	v := bootVictimPC(t, nil)
	ctx := within(t, 3*time.Minute)
	if n := v.root(ctx, t); n != 2 {
		t.Fatalf("root %d at first, want 2", n)
	}
	ok := t.Run("gok-update-with-a-leaked-mount", func(t *testing.T) {
		v.sabotage(t, "mount "+bootDevice+" /tmp/leaked")
		if text, err := v.inside(ctx, "read /tmp/leaked/cmdline.txt"); err != nil || !strings.Contains(text, "PARTNROFF=1") {
			t.Fatalf("%q, %v", text, err) // it is in the mount's memory now
		}
		gokUpdatePC(ctx, t, v)
		if n := v.root(ctx, t); n != 3 {
			t.Errorf("root %d after the update, want 3", n)
		}
		if v.Restarts() != 0 {
			t.Errorf("the restart went through the firmware %d times, want none: by kexec", v.Restarts())
		}
	})
	if !ok {
		return // the other root may be empty
	}
	t.Run("power-cut-after-the-switch", func(t *testing.T) {
		v.sabotage(t, "hold "+bootDevice)
		v.post(ctx, t, "/update/switch")
		if err := v.Reset(ctx); err != nil {
			t.Fatal(err)
		}
		if n := v.root(ctx, t); n != 2 {
			t.Errorf("root %d after a switch and a power cut, want 2", n)
		}
		v.namesRoot(ctx, t, 2)
	})
}

// root waits for the box and says which root runs.
func (v victim) root(ctx context.Context, t *testing.T) int {
	t.Helper()
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	for {
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		line, err := v.inside(once, "read /proc/cmdline")
		cancel()
		switch {
		case err == nil && strings.Contains(line, "PARTNROFF=1"):
			return 2
		case err == nil && strings.Contains(line, "PARTNROFF=2"):
			return 3
		case err == nil:
			t.Fatalf("no root in %q", line)
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("the box does not come up: %v\n%s", err, v.Console.Last(20))
		}
	}
}

// namesRoot wants all that a start may read to name one root: init and kexec
// read cmdline.txt, systemd-boot its own file, which must stay whole.
func (v victim) namesRoot(ctx context.Context, t *testing.T, root int) {
	t.Helper()
	v.sabotage(t, "mount "+bootDevice+" /tmp/look")
	defer v.sabotage(t, "umount /tmp/look")
	cmdline, err := v.inside(ctx, "read /tmp/look/cmdline.txt")
	if err != nil {
		t.Fatal(err)
	}
	loader, err := v.inside(ctx, "read /tmp/look/loader/entries/gokrazy.conf")
	if err != nil {
		t.Fatal(err)
	}
	cmdline = strings.Replace(cmdline, " gokrazy.switch_on_boot=1", "", 1) // of a trial that fell back; nobody reads it
	_, options, _ := strings.Cut(loader, "\noptions ")
	want := fmt.Sprintf("/PARTNROFF=%d ", root-1)
	if !strings.Contains(cmdline, want) || strings.TrimSpace(options) != strings.TrimSpace(cmdline) || !strings.Contains(loader, "\nlinux /vmlinuz\n") {
		t.Errorf("want %s in gokrazy.conf:\n%s\nand cmdline.txt:\n%s", want, loader, cmdline)
	}
}

func (v victim) post(ctx context.Context, t *testing.T, path string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+v.Addr(80)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(vm.User, "secret")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, resp.Status)
	}
}

// gokUpdatePC runs gok's own update against the box, with a saboteur in what it
// sends, and waits as long as gok does: until the box runs it.
func gokUpdatePC(ctx context.Context, t *testing.T, v victim) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "go", "run", "./images/build", "--instance", "videobox-pc",
		"update", "--with", "images/vm/saboteur", "http://"+vm.User+":secret@"+v.Addr(80)+"/")
	cmd.Dir, cmd.WaitDelay = "../..", time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("gok update: %v: %s", err, out)
	}
	t.Logf("%s", out)
}
