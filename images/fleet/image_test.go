package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/images/disk/disktest"
	"github.com/openvideobox/videobox/images/fleet/internal/simbox"
)

func readBoot(t *testing.T, image, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "mtype", "-i", image+"@@32768", "::"+name).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out)
}

// TestImage writes an event's credentials into an image that has a videobox.yaml
// already, twice.
func TestImage(t *testing.T) {
	f := simbox.NewFleet(2)
	t.Cleanup(f.Close)
	secrets := secretsWith(t, "secret") + "event_key: " + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"
	config, _ := conference(t, f, secrets)
	image := disktest.BootImage(t, map[string]string{"cmdline.txt": "root=x\n", "videobox.yaml": "# by hand\r\nlog: 192.0.2.5\r\nuser: old\r\npassword: secret99\r\n"})
	for range 2 {
		if err := (imageCmd{Config: config, Image: image}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	public := base64.StdEncoding.EncodeToString(simbox.Key.Public().(ed25519.PublicKey)) // of the same seed
	lines := strings.Split(readBoot(t, image, "videobox.yaml"), "\r\n")
	hash := strings.TrimPrefix(lines[3], "bcrypt: ")
	_, want, _ := strings.Cut(secrets, "bcrypt: ")
	want, _, _ = strings.Cut(want, ",")
	if len(lines) != 6 || lines[0] != "# by hand" || lines[1] != "log: 192.0.2.5" || lines[2] != "user: 'admin'" || hash != want || lines[4] != "event_key: '"+public+"'" {
		t.Errorf("videobox.yaml: %q", lines)
	}
	_, key, _ := strings.Cut(secrets, "update_key: ")
	if got := readBoot(t, image, "videobox.key"); !strings.HasPrefix(key, got) || len(got) != 45 {
		t.Errorf("videobox.key %q, want the start of %q", got, key)
	}
	if got := readBoot(t, image, "cmdline.txt"); got != "root=x\n" {
		t.Errorf("cmdline.txt %q", got)
	}
	if strings.Contains(strings.Join(lines, ""), "password") {
		t.Error("a password is in it")
	}
}

func TestImageWithoutCredentials(t *testing.T) {
	f := simbox.NewFleet(2)
	t.Cleanup(f.Close)
	config, _ := conference(t, f, "publish_key: x\n")
	if err := (imageCmd{Config: config, Image: "none"}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "need credentials") {
		t.Errorf("%v", err)
	}
	config, _ = conference(t, f, secretsWith(t, "secret"))
	empty := filepath.Join(t.TempDir(), "empty.img")
	if err := os.WriteFile(empty, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (imageCmd{Config: config, Image: empty}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "make image") {
		t.Errorf("an empty file: %v", err)
	}
}

func TestMountedCardsAreRefused(t *testing.T) {
	mounts := filepath.Join(t.TempDir(), "mounts")
	if err := os.WriteFile(mounts, []byte("/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /media/boot vfat rw 0 0\n/dev/null1 /media/null vfat rw 0 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := notMounted(mounts, "/dev/sdb"); err == nil || !strings.Contains(err.Error(), "/media/boot") {
		t.Errorf("%v", err)
	}
	link := filepath.Join(t.TempDir(), "usb-Generic_Card-0:0") // as in /dev/disk/by-id
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	if err := notMounted(mounts, link); err == nil || !strings.Contains(err.Error(), "/media/null") {
		t.Errorf("by another name: %v", err)
	}
	for _, path := range []string{"/dev/sdc", "bin/videobox.img"} {
		if err := notMounted(mounts, path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
