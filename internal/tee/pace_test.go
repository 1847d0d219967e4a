package tee

import (
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/mpegts"
)

const datagram = datagramPackets * mpegts.PacketSize

// epoch is any time.
var epoch = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// paced runs a pacer over frames that arrive 40 ms apart, each late by what
// late says, and returns what was sent at each tick, and how long the slowest
// byte took.
func paced(frames int, size func(n int) int, late func(n int) time.Duration) (sent []int, longest time.Duration) {
	type arrival struct {
		at  time.Time
		end int64
	}
	var (
		m        maker
		p        pacer
		arrivals []arrival
		out      int64
	)
	n := 0
	end := epoch.Add(time.Duration(frames+2) * 40 * time.Millisecond)
	for now := epoch; now.Before(end); now = now.Add(paceTick) {
		for n < frames && !now.Before(epoch.Add(time.Duration(n)*40*time.Millisecond+late(n))) {
			p.push(m.frame(n%25 == 0, size(n)), now)
			arrivals = append(arrivals, arrival{now, p.in})
			n++
		}
		b := p.take(now)
		sent = append(sent, len(b))
		out += int64(len(b))
		for len(arrivals) > 0 && arrivals[0].end <= out {
			longest = max(longest, now.Sub(arrivals[0].at))
			arrivals = arrivals[1:]
		}
	}
	if len(arrivals) > 0 || p.pending() {
		longest = time.Hour
	}
	return sent, longest
}

func punctual(int) time.Duration { return 0 }

func TestPacerSpreadsFrames(t *testing.T) {
	// 40 kB a frame, an IDR of 160 kB: 8 Mbit/s.
	size := func(n int) int {
		if n%25 == 0 {
			return 850
		}
		return 212
	}
	sent, longest := paced(60, size, punctual)
	if longest > paceWindow {
		t.Errorf("a byte took %v, want at most %v", longest, paceWindow)
	}
	// Ten ticks a frame, a datagram more by rounding up.
	for i, n := range sent {
		frame := i / 10
		if most := (size(frame)+4)*mpegts.PacketSize/9 + 2*datagram; n > most {
			t.Errorf("%d bytes at tick %d of frame %d, want at most %d", n, i%10, frame, most)
		}
	}
}

// A frame that comes late has less time: the next is due by the PCR.
func TestPacerFollowsPCR(t *testing.T) {
	size := func(int) int { return 212 }
	late := func(n int) time.Duration {
		if n >= 30 && n < 40 {
			return 24 * time.Millisecond
		}
		return 0
	}
	sent, longest := paced(60, size, late)
	if longest > paceWindow {
		t.Errorf("a byte took %v", longest)
	}
	for n := 30; n < 40; n++ {
		frame := 0
		for i := range 10 {
			frame += sent[10*n+i]
		}
		if whole := (212 + 2) * mpegts.PacketSize; frame < whole-datagram {
			t.Errorf("frame %d: %d of %d bytes sent when the next is due", n, frame, whole)
		}
	}
}

// Sound alone must not wait for a datagram to fill.
func TestPacerSendsParts(t *testing.T) {
	var m maker
	var p pacer
	p.push(m.pes(testAudio, false, false, nil, 2), epoch)
	if n := len(p.take(epoch)); n != 0 {
		t.Errorf("%d bytes at once", n)
	}
	if n := len(p.take(epoch.Add(paceShort))); n != 2*mpegts.PacketSize {
		t.Errorf("%d bytes after %v, want 2 packets", n, paceShort)
	}
	p.push(m.pes(testAudio, false, false, nil, 2), epoch.Add(time.Second))
	if n := len(p.rest()); n != 2*mpegts.PacketSize || p.pending() {
		t.Errorf("%d bytes at the end", n)
	}
}

// A frame has the time until the next, but not more than the window.
func TestPacerAtOtherRates(t *testing.T) {
	for ms, want := range map[int64]time.Duration{20: 20 * time.Millisecond, 80: paceWindow} {
		m := maker{ms: ms}
		var p pacer
		for n := range 5 {
			now := epoch.Add(time.Duration(int64(n)*ms) * time.Millisecond)
			p.push(m.frame(false, 100), now)
			for at := now; at.Before(now.Add(want - paceTick)); at = at.Add(paceTick) {
				p.take(at)
				if n > 0 && !p.pending() {
					t.Errorf("%d ms: frame %d is gone after %v", ms, n, at.Sub(now))
				}
			}
			p.take(now.Add(want))
			if n > 0 && p.pending() { // the first frame's length is a guess
				t.Errorf("%d ms: %d bytes of frame %d left after %v", ms, p.in-p.out, n, want)
			}
		}
	}
}

// Of several frames that come together only the last has time.
func TestPacerCatchesUp(t *testing.T) {
	var m maker
	var p pacer
	three := append(append(m.frame(false, 100), m.frame(false, 100)...), m.frame(false, 100)...)
	p.push(three, epoch)
	sent := len(p.take(epoch))
	if two := 2 * 102 * mpegts.PacketSize; sent < two || sent > two+5*datagram {
		t.Errorf("%d bytes at once, want the first two frames, %d", sent, two)
	}
}

// A frame that is smaller than a datagram doesn't wait for the next.
func TestPacerSmallFrames(t *testing.T) {
	var m maker
	var p pacer
	for n := range 5 {
		now := epoch.Add(time.Duration(n) * 40 * time.Millisecond)
		p.push(m.frame(false, 3), now)
		p.take(now.Add(paceShort))
		if p.pending() {
			t.Errorf("frame %d waits after %v", n, paceShort)
		}
	}
}

// After a pause of the source its frames are spread as before.
func TestPacerAfterPause(t *testing.T) {
	var m maker
	var p pacer
	now := epoch
	for n := range 20 {
		if n == 10 {
			now = now.Add(3 * time.Second)
		}
		p.push(m.frame(false, 212), now)
		if sent := len(p.take(now)); sent > 5*datagram {
			t.Errorf("frame %d: %d bytes at once", n, sent)
		}
		for range 10 {
			now = now.Add(paceTick)
			p.take(now)
		}
	}
}

// Whatever the PCR does, nothing waits longer than the window.
func TestPacerSurvivesJumps(t *testing.T) {
	for name, jump := range map[string]int64{"forward": 1000, "back": -10, "to zero": -20, "far back": -19} {
		var m maker
		var p pacer
		now := epoch
		for n := range 100 {
			if n == 20 {
				m.frames += jump
			}
			p.push(m.frame(false, 100), now)
			for range 10 {
				now = now.Add(paceTick)
				p.take(now)
			}
			if left := p.in - p.out; left > 0 {
				t.Fatalf("%s: %d bytes left 40 ms after frame %d", name, left, n)
			}
		}
		if len(p.queue)-p.off != 0 || len(p.marks) != 0 {
			t.Errorf("%s: queue %d, marks %d at the end", name, len(p.queue)-p.off, len(p.marks))
		}
	}
}

// The estimate follows a source whose clock is 300 ppm slow, for ten minutes.
func TestPacerFollowsDrift(t *testing.T) {
	var m maker
	var p pacer
	for n := range 15000 {
		now := epoch.Add(time.Duration(n) * (40*time.Millisecond + 12*time.Microsecond))
		p.push(m.frame(false, 20), now)
		p.take(now)
		if d := now.Sub(p.at); d < 0 || d > 5*time.Millisecond {
			t.Fatalf("frame %d: PCR taken for due %v before it came", n, d)
		}
		p.rest()
	}
}
