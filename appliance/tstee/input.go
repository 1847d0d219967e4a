package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/tee"
)

const (
	// collectFor is how long bytes wait for company: muxers write in small
	// pieces, and each Write wakes every reader.
	collectFor = 8 * time.Millisecond
	// collectUntil is as much as isn't kept waiting.
	collectUntil = 64 << 10
	// pipeSize is what is asked of the kernel, so that the muxer never waits
	// while input collects. It has 64 KiB otherwise.
	pipeSize = 1 << 20
	// complainEvery is how often bytes that are no packets get into the log.
	complainEvery = 10 * time.Second
)

// input copies standard input into the ring.
type input struct {
	from   *os.File
	ring   *tee.Ring
	report *metrics.Reporter

	skipped    uint64 // as of the last complaint
	complained time.Time
}

// copy returns nil at the end of the input.
func (in *input) copy() error {
	_, _ = unix.FcntlInt(in.from.Fd(), unix.F_SETPIPE_SZ, pipeSize) // a file or socket has none
	hop := in.report.Hop("stdin", "in", "pipe", in.from.Name())
	sync := in.report.Leaf("sync")
	buf := make([]byte, 4*collectUntil)
	for {
		n, err := in.read(buf)
		if n > 0 {
			hop.Add(n)
			_, _ = in.ring.Write(buf[:n]) // only this goroutine closes the ring
			in.check(sync)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
	}
}

// read waits for bytes, and then a little for more.
func (in *input) read(buf []byte) (int, error) {
	n, err := in.from.Read(buf)
	if err != nil || n >= collectUntil {
		return n, err
	}
	time.Sleep(collectFor)
	waiting, err := unix.IoctlGetInt(int(in.from.Fd()), unix.TIOCINQ)
	if err != nil || waiting == 0 {
		return n, nil // nothing came, or what it is can't tell
	}
	more, err := in.from.Read(buf[n:])
	return n + more, err
}

// check tells of bytes that were no packets.
func (in *input) check(sync *metrics.LeafState) {
	skipped := in.ring.Stats().Skipped
	now := time.Now()
	switch {
	case skipped != in.skipped && now.Sub(in.complained) >= complainEvery:
		cause := fmt.Sprintf("%d bytes were no transport packets", skipped-in.skipped)
		slog.Warn("standard input: " + cause)
		sync.Set(metrics.Degraded, cause)
		in.skipped, in.complained = skipped, now
	case skipped == in.skipped && now.Sub(in.complained) >= complainEvery:
		sync.Set(metrics.OK, "")
	}
}
