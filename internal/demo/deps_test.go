package main

import (
	"slices"
	"testing"
)

// TestDepsAreEnoughOnTheirOwn: `make kernel-pc image-pc vm-pc` on a new machine
// asks for --pc and for nothing else, `make vm` for --vm. What they compile for
// this host wants a compiler and the codecs' libraries.
func TestDepsAreEnoughOnTheirOwn(t *testing.T) {
	compile := []string{"gcc", "g++", "libc6-dev", "libx264-dev", "libopenh264-dev", "libjpeg62-turbo-dev"}
	for name, c := range map[string]struct {
		deps depsCmd
		want []string
	}{
		"alone":   {depsCmd{}, append([]string{"ffmpeg"}, compile...)},
		"--test":  {depsCmd{Test: true}, append([]string{"ffmpeg", "chromium"}, compile...)},
		"--vm":    {depsCmd{VM: true}, append([]string{"qemu-system-arm", "qemu-utils"}, compile...)},
		"--pc":    {depsCmd{PC: true}, append([]string{"bc", "flex", "qemu-system-x86", "ovmf", "mtools", "e2fsprogs"}, compile...)},
		"--image": {depsCmd{Image: true}, []string{"gcc-aarch64-linux-gnu", "g++-aarch64-linux-gnu", "libx264-dev:arm64", "libopenh264-dev:arm64", "libjpeg62-turbo-dev:arm64", "mtools", "e2fsprogs"}},
	} {
		got := c.deps.packages()
		for _, want := range c.want {
			if !slices.Contains(got, want) {
				t.Errorf("%s: no %s in %v", name, want, got)
			}
		}
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("%s: not sorted, or twice: %v", name, got)
		}
	}
	if got := (depsCmd{VM: true}).packages(); slices.Contains(got, "ffmpeg") {
		t.Errorf("--vm: %v; ffmpeg is for the whole chain only", got)
	}
}
