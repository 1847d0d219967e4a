package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/tee"
)

const (
	// lookEvery is how often the input is looked at while it is silent.
	lookEvery = 5 * time.Millisecond
	// bufferSize is the most that is read at once. Where it comes full, the
	// input is faster than any stream and isn't made to wait.
	bufferSize = 512 << 10
	// pipeSize is what is asked of the kernel, so that the muxer never waits
	// while input collects. It has 64 KiB otherwise.
	pipeSize = 1 << 20
	// complainEvery is how often bytes that are no packets get into the log.
	complainEvery = 10 * time.Second
)

// input copies standard input into the ring.
//
// Muxers write in small pieces, and each Write of the ring wakes every reader;
// so it waits a little for more. It looks at the pipe instead of having Go's
// poller wait for it: epoll wakes the process for each of 760 pieces a second,
// wanted or not.
type input struct {
	fd   int
	file bool // a regular one, which can make a read wait
	ring *tee.Ring
	hop  *metrics.HopCounter
	sync *metrics.LeafState

	fast       bool   // the buffer was full
	skipped    uint64 // as of the last complaint
	complained time.Time
}

// newInput takes a file descriptor, which it makes non-blocking.
func newInput(fd int, ring *tee.Ring, report *metrics.Reporter) (*input, error) {
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
		return nil, errors.New("standard input is a terminal: pipe a transport stream in, as ffmpeg … -f mpegts - | tstee")
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, fmt.Errorf("standard input: %w: pipe a transport stream in", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, pipeSize) // only a pipe can, and only up to a limit
	return &input{
		fd: fd, file: stat.Mode&unix.S_IFMT == unix.S_IFREG, ring: ring,
		hop:  report.Hop("stdin", "in", "pipe", "stdin"),
		sync: report.Leaf("sync"),
	}, nil
}

// copy returns nil at the end of the input or of ctx.
func (in *input) copy(ctx context.Context) error {
	buf := make([]byte, bufferSize)
	for ctx.Err() == nil {
		n, err := in.read(buf)
		if n > 0 {
			in.hop.Add(n)
			_, _ = in.ring.Write(buf[:n]) // fails only when closed, which comes after this
			in.check(time.Now())
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
	}
	return nil
}

// read returns what there is, after a little time for more. While there is
// nothing it returns 0 now and then.
func (in *input) read(buf []byte) (int, error) {
	n, err := in.readNow(buf)
	switch {
	case err != nil, in.fast && n > len(buf)/4:
		return n, err
	case n == 0:
		time.Sleep(lookEvery)
		return 0, nil
	}
	time.Sleep(tee.Delay(in.ring.Stats().Readers))
	more, err := in.readNow(buf[n:])
	in.fast = n+more == len(buf)
	return n + more, err
}

// readNow returns 0 when there is nothing. Like the pump of tee it tells the
// scheduler only of a system call that may wait.
func (in *input) readNow(buf []byte) (int, error) {
	if in.file {
		n, err := unix.Read(in.fd, buf)
		return verdict(max(n, 0), err)
	}
	if len(buf) == 0 {
		return 0, nil
	}
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(in.fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	if errno != 0 {
		return verdict(0, errno)
	}
	return verdict(int(n), nil)
}

func verdict(n int, err error) (int, error) {
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, nil
	case err == nil && n == 0:
		return 0, io.EOF
	}
	return n, err
}

// check tells of bytes that were no packets.
func (in *input) check(now time.Time) {
	if now.Sub(in.complained) < complainEvery {
		return
	}
	skipped := in.ring.Stats().Skipped
	if skipped == in.skipped {
		in.sync.Set(metrics.OK, "")
		return
	}
	cause := fmt.Sprintf("%d bytes were no transport packets", skipped-in.skipped)
	slog.Warn("standard input: " + cause)
	in.sync.Set(metrics.Degraded, cause)
	in.skipped, in.complained = skipped, now
}
