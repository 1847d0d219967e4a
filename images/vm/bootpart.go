package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/openvideobox/videobox/images/disk"
)

// writeBoot puts files onto the overlay's boot partition, as a person does who
// has the card in a laptop. They replace those of the same name.
func (c Config) writeBoot(ctx context.Context, to string) error {
	dir, err := os.MkdirTemp(c.Dir, "boot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	head := filepath.Join(dir, "head")
	err = tool(ctx, "qemu-img", "dd", "-f", "qcow2", "-O", "raw", "bs=1M", fmt.Sprintf("count=%d", headMB), "if="+to, "of="+head)
	if err != nil {
		return err
	}
	start, err := bootStart(head)
	if err != nil {
		return err
	}
	for name, text := range c.Boot {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
		if err := tool(ctx, "mcopy", "-o", "-i", fmt.Sprintf("%s@@%d", head, start), path, "::"+name); err != nil {
			return err
		}
	}
	return copyData(ctx, head, to, 0)
}

func bootStart(head string) (int64, error) {
	f, err := os.Open(head)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	boot, err := disk.Find(f, 1)
	return boot.Start, err
}
