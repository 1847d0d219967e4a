package hls

import (
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

const (
	ticksPerMS = media.TicksPerSecond / 1000
	// snap is how far from the AAC grid an audio frame may lie and still be
	// taken for a frame of it. RTMP rounds both tracks to whole milliseconds,
	// so a frame of ours is off by at most 1 ms; the grid is 21.3 ms wide.
	snap = 4 * ticksPerMS
	// maxPending bounds the audio that waits for the first picture: 4 s.
	maxPending = 4 * media.SampleRate / media.SamplesPerAAC
)

// Unit is an access unit on program time: PTS and DTS are unwrapped ticks.
type Unit struct {
	media.Unit
	Epoch   uint32
	Stamped bool  // program time came with the picture (SEI), not from our clock
	Frame   int64 // frame number of the stamp, 0 without one
	Capture int64 // UTC ns of the oldest live input in it, 0 if none or unknown
}

// A Timeline maps one publisher's RTMP timestamps to program time.
//
// Our own publishers stamp every picture (package h264), and then the stamp is
// the time: audio gets RTMP time plus the offset learnt from the pictures,
// snapped to the AAC grid, so that two origins that rounded differently agree.
// Others (ffmpeg, OBS) get the wall clock of their first keyframe plus RTMP
// time, and the epoch that Start gave them.
type Timeline struct {
	start   int64 // ticks for the first keyframe of a publisher without stamps
	epoch   uint32
	emit    func(Unit)
	begun   bool
	stamped bool
	offset  int64 // program ticks - RTMP ticks
	near    int64 // last RTMP time, unwrapped ms
	first   int64 // ticks of the first picture
	pending []pendingAudio
	Dropped uint64 // units before the first keyframe, or beyond the bound
}

type pendingAudio struct {
	ms   int64
	data []byte
}

// NewTimeline starts at the first keyframe. start (ticks) and epoch are for
// publishers without stamps. emit gets the units in the order of arrival.
func NewTimeline(start int64, epoch uint32, emit func(Unit)) *Timeline {
	return &Timeline{start: start, epoch: epoch, emit: emit}
}

// unwrap makes RTMP's 32-bit milliseconds (49.7 days) unwrapped ones.
func (t *Timeline) unwrap(ms uint32) int64 {
	t.near += int64(int32(ms - uint32(t.near)))
	return t.near
}

// Video takes an Annex B access unit; dts is RTMP's timestamp, cts its
// composition offset, both in ms.
func (t *Timeline) Video(dts uint32, cts int32, key bool, au []byte) {
	ms := t.unwrap(dts)
	stamp, ok := h264.FindStamp(au)
	if !t.begun {
		if !key {
			t.Dropped++
			return
		}
		t.begin(ms, ok)
	}
	u := Unit{Unit: media.Unit{Track: media.Video, Key: key, Data: au}, Epoch: t.epoch, Stamped: t.stamped}
	if ok && t.stamped {
		at := ticks(stamp.Program)
		t.offset = at - ms*ticksPerMS
		t.epoch = stamp.Epoch
		u.PTS, u.DTS = at, at
		u.Epoch, u.Frame, u.Capture = stamp.Epoch, int64(stamp.Frame), stamp.Capture
	} else {
		u.DTS = ms*ticksPerMS + t.offset
		u.PTS = u.DTS + int64(cts)*ticksPerMS
	}
	if t.first == 0 || u.PTS < t.first {
		t.first = u.PTS
	}
	t.emit(u)
	t.release()
}

func (t *Timeline) begin(ms int64, stamped bool) {
	t.begun, t.stamped = true, stamped
	t.offset = t.start - ms*ticksPerMS
}

// Audio takes a raw AAC frame at RTMP's timestamp in ms.
func (t *Timeline) Audio(ts uint32, frame []byte) {
	ms := t.unwrap(ts)
	if !t.begun {
		if len(t.pending) == maxPending {
			t.pending = t.pending[1:]
			t.Dropped++
		}
		t.pending = append(t.pending, pendingAudio{ms, frame})
		return
	}
	t.audio(ms, frame)
}

func (t *Timeline) release() {
	for _, p := range t.pending {
		t.audio(p.ms, p.data)
	}
	t.pending = nil
}

func (t *Timeline) audio(ms int64, frame []byte) {
	at := ms*ticksPerMS + t.offset
	if t.stamped {
		at = snapAAC(at)
	}
	if at < t.first {
		t.Dropped++
		return
	}
	t.emit(Unit{
		Unit:  media.Unit{Track: media.Audio, PTS: at, DTS: at, Data: frame},
		Epoch: t.epoch, Stamped: t.stamped,
	})
}

// snapAAC moves at to the nearest AAC frame of the grid when that is close.
func snapAAC(at int64) int64 {
	k := (at + media.TicksPerAAC/2) / media.TicksPerAAC
	grid := media.AACTicks(k)
	if d := at - grid; d > snap || d < -snap {
		return at
	}
	return grid
}

// ticks rounds program time, which was rounded down to ns, to the nearest tick
// (11111 ns).
func ticks(ns int64) int64 { return media.TimeToTicks(ns + 5555) }
