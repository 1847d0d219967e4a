package v4l2

import (
	"context"
	"errors"

	"github.com/openvideobox/videobox/drivers"
)

// Kernel is what the package needs of V4L2. Go4vl is the real one; a test has a
// fake, see drivers/drivertest. Any of its calls may be held by a driver for
// seconds, or for ever.
type Kernel interface {
	// Nodes lists the video nodes, /dev/video0 before /dev/video10.
	Nodes() ([]string, error)
	// Modes asks a node what it is and what it can do. ErrNotCapture says that it
	// gives no pictures, as the metadata nodes that follow those of pictures.
	Modes(node string) (card string, modes []Mode, err error)
	// Open sets the mode, or what the driver makes of it, and starts the stream.
	Open(ctx context.Context, node string, m Mode) (Stream, error)
	// Input opens the input of a node that tells about its signal; ErrNoTimings
	// says that it doesn't, as USB sticks don't.
	Input(node string) (Input, error)
}

// Stream is an open, streaming device.
type Stream interface {
	// Format is what the driver really gives.
	Format() Format
	// Buffers delivers coded frames. Whoever takes one releases it. The channel is
	// closed when the stream ends by itself.
	Buffers() <-chan Buffer
	// Err is why Buffers was closed.
	Err() error
	// Close stops streaming and gives everything back, whatever the state.
	Close() error
}

// Buffer is one frame of the device.
type Buffer struct {
	Data      []byte
	Sequence  uint32
	Monotonic int64 // CLOCK_MONOTONIC, ns
	Release   func()
}

// ErrNoTimings is what Input says of a node that has no DV timings.
var ErrNoTimings = errors.New("its input doesn't tell about its signal")

// ErrNotCapture is what Modes says of a node that gives no pictures.
var ErrNotCapture = errors.New("it doesn't capture video; odd nodes such as /dev/video1 carry metadata")

// failure makes a drivers.Error.
func failure(s drivers.State, err error) error { return &drivers.Error{State: s, Err: err} }

// stateOf is the state in an error, Failed if there is none.
func stateOf(err error) drivers.State {
	if e := new(drivers.Error); errors.As(err, &e) {
		return e.State
	}
	return drivers.Failed
}
