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
	Path string // /dev/snd/pcmCxDxc
	// Interleaved says that a device which offers 96 kHz mono sends 48 kHz stereo,
	// left and right in turn, as the MS2109 does. Linux 5.9 and later know that
	// and offer what it is; there this changes nothing.
	Interleaved bool
	// Excused says that the whole device is being reset, which ends the sound
	// anyway: silence is no reason to close it then, because that makes the kernel
	// ask a device that doesn't answer, for seconds. nil: never.
	Excused func() bool
	Clock   clock.Clock                    // nil: the system's
	Open    func(path string) (PCM, error) // nil: OpenPCM
}

// Source is one capture device.
type Source struct {
	cfg      Config
	overruns atomic.Uint64
	samples  atomic.Uint64
}

// PCM is an open device for capture: what the package needs of the kernel.
// OpenPCM gives a real one, drivers/drivertest a fake.
type PCM interface {
	// Ranges are what the device can do.
	Ranges() (Ranges, error)
	// Configure chooses interleaved S16, and a period and a buffer as near as the
	// device can to those given, in samples a channel.
	Configure(rate, channels, period, buffer int) error
	// Start begins to capture, also anew after an overrun.
	Start() error
	// Wait waits for samples, at most ms milliseconds. A device that is gone is
	// ready: Read says what it is.
	Wait(ms int) (ready bool, err error)
	// Read gives what is there, n samples a channel. EAGAIN: none. EPIPE: an
	// overrun, Start goes on.
	Read(data []int16, channels int) (n int, err error)
	Close() error
}

// Ranges are inclusive.
type Ranges struct{ Rate, Channels [2]int }

func (r Ranges) has(rate, channels int) bool {
	return r.Rate[0] <= rate && rate <= r.Rate[1] && r.Channels[0] <= channels && channels <= r.Channels[1]
}

// shape is how samples come and what they are.
type shape struct {
	rate, channels int // as the device calls it
	per            int // of the device's samples in one of ours
	ours           int // channels
}

// New makes a source; the device is opened by Run.
func New(c Config) *Source {
	if c.Clock == nil {
		c.Clock = clock.System
	}
	if c.Open == nil {
		c.Open = OpenPCM
	}
	return &Source{cfg: c}
}

// Overruns counts how often the kernel's buffer was full.
func (s *Source) Overruns() uint64 { return s.overruns.Load() }

// Samples counts those that came, of each channel.
func (s *Source) Samples() uint64 { return s.samples.Load() }

// Run opens the device and delivers samples until it fails or the context ends.
// Its errors are *drivers.Error but for the context's.
func (s *Source) Run(ctx context.Context, sink Sink) error {
	p, err := s.cfg.Open(s.cfg.Path)
	if err != nil {
		return s.failed(drivers.NoDevice, err)
	}
	defer p.Close()
	is, err := s.configure(p)
	if err != nil {
		return s.failed(drivers.Unsupported, err)
	}
	if err := p.Start(); err != nil {
		return s.failed(drivers.NoDevice, err)
	}
	slog.Info("sound device", "path", s.cfg.Path, "rate", is.rate, "channels", is.channels, "interleaved", is.per > 1)
	return s.stream(ctx, p, is, sink)
}

func (s *Source) failed(state drivers.State, err error) error {
	return &drivers.Error{State: state, Err: fmt.Errorf("the sound device %s: %w", s.cfg.Path, err)}
}

// configure chooses 48 kHz S16 and as many of two channels as there are.
func (s *Source) configure(p PCM) (shape, error) {
	r, err := p.Ranges()
	if err != nil {
		return shape{}, fmt.Errorf("ask for its parameters: %w", err)
	}
	is, err := s.choose(r)
	if err != nil {
		return shape{}, err
	}
	if err := p.Configure(is.rate, is.channels, period*is.per, buffer*is.per); err != nil {
		return shape{}, fmt.Errorf("%d kHz S16 with %d channels: %w", is.rate/1000, is.channels, err)
	}
	return is, nil
}

func (s *Source) choose(r Ranges) (shape, error) {
	switch {
	case r.has(media.SampleRate, media.Channels):
		return shape{media.SampleRate, media.Channels, 1, media.Channels}, nil
	case s.cfg.Interleaved && r.has(media.Channels*media.SampleRate, 1):
		return shape{media.Channels * media.SampleRate, 1, media.Channels, media.Channels}, nil
	case r.has(media.SampleRate, 1):
		return shape{media.SampleRate, 1, 1, 1}, nil
	case r.Rate[0] > media.SampleRate || r.Rate[1] < media.SampleRate:
		return shape{}, fmt.Errorf("%d to %d samples a second; it must do 48000", r.Rate[0], r.Rate[1])
	}
	return shape{}, fmt.Errorf("at least %d channels; it must do one or two", r.Channels[0])
}

func (s *Source) stream(ctx context.Context, p PCM, is shape, sink Sink) error {
	data := make([]int16, buffer*is.ours)
	var t timeline
	steps := clock.NewSteps(s.cfg.Clock)
	for held := 0; ctx.Err() == nil; {
		ready, err := p.Wait(silence)
		if err != nil {
			return s.failed(drivers.NoDevice, err)
		}
		if !ready && s.cfg.Excused != nil && s.cfg.Excused() {
			continue
		}
		if !ready {
			return s.failed(drivers.Frozen, fmt.Errorf("no samples for %d ms", silence))
		}
		n, err := p.Read(data[held:], is.channels)
		switch {
		case err == nil:
		case errors.Is(err, unix.EAGAIN):
			continue
		case errors.Is(err, unix.EPIPE):
			s.overruns.Add(1)
			if err := p.Start(); err != nil {
				return s.failed(drivers.NoDevice, err)
			}
			t, held = timeline{}, 0
			continue
		default:
			return s.failed(drivers.NoDevice, err)
		}
		if d := steps.Look(); t.base != 0 {
			t.base += int64(d)
		}
		// A left sample whose right one hasn't come yet waits for it.
		have := held + n*is.channels
		whole := have / is.ours
		held = have - whole*is.ours
		if whole > 0 {
			s.samples.Add(uint64(whole))
			sink.Audio(media.Samples{
				Time: t.place(whole, s.cfg.Clock.Now()), Rate: media.SampleRate, Channels: is.ours, Data: data[:whole*is.ours],
			})
			copy(data[:held], data[whole*is.ours:have])
		}
	}
	return ctx.Err()
}

// timeline gives samples their time by counting them. A read is late by the
// scheduler's whim but never early, so the smallest lag of the last seconds is
// the true one. A lag of every read for half a second is none of that, as each read
// takes all there is: samples were lost, and those that follow must not be taken
// for old ones.
type timeline struct {
	count       int64 // samples so far
	base        int64 // UTC ns of sample 0
	least, next int64 // smallest lag seen in this window and in the one before
	until       int64 // sample at which the window ends

	recent      int64 // smallest lag of the last half second
	recentUntil int64 // sample at which that ends
}

// window is how long the smallest lag counts: at 100 ppm of drift it goes wrong
// by half a millisecond meanwhile.
const window = 5 * media.SampleRate

const (
	recently = media.SampleRate / 2
	// lost is from what lag on, in ns. It was four periods once, and less was left
	// to the window: where a USB bus loses ten packets of a millisecond again and
	// again, sound then came 20 ms early all the while. Of fifty reads that a
	// scheduler delays by up to 30 ms each, all are later than this once in an hour.
	lost = 5_000_000
)

// place takes n samples that were read at now and gives the time of the first.
func (t *timeline) place(n int, now int64) int64 {
	if t.base == 0 {
		t.base = now - media.SampleTime(int64(n))
		t.next = 1 << 62
		t.least, t.recent = t.next, t.next
		t.until, t.recentUntil = window, recently
	}
	first := t.base + media.SampleTime(t.count)
	t.count += int64(n)
	lag := now - (t.base + media.SampleTime(t.count))
	t.next, t.recent = min(t.next, lag), min(t.recent, lag)
	if lag < 0 { // earlier than ever: time stamps must not run ahead of the clock
		t.base += lag
		first += lag
		t.least, t.next, t.recent = t.least-lag, 0, 0
	}
	if t.count >= t.recentUntil {
		t.jump()
	}
	if t.count >= t.until {
		t.turn()
	}
	return first
}

// jump ends half a second: what was lost in it is left out.
func (t *timeline) jump() {
	if t.recent > lost {
		t.base += t.recent
		t.least, t.next = 1<<62, 1<<62
		t.until = t.count + window
	}
	t.recent, t.recentUntil = 1<<62, t.count+recently
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
