package picture

import (
	"math"
	"sync"

	"github.com/openvideobox/videobox/internal/media"
)

// The beep that belongs to the pattern's flash.
const (
	BeepFrequency = 1000                         // Hz
	BeepSamples   = media.SampleRate * 40 / 1000 // 40 ms
	beepRamp      = media.SampleRate * 2 / 1000  // 2 ms up and down: no click
	beepPeak      = 4125                         // -18 dBFS (EBU R 68 alignment level)
)

var beep = sync.OnceValue(func() *[BeepSamples]int16 {
	var b [BeepSamples]int16
	for i := range b {
		gain := 1.0
		if edge := min(i, BeepSamples-1-i); edge < beepRamp {
			gain = 0.5 - 0.5*math.Cos(math.Pi*float64(edge)/beepRamp)
		}
		b[i] = int16(math.Round(beepPeak * gain * math.Sin(2*math.Pi*BeepFrequency*float64(i)/media.SampleRate)))
	}
	return &b
})

// Beep fills dst with interleaved stereo from the 48 kHz sample of UTC with the
// given number on: 40 ms of 1 kHz at the start of each second, at -18 dBFS, and
// between them noise of one bit (-90 dBFS), so that a channel which is really
// dead can be told from a quiet one.
func Beep(dst []int16, sample int64) {
	tone := beep()
	at := int(sample % media.SampleRate)
	for i := 0; i+1 < len(dst); i += 2 {
		var v int16
		if at < BeepSamples {
			v = tone[at]
		} else {
			v = int16(uint32(at)*2654435761>>31) - int16(uint32(at)*2246822519>>31)
		}
		dst[i], dst[i+1] = v, v
		if at++; at == media.SampleRate {
			at = 0
		}
	}
}
