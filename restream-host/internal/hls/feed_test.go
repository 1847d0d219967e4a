package hls

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
)

// testStart is a whole number of segments, in s since 1970.
const testStart = 1_800_000_000

// msg is one RTMP message of a test stream.
type msg struct {
	audio bool
	at    int64 // ticks of program time
	key   bool
	frame int64
	data  []byte
}

var (
	testSPS = unhex("6764001fac2b405005bb016a02020280000003008000001907080006ddd00006ddde5de5c1a1022d")
	testPPS = unhex("68ee3cb0")
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// picture is an access unit as a mixer sends it; its slice is made up.
func picture(n int64, rate int, epoch uint32, key bool) []byte {
	nals := [][]byte{{9, 0xf0}}
	slice := binary.BigEndian.AppendUint64([]byte{0x41, 0x9a}, uint64(n)|0x0101010101010101)
	if key {
		slice[0] = 0x65
		nals = append(nals, testSPS, testPPS)
	}
	r := rand.New(rand.NewPCG(uint64(n), 1))
	for range 300 + r.IntN(3000) {
		slice = append(slice, byte(1+r.IntN(255)))
	}
	au := h264.Append(nil, append(nals, slice)...)
	at := media.FrameTime(n, rate)
	return h264.InsertStamp(nil, au, h264.Stamp{Flags: h264.Live, Epoch: epoch, Frame: uint64(n), Program: at, Capture: at - 1e8})
}

// stream is what a mixer sends from from to to (s since testStart), both
// tracks by time. gop is in s.
func stream(from, to float64, rate int, epoch uint32) []msg {
	start := int64(testStart * 1e9)
	var out []msg
	at := func(s float64) int64 { return start + int64(s*1e9) }
	for n := media.FrameAt(at(from)-1, rate) + 1; media.FrameTime(n, rate) < at(to); n++ {
		key := n%int64(rate) == 0
		out = append(out, msg{at: media.FrameTicks(n, rate), key: key, frame: n, data: picture(n, rate, epoch, key)})
	}
	for k := media.AACAt(at(from)-1) + 1; media.AACTicks(k) < media.TimeToTicks(at(to)); k++ {
		data := binary.BigEndian.AppendUint64([]byte{0x21, 0x10}, uint64(k))
		out = append(out, msg{audio: true, at: media.AACTicks(k), data: append(data, make([]byte, 200)...)})
	}
	slices.SortStableFunc(out, func(a, b msg) int { return int(a.at - b.at) })
	return out
}

// skew is how one origin's connection differs from another's.
type skew struct {
	base      int64 // RTMP ms of the first message
	round     int64 // ticks added before rounding to ms
	audioLate int64 // ticks by which audio arrives later
}

// send gives the messages to a publisher as RTMP would.
func send(video func(uint32, int32, bool, []byte), audio func(uint32, []byte), msgs []msg, s skew) {
	order := slices.Clone(msgs)
	slices.SortStableFunc(order, func(a, b msg) int { return int(arrival(a, s) - arrival(b, s)) })
	base := msgs[0].at
	for _, m := range order {
		ms := uint32(s.base + (m.at-base+s.round)/ticksPerMS)
		if m.audio {
			audio(ms, m.data)
		} else {
			video(ms, 0, m.key, slices.Clone(m.data))
		}
	}
}

func arrival(m msg, s skew) int64 {
	if m.audio {
		return m.at + s.audioLate
	}
	return m.at
}

// segments runs messages through a timeline and a segmenter of their own.
func segments(t *testing.T, msgs []msg, s skew) (map[int64]*Segment, *Segmenter) {
	t.Helper()
	out := make(map[int64]*Segment)
	last := int64(-1)
	seg := NewSegmenter(func(x *Segment) {
		if x.Number <= last {
			t.Errorf("segment %d after %d", x.Number, last)
		}
		last = x.Number
		out[x.Number] = x
	})
	line := NewTimeline(0, 1, seg.Add)
	send(line.Video, line.Audio, msgs, s)
	return out, seg
}

// number is the segment that holds s seconds after testStart.
func number(s float64) int64 { return testStart/2 + int64(s/2) }

// without leaves out the messages for which f is true.
func without(msgs []msg, f func(msg) bool) []msg {
	return slices.DeleteFunc(slices.Clone(msgs), f)
}

// since is a message's program time in s after testStart.
func since(m msg) float64 {
	return float64(m.at-testStart*media.TicksPerSecond) / media.TicksPerSecond
}
