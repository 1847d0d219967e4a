package slot

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Free unmounts the boot partition wherever somebody has left it mounted. While
// it is, what gokrazy's init writes to it stays in memory, a restart by kexec
// gets EBUSY, and one that succeeds may read what was there before.
func (c Card) Free() error {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(c.Boot, &st); err != nil {
		return fmt.Errorf("boot partition %s: %w", c.Boot, err)
	}
	var errs []error
	for _, dir := range mountedAt(info, fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))) {
		if err := unix.Unmount(dir, 0); err != nil {
			// At least nobody new gets at it; it stays for whoever has a file open.
			err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH))
			errs = append(errs, fmt.Errorf("boot partition %s is in use at %s: %w", c.Boot, dir, err))
		}
	}
	return errors.Join(errs...)
}

// mountedAt lists where the device of this number is mounted, the newest first,
// from /proc/self/mountinfo (proc(5)).
func mountedAt(info []byte, device string) (dirs []string) {
	for line := range bytes.Lines(info) {
		f := strings.Fields(string(line)) // 36 35 98:0 /root /mount/point options …
		if len(f) > 4 && f[2] == device {
			dirs = append([]string{unescaped.Replace(f[4])}, dirs...)
		}
	}
	return dirs
}

// unescaped undoes what the kernel makes of bytes that would break the table.
var unescaped = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
