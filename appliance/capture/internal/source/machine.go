package source

import (
	"github.com/openvideobox/videobox/drivers/alsa"
	"github.com/openvideobox/videobox/drivers/ms213x"
	"github.com/openvideobox/videobox/drivers/usb"
	"github.com/openvideobox/videobox/drivers/v4l2"
)

// Hardware is where capture devices are found. The zero value is this machine's.
type Hardware struct {
	Kernel v4l2.Kernel
	USB    usb.Root
	PCM    func(path string) (alsa.PCM, error)
	HID    func(node string) (ms213x.Transport, error)
	Now    func() (utc, monotonic int64)
}

// Machine is the hardware that Open's devices are on. Only a test's main sets it,
// before anything else, to a fake stick's.
var Machine Hardware

func (h Hardware) withDefaults() Hardware {
	if h.USB.Sys == "" {
		h.USB = usb.System
	}
	if h.HID == nil {
		h.HID = ms213x.Open
	}
	return h
}
