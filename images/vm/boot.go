package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/openvideobox/videobox/images/disk"
	"github.com/openvideobox/videobox/internal/fat"
)

const (
	kernelFile = "vmlinuz"
	// headMB is how much of the disk holds partition table and boot partition.
	headMB = 108
)

// bootFiles takes kernel and command line from the boot partition, as it is
// now, into dir.
func bootFiles(ctx context.Context, dir string) (cmdline string, err error) {
	head := filepath.Join(dir, "head.raw")
	defer os.Remove(head)
	err = tool(ctx, "qemu-img", "dd", "-f", "qcow2", "-O", "raw", "bs=1M", fmt.Sprintf("count=%d", headMB),
		"if="+filepath.Join(dir, overlay), "of="+head)
	if err != nil {
		return "", err
	}
	f, err := os.Open(head)
	if err != nil {
		return "", err
	}
	defer f.Close()
	boot, err := disk.Find(f, 1)
	if err != nil {
		return "", err
	}
	kernel, err := fat.ReadFile(boot.Reader(f), kernelFile)
	if err != nil {
		return "", err
	}
	text, err := fat.ReadFile(boot.Reader(f), "cmdline.txt")
	if err != nil {
		return "", err
	}
	return serialConsole(string(text)), os.WriteFile(filepath.Join(dir, kernelFile), kernel, 0o644)
}

// serialConsole does what the Pi's firmware does to console=serial0: it puts in
// the port that the machine has. A screen it has not.
func serialConsole(cmdline string) string {
	var out []string
	for _, word := range strings.Fields(cmdline) {
		switch {
		case word == "console=tty1":
			continue
		case strings.HasPrefix(word, "console=serial0"):
			word = strings.Replace(word, "serial0", "ttyAMA0", 1)
		}
		out = append(out, word)
	}
	return strings.Join(out, " ")
}
