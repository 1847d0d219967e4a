package usb

import (
	"testing"
	"unsafe"
)

// TestControlHasTheKernelsSize: on 64 bits the request's number is 0xc0185500
// (include/uapi/linux/usbdevice_fs.h).
func TestControlHasTheKernelsSize(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) == 8 && usbdevfsControl != 0xc0185500 {
		t.Errorf("%#x", usbdevfsControl)
	}
}
