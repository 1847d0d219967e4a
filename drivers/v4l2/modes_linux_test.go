//go:build cgo && linux

package v4l2

import (
	"testing"
	"unsafe"
)

func TestIntervalHasTheKernelsSize(t *testing.T) {
	if n := unsafe.Sizeof(frameInterval{}); n != enumFrameIntervals>>16&0x3fff || uint64(enumFrameIntervals) != 0xC034564B {
		t.Errorf("%d bytes, request %#x", n, uint64(enumFrameIntervals))
	}
	if letters("MJPG") != 0x47504a4d || fourCC(0x47504a4d) != "MJPG" {
		t.Errorf("%#x, %s", letters("MJPG"), fourCC(0x47504a4d))
	}
}
