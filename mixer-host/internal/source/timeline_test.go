package source

import (
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

const ms = int64(time.Millisecond)

// at is a whole second near a wrap of the 33-bit PTS.
var at = media.TicksToTime(((time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).Unix()*90000)>>33+1)<<33) / 1e9 * 1e9

func TestStampsAreProgramTime(t *testing.T) {
	var l timeline
	for i := int64(-50); i < 50; i++ { // across the wrap
		program := at + i*40*ms
		s := h264.Stamp{Program: program}
		got, jumped := l.video(media.Wire(media.TimeToTicks(program)), &s, program+80*ms+i%7*ms)
		if got != program || jumped {
			t.Fatalf("frame %d: %d off, jumped %v", i, got-program, jumped)
		}
		sound, ok := l.audio(media.Wire(media.TimeToTicks(program) - 1920))
		if !ok || sound != media.TimeToTicks(program)-1920 {
			t.Fatalf("sound at frame %d: %d off", i, sound-media.TimeToTicks(program)+1920)
		}
	}
}

// TestFastestUnitPlacesAStreamWithoutStamps: jitter of 0 to 60 ms.
func TestFastestUnitPlacesAStreamWithoutStamps(t *testing.T) {
	var l timeline
	var got int64
	for i := range int64(100) {
		jitter := i * 37 % 61 * ms
		got, _ = l.video(i*3600+12345, nil, at+i*40*ms+jitter)
	}
	if d := got - (at + 99*40*ms); d < -ms || d > ms {
		t.Errorf("placed %d ms off the fastest unit", d/ms)
	}
}

func TestWrongClockIsPlacedByArrival(t *testing.T) {
	for name, off := range map[string]int64{"an hour ahead": 3600e9, "never set": -at + 1e9, "held back": -8e9} {
		var l timeline
		var got int64
		for i := range int64(10) {
			s := h264.Stamp{Program: at + off + i*40*ms}
			got, _ = l.video(media.Wire(media.TimeToTicks(s.Program)), &s, at+i*40*ms)
		}
		if d := got - at - 9*40*ms; d < -ms || d > ms {
			t.Errorf("%s: placed %d ms off its arrival", name, d/ms)
		}
	}
}

func TestJumpsStartAnew(t *testing.T) {
	var l timeline
	l.video(9_000_000, nil, at)
	for _, c := range []struct {
		pts    int64
		jumped bool
	}{{9_003_600, false}, {9_000_000, false}, {8_000_000, true}, {8_003_600, false}, {9_500_000, true}} {
		if _, jumped := l.video(c.pts, nil, at); jumped != c.jumped {
			t.Errorf("PTS %d: jumped %v", c.pts, jumped)
		}
	}
}

func TestWindowForgets(t *testing.T) {
	var w window
	w.min(5, 0)
	for i := range int64(30) {
		v := int64(20)
		if i == 3 {
			v = 10
		}
		got, want := w.min(v, (i+1)*1e9), int64(20)
		if i < 9 {
			want = 5
		}
		if i >= 14 && got != want || i < 4 && got != 5 {
			t.Errorf("after %d s: %d", i+1, got)
		}
	}
}

func TestFramesKeepsOrderAndTheNewest(t *testing.T) {
	var q frames
	push := func(program int64, luma byte) *Frame {
		f := q.next()
		f.Reset(16, 16)
		f.Black()
		f.Y[0], f.Program = luma, program
		q.push(f)
		return f
	}
	if q.at(5) != nil {
		t.Error("a frame from nowhere")
	}
	for i, p := range []int64{10, 30, 20, 40} {
		push(p, byte(i))
	}
	for at, want := range map[int64]int64{9: 0, 10: 10} {
		if f := q.at(at); f == nil && want != 0 || f != nil && f.Program != want && want != 0 {
			t.Errorf("at %d: %+v", at, f)
		}
	}
	if f := q.at(35); f.Program != 30 {
		t.Errorf("at 35 there is %d", f.Program)
	}
	push(34, 9)
	if st := q.snapshot(); st.Late != 1 || st.Decoded != 5 {
		t.Errorf("%+v", st)
	}
	if f := q.at(36); f.Program != 34 {
		t.Errorf("a late frame that is the newest is not shown: %d", f.Program)
	}
}

// TestFramesIsBounded pushes without an engine, and never hands out a buffer
// that the engine holds.
func TestFramesIsBounded(t *testing.T) {
	var q frames
	var held *Frame
	buffers := map[*Frame]bool{}
	for i := range int64(3 * maxFrames) {
		f := q.next()
		if f == held && held != nil {
			t.Fatal("the engine's frame is filled anew")
		}
		buffers[f] = true
		f.Reset(16, 16)
		f.Black()
		f.Program = i
		q.push(f)
		if i == 5 {
			held = q.at(5)
		}
	}
	if len(buffers) > maxFrames {
		t.Errorf("%d buffers", len(buffers))
	}
	if st := q.snapshot(); st.Dropped == 0 || st.Changes != 0 {
		t.Errorf("%+v", st)
	}
}

func TestSoundLiesOnItsGrid(t *testing.T) {
	s := &sound{}
	s.at(1000, nil)
	block := func(n int, v int16) []int16 {
		b := make([]int16, 2*n)
		for i := range b {
			b[i] = v
		}
		return b
	}
	s.write(1010, block(100, 1), stampedSlack)
	s.write(1112, block(100, 2), stampedSlack) // 2 samples off: taken as the continuation
	s.write(5000, block(100, 3), stampedSlack) // a gap
	s.write(900, block(50, 9), guessedSlack)   // too late
	out := make([]int16, 2*4200)
	s.at(1000, out)
	for i, want := range map[int]int16{0: 0, 9: 0, 10: 1, 109: 1, 110: 2, 209: 2, 210: 0, 3999: 0, 4000: 3, 4099: 3, 4100: 0} {
		if out[2*i] != want || out[2*i+1] != want {
			t.Errorf("sample %d is %d, want %d", i, out[2*i], want)
		}
	}
	if st := s.snapshot(); st.Late != 50 || st.Written != 300 {
		t.Errorf("%+v", st)
	}
	s.write(5200, block(soundSize+10, 4), stampedSlack) // more than it holds
	if st := s.snapshot(); st.Early == 0 {
		t.Errorf("%+v", st)
	}
	if s.at(5200, out) != true || s.at(5200+soundSize+100, out) != false {
		t.Error("what is missing is not told from what is there")
	}
}

func TestSentTimes(t *testing.T) {
	var s sentTimes
	for i := range int64(300) {
		s.add(sentTime{ms: i * 21, program: i})
	}
	for ms, want := range map[int64]int64{299 * 21: 299, 299*21 - 1: 299, 250*21 + 2: 250} {
		if got, ok := s.find(ms, 2); !ok || got.program != want {
			t.Errorf("%d ms: %+v, %v", ms, got, ok)
		}
	}
	if _, ok := s.find(21, 2); ok {
		t.Error("a unit of long ago is found")
	}
	if _, ok := s.find(299*21+10, 2); ok {
		t.Error("a unit is found 10 ms off")
	}
}
