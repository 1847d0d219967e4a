//go:build cgo && linux

package v4l2

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	gov4l "github.com/vladimirvivien/go4vl/device"
	"github.com/vladimirvivien/go4vl/v4l2"
	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers"
)

// Go4vl is the kernel's Video4Linux2 by go4vl v0.3.0.
var Go4vl Kernel = go4vl{}

type go4vl struct{}

// queue is how many buffers the kernel fills. go4vl's channel holds as many, and
// drops what doesn't fit.
const queue = 4

// Nodes lists /dev/video0, /dev/video1 and so on.
func (go4vl) Nodes() ([]string, error) {
	nodes, err := filepath.Glob("/dev/video[0-9]*")
	slices.SortFunc(nodes, func(a, b string) int { return number(a) - number(b) })
	return nodes, err
}

func number(node string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(filepath.Base(node), "video"))
	return n
}

// Modes opens the node for a moment.
func (go4vl) Modes(node string) (card string, modes []Mode, err error) {
	fd, err := open(node)
	if err != nil {
		return "", nil, err
	}
	defer unix.Close(fd)
	caps, err := v4l2.GetCapability(uintptr(fd))
	if err != nil {
		return "", nil, unusable(node, err)
	}
	// go4vl's IsVideoCaptureSupported speaks of the device, not of this node.
	const need = v4l2.CapVideoCapture | v4l2.CapStreaming
	if caps.GetCapabilities()&need != need {
		return caps.Card, nil, failure(drivers.Unsupported, fmt.Errorf("the capture device %s: %w", node, ErrNotCapture))
	}
	return caps.Card, listModes(uintptr(fd)), nil
}

// open finds out what go4vl's Open wouldn't say, and doesn't leak a descriptor
// when it fails, as that does.
func open(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case err == nil:
		return fd, nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		err = &missing{path}
	case errors.Is(err, unix.EACCES):
		err = fmt.Errorf("the capture device %s: not permitted; run as root or in the group video", path)
	default:
		return 0, unusable(path, err)
	}
	return 0, failure(drivers.NoDevice, err)
}

// missing is fs.ErrNotExist in words for a slate.
type missing struct{ path string }

func (m *missing) Error() string { return "there is no capture device " + m.path }
func (m *missing) Unwrap() error { return fs.ErrNotExist }

// unusable tells a device that another program has, one that doesn't answer and
// one that can't do what is asked. go4vl makes one error, ErrorSystem, of EIO
// and ENODEV; a device that is gone isn't found the next time.
func unusable(path string, err error) error {
	switch {
	case errors.Is(err, unix.EBUSY):
		return failure(drivers.NoDevice, fmt.Errorf("the capture device %s is used by another program", path))
	case errors.Is(err, v4l2.ErrorSystem), errors.Is(err, unix.EIO), errors.Is(err, unix.ETIMEDOUT), errors.Is(err, unix.EPIPE), errors.Is(err, unix.EPROTO):
		return failure(drivers.Frozen, fmt.Errorf("the capture device %s doesn't answer: %w", path, err))
	}
	return failure(drivers.Unsupported, fmt.Errorf("the capture device %s: %w", path, err))
}

// notStarted explains why a device that has taken its format doesn't stream: the
// kernel may have refused buffers, or to start, once.
func notStarted(node string, err error) error {
	e := new(drivers.Error)
	if err := unusable(node, err); errors.As(err, &e) && e.State != drivers.Unsupported {
		return err
	}
	return failure(drivers.Failed, fmt.Errorf("the capture device %s couldn't be started: %w", node, err))
}

// stream is a device opened by go4vl. A new one is made for each stream: after
// an error go4vl's can't be started again.
type stream struct {
	dev    *gov4l.Device
	cancel context.CancelFunc
	got    Format
	out    chan Buffer
	done   sync.WaitGroup
	gone   bool // go4vl's goroutine ended by itself: Stop won't unmap
	why    error
}

// prepare tries what go4vl's Open will do, because that leaks a descriptor for
// each failure, and one is tried four times a second.
func prepare(node string, m Mode) ([]gov4l.Option, error) {
	fd, err := open(node) // for the words of its error
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	format := v4l2.PixFormat{
		Width: uint32(m.Width), Height: uint32(m.Height), PixelFormat: letters(m.Pixel), Field: v4l2.FieldNone,
	}
	if err := v4l2.SetPixFormat(uintptr(fd), format); err != nil {
		return nil, unusable(node, err)
	}
	params, err := v4l2.GetStreamParam(uintptr(fd), v4l2.BufTypeVideoCapture)
	if err != nil {
		return nil, unusable(node, fmt.Errorf("VIDIOC_G_PARM, which go4vl needs: %w", err))
	}
	options := []gov4l.Option{gov4l.WithBufferSize(queue), gov4l.WithPixFormat(format)}
	if params.Capture.Capability&v4l2.StreamParamTimePerFrame != 0 { // else it keeps its own rate
		options = append(options, gov4l.WithFPS(uint32(m.Rate+0.5)))
	}
	return options, nil
}

// Open opens, configures and starts the device.
func (go4vl) Open(ctx context.Context, node string, m Mode) (Stream, error) {
	options, err := prepare(node, m)
	if err != nil {
		return nil, err
	}
	dev, err := gov4l.Open(node, options...)
	if err != nil {
		return nil, unusable(node, err)
	}
	// GetFrames before Start chooses the mode and returns nil.
	dev.GetFrames()
	// Not the caller's context: Stop must come before the cancellation, else
	// go4vl neither stops the stream nor unmaps its buffers.
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h := &stream{dev: dev, cancel: cancel, out: make(chan Buffer, queue)}
	if h.got, err = readFormat(dev.Fd()); err != nil {
		cancel()
		_ = dev.Close()
		return nil, unusable(node, err)
	}
	if err := dev.Start(inner); err != nil {
		cancel()
		_ = v4l2.UnmapMemoryBuffers(dev) // it has none if it failed early
		if dev.Close() != nil {
			_ = dev.Close() // the first one only stops, if that fails
		}
		return nil, notStarted(node, err)
	}
	h.done.Go(func() { h.forward(inner, dev.GetFrames(), dev.GetError()) })
	return h, nil
}

// readFormat asks the driver. go4vl's own getters echo what was asked for.
func readFormat(fd uintptr) (Format, error) {
	f, err := v4l2.GetPixFormat(fd)
	if err != nil {
		return Format{}, err
	}
	is := Format{Stride: int(f.BytesPerLine), Color: colorOf(f.Colorspace, f.YcbcrEnc, f.Quantization, int(f.Height))}
	is.Width, is.Height, is.Pixel = int(f.Width), int(f.Height), fourCC(f.PixelFormat)
	if p, err := v4l2.GetStreamParam(fd, v4l2.BufTypeVideoCapture); err == nil {
		is.Rate = rate(p.Capture.TimePerFrame)
	}
	return is, nil
}

func rate(interval v4l2.Fract) float64 {
	if interval.Numerator == 0 {
		return 0
	}
	return float64(interval.Denominator) / float64(interval.Numerator)
}

func fourCC(v uint32) string {
	return string([]byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)})
}

func letters(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// forward turns go4vl's frames into buffers until its channel closes.
func (h *stream) forward(ctx context.Context, frames <-chan *gov4l.Frame, errs <-chan error) {
	defer close(h.out)
	for {
		select {
		case f, ok := <-frames:
			if !ok {
				h.gone = ctx.Err() == nil
				if errs != nil { // it is closed, too, and may hold the reason
					for err := range errs {
						h.why = short(err)
					}
				}
				return
			}
			b := Buffer{Data: f.Data, Sequence: f.Sequence, Monotonic: f.Timestamp.UnixNano(), Release: f.Release}
			select {
			case h.out <- b:
			case <-ctx.Done():
				f.Release()
				return
			}
		case err, ok := <-errs:
			if ok {
				h.why = short(err)
			} else {
				errs = nil
			}
		case <-ctx.Done():
			return
		}
	}
}

// short leaves out what go4vl prints of its own structures.
func short(err error) error {
	text, _, _ := strings.Cut(err.Error(), ": buff: ")
	return errors.New(text)
}

// Format is the stream's.
func (h *stream) Format() Format { return h.got }

// Buffers is the stream's.
func (h *stream) Buffers() <-chan Buffer { return h.out }

// Err is the stream's.
func (h *stream) Err() error { return h.why }

// Close stops, then cancels: the other order leaves the device busy. When the
// stream has ended by itself Stop does nothing, and without unmapping a stick
// that is plugged in again becomes another /dev/videoN.
func (h *stream) Close() error {
	err := h.dev.Stop()
	h.cancel()
	h.done.Wait()
	if h.gone {
		err = errors.Join(err, v4l2.UnmapMemoryBuffers(h.dev))
	}
	return errors.Join(err, h.dev.Close())
}

// Now reads both clocks, UTC and CLOCK_MONOTONIC, in ns, one right after the other.
func Now() (utc, monotonic int64) {
	var r, m unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &r)
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &m)
	return r.Nano(), m.Nano()
}
