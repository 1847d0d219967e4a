//go:build cgo && linux

package v4l2

import (
	"context"
	"errors"
	"testing"
	"time"
	"unsafe"

	gov4l "github.com/vladimirvivien/go4vl/device"
	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers"
)

// TestInputStructuresAreTheKernels: sizes, requests and places are those that a
// C compiler makes of linux/videodev2.h on amd64.
func TestInputStructuresAreTheKernels(t *testing.T) {
	for _, c := range []struct {
		size          uintptr
		request, want uint64
	}{
		{unsafe.Sizeof(inputArg{}), enumInput, 0xc050561a},
		{unsafe.Sizeof(control{}), getControl, 0xc008561b},
		{unsafe.Sizeof(int32(0)), getInput, 0x80045626},
		{unsafe.Sizeof(edidArg{}), getEDID, 0xc0285628},
		{unsafe.Sizeof(edidArg{}), setEDID, 0xc0285629},
		{unsafe.Sizeof(dvTimings{}), setTimings, 0xc0845657},
		{unsafe.Sizeof(dvTimings{}), getTimings, 0xc0845658},
		{unsafe.Sizeof(eventArg{}), dequeueEvent, 0x80885659},
		{unsafe.Sizeof(subscription{}), subscribeEvent, 0x4020565a},
		{unsafe.Sizeof(dvTimings{}), queryTimings, 0x80845663},
	} {
		if c.request != c.want || uint64(c.size) != c.want>>16&0x3fff {
			t.Errorf("%d bytes, request %#x, want %#x", c.size, c.request, c.want)
		}
	}
	for i, at := range [][2]uintptr{
		{unsafe.Offsetof(inputArg{}.status), 56}, {unsafe.Offsetof(eventArg{}.pending), 72}, {unsafe.Offsetof(eventArg{}.timestamp), 80},
		{unsafe.Offsetof(eventArg{}.id), 96}, {unsafe.Offsetof(dvTimings{}.clockLow), 20}, {unsafe.Offsetof(dvTimings{}.standards), 64},
		{unsafe.Offsetof(dvTimings{}.vic), 80}, {unsafe.Offsetof(edidArg{}.edid), 32},
	} {
		if at[0] != at[1] {
			t.Errorf("%d: at %d, want %d", i, at[0], at[1])
		}
	}
}

// TestTimings: all of them survive the kernel's structure, and a rate comes out.
func TestTimings(t *testing.T) {
	for _, c := range []struct {
		t    Timings
		want string
	}{
		{Timings{Width: 1920, Height: 1080, PixelClock: 148500000, Horizontal: [3]uint32{528, 44, 148}, Vertical: [3]uint32{4, 5, 36}, VIC: 31}, "1920x1080 at 50 Hz"},
		{Timings{Width: 1280, Height: 720, PixelClock: 74250000, Horizontal: [3]uint32{110, 40, 220}, Vertical: [3]uint32{5, 5, 20}, Flags: reducedFPS}, "1280x720 at 59.94 Hz"},
		{Timings{Width: 1920, Height: 1080, Interlaced: true, PixelClock: 74250000, Horizontal: [3]uint32{528, 44, 148}, Vertical: [3]uint32{2, 5, 15}, Field2: [3]uint32{2, 5, 16}}, "1920x1080 interlaced at 50 Hz"},
		{Timings{PixelClock: 5e9, Polarities: 3, Standards: 5, Aspect: [2]uint32{16, 9}, HDMIVIC: 2}, "0x0 at 0 Hz"},
	} {
		if got := c.t.kernels().timings(); got != c.t || got.String() != c.want {
			t.Errorf("%+v: %v, want %s", got, got, c.want)
		}
	}
}

// TestForward: a buffer with an error is told and left out, and the reason of the
// end is kept, whichever of go4vl's channels is read first.
func TestForward(t *testing.T) {
	for range 20 {
		frames, errs := make(chan *gov4l.Frame, 2), make(chan error, 2)
		h := &stream{out: make(chan Buffer, queue)}
		errs <- errors.New("error flag")
		frames <- &gov4l.Frame{Data: []byte{1}, Sequence: 1, Timestamp: time.Unix(0, 7)}
		frames <- &gov4l.Frame{Data: []byte{1}, Sequence: 3}
		errs <- errors.New("fatal: buff: v4l2.Buffer{}")
		close(errs)
		close(frames)
		h.done.Go(func() { h.forward(t.Context(), frames, errs) })
		h.done.Wait()
		if len(h.out) != 2 || !h.gone || h.Err() == nil || h.Err().Error() != "fatal" {
			t.Fatalf("%d frames, ended by itself %v, %v", len(h.out), h.gone, h.Err())
		}
		if b := <-h.out; b.Sequence != 1 || b.Monotonic != 7 {
			t.Errorf("%+v", b)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := &stream{out: make(chan Buffer)}
	h.forward(ctx, nil, nil)
	if h.gone {
		t.Error("cancelled is not ended by itself")
	}
}

func TestWhyItDoesNotStart(t *testing.T) {
	for _, c := range []struct {
		err  error
		want drivers.State
	}{{unix.EINVAL, drivers.Failed}, {unix.EBUSY, drivers.NoDevice}, {unix.EIO, drivers.Frozen}} {
		if got := stateOf(notStarted("/dev/video0", c.err)); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
