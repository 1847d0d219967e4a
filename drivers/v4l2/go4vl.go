//go:build cgo && linux

package v4l2

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	gov4l "github.com/vladimirvivien/go4vl/device"
	"github.com/vladimirvivien/go4vl/v4l2"
	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers"
)

// queue is how many buffers the kernel fills. go4vl's channel holds as many, and
// drops what doesn't fit.
const queue = 4

// hardware is a device opened by go4vl v0.3.0. A new one is made for each
// stream: after an error go4vl's can't be started again.
type hardware struct {
	dev    *gov4l.Device
	cancel context.CancelFunc
	got    Mode
	out    chan buffer
	done   sync.WaitGroup
	gone   bool // go4vl's goroutine ended by itself: Stop won't unmap
	why    error
}

// openDevice opens, configures and starts the gov4l.
func openDevice(ctx context.Context, c Config) (device, error) {
	if err := look(c.Path); err != nil {
		return nil, err
	}
	format := gov4l.WithPixFormat(v4l2.PixFormat{
		Width: uint32(c.Width), Height: uint32(c.Height), PixelFormat: v4l2.PixelFmtMJPEG, Field: v4l2.FieldNone,
	})
	dev, err := gov4l.Open(c.Path, gov4l.WithBufferSize(queue), format, gov4l.WithFPS(uint32(c.Rate)))
	if err != nil { // a device without VIDIOC_S_PARM keeps its own rate
		dev, err = gov4l.Open(c.Path, gov4l.WithBufferSize(queue), format)
	}
	if err != nil {
		return nil, unsupported(c.Path, err)
	}
	// GetFrames before Start chooses the mode and returns nil.
	dev.GetFrames()
	// Not the caller's context: Stop must come before the cancellation, else
	// go4vl neither stops the stream nor unmaps its buffers.
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h := &hardware{dev: dev, cancel: cancel, out: make(chan buffer, queue)}
	if h.got, err = readMode(dev.Fd()); err == nil {
		err = dev.Start(inner)
	}
	if err != nil {
		cancel()
		return nil, errors.Join(unsupported(c.Path, err), dev.Close())
	}
	h.done.Go(func() { h.forward(inner, dev.GetFrames(), dev.GetError()) })
	return h, nil
}

// look finds out what Open's error wouldn't say, and doesn't leak a descriptor
// when it fails, as go4vl's Open does.
func look(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return &drivers.Error{State: drivers.NoDevice, Err: &missing{path}}
	case errors.Is(err, unix.EBUSY):
		return &drivers.Error{State: drivers.NoDevice, Err: fmt.Errorf("the capture device %s is used by another program", path)}
	case errors.Is(err, unix.EACCES):
		return &drivers.Error{State: drivers.NoDevice, Err: fmt.Errorf("the capture device %s: not permitted; run as root or in the group video", path)}
	case err != nil:
		return &drivers.Error{State: drivers.NoDevice, Err: &os.PathError{Op: "open", Path: path, Err: err}}
	}
	defer unix.Close(fd)
	caps, err := v4l2.GetCapability(uintptr(fd))
	if err != nil || !caps.IsVideoCaptureSupported() || !caps.IsStreamingSupported() {
		return unsupported(path, errors.New("it doesn't capture video; odd nodes such as /dev/video1 carry metadata"))
	}
	return nil
}

// missing is fs.ErrNotExist in words for a slate.
type missing struct{ path string }

func (m *missing) Error() string { return "there is no capture device " + m.path }
func (m *missing) Unwrap() error { return fs.ErrNotExist }

func unsupported(path string, err error) error {
	return &drivers.Error{State: drivers.Unsupported, Err: fmt.Errorf("the capture device %s: %w", path, err)}
}

// readMode asks the driver. go4vl's own getters echo what was asked for.
func readMode(fd uintptr) (Mode, error) {
	f, err := v4l2.GetPixFormat(fd)
	if err != nil {
		return Mode{}, err
	}
	m := Mode{Width: int(f.Width), Height: int(f.Height), Pixel: fourCC(f.PixelFormat)}
	if p, err := v4l2.GetStreamParam(fd, v4l2.BufTypeVideoCapture); err == nil && p.Capture.TimePerFrame.Numerator > 0 {
		m.Rate = float64(p.Capture.TimePerFrame.Denominator) / float64(p.Capture.TimePerFrame.Numerator)
	}
	return m, nil
}

func fourCC(v uint32) string {
	return string([]byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)})
}

// forward turns go4vl's frames into buffers until its channel closes.
func (h *hardware) forward(ctx context.Context, frames <-chan *gov4l.Frame, errs <-chan error) {
	defer close(h.out)
	for {
		select {
		case f, ok := <-frames:
			if !ok {
				h.gone = ctx.Err() == nil
				return
			}
			b := buffer{data: f.Data, sequence: f.Sequence, monotonic: f.Timestamp.UnixNano(), release: f.Release}
			select {
			case h.out <- b:
			case <-ctx.Done():
				f.Release()
				return
			}
		case err, ok := <-errs:
			if ok {
				h.why = err
			} else {
				errs = nil
			}
		case <-ctx.Done():
			return
		}
	}
}

func (h *hardware) mode() Mode             { return h.got }
func (h *hardware) buffers() <-chan buffer { return h.out }
func (h *hardware) err() error             { return h.why }

// close stops, then cancels: the other order leaves the device busy. When the
// stream has ended by itself Stop does nothing, and without unmapping a stick
// that is plugged in again becomes another /dev/videoN.
func (h *hardware) close() error {
	err := h.dev.Stop()
	h.cancel()
	h.done.Wait()
	if h.gone {
		err = errors.Join(err, v4l2.UnmapMemoryBuffers(h.dev))
	}
	return errors.Join(err, h.dev.Close())
}

// now reads both clocks, one right after the other.
func now() (utc, monotonic int64) {
	var r, m unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &r)
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &m)
	return r.Nano(), m.Nano()
}
