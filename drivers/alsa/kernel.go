package alsa

import "unsafe"

// The kernel's interface, include/uapi/sound/asound.h of Linux 6.12: only what
// a capture of interleaved samples needs. Its "unsigned long" is Go's uintptr,
// so that the structs are right on 32 and 64 bit.

// mask is snd_mask: a set of formats or access types.
type mask [8]uint32

// interval is snd_interval.
type interval struct {
	min, max uint32
	flags    uint32 // openmin, openmax, integer, empty
}

// hwParams is snd_pcm_hw_params.
type hwParams struct {
	flags     uint32
	masks     [3]mask // access, format, subformat
	_         [5]mask
	intervals [12]interval // sample bits to tick time
	_         [9]interval
	rmask     uint32 // parameters that the caller changed
	cmask     uint32
	info      uint32
	msbits    uint32
	rateNum   uint32
	rateDen   uint32
	fifo      uintptr
	_         [64]byte
}

// xferi is snd_xferi: a transfer of interleaved samples.
type xferi struct {
	result int
	buf    unsafe.Pointer
	frames uintptr
}

// Masks and intervals by their place in hwParams (SNDRV_PCM_HW_PARAM_ less that
// of the first one of its kind).
const (
	maskAccess = 0
	maskFormat = 1

	intervalChannels   = 2
	intervalRate       = 3
	intervalPeriodSize = 5
	intervalBufferSize = 9
)

const (
	accessInterleaved = 3 // SNDRV_PCM_ACCESS_RW_INTERLEAVED
	formatS16LE       = 2 // SNDRV_PCM_FORMAT_S16_LE
	flagInteger       = 1 << 2
)

// ioctl numbers, _IOC(direction, 'A', number, size).
var (
	ioctlRefine  = ioc(read|write, 0x10, unsafe.Sizeof(hwParams{}))
	ioctlParams  = ioc(read|write, 0x11, unsafe.Sizeof(hwParams{}))
	ioctlPrepare = ioc(0, 0x40, 0)
	ioctlStart   = ioc(0, 0x42, 0)
	ioctlReadI   = ioc(read, 0x51, unsafe.Sizeof(xferi{}))
)

const (
	write = 1
	read  = 2
)

func ioc(direction, number, size uintptr) uintptr {
	return direction<<30 | size<<16 | 'A'<<8 | number
}

// anything leaves every parameter open.
func anything() *hwParams {
	p := new(hwParams)
	for i := range p.masks {
		for j := range p.masks[i] {
			p.masks[i][j] = ^uint32(0)
		}
	}
	for i := range p.intervals {
		p.intervals[i].max = ^uint32(0)
	}
	p.rmask = ^uint32(0)
	return p
}

func (p *hwParams) only(m, bit int) {
	p.masks[m] = mask{}
	p.masks[m][bit/32] = 1 << (bit % 32)
}

func (p *hwParams) set(i int, v uint32) { p.intervals[i] = interval{v, v, flagInteger} }

// near asks for v, or what of the device's range is closest to it.
func (p *hwParams) near(i int, v uint32, device *hwParams) {
	d := device.intervals[i]
	p.set(i, min(max(v, d.min), d.max))
}
