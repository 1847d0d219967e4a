package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// What the kernel says about its build, so that a build elsewhere or later gives
// the same bytes.
const (
	buildUser = "videobox"
	buildHost = "videobox"
	buildTime = "2026-01-01 00:00:00 UTC"
	buildUnix = "1767225600" // the same
)

// pinnedEnv are the settings of kernel's make without which date, user, host
// and folder get into the kernel (kbuild/reproducible-builds.rst).
func (m maker) pinnedEnv() []string {
	return []string{
		"KBUILD_BUILD_USER=" + buildUser, "KBUILD_BUILD_HOST=" + buildHost, "KBUILD_BUILD_VERSION=1",
		"KBUILD_BUILD_TIMESTAMP=" + buildTime, "SOURCE_DATE_EPOCH=" + buildUnix,
		"KCFLAGS=-ffile-prefix-map=" + m.tree + "=. -ffile-prefix-map=" + m.object + "=.",
		"LC_ALL=C", "TZ=UTC",
	}
}

// checkPinned refuses a kernel that another build could not repeat: one that
// names the build's user, host, time or folder. Payload is what vmlinuz holds
// packed, and out is where the modules are.
func checkPinned(image []byte, folder, payload, out string) error {
	if err := checkVersion(image); err != nil {
		return err
	}
	if err := checkFolder(payload, folder); err != nil {
		return err
	}
	return filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return checkFolder(path, folder)
	})
}

// checkVersion reads the version text, whose place the header of vmlinuz tells
// at 0x20e (x86/boot.rst).
func checkVersion(image []byte) error {
	if len(image) < 0x210 {
		return errors.New("vmlinuz: shorter than its header")
	}
	at := 0x200 + int(binary.LittleEndian.Uint16(image[0x20e:]))
	if at >= len(image) {
		return fmt.Errorf("vmlinuz: its version is at %#x, behind its end", at)
	}
	text, _, _ := strings.Cut(string(image[at:min(at+256, len(image))]), "\x00")
	by, on := "("+buildUser+"@"+buildHost+")", " "+buildTime
	if !strings.Contains(text, by) || !strings.HasSuffix(text, on) {
		return fmt.Errorf("vmlinuz says %q: want it built by %s on%s, whoever builds it and when", text, by, on)
	}
	return nil
}

func checkFolder(path, folder string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if bytes.Contains(data, []byte(folder)) {
		return fmt.Errorf("%s names the folder that it was built in, %s, and would differ in another", path, folder)
	}
	return nil
}
