package dongle

import (
	"slices"
	"time"
)

// faults are what is wrong with the stick now.
type faults struct {
	stopped  bool // sends no frames
	frozen   bool // sends the same frame for ever
	noSignal bool // sends a picture of its own, and digital silence
	noCable  bool // and says that nothing is plugged in
	silent   bool // sends no sound
	late     int  // ms by which the sound is later than the profile says
	hung     bool // answers nothing at all until a reset
	stamps   stamps
	kind     frameFault
	frames   int           // how many more frames it strikes
	pause    time.Duration // before the second payload of the next frame
}

// frameFault is what happens to one frame: "short" and "corrupt" change its
// bytes, "flag" marks it as bad, "stall" makes the endpoint stall instead.
type frameFault string

var frameFaults = []frameFault{"short", "corrupt", "flag", "stall"}

func (f *faults) nextFrame(skipped bool) frameFault {
	if skipped || f.frames == 0 {
		return ""
	}
	f.frames--
	return f.kind
}

func (f frameFault) apply(frame []byte) []byte {
	switch f {
	case "short":
		return frame[:len(frame)/2]
	case "corrupt":
		frame = slices.Clone(frame)
		for i := len(frame) / 3; i < len(frame)*2/3; i++ {
			frame[i] = byte(i * 7)
		}
	}
	return frame
}

// stamps is what the payload headers' time stamps do.
type stamps string

var stampFaults = []stamps{"ok", "zero", "back", "random"}

// apply changes a time stamp, in ticks of the device's clock.
func (s stamps) apply(ticks uint32) uint32 {
	switch s {
	case "zero":
		return 0
	case "back":
		return -ticks
	case "random":
		return ticks * 2654435761 // Knuth's multiplicative hash
	}
	return ticks
}
