package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/internal/notices"
)

func TestKeyKnowsWhatMakesAnotherKernel(t *testing.T) {
	const config = "# why\nCONFIG_A=y\nCONFIG_B=m\n"
	same := key(source, []byte(config), "gcc 12")
	other := source
	other.sha256 = strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		key  string
		same bool
	}{
		"a comment":        {key(source, []byte("# because\n\nCONFIG_A=y\nCONFIG_B=m\n"), "gcc 12"), true},
		"another order":    {key(source, []byte("CONFIG_B=m\nCONFIG_A=y\n"), "gcc 12"), true},
		"an option":        {key(source, []byte(config+"CONFIG_C=y\n"), "gcc 12"), false},
		"a value":          {key(source, []byte("CONFIG_A=y\nCONFIG_B=y\n"), "gcc 12"), false},
		"another compiler": {key(source, []byte(config), "gcc 13"), false},
		"another source":   {key(other, []byte(config), "gcc 12"), false},
	} {
		if (c.key == same) != c.same {
			t.Errorf("%s: key %s, before %s", name, c.key, same)
		}
	}
}

func TestMissingOptionsAreFound(t *testing.T) {
	fragment := []byte("# c\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_C=n\nCONFIG_D=y\nCONFIG_E=n\nCONFIG_F=\"x\"\n")
	complete := []byte("CONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\n# CONFIG_D is not set\nCONFIG_E=y\nCONFIG_F=\"x\"\nCONFIG_Z=y\n")
	got := strings.Join(missing(fragment, complete), ", ")
	if want := "CONFIG_B=m (is y), CONFIG_D=y (is not set), CONFIG_E=n (is y)"; got != want {
		t.Errorf("missing: %s; want %s", got, want)
	}
}

// TestTheFragmentIsReviewed: each block says what it is for, and no option
// stands twice.
func TestTheFragmentIsReviewed(t *testing.T) {
	data, err := os.ReadFile("kernel.config")
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split(string(data), "\n\n") {
		if !strings.HasPrefix(block, "# ") {
			t.Errorf("block %d says not what it is for: %.40q", i, block)
		}
	}
	seen := map[string]bool{}
	for _, o := range options(data) {
		name, _, _ := strings.Cut(o, "=")
		if seen[name] {
			t.Errorf("%s stands twice", name)
		}
		seen[name] = true
	}
}

func TestOnlyThePinnedSourceIsTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), source.file())
	if err := os.WriteFile(path, []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := source.check(path); !errors.Is(err, errHash) || !strings.Contains(err.Error(), source.sha256) {
		t.Errorf("check = %v, want the hash that is expected", err)
	}
}

// TestTheNoticeNamesTheSource: who gets an image is told where its kernel's
// source is, of the version that is in it.
func TestTheNoticeNamesTheSource(t *testing.T) {
	for _, n := range notices.All() {
		if n.Name == "Linux for PCs" {
			upstream, _, _ := strings.Cut(source.version, "-")
			if n.Version != upstream || !strings.Contains(n.Extra, source.version) || !strings.Contains(n.Extra, source.pool) {
				t.Errorf("the notice is of %s: %s; the kernel is %s", n.Version, n.Extra, source.version)
			}
			return
		}
	}
	t.Error("no notice of the kernel")
}

func TestImagesThatNoFirmwareStarts(t *testing.T) {
	good := make([]byte, 0x2000)
	good[0x1fe], good[0x1ff], good[0x236] = 0x55, 0xaa, 1
	copy(good[0x202:], "HdrS")
	if err := checkImage(good); err != nil {
		t.Errorf("good image: %v", err)
	}
	for _, at := range []int{0x1fe, 0x1ff, 0x203, 0x236} {
		bad := bytes.Clone(good)
		bad[at] = 0
		if checkImage(bad) == nil {
			t.Errorf("byte %#x wrong, not found", at)
		}
	}
	if checkImage(good[:0x800]) == nil || checkImage(make([]byte, maxBoot+1)) == nil {
		t.Error("a wrong size was not found")
	}
}

func TestInstallReplacesTheKernelBefore(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	write(t, filepath.Join(from, "vmlinuz"), "new")
	write(t, filepath.Join(from, "lib/modules/6.1/modules.dep"), "new")
	write(t, filepath.Join(to, "vmlinuz"), "old")
	write(t, filepath.Join(to, "lib/modules/6.0/old.ko"), "old")
	write(t, filepath.Join(to, "kernel.go"), "package kernel")
	if err := install(from, to); err != nil {
		t.Fatal(err)
	}
	want, _, _ := digest(from)
	if err := os.Remove(filepath.Join(to, "kernel.go")); err != nil {
		t.Error(err)
	}
	if got, _, err := digest(to); err != nil || got != want {
		t.Errorf("package holds %s, want %s (%v)", got, want, err)
	}
	write(t, filepath.Join(to, "vmlinuz"), "neW")
	if got, _, _ := digest(to); got == want {
		t.Error("a changed byte has the same digest")
	}
}

// TestTheFilesThatDifferAreNamed is what --anew says of two builds.
func TestTheFilesThatDifferAreNamed(t *testing.T) {
	one, other := t.TempDir(), t.TempDir()
	for _, dir := range []string{one, other} {
		write(t, filepath.Join(dir, "vmlinuz"), "same")
		write(t, filepath.Join(dir, "lib/a.ko"), "same")
	}
	if names, err := different(one, other); err != nil || len(names) != 0 {
		t.Errorf("the same: %v, %v", names, err)
	}
	write(t, filepath.Join(one, "lib/a.ko"), "of today")
	write(t, filepath.Join(one, "lib/b.ko"), "more")
	write(t, filepath.Join(other, "lib/c.ko"), "less")
	if names, err := different(one, other); err != nil || strings.Join(names, " ") != "lib/a.ko lib/b.ko lib/c.ko" {
		t.Errorf("%v, %v", names, err)
	}
}

func TestProgressShowsEachTenthOnce(t *testing.T) {
	var out bytes.Buffer
	progress(strings.NewReader(strings.Repeat("  CC      a.o\nnoise\n", objects+500)), &out)
	if n := strings.Count(out.String(), "\n"); n != 9 {
		t.Errorf("%d lines, want 9:\n%s", n, &out)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
