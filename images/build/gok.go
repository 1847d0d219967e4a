package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/openvideobox/videobox/images/disk"
	"github.com/openvideobox/videobox/images/internal/e2fs"
	"github.com/openvideobox/videobox/images/internal/logged"
)

// overwrite runs `gok overwrite --full` of the versions pinned by the
// instance's builddir. Bytes is 0 for a device, which has a size of its own.
func overwrite(ctx context.Context, i instance, to string, bytes int64) error {
	to, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	args := []string{"tool", "gok", "--parent_dir", filepath.Join("..", ".."), "-i", i.name(), "overwrite", "--full", to}
	if bytes > 0 {
		args = append(args, "--target_storage_bytes", strconv.FormatInt(bytes, 10))
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(i.folder(), "builddir")
	return runGok(cmd, "")
}

// runGok runs gok, whose many lines go to .cache/image.log; of them only the
// steps are shown. A password is kept out of both, "" if there is none.
func runGok(cmd *exec.Cmd, password string) error {
	const log = ".cache/image.log"
	if err := os.Remove(log); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return logged.Log{
		Name: "gok", Path: log, Lines: 6,
		Filter: func(to io.Writer) io.Writer { return redact(to, password) },
		Show:   func(said io.Reader) { showSteps(said, os.Stdout) },
	}.Run(cmd)
}

// steps are the lines of gok that say what it is at, and what is shown for them.
var steps = []struct{ said, means string }{
	{"Build target:", "compiling kernel packages and programs (minutes the first time, seconds later)"},
	{"Including extra files", "collecting files"},
	{"Creating boot file system", "writing the boot partition"},
	{"Creating root file system", "writing the root partition"},
	{"Updating http", "sending it to the box"},
	{"Triggering reboot", "restarting the box"},
}

func showSteps(from io.Reader, to io.Writer) {
	seen := map[string]bool{}
	began := time.Now()
	for sc := bufio.NewScanner(from); sc.Scan(); {
		for _, s := range steps {
			if strings.Contains(sc.Text(), s.said) && !seen[s.said] {
				seen[s.said] = true
				fmt.Fprintf(to, "image: %4.0f s: %s\n", time.Since(began).Seconds(), s.means)
			}
		}
	}
}

// formatPerm puts an empty ext4 onto the fourth partition of an image or device,
// in place: gok only says that it ought to be done.
func formatPerm(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	perm, err := disk.Find(f, 4)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	fmt.Println("image: making a file system for /perm")
	out, err := exec.CommandContext(ctx, e2fs.Mkfs(), "-q", "-F", "-L", "perm", "-E", fmt.Sprintf("offset=%d", perm.Start), path,
		strconv.FormatInt(perm.Size>>10, 10)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
