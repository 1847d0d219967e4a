package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a root folder with a card of two partitions and a system disk.
func machine(t *testing.T, mounts string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range map[string]string{
		"sys/devices/sdb/size":                    "62333952\n",
		"sys/devices/sdb/removable":               "1\n",
		"sys/devices/sdb/device/model":            "Card Reader\n",
		"sys/devices/sdb/sdb1/partition":          "1\n",
		"sys/devices/sdb/sdb1/size":               "204800\n",
		"sys/devices/sdb/sdb2/partition":          "2\n",
		"sys/devices/sdb/sdb2/size":               "62128128\n",
		"sys/devices/mmcblk0/size":                "1024\n",
		"sys/devices/mmcblk0/mmcblk0p1/size":      "512\n",
		"sys/devices/mmcblk0/mmcblk0p1/partition": "1\n",
		"proc/self/mounts":                        mounts,
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	class := filepath.Join(root, "sys/class/block")
	if err := os.MkdirAll(class, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"sdb": "sdb", "sdb1": "sdb/sdb1", "mmcblk0": "mmcblk0", "mmcblk0p1": "mmcblk0/mmcblk0p1"} {
		if err := os.Symlink("../../devices/"+to, filepath.Join(class, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestTargetIsShownBeforeItIsLost(t *testing.T) {
	got, err := findTarget(machine(t, "/dev/sda1 / ext4 rw 0 0\n"), "/dev/sdb")
	if err != nil {
		t.Fatal(err)
	}
	want := "flash: /dev/sdb: Card Reader, 31.9 GB, removable\n" +
		"flash:   /dev/sdb1, 0.1 GB\nflash:   /dev/sdb2, 31.8 GB\n"
	if got.String() != want {
		t.Errorf("shown:\n%swant:\n%s", got, want)
	}
	if err := got.refuse(); err != nil {
		t.Errorf("refused: %v", err)
	}
}

func TestTargetsThatAreRefused(t *testing.T) {
	root := machine(t, "/dev/sdb2 /media/card ext4 rw 0 0\n")
	for device, want := range map[string]string{
		"/dev/sdb":       "in use at /media/card",
		"/dev/sdb1":      "name the whole disk",
		"/dev/mmcblk0p1": "name the whole disk",
		"/dev/mmcblk0":   "at least 2 GB",
		"/dev/sdz":       "no such disk",
		"sdb":            "in /dev",
		"/tmp/sdb":       "in /dev",
	} {
		got, err := findTarget(root, device)
		if err == nil {
			err = got.refuse()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", device, err, want)
		}
	}
	whole, err := findTarget(machine(t, "/dev/sdb /media/whole vfat rw 0 0\n"), "/dev/sdb")
	if err != nil || whole.refuse() == nil {
		t.Errorf("a disk mounted as a whole was not refused: %v", err)
	}
}

func TestAskWantsTheWord(t *testing.T) {
	for said, ok := range map[string]bool{"erase\n": true, " erase ": true, "y\n": false, "yes\n": false, "\n": false, "": false} {
		var out bytes.Buffer
		if err := ask(strings.NewReader(said), &out, "/dev/sdb"); (err == nil) != ok {
			t.Errorf("%q: %v", said, err)
		}
		if !strings.Contains(out.String(), "/dev/sdb") {
			t.Errorf("%q: asked %q", said, &out)
		}
	}
}

func TestStepsAreShownOnce(t *testing.T) {
	long := strings.Repeat("x", 100<<10) + "\n"
	said := "Build target: arm64\nnoise\nBuild target: again\nCreating root file system\n" + long + "Creating boot file system\n"
	var out bytes.Buffer
	showSteps(strings.NewReader(said), &out)
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines:\n%s", n, &out)
	}
}

// TestMakeFlashRefreshesTheKernel: a PC's card gets the kernel that
// kernel.config asks for now, not the one built last, or none.
func TestMakeFlashRefreshesTheKernel(t *testing.T) {
	for _, c := range []struct {
		box   string
		built bool
	}{{"videobox-pc", true}, {"videobox", false}} {
		cmd := exec.Command("make", "-n", "-C", "../..", "flash", "DEV=/dev/sdX", "BOX="+c.box)
		for _, e := range os.Environ() { // an outer make's flags are not for this one
			if !strings.HasPrefix(e, "MAKE") && !strings.HasPrefix(e, "MFLAGS") {
				cmd.Env = append(cmd.Env, e)
			}
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("make: %v: %s", err, out)
		}
		kernel := strings.Index(string(out), "go run ./images/kernel-pc")
		flash := strings.Index(string(out), "--instance "+c.box+" flash")
		if flash < 0 || (kernel >= 0) != c.built || kernel > flash {
			t.Errorf("%s: kernel %d, flash %d of:\n%s", c.box, kernel, flash, out)
		}
	}
}
