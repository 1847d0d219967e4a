package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/drivers/alsa"
	"github.com/openvideobox/videobox/drivers/ms213x"
	"github.com/openvideobox/videobox/drivers/usb"
	"github.com/openvideobox/videobox/drivers/v4l2"
	"github.com/openvideobox/videobox/hardware"
	"github.com/openvideobox/videobox/hardware/edid"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/codec/jpeg"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/internal/run"
)

const (
	// soundAgain is how long a sound device that failed is left alone.
	soundAgain = 500 * time.Millisecond
	// lastWait is how long the end waits for calls that the kernel holds.
	lastWait = 2 * time.Second
	// statusAgain is how long a stick that doesn't tell about its signal is.
	statusAgain = 2 * time.Second
)

// device is a capture device with its sound: v4l2:auto takes the stick that is
// there, v4l2:/dev/video0 that one, both with the sound card of the same USB
// device; v4l2:auto,hw:1,0 takes that card, and v4l2:auto,none none.
func device(spec string, c program.Config) (drivers.Source, error) {
	video, sound, named := strings.Cut(spec, ",")
	if video != v4l2.Auto && !strings.HasPrefix(video, "/dev/") {
		return nil, fmt.Errorf("source v4l2:%s: write v4l2:auto or v4l2:/dev/videoN, or v4l2:auto,hw:CARD,DEVICE", spec)
	}
	d := &stick{hw: Machine.withDefaults(), opened: make(chan struct{})}
	d.video = v4l2.New(videoConfig(d.hw, video, c, d))
	switch {
	case named && sound == "none":
	case named:
		path, err := alsa.Path(sound)
		if err != nil {
			return nil, err
		}
		d.card = func(v4l2.Device) (string, bool) { return path, true }
	default:
		d.card = func(d v4l2.Device) (string, bool) { return first(d, usb.Device.Sound) }
	}
	return d, nil
}

// videoConfig is what the picture's driver is told; d may be nil, for a list.
func videoConfig(hw Hardware, path string, c program.Config, d *stick) v4l2.Config {
	v := v4l2.Config{
		Path: path, Width: c.Width, Height: c.Height, Rate: c.Rate, Decode: jpeg.Decode,
		Kernel: hw.Kernel, USB: hw.USB, Now: hw.Now, Models: model, EDID: edid.For(c.Height, c.Rate).Bytes,
	}
	if d != nil {
		v.Opened = d.open
		v.Excused = d.signal.bad
		v.Mute = d.mute.Store
	}
	return v
}

// model is what the profiles say about a USB device.
func model(u usb.Device) v4l2.Model {
	s, known := hardware.StickOf(u.Vendor, u.Product)
	return v4l2.Model{Known: known, Pixel: s.Prefer}
}

// first is the first of a USB device's nodes of a kind.
func first(d v4l2.Device, nodes func(usb.Device) []string) (string, bool) {
	if !d.OnUSB {
		return "", false
	}
	all := nodes(d.USB)
	if len(all) == 0 {
		return "", false
	}
	return all[0], true
}

// stick is a video node with a sound device and what it says about its signal.
type stick struct {
	hw     Hardware
	video  *v4l2.Source
	card   func(v4l2.Device) (path string, ok bool) // nil: no sound is wanted
	signal signal
	mute   atomic.Bool // it reacts to nothing and is being reset

	mu     sync.Mutex
	device v4l2.Device   // that was opened last
	opened chan struct{} // closed and replaced when it is
}

// open notes which device the picture comes from, and tells.
func (d *stick) open(dev v4l2.Device, is v4l2.Format) {
	profile, _ := hardware.StickOf(dev.USB.Vendor, dev.USB.Product)
	drivers.Opened(d.signal.sink, drivers.Device{
		Name: dev.String(), Mode: is.String(), SoundLater: profile.Sound.Offset, Counts: d.counts, Warning: dev.Warning,
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.device = dev
	close(d.opened)
	d.opened = make(chan struct{})
}

// current is the device, and a channel that is closed when there is another.
func (d *stick) current() (v4l2.Device, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.device, d.opened
}

// Run ends when the picture does: when nothing has helped a device that hangs.
// The sound is started again as often as it fails; without it capture sends
// silence.
func (d *stick) Run(ctx context.Context, sink drivers.Sink) error {
	d.signal.sink = sink
	g := run.NewGroup(ctx)
	if d.card != nil {
		g.Go("", func(ctx context.Context) error { return d.runSound(ctx, sink) })
	}
	g.Go("", d.runStatus)
	err := d.video.Run(ctx, &d.signal)
	g.Stop()
	done := make(chan struct{})
	go func() {
		_ = g.Wait()
		close(done)
	}()
	// The kernel may hold sound and status of a device that hangs.
	reached, stop := clock.System.After(clock.System.Now() + int64(lastWait))
	defer stop()
	select {
	case <-done:
	case <-reached:
	}
	return err
}

// counts are the driver's.
func (d *stick) counts() map[string]uint64 {
	s := d.video.Stats()
	return map[string]uint64{
		"damaged": s.Damaged, "disorder": s.Disorder, "stale": s.Stale, "lost": s.Lost,
		"reopened": s.Reopened, "reset": s.Reset, "reauthorized": s.Reauthorized,
	}
}

// runSound reads the sound card, whichever it is now.
func (d *stick) runSound(ctx context.Context, sink drivers.Sink) error {
	for said := ""; ; {
		dev, other := d.current()
		path, ok := d.card(dev)
		ok = ok && !d.mute.Load()
		state, err := d.soundless(dev)
		if ok {
			state = drivers.NoDevice
			profile, _ := hardware.StickOf(dev.USB.Vendor, dev.USB.Product)
			src := alsa.New(alsa.Config{Path: path, Interleaved: profile.Sound.Interleaved, Excused: d.mute.Load, Open: d.hw.PCM})
			err = src.Run(ctx, &heard{Sink: sink})
			if e := new(drivers.Error); errors.As(err, &e) {
				state = e.State
			}
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%w; %s", err, d.cards())
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if dev.Node != "" || ok { // else there is no device at all, as the picture says
			drivers.SoundState(sink, state, err.Error())
			if err.Error() != said {
				said = err.Error()
				slog.Warn("sound", "state", state.String(), "cause", said)
			}
		}
		if err := pause(ctx, soundAgain, other); err != nil {
			return err
		}
	}
}

// soundless says why a device gives no sound. Which card belongs to another one
// that isn't on USB can't be told.
func (d *stick) soundless(dev v4l2.Device) (drivers.State, error) {
	_, err := os.Stat(dev.USB.Path)
	switch {
	case dev.OnUSB && errors.Is(err, fs.ErrNotExist):
		return drivers.NoDevice, errors.New("the capture device is gone")
	case d.mute.Load():
		return drivers.Frozen, errors.New("the capture device is being reset")
	case dev.OnUSB || dev.Node == "":
		return drivers.NoDevice, errors.New("the capture device has no sound card; sending silence")
	}
	return drivers.NoDevice, fmt.Errorf("sending silence: the device isn't on USB, so its sound must be named, as --source=v4l2:auto,hw:0,0; %s", d.cards())
}

// cards are those that could be meant.
func (d *stick) cards() string {
	names := alsa.Cards(d.hw.USB.Sys)
	if len(names) == 0 {
		return "there is no sound card"
	}
	return "there is " + strings.Join(names, ", ")
}

// pause waits for a time, or for another device.
func pause(ctx context.Context, d time.Duration, other <-chan struct{}) error {
	reached, stop := clock.System.After(clock.System.Now() + int64(d))
	defer stop()
	select {
	case <-reached:
	case <-other:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// runStatus asks the stick about its signal, if it is one that tells.
func (d *stick) runStatus(ctx context.Context) error {
	for said := ""; ; {
		dev, other := d.current()
		node, ok := first(dev, usb.Device.HID)
		profile, _ := hardware.StickOf(dev.USB.Vendor, dev.USB.Product)
		if d.mute.Load() { // its reset would wait for the request's end
			if err := pause(ctx, soundAgain, other); err != nil {
				return err
			}
			continue
		}
		if !ok || profile.Status == nil {
			d.signal.tell(ms213x.Status{Signal: true})
			select {
			case <-other:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		err := ms213x.Monitor{
			Open: func() (ms213x.Transport, error) { return d.status(node) }, Map: statusMap(*profile.Status),
		}.Run(ctx, d.signal.tell)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.signal.tell(ms213x.Status{Signal: true}) // not known: the frames count
		if err.Error() != said && !d.mute.Load() {
			said = err.Error()
			slog.Warn("capture device", "device", dev.String(), "cause", said)
		}
		if err := pause(ctx, statusAgain, other); err != nil {
			return err
		}
	}
}

// status opens the interface by which a stick tells about its signal.
func (d *stick) status(node string) (ms213x.Transport, error) {
	t, err := d.hw.HID(node)
	if err != nil {
		return nil, err
	}
	return asked{t, &d.mute}, nil
}

// asked is such an interface that isn't asked while the stick is being reset: the
// kernel would hold question and reset for 5 s.
type asked struct {
	ms213x.Transport
	mute *atomic.Bool
}

func (a asked) SetFeature(b []byte) error {
	if a.mute.Load() {
		return fmt.Errorf("the capture device is being reset: %w", fs.ErrClosed)
	}
	return a.Transport.SetFeature(b)
}

// statusMap is a profile's for the driver.
func statusMap(s hardware.Status) ms213x.Map {
	bits := func(b hardware.Bits) ms213x.Bits { return ms213x.Bits(b) }
	word := func(w *hardware.Word) ms213x.Word {
		if w == nil {
			return ms213x.Word{}
		}
		if w.Scale == 0 {
			return ms213x.Word{At: w.At, BigEndian: w.BigEndian, Scale: 1}
		}
		return ms213x.Word(*w)
	}
	m := ms213x.Map{Reply: s.Reply, Signal: bits(s.Signal), Width: word(s.Width), Height: word(s.Height), Rate: word(s.Rate)}
	if s.Cable != nil {
		m.Cable = bits(*s.Cable)
	}
	return m
}
