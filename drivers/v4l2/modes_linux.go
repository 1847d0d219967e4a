//go:build cgo && linux

package v4l2

import (
	"slices"
	"unsafe"

	"github.com/vladimirvivien/go4vl/v4l2"
	"golang.org/x/sys/unix"
)

// frameInterval is v4l2_frmivalenum of include/uapi/linux/videodev2.h. go4vl's
// own VIDIOC_ENUM_FRAMEINTERVALS reads a stepwise answer 8 bytes too late.
type frameInterval struct {
	index, pixel, width, height, kind uint32
	min, max, step                    [2]uint32 // numerator, denominator; discrete ones have the first only
	_                                 [2]uint32
}

const (
	enumFrameIntervals = 3<<30 | 52<<16 | 'V'<<8 | 75 // _IOWR('V', 75, struct v4l2_frmivalenum)
	discrete           = 1                            // V4L2_FRMIVAL_TYPE_DISCRETE

	maxEntries = 256 // of a driver that never says that there are no more
)

// commonRates and commonSizes stand in for what a device can do that gives
// ranges instead of lists.
var (
	commonRates = []float64{60, 50, 30, 25, 24, 20, 15, 10, 5}
	commonSizes = [][2]uint32{{640, 480}, {800, 600}, {1024, 768}, {1280, 720}, {1280, 1024}, {1920, 1080}, {1920, 1200}, {2560, 1440}, {3840, 2160}}
)

// listModes asks for all formats, sizes and rates. What the driver doesn't list
// is left out, so that the result may be empty.
func listModes(fd uintptr) (modes []Mode) {
	formats, _ := v4l2.GetAllFormatDescriptions(fd) // an error ends the list
	for _, f := range formats {
		for _, size := range listSizes(fd, f.PixelFormat) {
			for _, r := range listRates(fd, f.PixelFormat, size) {
				m := Mode{Width: int(size[0]), Height: int(size[1]), Rate: r, Pixel: fourCC(f.PixelFormat)}
				if !slices.Contains(modes, m) {
					modes = append(modes, m)
				}
			}
		}
	}
	return modes
}

func listSizes(fd uintptr, pixel uint32) (sizes [][2]uint32) {
	all, _ := v4l2.GetFormatFrameSizes(fd, pixel)
	for _, s := range all {
		if s.Type == v4l2.FrameSizeTypeDiscrete {
			sizes = append(sizes, [2]uint32{s.Size.MinWidth, s.Size.MinHeight})
			continue
		}
		for _, c := range commonSizes {
			if c[0] >= s.Size.MinWidth && c[0] <= s.Size.MaxWidth && c[1] >= s.Size.MinHeight && c[1] <= s.Size.MaxHeight {
				sizes = append(sizes, c)
			}
		}
	}
	return sizes
}

// listRates gives at least one rate, 0 where the driver lists none.
func listRates(fd uintptr, pixel uint32, size [2]uint32) (rates []float64) {
	for i := range uint32(maxEntries) {
		q := frameInterval{index: i, pixel: pixel, width: size[0], height: size[1]}
		if err := ioctl(fd, enumFrameIntervals, unsafe.Pointer(&q)); err != nil {
			break
		}
		fastest, slowest := ratio(q.min), ratio(q.max)
		if q.kind == discrete {
			rates = append(rates, fastest)
			continue
		}
		for _, r := range commonRates {
			if r <= fastest*1.001 && r >= slowest*0.999 {
				rates = append(rates, r)
			}
		}
		break // there is one range
	}
	if len(rates) == 0 {
		return []float64{0}
	}
	return rates
}

// ratio is the rate of an interval.
func ratio(interval [2]uint32) float64 {
	return rate(v4l2.Fract{Numerator: interval[0], Denominator: interval[1]})
}

func ioctl(fd, request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(arg))
		switch e {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return e
	}
}
