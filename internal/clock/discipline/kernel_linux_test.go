//go:build linux && (amd64 || arm64)

package discipline

import (
	"errors"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// asked is a kernel that keeps what it is asked.
func asked(err error) (*Linux, *unix.Timex) {
	t := new(unix.Timex)
	return &Linux{adjtimex: func(x *unix.Timex) (int, error) { *t = *x; return 0, err }}, t
}

// struct timex has 208 bytes on every 64-bit Linux (include/uapi/linux/timex.h).
func TestSizeOfTimex(t *testing.T) {
	if n := unsafe.Sizeof(unix.Timex{}); n != 208 {
		t.Errorf("%d bytes, want 208", n)
	}
}

func TestStepsAreSecondsAndAPositiveFraction(t *testing.T) {
	for d, want := range map[time.Duration]unix.Timeval{
		3 * time.Second:           {Sec: 3},
		-3 * time.Second:          {Sec: -3},
		300 * time.Millisecond:    {Usec: 300_000_000},
		-1:                        {Sec: -1, Usec: 999_999_999},
		-2500 * time.Millisecond:  {Sec: -3, Usec: 500_000_000},
		50 * 365 * 24 * time.Hour: {Sec: 50 * 365 * 86400},
	} {
		l, x := asked(nil)
		if err := l.Step(d); err != nil || x.Time != want || x.Modes != 0x100|0x2000 {
			t.Errorf("%v: %+v, modes %#x, %v; want %+v", d, x.Time, x.Modes, err, want)
		}
	}
}

func TestAdjustmentsInTheKernelsUnits(t *testing.T) {
	l, x := asked(nil)
	err := l.Adjust(Adjustment{Freq: -450_000, Synced: true, EstError: 2 * time.Millisecond, MaxError: time.Second})
	if err != nil || x.Freq != -450*65536 || x.Status != 0 || x.Esterror != 2000 || x.Maxerror != 1_000_000 || x.Tick != 10_000 || x.Modes != 0x401e {
		t.Errorf("%+v, %v", x, err)
	}
	if err := l.Adjust(Adjustment{Freq: 1500}); err != nil || x.Freq != 98304 || x.Status != unix.STA_UNSYNC {
		t.Errorf("%+v, %v", x, err)
	}
}

func TestErrorsSayWhatWasTried(t *testing.T) {
	l, _ := asked(unix.EPERM)
	for _, err := range []error{l.Step(time.Second), l.Adjust(Adjustment{})} {
		if !errors.Is(err, unix.EPERM) || err.Error() == unix.EPERM.Error() {
			t.Errorf("%v", err)
		}
	}
	if l.Synced() {
		t.Error("in sync with a kernel that doesn't say")
	}
}

func TestClocksAreReadTogether(t *testing.T) {
	l := &Linux{}
	before := time.Now().UnixNano()
	raw, utc := l.Now()
	after := time.Now().UnixNano()
	if utc < before || utc > after {
		t.Errorf("UTC %d, want from %d to %d", utc, before, after)
	}
	later, _ := l.Now()
	if later <= raw {
		t.Errorf("raw %d after %d", later, raw)
	}
}
