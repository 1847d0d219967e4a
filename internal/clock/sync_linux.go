package clock

import "golang.org/x/sys/unix"

// kernelInSync reads the kernel's clock state without changing it: TIME_ERROR,
// with STA_UNSYNC set, until something has disciplined the clock, and again when
// maxerror has grown over 16 s without an update (Linux, kernel/time/ntp.c).
func kernelInSync() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}
