package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// imageSaying is a vmlinuz whose header tells this version.
func imageSaying(version string) []byte {
	image := make([]byte, 0x2000)
	image[0x20e], image[0x20f] = 0x00, 0x10 // at 0x1200
	copy(image[0x1200:], version+"\x00more")
	return image
}

func TestKernelsThatCannotBeRepeated(t *testing.T) {
	const pinned = "6.1.192-videobox (videobox@videobox) #1 SMP PREEMPT 2026-01-01 00:00:00 UTC"
	const folder = "/home/somebody/.cache/kernel-pc/build-123"
	for name, c := range map[string]struct{ version, payload, module, want string }{
		"as it should be":   {pinned, "text", "text", ""},
		"another user":      {strings.Replace(pinned, "videobox@", "root@", 1), "", "", "root@videobox"},
		"another host":      {strings.Replace(pinned, "@videobox", "@laptop", 1), "", "", "want it built by"},
		"the time of today": {strings.Replace(pinned, "2026-01-01", "2026-11-23", 1), "", "", "2026-11-23"},
		"the build folder":  {pinned, "x" + folder + "/object/a.c", "", "payload names the folder"},
		"in a module":       {pinned, "", folder, "a.ko names the folder"},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "payload"), c.payload)
		write(t, filepath.Join(dir, "out/lib/a.ko"), c.module)
		err := checkPinned(imageSaying(c.version), folder, filepath.Join(dir, "payload"), filepath.Join(dir, "out"))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, bad := range [][]byte{nil, make([]byte, 0x20f), append(imageSaying(pinned)[:0x20e], 0xff, 0xff)} {
		if checkVersion(bad) == nil {
			t.Errorf("a header of %d bytes has a version", len(bad))
		}
	}
}

// TestMakeIsPinned runs make as for a kernel, in two folders, on a Makefile that
// says what reaches it.
func TestMakeIsPinned(t *testing.T) {
	t.Setenv("KBUILD_BUILD_TIMESTAMP", "today")
	t.Setenv("MAKEFLAGS", "--keep-going")
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	said := func() string {
		tree, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
		write(t, filepath.Join(tree, "Makefile"),
			"all:\n\t@echo $$KBUILD_BUILD_USER@$$KBUILD_BUILD_HOST $$KBUILD_BUILD_VERSION $$KBUILD_BUILD_TIMESTAMP $$SOURCE_DATE_EPOCH $$LC_ALL $$TZ\n"+
				"\t@cd $(O) && printf '#include <stdio.h>\\nconst char *f = __FILE__;\\n' > a.c && $(CC) $$KCFLAGS -c $(O)/a.c -o a.o && strings a.o | grep a.c\n"+
				"\t@echo $(findstring k,$(firstword -$(MAKEFLAGS)))\n")
		object := t.TempDir()
		if err := (maker{tree: tree, object: object, log: log}).run(t.Context(), "all"); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(text), tree, "TREE")
	}
	first := said()
	if !strings.Contains(first, "videobox@videobox 1 2026-01-01 00:00:00 UTC 1767225600 C UTC\n") || !strings.Contains(first, "./a.c\n") {
		t.Errorf("make was told:\n%s", first)
	}
	if second := said(); second != first {
		t.Errorf("in another folder:\n%s\nwas\n%s", second, first)
	}
}
