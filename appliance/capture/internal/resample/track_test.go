package resample

import (
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/openvideobox/videobox/internal/media"
)

// lane is a track whose samples nobody computes: hours of it take seconds. It
// knows which sample of the device each index stands for.
type lane struct {
	d     *device
	k     track
	moves []moved
	count int
	free  bool    // without the loop
	worst float64 // lateness of what was read, in seconds
}

// moved says that from index on, sample of the device is index + by.
type moved struct{ index, by int64 }

// block judges and reads one block, and looks where the sound is.
func (l *lane) block() {
	first, t := l.d.stamp()
	if l.count == 0 {
		l.k = newTrack(t, 0)
		l.moves = []moved{{0, first}}
	}
	l.count++
	// Samples that were lost: from here on an index stands for a later one.
	if by := first - (l.k.end - l.k.skip); by != l.last() {
		l.moves = append(l.moves, moved{l.k.end, by})
	}
	limit, from, move := l.k.judge(l.k.offset(t), blockLen)
	if l.free {
		l.k.drift.ratio = 1
	} else if move != 0 {
		l.move(from, move)
	}
	l.k.add(blockLen)
	for limit = min(limit, l.k.end) - half - fade; l.k.at < limit; {
		l.advance(limit - l.k.at)
		if l.count > 300 { // three seconds
			l.look()
		}
	}
}

func (l *lane) last() int64 { return l.moves[len(l.moves)-1].by }

// move does to the map what a Resampler does to its samples.
func (l *lane) move(from, n int64) {
	for i := range l.moves {
		if l.moves[i].index >= from {
			l.moves[i].index = max(l.moves[i].index+n, from)
			l.moves[i].by -= n
		}
	}
	if n > 0 {
		l.k.end += n
		return
	}
	held := min(-n, l.k.end-from)
	l.k.end -= held
	l.k.skip += -n - held
}

// advance is n times next.
func (l *lane) advance(n int64) {
	l.k.pos += n
	l.k.at += n
	l.k.fraction += float64(n) * (l.k.drift.ratio - 1)
	whole := math.Floor(l.k.fraction)
	l.k.at += int64(whole)
	l.k.fraction -= whole
}

// look compares the true time of what is read next with where it goes.
func (l *lane) look() {
	by := int64(0)
	for _, m := range l.moves {
		if m.index <= l.k.at {
			by = m.by
		}
	}
	taken := l.d.seconds(l.k.at+by) + l.k.fraction/rate
	goes := float64(l.k.pos-media.SampleAt(began)) / rate
	l.worst = max(l.worst, math.Abs(goes-taken))
	if len(l.moves) > 8 {
		l.moves = append(l.moves[:0], l.moves[len(l.moves)-4:]...)
	}
}

// TestEightHoursStayInStep: A/V offset within 20 ms always, with a crystal that
// is 200 ppm off, times that jitter, and samples lost now and then. The long
// form, DRILL=1, computes every sample.
func TestEightHoursStayInStep(t *testing.T) {
	for _, ppm := range []float64{200, -200} {
		for _, losing := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+g ppm, losing %v", ppm, losing), func(t *testing.T) {
				l := &lane{d: newDevice(ppm, 0.005)}
				if losing {
					l.d.lose = everyMinute
				}
				for range 8 * 3600 * 100 {
					l.block()
				}
				t.Logf("off by at most %.2f ms; drift held to be %.1f ppm", l.worst*1e3, -l.k.drift.speed*1e6)
				if limit := 0.020; l.worst > limit || !losing && l.worst > 0.004 {
					t.Errorf("off by %.1f ms", l.worst*1e3)
				}
			})
		}
	}
}

// everyMinute loses from 1 to 19 ms each minute, so that none is larger than
// what it is to be shown.
func everyMinute(n int64) int64 {
	minute := n / (60 * rate)
	if n%(60*rate) >= blockLen || minute == 0 {
		return 0
	}
	return (minute*7%19 + 1) * rate / 1000
}

// TestLaneFindsAnOffset shows that the test above would: without a loop the
// sound is off by more than a second after two hours.
func TestLaneFindsAnOffset(t *testing.T) {
	l := &lane{d: newDevice(200, 0), free: true}
	for range 2 * 3600 * 100 {
		l.block()
	}
	if l.worst < 1 {
		t.Errorf("off by %.3f s", l.worst)
	}
}

// TestDrillEightHoursOfSine is the same with every sample computed and looked
// at: 8 hours take six minutes. Without DRILL it is a minute.
func TestDrillEightHoursOfSine(t *testing.T) {
	seconds := 60
	if os.Getenv("DRILL") != "" {
		seconds = 8 * 3600
	}
	for _, ppm := range []float64{200, -200} {
		late, most, s := listen(ppm, seconds)
		t.Logf("%+g ppm, %d s: late by %.2f ms at most, largest discontinuity %.1f dBFS, %d gaps", ppm, seconds, late*1e3, dB(most), s.Gaps)
		if late > 0.020 || most > 0.001 || s.Gaps > 0 {
			t.Errorf("%+g ppm: late by %.2f ms, discontinuity %.1f dBFS, %+v", ppm, late*1e3, dB(most), s)
		}
	}
}

// listen says how late a device's sound is and what its worst discontinuity.
func listen(ppm float64, seconds int) (late, most float64, s Stats) {
	d, r := newDevice(ppm, 0.005), New()
	d.wave = tones(0.9)
	origin := media.SampleAt(began)
	var kept []int16
	start := int64(0) // number of kept's first sample since began
	for range seconds * 100 {
		at, samples := d.block()
		pos, out := r.Write(at, samples, 0)
		if len(kept) == 0 {
			start = pos - origin
		}
		kept = append(kept, out...)
		if len(kept) < rate*channels*8/10 {
			continue
		}
		if start > 3*rate {
			_, o := sine(right(kept[:rate*channels*8/100]), slowHz, int(start))
			late, most = max(late, math.Abs(o)), max(most, leap(left(kept), hz))
		}
		// Two samples stay, so that no discontinuity lies between two looks.
		start += int64(len(kept)/channels) - 2
		kept = kept[:copy(kept, kept[len(kept)-2*channels:])]
	}
	return late, most, r.Stats()
}
