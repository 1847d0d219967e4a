package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestEncoderIsForTheBoard(t *testing.T) {
	was := deviceTree
	defer func() { deviceTree = was }()
	deviceTree = filepath.Join(t.TempDir(), "model")
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
}
