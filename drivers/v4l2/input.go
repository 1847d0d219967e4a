package v4l2

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/openvideobox/videobox/drivers"
)

// Input is the HDMI input of a device that tells about its signal: a capture
// card, or vivid, but no USB stick. Its methods are one ioctl each and give that
// one's errno; they are called one at a time. It is open beside the Stream, and
// knows nothing of it.
type Input interface {
	// Query is VIDIOC_QUERY_DV_TIMINGS, what is on the cable now: ENOLINK without
	// a signal, ENOLCK without lock, ERANGE with as much as the device knows of a
	// signal that it can't take.
	Query() (Timings, error)
	// Timings is VIDIOC_G_DV_TIMINGS, what the device is set to.
	Timings() (Timings, error)
	// SetTimings is VIDIOC_S_DV_TIMINGS: EBUSY while somebody streams.
	SetTimings(Timings) error
	// Status is what VIDIOC_ENUMINPUT says of the input, V4L2_IN_ST_….
	Status() (uint32, error)
	// Cable is V4L2_CID_DV_RX_POWER_PRESENT: there is 5 V on the cable. An error
	// says that the device doesn't tell.
	Cable() (bool, error)
	// EDID is VIDIOC_G_EDID: whole blocks, none without an error when it has none.
	EDID() ([]byte, error)
	// SetEDID is VIDIOC_S_EDID: E2BIG when those are too many blocks. What is at
	// the cable's other end is told to look again.
	SetEDID([]byte) error
	// Pixels are the formats of VIDIOC_ENUM_FMT, by their four letters.
	Pixels() ([]string, error)
	// Changes delivers V4L2_EVENT_SOURCE_CHANGE. One may stand for several, and
	// some are lost. It is closed when the device is gone, and nil if there are none.
	Changes() <-chan struct{}
	Close() error
}

// InputInfo is what an Input says at one moment.
type InputInfo struct {
	Signal  Timings // on the cable
	State   drivers.State
	Cause   string // of a state that isn't Streaming
	Set     Timings
	Status  uint32
	EDID    []byte
	EDIDErr error
}

// inputInfo asks for everything.
func inputInfo(node string, in Input) *InputInfo {
	var i InputInfo
	var err error
	i.Signal, err = in.Query()
	i.State, i.Cause = verdict(node, in, i.Signal, err)
	i.Set, _ = in.Timings()
	i.Status, _ = in.Status()
	i.EDID, i.EDIDErr = in.EDID()
	return &i
}

// verdict is the state that an answer of Query means; Streaming: a signal that
// can be taken.
func verdict(node string, in Input, t Timings, err error) (drivers.State, string) {
	switch {
	case err == nil && t.Interlaced:
		return drivers.Unsupported, fmt.Sprintf("the HDMI input has %v; only progressive pictures can be taken", t)
	case err == nil:
		return drivers.Streaming, ""
	case errors.Is(err, syscall.ENOLINK):
		if there, err := in.Cable(); err == nil && !there {
			return drivers.NoCable, "no HDMI cable is plugged in, or what is at its other end is off"
		}
		return drivers.NoSignal, "there is no signal on the HDMI input"
	case errors.Is(err, syscall.ENOLCK):
		return drivers.NoLock, "the HDMI input can't lock on to its signal" + lacking(in)
	case errors.Is(err, syscall.ERANGE) && t.PixelClock > 0:
		return drivers.OutOfRange, fmt.Sprintf("the HDMI input's signal is beyond what the capture device takes: a pixel clock of %d MHz", t.PixelClock/1e6)
	case errors.Is(err, syscall.ERANGE):
		return drivers.OutOfRange, "the HDMI input's signal is beyond what the capture device takes"
	case errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO):
		return drivers.NoDevice, fmt.Sprintf("the capture device %s is gone", node)
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ETIMEDOUT):
		return drivers.Frozen, fmt.Sprintf("the capture device %s doesn't answer: %v", node, err)
	}
	return drivers.Unsupported, fmt.Sprintf("the capture device %s doesn't say what its signal is: %v", node, err)
}

// statuses are V4L2_IN_ST_… of include/uapi/linux/videodev2.h that mean trouble.
var statuses = []struct {
	bit  uint32
	name string
}{
	{0x1, "no power"}, {0x2, "no signal"}, {0x100, "no horizontal lock"}, {0x400, "no vertical lock"},
	{0x800, "no standard format"}, {0x10000, "no sync"}, {0x20000, "no equalizer lock"}, {0x40000, "no carrier"},
}

// StatusText is an input's status in words; empty: nothing is wrong.
func StatusText(status uint32) string {
	var all []string
	for _, s := range statuses {
		if status&s.bit != 0 {
			all = append(all, s.name)
		}
	}
	return strings.Join(all, ", ")
}

// lacking is what the status adds.
func lacking(in Input) string {
	status, err := in.Status()
	if text := StatusText(status); err == nil && text != "" {
		return " (" + text + ")"
	}
	return ""
}
