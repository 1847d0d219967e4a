package program

import (
	"bytes"
	"testing"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// TestEachSecondBeginsWithAKey, whichever of its frames is the first that there
// is: overload skips some, and a clock that is set back repeats a second.
func TestEachSecondBeginsWithAKey(t *testing.T) {
	e, err := NewVideoEncoder(shape)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	f := media.NewFrame(shape.Width, shape.Height)
	for _, c := range []struct {
		n   int64
		key bool
	}{{22, true}, {23, false}, {24, false}, {32, true}, {33, false}, {49, false}, {50, true}, {51, false}, {110, true}, {111, false}, {30, true}, {31, false}, {25, true}, {26, false}} {
		data, key, err := e.Encode(f, c.n, false)
		if err != nil {
			t.Fatal(err)
		}
		if idr := h264.IsIDR(data); key != c.key || idr != c.key {
			t.Errorf("frame %d: key %v, IDR %v, want %v", c.n, key, idr, c.key)
		}
	}
}

func TestAudioStaysOnTheGrid(t *testing.T) {
	e := NewAudioEncoder(64_000)
	var got []int64
	emit := func(s Sound) error { got = append(got, s.Index); return nil }
	start := media.SampleAt(t0) + 300 // within a block
	pos := start
	for _, n := range []int{1000, 37, 4096, 1920, 1} {
		if err := e.Write(pos, make([]int16, n*2), emit); err != nil {
			t.Fatal(err)
		}
		pos += int64(n)
	}
	first := start/media.SamplesPerAAC - 1
	for i, k := range got {
		if k != first+int64(i) {
			t.Fatalf("frames %d, want them to run from %d", got, first)
		}
	}
	if len(got) < 5 {
		t.Errorf("%d frames", len(got))
	}
	if e.Inserted+e.Dropped != 0 {
		t.Errorf("inserted %d, dropped %d", e.Inserted, e.Dropped)
	}
}

func TestAudioGapOverlapAndJump(t *testing.T) {
	e := NewAudioEncoder(64_000)
	var got []int64
	emit := func(s Sound) error { got = append(got, s.Index); return nil }
	write := func(pos int64, n int) {
		t.Helper()
		if err := e.Write(pos, make([]int16, n*2), emit); err != nil {
			t.Fatal(err)
		}
	}
	write(0, 10*1024)
	write(12*1024, 1024) // a gap of two blocks
	if e.Inserted != 2*1024 || got[len(got)-1] != 10 {
		t.Errorf("inserted %d, last frame %d", e.Inserted, got[len(got)-1])
	}
	write(12*1024+512, 1024) // half of it again
	if e.Dropped != 512 {
		t.Errorf("dropped %d", e.Dropped)
	}
	write(1000*1024, 3*1024) // the clock was set
	if last := got[len(got)-1]; last != 1000 {
		t.Errorf("after the jump: frame %d", last)
	}
}

func TestSlateSurvivesThePipe(t *testing.T) {
	s, err := EncodeSlate(shape, media.NewFrame(shape.Width, shape.Height))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Pictures) != shape.Rate {
		t.Fatalf("%d pictures", len(s.Pictures))
	}
	b, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var r Slate
	if err := r.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	for i := range s.Pictures {
		if !bytes.Equal(s.Pictures[i], r.Pictures[i]) {
			t.Fatalf("picture %d differs", i)
		}
	}
	if !bytes.Equal(s.Silence, r.Silence) {
		t.Error("the silence differs")
	}
}

func FuzzSlate(f *testing.F) {
	good, _ := (&Slate{Pictures: [][]byte{{1, 2}, {3}}, Silence: []byte{4}}).MarshalBinary()
	f.Add(good)
	f.Add([]byte(slateMagic + "\x00\x00\x00\x05ab"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Slate
		if s.UnmarshalBinary(b) != nil {
			return
		}
		if again, _ := s.MarshalBinary(); !bytes.Equal(again, b) {
			t.Errorf("%x came back as %x", b, again)
		}
	})
}

func TestConfigCheck(t *testing.T) {
	if err := shape.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"odd":          func(c *Config) { c.Width = 161 },
		"rate":         func(c *Config) { c.Rate = 24 * 7 },
		"bitrate":      func(c *Config) { c.Bitrate = 10 },
		"audiobitrate": func(c *Config) { c.AudioBitrate = 0 },
	} {
		c := shape
		change(&c)
		if c.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
