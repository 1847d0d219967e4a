package mpegts

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/adts"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// wrapStart is two seconds before the 33-bit times wrap.
const wrapStart = (start/(1<<33)+1)*(1<<33) - 2*media.TicksPerSecond

// clean fails when the probe finds anything.
func clean(t *testing.T, ts []byte) Report {
	t.Helper()
	r := probe(ts)
	for _, f := range r.Faults() {
		t.Error(f)
	}
	return r
}

func TestMuxerKeepsTheLimits(t *testing.T) {
	for _, rate := range []int{10, 25, 30, 50, 60} {
		for name, from := range map[string]int64{"": start, "across the wrap": wrapStart, "PCR across the wrap": wrapStart + 2*media.TicksPerSecond} {
			var b bytes.Buffer
			mux(t, NewMuxer(&b, Options{}), units(from, 4000, rate))
			r := clean(t, b.Bytes())
			if r.Frames != 4*rate || r.AudioFrames < 187 || r.Stamped != r.Frames || r.PCRs < 100 {
				t.Errorf("%d frames a second %s: %v", rate, name, r)
			}
			t.Logf("%d frames a second: %v", rate, r)
		}
	}
}

func TestMuxerWritesWholeUnitsAtOnce(t *testing.T) {
	writes := 0
	m := NewMuxer(writerFunc(func(p []byte) {
		writes++
		if len(p)%PacketSize != 0 {
			t.Errorf("%d bytes are not whole packets", len(p))
		}
	}), Options{})
	us := units(start, 1000, 25)
	mux(t, m, us)
	if writes != len(us) {
		t.Errorf("%d writes for %d units", writes, len(us))
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// TestFirstPacket is what a decoder needs: tables first, then a keyframe whose
// first packet says so and has the PCR.
func TestFirstPacket(t *testing.T) {
	u := picture(media.FrameAt(media.TicksToTime(start), 25), 25, 1000)
	var b bytes.Buffer
	mux(t, NewMuxer(&b, Options{PCRLead: 9000}), []media.Unit{u})
	ps := packetsOf(b.Bytes())
	if ps[0].PID() != PIDPAT || ps[1].PID() != PIDPMT || ps[2].PID() != PIDVideo {
		t.Fatalf("PIDs %x %x %x", ps[0].PID(), ps[1].PID(), ps[2].PID())
	}
	pcr, ok := ps[2].PCR()
	if want := media.Wire(start-9000) * 300; !ok || pcr != want || !ps[2].RandomAccess() || ps[2].Discontinuity() {
		t.Errorf("PCR %d %v, want %d; random access %v, discontinuity %v", pcr, ok, want, ps[2].RandomAccess(), ps[2].Discontinuity())
	}
	h, ok := parsePES(ps[2].Payload())
	if !ok || h.pts != media.Wire(start) || h.dts != h.pts || h.length != len(u.Data)+14 {
		t.Errorf("PES header %+v %v", h, ok)
	}
}

func TestReorderedPictures(t *testing.T) {
	us := []media.Unit{picture(25, 25, 500), picture(26, 25, 500)}
	us[0].PTS += 7200
	us[1].PTS += 3600
	var b bytes.Buffer
	mux(t, NewMuxer(&b, Options{}), us)
	var c collector
	if err := Demux(&b, &c); err != nil {
		t.Fatal(err)
	}
	checkUnits(t, c.units, us)
}

func TestDelimiterIsAdded(t *testing.T) {
	au := h264.Append(nil, []byte{0x41, 0x9a, 1, 2, 3})
	var b bytes.Buffer
	mux(t, NewMuxer(&b, Options{}), []media.Unit{{PTS: start, DTS: start, Data: au}})
	var c collector
	if err := Demux(&b, &c); err != nil || len(c.units) != 1 {
		t.Fatal(err, len(c.units))
	}
	if want := append(bytes.Clone(anyDelimiter), au...); !bytes.Equal(c.units[0].Data, want) {
		t.Errorf("% x, want % x", c.units[0].Data, want)
	}
}

func TestSkippedFramesKeepTheClock(t *testing.T) {
	var b bytes.Buffer
	m := NewMuxer(&b, Options{})
	for _, u := range units(start, 4000, 25) {
		if n := (u.PTS - start) / 3600; u.Track == media.Video && n%25 > 10 && n%25 < 20 {
			if err := m.WritePCR(u.DTS); err != nil {
				t.Fatal(err)
			}
			continue
		}
		mux(t, m, []media.Unit{u})
	}
	faults := probe(b.Bytes()).Faults()
	if len(faults) != 2 || !strings.HasPrefix(faults[0], "video PTS jumps: 4,") || !strings.HasPrefix(faults[1], "missing frames: 36,") {
		t.Errorf("found %q, want only what was skipped", faults)
	}
}

// TestDiscontinuity lets time jump either way, declared, and not declared.
func TestDiscontinuity(t *testing.T) {
	const s = media.TicksPerSecond
	for _, d := range []int64{10 * s, -3600 * s, 5625 << 33, 0} {
		for _, declared := range []bool{true, false} {
			var b bytes.Buffer
			m := NewMuxer(&b, Options{})
			mux(t, m, units(start, 2000, 25))
			if declared {
				m.Discontinuity()
			}
			second := units(start+2*s+d, 2000, 25)
			for i := range second {
				if second[i].Track == media.Video {
					st, _ := h264.FindStamp(second[i].Data)
					st.Epoch++
					second[i].Data = h264.InsertStamp(nil, second[i].Data, st)
				}
			}
			mux(t, m, second)
			r := clean(t, b.Bytes())
			if want := declared || d != 0; (r.Discontinuities > 0) != want {
				t.Errorf("jump of %d, declared %v: %d discontinuities", d, declared, r.Discontinuities)
			}
		}
	}
}

// TestDiscontinuityOfCounters: a stream that begins anew with Discontinuity
// set may follow any other.
func TestDiscontinuityOfCounters(t *testing.T) {
	var b bytes.Buffer
	mux(t, NewMuxer(&b, Options{}), units(start, 1000, 25))
	mux(t, NewMuxer(&b, Options{Discontinuity: true}), units(start+media.TicksPerSecond, 1000, 25))
	clean(t, b.Bytes())
}

func TestMuxerRefuses(t *testing.T) {
	m := NewMuxer(io.Discard, Options{})
	if m.WriteVideo(media.Unit{}) == nil {
		t.Error("an empty access unit")
	}
	for _, n := range []int{0, adts.MaxPayload + 1} {
		if m.WriteAudio(media.Unit{Data: make([]byte, n)}) == nil {
			t.Errorf("an AAC frame of %d bytes", n)
		}
	}
	broken := errors.New("broken")
	if err := NewMuxer(failing{broken}, Options{}).WriteVideo(picture(0, 25, 100)); !errors.Is(err, broken) {
		t.Errorf("write error: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestSizes muxes access units of every size around the packets' borders.
func TestSizes(t *testing.T) {
	var us []media.Unit
	for n := range int64(600) {
		u := picture(25*n, 25, 10)
		u.PTS, u.DTS, u.Key = start+n*3600, start+n*3600, false
		u.Data = append(append(bytes.Clone(anyDelimiter), 0, 0, 0, 1, 0x41), bytes.Repeat([]byte{7}, 1+int(n))...)
		us = append(us, u, media.Unit{Track: media.Audio, PTS: u.PTS, DTS: u.DTS, Data: bytes.Repeat([]byte{byte(n)}, 1+int(n))})
	}
	var b bytes.Buffer
	mux(t, NewMuxer(&b, Options{}), us)
	var c collector
	if err := Demux(bytes.NewReader(b.Bytes()), &c); err != nil {
		t.Fatal(err)
	}
	checkUnits(t, c.units, us)
	if r := probe(b.Bytes()); r.Continuity > 0 || r.SyncLosses > 0 {
		t.Error(r)
	}
}

func TestMuxerAllocatesNothing(t *testing.T) {
	m := NewMuxer(io.Discard, Options{})
	us := units(start, 4000, 25)
	mux(t, m, us)
	i := 0
	if n := testing.AllocsPerRun(len(us), func() {
		u := us[i%len(us)]
		u.PTS += 360000
		u.DTS += 360000
		mux(t, m, []media.Unit{u})
		i++
	}); n != 0 {
		t.Errorf("%v allocations for a unit", n)
	}
}

func BenchmarkMuxer(b *testing.B) {
	m := NewMuxer(io.Discard, Options{})
	us := units(start, 4000, 25)
	mux(b, m, us)
	var bytes int64
	for _, u := range us {
		bytes += int64(len(u.Data))
	}
	b.SetBytes(bytes / int64(len(us)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		u := us[i%len(us)]
		round := int64(1+i/len(us)) * int64(4*media.TicksPerSecond)
		u.PTS, u.DTS = u.PTS+round, u.DTS+round
		i++
		var err error
		if u.Track == media.Video {
			err = m.WriteVideo(u)
		} else {
			err = m.WriteAudio(u)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProbe(b *testing.B) {
	ts := cleanStream(b, 4000, 25)
	b.SetBytes(int64(len(ts)))
	b.ReportAllocs()
	for b.Loop() {
		probe(ts)
	}
}

// BenchmarkDemux gives the cost of an access unit, video or audio.
func BenchmarkDemux(b *testing.B) {
	ts := cleanStream(b, 4000, 25)
	n := len(units(start, 4000, 25))
	b.SetBytes(int64(len(ts)))
	b.ReportAllocs()
	begin := time.Now()
	rounds := 0
	for b.Loop() {
		var c collector
		if err := Demux(bytes.NewReader(ts), &c); err != nil || len(c.units) != n {
			b.Fatal(err, len(c.units), n)
		}
		rounds++
	}
	b.ReportMetric(float64(time.Since(begin).Microseconds())/float64(rounds*n), "µs/unit")
}

// Held sounds come in one Write with the picture that follows them, and don't
// wait for one for ever.
func TestHeldAudioGoesWithThePicture(t *testing.T) {
	var writes []int
	m := NewMuxer(writerFunc(func(p []byte) { writes = append(writes, len(p)/PacketSize) }), Options{})
	sound := func(n int64) media.Unit {
		return media.Unit{Track: media.Audio, PTS: n * 1920, DTS: n * 1920, Data: make([]byte, 100)}
	}
	video := media.Unit{Track: media.Video, Key: true, Data: []byte{0, 0, 0, 1, 0x65, 1, 2, 3}}
	for n := range int64(2) {
		if err := m.HoldAudio(sound(n)); err != nil {
			t.Fatal(err)
		}
	}
	if len(writes) != 0 {
		t.Fatalf("%v packets were written before the picture", writes)
	}
	if err := m.WriteVideo(video); err != nil {
		t.Fatal(err)
	}
	// Tables before the first sound and before the keyframe, two sounds, a picture.
	if want := []int{7}; !slices.Equal(writes, want) {
		t.Errorf("writes of %v packets, want %v", writes, want)
	}
	for n := range int64(2 * maxHeld) {
		if err := m.HoldAudio(sound(n)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int{7, maxHeld, maxHeld}; !slices.Equal(writes, want) {
		t.Errorf("without pictures: writes of %v packets, want %v", writes, want)
	}
}
