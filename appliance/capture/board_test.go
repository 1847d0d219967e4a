package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/openvideobox/videobox/hardware"
)

func TestEncoderIsForTheBoard(t *testing.T) {
	was := [2]string{deviceTree, productName}
	defer func() { deviceTree, productName = was[0], was[1] }()
	deviceTree, productName = filepath.Join(t.TempDir(), "model"), filepath.Join(t.TempDir(), "product_name")
	for _, c := range []struct {
		model, preset string
		threads       int
		wantPreset    string
		wantThreads   int
	}{
		{"Raspberry Pi 5 Model B Rev 1.0\x00", "", 0, "veryfast", 3},
		{"Raspberry Pi Zero 2 W Rev 1.0\x00", "", 0, "ultrafast", 3},
		{"Raspberry Pi 5 Model B Rev 1.0\x00", "ultrafast", 0, "ultrafast", 3},
		{"Raspberry Pi 5 Model B Rev 1.0\x00", "", 1, "veryfast", 1},
		{"linux,dummy-virt\x00", "", 0, "superfast", 1},
		{"", "", 0, "superfast", 1},
	} {
		if err := os.WriteFile(deviceTree, []byte(c.model), 0o600); err != nil {
			t.Fatal(err)
		}
		r := runCommand{Preset: c.preset, Threads: c.threads}
		if r.forBoard(); r.Preset != c.wantPreset || r.Threads != c.wantThreads {
			t.Errorf("%q with %q, %d: %s, %d; want %s, %d", c.model, c.preset, c.threads, r.Preset, r.Threads, c.wantPreset, c.wantThreads)
		}
	}
	if err := os.Remove(deviceTree); err != nil {
		t.Fatal(err)
	}
	r := runCommand{}
	if r.forBoard(); r.Preset != "superfast" || r.Threads != 1 {
		t.Errorf("without a device tree: %+v", r)
	}
	pc, _ := hardware.BoardNamed(hardware.AnyPC)
	for _, c := range []struct {
		product, preset string
		box             bool
		threads         int
	}{
		{"Radxa X4\n", "veryfast", true, 3},
		{"Standard PC (Q35 + ICH9, 2009)\n", pc.EncoderPreset(runtime.NumCPU()), true, max(runtime.NumCPU()-1, 1)},
		{"Radxa X4\n", "superfast", false, 1},
	} {
		if err := os.WriteFile(productName, []byte(c.product), 0o600); err != nil {
			t.Fatal(err)
		}
		r := runCommand{Clock: c.box}
		if r.forBoard(); r.Preset != c.preset || r.Threads != min(c.threads, 16) {
			t.Errorf("%q, a box: %v: %s, %d; want %s, %d", c.product, c.box, r.Preset, r.Threads, c.preset, c.threads)
		}
	}
}
