package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/images/disk"
	"github.com/openvideobox/videobox/images/disk/disktest"
)

// TestBoot writes files onto a boot partition that is full, one of them twice.
func TestBoot(t *testing.T) {
	path := disktest.BootImage(t, map[string]string{"cmdline.txt": "root=x\n"})
	boot, err := disk.OpenBoot(path, 6)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"cmdline.txt": "root=x\n", "a-long.name.example": strings.Repeat("long\n", 1000), "empty": "", "none": ""}
	for _, name := range []string{"a-long.name.example", "empty"} {
		for _, text := range []string{"first", want[name]} {
			if err := boot.Write(t.Context(), name, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, text := range want {
		if got, err := boot.Read(name); err != nil || string(got) != text || (got == nil) != (name == "none") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	// mcopy 4.0.32 says of it that it went well.
	if err := boot.Write(t.Context(), "too-large", make([]byte, 40<<20)); err == nil || !strings.Contains(err.Error(), "too-large") {
		t.Errorf("more than there is room: %v", err)
	}
}

func TestNoBoot(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.img")
	if err := os.WriteFile(empty, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.OpenBoot(empty, 4); !errors.Is(err, disk.ErrNoGPT) || !strings.Contains(err.Error(), empty) {
		t.Errorf("%v", err)
	}
}
