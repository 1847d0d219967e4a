package slot

import (
	"slices"
	"testing"
)

func TestMountedAt(t *testing.T) {
	info := []byte(`22 1 253:2 / / ro,relatime shared:1 - squashfs /dev/root ro
23 22 0:5 / /dev rw - devtmpfs devtmpfs rw
30 22 253:1 / /run/videobox/boot ro,nosuid - vfat /dev/vda1 ro
31 22 253:1 / /tmp/kexec\0401 rw - vfat /dev/vda1 rw
32 22 253:11 / /perm rw - ext4 /dev/vda11 rw
33 22 259:1
`)
	for device, want := range map[string][]string{
		"253:1": {"/tmp/kexec 1", "/run/videobox/boot"}, "253:2": {"/"}, "253:4": nil, "259:1": nil,
	} {
		if got := mountedAt(info, device); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", device, got, want)
		}
	}
}
