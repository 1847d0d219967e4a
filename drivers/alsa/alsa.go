// Package alsa captures 48 kHz sound from an ALSA device by ioctl, without cgo
// and without alsa-lib: the sound card that is part of a USB HDMI stick.
//
// The kernel interface is include/uapi/sound/asound.h; what the ioctls do is in
// sound/core/pcm_native.c. Tested on a fake of it here, and on the sound card
// of the emulated MS2131 in the virtual machine.
//
// ALSA reports no overrun when samples are lost on the way to it, as USB audio
// does under load. So samples are counted against the clock: a lasting gap
// between the two moves the time stamps, which is where the sink sees it.
package alsa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/media"
)

const (
	period = media.SampleRate / 100 // samples between two wakeups: 10 ms
	// buffer is how many samples the kernel holds: a second. It costs no delay,
	// since what is there is read at once, and a reader that is not scheduled for
	// 200 ms, as seen on busy machines, loses nothing.
	buffer = media.SampleRate
	// silence is for how long the device may deliver nothing, in ms.
	silence = 1000
)

// Sink takes samples; drivers.Sink is one.
type Sink interface{ Audio(s media.Samples) }

// Config is what to capture.
type Config struct {
	Path  string      // /dev/snd/pcmCxDxc
	Clock clock.Clock // nil: the system's
}

// Source is one capture device.
type Source struct {
	cfg      Config
	open     func(path string) (handle, error)
	overruns atomic.Uint64
}

// handle is the transport: the only part that knows /dev.
type handle interface {
	ioctl(request uintptr, arg unsafe.Pointer) error
	// poll waits for samples, at most ms milliseconds.
	poll(ms int) (ready bool, err error)
	close() error
}

// New makes a source; the device is opened by Run.
func New(c Config) *Source {
	if c.Clock == nil {
		c.Clock = clock.System
	}
	return &Source{cfg: c, open: openHandle}
}

// Overruns counts how often the kernel's buffer was full.
func (s *Source) Overruns() uint64 { return s.overruns.Load() }

// Run opens the device and delivers samples until it fails or the context ends.
// Its errors are *drivers.Error but for the context's.
func (s *Source) Run(ctx context.Context, sink Sink) error {
	h, err := s.open(s.cfg.Path)
	if err != nil {
		return s.failed(drivers.NoDevice, err)
	}
	defer h.close()
	channels, err := configure(h)
	if err != nil {
		return s.failed(drivers.Unsupported, err)
	}
	if err := start(h); err != nil {
		return s.failed(drivers.NoDevice, err)
	}
	slog.Info("sound device", "path", s.cfg.Path, "channels", channels)
	return s.stream(ctx, h, channels, sink)
}

func (s *Source) failed(state drivers.State, err error) error {
	return &drivers.Error{State: state, Err: fmt.Errorf("the sound device %s: %w", s.cfg.Path, err)}
}

// configure chooses 48 kHz S16 and as many of two channels as there are.
func configure(h handle) (channels int, err error) {
	device := anything()
	if err := h.ioctl(ioctlRefine, unsafe.Pointer(device)); err != nil {
		return 0, fmt.Errorf("ask for its parameters: %w", err)
	}
	if !device.has(intervalRate, media.SampleRate) {
		return 0, fmt.Errorf("%d to %d samples a second; it must do 48000",
			device.intervals[intervalRate].min, device.intervals[intervalRate].max)
	}
	for channels = media.Channels; !device.has(intervalChannels, uint32(channels)); channels-- {
		if channels == 1 {
			return 0, fmt.Errorf("at least %d channels; it must do one or two", device.intervals[intervalChannels].min)
		}
	}
	p := anything()
	p.only(maskAccess, accessInterleaved)
	p.only(maskFormat, formatS16LE)
	p.set(intervalChannels, uint32(channels))
	p.set(intervalRate, media.SampleRate)
	p.near(intervalPeriodSize, period, device)
	p.near(intervalBufferSize, buffer, device)
	if err := h.ioctl(ioctlParams, unsafe.Pointer(p)); err != nil {
		return 0, fmt.Errorf("48 kHz S16 with %d channels: %w", channels, err)
	}
	return channels, nil
}

func start(h handle) error {
	if err := h.ioctl(ioctlPrepare, nil); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if err := h.ioctl(ioctlStart, nil); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return nil
}

func (s *Source) stream(ctx context.Context, h handle, channels int, sink Sink) error {
	data := make([]int16, buffer*channels)
	var t timeline
	for ctx.Err() == nil {
		ready, err := h.poll(silence)
		if err != nil {
			return s.failed(drivers.NoDevice, err)
		}
		if !ready {
			return s.failed(drivers.Frozen, fmt.Errorf("no samples for %d ms", silence))
		}
		x := xferi{buf: unsafe.Pointer(&data[0]), frames: buffer}
		switch err := h.ioctl(ioctlReadI, unsafe.Pointer(&x)); {
		case err == nil:
		case errors.Is(err, unix.EAGAIN):
			continue
		case errors.Is(err, unix.EPIPE):
			s.overruns.Add(1)
			if err := start(h); err != nil {
				return s.failed(drivers.NoDevice, err)
			}
			t = timeline{}
			continue
		default:
			return s.failed(drivers.NoDevice, err)
		}
		if n := x.result; n > 0 && n <= buffer {
			sink.Audio(media.Samples{
				Time: t.place(n, s.cfg.Clock.Now()), Rate: media.SampleRate, Channels: channels, Data: data[:n*channels],
			})
		}
	}
	return ctx.Err()
}

// timeline gives samples their time by counting them. A read is late by the
// scheduler's whim but never early, so the smallest lag of the last seconds is
// the true one.
type timeline struct {
	count       int64 // samples so far
	base        int64 // UTC ns of sample 0
	least, next int64 // smallest lag seen in this window and in the one before
	until       int64 // sample at which the window ends
}

// window is how long the smallest lag counts: at 100 ppm of drift it goes wrong
// by half a millisecond meanwhile.
const window = 5 * media.SampleRate

// place takes n samples that were read at now and gives the time of the first.
func (t *timeline) place(n int, now int64) int64 {
	if t.base == 0 {
		t.base = now - media.SampleTime(int64(n))
		t.next = 1 << 62
		t.least = t.next
		t.until = window
	}
	first := t.base + media.SampleTime(t.count)
	t.count += int64(n)
	lag := now - (t.base + media.SampleTime(t.count))
	t.next = min(t.next, lag)
	if lag < 0 { // earlier than ever: time stamps must not run ahead of the clock
		t.base += lag
		first += lag
		t.least, t.next = t.least-lag, 0
	}
	if t.count >= t.until {
		t.turn()
	}
	return first
}

// turn ends a window: what all of its reads were late by was no lateness.
func (t *timeline) turn() {
	if shift := min(t.least, t.next); shift > 0 && shift < 1<<62 {
		t.base += shift
		t.next -= shift
	}
	t.least, t.next = t.next, 1<<62
	t.until = t.count + window
}
