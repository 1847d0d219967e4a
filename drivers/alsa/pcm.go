package alsa

import (
	"fmt"
	"unsafe"
)

// handle is the transport: the only part that knows /dev.
type handle interface {
	ioctl(request uintptr, arg unsafe.Pointer) error
	// poll waits for samples, at most ms milliseconds.
	poll(ms int) (ready bool, err error)
	close() error
}

// pcm is the kernel's PCM interface over a handle.
type pcm struct{ h handle }

// OpenPCM opens a device such as /dev/snd/pcmC0D0c.
func OpenPCM(path string) (PCM, error) {
	h, err := openHandle(path)
	if err != nil {
		return nil, err
	}
	return pcm{h}, nil
}

// Ranges asks the kernel to narrow down what is left open.
func (p pcm) Ranges() (Ranges, error) {
	device := anything()
	if err := p.h.ioctl(ioctlRefine, unsafe.Pointer(device)); err != nil {
		return Ranges{}, err
	}
	span := func(i int) [2]int {
		return [2]int{int(device.intervals[i].min), int(device.intervals[i].max)}
	}
	return Ranges{Rate: span(intervalRate), Channels: span(intervalChannels)}, nil
}

// Configure sets the parameters.
func (p pcm) Configure(rate, channels, period, buffer int) error {
	device := anything()
	if err := p.h.ioctl(ioctlRefine, unsafe.Pointer(device)); err != nil {
		return err
	}
	params := anything()
	params.only(maskAccess, accessInterleaved)
	params.only(maskFormat, formatS16LE)
	params.set(intervalChannels, uint32(channels))
	params.set(intervalRate, uint32(rate))
	params.near(intervalPeriodSize, uint32(period), device)
	params.near(intervalBufferSize, uint32(buffer), device)
	return p.h.ioctl(ioctlParams, unsafe.Pointer(params))
}

// Start prepares and starts.
func (p pcm) Start() error {
	if err := p.h.ioctl(ioctlPrepare, nil); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if err := p.h.ioctl(ioctlStart, nil); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return nil
}

// Wait polls.
func (p pcm) Wait(ms int) (bool, error) { return p.h.poll(ms) }

// Read transfers as much as there is room for. A count that the kernel can't
// have transferred is none.
func (p pcm) Read(data []int16, channels int) (int, error) {
	room := len(data) / channels
	if room == 0 {
		return 0, nil
	}
	x := xferi{buf: unsafe.Pointer(&data[0]), frames: uintptr(room)}
	if err := p.h.ioctl(ioctlReadI, unsafe.Pointer(&x)); err != nil {
		return 0, err
	}
	if x.result < 0 || x.result > room {
		return 0, nil
	}
	return x.result, nil
}

// Close closes.
func (p pcm) Close() error { return p.h.close() }
