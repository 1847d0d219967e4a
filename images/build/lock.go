package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockFile is held by the build that uses the copies of instances and the log in
// .cache.
const lockFile = ".cache/image.lock"

// lock waits until no other build runs in this folder. It is given back by
// closing it, and by the end of this program, however that comes.
func lock(ctx context.Context, out io.Writer) (io.Closer, error) {
	if err := os.MkdirAll(filepath.Dir(lockFile), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for told := false; ; told = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			f.Close()
			return nil, fmt.Errorf("%s: %w", lockFile, err)
		case !told:
			fmt.Fprintln(out, "image: another build is running in this folder; waiting for its end")
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("another build is running: %w", ctx.Err())
		}
	}
}
