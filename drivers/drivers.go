// Package drivers says what capture expects of a source: frames, samples and
// the state of the signal, handed to a Sink.
//
// Frames carry the UTC instant at which they were captured, samples that of
// their first one. A source paces itself (a device by its own crystal, a source
// without hardware by the clock) and never waits for the sink, which copies
// what it is given before it returns.
package drivers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openvideobox/videobox/internal/media"
)

// Source is one running input. Run delivers to the sink until the context ends
// or the source fails; it returns an error in either case, and leaves no
// goroutine, child or open device behind. Run may be called again after it has
// returned.
type Source interface {
	Run(ctx context.Context, sink Sink) error
}

// Sink takes what a source delivers. It is safe for concurrent use; video and
// sound may come from two goroutines.
type Sink interface {
	// Video takes a frame. The sink reads it until Video returns and never
	// changes it; afterwards it is the source's again.
	Video(f *media.Frame)
	// Same says that at t (UTC ns) the picture was still the one handed over
	// last. It costs next to nothing.
	Same(t int64)
	// Audio takes samples, under the same rule as Video.
	Audio(s media.Samples)
	// State reports the signal, with the cause in plain words; empty when
	// streaming. The same state may be reported again and again.
	State(s State, cause string)
}

// SoundSink is a Sink that also hears how the sound is: a device may have a
// picture and no sound. NoDevice with a cause is a source without a sound card,
// for which the sink sends silence.
type SoundSink interface {
	// SoundState is to the sound what State is to the picture.
	SoundState(s State, cause string)
}

// SoundState tells the sink, if it wants to know.
func SoundState(sink Sink, s State, cause string) {
	if hears, ok := sink.(SoundSink); ok {
		hears.SoundState(s, cause)
	}
}

// Device is what a source reads from.
type Device struct {
	Name       string        // /dev/video0, 345f:2131 USB3.0 Video
	Mode       string        // MJPG 1280x720 at 50 frames a second
	SoundLater time.Duration // by which this model's sound has to be put later
	Warning    string        // what isn't as it should be; empty: nothing
	// Counts are what the driver counts, by names such as damaged and reset. They
	// run from the source's start.
	Counts func() map[string]uint64
}

// DeviceSink is a Sink that also hears which device was opened.
type DeviceSink interface{ Device(d Device) }

// Opened tells the sink, if it wants to know.
func Opened(sink Sink, d Device) {
	if hears, ok := sink.(DeviceSink); ok {
		hears.Device(d)
	}
}

// ErrWedged is in the error of a source that has tried everything that its
// process can do about a device that hangs: opening it anew, resetting it,
// taking it off the bus and back. The process itself should be replaced: the
// kernel may hold calls of it that never return.
var ErrWedged = errors.New("the device hangs")

// State of a source's signal. Each is shown to people as itself: they ask for
// different things to be done.
type State uint8

// What a source can be in.
const (
	Starting    State = iota
	NoDevice          // nothing there to read from
	NoCable           // the device sees no cable
	NoSignal          // a cable, nothing on it
	NoLock            // something on the cable, of which the device makes nothing
	OutOfRange        // a signal beyond what the device or this machine takes
	Unsupported       // a signal that the device or this program can't take
	Frozen            // the device is open and delivers nothing any more
	Failed            // the source ended, for a reason of its own; it is started again
	Streaming
)

var names = [...]string{"starting", "no device", "no cable", "no signal", "no lock", "out of range", "unsupported", "frozen", "failed", "streaming"}

func (s State) String() string {
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Advice says what a person at the box can do about the state.
func (s State) Advice() string {
	switch s {
	case NoDevice:
		return "Check that the capture device is plugged in."
	case NoCable:
		return "Plug the HDMI cable in at both ends."
	case NoSignal:
		return "Wake the laptop or camera and choose the HDMI output."
	case NoLock:
		return "Unplug the HDMI cable and plug it in again. If that doesn't help, take a shorter one."
	case OutOfRange, Unsupported:
		return "Set the output to 1920x1080 or 1280x720 at 50 or 60 Hz."
	case Frozen:
		return "Wait: the device is being reset. If that doesn't help, unplug it and plug it in again."
	case Failed:
		return "Wait: it is being started again. If that doesn't help, look into the log."
	default:
		return ""
	}
}

// Error is a source's failure that is also a state of the signal.
type Error struct {
	State State
	Err   error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }
