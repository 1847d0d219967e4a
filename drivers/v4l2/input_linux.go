//go:build cgo && linux

package v4l2

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/vladimirvivien/go4vl/v4l2"
	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers"
)

// The structures of include/uapi/linux/videodev2.h and v4l2-common.h that go4vl
// lacks, as a 64-bit kernel has them.

// dvTimings is v4l2_dv_timings with v4l2_bt_timings in it; both are packed, so
// that the pixel clock lies on no multiple of 8.
type dvTimings struct {
	kind, width, height, interlaced, polarities uint32
	clockLow, clockHigh                         uint32
	horizontal, vertical, field2                [3]uint32
	standards, flags                            uint32
	aspect                                      [2]uint32
	vic, hdmiVIC                                uint8
	_                                           [46 + 4]uint8
}

// edidArg is v4l2_edid.
type edidArg struct {
	pad, start, blocks uint32
	_                  [5]uint32
	edid               unsafe.Pointer
}

// inputArg is v4l2_input.
type inputArg struct {
	index                 uint32
	name                  [32]byte
	kind, audioset, tuner uint32
	standard              uint64
	status, capabilities  uint32
	_                     [4]uint32
}

// eventArg is v4l2_event.
type eventArg struct {
	kind              uint32
	_                 [68]uint8
	pending, sequence uint32
	timestamp         [2]int64
	id                uint32
	_                 [8]uint32
}

// subscription is v4l2_event_subscription.
type subscription struct {
	kind, id, flags uint32
	_               [5]uint32
}

// control is v4l2_control.
type control struct {
	id    uint32
	value int32
}

const (
	enumInput      = 3<<30 | 80<<16 | 'V'<<8 | 26
	getControl     = 3<<30 | 8<<16 | 'V'<<8 | 27
	getInput       = 2<<30 | 4<<16 | 'V'<<8 | 38
	getEDID        = 3<<30 | 40<<16 | 'V'<<8 | 40
	setEDID        = 3<<30 | 40<<16 | 'V'<<8 | 41
	setTimings     = 3<<30 | 132<<16 | 'V'<<8 | 87
	getTimings     = 3<<30 | 132<<16 | 'V'<<8 | 88
	dequeueEvent   = 2<<30 | 136<<16 | 'V'<<8 | 89
	subscribeEvent = 1<<30 | 32<<16 | 'V'<<8 | 90
	queryTimings   = 2<<30 | 132<<16 | 'V'<<8 | 99

	capTimings     = 0x2        // V4L2_IN_CAP_DV_TIMINGS
	sourceChange   = 5          // V4L2_EVENT_SOURCE_CHANGE
	rxPowerPresent = 0x00a00964 // V4L2_CID_DV_RX_POWER_PRESENT, a bit for each input
	maxEDIDBlocks  = 256
)

// input is an open node.
type input struct {
	fd      uintptr
	index   uint32
	changes chan struct{}
	stop    int // an eventfd
	watched sync.WaitGroup
}

// Input opens the node's current input.
func (go4vl) Input(node string) (Input, error) {
	fd, err := open(node)
	if err != nil {
		return nil, err
	}
	h := &input{fd: uintptr(fd), stop: -1}
	var index int32
	if err := ioctl(h.fd, getInput, unsafe.Pointer(&index)); err != nil {
		index = 0 // a driver of one input may leave it out
	}
	h.index = uint32(index)
	arg, err := h.enum()
	if err != nil || arg.capabilities&capTimings == 0 {
		unix.Close(fd)
		if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EIO) {
			return nil, unusable(node, err)
		}
		return nil, ErrNoTimings
	}
	if err := h.subscribe(); err != nil {
		unix.Close(fd)
		return nil, failure(drivers.Failed, fmt.Errorf("the capture device %s: %w", node, err))
	}
	return h, nil
}

func (h *input) enum() (inputArg, error) {
	arg := inputArg{index: h.index}
	err := ioctl(h.fd, enumInput, unsafe.Pointer(&arg))
	return arg, err
}

// Status is the input's.
func (h *input) Status() (uint32, error) {
	arg, err := h.enum()
	return arg.status, err
}

// Cable is the input's.
func (h *input) Cable() (bool, error) {
	c := control{id: rxPowerPresent}
	err := ioctl(h.fd, getControl, unsafe.Pointer(&c))
	return c.value>>h.index&1 == 1, err
}

// Query is the input's.
func (h *input) Query() (Timings, error) { return h.timings(queryTimings) }

// Timings is the input's.
func (h *input) Timings() (Timings, error) { return h.timings(getTimings) }

func (h *input) timings(request uintptr) (Timings, error) {
	var k dvTimings
	err := ioctl(h.fd, request, unsafe.Pointer(&k))
	return k.timings(), err
}

// SetTimings is the input's.
func (h *input) SetTimings(t Timings) error {
	k := t.kernels()
	return ioctl(h.fd, setTimings, unsafe.Pointer(&k))
}

func (k dvTimings) timings() Timings {
	return Timings{
		Width: int(k.width), Height: int(k.height), Interlaced: k.interlaced != 0,
		PixelClock: int64(uint64(k.clockHigh)<<32 | uint64(k.clockLow)),
		Horizontal: k.horizontal, Vertical: k.vertical, Field2: k.field2,
		Polarities: k.polarities, Standards: k.standards, Flags: k.flags, Aspect: k.aspect, VIC: k.vic, HDMIVIC: k.hdmiVIC,
	}
}

func (t Timings) kernels() dvTimings {
	k := dvTimings{
		width: uint32(t.Width), height: uint32(t.Height), polarities: t.Polarities,
		clockLow: uint32(t.PixelClock), clockHigh: uint32(uint64(t.PixelClock) >> 32),
		horizontal: t.Horizontal, vertical: t.Vertical, field2: t.Field2,
		standards: t.Standards, flags: t.Flags, aspect: t.Aspect, vic: t.VIC, hdmiVIC: t.HDMIVIC,
	}
	if t.Interlaced {
		k.interlaced = 1
	}
	return k
}

// EDID is the input's.
func (h *input) EDID() ([]byte, error) {
	arg := edidArg{pad: h.index}
	if err := ioctl(h.fd, getEDID, unsafe.Pointer(&arg)); err != nil || arg.blocks == 0 {
		return nil, noneIsNil(err)
	}
	data := make([]byte, min(arg.blocks, maxEDIDBlocks)*edidBlock)
	arg.blocks, arg.edid = uint32(len(data)/edidBlock), unsafe.Pointer(&data[0])
	err := ioctl(h.fd, getEDID, unsafe.Pointer(&arg))
	runtime.KeepAlive(data)
	if err != nil {
		return nil, noneIsNil(err)
	}
	return data[:min(int(arg.blocks)*edidBlock, len(data))], nil
}

// noneIsNil: an input without an EDID says ENODATA.
func noneIsNil(err error) error {
	if errors.Is(err, unix.ENODATA) {
		return nil
	}
	return err
}

// SetEDID is the input's.
func (h *input) SetEDID(data []byte) error {
	arg := edidArg{pad: h.index, blocks: uint32(len(data) / edidBlock)}
	if len(data) > 0 {
		arg.edid = unsafe.Pointer(&data[0])
	}
	err := ioctl(h.fd, setEDID, unsafe.Pointer(&arg))
	runtime.KeepAlive(data)
	return err
}

// Pixels is the input's.
func (h *input) Pixels() (names []string, err error) {
	formats, err := v4l2.GetAllFormatDescriptions(h.fd)
	for _, f := range formats {
		names = append(names, fourCC(f.PixelFormat))
	}
	if len(names) > 0 {
		err = nil // an error ends the list
	}
	return names, err
}

// subscribe asks for events; a driver may have none.
func (h *input) subscribe() (err error) {
	s := subscription{kind: sourceChange, id: h.index}
	if ioctl(h.fd, subscribeEvent, unsafe.Pointer(&s)) != nil {
		return nil
	}
	if h.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		return err
	}
	h.changes = make(chan struct{}, 1)
	h.watched.Go(h.watch)
	return nil
}

// Changes is the input's.
func (h *input) Changes() <-chan struct{} { return h.changes }

// watch passes events on until the device is gone or closed.
func (h *input) watch() {
	defer close(h.changes)
	for {
		fds := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLPRI}, {Fd: int32(h.stop), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if fds[1].Revents != 0 || fds[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
			return
		}
		if fds[0].Revents&unix.POLLPRI != 0 && !h.drain() {
			return
		}
	}
}

// drain takes all events that there are, and makes one of them.
func (h *input) drain() bool {
	for {
		var e eventArg
		err := ioctl(h.fd, dequeueEvent, unsafe.Pointer(&e))
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EAGAIN) {
			return true
		} else if err != nil {
			return false
		}
		select {
		case h.changes <- struct{}{}:
		default:
		}
	}
}

// Close is the input's.
func (h *input) Close() error {
	if h.stop >= 0 {
		one := [8]byte{1}
		_, _ = unix.Write(h.stop, one[:])
		h.watched.Wait()
		unix.Close(h.stop)
	}
	return unix.Close(int(h.fd))
}
